"""Collects the evidence about one project from the tracker: for an auditor, in one file."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from chalicelib.domain.evidence_pack import Facts, compile_pack
from chalicelib.domain.records import Deletion, Key
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside


def collect_evidence(
    outside: Outside, project_id: str, *, begin: datetime | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """The evidence pack of a project and period; raises Refusal for a project that nobody knows."""
    project = project_named(outside, project_id)
    keys = outside.tracker.keys_of(project_id)
    deletions = tuple(_deletions(outside, keys))
    subjects = [project_id, *(key.arn.key_id for key in keys), *(deletion.deletion_id for deletion in deletions)]
    entries = [entry for subject in subjects for entry in outside.tracker.trail(subject).entries]
    facts = Facts(
        project=project,
        rotations=tuple(all_of(partial(outside.tracker.rotations, project_id))),
        keys=keys,
        deletions=deletions,
        trail=tuple(sorted(entries, key=lambda entry: entry.at)),
        begin=begin,
        end=end,
        now=outside.now(),
    )
    return compile_pack(facts)


def _deletions(outside: Outside, keys: tuple[Key, ...]) -> Iterator[Deletion]:
    for key in keys:
        for name in (*key.past_deletions, key.deletion_id):
            deletion = outside.tracker.deletion(name) if name is not None else None
            if deletion is not None:
                yield deletion
