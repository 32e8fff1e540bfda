"""Takes what people decide about a key: to ask for its deletion, to approve it, to call it off, to vouch for it.

Nothing here touches KMS: it writes wishes, and `retire` carries them out after looking for itself.
"""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.approval import (
    approve,
    call_off,
    forget_deletion,
    give_back,
    open_deletion,
    require_a_name,
)
from chalicelib.domain.records import AuditEntry, Change, Deletion, Key
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import KeyState
from chalicelib.domain.wording_deletion import deletion_approved, deletion_ended, deletion_requested
from chalicelib.usecases.locate import deletion_named, key_named, projects_of
from chalicelib.usecases.ports import Outside

_SWEPT = frozenset({KeyState.RETIRING, KeyState.UNUSED})


def request_deletion(
    outside: Outside, key_id: str, *, account: str | None, region: str | None, requester: str, reason: str
) -> Deletion:
    """Ask for a key's deletion, bound to its present proof; raises Refusal with every reason against it."""
    key = key_named(outside, key_id, account=account, region=region)
    projects = projects_of(outside, key)
    now = outside.now()
    if key.deletion_id is not None and _is_over(outside, key.deletion_id) and key.state is not KeyState.DELETED:
        key = forget_deletion(key)
    deletion = open_deletion(key, projects, requester=requester, reason=reason, now=now)
    key = replace(key, deletion_id=deletion.deletion_id, next_sweep_at=None)
    outside.tracker.commit(
        Change(
            records=(deletion, key),
            notices=(deletion_requested(deletion, key, projects, now),),
            audit=(_audit(now, requester, "deletion requested", deletion, before="", why=reason),),
        )
    )
    return replace(deletion, version=deletion.version + 1)


def approve_deletion(outside: Outside, deletion_id: str, *, digest: str, approver: str) -> Deletion:
    """Approve a requested deletion by its proof's digest, once, by another principal; else raises Refusal."""
    before = deletion_named(outside, deletion_id)
    now = outside.now()
    key = outside.tracker.key(before.arn)
    approved = approve(before, key, digest=digest, approver=approver, now=now)
    if key is None or outside.tracker.proof(before.arn, before.digest) is None:
        raise Refusal(No.CONFLICT, "the proof that the deletion is bound to is gone: call it off and request anew")
    outside.tracker.commit(
        Change(
            records=(approved, key),  # the key is written unchanged: nobody may change its verdict meanwhile
            notices=(deletion_approved(approved, key, projects_of(outside, key), now),),
            audit=(_audit(now, approver, "deletion approved", approved, before=before.state, why=digest),),
        )
    )
    return replace(approved, version=approved.version + 1)


def call_off_deletion(outside: Outside, deletion_id: str, *, who: str) -> Deletion:
    """Call a deletion off; from quarantine on, the key comes back at retire's next look, which is due at once."""
    before = deletion_named(outside, deletion_id)
    now = outside.now()
    after = call_off(before, who=who, now=now)
    key = outside.tracker.key(before.arn)
    over = after.state.terminal
    outside.tracker.commit(
        Change(
            records=(after, *((give_back(key, now),) if over and key is not None else ())),
            notices=(deletion_ended(after, key, projects_of(outside, key), now),) if over and key is not None else (),
            audit=(_audit(now, who, "deletion called off", after, before=before.state),),
        )
    )
    return replace(after, version=after.version + 1)


def attest(outside: Outside, key_id: str, *, account: str | None, region: str | None, who: str, statement: str) -> Key:
    """Record that a person vouches for what no API shows; the key is swept again soon."""
    require_a_name(who)
    key = key_named(outside, key_id, account=account, region=region)
    if not statement.strip():
        raise Refusal(No.INVALID, "the statement is empty: say what was looked at and found")
    if key.state.in_use or key.state is KeyState.DELETED:
        raise Refusal(No.CONFLICT, f"{key.arn} is {key.state}: only a key that is not in use can be vouched for")
    now = outside.now()
    swept = key.state in _SWEPT and key.deletion_id is None
    vouched = replace(
        key,
        attested_at=now,
        attested_by=who,
        attestation=statement,
        next_sweep_at=now if swept else key.next_sweep_at,
    )
    entry = AuditEntry(at=now, who=who, what="key attested", subject=key.arn.key_id, why=statement)
    outside.tracker.commit(Change(records=(vouched,), audit=(entry,)))
    return replace(vouched, version=vouched.version + 1)


def _is_over(outside: Outside, deletion_id: str) -> bool:
    deletion = outside.tracker.deletion(deletion_id)
    return deletion is not None and deletion.state.terminal


def _audit(now: datetime, who: str, what: str, deletion: Deletion, *, before: str, why: str = "") -> AuditEntry:
    return AuditEntry(
        at=now, who=who, what=what, subject=deletion.deletion_id, why=why, before=before, after=deletion.state
    )
