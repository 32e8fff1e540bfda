"""Who lives in a pretend world: keys with a policy for Atlas, projects on them, and the time before Keyturn came."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sandbox.atlas import ATLAS_ACCOUNT, AtlasWorld, BackupPolicy, PretendAtlas
from sandbox.gateway import Api
from sandbox.pretend import Embedded
from sandbox.rhythms import A_DAY
from sandbox.runner import Runner
from sandbox.world import START, World

SOON_GONE = (
    BackupPolicy(kind="daily", keep=timedelta(days=7)),
    BackupPolicy(kind="weekly", keep=timedelta(weeks=4), every=6),
    BackupPolicy(kind="monthly", keep=timedelta(days=90), every=40),
)
"""A backup policy under which an old key drains within a story."""

_IN_EVERY_MONTH = 28
"""The last day that every month has, and the last that Atlas takes for a monthly snapshot."""


def soon_gone(begin: datetime) -> tuple[BackupPolicy, ...]:
    """The same for a story that begins on any day of any month: the monthly snapshot comes within its first week."""
    day = min((begin + timedelta(days=5)).day, _IN_EVERY_MONTH)
    return tuple(replace(one, every=day) if one.kind == "monthly" else one for one in SOON_GONE)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A world with everything that a story needs at hand."""

    world: World
    atlas: AtlasWorld
    server: PretendAtlas
    """How Atlas is reached: its calls are counted there, and its faults ordered."""
    role_arn: str

    def make_key(self, name: str) -> str:
        """Make a customer key that the project's role may use; gives its ARN."""
        document = _policy(self.world.aws.account, self.role_arn)
        tags = [{"TagKey": "Name", "TagValue": name}]
        made = self.world.aws.client("kms").create_key(Policy=json.dumps(document), Tags=tags, Description=name)
        return str(made["KeyMetadata"]["Arn"])

    def add_project(self, name: str) -> str:
        """Make a project with a key of its own that is made now; gives its id."""
        return self.atlas.add_project(name, key=self.make_key(name), role_arn=self.role_arn)

    def let_atlas_live(self, then: datetime) -> None:
        """Let time pass for Atlas alone: what happened before Keyturn was installed."""
        clock = self.world.clock
        while (at := self.atlas.next_event_at()) is not None and at <= then:
            clock.advance_to(max(at, clock.now()))
            self.atlas.run_due()
        clock.advance_to(then)

    def install(self, *, idle: timedelta = A_DAY) -> tuple[Runner, Api]:
        """Install Keyturn: from now on its functions run, those without work once in a time of `idle`."""
        return Runner(self.world, idle=idle), Api(self.world)


@contextmanager
def stage(start: datetime = START, *, seed: int = 1, over_the_wire: bool = False) -> Iterator[Stage]:
    """Open a world with a pretend Atlas and one IAM role for it; its functions may have to go over the wire to AWS."""
    embedded = Embedded(seed=seed)
    with World(embedded, start=start, over_the_wire=over_the_wire) as world:
        trust = {"Effect": "Allow", "Principal": {"AWS": ATLAS_ACCOUNT}, "Action": "sts:AssumeRole"}
        role = world.aws.create_role("atlas", {"Version": "2012-10-17", "Statement": [trust]})
        yield Stage(world=world, atlas=embedded.world, server=embedded.server, role_arn=role)


def _policy(account: str, role_arn: str) -> dict[str, Any]:
    administrators = {"AWS": f"arn:aws:iam::{account}:root"}
    uses = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "Account", "Effect": "Allow", "Principal": administrators, "Action": "kms:*", "Resource": "*"},
            {"Sid": "Atlas", "Effect": "Allow", "Principal": {"AWS": role_arn}, "Action": uses, "Resource": "*"},
        ],
    }
