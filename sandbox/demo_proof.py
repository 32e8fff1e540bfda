"""The proof at the end of the story: every snapshot was restored all along, every current key is tried."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table

from sandbox.demo_story import PAUSED_UNTIL, Story
from sandbox.timeline import owner_of

Outcome = dict[str, Any]

FREE_WITHIN, DELETED_WITHIN = 98, 150
"""The days within which a first old key is found free, and gone for good."""


def prove(story: Story, days: int) -> Outcome:
    """Restore every snapshot, try every current key; what did not work is under `broken`."""
    projects = story.projects()
    restored = story.restore_all()
    rotations = [one for project in projects for one in story.rotations(project["project_id"])]
    deployed = sum(one["state"] == "deployed" for one in rotations)
    broken = [*story.runner.failures, *story.lost.values(), *_broken_keys(story, projects)]
    broken += [] if deployed else ["no rotation came to its end"]
    broken += _unfinished(story, days, restored)
    return {
        "now": story.now.isoformat(),
        "days": days,
        "restored": restored,
        "rotations_deployed": deployed,
        "deletions_requested": story.given_up,
        "notices": story.timeline.heard,
        "broken": broken,
    }


def _unfinished(story: Story, days: int, restored: int) -> Iterator[str]:
    """What a story of so many days must have come to, lest it end well because nothing happened in it."""
    keys = story.keys()
    states = {key["state"] for key in keys}
    if not restored:
        yield "there was no snapshot to restore"
    if days > PAUSED_UNTIL and not story.slept:
        yield "no old key was held by the sleeping cluster"
    if days >= FREE_WITHIN and not story.given_up:
        yield "no old key became free"
    if days >= DELETED_WITHIN and "deleted" not in states:
        yield "no old key was deleted"


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
