"""The turns in a key's life that forget every earlier verdict: it is wanted again, taken up, or replaced.

A verdict on a key that was in use meanwhile is worth nothing: kept, it could call a key safe that is not.
"""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.records import Key
from chalicelib.domain.remembered import forget_counts
from chalicelib.domain.vocabulary import KeyState


def be_wanted(key: Key, project_id: str) -> Key:
    """The record of a key that a rotation is on its way to: whoever uses it now goes on using it."""
    return replace(_without_verdict(key), projects=tuple(sorted({*key.projects, project_id})))


def take_up(key: Key, project_id: str, state: KeyState) -> Key:
    """The record of a key that a project is about to use, or uses from now on."""
    return replace(
        be_wanted(key, project_id),
        state=state,
        replaced_at=None,
        deployed_at=None,
        settled_since=None,
        paused_clusters=(),
    )


def be_named_by_backups(key: Key, project_id: str, now: datetime) -> Key:
    """The record of a key that a project was not known to have used: whoever retires it hears of the project now."""
    wanted = be_wanted(key, project_id)
    sweeps = key.state in {KeyState.RETIRING, KeyState.UNUSED} and key.deletion_id is None
    return replace(wanted, next_sweep_at=now) if sweeps else wanted


def be_replaced(key: Key, now: datetime) -> Key:
    """The record of a key that the settings stopped naming just now."""
    return replace(
        _without_verdict(key),
        state=KeyState.RETIRING,
        replaced_at=now,
        deployed_at=None,
        settled_since=None,
        paused_clusters=(),
    )


def _without_verdict(key: Key) -> Key:
    return replace(
        key,
        reasons=(),
        clusters=forget_counts(key.clusters),
        swept_at=None,
        clean_since=None,
        safe_since=None,
        proof_digest=None,
        proof_at=None,
        attested_at=None,
        attested_by=None,
        attestation="",
        next_sweep_at=None,
    )
