"""The outside world in memory, put together: one project under one key, a clock that tests set, and the ports."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fake_atlas import (
    ORGANIZATION,
    PROJECT,
    ROLE_ARN,
    ROLE_ID,
    USER_ARN,
    FakeAtlas,
    FakeProject,
    legacy_settings,
    some_settings,
)
from fake_keys import FakeKeys
from fake_messages import FakeMessages
from fake_roles import FakeRoles
from fake_tracker import FakeTracker

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.observed import AtlasProject
from chalicelib.domain.opening import RotationRequest
from chalicelib.domain.policies import FIELDS
from chalicelib.domain.records import Change, Key, Project, Rotation
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.ports import Due, Outside, PermanentError, TemporaryError
from chalicelib.usecases.request_rotation import cancel_rotation, request_rotation, roll_back_rotation
from chalicelib.usecases.retire import advance_deletions
from chalicelib.usecases.rotate import GOES_ON_FOR, advance_rotation
from chalicelib.usecases.sweep import sweep_woken

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))
ACCOUNT, REGION = "111122223333", "eu-west-1"
ANNA = f"arn:aws:iam::{ACCOUNT}:user/anna"
BUSY = TemporaryError("GET /groups: 503", call="GET /groups", code="503")
FORBIDDEN = PermanentError("GET /groups: 403", call="GET /groups", code="403")
LOST = TemporaryError("PATCH /encryptionAtRest: the connection broke", call="PATCH /encryptionAtRest")


class Killed(BaseException):
    """The process is gone: nothing of ours catches this."""


@dataclass(kw_only=True)
class World:
    """Everything outside, and the moment it is.

    `asked_keys` says for which region and role KMS was wanted; `elsewhere` holds the KMS of other places than ours.
    """

    now: datetime = START
    tracker: FakeTracker = field(default_factory=FakeTracker)
    messages: FakeMessages = field(default_factory=FakeMessages)
    asked_keys: list[tuple[str, str | None]] = field(default_factory=list)
    elsewhere: dict[tuple[str, str | None], FakeKeys] = field(default_factory=dict)

    def __post_init__(self):
        self.atlas = FakeAtlas(now=self.time)
        self.keys = FakeKeys(self.time, account=ACCOUNT, region=REGION)
        self.roles = FakeRoles(ACCOUNT)
        self.roles.add(ROLE_ARN)
        self.roles.add(USER_ARN)
        self.organizations = {ORGANIZATION: self.atlas}
        self.outside = Outside(
            now=self.time,
            tracker=self.tracker,
            messages=self.messages,
            organizations=lambda: tuple(self.organizations),
            atlas=self.organizations.__getitem__,
            atlas_owner=self.organizations.__getitem__,
            keys=self._keys,
            roles=lambda _role: self.roles,
            legacy_user=self.atlas.legacy_user,
        )

    def time(self) -> datetime:
        return self.now

    def wait(self, time: timedelta) -> None:
        self.now += time

    def _keys(self, region: str, role: str | None) -> FakeKeys:
        self.asked_keys.append((region, role))
        return self.elsewhere.get((region, role), self.keys)

    def add_place(self, region: str, *, account: str = ACCOUNT, role: str | None = None) -> FakeKeys:
        """Let there be a KMS in another region, or in the account of a role."""
        self.elsewhere[region, role] = FakeKeys(self.time, account=account, region=region)
        return self.elsewhere[region, role]

    def put(self, *records) -> None:
        """Save records at once, without a step of anybody."""
        self.tracker.commit(Change(records=records))

    def change(self, record, **changes) -> None:
        """Write a record, as another process would."""
        self.put(replace(record, **changes))

    @property
    def project(self) -> Project:
        return self.tracker.project(PROJECT)

    @property
    def in_atlas(self) -> FakeProject:
        return self.atlas.world[PROJECT]

    def told(self, kind=None) -> list[str]:
        """The kinds of all notices written, or the texts of those of one kind."""
        return [n.kind if kind is None else n.text for n in self.tracker.notices if kind in {None, n.kind}]

    def swaps(self) -> int:
        """How often a change of settings was sent."""
        return sum(call[0] == "swap_key" for call in self.atlas.calls)

    def created(self) -> int:
        """How often KMS was asked to create a key."""
        return self.keys.calls.count("create")


def a_world(**changes) -> World:
    """One tracked project that encrypts one running cluster under `old_key(world)`."""
    world = World()
    key = world.keys.add(a_policy_for())
    world.atlas.add(settings=some_settings(key))
    project = Project(
        project_id=PROJECT,
        name="payments",
        organization=ORGANIZATION,
        seen_at=START,
        key=key,
        key_since=START,
        granted_by=key,
        role_arn=ROLE_ARN,
        role_id=ROLE_ID,
        next_reminder_at=START + 60 * DAY,
    )
    record = Key(arn=key, state=KeyState.CURRENT, projects=(PROJECT,), first_seen_at=START)
    own = FIELDS if "policy" in changes else ()
    world.put(replace(project, policy_own=own, **changes), record)
    return world


def a_legacy_world(**changes) -> World:
    """A project whose settings hold the credentials of an IAM user, of whom the access key has since been replaced."""
    world = a_world(**changes)
    world.in_atlas.settings = legacy_settings(old_key(world), access_key_id="AKIA0000000000000000")
    return world


def a_policy_for(principal: str = ROLE_ARN, **statement) -> str:
    """A key policy that gives a principal all that Atlas needs."""
    gives = {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"],
        "Resource": "*",
    }
    return json.dumps({"Statement": [gives | statement]})


def old_key(world: World) -> KeyArn:
    """The key that the project of `a_world` began with."""
    return world.keys.arns[0]


def found(**changes) -> AtlasProject:
    """The project of `a_world` as its organization lists it."""
    return replace(AtlasProject(project_id=PROJECT, name="payments", organization=ORGANIZATION), **changes)


def a_request(**changes) -> RotationRequest:
    """Anna's request for a new key."""
    return replace(RotationRequest(requested_by=ANNA, idempotency_key="one"), **changes)


@dataclass(kw_only=True)
class Rotating:
    """A rotation under way in a world."""

    world: World
    rotation_id: str

    @property
    def now(self) -> Rotation:
        return self.world.tracker.rotation(PROJECT, self.rotation_id)

    def step(self) -> Rotation | None:
        """Wake the rotation at this very moment, for one step."""
        return advance_rotation(self.world.outside, PROJECT, self.rotation_id, goes_on_for=timedelta(0))

    def wake(self) -> Rotation | None:
        """Wake the rotation at this very moment, as a queue message does: for as many steps as can be taken."""
        return advance_rotation(self.world.outside, PROJECT, self.rotation_id, goes_on_for=GOES_ON_FOR)

    def cancel(self, who: str = ANNA) -> Rotation:
        """Ask for the rotation to be given up."""
        return cancel_rotation(self.world.outside, PROJECT, self.rotation_id, who=who)

    def roll_back(self, who: str = ANNA) -> Rotation:
        """Ask for the way back."""
        return roll_back_rotation(self.world.outside, PROJECT, self.rotation_id, who=who)

    def go(self, steps: int = 1) -> Rotation:
        """Wake the rotation whenever it wants to be, so many times or until it ends."""
        for _ in range(steps):
            if self.now.due is None:
                break
            self.world.now = max(self.world.now, self.now.due, self.now.lease_until or self.now.due)
            self.step()
        return self.now

    def go_until(self, state: str) -> Rotation:
        """Go on until the rotation is in a state."""
        for _ in range(40):
            if self.now.state == state:
                return self.now
            self.go()
        raise AssertionError(f"it is {self.now.state}: {self.now.waiting_for}, {self.now.error}")


def in_state(world: World, state: str, **asked) -> Rotating:
    """A rotation that has come so far."""
    rotation = a_rotation(world, **asked)
    rotation.go_until(state)
    return rotation


def raising(error: BaseException) -> Callable[..., None]:
    """Something that fails in this way whenever it is called."""

    def fail(*_args, **_named):
        raise error

    return fail


def let_time_pass(world: World, time: timedelta) -> None:
    """Let the time index be looked at every quarter of an hour, as schedules do, and all that is due be done."""
    end = world.now + time
    while world.now < end:
        for project_id, rotation_id in tuple(world.tracker.due(Due.ROTATION, world.now)):
            advance_rotation(world.outside, project_id, rotation_id)
        for (arn,) in tuple(world.tracker.due(Due.SWEEP, world.now)):
            sweep_woken(world.outside, {"key": arn})
        advance_deletions(world.outside)
        world.wait(15 * MINUTE)


def a_rotation(world: World, **asked) -> Rotating:
    """Request a rotation of the world's project."""
    rotation = request_rotation(world.outside, PROJECT, a_request(**asked))
    return Rotating(world=world, rotation_id=rotation.rotation_id)
