"""Waits until a swap has reached every running cluster, forward or back; then the rotation is done."""

from dataclasses import replace

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.deployment import LOOK_EVERY, LOOK_FOR_SNAPSHOTS_EVERY, Deployment, judge_deployment, was_undone
from chalicelib.domain.observed import Settings
from chalicelib.domain.records import Key, Problem, Record, Rotation
from chalicelib.domain.rollback import turn_round
from chalicelib.domain.rotation import Event
from chalicelib.domain.swap import names
from chalicelib.domain.vocabulary import KeyState, NoticeKind
from chalicelib.domain.wording_rotation import still_readable
from chalicelib.usecases.observe import live_clusters
from chalicelib.usecases.rotating.expose import list_exposed
from chalicelib.usecases.rotating.prove import look_for_proof
from chalicelib.usecases.rotating.work import Outcome, Work, refuse


def await_deployment(work: Work) -> Outcome:
    """Look whether the new key has reached every running cluster; a person may ask for the way back meanwhile."""
    if work.rotation.rollback_requested_by is not None:
        return Outcome(rotation=turn_round(work.rotation), event=Event.ROLLBACK_ASKED)
    return _await(work, arriving=work.rotation.new_key, leaving=work.rotation.old_key)


def await_return(work: Work) -> Outcome:
    """Look whether the old key has reached every running cluster again."""
    return _await(work, arriving=work.rotation.old_key, leaving=work.rotation.new_key)


def _await(work: Work, *, arriving: KeyArn | None, leaving: KeyArn | None) -> Outcome:
    atlas, project_id = work.outside.atlas(work.project.organization), work.project.project_id
    settings, clusters = work.outside.at_once(
        lambda: atlas.settings(project_id), lambda: live_clusters(atlas, project_id)
    )
    if not settings.enabled:
        detail = "encryption at rest was switched off during the deployment"
        return _overtaken(work, settings, leaving, Problem(code="encryption_disabled", detail=detail))
    if not names(settings, arriving) and (not names(settings, leaving) or was_undone(work.rotation, work.now)):
        detail = f"the settings name {settings.key} during the deployment"
        return _overtaken(work, settings, leaving, Problem(code="key_changed_by_hand", detail=detail))
    look = judge_deployment(
        settings_show_new_key=names(settings, arriving),
        settings=settings,
        clusters=clusters,
        settled_since=work.rotation.settled_since,
        now=work.now,
    )
    rotation = _looked_at(work.rotation, look)
    if not look.done:
        return Outcome(rotation=rotation, look_again=LOOK_EVERY, seen=settings)
    if work.project.policy.prove_by_snapshot and arriving is not None and arriving == rotation.new_key:
        waiting_for, evidence = look_for_proof(work, arriving, clusters)
        rotation = replace(rotation, waiting_for=waiting_for, evidence=evidence)
        if waiting_for:
            return Outcome(rotation=rotation, look_again=LOOK_FOR_SNAPSHOTS_EVERY, seen=settings)
    return _done(replace(work, rotation=rotation), arriving, leaving)


def _looked_at(rotation: Rotation, look: Deployment) -> Rotation:
    return replace(
        rotation,
        attempts=0,
        settled_since=look.settled_since,
        waiting_for=look.waiting_for,
        paused_clusters=look.paused,
    )


def _overtaken(work: Work, settings: Settings, leaving: KeyArn | None, problem: Problem) -> Outcome:
    """A person undid or overtook the swap: what was left behind is swept from now on, like any key replaced by hand."""
    left = _known(work, leaving)
    swept = (replace(left, next_sweep_at=work.now),) if left is not None and leaving != work.project.key else ()
    return replace(refuse(work, problem, *swept), seen=settings)


def _done(work: Work, arriving: KeyArn | None, leaving: KeyArn | None) -> Outcome:
    back = arriving == work.rotation.old_key and arriving != work.rotation.new_key
    others: list[Record] = []
    left, arrived = _known(work, leaving), _known(work, arriving)
    if left is not None and leaving != arriving:
        others.append(_left_behind(work, left))
    if arrived is not None:
        others.append(replace(arrived, state=KeyState.CURRENT))
    exposure = list_exposed(work) if work.rotation.emergency and not back else None
    return Outcome(
        rotation=replace(
            work.rotation,
            deployed_at=None if back else work.now,
            still_readable=exposure.proof.digest if exposure is not None else work.rotation.still_readable,
        ),
        event=Event.SETTLED,
        others=(*others, *((exposure.proof,) if exposure is not None else ())),
        news=(NoticeKind.ROTATION_ROLLED_BACK if back else NoticeKind.ROTATION_DEPLOYED,),
        notices=(still_readable(work.project, work.rotation, exposure, work.now),) if exposure is not None else (),
    )


def _known(work: Work, arn: KeyArn | None) -> Key | None:
    return work.outside.tracker.key(arn) if arn is not None else None


def _left_behind(work: Work, key: Key) -> Key:
    """A key that others use too, or did, is left to the sweep, which looks at the clusters of all of them."""
    paused = {f"{work.project.project_id}/{name}" for name in work.rotation.paused_clusters}
    return replace(
        key,
        deployed_at=work.now if set(key.projects) <= {work.project.project_id} else None,
        paused_clusters=tuple(sorted({*key.paused_clusters, *paused})),
        next_sweep_at=work.now,
    )
