"""Sweeps one key: gathers all evidence, gives the verdict, keeps the proof, tells when a key comes free."""

import logging
from dataclasses import replace
from datetime import datetime

from chalicelib.domain.alarm import probe
from chalicelib.domain.approval import open_compensation
from chalicelib.domain.arn import KeyArn, parse_key_arn
from chalicelib.domain.evidence import Evidence
from chalicelib.domain.proof import document
from chalicelib.domain.records import AuditEntry, Change, Deletion, Key, Notice
from chalicelib.domain.retention import judge, never_served
from chalicelib.domain.vocabulary import KeyState
from chalicelib.domain.wording import key_is_needed_again, key_is_safe
from chalicelib.usecases.gathering import gather_evidence
from chalicelib.usecases.ports import Conflict, Outside

_log = logging.getLogger(__name__)


def sweep_woken(outside: Outside, message: dict[str, str]) -> None:
    """Sweep the key that a queue message names."""
    arn = parse_key_arn(message["key"])
    if arn is not None:
        sweep_key(outside, arn)


def sweep_key(outside: Outside, arn: KeyArn) -> Key | None:
    """Give a fresh verdict on one key; a key that is gone, in use, or being deleted is left to others."""
    key = outside.tracker.key(arn)
    if key is None or key.deletion_id is not None or key.state.in_use or key.state is KeyState.DELETED:
        return key
    now = outside.now()
    evidence = gather_evidence(outside, key, now)
    judged = judge(evidence)
    proof = document(evidence, judged.reasons) if not judged.reasons else None
    if proof is not None:
        judged = _with_proof(judged, proof.digest)
    compensation = open_compensation(judged, now)
    if compensation is not None:
        judged = replace(judged, deletion_id=compensation.deletion_id, next_sweep_at=None)
    records = (judged, *(record for record in (proof, compensation) if record is not None))
    outside.tracker.commit(
        Change(records=records, notices=_news(key, judged), audit=_trail(compensation) if compensation else ())
    )
    _log.info("swept %s: %d reasons to keep it", arn, len(judged.reasons))
    _tell_what_is_invalid(outside, evidence, now)
    return judged


def _trail(compensation: Deletion) -> tuple[AuditEntry, ...]:
    entry = AuditEntry(
        at=compensation.requested_at,
        who=compensation.requested_by,
        what="unused key is taken back",
        subject=compensation.deletion_id,
        why=compensation.reason,
        after=compensation.state,
    )
    return (entry,)


def _tell_what_is_invalid(outside: Outside, evidence: Evidence, now: datetime) -> None:
    for seen in (one for one in evidence.projects if one.settings is not None and one.settings.found_invalid):
        project = outside.tracker.project(seen.project_id)
        alarm = probe(project, seen.settings, now) if project is not None else None
        if alarm is not None:
            try:
                outside.tracker.commit(Change(records=(alarm.project,), notices=(alarm.notice,)))
            except Conflict:
                _log.info("project %s was written by somebody else; the next look tells", seen.project_id)


def _with_proof(key: Key, digest: str) -> Key:
    return replace(key, proof_digest=digest, proof_at=key.swept_at)


def _news(before: Key, after: Key) -> tuple[Notice, ...]:
    if never_served(after):
        return ()  # what becomes of it is told by the deletion that takes it back
    if after.safe_since is not None and before.safe_since is None:
        return (key_is_safe(after),)
    if after.safe_since is None and before.safe_since is not None:
        return (key_is_needed_again(after),)
    return ()
