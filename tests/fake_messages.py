"""Messages in memory: what was published and who was woken, in order."""

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Notice
from chalicelib.domain.vocabulary import Channel
from chalicelib.usecases.ports import OutsideError

_LONGEST_DELAY = 900


class FakeMessages:
    """`published` holds the notices of the alerts topic, `sent` (notice id, channel).

    `rotation_wakes` (project, rotation, delay in seconds), `sweep_wakes` keys.
    """

    def __init__(self) -> None:
        self.published: list[Notice] = []
        self.sent: list[tuple[str, Channel]] = []
        self.rotation_wakes: list[tuple[str, str, int]] = []
        self.sweep_wakes: list[KeyArn] = []
        self._failures: dict[str, list[OutsideError]] = {}

    def fail(self, call: str, error: OutsideError) -> None:
        """Let the next call of this port method raise; several wait their turn."""
        self._failures.setdefault(call, []).append(error)

    def publish(self, notice: Notice, channel: Channel) -> None:
        self._begin("publish")
        self._begin(f"publish {channel}")
        self.sent.append((notice.notice_id, channel))
        if channel is Channel.ALERTS:
            self.published.append(notice)

    def wake_rotation(self, project_id: str, rotation_id: str, *, delay_seconds: int = 0) -> None:
        self._begin("wake_rotation")
        self.rotation_wakes.append((project_id, rotation_id, max(0, min(delay_seconds, _LONGEST_DELAY))))

    def wake_sweep(self, arn: KeyArn) -> None:
        self._begin("wake_sweep")
        self.sweep_wakes.append(arn)

    def _begin(self, call: str) -> None:
        waiting = self._failures.get(call)
        if waiting:
            raise waiting.pop(0)
