"""moto on the virtual clock: the one place where its idea of time is replaced, and put back.

What is redirected, and why that is enough for the services used here:
- `moto.core.utils.utcnow`, under every name by which a moto module imported it. `unix_time` and
  `unix_time_millis` call it, so SQS delays, visibility and retention, DynamoDB and stream times, IAM, STS
  expiry and EventBridge follow.
- `time` as `moto.secretsmanager.models` sees it: it alone asks `time.time()`.
- `SQSBackend.receive_message` never waits: a long poll would wait real seconds for virtual ones to pass.
Not redirected: CloudWatch alarms' `last_modified` and moto's own state transitions (unused here), and
botocore's signing, which belongs to the clients.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from types import ModuleType, SimpleNamespace

import moto.core.utils
import moto.secretsmanager.models
import moto.sqs.models

from sandbox.clock import VirtualClock


@contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Let an attribute of foreign code be something else for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def moto_on(clock: VirtualClock) -> Iterator[None]:
    """Run moto on the virtual clock until the block ends."""
    real = moto.core.utils.utcnow

    def virtual() -> datetime:
        return clock.now().replace(tzinfo=None)

    with ExitStack() as stack:
        stack.callback(_rename, virtual, real)
        _rename(real, virtual)
        watch = SimpleNamespace(time=lambda: clock.now().timestamp())
        stack.enter_context(replaced(moto.secretsmanager.models, "time", watch))
        receive = _without_waiting(moto.sqs.models.SQSBackend.receive_message)
        stack.enter_context(replaced(moto.sqs.models.SQSBackend, "receive_message", receive))
        yield


def _rename(before: Callable[[], datetime], after: Callable[[], datetime]) -> None:
    for module in _moto_modules():
        if vars(module).get("utcnow") is before:
            module.utcnow = after  # type: ignore[attr-defined] # the name is known to be there


def _moto_modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith("moto.")]


def _without_waiting(receive: Callable[..., object]) -> Callable[..., object]:
    def receive_at_once(
        backend: object, queue_name: str, count: int, _wait: int, *rest: object, **named: object
    ) -> object:
        return receive(backend, queue_name, count, 0, *rest, **named)

    return receive_at_once
