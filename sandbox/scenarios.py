"""Worlds to begin in: each is one in which what its name says can be seen over the API."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from sandbox.cast import SOON_GONE, Stage, stage
from sandbox.gateway import Api
from sandbox.rhythms import A_WEEK
from sandbox.runner import Runner

_ACCEPTED = 202
_CYCLE = timedelta(days=90)
"""The usual age at which a key is due."""


@dataclass(kw_only=True)
class Scene:
    """A stage on which Keyturn is installed, and what a scenario does there."""

    stage: Stage
    runner: Runner
    api: Api

    def wait(self, length: timedelta) -> None:
        """Let virtual time pass for everybody."""
        self.runner.run_until(self.stage.world.clock.now() + length)

    def rotate(self, project_id: str) -> None:
        """Rotate a project's key, and wait until that is done; raises RuntimeError when it is refused."""
        world = self.stage.world
        target = f"/v1/projects/{project_id}/rotations"
        headers = {"Idempotency-Key": f"scenario-{next(_NUMBERS)}"}
        body = {"reason": "a scenario"}
        answer = self.api.ask("POST", target, body, caller=world.operators[0].arn, headers=headers)
        if answer.status != _ACCEPTED:
            raise RuntimeError(f"the rotation of a scenario was refused: {answer.json()}")
        self.wait(timedelta(hours=6))

    def key_of(self, project_id: str) -> str:
        """The ARN of the key that a project's settings name."""
        key = self.stage.atlas.projects[project_id].key
        if key is None:
            raise RuntimeError("the project of a scenario has no customer key")
        return str(key)

    def steer(self, project_id: str, **policy: object) -> None:
        """Set a project's policy; raises RuntimeError when it is refused."""
        caller = self.stage.world.operators[0].arn
        answer = self.api.ask("PATCH", f"/v1/projects/{project_id}/policy", policy, caller=caller, headers={})
        if answer.status // 100 != 2:  # noqa: PLR2004 - the class of success in HTTP
            raise RuntimeError(f"the policy of a scenario was refused: {answer.json()}")


_NUMBERS = count(1)


def _due_today(scene: Scene, payments: str) -> None:
    """Its key became old while nobody looked."""
    del payments
    scene.wait(_CYCLE)


def _draining(scene: Scene, payments: str) -> None:
    """Snapshots of three weeks hold the old key, and go one after the other."""
    scene.wait(timedelta(days=21))
    scene.rotate(payments)
    scene.wait(timedelta(days=4))


def _drift(scene: Scene, payments: str) -> None:
    """Somebody switched encryption at rest off with the browser."""
    scene.wait(timedelta(days=2))
    scene.stage.atlas.disable_encryption(payments)
    scene.wait(timedelta(days=1))


def _rogue_deletion(scene: Scene, payments: str) -> None:
    """An administrator schedules the deletion of the key in use behind Keyturn's back; the guard may only tell."""
    scene.steer(payments, guard="tell")
    scene.wait(timedelta(days=2))
    kms = scene.stage.world.aws.client("kms")
    kms.schedule_key_deletion(KeyId=scene.key_of(payments), PendingWindowInDays=30)
    scene.wait(timedelta(days=1))


def _paused_cluster(scene: Scene, payments: str) -> None:
    """A cluster sleeps through the rotation, so that it would wake up with the old key."""
    scene.wait(timedelta(days=7))
    scene.stage.atlas.pause(payments, "archive")
    scene.rotate(payments)
    scene.wait(timedelta(days=1))


def _lost_permission(scene: Scene, payments: str) -> None:
    """The key's policy was rewritten without Atlas' role."""
    account = scene.stage.world.aws.account
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    alone = {"Sid": "Account", "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [alone]})
    scene.wait(timedelta(days=2))
    scene.stage.world.aws.client("kms").put_key_policy(KeyId=scene.key_of(payments), Policy=document)
    scene.wait(timedelta(days=1))


SCENARIOS: Mapping[str, tuple[timedelta, Callable[[Scene, str], None]]] = {
    "due-today": (_CYCLE, _due_today),
    "draining": (timedelta(days=25, hours=6), _draining),
    "drift": (timedelta(days=3), _drift),
    "rogue-deletion": (timedelta(days=3), _rogue_deletion),
    "paused-cluster": (timedelta(days=8, hours=6), _paused_cluster),
    "lost-permission": (timedelta(days=3), _lost_permission),
}
"""By its name how much virtual time a scenario takes, and what happens to the project payments in it."""


@contextmanager
def open_scenario(name: str, then: datetime) -> Iterator[Stage]:
    """Open the world of a scenario, which has come to `then`; two other projects in it are fine."""
    takes, happen = SCENARIOS[name]
    with stage(then - takes) as set_up:
        payments = set_up.add_project("payments")
        for cluster in ("ledger", "archive"):
            set_up.atlas.add_cluster(payments, cluster, policies=SOON_GONE)
        playground = set_up.atlas.add_project("playground")  # without a customer key: its tier has none
        set_up.atlas.add_cluster(playground, "toys", tier="M0")
        runner, api = set_up.install(idle=A_WEEK)
        runner.run_until(set_up.world.clock.now())
        happen(Scene(stage=set_up, runner=runner, api=api), payments)
        yield set_up
