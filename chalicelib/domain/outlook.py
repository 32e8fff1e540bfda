"""What is not wrong yet, but will annoy or endanger somebody: told once, and shown while it lasts."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from chalicelib.domain.counting import counted
from chalicelib.domain.records import Project
from chalicelib.domain.reminders import due_at, period_days

ACCESS_KEY_OLD = "access_key_old"
ALERT_LATE = "atlas_alert_late"
ALERT_BLIND = "atlas_alert_blind"

ATLAS_SEES_NO_KMS = (
    "Atlas knows nothing of rotations made by AWS (kms-automatic, kms-on-demand): it counts from the last change of"
    " the settings. Where KMS renews the key, its alert comes after this many days though the material is fresh: set"
    " it higher, or disable it in Atlas."
)
"""What whoever sets the threshold of Atlas' alert must know."""

ACCESS_KEY_LIVES = timedelta(days=90)
"""How long an IAM user's access key may serve before it should be changed."""

_DAY = timedelta(days=1)


def outlook(project: Project, now: datetime, *, renews_itself: bool = False) -> Iterable[tuple[str, str]]:
    """Every such thing about a project, with what to do; `renews_itself` where KMS rotates the key unasked."""
    if project.access_key_id is not None and _is_old(project.access_key_seen_at, now):
        yield (
            ACCESS_KEY_OLD,
            (
                f"it encrypts with the access key {project.access_key_id} of an IAM user, in use at least since"
                f" {project.access_key_seen_at:%Y-%m-%d} (IAM knows its true age, Keyturn may not ask): rotate with a"
                " role, or change the access key and rotate with `credentials_secret`."
            ),
        )
    threshold, period = project.atlas_threshold_days, period_days(project)
    if project.key is None or threshold is None:
        return
    if threshold - period > period:
        yield (
            ALERT_LATE,
            (
                f"Atlas' own alert comes after {counted(threshold, 'day')} only, but its key is to be rotated every"
                f" {period}: set the alert's threshold with POST /v1/projects/{project.project_id}/atlas-threshold."
            ),
        )
    if renews_itself and _nags_for_nothing(project, threshold, now):
        yield (
            ALERT_BLIND,
            (
                f"KMS has renewed the material of its key on {project.rotated_by_kms_at:%Y-%m-%d}, which Atlas does"
                f" not see: Atlas' alert ({counted(threshold, 'day')}) is raised though nothing is due. Set its"
                " threshold to more than the age that the key may reach, or disable that alert in Atlas."
            ),
        )


def _is_old(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since >= ACCESS_KEY_LIVES


def _nags_for_nothing(project: Project, threshold: int, now: datetime) -> bool:
    due, renewed, since = due_at(project), project.rotated_by_kms_at, project.key_since
    if due is None or renewed is None or since is None or renewed <= since:
        return False
    return now < due and now - since >= threshold * _DAY
