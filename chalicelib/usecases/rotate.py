"""Rotates: takes the next steps of one rotation per wake-up, each from what is true now.

Each step observes, lets the domain decide, acts, and records. What can go on at once does so under the same lease;
else the rotation asks to be woken again. A lost or doubled wake-up does no harm: the step is found from the
rotation's state, and every act begins by asking whether it is already so.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil

from chalicelib.domain.alarm import probe
from chalicelib.domain.cycle import begin, renewed
from chalicelib.domain.discovery import PROJECT_GONE
from chalicelib.domain.preflight import lets_atlas_in
from chalicelib.domain.records import AuditEntry, Change, Notice, Problem, Project, Rotation
from chalicelib.domain.reminders import wind
from chalicelib.domain.rotation import LEASE, TIDY_AFTER, Event, may_be_cancelled, next_state
from chalicelib.domain.vocabulary import NoticeKind, Strategy
from chalicelib.domain.vocabulary import RotationState as State
from chalicelib.domain.wording_rotation import rotation_news
from chalicelib.usecases.ports import Conflict, Outside, PermanentError, TemporaryError
from chalicelib.usecases.rotating.check import check_first
from chalicelib.usecases.rotating.deploy import await_deployment, await_return
from chalicelib.usecases.rotating.prepare import prepare_key
from chalicelib.usecases.rotating.renew import renew_key
from chalicelib.usecases.rotating.swap import swap_back, swap_key
from chalicelib.usecases.rotating.tidy import ENDED_EARLY, abandoned_key, left_key, look_for_a_key, may_have_left_a_key
from chalicelib.usecases.rotating.work import AT_ONCE, Outcome, Sight, Work, audit, put_off, refuse

_log = logging.getLogger(__name__)

QUEUE_REACHES = timedelta(seconds=900)
"""The longest delay of an SQS message; what is due later is woken by `track` from the time index."""

GOES_ON_FOR = timedelta(seconds=30)
"""How long one wake-up begins further steps: far less than the lease, so that it never works without one."""

STEPS: dict[State, Callable[[Work], Outcome]] = {
    State.REQUESTED: check_first,
    State.PREPARING: prepare_key,
    State.SWAPPING: swap_key,
    State.DEPLOYING: await_deployment,
    State.RENEWING: renew_key,
    State.ROLLING_BACK: swap_back,
    State.RETURNING: await_return,
    State.FAILED: look_for_a_key,
    State.CANCELLED: look_for_a_key,
}


def advance_woken(outside: Outside, message: dict[str, str]) -> None:
    """Take the steps that a queue message asks for; it carries ids, never a decision."""
    advance_rotation(outside, message["project_id"], message["rotation_id"])


def advance_rotation(
    outside: Outside, project_id: str, rotation_id: str, *, goes_on_for: timedelta = GOES_ON_FOR
) -> Rotation | None:
    """Take a rotation's next steps; one that is unknown, over, or in somebody else's hands is left alone."""
    work = _claim(outside, project_id, rotation_id)
    if work is None:
        return None
    stop_at, goes_on = work.now + goes_on_for, True
    while goes_on:
        work = replace(work, may_go_on=work.now < stop_at)
        outcome = _step(work)
        try:
            work, goes_on = _record(work, outcome)
        except Conflict:
            _log.info("rotation %s was written by somebody else, it is looked at after the lease", rotation_id)
            outside.messages.wake_rotation(project_id, rotation_id, delay_seconds=ceil(LEASE.total_seconds()))
            return None
    return work.rotation


def _claim(outside: Outside, project_id: str, rotation_id: str) -> Work | None:
    now = outside.now()
    project, rotation = outside.at_once(
        lambda: outside.tracker.project(project_id), lambda: outside.tracker.rotation(project_id, rotation_id)
    )
    if project is None or rotation is None or _rests(rotation, now):
        return None
    leased = _leased(_after_a_crash(rotation, now), now)
    try:
        outside.tracker.commit(Change(records=(leased,)))
    except Conflict:
        return None
    return Work(outside=outside, project=project, rotation=_saved(leased), now=now)


def _rests(rotation: Rotation, now: datetime) -> bool:
    """Over, held by another wake-up, or woken too soon: answering that would start a second chain of wake-ups."""
    held = rotation.lease_until is not None and now < rotation.lease_until
    return held or rotation.due is None or now < rotation.due


def _after_a_crash(rotation: Rotation, now: datetime) -> Rotation:
    """A lease that nobody gave back: whoever held it may have created a key just now and told nobody."""
    makes_a_key = rotation.strategy is Strategy.NEW_CMK and rotation.wanted_key is None
    before_it = rotation.new_key is None and rotation.state in {State.REQUESTED, State.PREPARING}
    if rotation.lease_until is None or not (makes_a_key and before_it):
        return rotation
    return replace(rotation, creation_begun_at=now)


def _leased(rotation: Rotation, now: datetime) -> Rotation:
    return replace(rotation, lease_until=now + LEASE, next_look_at=now + LEASE)


def _saved(rotation: Rotation) -> Rotation:
    return replace(rotation, version=rotation.version + 1)


def _step(work: Work) -> Outcome:
    try:
        return _cancel(work) or STEPS[work.rotation.state](work)
    except TemporaryError as problem:
        return _wait_out(work, problem)
    except PermanentError as problem:
        return _stop(work, problem)


def _cancel(work: Work) -> Outcome | None:
    rotation = work.rotation
    if rotation.cancel_requested_by is None or not may_be_cancelled(rotation):
        return None
    return Outcome(
        rotation=rotation,
        event=Event.CANCELLED,
        others=abandoned_key(work),
        news=(NoticeKind.ROTATION_CANCELLED,),
    )


def _wait_out(work: Work, problem: TemporaryError) -> Outcome:
    return put_off(_as_last_saved(work), problem)


def _stop(work: Work, problem: PermanentError) -> Outcome:
    """Before the swap the rotation fails, with the old key in place; once it may be on its way, it only waits.

    What is gone with its whole project is waited for no longer.
    """
    rotation = _as_last_saved(work)
    work = replace(work, rotation=rotation)
    if PROJECT_GONE in work.project.drift and not rotation.state.terminal:
        gone = Problem(code=PROJECT_GONE, detail=f"the project is gone from its organization: {problem.message}")
        return refuse(work, gone, *abandoned_key(work), *left_key(work))
    if rotation.patch_sent_at is not None or rotation.swapped_at is not None:
        return Outcome(
            rotation=replace(rotation, attempts=rotation.attempts + 1, waiting_for=(problem.message,)),
            look_again=timedelta(hours=1),
            news=() if rotation.waiting_for == (problem.message,) else (NoticeKind.ROTATION_BLOCKED,),
        )
    refusal = Problem(code=problem.code or "refused", detail=problem.message)
    return refuse(work, refusal, *abandoned_key(work))


def _as_last_saved(work: Work) -> Rotation:
    """The rotation as the failed step left it, with the mark it wrote; never as the next holder of the lease did."""
    saved = work.outside.tracker.rotation(work.project.project_id, work.rotation.rotation_id)
    ours = saved is not None and saved.lease_until == work.rotation.lease_until
    return saved if saved is not None and ours else work.rotation


def _record(work: Work, outcome: Outcome) -> tuple[Work, bool]:
    """Save the step with all it changed; go on under the same lease, or ask to be woken for the next step."""
    rotation = _moved_on(work, outcome)
    goes_on = work.may_go_on and outcome.look_again == AT_ONCE and not rotation.state.terminal
    if goes_on:
        rotation = _leased(rotation, work.outside.now())
    project = _project_after(work, rotation, outcome.event)
    alarm = probe(project, outcome.seen, work.now)
    project = alarm.project if alarm is not None else project
    changed = (project,) if project != work.project else ()
    work.outside.tracker.commit(
        Change(
            records=(rotation, *outcome.others, *changed),
            notices=(*_notices(work, project, rotation, outcome), *((alarm.notice,) if alarm is not None else ())),
            audit=(*outcome.entries, *_trail(work, rotation, outcome.event)),
        )
    )
    if changed:
        project = replace(project, version=project.version + 1)
    after = replace(
        work,
        project=project,
        rotation=_saved(rotation),
        now=work.outside.now(),
        sight=_sight_for_the_next(work, outcome),
        marked=outcome.marked,
    )
    if not goes_on and not rotation.state.terminal and outcome.look_again <= QUEUE_REACHES:
        work.outside.messages.wake_rotation(
            rotation.project_id, rotation.rotation_id, delay_seconds=ceil(outcome.look_again.total_seconds())
        )
    return after, goes_on


def _sight_for_the_next(work: Work, outcome: Outcome) -> Sight | None:
    """What the preflight saw serves until the settings are changed; after that only a new look counts."""
    if outcome.event is Event.PREFLIGHT_PASSED and outcome.seen is not None:
        return Sight(settings=outcome.seen, at=work.now)
    return work.sight if outcome.event is Event.KEY_READY else None


_MAY_REPEAT = frozenset({NoticeKind.ROTATION_BLOCKED, NoticeKind.ROTATION_DEPLOYED, NoticeKind.STILL_READABLE})
"""What a rotation may come to again after a way back that was given up; written twice, a notice would stop it."""


def _moved_on(work: Work, outcome: Outcome) -> Rotation:
    rotation = outcome.rotation
    if outcome.event is not None:
        rotation = replace(rotation, state=next_state(rotation.state, outcome.event), attempts=0)
    rotation = replace(rotation, lease_until=None, next_look_at=work.now + outcome.look_again)
    if not rotation.state.terminal:
        return replace(rotation, ended_at=None)
    if outcome.event is not None:
        untidy = rotation.state in ENDED_EARLY and may_have_left_a_key(rotation)
        rotation = replace(rotation, untidy=untidy, next_look_at=work.now + TIDY_AFTER)
    return replace(
        rotation,
        next_look_at=rotation.next_look_at if rotation.untidy else None,
        ended_at=rotation.ended_at or work.now,
    )


def _project_after(work: Work, rotation: Rotation, event: Event | None) -> Project:
    project = work.project
    if event is Event.SWAP_SEEN and rotation.new_key != rotation.old_key:
        project = begin(project, rotation.new_key, work.now, project.generation + 1)
        project = replace(project, granted_by=rotation.new_key if lets_atlas_in(rotation.checks) else None)
    elif event is Event.SWAPPED_BACK:
        project = begin(project, rotation.old_key, rotation.old_key_since or work.now, project.generation)
    elif event is Event.RENEWED:
        project = renewed(project, work.now)
    if event is not None and rotation.state is State.DEPLOYED:
        project = replace(project, alert_to_answer=rotation.rotation_id)
    if rotation.state.terminal and project.open_rotation == rotation.rotation_id:
        unseen = rotation.patch_sent_at if rotation.state in ENDED_EARLY else None
        project = replace(project, open_rotation=None, change_sent_at=unseen or project.change_sent_at)
    if project != work.project:
        project = wind(project, work.now)
    return project


def _notices(work: Work, project: Project, rotation: Rotation, outcome: Outcome) -> tuple[Notice, ...]:
    """What is new to tell; the same block met again has been told already."""
    notices = (*(rotation_news(kind, project, rotation, work.now) for kind in outcome.news), *outcome.notices)
    return tuple(notice for notice in notices if notice.kind not in _MAY_REPEAT or _is_new(work, notice))


def _is_new(work: Work, notice: Notice) -> bool:
    return work.outside.tracker.notice(notice.notice_id) is None


def _trail(work: Work, rotation: Rotation, event: Event | None) -> tuple[AuditEntry, ...]:
    if event is None:
        return ()
    return (audit(work, f"rotation: {event}", before=work.rotation.state, after=rotation.state),)
