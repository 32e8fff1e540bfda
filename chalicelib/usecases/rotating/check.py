"""Checks first: whatever is wrong is found before anything is changed."""

from dataclasses import replace

from chalicelib.domain.preflight import problem_of, run_checks
from chalicelib.domain.rotation import Event
from chalicelib.domain.vocabulary import Strategy
from chalicelib.usecases.inspection import inspect_rotation
from chalicelib.usecases.rotating.work import Outcome, Work, refuse


def check_first(work: Work) -> Outcome:
    """Run the preflight; what it saw of the principal is kept, so that no later step has to ask for it again."""
    facts, role_id = inspect_rotation(work.outside, work.project, work.rotation)
    checks = run_checks(facts)
    rotation = replace(work.rotation, checks=checks, waiting_for=(), principal=facts.principal, role_id=role_id)
    problem = problem_of(checks)
    if problem is not None:
        return replace(refuse(replace(work, rotation=rotation), problem), seen=facts.settings)
    if rotation.strategy is not Strategy.NEW_CMK:
        return Outcome(rotation=rotation, event=Event.KEY_STAYS)
    if facts.wanted is not None:
        rotation = replace(rotation, new_key=facts.wanted.arn)
    inheritance = facts.inheritance
    rotation = replace(rotation, inherited=inheritance.clauses if inheritance is not None else ())
    return Outcome(rotation=rotation, event=Event.PREFLIGHT_PASSED, seen=facts.settings)
