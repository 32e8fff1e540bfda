"""Reads Atlas' answers and turns their shapes into our nouns."""

from typing import Any, TypeVar

import msgspec

from chalicelib.adapters.atlas_calls import Call
from chalicelib.adapters.atlas_shapes import (
    LONGEST_DAYS,
    AlertConfigurationRow,
    AlertRow,
    AwsKms,
    ClusterRow,
    Copy,
    CopyItem,
    EndpointRow,
    EventRow,
    ExportRow,
    ProjectRow,
    Region,
    RestoreRow,
    RolesAnswer,
    ScheduleAnswer,
    SettingsAnswer,
    SnapshotRow,
    Threshold,
)
from chalicelib.domain.arn import aws_region
from chalicelib.domain.observed import (
    AtlasAlert,
    AtlasProject,
    AtlasRole,
    BackupSchedule,
    Cluster,
    CopySetting,
    Encryption,
    ExportJob,
    PrivateEndpoint,
    ProjectEvent,
    RestoreJob,
    Settings,
    Snapshot,
)
from chalicelib.usecases.ports import PermanentError, TemporaryError

ENCRYPTION = "ENCRYPTION_AT_REST"
NEEDS_ROTATION = "AWS_ENCRYPTION_KEY_NEEDS_ROTATION"
_UNITS_IN_A_DAY = {"DAYS": 1, "HOURS": 24, "MINUTES": 24 * 60, "SECONDS": 24 * 60 * 60}
_DAYS_AT_MOST = {"days": 1, "weeks": 7, "months": 31, "years": 366}

LONGEST_COMMENT = 200
"""Characters that Atlas takes, and shows, of a comment."""

_REDACTED = "****"
_configuration = msgspec.json.Decoder(dict[str, Any])

Shape = TypeVar("Shape")


def read_answer(decoder: msgspec.json.Decoder[Shape], call: Call, body: bytes) -> Shape:
    """Decode an answer; what is no JSON may come whole next time, what has another shape will not."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as strange:
        raise _unknown(call, str(strange)) from strange
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as broken:
        message = f"{call}: the answer is broken or no JSON ({broken})"
        raise TemporaryError(message, call=str(call), code="unreadable_answer") from broken


def as_project(row: ProjectRow, organization: str) -> AtlasProject:
    """Give the noun; its name is only for reading, in mails too, where a second line might be taken for ours."""
    return AtlasProject(project_id=row.project_id, name=one_line(row.name), organization=organization)


def as_snapshots(rows: list[SnapshotRow]) -> list[Snapshot]:
    """Give the nouns of a whole page (by msgspec: the constructors would take longer than all the parsing)."""
    return msgspec.convert(rows, list[Snapshot], from_attributes=True)


def as_restore_jobs(rows: list[RestoreRow]) -> list[RestoreJob]:
    """Give the nouns of a whole page."""
    return msgspec.convert(rows, list[RestoreJob], from_attributes=True)


def as_export_jobs(rows: list[ExportRow]) -> list[ExportJob]:
    """Give the nouns of a whole page."""
    return msgspec.convert(rows, list[ExportJob], from_attributes=True)


def as_events(rows: list[EventRow]) -> list[ProjectEvent]:
    """Give the nouns of a whole page."""
    return msgspec.convert(rows, list[ProjectEvent], from_attributes=True)


def as_private_endpoint(row: EndpointRow) -> PrivateEndpoint:
    """Give the noun."""
    return PrivateEndpoint(region=aws_region(row.region), status=row.status)


def as_cluster(row: ClusterRow) -> Cluster:
    """Give the noun."""
    return Cluster(
        name=row.name,
        cluster_id=row.cluster_id,
        kind=row.kind,
        state=row.state,
        paused=row.paused or False,
        encryption=_encryption(row.encryption),
        backups=row.backups is not False,
        point_in_time=row.point_in_time is not False,
        tier=_tier(row),
        regions=tuple(dict.fromkeys(_spelt(region) for region in row.regions() if region.region)),
    )


def _encryption(text: str | None) -> Encryption:
    return Encryption(text) if text in set(Encryption) else Encryption.UNKNOWN


def _tier(row: ClusterRow) -> str | None:
    for region in row.regions():
        if region.provider == "FLEX":
            return "FLEX"
        if region.electable is not None and region.electable.size is not None:
            return region.electable.size
    return None


def _spelt(region: Region) -> str:
    name = region.region or ""
    return aws_region(name) if region.in_aws else name


def as_settings(answer: SettingsAnswer, call: Call) -> Settings:
    """Give the noun; where no provider says that it is on, AWS has to say that it is off."""
    aws, other = answer.aws or AwsKms(), _other_provider(answer)
    if aws.enabled is None and other is Encryption.NONE:
        raise _unknown(call, "it does not say whether encryption with an AWS key is enabled")
    return Settings(
        enabled=aws.enabled or False,
        key=aws.key,
        region=aws_region(aws.region) if aws.region is not None else None,
        role_id=aws.role_id,
        valid=aws.valid,
        private_networking=aws.private_networking or False,
        legacy_access_key=bool(aws.access_key),
        other_provider=other,
        access_key_id=aws.access_key or None,
    )


def _other_provider(answer: SettingsAnswer) -> Encryption:
    if answer.azure is not None and answer.azure.enabled:
        return Encryption.AZURE
    if answer.google is not None and answer.google.enabled:
        return Encryption.GCP
    return Encryption.NONE


def as_roles(answer: RolesAnswer) -> tuple[AtlasRole, ...]:
    """Give the nouns."""
    return tuple(
        AtlasRole(
            role_id=role.role_id,
            arn=role.arn,
            used_for_encryption=any(usage.feature == ENCRYPTION for usage in role.usages or ()),
        )
        for role in answer.roles
    )


def as_schedule(answer: ScheduleAnswer, call: Call) -> BackupSchedule:
    """Give the noun."""
    return BackupSchedule(
        cluster_id=answer.cluster_id,
        restore_window_days=answer.restore_window_days,
        copy_regions=len({(copy.provider, copy.region) for copy in answer.copies}),
        copies=tuple(_copy_setting(copy, call) for copy in answer.copies),
    )


def _copy_setting(copy: Copy, call: Call) -> CopySetting:
    name = copy.region or "unknown"
    days = [_retention_days(item, call) for item in copy.items or () if item != CopyItem()]
    return CopySetting(
        region=aws_region(name) if copy.provider in {None, "AWS"} else name,
        longest_retention_days=max(days, default=None),
    )


def _retention_days(item: CopyItem, call: Call) -> int:
    days = _DAYS_AT_MOST.get(item.unit or "", 0) * (item.value or 0)
    if not 0 < days <= LONGEST_DAYS:
        raise _unknown(call, f"copies are kept for {item.value} {one_line(item.unit)}")
    return days


def threshold_days(row: AlertConfigurationRow, call: Call) -> int | None:
    """Give the days after which this configuration nags about a key's age; None when it is about something else."""
    if row.event != NEEDS_ROTATION or not row.enabled:
        return None
    threshold = row.threshold or Threshold()
    units = _UNITS_IN_A_DAY.get(threshold.units or "")
    if units is None or not isinstance(threshold.value, float):
        raise _unknown(call, f"the threshold of {NEEDS_ROTATION} is no number of days")
    days = threshold.value // units
    if not 0 <= days <= LONGEST_DAYS:
        raise _unknown(call, f"the threshold of {NEEDS_ROTATION} is no number of days that anybody means")
    return int(days)


def as_alert(row: AlertRow, call: Call) -> AtlasAlert | None:
    """Give the noun; None for an alert about something else, or one that is closed."""
    if row.event != NEEDS_ROTATION or row.resolved_at is not None:
        return None
    if row.opened_at is None:
        raise _unknown(call, f"an alert {NEEDS_ROTATION} does not say when it was raised")
    return AtlasAlert(
        alert_id=row.alert_id,
        opened_at=row.opened_at,
        acknowledged_until=row.acknowledged_until,
        acknowledged_by=one_line(row.acknowledged_by) or None,
        comment=one_line(row.comment),
    )


def one_line(text: str | None) -> str:
    """Make what people wrote fit for a log: one line, printable, not long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text or "").split())[:LONGEST_COMMENT]


def with_threshold(body: bytes, days: int, call: Call) -> bytes:
    """Give a configuration back as Atlas showed it, but for its threshold.

    What Atlas shows redacted of a notification is left out: `notifierId` stands for it, and the asterisks sent back
    might be taken for the secret.
    """
    shown = read_answer(_configuration, call, body)
    threshold = shown.get("threshold")
    if not isinstance(threshold, dict):
        raise _unknown(call, f"the configuration of {NEEDS_ROTATION} has no threshold")
    notifications = shown.get("notifications")
    if isinstance(notifications, list):
        shown["notifications"] = [_unredacted(one) for one in notifications]
    return msgspec.json.encode(shown | {"threshold": threshold | {"threshold": days, "units": "DAYS"}})


def _unredacted(notification: Any) -> Any:  # noqa: ANN401 - whatever Atlas shows goes back to it
    if not isinstance(notification, dict) or "notifierId" not in notification:
        return notification
    return {name: value for name, value in notification.items() if not (isinstance(value, str) and _REDACTED in value)}


def _unknown(call: Call, what: str) -> PermanentError:
    message = f"{call}: Atlas answered in a shape that Keyturn does not know: {what}"
    return PermanentError(message, call=str(call), code="unknown_shape")
