"""A bank of rotations that are broken on purpose: the suite's own scenarios must catch every one of them."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from figures import FULL_SIZE, tell
from prove.scenarios import SCENARIOS

from chalicelib.domain import deployment, renewal, swap
from chalicelib.domain.records import Rotation
from chalicelib.domain.swap import Swap, SwapDecision
from chalicelib.domain.transition import IllegalTransition
from chalicelib.domain.vocabulary import RotationState
from chalicelib.usecases import request_rotation, rotate
from chalicelib.usecases.ports import TemporaryError
from chalicelib.usecases.rotating import deploy, prepare, tidy, work
from chalicelib.usecases.rotating import swap as swapping

REAL_SEND, REAL_WANTED, REAL_LOOK = swapping._send, prepare.wanted_key, deploy._looked_at
REAL_WAIT_OUT, REAL_AFTER_NO, REAL_OPEN = rotate._wait_out, swapping._after_no, request_rotation.open_rotation
FOR_EVER = timedelta(days=30)


@contextmanager
def changed(module: object, name: str, instead: object) -> Iterator[None]:
    """Mutate the subject: one function or constant of a module is another one for a while."""
    before = getattr(module, name)
    setattr(module, name, instead)
    try:
        yield
    finally:
        setattr(module, name, before)


class Everything:
    """A set that holds whatever is asked for."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A broken rotation: what is wrong with it, and what it is made by."""

    wrong: str
    made_by: tuple[tuple[Any, str, object], ...]


def no_lease(rotation: Rotation, now: object) -> Rotation:
    return replace(rotation, next_look_at=now)


def looks_up_always(rotation: Rotation, now: Any) -> Rotation:
    return replace(rotation, creation_begun_at=now - timedelta(hours=1))


def trusts_the_answer(step: Any, exchange: Any, settings: Any) -> Any:
    back = step.rotation.state is RotationState.ROLLING_BACK
    seen = swapping._seen_again if back else swapping._seen
    return REAL_SEND(step, exchange, settings) or seen(step, swapping._look(step))


def records_before_the_effect(step: Any, exchange: Any) -> Any:
    claimed = replace(step.rotation, patch_sent_at=step.now, swapped_at=step.now, refusal=None)
    return work.write_ahead(step, claimed)


def decides_without(check: str) -> Callable[..., SwapDecision]:
    """The decision whether to send, with a part left out."""

    def decide(exchange: Any, settings: Any, now: Any) -> SwapDecision:
        if check == "hand" and not exchange.is_shown_by(settings) and settings.enabled:
            return DECIDE_TO_SEND(exchange, settings, now)
        if check == "invalid" and not settings.valid:
            return DECIDE(exchange, replace(settings, valid=True), now)
        return DECIDE(exchange, settings, now)

    return decide


DECIDE, DECIDE_TO_SEND = swap.decide_swap, swap._decide_to_send


def forgets_the_mark(step: Any, _: object) -> Any:
    return step


def never_at_once(*_: object) -> SwapDecision:
    return SwapDecision(swap=Swap.WAIT)


def counts_by_time(rotation: Rotation, shown: Any, now: Any) -> Any:
    sent_at = rotation.renewal_sent_at
    if sent_at is None:
        return renewal.RenewalDecision(renewal=renewal.Renewal.SEND)
    done = now >= sent_at + timedelta(minutes=5)
    return renewal._done(shown) if done else renewal.RenewalDecision(renewal=renewal.Renewal.WAIT)


def counts_any_renewal(rotation: Rotation, shown: Any, _: object) -> Any:
    if shown.on_demand > (rotation.renewals_before or 0):
        return renewal._done(shown)
    return renewal.RenewalDecision(renewal=renewal.Renewal.SEND)


def ignores_the_paused(rotation: Rotation, look: Any) -> Rotation:
    return replace(REAL_LOOK(rotation, look), paused_clusters=())


def claims_what_was_brought(step: Any, rotation: Rotation, arn: Any, known: Any) -> Any:
    return replace(REAL_WANTED(step, rotation, arn, known), created_by_us=True)


def may_always_be_cancelled(rotation: Rotation) -> bool:
    return not rotation.state.terminal and rotation.swapped_at is None


def believes_every_error(step: Any, problem: Any) -> Any:
    if not isinstance(problem, TemporaryError):
        return REAL_AFTER_NO(step, problem)
    refusal = swapping.Problem(code=problem.code or "refused", detail=problem.message)
    return work.refuse(step, refusal, *tidy.abandoned_key(step))


def parks_for_ever(step: Any, problem: Any) -> Any:
    outcome = REAL_WAIT_OUT(step, problem)
    return replace(outcome, look_again=FOR_EVER)


def answers_every_message(rotation: Rotation, now: Any) -> bool:
    held = rotation.lease_until is not None and now < rotation.lease_until
    return held or rotation.due is None


def opens_a_second(project: Any, request: Any, now: Any) -> Any:
    return REAL_OPEN(replace(project, open_rotation=None), request, now)


def is_done_when_seen(step: Any, *, arriving: Any, leaving: Any) -> Any:
    atlas = step.outside.atlas(step.project.organization)
    shown = atlas.settings(step.project.project_id)
    if swap.names(shown, arriving):
        return deploy._done(step, arriving, leaving)
    return work.wait(step, "the settings", deployment.LOOK_EVERY)


VARIANTS = (
    Variant(wrong="no lease", made_by=((rotate, "_leased", no_lease),)),
    Variant(
        wrong="look-up without a lease",
        made_by=((rotate, "_leased", no_lease), (rotate, "_after_a_crash", looks_up_always)),
    ),
    Variant(wrong="no look-up", made_by=((prepare, "find_made_key", lambda _: None),)),
    Variant(wrong="a crash is not noticed", made_by=((rotate, "_after_a_crash", lambda rotation, _: rotation),)),
    Variant(
        wrong="a key that is not listed yet is not waited for", made_by=((prepare, "LISTED_WITHIN", timedelta(0)),)
    ),
    Variant(wrong="trusts the answer to the PATCH", made_by=((swapping, "_send", trusts_the_answer),)),
    Variant(
        wrong="records before the effect",
        made_by=((swapping, "_mark", records_before_the_effect), (prepare, "decide_swap", never_at_once)),
    ),
    Variant(wrong="retries on every 400", made_by=((swapping, "NOT_YET", Everything()),)),
    Variant(wrong="never retries", made_by=((swapping, "NOT_YET", frozenset()),)),
    Variant(
        wrong="sends while the settings are invalid", made_by=((swapping, "decide_swap", decides_without("invalid")),)
    ),
    Variant(wrong="overwrites a key changed by hand", made_by=((swapping, "decide_swap", decides_without("hand")),)),
    Variant(
        wrong="forgets the mark",
        made_by=((swapping, "_mark", forgets_the_mark), (prepare, "decide_swap", never_at_once)),
    ),
    Variant(wrong="sends again at once what does not show", made_by=((swap, "SETTLES_WITHIN", timedelta(0)),)),
    Variant(wrong="believes every error", made_by=((swapping, "_after_no", believes_every_error),)),
    Variant(wrong="counts its renewal by time only", made_by=((renewal, "_decide_on_demand", counts_by_time),)),
    Variant(wrong="asks for a renewal until it shows", made_by=((renewal, "_decide_on_demand", counts_any_renewal),)),
    Variant(wrong="deploys without a soak", made_by=((deployment, "SOAK", timedelta(0)),)),
    Variant(wrong="does not look at the clusters", made_by=((deploy, "_await", is_done_when_seen),)),
    Variant(wrong="ignores paused clusters", made_by=((deploy, "_looked_at", ignores_the_paused),)),
    Variant(wrong="takes back what was brought", made_by=((prepare, "wanted_key", claims_what_was_brought),)),
    Variant(wrong="rolls back to a disabled key", made_by=((swapping, "_objection_to_return", lambda *_: None),)),
    Variant(
        wrong="cancels after the PATCH",
        made_by=(
            (rotate, "may_be_cancelled", may_always_be_cancelled),
            (request_rotation, "may_be_cancelled", may_always_be_cancelled),
        ),
    ),
    Variant(
        wrong="loses the key of a rotation that was given up",
        made_by=((rotate, "may_have_left_a_key", lambda _: False),),
    ),
    Variant(
        wrong="leaves the key of a rotation that was given up",
        made_by=((rotate, "abandoned_key", lambda _: ()), (swapping, "abandoned_key", lambda *_: ())),
    ),
    Variant(wrong="waits for ever for what a person has undone", made_by=((deploy, "was_undone", lambda *_: False),)),
    Variant(
        wrong="opens a second rotation beside an open one",
        made_by=((request_rotation, "open_rotation", opens_a_second),),
    ),
    Variant(wrong="acts on a look that has grown old", made_by=((work, "FRESH", timedelta(hours=1)),)),
    Variant(wrong="leaves no trail", made_by=((rotate, "_trail", lambda *_: ()),)),
    Variant(wrong="parks for ever", made_by=((rotate, "_wait_out", parks_for_ever),)),
    Variant(wrong="answers every copy of a message", made_by=((rotate, "_rests", answers_every_message),)),
)


def caught_by(variant: Variant) -> str | None:
    """The first scenario that finds something wrong; an error of another kind is one of the variant itself."""
    with ExitStack() as broken:
        for module, name, instead in variant.made_by:
            broken.enter_context(changed(module, name, instead))
        for scenario in SCENARIOS:
            try:
                scenario()
            except (AssertionError, IllegalTransition):
                return scenario.__name__
    return None


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_rotation_as_it_is_passes_every_scenario(scenario):
    scenario()


def test_every_broken_rotation_is_caught():
    bank = VARIANTS if FULL_SIZE else VARIANTS[::3]
    found = {variant.wrong: caught_by(variant) for variant in bank}

    caught = [wrong for wrong, scenario in found.items() if scenario is not None]
    tell(teeth_of_the_rotation=f"caught {len(caught)}/{len(bank)}", scenarios=len(SCENARIOS))
    for wrong, scenario in found.items():
        tell(broken=wrong, caught_by=(scenario or "NOBODY").replace("_", " "))
    assert sorted(caught) == sorted(found)


def test_nothing_stays_broken():
    before = importlib.import_module("chalicelib.usecases.rotating.prepare").LISTED_WITHIN

    with changed(prepare, "LISTED_WITHIN", timedelta(0)):
        during = prepare.LISTED_WITHIN

    assert (during, prepare.LISTED_WITHIN) == (timedelta(0), before)
