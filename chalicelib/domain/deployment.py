"""Whether a swap has reached every cluster: the banner's reason to be, and when it may go.

Atlas shows no key per cluster. It is taken as deployed when Atlas finds the new key valid and every running
encrypted cluster was seen IDLE at every look over a soak of two of Atlas' 15-minute checks: clusters leave IDLE
some time after the change, so one look proves nothing. A paused cluster cannot be updated: it does not hold up
the rotation, it keeps the old key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.domain.arn import KeyArn, parse_key_id
from chalicelib.domain.counting import counted
from chalicelib.domain.observed import Cluster, Encryption, Settings, Snapshot
from chalicelib.domain.records import Rotation
from chalicelib.domain.swap import SETTLES_WITHIN
from chalicelib.domain.vocabulary import RotationState

SOAK = timedelta(minutes=30)
LOOK_EVERY = timedelta(minutes=5)
LOOK_FOR_SNAPSHOTS_EVERY = timedelta(minutes=30)

BANNER = "key rotation is being deployed: do not disable or delete {leaving} until this is over"
_SETTINGS = "the settings to name the new key"
_ON_THEIR_WAY = frozenset({RotationState.DEPLOYING, RotationState.ROLLING_BACK, RotationState.RETURNING})


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How far a swap has come: what it waits for (empty: done), since when all is at rest, who is paused."""

    waiting_for: tuple[str, ...]
    settled_since: datetime | None
    paused: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is waited for."""
        return not self.waiting_for


def encrypted(clusters: Iterable[Cluster]) -> tuple[Cluster, ...]:
    """The clusters that the project's customer key encrypts, or may encrypt: an unknown provider counts."""
    return tuple(c for c in clusters if c.encryption in {Encryption.AWS, Encryption.UNKNOWN})


def judge_deployment(
    *,
    settings_show_new_key: bool,
    settings: Settings,
    clusters: Iterable[Cluster],
    settled_since: datetime | None,
    now: datetime,
) -> Deployment:
    """Judge one look: any unrest starts the soak anew. Where encryption is off, no running cluster may be encrypted."""
    concerned = encrypted(clusters)
    unrest = tuple(_unrest(settings, concerned, shows_new_key=settings_show_new_key))
    paused = tuple(sorted(c.name for c in concerned if c.paused))
    if unrest:
        return Deployment(waiting_for=unrest, settled_since=None, paused=paused)
    since = settled_since or now
    if now - since < SOAK:
        minutes = int((SOAK - (now - since)).total_seconds() // 60)
        return Deployment(
            waiting_for=(f"all clusters at rest for {counted(minutes, 'more minute')}",),
            settled_since=since,
            paused=paused,
        )
    return Deployment(waiting_for=(), settled_since=since, paused=paused)


def _unrest(settings: Settings, clusters: Iterable[Cluster], *, shows_new_key: bool) -> Iterable[str]:
    if not shows_new_key:
        yield _SETTINGS
    if not settings.enabled:
        yield from (f"cluster {cluster.name} to be decrypted" for cluster in clusters if not cluster.paused)
        return
    if not settings.valid:
        yield "Atlas to find the new key valid"
    for cluster in clusters:
        if not cluster.paused and cluster.state != "IDLE":
            yield f"cluster {cluster.name} to become IDLE (it is {cluster.state})"


def proves(snapshot: Snapshot, arn: KeyArn, since: datetime) -> bool:
    """Whether a snapshot shows that its cluster encrypts with this key by now: made with it, after the swap."""
    made = snapshot.status == "completed" and snapshot.created_at is not None and snapshot.created_at >= since
    return made and snapshot.key is not None and parse_key_id(snapshot.key) == arn.key_id


def was_undone(rotation: Rotation, now: datetime) -> bool:
    """Whether settings that name the key of before are somebody's doing, and no late answer.

    They are when they do so at two looks in a row, long after the change was sent.
    """
    changed_at = rotation.patch_sent_at or rotation.swapped_at
    return changed_at is not None and now >= changed_at + SETTLES_WITHIN and _SETTINGS in rotation.waiting_for


def banner(rotation: Rotation) -> str | None:
    """The warning to show while a swap is on its way through the clusters, there or back; None otherwise."""
    if rotation.state not in _ON_THEIR_WAY:
        return None
    leaving = rotation.new_key if rotation.state == RotationState.RETURNING else rotation.old_key
    return BANNER.format(leaving=leaving)
