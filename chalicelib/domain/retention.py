"""May this key be deleted? Every reason to keep it, each from one small rule; no reason left means yes.

A verdict comes from the evidence of one sweep. What could not be read is a reason. Adding a rule is one function,
one line in RULES and one row in the tests.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.deployment import SOAK, judge_deployment
from chalicelib.domain.evidence import Evidence, ProjectEvidence
from chalicelib.domain.records import ClusterTally, Key, KeyState, Reason

MARGIN = timedelta(hours=24)
"""How far clocks may be apart, and how long a clean sweep must be confirmed by a second one."""

LOOK_AT_LEAST_EVERY = timedelta(days=7)
LOOK_AGAIN = timedelta(hours=24)
_SOON = timedelta(hours=1)

PASSING = "unfinished_snapshots"
"""Passes within the hour and is most often a snapshot made with the next key: while it lasts the key stays, but
what earlier sweeps found is not forgotten for it."""

Rule = Callable[[Evidence], Iterable[Reason]]


def still_current(seen: Evidence) -> Iterable[Reason]:
    """A key that a project's settings name is in use."""
    for project in seen.projects:
        if _names(project, seen.key):
            yield Reason(kind="current", text="it is the project's current key", project_id=project.project_id)


def rotation_open(seen: Evidence) -> Iterable[Reason]:
    """A rotation from or to the key may still go either way."""
    for project in seen.projects:
        if seen.key.arn.key_id in project.open_rotation_keys:
            yield Reason(kind="rotation", text="a rotation from or to it is still open", project_id=project.project_id)


def swap_not_deployed(seen: Evidence) -> Iterable[Reason]:
    """Until the next key has reached every cluster, the old one is in use."""
    if seen.key.replaced_at is not None and seen.key.deployed_at is None:
        yield Reason(kind="deploying", text="the change to the next key is still being deployed")


def never_used_here(seen: Evidence) -> Iterable[Reason]:
    """A key of which no project is known cannot be judged."""
    if not seen.projects:
        yield Reason(kind="unknown_use", text="no project is known that uses or used it")


def unread(seen: Evidence) -> Iterable[Reason]:
    """What could not be read may hide a snapshot."""
    for call in seen.unread:
        yield Reason(kind="unread", text=f"{call.call} failed: {call.cause}", call=call.call)
    for project in seen.projects:
        for call in project.unread:
            yield Reason(
                kind="unread",
                text=f"{call.call} failed: {call.cause}",
                project_id=project.project_id,
                call=call.call,
            )
    for project_id, cluster in seen.clusters():
        for call in cluster.unread:
            yield Reason(
                kind="unread",
                text=f"{call.call} failed: {call.cause}",
                project_id=project_id,
                cluster=cluster.cluster.name,
                call=call.call,
            )


def snapshots_need_it(seen: Evidence) -> Iterable[Reason]:
    """A snapshot made with the key cannot be restored without it."""
    for project_id, cluster in seen.clusters():
        count = cluster.tally.of_this_key
        if not count:
            continue
        until = None if cluster.tally.without_expiry else cluster.tally.last_expiry
        when = f"the last expires {until:%Y-%m-%d}" if until else "not all of them expire"
        on_demand = f", {cluster.tally.on_demand} of them on demand" if cluster.tally.on_demand else ""
        yield Reason(
            kind="snapshots",
            text=f"{count} snapshot{'s' if count > 1 else ''} of {cluster.cluster.name} need it{on_demand}; {when}",
            project_id=project_id,
            cluster=cluster.cluster.name,
            until=until,
        )


def snapshots_of_unknown_keys(seen: Evidence) -> Iterable[Reason]:
    """A snapshot whose key id is missing or belongs to no key we know may have been made with this one."""
    for project_id, cluster in seen.clusters():
        if cluster.tally.unidentified:
            yield Reason(
                kind="unidentified_snapshots",
                text=f"{cluster.tally.unidentified} snapshots of {cluster.cluster.name} name no key that is known",
                project_id=project_id,
                cluster=cluster.cluster.name,
            )


def snapshots_unfinished(seen: Evidence) -> Iterable[Reason]:
    """A snapshot that is queued or running shows its key only once it is complete; a failed one may never."""
    for project_id, cluster in seen.clusters():
        for kind, count, how in (
            (PASSING, cluster.tally.unfinished, "queued or running"),
            ("failed_snapshots", cluster.tally.failed, "failed, with no key shown"),
        ):
            if count:
                yield Reason(
                    kind=kind,
                    text=f"{count} snapshots of {cluster.cluster.name} are {how}",
                    project_id=project_id,
                    cluster=cluster.cluster.name,
                )


def point_in_time_window(seen: Evidence) -> Iterable[Reason]:
    """The oplog kept for point-in-time restores is encrypted too, and shows no key: its window must pass."""
    replaced = seen.key.deployed_at or seen.key.replaced_at
    if replaced is None:
        return
    for project_id, cluster in seen.clusters():
        if not cluster.encrypted or not cluster.cluster.point_in_time or cluster.schedule is None:
            continue
        days = cluster.schedule.restore_window_days
        until = replaced + timedelta(days=days) + MARGIN if days is not None else None
        if until is None or seen.now < until:
            length = f"{days} days" if days is not None else "of unknown length"
            yield Reason(
                kind="point_in_time",
                text=f"the point-in-time window of {cluster.cluster.name} ({length}) reaches back to it",
                project_id=project_id,
                cluster=cluster.cluster.name,
                until=until,
            )


def name_used_again(seen: Evidence) -> Iterable[Reason]:
    """Snapshots are listed by cluster name: a name used again may hide those of the deleted cluster."""
    for project_id, cluster in seen.clusters():
        shown = cluster.schedule.cluster_id if cluster.schedule is not None else None
        if shown is not None and shown != cluster.cluster.cluster_id:
            yield Reason(
                kind="name_reused",
                text=f"the name {cluster.cluster.name} belongs to two clusters: their snapshots cannot be told apart",
                project_id=project_id,
                cluster=cluster.cluster.name,
            )


def region_copies(seen: Evidence) -> Iterable[Reason]:
    """Copies in other regions have a retention of their own that no list shows: a person must vouch."""
    if seen.key.attested_at is not None:
        return
    for project_id, cluster in seen.clusters():
        if cluster.schedule is not None and cluster.schedule.copy_regions and cluster.encrypted:
            yield Reason(
                kind="region_copies",
                text=f"{cluster.cluster.name} keeps copies in {cluster.schedule.copy_regions} other regions; no"
                " list shows how long: look in Atlas and attest",
                project_id=project_id,
                cluster=cluster.cluster.name,
            )


def paused_since_before(seen: Evidence) -> Iterable[Reason]:
    """A cluster that was paused during the swap takes the new key only when it runs again."""
    for name in still_paused(seen):
        project_id, cluster = name.split("/", 1)
        yield Reason(
            kind="paused",
            text=f"cluster {cluster} has been paused since before the change to the next key",
            project_id=project_id,
            cluster=cluster,
        )


RULES: tuple[Rule, ...] = (
    still_current,
    rotation_open,
    swap_not_deployed,
    never_used_here,
    unread,
    snapshots_need_it,
    snapshots_of_unknown_keys,
    snapshots_unfinished,
    point_in_time_window,
    name_used_again,
    region_copies,
    paused_since_before,
)


def needs(seen: Evidence) -> tuple[Reason, ...]:
    """Every reason of this sweep alone, in the order of the rules."""
    return tuple(reason for rule in RULES for reason in rule(seen))


def reasons_to_keep(seen: Evidence, now: datetime) -> tuple[Reason, ...]:
    """Every reason to keep the key, the wait for a second clean sweep included; empty means safe to delete."""
    found = needs(seen)
    if found:
        return found
    since = seen.key.clean_since
    if since is not None and now >= since + MARGIN:
        return ()
    return (
        Reason(
            kind="confirmation",
            text="nothing needs it; a second clean sweep at least 24 hours after the first must confirm that",
            until=(since or now) + MARGIN,
        ),
    )


def still_paused(seen: Evidence) -> tuple[str, ...]:
    """Of the clusters (`project/cluster`) paused during the swap, those not seen running, or gone, since."""
    unread_projects = {p.project_id for p in seen.projects if p.unread}
    running = {f"{p}/{c.cluster.name}" for p, c in seen.clusters() if c.alive and not c.cluster.paused}
    alive = {f"{p}/{c.cluster.name}" for p, c in seen.clusters() if c.alive}
    return tuple(
        name
        for name in seen.key.paused_clusters
        if name.split("/", 1)[0] in unread_projects or (name in alive and name not in running)
    )


def judge(seen: Evidence) -> Key:
    """What the key's record says after this sweep; deployment by hand is settled here too."""
    key = _settle(seen)
    seen = replace(seen, key=key)
    now = seen.gathered_at
    reasons = reasons_to_keep(seen, now)
    kinds = {reason.kind for reason in reasons}
    clean = not kinds - {"confirmation"}
    waits = kinds == {PASSING}
    judged = replace(
        key,
        reasons=reasons,
        clusters=tuple(
            ClusterTally(
                project_id=project_id,
                cluster=cluster.cluster.name,
                cluster_id=cluster.cluster.cluster_id,
                snapshots=cluster.tally.of_this_key,
                last_expiry=cluster.tally.last_expiry,
            )
            for project_id, cluster in seen.clusters()
        ),
        swept_at=now,
        clean_since=key.clean_since if waits else (key.clean_since or now) if clean else None,
        safe_since=key.safe_since if waits else None if reasons else (key.safe_since or now),
        paused_clusters=still_paused(seen),
    )
    return replace(judged, next_sweep_at=next_sweep_at(judged, now))


def _settle(seen: Evidence) -> Key:
    """Notice when a key that people replaced by hand is no longer used by any running cluster."""
    key = seen.key
    unfinished = key.replaced_at is None or key.deployed_at is not None
    if unfinished or any(p.open_rotation_keys for p in seen.projects):
        return key
    looks = [
        judge_deployment(
            settings_show_new_key=not _names(project, key),
            settings=project.settings,
            clusters=[c.cluster for c in project.clusters if c.alive],
            settled_since=key.settled_since,
            now=seen.gathered_at,
        )
        for project in seen.projects
        if project.settings is not None and not project.unread
    ]
    if not looks or len(looks) < len(seen.projects) or any(look.settled_since is None for look in looks):
        return replace(key, settled_since=None)
    paused = tuple(
        f"{project.project_id}/{name}"
        for project, look in zip(seen.projects, looks, strict=True)
        for name in look.paused
    )
    if all(look.done for look in looks):
        return replace(key, deployed_at=seen.gathered_at, paused_clusters=paused)
    return replace(key, settled_since=key.settled_since or seen.gathered_at)


def next_sweep_at(key: Key, now: datetime) -> datetime | None:
    """Sleep until something can have changed, a week at the most; a key in use or gone needs no sweep."""
    if key.state in {KeyState.DELETED, KeyState.CURRENT, KeyState.DEPLOYING} or key.deletion_id is not None:
        return None
    kinds = {reason.kind for reason in key.reasons}
    if kinds & {"deploying"}:
        return now + SOAK
    if kinds == {PASSING}:
        return now + _SOON
    untils = [reason.until for reason in key.reasons]
    if None in untils:
        return now + LOOK_AGAIN
    last = max((until for until in untils if until is not None), default=now + LOOK_AT_LEAST_EVERY)
    return min(max(last + timedelta(minutes=1), now + _SOON), now + LOOK_AT_LEAST_EVERY)


def free_at(key: Key) -> datetime | None:
    """The day the key comes free if nothing changes; None when that cannot be said."""
    if key.safe_since is not None:
        return key.safe_since
    untils = [reason.until for reason in key.reasons]
    if not untils or None in untils:
        return None
    last = max(until for until in untils if until is not None)
    confirmed = [r for r in key.reasons if r.kind == "confirmation"]
    return last if confirmed else last + MARGIN


def _names(project: ProjectEvidence, key: Key) -> bool:
    text = project.settings.key if project.settings is not None else None
    return text is not None and parse_key_id(text) == key.arn.key_id
