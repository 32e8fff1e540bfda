"""What people read while a key is deleted or rescued: what, which key, since when, what to do.

The id of a notice is made from what it is about, so that saying the same thing twice is impossible.
"""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.domain.counting import counted
from chalicelib.domain.guarding import DISABLE, NOBODY_KNOWN, SCHEDULE, KeyCall
from chalicelib.domain.records import Deletion, Harm, Key, Notice, Project, Reason
from chalicelib.domain.retirement import quarantine_ends, went_by_another_hand
from chalicelib.domain.vocabulary import DeletionState, NoticeKind
from chalicelib.domain.wording import day, notice_id, subject_line


def _approver(deletion: Deletion) -> str:
    nobody = "nobody: the key was made by Keyturn and never served" if deletion.compensation else "nobody"
    return deletion.approved_by or nobody


def deletion_requested(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """Somebody asks to delete a key, and another person must approve."""
    return _about_deletion(
        NoticeKind.DELETION_REQUESTED,
        deletion,
        key,
        projects,
        now,
        headline=f"deletion of key {key.arn.key_id} has been requested",
        body=f"Requested by: {deletion.requested_by}\nReason: {deletion.reason or 'none given'}\n"
        f"Safe since: {day(key.safe_since)}\nProof: {deletion.digest}\n\n"
        f"What to do: read the proof; another person than the requester approves it with"
        f" POST /v1/deletions/{deletion.deletion_id}/approval before {_minute(deletion.expires_at)},"
        f" or calls it off with DELETE /v1/deletions/{deletion.deletion_id}.",
    )


def deletion_approved(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """Another person agrees: the key goes into quarantine after one more proof."""
    return _about_deletion(
        NoticeKind.DELETION_APPROVED,
        deletion,
        key,
        projects,
        now,
        headline=f"deletion of key {key.arn.key_id} has been approved",
        body=f"Requested by: {deletion.requested_by}\nApproved by: {_approver(deletion)}\n"
        f"Next: a fresh look at everything; if nothing needs the key it is disabled for"
        f" {counted(deletion.quarantine_days, 'day')}.\n\n{_undo(deletion)}",
    )


def key_quarantined(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """The key is disabled, which can be undone, to see whether anything misses it."""
    return _about_deletion(
        NoticeKind.KEY_QUARANTINED,
        deletion,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is disabled, in quarantine",
        body=f"Disabled since: {_minute(deletion.quarantined_at)}, until {_minute(quarantine_ends(deletion))}.\n"
        f"Then its deletion is scheduled, {_WINDOW} ahead, if still nothing needs it.\n\n{_undo(deletion)}",
    )


def deletion_scheduled(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """KMS will delete the key on a date, and until then it can be brought back."""
    return _about_deletion(
        NoticeKind.DELETION_SCHEDULED,
        deletion,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} will be deleted on {day(deletion.deletion_date)}",
        body=f"KMS deletes it for good on {_minute(deletion.deletion_date)}.\n"
        f"Requested by: {deletion.requested_by}\nApproved by: {_approver(deletion)}\n\n{_undo(deletion)}",
    )


def key_deleted(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """The key is gone: on its day, or by another hand before it."""
    past_us = went_by_another_hand(deletion, now)
    how = (
        "somebody else deleted it, past Keyturn, before Keyturn would have had it deleted."
        if past_us
        else f"its deletion was scheduled for {day(deletion.deletion_date)}."
    )
    late = f"The deletion was called off by {deletion.called_off_by}: too late.\n" if deletion.called_off_by else ""
    to_do = "see in CloudTrail who called ScheduleKeyDeletion, and ask why" if past_us else "nothing"
    return _about_deletion(
        NoticeKind.KEY_DELETED,
        deletion,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is deleted",
        body=f"KMS does not know it any more; {how}\n{late}"
        f"Requested by: {deletion.requested_by}\nApproved by: {_approver(deletion)}\nProof: {deletion.digest}\n\n"
        f"What to do: {to_do}; the evidence stays.",
        escalate=past_us,
    )


def deletion_ended(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """A deletion was called off, or nobody approved it in time."""
    expired = deletion.state is DeletionState.EXPIRED
    how = "has expired" if expired else "has been called off"
    why = f"Nobody approved it before {_minute(deletion.expires_at)}." if expired else f"By: {deletion.called_off_by}"
    return _about_deletion(
        NoticeKind.DELETION_ENDED,
        deletion,
        key,
        projects,
        now,
        headline=f"deletion of key {key.arn.key_id} {how}",
        body=f"{why}\nThe key is enabled as before and is watched again.\n\n"
        f"What to do: nothing, or request it anew with POST /v1/keys/{key.arn.key_id}/deletion.",
    )


def key_rescued(
    deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime, *, was_disabled: bool
) -> Notice:
    """Something needs the key after all: it was brought back, or never disabled."""
    kept = "was brought back and enabled" if was_disabled else "is kept; it had not been disabled"
    return _about_deletion(
        NoticeKind.KEY_RESCUED,
        deletion,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is needed and {kept}",
        body=f"Its deletion (requested by {deletion.requested_by}) ended on {_minute(now)} because:\n"
        f"{_list(key.reasons)}\n\nWhat to do: do not delete this key; you will be told when it is free.",
        escalate=True,
    )


def rescue_stuck(deletion: Deletion, key: Key, projects: tuple[Project, ...], now: datetime, *, why: str) -> Notice:
    """The key must come back and KMS does not let us: a person has to act."""
    return _about_deletion(
        NoticeKind.KEY_NEEDED_AGAIN,
        deletion,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} must come back and could not be enabled",
        body=f"Why: {why}\nDeletion date: {day(deletion.deletion_date)}\n\n"
        f"What to do: cancel its deletion and enable {key.arn} in KMS by hand, now. Keyturn tries again hourly.",
        escalate=True,
    )


def key_brought_back(call: KeyCall, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """Somebody disabled or scheduled a needed key, and the guard undid it."""
    return _about_call(
        NoticeKind.KEY_RESCUED,
        call,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is needed: {call.operation} was undone",
        what_to_do="nothing to mend; ask the caller why. The key is enabled.",
    )


def call_not_undone(call: KeyCall, key: Key, projects: tuple[Project, ...], now: datetime, *, why: str) -> Notice:
    """Somebody disabled or scheduled a needed key, and KMS does not let the guard undo it."""
    return _about_call(
        NoticeKind.KEY_NEEDED_AGAIN,
        call,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is needed: {call.operation} could not be undone",
        what_to_do=f"cancel its deletion and enable it in KMS by hand, now. Keyturn could not: {why}",
    )


def call_told(call: KeyCall, key: Key, projects: tuple[Project, ...], now: datetime) -> Notice:
    """Somebody touched a needed key, and the guard only tells."""
    return _about_call(
        NoticeKind.DRIFT,
        call,
        key,
        projects,
        now,
        headline=f"key {key.arn.key_id} is needed: somebody called {call.operation}",
        what_to_do="undo it if it was not meant. Keyturn has changed nothing.",
    )


def kind_of_harm(harm: Harm) -> str:
    """The kind of the warning about a harmed key, for programs."""
    return {SCHEDULE: "deletion_scheduled_outside", DISABLE: "disabled_outside"}.get(harm.operation, "deleted_outside")


def harm_told(harm: Harm) -> str:
    """What was done to a key outside Keyturn, by whom, and what undoes it."""
    by = "" if harm.actor == NOBODY_KNOWN else f" by {harm.actor}"
    if harm.operation == SCHEDULE:
        return (
            f"KMS deletes it on {day(harm.deletion_date)}: that was scheduled outside Keyturn{by}, and not undone. To"
            " keep it, cancel its deletion and enable it in KMS"
        )
    if harm.operation == DISABLE:
        return (
            f"it is disabled, since {day(harm.seen_at)} or before: that was done outside Keyturn{by}, and not undone."
            " To use it, enable it in KMS"
        )
    return f"KMS does not know it any more, seen on {day(harm.seen_at)}: what it opened is lost"


_WINDOW = "30 days"


def _about_deletion(  # noqa: PLR0913 - what, about what, for whom, when; and the two texts
    kind: NoticeKind,
    deletion: Deletion,
    key: Key,
    projects: tuple[Project, ...],
    now: datetime,
    *,
    headline: str,
    body: str,
    escalate: bool = False,
) -> Notice:
    return Notice(
        notice_id=notice_id(kind, deletion.deletion_id, deletion.state),
        kind=kind,
        subject=subject_line(f"Keyturn: {headline}"),
        text=f"{headline[0].upper()}{headline[1:]}.\nKey: {key.arn}\n{_projects(key, projects)}\n{body}",
        created_at=now,
        project_id=_only(key.projects),
        key_id=key.arn.key_id,
        recipients=_recipients(projects),
        escalate=escalate,
        detail={
            "deletion_id": deletion.deletion_id,
            "state": deletion.state,
            "key": str(key.arn),
            "digest": deletion.digest,
            "deletion_date": deletion.deletion_date.isoformat() if deletion.deletion_date is not None else "",
        },
    )


def _about_call(  # noqa: PLR0913 - what, about what, for whom, when; and the two texts
    kind: NoticeKind,
    call: KeyCall,
    key: Key,
    projects: tuple[Project, ...],
    now: datetime,
    *,
    headline: str,
    what_to_do: str,
) -> Notice:
    snapshots = sum(cluster.snapshots for cluster in key.clusters)
    last = max((c.last_expiry for c in key.clusters if c.last_expiry is not None), default=None)
    return Notice(
        notice_id=notice_id(kind, call.event_id, key.arn),
        kind=kind,
        subject=subject_line(f"Keyturn: {headline}"),
        text=(
            f"{headline[0].upper()}{headline[1:]}.\nKey: {key.arn} ({key.state})\n{_projects(key, projects)}\n"
            f"Called by: {call.actor}\nAccount: {call.account}\nAt: {_minute(call.at or now)}\n"
            f"Snapshots that need it: {snapshots}; the last expires {day(last) if last else 'at no known date'}\n"
            f"{_list(key.reasons)}\n\nWhat to do: {what_to_do}"
        ),
        created_at=now,
        project_id=_only(key.projects),
        key_id=key.arn.key_id,
        recipients=_recipients(projects),
        escalate=True,
        detail={
            "operation": call.operation,
            "actor": call.actor,
            "account": call.account,
            "event_id": call.event_id,
            "key": str(key.arn),
            "projects": ",".join(key.projects),
            "snapshots": str(snapshots),
            "last_expiry": last.isoformat() if last is not None else "",
        },
    )


def _undo(deletion: Deletion) -> str:
    return (
        "What to do: nothing, if this is wanted. To bring the key back:"
        f" DELETE /v1/deletions/{deletion.deletion_id}, until the last day."
    )


def _projects(key: Key, projects: tuple[Project, ...]) -> str:
    names = {p.project_id: f"{p.name} ({p.project_id})" for p in projects}
    return f"Projects: {', '.join(names.get(i, i) for i in key.projects) or 'none known'}"


def _only(projects: tuple[str, ...]) -> str | None:
    return projects[0] if len(projects) == 1 else None


def _recipients(projects: Iterable[Project]) -> tuple[str, ...]:
    return tuple(sorted({recipient for p in projects for recipient in p.policy.recipients}))


def _list(reasons: Iterable[Reason]) -> str:
    return "\n".join(f"- {reason.text}" for reason in reasons) or "- it is in use"


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else "an unknown moment"
