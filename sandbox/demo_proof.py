"""The proof at the end of the story: every snapshot is restored, every current key is tried."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table

from sandbox.atlas import CannotRestore
from sandbox.demo_story import PAUSED_UNTIL, Story
from sandbox.timeline import owner_of

Outcome = dict[str, Any]


def prove(story: Story, days: int) -> Outcome:
    """Restore every snapshot, try every current key; what did not work is under `broken`."""
    projects = story.projects()
    restored, lost = _restore_all(story)
    rotations = [one for project in projects for one in story.rotations(project["project_id"])]
    deployed = sum(one["state"] == "deployed" for one in rotations)
    broken = [*story.runner.failures, *lost, *_broken_keys(story, projects)]
    broken += [] if deployed else ["no rotation came to its end"]
    broken += ["no old key was held by the sleeping cluster"] if days > PAUSED_UNTIL and not story.slept else []
    return {
        "now": story.now.isoformat(),
        "days": days,
        "restored": restored,
        "rotations_deployed": deployed,
        "deletions_requested": story.given_up,
        "notices": story.timeline.heard,
        "broken": broken,
    }


def _restore_all(story: Story) -> tuple[int, list[str]]:
    restored, lost = 0, []
    for snapshot in story.stage.atlas.every_snapshot():
        try:
            story.stage.atlas.restore(snapshot.snapshot_id)
            restored += 1
        except CannotRestore as problem:
            lost.append(f"snapshot {snapshot.snapshot_id} of {snapshot.cluster} cannot be restored: {problem}")
    return restored, lost


def _broken_keys(story: Story, projects: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    kms = story.stage.world.aws.client("kms")
    for project in (project for project in projects if project["key"] is not None):
        state = kms.describe_key(KeyId=project["key"])["KeyMetadata"]["KeyState"]
        if state != "Enabled":
            yield f"{project['name']}: its current key is {state}"
        if not story.stage.atlas.projects[project["project_id"]].valid():
            yield f"{project['name']}: Atlas cannot use its current key"


def table_of(keys: Iterable[Mapping[str, Any]], names: Mapping[str, str], outcome: Outcome) -> Table:
    """Every key, and why it is kept."""
    table = Table("key", "of", "state", "free", "why it is kept", title=f"Every key on {outcome['now'][:10]}")
    for key in sorted(keys, key=lambda key: (owner_of(key, names), key["replaced_at"] or "9")):
        why = "; ".join(sorted({reason["text"] for reason in key["reasons"]}))
        free = "yes" if key["safe_to_delete"] else "no"
        table.add_row(key["key_id"], owner_of(key, names), key["state"], free, why)
    return table


def verdict_of(outcome: Outcome) -> str:
    """One line that says how it ended; what is broken stands below it."""
    told = (
        f"{outcome['rotations_deployed']} rotations deployed, {outcome['notices']} notices, "
        f"{outcome['deletions_requested']} keys given up, {outcome['restored']} snapshots restored"
    )
    broken = "".join(f"\n  {line}" for line in outcome["broken"])
    return f"{told}: every promise kept" if not broken else f"{told}\nBROKEN:{broken}"
