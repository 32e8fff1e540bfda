"""The story: five clusters of four projects, two operators, and what they do over the months.

Two projects rotate by policy, one by requests of a person, one cannot at all. One cluster sleeps through a rotation.
Whatever key becomes free is requested for deletion by Ada and approved by Grace.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sandbox.atlas import CannotRestore
from sandbox.cast import SOON_GONE, Stage
from sandbox.gateway import Answer, Api
from sandbox.rhythms import A_WEEK
from sandbox.runner import Runner
from sandbox.timeline import Timeline, short

WEEK = 7
PAUSED_FROM, PAUSED_UNTIL = 84, 126
"""The days on which the cluster archive falls asleep, some days before a rotation, and wakes up again."""

_REQUESTS_AT = "-7"
"""The rung of the ladder at which Ada asks for a rotation."""
_ACCEPTED = 202
_LAST_SNAPSHOTS = timedelta(hours=3)
"""What the snapshots begun on the last day need to be done."""


@dataclass(kw_only=True)
class Story:
    """To whom it happens, and what has been done so far."""

    stage: Stage
    runner: Runner
    api: Api
    timeline: Timeline
    names: dict[str, str]
    """The projects' names by id."""
    requests: int = 0
    given_up: int = 0
    slept: bool = False
    """Whether a sleeping cluster was seen to hold an old key."""
    asked_for: set[str] = field(default_factory=set)
    lost: dict[str, str] = field(default_factory=dict)
    """What of the snapshots that could not be restored on one of the days, by their ids."""

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.stage.world.clock.now()

    def id_of(self, name: str) -> str:
        """The id of a project."""
        return next(project_id for project_id, known in self.names.items() if known == name)

    def say(self, text: str) -> None:
        """Tell one line, with the virtual time before it."""
        self.timeline.say(self.now, text)

    def ask(self, person: int, method: str, target: str, body: object = None, **headers: str) -> Answer:
        """Ask the API as one of the two operators."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        caller = self.stage.world.operators[person].arn
        answer = self.api.ask(method, target, body, caller=caller, headers=named)
        if method != "GET":
            self.runner.settle()
        return answer

    def hear(self) -> None:
        """Tell the notices that came since the last time, and act on them."""
        for message in self.timeline.hear(self.stage.world.aws.inbox()):
            self._act_on(message["attributes"])

    def _act_on(self, attributes: dict[str, str]) -> None:
        project_id = attributes.get("project_id", "")
        if self.names.get(project_id) == "orders" and attributes.get("rung") == _REQUESTS_AT:
            self.request("orders")
        if attributes.get("kind") == "rotation_deployed":
            self._tell_swap(project_id, attributes["key_id"])

    def _tell_swap(self, project_id: str, key_id: str) -> None:
        for one in self.rotations(project_id):
            if one["new_key"] and one["new_key"].endswith(key_id) and one["swapped_at"] and one["deployed_at"]:
                old, new = short(one["old_key"]), short(one["new_key"])
                swapped, deployed = one["swapped_at"][11:16], one["deployed_at"][11:16]
                text = f"from {old} to {new}: swapped at {swapped}, on every running cluster at {deployed}"
                self.say(f"{self.names[project_id]} went {text}; its banner is gone")

    def request(self, name: str) -> None:
        """Ada requests a rotation; what the project's banner says then is told."""
        self.requests += 1
        project_id = self.id_of(name)
        body = {"reason": "before it is due"}
        target = f"/v1/projects/{project_id}/rotations"
        answer = self.ask(0, "POST", target, body, idempotency_key=f"ada-{self.requests}")
        said = "accepted" if answer.status == _ACCEPTED else f"refused: {answer.json()['detail']}"
        self.say(f"[bold]Ada requests a rotation of {name}[/]: {said}")
        banner = self.ask(0, "GET", f"/v1/projects/{project_id}").json()["banner"]
        if banner is not None:
            self.say(f"[bold yellow]banner of {name}: {banner}[/]")

    def tidy(self) -> None:
        """Tell how far old keys have drained; Ada requests the deletion of every free one, Grace approves."""
        keys = self.keys()
        self.slept = self.slept or any(reason["kind"] == "paused" for key in keys for reason in key["reasons"])
        self.timeline.show_draining(self.now, keys, self.names)
        for key in keys:
            if key["safe_to_delete"] and key["key_id"] not in self.asked_for:
                self._delete(key["key_id"])

    def restore_all(self) -> int:
        """Restore every finished snapshot that exists today; what cannot be is `lost`. Gives the number restored."""
        restored, atlas = 0, self.stage.atlas
        for snapshot in (one for one in atlas.every_snapshot() if one.status == "completed"):
            try:
                atlas.restore(snapshot.snapshot_id)
                restored += 1
            except CannotRestore as problem:
                text = f"snapshot {snapshot.snapshot_id} of {snapshot.cluster} could not be restored on {self.now:%F}"
                self.lost.setdefault(snapshot.snapshot_id, f"{text}: {problem}")
        return restored

    def _delete(self, key_id: str) -> None:
        self.asked_for.add(key_id)
        asked = self.ask(0, "POST", f"/v1/keys/{key_id}/deletion", {"reason": "nothing needs it"})
        if asked.status != _ACCEPTED:
            self.say(f"[bold]Ada requests the deletion of {short(key_id)}[/]: refused: {asked.json()['detail']}")
            return
        deletion = asked.json()
        self.given_up += 1
        target = f"/v1/deletions/{deletion['deletion_id']}/approval"
        approved = self.ask(1, "POST", target, {"digest": deletion["digest"]})
        self.say(f"[bold]Ada requests the deletion of {short(key_id)}, Grace approves[/]: {approved.status}")

    def keys(self) -> list[dict[str, Any]]:
        """Every key, as the API shows it."""
        return list(self._all("/v1/keys"))

    def projects(self) -> list[dict[str, Any]]:
        """Every project, as the API shows it."""
        return list(self._all("/v1/projects"))

    def rotations(self, project_id: str) -> list[dict[str, Any]]:
        """Every rotation of a project, as the API shows it."""
        return list(self._all(f"/v1/projects/{project_id}/rotations"))

    def _all(self, target: str) -> Iterator[dict[str, Any]]:
        page = self.ask(0, "GET", target).json()
        yield from page["items"]
        while page["next"] is not None:
            page = self.ask(0, "GET", f"{target}?cursor={page['next']}").json()
            yield from page["items"]


def begin(set_up: Stage, timeline: Timeline) -> Story:
    """Let Atlas live for three months, then install Keyturn: payments is due that day, orders is early."""
    names = _people_atlas(set_up)
    runner, api = set_up.install(idle=A_WEEK)
    story = Story(stage=set_up, runner=runner, api=api, timeline=timeline, names=names)
    runner.run_until(story.now)
    story.say("[bold]Keyturn is installed[/] and sees its four projects")
    for name in ("payments", "analytics"):
        target = f"/v1/projects/{story.id_of(name)}/policy"
        story.ask(0, "PATCH", target, {"mode": "rotate", "delete_foreign_keys": True})
        story.say(f"Ada lets {name} rotate by itself, and its old key be deleted though Keyturn did not make it")
    story.request("playground")
    story.request("orders")
    return story


def _people_atlas(set_up: Stage) -> dict[str, str]:
    atlas, installed = set_up.atlas, set_up.world.clock.now() + timedelta(days=90)
    set_up.let_atlas_live(installed - timedelta(days=89, hours=18))
    payments = set_up.add_project("payments")
    for name in ("ledger", "archive"):
        atlas.add_cluster(payments, name, policies=SOON_GONE)
    set_up.let_atlas_live(installed - timedelta(days=60))
    analytics, orders = set_up.add_project("analytics"), set_up.add_project("orders")
    atlas.add_cluster(analytics, "events", kind="SHARDED", point_in_time_days=7, policies=SOON_GONE)
    atlas.add_cluster(analytics, "legacy", policies=SOON_GONE)
    atlas.add_cluster(orders, "shop", policies=SOON_GONE)
    playground = atlas.add_project("playground")  # without a customer key: its tier has none
    atlas.add_cluster(playground, "toys", tier="M0")
    set_up.let_atlas_live(installed - timedelta(days=5))
    atlas.delete_cluster(analytics, "legacy", retain_backups=True)
    set_up.let_atlas_live(installed)
    return {payments: "payments", analytics: "analytics", orders: "orders", playground: "playground"}


def live(story: Story, days: int, each_day: Callable[[], None]) -> None:
    """Let the days pass, and hear every evening what happened; once a week the operators tidy up, and restore all."""
    begin_at = story.now
    for day in range(1, days + 1):
        story.runner.run_until(begin_at + timedelta(days=day))
        story.hear()
        _sleep_and_wake(story, day)
        if day % WEEK == 0:
            story.tidy()
            story.restore_all()
        each_day()
    story.runner.run_until(story.now + _LAST_SNAPSHOTS)
    story.hear()


def _sleep_and_wake(story: Story, day: int) -> None:
    payments, atlas = story.id_of("payments"), story.stage.atlas
    if day == PAUSED_FROM:
        atlas.pause(payments, "archive")
        story.say("payments pauses its cluster archive")
    if day == PAUSED_UNTIL:
        atlas.resume(payments, "archive")
        story.say("payments resumes its cluster archive: it takes up the key of today")
