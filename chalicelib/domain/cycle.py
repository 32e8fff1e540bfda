"""A project's cycle: it begins with a key, or with new material of the same key, and nothing said before it counts."""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Project


def begin(project: Project, key: KeyArn | None, since: datetime, generation: int) -> Project:
    """The project at the start of its cycle under a key; when KMS renewed another key is no date of this one."""
    under = replace(project, key=key, key_since=since, generation=generation, rotated_by_kms_at=None)
    return _with_nothing_said(under)


def renewed(project: Project, at: datetime) -> Project:
    """The project at the start of its cycle under new material of the key it has."""
    return _with_nothing_said(replace(project, rotated_by_kms_at=at))


def _with_nothing_said(project: Project) -> Project:
    """No rung was spoken, and nobody has asked for silence, about the cycle that begins."""
    return replace(
        project,
        last_rung=None,
        quiet_until=None,
        acknowledged_by=None,
        quiet_in_atlas_until=None,
        quiet_in_atlas_by=None,
    )
