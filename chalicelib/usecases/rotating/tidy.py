"""Tidies up after a rotation that ended before its swap: a key made for it must not lie about unseen."""

from dataclasses import replace

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.key_life import be_wanted
from chalicelib.domain.records import Key, Record, Rotation
from chalicelib.domain.retention import never_served
from chalicelib.domain.rotation import TIDY_AFTER
from chalicelib.domain.vocabulary import KeyState, RotationState
from chalicelib.usecases.ports import PermanentError
from chalicelib.usecases.rotating.prepare import find_made_key
from chalicelib.usecases.rotating.work import Outcome, Work


def abandoned_key(work: Work) -> tuple[Record, ...]:
    """The key of a rotation that gives up, swept at once: one made for it is taken back later."""
    rotation = work.rotation
    if rotation.new_key is None or rotation.swapped_at is not None:
        return ()
    known = work.outside.tracker.key(rotation.new_key)
    if known is None and rotation.created_by_us:
        return (_unused(work, rotation.new_key),)
    swept = known is not None and (known.state is KeyState.RETIRING or never_served(known))
    return (replace(known, next_sweep_at=work.now),) if known is not None and swept else ()


def left_key(work: Work) -> tuple[Record, ...]:
    """The old key of a rotation that ends after its swap without having been deployed: swept from now on."""
    old = work.outside.tracker.key(work.rotation.old_key)
    return (replace(old, next_sweep_at=work.now),) if old is not None and old.state is KeyState.RETIRING else ()


def may_have_left_a_key(rotation: Rotation) -> bool:
    """Whether a key may have been made that the rotation does not know."""
    return rotation.creation_begun_at is not None and rotation.new_key is None


def look_for_a_key(work: Work) -> Outcome:
    """Look once more for a key that was made but never recorded, and put it into the tracker as unused."""
    rotation = replace(work.rotation, untidy=False, waiting_for=())
    try:
        arn = find_made_key(work)
    except PermanentError as problem:
        still = replace(work.rotation, waiting_for=(problem.message,))
        return Outcome(rotation=still, look_again=TIDY_AFTER)
    if arn is None or work.outside.tracker.key(arn) is not None:
        return Outcome(rotation=rotation)
    return Outcome(rotation=replace(rotation, new_key=arn, created_by_us=True), others=(_unused(work, arn),))


def _unused(work: Work, arn: KeyArn) -> Key:
    """The record of a key that was made for the rotation and is to be taken back."""
    key = Key(arn=arn, state=KeyState.UNUSED, projects=(), first_seen_at=work.now, created_by_us=True)
    key = replace(be_wanted(key, work.project.project_id), alias=work.rotation.alias, next_sweep_at=work.now)
    return replace(key, rotation_id=work.rotation.rotation_id)


ENDED_EARLY = frozenset({RotationState.FAILED, RotationState.CANCELLED})
