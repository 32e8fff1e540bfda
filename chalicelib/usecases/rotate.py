"""Rotates: takes one step of one rotation per wake-up, from what is true now.

Each step observes, lets the domain decide, acts, and records; then it asks to be woken again. A lost or doubled
wake-up does no harm: the step is found from the rotation's state, and every act begins by asking whether it is
already so.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import TypeVar

from chalicelib.domain.arn import KeyArn, locate_key
from chalicelib.domain.deployment import LOOK_EVERY, judge_deployment
from chalicelib.domain.key_life import be_replaced, be_wanted, take_up
from chalicelib.domain.key_policy import UnreadablePolicy, compose_policy, condition_for
from chalicelib.domain.observed import KeyDescription, NewKey, Settings
from chalicelib.domain.preflight import PreflightFacts, problem_of, run_checks
from chalicelib.domain.records import (
    AuditEntry,
    Change,
    Key,
    KeyState,
    Notice,
    NoticeKind,
    Problem,
    Project,
    Record,
    Rotation,
    RotationState,
)
from chalicelib.domain.reminders import next_reminder_at
from chalicelib.domain.rotation import (
    INCONSISTENT_FOR,
    LEASE,
    NOT_YET,
    Event,
    Swap,
    backoff,
    decide_swap,
    names,
    next_state,
)
from chalicelib.domain.wording import rotation_news
from chalicelib.usecases.locate import keys_for
from chalicelib.usecases.observe import live_clusters, principal_of
from chalicelib.usecases.ports import Conflict, Outside, OutsideError, PermanentError, TemporaryError

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
AT_ONCE = timedelta(0)
QUEUE_REACHES = timedelta(seconds=900)
"""The longest delay of an SQS message; what is due later is woken by `track` from the time index."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One step's place: the outside, the rotation and project as read, and the moment of the wake-up."""

    outside: Outside
    project: Project
    rotation: Rotation
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a step has come to: the rotation as it is now, what else changed, and when to look again."""

    rotation: Rotation
    event: Event | None = None
    others: tuple[Record, ...] = ()
    look_again: timedelta = AT_ONCE
    news: tuple[NoticeKind, ...] = ()


def advance_woken(outside: Outside, message: dict[str, str]) -> None:
    """Take the step that a queue message asks for; it carries ids, never a decision."""
    advance_rotation(outside, message["project_id"], message["rotation_id"])


def advance_rotation(outside: Outside, project_id: str, rotation_id: str) -> Rotation | None:
    """Take the next step of a rotation; one that is unknown, over, or in somebody else's hands is left alone."""
    now = outside.now()
    work = _claim(outside, project_id, rotation_id, now)
    if work is None:
        return None
    try:
        outcome = _cancel(work) or STEPS[work.rotation.state](work)
    except TemporaryError as problem:
        outcome = _wait_out(work, problem)
    except PermanentError as problem:
        outcome = _stop(work, problem)
    return _record(work, outcome)


def _claim(outside: Outside, project_id: str, rotation_id: str, now: datetime) -> Work | None:
    project = outside.tracker.project(project_id)
    rotation = outside.tracker.rotation(project_id, rotation_id)
    if project is None or rotation is None or rotation.state.terminal:
        return None
    if rotation.lease_until is not None and now < rotation.lease_until:
        return None
    if rotation.next_look_at is not None and now < rotation.next_look_at:
        return None  # a doubled wake-up: answering it would start a second chain of wake-ups
    leased = replace(rotation, lease_until=now + LEASE, next_look_at=now + LEASE)
    try:
        outside.tracker.commit(Change(records=(leased,)))
    except Conflict:
        return None
    return Work(outside=outside, project=project, rotation=replace(leased, version=rotation.version + 1), now=now)


def _cancel(work: Work) -> Outcome | None:
    rotation = work.rotation
    if rotation.cancel_requested_by is None or rotation.patch_sent_at is not None:
        return None
    if rotation.state is RotationState.DEPLOYING:
        return None
    return Outcome(
        rotation=rotation,
        event=Event.CANCELLED,
        others=_abandoned_key(work),
        news=(NoticeKind.ROTATION_CANCELLED,),
    )


def check_first(work: Work) -> Outcome:
    """Run the preflight: whatever is wrong is found before anything is changed."""
    facts = _gather_preflight(work)
    checks = run_checks(facts)
    rotation = replace(work.rotation, checks=checks, waiting_for=())
    problem = problem_of(checks)
    if problem is not None:
        return _refused(replace(work, rotation=rotation), problem)
    if facts.wanted is not None:
        rotation = replace(rotation, new_key=facts.wanted.arn)
    return Outcome(rotation=rotation, event=Event.PREFLIGHT_PASSED)


def _gather_preflight(work: Work) -> PreflightFacts:
    project, rotation = work.project, work.rotation
    atlas = work.outside.atlas(project.organization)
    settings = atlas.settings(project.project_id)
    keys = keys_for(work.outside, project, rotation.old_key.region)
    wanted, policy = _look_at_wanted(work)
    return PreflightFacts(
        rotation=rotation,
        settings=settings,
        clusters=live_clusters(atlas, project.project_id),
        principal=principal_of(atlas, project.project_id, settings)[1],
        current=_unless_forbidden(lambda: keys.describe(rotation.old_key)),
        wanted=wanted,
        wanted_policy=policy,
    )


def _look_at_wanted(work: Work) -> tuple[KeyDescription | None, str | None]:
    rotation = work.rotation
    if rotation.wanted_key is None:
        return None, None
    arn = locate_key(rotation.wanted_key, account=rotation.old_key.account, region=rotation.old_key.region)
    if arn is None:
        return None, None
    keys = keys_for(work.outside, work.project, arn.region)
    return keys.describe(arn), _unless_forbidden(lambda: keys.policy(arn))


def _unless_forbidden(call: Callable[[], Answer]) -> Answer | None:
    try:
        return call()
    except PermanentError:
        return None


def prepare_key(work: Work) -> Outcome:
    """Accept the brought key, find the key that an earlier attempt made, or make one."""
    rotation = work.rotation
    arn = rotation.new_key
    if arn is None:
        alias, arn = _ensure_key(work)
        rotation = replace(rotation, new_key=arn, created_by_us=True, alias=alias)
    return Outcome(
        rotation=replace(rotation, waiting_for=()),
        event=Event.KEY_READY,
        others=(_new_key_record(work, rotation, arn),),
    )


def _ensure_key(work: Work) -> tuple[str, KeyArn]:
    rotation, project = work.rotation, work.project
    keys = keys_for(work.outside, project, rotation.old_key.region)
    alias = f"alias/keyturn/{project.project_id}/{project.generation + 1}-{rotation.rotation_id}"
    arn = keys.find_by_alias(alias)
    if arn is None:
        arn = keys.find_by_rotation(rotation.rotation_id) or keys.create(_describe_new_key(work, alias))
    keys.name(arn, alias)
    keys.rotate_automatically(arn)
    return alias, arn


def _describe_new_key(work: Work, alias: str) -> NewKey:
    project, old = work.project, work.rotation.old_key
    atlas = work.outside.atlas(project.organization)
    _, principal = principal_of(atlas, project.project_id, atlas.settings(project.project_id))
    if principal is None:
        raise PermanentError(
            f"project {project.project_id} shows no authorized IAM role for its encryption",
            call="cloudProviderAccess",
            code="role_authorized",
        )
    keys = keys_for(work.outside, project, old.region)
    old_policy = _unless_forbidden(lambda: keys.policy(old))
    return NewKey(
        project_id=project.project_id,
        project_name=project.name,
        rotation_id=work.rotation.rotation_id,
        alias=alias,
        policy=compose_policy(keys.account, old.partition, principal, _carried(old_policy, principal)),
    )


def _carried(old_policy: str | None, principal: str) -> dict[str, object] | None:
    try:
        return condition_for(old_policy, principal) if old_policy is not None else None
    except UnreadablePolicy:
        return None


def _new_key_record(work: Work, rotation: Rotation, arn: KeyArn) -> Key:
    known = work.outside.tracker.key(arn)
    if known is None:
        known = Key(arn=arn, state=KeyState.UNUSED, projects=(), first_seen_at=work.now)
    if known.deletion_id is not None or known.state in {KeyState.PENDING_DELETION, KeyState.DELETED}:
        raise PermanentError(f"{arn} is on its way to deletion", call="tracker", code="key_in_deletion")
    return replace(
        be_wanted(known, work.project.project_id),
        created_by_us=known.created_by_us or rotation.created_by_us,
        rotation_id=rotation.rotation_id,
        alias=rotation.alias or known.alias,
    )


def swap_key(work: Work) -> Outcome:
    """Change the settings once; a step of its own then reads back, and only what it reads is believed."""
    atlas = work.outside.atlas(work.project.organization)
    settings = atlas.settings(work.project.project_id)
    decision = decide_swap(work.rotation, settings, work.now)
    if decision.swap is Swap.SEND:
        return Outcome(rotation=replace(_send(work, settings), waiting_for=("Atlas to show the new key",)))
    match decision.swap:
        case Swap.SEEN:
            return _swap_seen(work)
        case Swap.STOP if decision.problem is not None:
            return _refused(work, decision.problem)
        case _:
            rotation = replace(work.rotation, attempts=0, waiting_for=(decision.waiting_for,))
            return Outcome(rotation=rotation, look_again=timedelta(seconds=15))


def _send(work: Work, settings: Settings) -> Rotation:
    """Record that a change is on its way, then send it: a crash in between is found by looking, not guessed."""
    project, new_key = work.project, work.rotation.new_key
    role_id, _ = principal_of(work.outside.atlas(project.organization), project.project_id, settings)
    if new_key is None or role_id is None:
        raise PermanentError(
            f"project {project.project_id} shows no IAM role for its encryption", call="cloudProviderAccess"
        )
    marked = replace(work.rotation, patch_sent_at=work.now)
    work.outside.tracker.commit(
        Change(
            records=(marked,),
            audit=(_audit(work, "settings changed", before=str(marked.old_key), after=str(new_key)),),
        )
    )
    marked = replace(marked, version=marked.version + 1)
    try:
        work.outside.atlas_owner(project.organization).swap_key(
            project.project_id, new_key, settings=settings, role_id=role_id
        )
    except PermanentError as problem:
        raise _Refused(replace(marked, patch_sent_at=None), problem) from problem
    except TemporaryError as problem:
        if problem.code in NOT_YET and work.now < _asked_since(work) + INCONSISTENT_FOR:
            raise _NotYet(replace(marked, patch_sent_at=None), problem) from problem
        if problem.code in NOT_YET:
            raise _Refused(replace(marked, patch_sent_at=None), problem) from problem
        _log.warning("the answer to the change of settings is lost, looking: %s", problem.message)
    return marked


def _asked_since(work: Work) -> datetime:
    return work.rotation.first_refused_at or work.now


class _Refused(PermanentError):
    """Atlas refused the new key for good; the mark that a change is on its way is taken back."""

    def __init__(self, rotation: Rotation, problem: OutsideError) -> None:
        super().__init__(problem.message, call=problem.call, code=problem.code)
        self.rotation = rotation


class _NotYet(TemporaryError):
    """Atlas refused because IAM has not caught up yet."""

    def __init__(self, rotation: Rotation, problem: OutsideError) -> None:
        super().__init__(problem.message, call=problem.call, code=problem.code, retry_after=20)
        self.rotation = rotation


def _swap_seen(work: Work) -> Outcome:
    rotation = replace(work.rotation, swapped_at=work.now, settled_since=None, waiting_for=("all clusters at rest",))
    if rotation.new_key is None:
        raise PermanentError("the rotation has lost its new key", call="tracker", code="no_new_key")
    new = _new_key_record(work, rotation, rotation.new_key)
    old = work.outside.tracker.key(rotation.old_key) or Key(
        arn=rotation.old_key,
        state=KeyState.CURRENT,
        projects=(work.project.project_id,),
        first_seen_at=work.now,
    )
    return Outcome(
        rotation=rotation,
        event=Event.SWAP_SEEN,
        others=(
            take_up(new, work.project.project_id, KeyState.DEPLOYING),
            be_replaced(old, work.now),
        ),
        look_again=LOOK_EVERY,
        news=(NoticeKind.ROTATION_DEPLOYING,),
    )


def await_deployment(work: Work) -> Outcome:
    """Look whether the new key has reached every running cluster; then the rotation is done."""
    atlas = work.outside.atlas(work.project.organization)
    settings = atlas.settings(work.project.project_id)
    rotation = work.rotation
    if not names(settings, rotation.new_key) and not names(settings, rotation.old_key):
        return _refused(
            work, Problem(code="key_changed_by_hand", detail=f"the settings name {settings.key} during the deployment")
        )
    look = judge_deployment(
        settings_show_new_key=names(settings, rotation.new_key),
        settings=settings,
        clusters=live_clusters(atlas, work.project.project_id),
        settled_since=rotation.settled_since,
        now=work.now,
    )
    rotation = replace(
        rotation,
        attempts=0,
        settled_since=look.settled_since,
        waiting_for=look.waiting_for,
        paused_clusters=look.paused,
    )
    if not look.done:
        return Outcome(rotation=rotation, look_again=LOOK_EVERY)
    return _deployed(work, rotation)


def _deployed(work: Work, rotation: Rotation) -> Outcome:
    tracker = work.outside.tracker
    old = tracker.key(rotation.old_key)
    new = tracker.key(rotation.new_key) if rotation.new_key is not None else None
    paused = tuple(f"{work.project.project_id}/{name}" for name in rotation.paused_clusters)
    others: list[Record] = []
    if old is not None:
        others.append(
            replace(
                old,
                deployed_at=work.now,
                paused_clusters=tuple(sorted({*old.paused_clusters, *paused})),
                next_sweep_at=work.now,
            )
        )
    if new is not None:
        others.append(replace(new, state=KeyState.CURRENT))
    return Outcome(
        rotation=replace(rotation, deployed_at=work.now),
        event=Event.SETTLED,
        others=tuple(others),
        news=(NoticeKind.ROTATION_DEPLOYED,),
    )


STEPS: dict[RotationState, Callable[[Work], Outcome]] = {
    RotationState.REQUESTED: check_first,
    RotationState.PREPARING: prepare_key,
    RotationState.SWAPPING: swap_key,
    RotationState.DEPLOYING: await_deployment,
}


def _refused(work: Work, problem: Problem) -> Outcome:
    return Outcome(
        rotation=replace(work.rotation, error=problem, waiting_for=()),
        event=Event.REFUSED,
        others=_abandoned_key(work) + _key_left_behind(work),
        news=(NoticeKind.ROTATION_FAILED,),
    )


def _abandoned_key(work: Work) -> tuple[Record, ...]:
    """A key made for a rotation that ends before the swap is kept in sight, for a person to delete."""
    rotation = work.rotation
    if rotation.new_key is None or rotation.swapped_at is not None:
        return ()
    known = work.outside.tracker.key(rotation.new_key)
    if known is None or known.state not in {KeyState.UNUSED, KeyState.RETIRING}:
        return ()
    return (replace(known, next_sweep_at=work.now),)


def _key_left_behind(work: Work) -> tuple[Record, ...]:
    """The old key of a swap that a person undid or overtook is swept from now on, like any key replaced by hand."""
    old = work.outside.tracker.key(work.rotation.old_key) if work.rotation.swapped_at is not None else None
    return (replace(old, next_sweep_at=work.now),) if old is not None else ()


def _wait_out(work: Work, problem: TemporaryError) -> Outcome:
    rotation = problem.rotation if isinstance(problem, _NotYet) else work.rotation
    attempts = rotation.attempts + 1
    wait = timedelta(seconds=problem.retry_after) if problem.retry_after is not None else backoff(attempts)
    first = rotation.first_refused_at
    if isinstance(problem, _NotYet) and first is None:
        first = work.now
    return Outcome(
        rotation=replace(rotation, attempts=attempts, waiting_for=(problem.message,), first_refused_at=first),
        look_again=wait,
    )


def _stop(work: Work, problem: PermanentError) -> Outcome:
    """Before the swap the rotation fails, with the old key in place; once it may be on its way, it only waits."""
    rotation = problem.rotation if isinstance(problem, _Refused) else work.rotation
    if rotation.patch_sent_at is not None or rotation.swapped_at is not None:
        return Outcome(
            rotation=replace(rotation, attempts=rotation.attempts + 1, waiting_for=(problem.message,)),
            look_again=timedelta(hours=1),
            news=() if rotation.waiting_for == (problem.message,) else (NoticeKind.ROTATION_BLOCKED,),
        )
    work = replace(work, rotation=rotation)
    return _refused(work, Problem(code=problem.code or "refused", detail=problem.message))


def _record(work: Work, outcome: Outcome) -> Rotation:
    """Save the step with all it changed, then ask to be woken for the next."""
    rotation = outcome.rotation
    if outcome.event is not None:
        rotation = replace(rotation, state=next_state(rotation.state, outcome.event), attempts=0)
    over = rotation.state.terminal
    rotation = replace(
        rotation,
        lease_until=None,
        next_look_at=None if over else work.now + outcome.look_again,
        ended_at=work.now if over else None,
    )
    project = _project_after(work, rotation, outcome.event)
    work.outside.tracker.commit(
        Change(
            records=(rotation, *outcome.others, *([project] if project != work.project else [])),
            notices=_notices(work, project, rotation, outcome.news),
            audit=_trail(work, rotation, outcome.event),
        )
    )
    if not over and outcome.look_again <= QUEUE_REACHES:
        work.outside.messages.wake_rotation(
            rotation.project_id, rotation.rotation_id, delay_seconds=ceil(outcome.look_again.total_seconds())
        )
    return replace(rotation, version=rotation.version + 1)


def _project_after(work: Work, rotation: Rotation, event: Event | None) -> Project:
    project = work.project
    if event is Event.SWAP_SEEN:
        project = replace(
            project,
            key=rotation.new_key,
            key_since=work.now,
            rotated_by_kms_at=None,
            generation=project.generation + 1,
            last_rung=None,
            quiet_until=None,
            acknowledged_by=None,
        )
    if rotation.state.terminal:
        project = replace(project, open_rotation=None)
    if project != work.project:
        project = replace(project, next_reminder_at=next_reminder_at(project, work.now))
    return project


def _notices(work: Work, project: Project, rotation: Rotation, news: tuple[NoticeKind, ...]) -> tuple[Notice, ...]:
    """What is new to tell; the same block met again has been told already."""
    notices = (rotation_news(kind, project, rotation, work.now) for kind in news)
    return tuple(notice for notice in notices if work.outside.tracker.notice(notice.notice_id) is None)


def _trail(work: Work, rotation: Rotation, event: Event | None) -> tuple[AuditEntry, ...]:
    if event is None:
        return ()
    return (_audit(work, f"rotation: {event}", before=work.rotation.state, after=rotation.state),)


def _audit(work: Work, what: str, *, before: str, after: str) -> AuditEntry:
    return AuditEntry(
        at=work.now,
        who=work.rotation.requested_by,
        what=what,
        subject=work.project.project_id,
        why=work.rotation.reason or work.rotation.rotation_id,
        before=before,
        after=after,
    )
