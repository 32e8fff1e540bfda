"""May this key be deleted? Every reason to keep it, each from one small rule; no reason left means yes.

A verdict comes from the evidence of one sweep. What could not be read is a reason. Adding a rule is one function,
one line in RULES and one row in the tests.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.domain.arn import parse_key_id
from chalicelib.domain.counting import agreeing, counted
from chalicelib.domain.deployment import SOAK, judge_deployment
from chalicelib.domain.evidence import Evidence, ProjectEvidence
from chalicelib.domain.records import Key, Reason
from chalicelib.domain.remembered import copies, copy_regions, downloaded, remember, restore_window_days
from chalicelib.domain.vocabulary import KeyState

MARGIN = timedelta(hours=24)
"""How far clocks may be apart, and how long a clean sweep must be confirmed by a second one."""

LONG_RETENTION = timedelta(days=366)
"""A snapshot kept for longer than this is called out."""

WINDOW_NEVER_SEEN = timedelta(days=60)
"""What counts for a deleted cluster of which no sweep ever saw the window: Atlas proposes 7 days."""

MARGIN_UNUSED = timedelta(hours=1)
"""The same for a key of our own that no settings ever named: no snapshot can have been made with it."""

LOOK_AT_LEAST_EVERY = timedelta(days=30)
LOOK_AGAIN = timedelta(hours=24)
_SOON = timedelta(hours=1)

UNFINISHED, RUNNING_JOBS = "unfinished_snapshots", "running_jobs"
PASSING = frozenset({UNFINISHED, RUNNING_JOBS})
"""What passes by itself and most often concerns the next key: while it lasts the key stays, but what earlier sweeps
found is not forgotten for it."""

_STAYS = frozenset({"attestation", "current", "deploying", "downloads", "region_copies", "snapshots"})
"""What has no day on which it ends, and ends by no one's notice but a person's or an event's: while something else
holds the key until a known day, it need not be looked at daily."""

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
        if until is not None and until > seen.now + LONG_RETENTION:
            when += ", more than a year from now"
        on_demand = f", {cluster.tally.on_demand} of them on demand" if cluster.tally.on_demand else ""
        yield Reason(
            kind="snapshots",
            text=(
                f"{counted(count, 'snapshot')} of {cluster.cluster.name} {agreeing(count, 'needs', 'need')} it"
                f"{on_demand}; {when}"
            ),
            project_id=project_id,
            cluster=cluster.cluster.name,
            until=until,
        )


def snapshots_of_unknown_keys(seen: Evidence) -> Iterable[Reason]:
    """A snapshot whose key id is missing or belongs to no key we know may have been made with this one."""
    for project_id, cluster in seen.clusters():
        count = cluster.tally.unidentified
        if count:
            names = agreeing(count, "names", "name")
            yield Reason(
                kind="unidentified_snapshots",
                text=f"{counted(count, 'snapshot')} of {cluster.cluster.name} {names} no key that is known",
                project_id=project_id,
                cluster=cluster.cluster.name,
            )


def snapshots_unfinished(seen: Evidence) -> Iterable[Reason]:
    """A snapshot that is queued or running shows its key only once it is complete; a failed one may never."""
    for project_id, cluster in seen.clusters():
        for kind, count, how in (
            (UNFINISHED, cluster.tally.unfinished, "queued or running"),
            ("failed_snapshots", cluster.tally.failed, "failed, with no key shown"),
        ):
            if count:
                yield Reason(
                    kind=kind,
                    text=f"{counted(count, 'snapshot')} of {cluster.cluster.name} {agreeing(count, 'is', 'are')} {how}",
                    project_id=project_id,
                    cluster=cluster.cluster.name,
                )


def point_in_time_window(seen: Evidence) -> Iterable[Reason]:
    """The oplog kept for point-in-time restores is encrypted too, and shows no key: its window must pass.

    Atlas keeps that of a deleted cluster too, and shows its schedule no more: it counts as a sweep last saw it.
    """
    replaced = seen.key.deployed_at or seen.key.replaced_at
    if replaced is None:
        return
    for project_id, cluster in seen.clusters():
        unseen = cluster.alive and cluster.schedule is None
        if unseen or not cluster.was_encrypted or not cluster.cluster.point_in_time:
            continue
        days = restore_window_days(seen, project_id, cluster)
        length = counted(days, "day") if days is not None else "of unknown length"
        held = days if days is not None or cluster.alive else WINDOW_NEVER_SEEN.days
        until = replaced + timedelta(days=held) + MARGIN if held is not None else None
        if until is None or seen.now < until:
            yield Reason(
                kind="point_in_time",
                text=f"the point-in-time window of {cluster.cluster.name} ({length}) reaches back to it",
                project_id=project_id,
                cluster=cluster.cluster.name,
                until=until,
            )


def name_used_again(seen: Evidence) -> Iterable[Reason]:
    """Snapshots are listed by cluster name: a name used again may hide those of the deleted cluster."""
    ids = {(project_id, c.cluster.name): c.cluster.cluster_id for project_id, c in seen.clusters()}
    for project_id, cluster in seen.clusters():
        shown = cluster.schedule.cluster_id if cluster.schedule is not None else None
        mine = cluster.cluster.cluster_id
        if shown not in {None, mine} or ids[project_id, cluster.cluster.name] != mine:
            yield Reason(
                kind="name_reused",
                text=f"the name {cluster.cluster.name} belongs to two clusters: their snapshots cannot be told apart",
                project_id=project_id,
                cluster=cluster.cluster.name,
            )


def jobs_running(seen: Evidence) -> Iterable[Reason]:
    """A restore or export reads its snapshot to its end, be it expired or the cluster's encryption off meanwhile."""
    for project_id, cluster in seen.clusters():
        for count, what in ((cluster.jobs.restores_running, "restore"), (cluster.jobs.exports_running, "export")):
            if count:
                yield Reason(
                    kind=RUNNING_JOBS,
                    text=(
                        f"{counted(count, what)} from backups of {cluster.cluster.name}"
                        f" {agreeing(count, 'is', 'are')} running"
                    ),
                    project_id=project_id,
                    cluster=cluster.cluster.name,
                )


def downloads(seen: Evidence) -> Iterable[Reason]:
    """A downloaded snapshot needs its key for ever, and no list shows where it lies: a person must vouch."""
    if seen.key.attested_at is not None or never_served(seen.key):
        return
    for (project_id, name), count in downloaded(seen).items():
        yield Reason(
            kind="downloads",
            text=f"{counted(count, 'snapshot')} of {name} {agreeing(count, 'was', 'were')}"
            " downloaded, and what was downloaded stays encrypted: see that nobody needs it, and attest",
            project_id=project_id,
            cluster=name,
        )


def attestation_wanted(seen: Evidence) -> Iterable[Reason]:
    """Where the policy says so, nothing is free before a person has vouched for it."""
    if seen.key.attested_at is not None or never_served(seen.key):
        return
    for project in seen.projects:
        if project.attestation_wanted:
            text = "the project's policy wants a person to vouch for what no list shows: attest"
            yield Reason(kind="attestation", text=text, project_id=project.project_id)


def region_copies(seen: Evidence) -> Iterable[Reason]:
    """Copies in other regions may live longer than their originals, and no list shows them: a person must vouch."""
    if never_served(seen.key):
        return
    regions = {(project_id, c.cluster.name): copy_regions(c) for project_id, c in seen.clusters()}
    since, vouched = seen.key.deployed_at or seen.key.replaced_at, seen.key.attested_at is not None
    for (project_id, name), days in copies(seen).items():
        until = since + timedelta(days=days) + MARGIN if since is not None else None
        if vouched and until is not None and seen.now >= until:
            continue
        count = regions.get((project_id, name), 0)
        keeps = (
            f"{name} keeps copies in {counted(count, 'other region')}"
            if count
            else f"{name} kept copies in other regions"
        )
        how = "the last may live until then" if vouched else "no list shows them: look in Atlas and attest"
        yield Reason(
            kind="region_copies",
            text=f"{keeps}; {how}",
            project_id=project_id,
            cluster=name,
            until=until if vouched else None,
        )


def current_key_in_trouble(seen: Evidence) -> Iterable[Reason]:
    """While the current key cannot be used, any older one may be the cure; its policy alone does not show that."""
    for project in seen.projects:
        invalid = project.settings is not None and project.settings.found_invalid
        valid = project.settings is not None and project.settings.enabled and project.settings.valid is True
        known = sorted((_TROUBLE - {"grant_removed"} if valid else _TROUBLE) & set(project.drift))
        if invalid or known:
            said = ", ".join(code.replace("_", " ") for code in known) or "Atlas finds it invalid"
            yield Reason(
                kind="drift", text=f"the project's current key is in trouble: {said}", project_id=project.project_id
            )


_TROUBLE = frozenset({"key_invalid", "key_not_enabled", "grant_removed"})


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
    jobs_running,
    downloads,
    attestation_wanted,
    region_copies,
    paused_since_before,
    current_key_in_trouble,
)


def needs(seen: Evidence) -> tuple[Reason, ...]:
    """Every reason of this sweep alone, in the order of the rules."""
    return tuple(reason for rule in RULES for reason in rule(seen))


def reasons_to_keep(seen: Evidence, now: datetime) -> tuple[Reason, ...]:
    """Every reason to keep the key, the wait for a second clean sweep included; empty means safe to delete."""
    found = needs(seen)
    if found:
        return found
    since, margin = seen.key.clean_since, MARGIN_UNUSED if never_served(seen.key) else MARGIN
    if since is not None and now >= since + margin:
        return ()
    hours = int(margin.total_seconds() // 3600)
    return (
        Reason(
            kind="confirmation",
            text=f"nothing needs it; a second clean sweep at least {hours} h after the first must confirm that",
            until=(since or now) + margin,
        ),
    )


def is_safe(key: Key) -> bool:
    """Whether the last verdict found nothing that needs the key, and it is neither in use since nor gone."""
    if key.state.in_use or key.state is KeyState.DELETED:
        return False
    return key.safe_since is not None and not key.reasons


def never_served(key: Key) -> bool:
    """Whether it is a key of our own that was made for a rotation and never reached any settings."""
    return key.state is KeyState.UNUSED and key.created_by_us


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
    key = _resume(replace(seen, key=_settle(seen)))
    seen = replace(seen, key=key)
    now = seen.gathered_at
    reasons = reasons_to_keep(seen, now)
    kinds = {reason.kind for reason in reasons}
    clean = not kinds - {"confirmation"}
    waits = bool(kinds) and kinds <= PASSING
    judged = replace(
        key,
        reasons=reasons,
        clusters=remember(seen),
        swept_at=now,
        last_used_at=seen.used.at if seen.used is not None else key.last_used_at,
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


def _resume(seen: Evidence) -> Key:
    """A cluster that was paused during the swap and runs again: only now has the change reached it."""
    key, waiting = seen.key, set(still_paused(seen))
    alive = {f"{project_id}/{c.cluster.name}" for project_id, c in seen.clusters() if c.alive}
    if key.deployed_at is None or not (set(key.paused_clusters) - waiting) & alive:
        return key
    return replace(key, deployed_at=seen.gathered_at)


def next_sweep_at(key: Key, now: datetime) -> datetime | None:
    """Sleep until the last reason passes, a month at the most: what Atlas tells meanwhile moves the look earlier."""
    if key.state.in_use or key.state is KeyState.DELETED or key.deletion_id is not None:
        return None
    kinds = {reason.kind for reason in key.reasons}
    if "deploying" in kinds and "current" not in kinds:
        return now + SOAK
    if kinds and kinds <= PASSING:
        return now + _SOON
    known = [reason.until for reason in key.reasons if reason.until is not None]
    last = max(known, default=now + LOOK_AT_LEAST_EVERY if not key.reasons else now)
    open_ended = {reason.kind for reason in key.reasons if reason.until is None}
    if open_ended - _STAYS or (open_ended and last <= now + LOOK_AGAIN):
        return now + LOOK_AGAIN
    return min(max(last + timedelta(minutes=1), now + _SOON), now + LOOK_AT_LEAST_EVERY)


def _names(project: ProjectEvidence, key: Key) -> bool:
    text = project.settings.key if project.settings is not None else None
    return text is not None and parse_key_id(text) == key.arn.key_id
