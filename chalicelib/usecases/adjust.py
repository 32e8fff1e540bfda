"""Adjusts Atlas' own alert to our period, for the door that may not speak to Atlas itself."""

from dataclasses import replace
from typing import Any

from chalicelib.domain.counting import counted
from chalicelib.domain.observed import AlertThreshold
from chalicelib.domain.outlook import ATLAS_SEES_NO_KMS
from chalicelib.domain.records import AuditEntry, Change, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.reminders import period_days
from chalicelib.usecases.locate import project_named
from chalicelib.usecases.ports import Conflict, Outside, PermanentError

_TRIES = 3


def adjust_asked(outside: Outside, message: dict[str, str]) -> dict[str, Any]:
    """What became of the threshold, or why nothing was changed; raises a TemporaryError where it may work later."""
    try:
        return {"threshold": set_threshold(outside, message["project_id"], who=message["who"])}
    except Refusal as no:
        return {"refused": {"no": no.no, "text": no.text}}
    except PermanentError as problem:
        return {"refused": {"no": No.CONFLICT, "text": problem.message}}


def set_threshold(outside: Outside, project_id: str, *, who: str) -> dict[str, Any]:
    """Have Atlas raise its alert after our period, seen in Atlas afterwards, and write down who wanted it.

    Where several alerts watch over the key's age somebody has thought of that, and it is left to them.
    """
    project = project_named(outside, project_id)
    period, atlas = period_days(project), outside.atlas(project.organization)
    watching = _only_one(project, atlas.alert_thresholds(project_id))
    if watching.days != period:
        atlas.set_alert_threshold(project_id, watching.configuration_id, period)
        shown = atlas.alert_threshold_days(project_id)
        if shown != period:
            taken = counted(period, "day")
            text = f"Atlas took the threshold of {taken} and yet shows {shown}: look at the alert in Atlas"
            raise PermanentError(text, call="alertConfigs", code="not_taken")
        _write_down(outside, project_id, watching.days, period, who)
    return {
        "project_id": project_id,
        "before_days": watching.days,
        "after_days": period,
        "changed": watching.days != period,
        "note": ATLAS_SEES_NO_KMS,
    }


def _only_one(project: Project, watching: tuple[AlertThreshold, ...]) -> AlertThreshold:
    match watching:
        case (one,):
            return one
        case ():
            text = (
                f"no alert of Atlas that is enabled watches over the age of {project.name}'s key: there is none to set"
            )
        case _:
            days = ", ".join(counted(one.days, "day") for one in watching)
            text = f"several alerts of Atlas watch over the age of {project.name}'s key ({days}): set them in Atlas"
    raise Refusal(No.CONFLICT, text)


def _write_down(outside: Outside, project_id: str, before: int, after: int, who: str) -> None:
    """It is done in Atlas already: a project that others write at the same moment is read again."""
    now = outside.now()
    entry = AuditEntry(
        at=now,
        who=who,
        what="Atlas' alert threshold set",
        subject=project_id,
        before=counted(before, "day"),
        after=counted(after, "day"),
    )
    for left in reversed(range(_TRIES)):
        project = replace(project_named(outside, project_id), atlas_threshold_days=after)
        try:
            outside.tracker.commit(Change(records=(project,), audit=(entry,)))
        except Conflict:
            if not left:
                raise
        else:
            return
