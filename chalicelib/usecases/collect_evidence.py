"""Collects the evidence about one project, or page by page about all, from the tracker: for an auditor."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.evidence_pack import Facts, check_period, compile_pack, summary_of
from chalicelib.domain.policies import FLEET
from chalicelib.domain.records import Deletion, Key, Project, Proof, Rotation
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.observe import all_of
from chalicelib.usecases.ports import Outside


def collect_evidence(
    outside: Outside, project_id: str, *, begin: datetime | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """The evidence pack of a project and period; raises Refusal for a project that nobody knows, or an empty period."""
    check_period(begin, end, outside.now())
    return _pack(outside, project_named(outside, project_id), begin, end)


def summarize_fleet(
    outside: Outside, cursor: str | None, limit: int, *, begin: datetime | None = None, end: datetime | None = None
) -> dict[str, Any]:
    """What the packs of the fleet come to, page by page; raises Refusal for an empty period."""
    check_period(begin, end, outside.now())
    page = outside.tracker.projects(cursor, limit)
    items = [summary_of(_pack(outside, project, begin, end)) for project in page.items]
    return {"items": items, "next": page.next}


def _pack(outside: Outside, project: Project, begin: datetime | None, end: datetime | None) -> dict[str, Any]:
    keys = outside.tracker.keys_of(project.project_id)
    rotations = tuple(all_of(partial(outside.tracker.rotations, project.project_id)))
    deletions = tuple(_deletions(outside, keys))
    subjects = [project.project_id, FLEET, *(key.arn.key_id for key in keys), *(d.deletion_id for d in deletions)]
    facts = Facts(
        project=project,
        rotations=rotations,
        keys=keys,
        deletions=deletions,
        trails=tuple(outside.tracker.trail(subject) for subject in dict.fromkeys(subjects)),
        proofs=tuple(_proofs(outside, keys, rotations, deletions)),
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


def _proofs(
    outside: Outside, keys: Iterable[Key], rotations: Iterable[Rotation], deletions: Iterable[Deletion]
) -> Iterator[Proof]:
    """Every stored document whose digest the pack names."""
    named: list[tuple[KeyArn, str | None]] = [(key.arn, key.proof_digest) for key in keys]
    named += [(deletion.arn, deletion.digest) for deletion in deletions]
    named += [(rotation.old_key, rotation.still_readable) for rotation in rotations]
    for arn, digest in dict.fromkeys(named):
        proof = outside.tracker.proof(arn, digest) if digest is not None else None
        if proof is not None:
            yield proof
