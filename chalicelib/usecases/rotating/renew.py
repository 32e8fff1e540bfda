"""Renews the key's material in KMS: the settings stay as they are, and KMS' own list is the evidence."""

from dataclasses import replace
from datetime import timedelta

from chalicelib.domain.renewal import Renewal, decide_renewal
from chalicelib.domain.rotation import Event
from chalicelib.domain.vocabulary import NoticeKind
from chalicelib.usecases.locate import keys_holding
from chalicelib.usecases.rotating.work import Outcome, Work, audit, wait, write_ahead

LOOK_SOON = timedelta(minutes=1)


def renew_key(work: Work) -> Outcome:
    """Ask KMS once, then look until its list shows what was asked for."""
    rotation = work.rotation
    keys = keys_holding(work.outside, work.project, rotation.old_key)
    shown = keys.rotations(rotation.old_key)
    decision = decide_renewal(rotation, shown, work.now)
    if decision.renewal is Renewal.WAIT:
        return wait(work, decision.waiting_for, LOOK_SOON)
    if decision.renewal is Renewal.DONE:
        done = replace(rotation, waiting_for=(), evidence=decision.evidence, deployed_at=work.now)
        return Outcome(rotation=done, event=Event.RENEWED, news=(NoticeKind.ROTATION_DEPLOYED,))
    entry = audit(work, f"key renewed by KMS ({rotation.strategy})", before="", after=str(rotation.old_key))
    marked = replace(rotation, renewal_sent_at=work.now, renewals_before=shown.on_demand)
    work = write_ahead(work, marked, entry)
    if rotation.period_days is None:
        keys.rotate_on_demand(rotation.old_key)
    else:
        keys.rotate_automatically(rotation.old_key, period_days=rotation.period_days)
    return Outcome(rotation=replace(work.rotation, waiting_for=("KMS to show it",)), look_again=timedelta(seconds=5))
