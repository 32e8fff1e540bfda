"""Opening a rotation: whether a project may have one now, and the records that begin it."""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime

from chalicelib.domain.arn import locate_key
from chalicelib.domain.records import (
    AuditEntry,
    Change,
    Check,
    NoticeKind,
    Project,
    Reason,
    Rotation,
    RotationState,
    Strategy,
)
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.wording import rotation_news


@dataclass(frozen=True, kw_only=True)
class RotationRequest:
    """What a person, or the project's policy, asks for."""

    requested_by: str
    idempotency_key: str
    key: str | None = None
    strategy: Strategy | None = None
    reason: str = ""

    def fingerprint(self) -> str:
        """A digest of what is asked for; the same key with another fingerprint is another request."""
        asked = {"key": self.key, "strategy": self.strategy, "reason": self.reason}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def rotation_id(project_id: str, idempotency_key: str) -> str:
    """The rotation that a request with this key makes: the same key always names the same rotation."""
    return hashlib.sha256(f"{project_id}\n{idempotency_key}".encode()).hexdigest()[:16]


def recognise(existing: Rotation, request: RotationRequest) -> Rotation:
    """Answer a repeated request with the rotation it made; refuse the key of another request."""
    if existing.fingerprint != request.fingerprint():
        raise Refusal(
            No.CONTRADICTION, "this Idempotency-Key was used with another body", rotation_id=existing.rotation_id
        )
    return existing


def refusals(project: Project, request: RotationRequest) -> tuple[Reason, ...]:
    """Every reason, visible without asking Atlas or KMS, not to open a rotation."""
    return tuple(
        Reason(kind=check.name, text=check.text, project_id=project.project_id)
        for check in request_checks(project, request)
        if check.passed is False
    )


def request_checks(project: Project, request: RotationRequest) -> tuple[Check, ...]:
    """The rules that the tracker alone can answer, each with its result."""
    covered = project.not_covered_because is None and project.key is not None
    strategy = request.strategy or project.policy.strategy
    return (
        Check(
            name="covered",
            passed=covered,
            text="the project is covered" if covered else (project.not_covered_because or "its key is not known yet"),
        ),
        Check(
            name="strategy",
            passed=strategy is Strategy.NEW_CMK,
            text="a new CMK is made or accepted"
            if strategy is Strategy.NEW_CMK
            else f"the strategy {strategy} is not carried out yet: only new-cmk is",
        ),
        _wanted_key_check(project, request),
    )


def _wanted_key_check(project: Project, request: RotationRequest) -> Check:
    if request.key is None:
        return Check(name="wanted_key", passed=True, text="a new key will be created")
    if "alias/" in request.key:
        return Check(
            name="wanted_key", passed=False, text="an alias can be pointed elsewhere unseen: give a key id or ARN"
        )
    if project.key is None:
        return Check(name="wanted_key", passed=False, text="the project's present key is not known")
    wanted = locate_key(request.key, account=project.key.account, region=project.key.region)
    if wanted is None:
        return Check(name="wanted_key", passed=False, text="it is neither a key id nor a full key ARN")
    if wanted.key_id == project.key.key_id:
        return Check(name="wanted_key", passed=False, text="it is the project's current key")
    return Check(name="wanted_key", passed=True, text=f"{wanted} is named well")


def open_rotation(project: Project, request: RotationRequest, now: datetime) -> tuple[Rotation, Change]:
    """Begin a rotation; raises Refusal with every reason, and changes nothing, when it may not be."""
    if project.open_rotation is not None:
        raise Refusal(
            No.CONFLICT,
            f"a rotation of {project.name} is open already",
            [Reason(kind="rotation", text="one rotation at a time", project_id=project.project_id)],
            rotation_id=project.open_rotation,
        )
    reasons = refusals(project, request)
    if reasons or project.key is None:
        raise Refusal(No.CONFLICT, "; ".join(reason.text for reason in reasons), reasons)
    rotation = Rotation(
        rotation_id=rotation_id(project.project_id, request.idempotency_key),
        project_id=project.project_id,
        state=RotationState.REQUESTED,
        strategy=Strategy.NEW_CMK,
        requested_by=request.requested_by,
        requested_at=now,
        fingerprint=request.fingerprint(),
        old_key=project.key,
        reason=request.reason,
        wanted_key=request.key,
        next_look_at=now,
    )
    return rotation, Change(
        records=(replace(project, open_rotation=rotation.rotation_id), rotation),
        notices=(rotation_news(NoticeKind.ROTATION_STARTED, project, rotation, now),),
        audit=(
            AuditEntry(
                at=now,
                who=request.requested_by,
                what="rotation requested",
                subject=project.project_id,
                why=request.reason,
                after=rotation.rotation_id,
            ),
        ),
    )
