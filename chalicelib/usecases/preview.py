"""Previews: makes the preflight of a rotation that nobody has opened, for the door that may not look itself."""

from dataclasses import asdict
from typing import Any

from chalicelib.domain.opening import RotationRequest, intended
from chalicelib.domain.preflight import run_checks
from chalicelib.domain.vocabulary import Strategy
from chalicelib.usecases.inspection import inspect_rotation
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Outside


def preview_asked(outside: Outside, message: dict[str, Any]) -> dict[str, Any]:
    """Every check of a request, as JSON; it reads Atlas, KMS and IAM and changes nothing."""
    project = project_named(outside, message["project_id"])
    asked = dict(message["request"])
    strategy = asked.pop("strategy", None)
    request = RotationRequest(**asked, strategy=Strategy(strategy) if strategy is not None else None)
    facts, _ = inspect_rotation(outside, project, intended(project, request, outside.now()))
    return {"checks": [asdict(check) for check in run_checks(facts)]}
