"""The whole story: four projects over nine virtual months, and the proof that nothing was lost.

Two projects rotate by policy, one by requests of a person, one cannot at all. Whatever key becomes free is
requested for deletion by Ada and approved by Grace.
"""

import gc
import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from sandbox.atlas import CannotRestore
from sandbox.cast import SOON_GONE, Stage, stage
from sandbox.door import Answer, Api
from sandbox.runner import Runner

DAYS = 270
_REQUESTS_AT = "-7"
"""The rung of the ladder at which Ada asks for a rotation."""
_WEEK = 7
_ACCEPTED = 202
_LAST_SNAPSHOTS = timedelta(hours=3)
"""What the snapshots begun on the last day need to be done."""


@dataclass(kw_only=True)
class Story:
    """What has been told so far, and to whom it happens."""

    stage: Stage
    runner: Runner
    api: Api
    console: Console
    asked_by_people: str
    heard: int = 0
    requests: int = 0
    given_up: int = 0
    asked_for: set[str] = field(default_factory=set)

    def say(self, text: str) -> None:
        """Tell one line, with the virtual time before it."""
        self.console.print(f"[dim]{self.stage.world.clock.now():%Y-%m-%d %H:%M}[/]  {text}", highlight=False)

    def ask(self, person: int, method: str, target: str, body: object = None, **headers: str) -> Answer:
        """Ask the API as one of the two operators."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        caller = self.stage.world.operators[person].arn
        answer = self.api.ask(method, target, body, caller=caller, headers=named)
        if method != "GET":
            self.runner.settle()
        return answer

    def hear(self) -> None:
        """Tell the notices that came since the last time; a reminder of the right rung makes Ada act."""
        inbox = self.stage.world.aws.inbox()
        for message in inbox[self.heard :]:
            at = datetime.fromisoformat(message["time"])
            self.console.print(f"[dim]{at:%Y-%m-%d %H:%M}[/]  {message['subject']}", highlight=False)
            self._act_on(message["attributes"])
        self.heard = len(inbox)

    def _act_on(self, attributes: dict[str, str]) -> None:
        if attributes.get("project_id") == self.asked_by_people and attributes.get("rung") == _REQUESTS_AT:
            self.request(self.asked_by_people)

    def request(self, project_id: str) -> None:
        """Ada requests a rotation."""
        self.requests += 1
        target = f"/v1/projects/{project_id}/rotations"
        answer = self.ask(0, "POST", target, {"reason": "before it is due"}, idempotency_key=f"ada-{self.requests}")
        said = "accepted" if answer.status == _ACCEPTED else f"refused: {answer.json()['detail']}"
        self.say(f"[bold]Ada requests a rotation[/]: {said}")

    def tidy(self) -> None:
        """Ada requests the deletion of every key that is free, Grace approves."""
        for key in self.keys():
            if key["safe_to_delete"] and key["key_id"] not in self.asked_for:
                self._delete(key["key_id"])

    def _delete(self, key_id: str) -> None:
        self.asked_for.add(key_id)
        asked = self.ask(0, "POST", f"/v1/keys/{key_id}/deletion", {"reason": "nothing needs it"})
        if asked.status != _ACCEPTED:
            self.say(f"Ada requests the deletion of {key_id}: refused: {asked.json()['detail']}")
            return
        deletion = asked.json()
        self.given_up += 1
        target = f"/v1/deletions/{deletion['deletion_id']}/approval"
        approved = self.ask(1, "POST", target, {"digest": deletion["digest"]})
        self.say(f"[bold]Ada requests the deletion of {key_id}, Grace approves[/]: {approved.status}")

    def keys(self) -> list[dict[str, Any]]:
        """Every key, as the API shows it."""
        return self._all("/v1/keys")

    def projects(self) -> list[dict[str, Any]]:
        """Every project, as the API shows it."""
        return self._all("/v1/projects")

    def _all(self, target: str) -> list[dict[str, Any]]:
        page = self.ask(0, "GET", target).json()
        items = list(page["items"])
        while page["next"] is not None:
            page = self.ask(0, "GET", f"{target}?cursor={page['next']}").json()
            items += page["items"]
        return items


def tell(*, quiet: bool, as_json: bool) -> int:
    """Tell the story on stdout; gives 0 when every promise was kept, else 1."""
    console = Console(quiet=quiet or as_json, soft_wrap=True)
    with _silence(), stage() as set_up:
        gc.freeze()  # what the libraries hold never dies: looking through it again and again takes time only
        story = _begin(set_up, console)
        _live(story)
        outcome = _prove(story)
        keys = story.keys()
        console.print(_table(keys, outcome))
    if as_json:
        print(json.dumps({"ok": not outcome["broken"], **outcome, "keys": keys}, indent=2))
    else:
        print(_verdict(outcome))
    return 1 if outcome["broken"] else 0


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the functions' own log lines out of the story; what fails in them is in its outcome."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _begin(set_up: Stage, console: Console) -> Story:
    atlas, begin = set_up.atlas, set_up.world.clock.now() + timedelta(days=90)
    set_up.let_atlas_live(begin - timedelta(days=89, hours=18))
    payments = set_up.add_project("payments")
    atlas.add_cluster(payments, "ledger", policies=SOON_GONE)
    set_up.let_atlas_live(begin - timedelta(days=60))
    analytics, orders = set_up.add_project("analytics"), set_up.add_project("orders")
    atlas.add_cluster(analytics, "events", kind="SHARDED", point_in_time_days=7, policies=SOON_GONE)
    atlas.add_cluster(analytics, "legacy", policies=SOON_GONE)
    atlas.add_cluster(orders, "shop", policies=SOON_GONE)
    playground = set_up.add_project("playground")
    atlas.add_cluster(playground, "toys", tier="M0")
    set_up.let_atlas_live(begin - timedelta(days=5))
    atlas.delete_cluster(analytics, "legacy", retain_backups=True)
    set_up.let_atlas_live(begin)
    runner, api = set_up.install()
    story = Story(stage=set_up, runner=runner, api=api, console=console, asked_by_people=orders)
    runner.run_until(begin)
    story.say("[bold]Keyturn is installed[/] and sees its four projects")
    for project_id, foreign in ((payments, True), (analytics, False)):
        body = {"mode": "rotate", "delete_foreign_keys": foreign}
        story.ask(0, "PATCH", f"/v1/projects/{project_id}/policy", body)
    story.request(playground)
    story.request(orders)
    return story


def _live(story: Story) -> None:
    begin = story.stage.world.clock.now()
    bar = Progress(console=Console(stderr=True, quiet=story.console.quiet), transient=True)
    with bar:
        task: TaskID = bar.add_task("nine months", total=DAYS)
        for day in range(1, DAYS + 1):
            story.runner.run_until(begin + timedelta(days=day))
            story.hear()
            if day % _WEEK == 0:
                story.tidy()
            bar.advance(task)
    story.runner.run_until(story.stage.world.clock.now() + _LAST_SNAPSHOTS)
    story.hear()


def _prove(story: Story) -> dict[str, Any]:
    """Restore every snapshot, try every current key; what did not work is under `broken`."""
    restored, broken = 0, list(story.runner.failures)
    for snapshot in story.stage.atlas.every_snapshot():
        try:
            story.stage.atlas.restore(snapshot.snapshot_id)
            restored += 1
        except CannotRestore as problem:
            broken.append(f"snapshot {snapshot.snapshot_id} of {snapshot.cluster}: {problem}")
    projects = story.projects()
    broken += _broken_keys(story, projects)
    rotations = [one for project in projects for one in _rotations(story, project["project_id"])]
    deployed = sum(one["state"] == "deployed" for one in rotations)
    broken += [] if deployed else ["no rotation came to its end"]
    return {
        "now": story.stage.world.clock.now().isoformat(),
        "restored": restored,
        "rotations_deployed": deployed,
        "deletions_requested": story.given_up,
        "notices": story.heard,
        "broken": broken,
    }


def _rotations(story: Story, project_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = story.ask(0, "GET", f"/v1/projects/{project_id}/rotations").json()["items"]
    return found


def _broken_keys(story: Story, projects: Iterable[dict[str, Any]]) -> list[str]:
    kms, broken = story.stage.world.aws.client("kms"), []
    for project in projects:
        state = kms.describe_key(KeyId=project["key"])["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            broken.append(f"{project['name']}: its current key is {state}")
        if not story.stage.atlas.projects[project["project_id"]].valid():
            broken.append(f"{project['name']}: Atlas cannot use its current key")
    return broken


def _table(keys: Iterable[dict[str, Any]], outcome: dict[str, Any]) -> Table:
    table = Table("key", "state", "free", "why it is kept", title=f"Every key on {outcome['now'][:10]}")
    for key in keys:
        why = "; ".join(sorted({reason["text"] for reason in key["reasons"]}))
        table.add_row(key["key_id"], key["state"], "yes" if key["safe_to_delete"] else "no", why)
    return table


def _verdict(outcome: dict[str, Any]) -> str:
    told = (
        f"{outcome['rotations_deployed']} rotations deployed, {outcome['notices']} notices, "
        f"{outcome['deletions_requested']} keys given up, {outcome['restored']} snapshots restored"
    )
    broken = "".join(f"\n  {line}" for line in outcome["broken"])
    return f"{told}: every promise kept" if not broken else f"{told}\nBROKEN:{broken}"
