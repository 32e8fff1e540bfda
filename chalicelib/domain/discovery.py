"""What a fresh look at a project means: the record as it should be now, and what drifted since the last look.

Drift is never overwritten. A key that people switched in Atlas is adopted: its cycle starts, the old key is
tracked like any other that was replaced.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.acknowledgement import NOT_ACKNOWLEDGED
from chalicelib.domain.alarm import INVALID_TEXT, KEY_INVALID
from chalicelib.domain.arn import KeyArn, locate_key
from chalicelib.domain.coverage import Coverage
from chalicelib.domain.cycle import begin, renewed
from chalicelib.domain.key_life import be_replaced, take_up
from chalicelib.domain.observed import AtlasProject, Encryption, KeyDescription, KeyRotations, KeyStatus, Settings
from chalicelib.domain.outlook import outlook
from chalicelib.domain.policies import NO_WISHES, take_up_defaults
from chalicelib.domain.records import AuditEntry, Key, Policy, Project
from chalicelib.domain.reminders import due_at, forget_rungs_ahead, wind
from chalicelib.domain.vocabulary import KeyState

GRANT_REMOVED = "grant_removed"
"""The drift of a project whose key's policy does not let Atlas' role in any more."""
PROJECT_GONE = "project_gone"
"""The drift of a project that its organization lists no more."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything one look at a project has gathered; None where KMS would not say."""

    found: AtlasProject
    settings: Settings
    coverage: Coverage
    key: KeyArn | None
    described: KeyDescription | None
    rotated: KeyRotations | None
    role_id: str | None
    role_arn: str | None
    threshold_days: int | None
    missing: tuple[str, ...] | None = None
    """Permissions that the key's policy does not itself give Atlas' role; None where it could not be read."""
    left_to_iam: tuple[str, ...] = ()
    """Permissions that the key's policy leaves to the IAM policies of the role's account."""
    named: frozenset[str] | None = None
    """The bare ids of all keys that its snapshots name; None where they were not asked, or did not answer."""


@dataclass(frozen=True, kw_only=True)
class News:
    """The records to save and the drifts (code, sentence) to tell."""

    project: Project
    keys: tuple[Key, ...] = ()
    drift: tuple[tuple[str, str], ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    is_new_here: bool = False
    """Whether a known project has begun to encrypt with a customer key."""


def locate(settings: Settings, *, account: str, region: str) -> KeyArn | None:
    """The full name of the key that the settings hold; None when encryption is off or the text is no key."""
    if not settings.enabled or settings.key is None:
        return None
    return locate_key(settings.key, account=account, region=region)


def wants_backups_read(known: Project | None, key: KeyArn | None) -> bool:
    """Only snapshots tell which keys a project used before we met it, or before its key was changed by other hands."""
    return known is None or not known.backups_read or _is_changed_by_hand(known, key)


def _is_changed_by_hand(known: Project, key: KeyArn | None) -> bool:
    return known.key is not None and key is not None and key != known.key and known.open_rotation is None


def meet(found: AtlasProject, defaults: Policy, now: datetime) -> Project:
    """A project that nobody knew: the fleet's defaults hold for it."""
    return Project(
        project_id=found.project_id,
        name=found.name,
        organization=found.organization,
        seen_at=now,
        policy=defaults,
    )


def changes(
    known: Project | None,
    seen: Seen,
    *,
    old_key: Key | None,
    new_key: Key | None,
    now: datetime,
    defaults: Policy = NO_WISHES,
) -> News:
    """Compare what was known with what is seen; while a rotation is open the key is left to it."""
    project = take_up_defaults(known, defaults, now) if known is not None else meet(seen.found, defaults, now)
    found = tuple(_drifts(known, seen))
    project = _describe(project, seen, now)
    if wants_backups_read(known, seen.key):
        named = tuple(sorted({*project.named_in_backups, *(seen.named or ())}))
        project = replace(project, backups_read=seen.named is not None, named_in_backups=named)
    keys: tuple[Key, ...] = ()
    audit = tuple(_moved(known, seen.found, now))
    if project.open_rotation is None and seen.key is not None and seen.key != project.key:
        keys = tuple(_key_records(project, seen.key, old_key, new_key, now))
        audit = (*audit, _adopted(project, seen.key, now))
        project = _adopt(project, seen, now)
    renews_itself = seen.rotated is not None and seen.rotated.automatic
    drifts = (*found, *outlook(project, now, renews_itself=renews_itself))
    told = tuple((code, text) for code, text in drifts if code not in project.drift)
    lasting = tuple(code for code, _ in drifts if code != "key_changed_by_hand")
    kept = tuple(code for code in project.drift if code == NOT_ACKNOWLEDGED)
    project = replace(project, drift=(*lasting, *kept))
    project = _remind(project, known, now)
    is_new_here = known is not None and known.key is None and bool(keys)
    return News(project=project, keys=keys, drift=told, audit=audit, is_new_here=is_new_here)


def _describe(project: Project, seen: Seen, now: datetime) -> Project:
    if seen.settings.access_key_id != project.access_key_id:
        seen_at = now if seen.settings.access_key_id is not None else None
        project = replace(project, access_key_id=seen.settings.access_key_id, access_key_seen_at=seen_at)
    return replace(
        project,
        name=seen.found.name,
        organization=seen.found.organization,
        not_covered_because=seen.coverage.not_covered_because,
        covered=seen.coverage.covered,
        not_covered=seen.coverage.not_covered,
        atlas_threshold_days=seen.threshold_days,
        role_id=seen.role_id,
        role_arn=seen.role_arn,
        granted_by=_granted_by(project, seen),
        valid=seen.settings.valid,
        rotated_by_kms_at=_last_rotation(project, seen),
    )


def _granted_by(project: Project, seen: Seen) -> KeyArn | None:
    return seen.key if seen.missing == () or _was_given(project, seen) else None


def _was_given(project: Project, seen: Seen) -> bool:
    """Whether an earlier look saw the key's policy give this very role all that Atlas needs."""
    return seen.key is not None and project.granted_by == seen.key and project.role_arn == seen.role_arn


def _last_rotation(project: Project, seen: Seen) -> datetime | None:
    """The later of what KMS lists and what is known: KMS set to rotate by itself lists nothing for its first period."""
    dates = seen.rotated.dates if seen.rotated is not None else ()
    known = () if project.rotated_by_kms_at is None else (project.rotated_by_kms_at,)
    return max((*dates, *known), default=None)


def _adopt(project: Project, seen: Seen, now: datetime) -> Project:
    created = seen.described.created_at if seen.described is not None else None
    first_look = project.key is None
    since = (created or now) if first_look else now
    begun = begin(project, seen.key, since, project.generation if first_look else project.generation + 1)
    return replace(begun, rotated_by_kms_at=_last_rotation(begun, seen))


def _key_records(
    project: Project, key: KeyArn, old_key: Key | None, new_key: Key | None, now: datetime
) -> Iterable[Key]:
    record = new_key or Key(arn=key, state=KeyState.CURRENT, projects=(), first_seen_at=now)
    yield take_up(record, project.project_id, KeyState.CURRENT)
    if old_key is not None:
        yield replace(be_replaced(old_key, now), next_sweep_at=now)


def _adopted(project: Project, key: KeyArn, now: datetime) -> AuditEntry:
    return AuditEntry(
        at=now,
        who="atlas",
        what="key seen in the settings",
        subject=project.project_id,
        before=str(project.key or ""),
        after=str(key),
    )


def named_by_backups(project: Project, key: Key, now: datetime) -> AuditEntry:
    """The line of the trail about a key that only a project's backups say it used."""
    what = "key seen in the backups"
    return AuditEntry(at=now, who="atlas", what=what, subject=project.project_id, after=str(key.arn))


def _moved(known: Project | None, found: AtlasProject, now: datetime) -> Iterable[AuditEntry]:
    if known is not None and known.organization != found.organization:
        yield AuditEntry(
            at=now,
            who="atlas",
            what="moved to another organization",
            subject=found.project_id,
            before=known.organization,
            after=found.organization,
        )


def _remind(project: Project, known: Project | None, now: datetime) -> Project:
    """Move the next reminder only when the due date may have moved, so that a quiet day writes nothing."""
    if project == known:
        return project
    at = project.rotated_by_kms_at
    if known is not None and at is not None and at != known.rotated_by_kms_at:
        project = renewed(project, at)
    if due_at(project) is not None:
        project = replace(project, last_rung=forget_rungs_ahead(project, now))
    return wind(project, now)


def _drifts(known: Project | None, seen: Seen) -> Iterable[tuple[str, str]]:
    settings = seen.settings
    if known is not None and known.key is not None:
        if settings.other_provider is not Encryption.NONE and not settings.enabled:
            yield "provider_changed", f"it encrypts with a key of {settings.other_provider} now."
        elif not settings.enabled:
            yield "encryption_disabled", "encryption at rest was switched off."
        elif _is_changed_by_hand(known, seen.key):
            yield (
                "key_changed_by_hand",
                (
                    f"its key was changed from {known.key} to {seen.key} outside Keyturn. The new cycle begins today;"
                    " the old key is tracked: do not delete it."
                ),
            )
    if settings.found_invalid:
        yield KEY_INVALID, INVALID_TEXT
    if seen.named is None and wants_backups_read(known, seen.key):
        yield (
            "backups_unread",
            "its snapshots cannot be listed, so that no other project's key can be known to be free.",
        )
    lacking = _lacking(known, seen)
    if lacking:
        since = " any more" if known is not None and _was_given(known, seen) else ""
        yield (
            GRANT_REMOVED,
            (
                f"the policy of its key {seen.key} does not give {seen.role_arn} {', '.join(lacking)}{since}:"
                " mend the policy at once."
            ),
        )
    if seen.described is not None and seen.described.status is not KeyStatus.ENABLED:
        yield "key_not_enabled", f"its current key {seen.key} is {seen.described.status} in KMS: enable it at once."


def _lacking(known: Project | None, seen: Seen) -> tuple[str, ...]:
    """What was taken away from Atlas' role; what IAM may give instead is missed only where it was given before."""
    missing = seen.missing or ()
    if known is not None and _was_given(known, seen):
        return missing
    found_invalid = seen.settings.valid is False
    return tuple(action for action in missing if found_invalid and action not in seen.left_to_iam)
