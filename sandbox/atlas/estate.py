"""How projects and clusters look when they are new."""

from datetime import timedelta

from chalicelib.domain.arn import KeyArn
from sandbox.atlas.alert_model import AlertConfig
from sandbox.atlas.cmk import Role
from sandbox.atlas.ground import Ground
from sandbox.atlas.model import Cluster, Project
from sandbox.atlas.policy import BackupPolicy, CopySetting, Schedule

DEFAULT_POLICIES = (
    BackupPolicy(kind="hourly", every=6, keep=timedelta(days=7)),
    BackupPolicy(kind="daily", keep=timedelta(days=7)),
    BackupPolicy(kind="weekly", every=6, keep=timedelta(weeks=4)),
    BackupPolicy(kind="monthly", every=40, keep=timedelta(days=365)),
    BackupPolicy(kind="yearly", every=12, keep=timedelta(days=365)),
)
"""What Atlas gives a new cluster."""
ALERT_CONFIG = "5f00000000000000000a1e27"
"""The id of every project's default alert configuration: known beforehand, for tests and demonstrations."""
DAYS_BEFORE_ALERT = 90
RESTORE_WINDOW_DAYS = 7
SHARDS = 2
PRETEND_ACCOUNT = "123456789012"


def new_project(ground: Ground, name: str, organization_id: str) -> Project:
    """Make a project with the alert that every project has."""
    now = ground.now()
    alert = AlertConfig(config_id=ALERT_CONFIG, days=DAYS_BEFORE_ALERT, enabled=True, created_at=now, updated_at=now)
    return Project(
        project_id=ground.names.object_id(now),
        organization_id=organization_id,
        name=name,
        created_at=now,
        alert_configs={ALERT_CONFIG: alert},
    )


def add_role(ground: Ground, project: Project, arn: str | None) -> Role:
    """Offer Atlas an IAM role, authorized at once; without an ARN it waits for that."""
    now = ground.now()
    role = Role(
        role_id=ground.names.object_id(now),
        arn=arn,
        external_id=ground.names.uuid(),
        created_at=now,
        authorized_at=None if arn is None else now,
    )
    project.roles[role.role_id] = role
    return role


def role_beside(arn: KeyArn | None) -> str:
    """Name a role in the key's own account."""
    account = PRETEND_ACCOUNT if arn is None else arn.account
    return f"arn:aws:iam::{account}:role/atlas"


def new_cluster(
    ground: Ground, project: Project, name: str, *, kind: str, tier: str, regions: tuple[str, ...]
) -> Cluster:
    """Make a cluster without key and backups; a global one has a shard in each of its regions, others two or one."""
    now = ground.now()
    return Cluster(
        cluster_id=ground.names.object_id(now),
        project_id=project.project_id,
        name=name,
        kind=kind,
        tier=tier,
        shards=_shards(kind, regions),
        regions=regions,
        created_at=now,
        backups=False,
        point_in_time=False,
        schedule=Schedule(policy_id=ground.names.object_id(now), items=(), hour=now.hour, minute=now.minute),
    )


def _shards(kind: str, regions: tuple[str, ...]) -> int:
    if kind == "REPLICASET":
        return 1
    return max(SHARDS, len(regions)) if kind == "GEOSHARDED" else SHARDS


def reschedule(
    cluster: Cluster,
    policies: tuple[BackupPolicy, ...],
    point_in_time_days: int | None,
    copies: tuple[CopySetting, ...] = (),
) -> None:
    """Give a cluster a backup policy."""
    cluster.point_in_time = cluster.backups and point_in_time_days is not None
    cluster.schedule = Schedule(
        policy_id=cluster.schedule.policy_id,
        items=policies,
        hour=cluster.schedule.hour,
        minute=cluster.schedule.minute,
        restore_window_days=point_in_time_days or RESTORE_WINDOW_DAYS,
        copies=copies,
    )
