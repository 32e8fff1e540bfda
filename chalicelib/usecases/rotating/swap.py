"""Swaps the key in the settings, or back: reads, sends once, and believes only what a later look reads back."""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

from chalicelib.domain.deployment import LOOK_EVERY
from chalicelib.domain.key_life import be_replaced, take_up
from chalicelib.domain.observed import KeyStatus, Settings
from chalicelib.domain.records import Key, Problem
from chalicelib.domain.rotation import Event
from chalicelib.domain.swap import INCONSISTENT_FOR, NOT_YET, Exchange, Swap, decide_swap, exchange_of
from chalicelib.domain.vocabulary import KeyState, NoticeKind
from chalicelib.usecases.locate import keys_holding
from chalicelib.usecases.ports import OutsideError, PermanentError, TemporaryError
from chalicelib.usecases.rotating.prepare import wanted_key
from chalicelib.usecases.rotating.tidy import abandoned_key
from chalicelib.usecases.rotating.work import AT_ONCE, Outcome, Work, audit, put_off, refuse, wait, write_ahead

_log = logging.getLogger(__name__)
LOOK_SOON = timedelta(seconds=15)
ASK_AGAIN = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a step sees of its exchange: the settings, and what the tracker knows of the two keys."""

    exchange: Exchange
    settings: Settings
    old: Key | None
    new: Key | None


def swap_key(work: Work) -> Outcome:
    """Take the settings from the old key to the new one."""
    if work.marked and work.sight is not None:
        return _send(work, _exchange(work), work.sight.settings) or swap_key(replace(work, marked=False))
    look = _look(work)
    return replace(_go_there(work, look), seen=look.settings)


def _go_there(work: Work, look: Look) -> Outcome:
    decision = decide_swap(look.exchange, look.settings, work.now)
    match decision.swap:
        case Swap.SEND:
            work = _mark(work, look.exchange)
            return _send(work, look.exchange, look.settings) or swap_key(work)
        case Swap.SEEN:
            return _seen(work, look)
        case Swap.STOP if decision.problem is not None:
            return refuse(work, decision.problem, *abandoned_key(work))
        case _:
            return wait(work, decision.waiting_for, LOOK_SOON)


def swap_back(work: Work) -> Outcome:
    """Take the settings back to the old key, only while that key can be used."""
    look = _look(work)
    return replace(_go_back(work, look), seen=look.settings)


def _go_back(work: Work, look: Look) -> Outcome:
    decision = decide_swap(look.exchange, look.settings, work.now)
    match decision.swap:
        case Swap.SEND:
            objection = _objection_to_return(work, look)
            if objection is not None:
                return _give_up_rollback(work, objection)
            work = _mark(work, look.exchange)
            return _send(work, look.exchange, look.settings) or swap_back(work)
        case Swap.SEEN:
            return _seen_again(work, look)
        case Swap.STOP if decision.problem is not None and decision.problem.code == "key_changed_by_hand":
            return refuse(work, decision.problem, replace(_known(work, look), next_sweep_at=work.now))
        case Swap.STOP if decision.problem is not None:
            return _give_up_rollback(work, decision.problem.detail)
        case _:
            return wait(work, decision.waiting_for, LOOK_SOON)


def _exchange(work: Work) -> Exchange:
    secret = work.rotation.credentials_secret
    user = work.outside.legacy_user(secret) if secret is not None else None
    exchange = exchange_of(
        work.rotation,
        access_key_id=user.access_key_id if user is not None else None,
        earlier_sent_at=work.project.change_sent_at,
    )
    if exchange is None:
        raise PermanentError("the rotation has lost its new key", call="tracker", code="no_new_key")
    return exchange


def _look(work: Work) -> Look:
    exchange, tracker = _exchange(work), work.outside.tracker
    atlas = work.outside.atlas(work.project.organization)
    settings, leaving, wanted = work.outside.at_once(
        lambda: atlas.settings(work.project.project_id),
        lambda: tracker.key(exchange.leaving),
        lambda: tracker.key(exchange.wanted),
    )
    old, new = (leaving, wanted) if exchange.leaving == work.rotation.old_key else (wanted, leaving)
    return Look(exchange=exchange, settings=settings, old=old, new=new)


def _mark(work: Work, exchange: Exchange) -> Work:
    """Mark that a change is on its way, before it is sent."""
    entry = audit(work, "settings changed", before=str(exchange.leaving), after=str(exchange.wanted))
    return write_ahead(work, replace(work.rotation, patch_sent_at=work.now, refusal=None), entry)


def _send(work: Work, exchange: Exchange, settings: Settings) -> Outcome | None:
    """Send the change; None when Atlas did not object, which proves nothing: now it is to be read back."""
    try:
        work.outside.atlas_owner(work.project.organization).swap_key(
            work.project.project_id,
            exchange.wanted,
            settings=settings,
            role_id=work.rotation.role_id,
            credentials_secret=work.rotation.credentials_secret,
        )
    except OutsideError as problem:
        return _after_no(work, problem)
    return None


def _after_no(work: Work, problem: OutsideError) -> Outcome:
    rotation = replace(work.rotation, waiting_for=(problem.message,))
    if isinstance(problem, TemporaryError) and problem.call.startswith(_BEFORE_ANYTHING_IS_SENT):
        return put_off(replace(rotation, patch_sent_at=None), problem)
    if problem.code in NOT_YET:
        since = rotation.first_refused_at or work.now
        rotation = replace(rotation, first_refused_at=since)
        if work.now < since + INCONSISTENT_FOR:
            return Outcome(rotation=replace(rotation, patch_sent_at=None), look_again=ASK_AGAIN)
    elif isinstance(problem, TemporaryError):
        _log.warning("the answer to the change of settings is lost, looking: %s", problem.message)
        return Outcome(rotation=rotation, look_again=AT_ONCE)
    refusal = Problem(code=problem.code or "refused", detail=problem.message)
    return Outcome(rotation=replace(rotation, refusal=refusal), look_again=LOOK_SOON)


_BEFORE_ANYTHING_IS_SENT = "secretsmanager:"


def _seen(work: Work, look: Look) -> Outcome:
    rotation = replace(
        work.rotation, swapped_at=work.now, refusal=None, settled_since=None, waiting_for=("all clusters at rest",)
    )
    new = wanted_key(work, rotation, look.exchange.wanted, look.new)
    same = look.exchange.wanted == look.exchange.leaving  # a change of credentials alone replaces no key
    return Outcome(
        rotation=rotation,
        event=Event.SWAP_SEEN,
        others=(
            take_up(new, work.project.project_id, KeyState.DEPLOYING),
            *(() if same else (be_replaced(_known(work, look), work.now),)),
        ),
        look_again=LOOK_EVERY,
        news=(NoticeKind.ROTATION_DEPLOYING,),
    )


def _known(work: Work, look: Look) -> Key:
    """The old key's record, made now for a key that nobody has tracked before."""
    ours = (work.project.project_id,)
    return look.old or Key(arn=work.rotation.old_key, state=KeyState.CURRENT, projects=ours, first_seen_at=work.now)


def _objection_to_return(work: Work, look: Look) -> str | None:
    """Why the settings must not go back to the old key; None when they may."""
    old = work.rotation.old_key
    if look.old is not None and look.old.deletion_id is not None:
        return f"{old} is on its way to deletion: call that off first"
    shown = keys_holding(work.outside, work.project, old).describe(old)
    return None if shown.status is KeyStatus.ENABLED else f"the old key {old} is {shown.status}"


def _give_up_rollback(work: Work, why: str) -> Outcome:
    """The new key stays: its deployment goes on, and people are told why there is no way back."""
    problem = Problem(code="rollback_refused", detail=f"the rollback was given up: {why}")
    rotation = replace(
        work.rotation,
        error=problem,
        refusal=None,
        patch_sent_at=work.rotation.swapped_at,
        rollback_requested_by=None,
        settled_since=None,
        waiting_for=(problem.detail,),
    )
    return Outcome(
        rotation=rotation, event=Event.ROLLBACK_REFUSED, look_again=LOOK_EVERY, news=(NoticeKind.ROTATION_BLOCKED,)
    )


def _seen_again(work: Work, look: Look) -> Outcome:
    rotation = replace(work.rotation, refusal=None, settled_since=None, waiting_for=("all clusters at rest",))
    back = take_up(_known(work, look), work.project.project_id, KeyState.DEPLOYING)
    return Outcome(
        rotation=rotation,
        event=Event.SWAPPED_BACK,
        others=(back, *((be_replaced(look.new, work.now),) if look.new is not None else ())),
        look_again=LOOK_EVERY,
        news=(NoticeKind.ROTATION_DEPLOYING,),
    )
