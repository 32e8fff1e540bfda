"""Prepares the next key: accepts the brought one, finds what an earlier attempt made, or makes one; never a second."""

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.key_life import be_wanted
from chalicelib.domain.key_policy import compose_policy
from chalicelib.domain.observed import KeyStatus, NewKey
from chalicelib.domain.records import Key, Problem, Rotation
from chalicelib.domain.rotation import Event
from chalicelib.domain.swap import Swap, decide_swap, exchange_of
from chalicelib.domain.vocabulary import KeyState
from chalicelib.usecases.locate import keys_for
from chalicelib.usecases.ports import Keys, PermanentError, TemporaryError
from chalicelib.usecases.rotating.work import Outcome, Work, audit, put_off, refuse, wait

LISTED_WITHIN = timedelta(minutes=5)
"""How long KMS may take to list a key that exists: sooner, not finding one proves nothing."""

_LEAVING = frozenset({KeyStatus.PENDING_DELETION, KeyStatus.PENDING_REPLICA_DELETION, KeyStatus.GONE})


def prepare_key(work: Work) -> Outcome:
    """Have the next key ready, named, and in the tracker."""
    arn, rotation, known = work.rotation.new_key, work.rotation, None
    if arn is None:
        arn = find_made_key(work) if rotation.creation_begun_at is not None else None
        if arn is not None and _keys(work).describe(arn).status in _LEAVING:
            return _without_key(work, arn)
        if arn is None and _may_still_appear(rotation, work.now):
            return wait(work, "KMS to list the key that may have been created", LISTED_WITHIN)
        try:
            arn = arn or _keys(work).create(_describe_new_key(work))
        except TemporaryError as problem:
            return put_off(replace(rotation, creation_begun_at=work.now), problem)
        rotation = replace(rotation, new_key=arn, created_by_us=True, alias=alias_of(work))
    else:
        known = work.outside.tracker.key(arn)
    try:
        _name(work, rotation, arn)
    except TemporaryError as problem:
        return put_off(rotation, problem)
    except PermanentError as problem:
        return _without_name(work, rotation, wanted_key(work, rotation, arn, known), problem)
    return _ready(work, rotation, wanted_key(work, rotation, arn, known))


def _without_key(work: Work, arn: KeyArn) -> Outcome:
    """The key that an earlier attempt made is on its way to deletion by another's hand: it is recorded, not used."""
    rotation = replace(work.rotation, new_key=arn, created_by_us=True)
    text = f"{arn}, made for this rotation, is on its way to deletion by somebody's hand: request the rotation again"
    problem = PermanentError(text, call="kms:DescribeKey", code="key_in_deletion")
    return _without_name(work, rotation, wanted_key(work, rotation, arn, None), problem)


def _without_name(work: Work, rotation: Rotation, key: Key, problem: PermanentError) -> Outcome:
    """The rotation ends, but the key that it has just made is recorded, to be swept and taken back."""
    refusal = Problem(code=problem.code or "refused", detail=problem.message)
    return refuse(replace(work, rotation=rotation), refusal, replace(key, next_sweep_at=work.now))


def _name(work: Work, rotation: Rotation, arn: KeyArn) -> None:
    """Give a key of our own its alias and let KMS rotate it yearly; both may be done already."""
    alias, keys = rotation.alias, _keys(work)
    if alias is not None and rotation.created_by_us:
        work.outside.at_once(lambda: keys.name(arn, alias), lambda: keys.rotate_automatically(arn))


def find_made_key(work: Work) -> KeyArn | None:
    """The key that an earlier attempt made for this rotation: by its exact alias, else by its tags."""
    return _keys(work).find_by_alias(alias_of(work)) or _keys(work).find_by_rotation(work.rotation.rotation_id)


def alias_of(work: Work) -> str:
    """The alias of the rotation's key: its generation among the project's keys, and the rotation's id."""
    project = work.project
    return f"alias/keyturn/{project.project_id}/{project.generation + 1}-{work.rotation.rotation_id}"


def wanted_key(work: Work, rotation: Rotation, arn: KeyArn, known: Key | None) -> Key:
    """The record of the next key; raises PermanentError for one that is on its way to deletion."""
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


def _ready(work: Work, rotation: Rotation, key: Key) -> Outcome:
    """The key is ready; where this wake-up may swap at once, the same record announces that."""
    ready = Outcome(rotation=replace(rotation, waiting_for=()), event=Event.KEY_READY, others=(key,))
    exchange, sight = exchange_of(rotation, earlier_sent_at=work.project.change_sent_at), work.fresh_sight
    if exchange is None or sight is None or not work.may_go_on or rotation.credentials_secret is not None:
        return ready
    if decide_swap(exchange, sight.settings, work.now).swap is not Swap.SEND:
        return ready
    return replace(
        ready,
        rotation=replace(ready.rotation, patch_sent_at=work.now),
        entries=(audit(work, "settings changed", before=str(exchange.leaving), after=str(exchange.wanted)),),
        marked=True,
    )


def _may_still_appear(rotation: Rotation, now: datetime) -> bool:
    begun = rotation.creation_begun_at
    return begun is not None and now < begun + LISTED_WITHIN


def _keys(work: Work) -> Keys:
    return keys_for(work.outside, work.project, work.rotation.old_key.region)


def _describe_new_key(work: Work) -> NewKey:
    project, old, principal = work.project, work.rotation.old_key, work.rotation.principal
    if principal is None:
        text = f"project {project.project_id}: the preflight saw no principal that Atlas comes as"
        raise PermanentError(text, call="tracker", code="principal_known")
    return NewKey(
        project_id=project.project_id,
        project_name=project.name,
        rotation_id=work.rotation.rotation_id,
        alias=alias_of(work),
        policy=compose_policy(_keys(work).account, old.partition, principal, work.rotation.inherited),
    )
