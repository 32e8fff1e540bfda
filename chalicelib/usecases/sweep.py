"""Sweeps one key: gathers all evidence, gives the verdict, keeps the proof, tells when a key comes free."""

import logging
from dataclasses import replace

from chalicelib.domain.arn import KeyArn, parse_key_arn
from chalicelib.domain.proof import document
from chalicelib.domain.records import Change, Key, KeyState, Notice
from chalicelib.domain.retention import judge
from chalicelib.domain.wording import key_is_needed_again, key_is_safe
from chalicelib.usecases.observe import gather_evidence
from chalicelib.usecases.ports import Outside

_log = logging.getLogger(__name__)


def sweep_woken(outside: Outside, message: dict[str, str]) -> None:
    """Sweep the key that a queue message names."""
    arn = parse_key_arn(message["key"])
    if arn is not None:
        sweep_key(outside, arn)


def sweep_key(outside: Outside, arn: KeyArn) -> Key | None:
    """Give a fresh verdict on one key; a key that is gone, in use, or being deleted is left to others."""
    key = outside.tracker.key(arn)
    if key is None or key.deletion_id is not None or key.state in _LEFT_ALONE:
        return key
    now = outside.now()
    evidence = gather_evidence(outside, key, now)
    judged = judge(evidence)
    records: list[Key] = []
    proof = document(evidence, judged.reasons) if not judged.reasons else None
    if proof is not None:
        judged = _with_proof(judged, proof.digest)
    records.append(judged)
    outside.tracker.commit(
        Change(records=(*records, *([proof] if proof is not None else [])), notices=_news(key, judged))
    )
    _log.info("swept %s: %d reasons to keep it", arn, len(judged.reasons))
    return judged


_LEFT_ALONE = {KeyState.CURRENT, KeyState.DEPLOYING, KeyState.DELETED}


def _with_proof(key: Key, digest: str) -> Key:
    return replace(key, proof_digest=digest, proof_at=key.swept_at)


def _news(before: Key, after: Key) -> tuple[Notice, ...]:
    if after.safe_since is not None and before.safe_since is None:
        return (key_is_safe(after),)
    if after.safe_since is None and before.safe_since is not None:
        return (key_is_needed_again(after),)
    return ()
