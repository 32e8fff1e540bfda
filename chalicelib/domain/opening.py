"""Opening a rotation: whether a project may have one now, and the records that begin it."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from chalicelib.domain.arn import locate_key
from chalicelib.domain.records import AuditEntry, Change, Check, Project, Reason, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.domain.vocabulary import NoticeKind, RotationState, Strategy
from chalicelib.domain.wording_rotation import rotation_news


@dataclass(frozen=True, kw_only=True)
class RotationRequest:
    """What a person, or the project's policy, asks for."""

    requested_by: str
    idempotency_key: str
    key: str | None = None
    region: str | None = None
    credentials_secret: str | None = None
    strategy: Strategy | None = None
    period_days: int | None = None
    reason: str = ""
    emergency: bool = False

    def fingerprint(self) -> str:
        """A digest of what is asked for; the same key with another fingerprint is another request."""
        asked = {name: value for name, value in asdict(self).items() if name not in {"requested_by", "idempotency_key"}}
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
    return (
        Check(
            name="covered",
            passed=covered,
            text="the project is covered" if covered else (project.not_covered_because or "its key is not known yet"),
        ),
        Check(
            name="nothing_open",
            passed=project.open_rotation is None,
            text="no other rotation is open" if project.open_rotation is None else f"{project.open_rotation} is open",
        ),
        _fits_the_strategy(project, request),
        _wanted_key_check(project, request),
    )


def _strategy(project: Project, request: RotationRequest) -> Strategy:
    return request.strategy or project.policy.strategy


def _fits_the_strategy(project: Project, request: RotationRequest) -> Check:
    strategy = _strategy(project, request)
    for_another_key = [n for n in ("key", "region", "credentials_secret") if getattr(request, n) is not None]
    if strategy is not Strategy.NEW_CMK and for_another_key:
        text = f"under {strategy} the key and the settings stay: leave out {', '.join(for_another_key)}"
        return Check(name="strategy", passed=False, text=text)
    if strategy is not Strategy.KMS_AUTOMATIC and request.period_days is not None:
        return Check(name="strategy", passed=False, text="period_days belongs to the strategy kms-automatic")
    if strategy is not Strategy.NEW_CMK and request.emergency:
        text = f"{strategy} leaves what was encrypted readable with the same key: an emergency needs new-cmk"
        return Check(name="strategy", passed=False, text=text)
    said = "a new CMK is made or accepted" if strategy is Strategy.NEW_CMK else "KMS renews the key's material"
    return Check(name="strategy", passed=True, text=said)


def _wanted_key_check(project: Project, request: RotationRequest) -> Check:
    text = _objection_to(request.key, project, request) if request.key is not None else None
    if text is not None:
        return Check(name="wanted_key", passed=False, text=text)
    if request.key is None and _strategy(project, request) is not Strategy.NEW_CMK:
        return Check(name="wanted_key", passed=True, text="the key stays")
    return Check(name="wanted_key", passed=True, text=request.key or "a new key will be created")


def _objection_to(named: str, project: Project, request: RotationRequest) -> str | None:
    if "alias/" in named:
        return "an alias can be pointed elsewhere unseen: give a key id or ARN"
    if project.key is None:
        return "the project's present key is not known"
    wanted = locate_key(named, account=project.key.account, region=request.region or project.key.region)
    if wanted is None:
        return "it is neither a key id nor a full key ARN"
    if request.region not in {None, wanted.region}:
        return f"the key lives in {wanted.region}, not in {request.region}"
    if wanted.key_id == project.key.key_id and wanted.region == project.key.region:
        return None if request.credentials_secret is not None else "it is the project's current key"
    return None


def intended(project: Project, request: RotationRequest, now: datetime) -> Rotation:
    """The rotation that a request asks for, before anybody opens it; raises Refusal while the key is not known."""
    if project.key is None:
        raise Refusal(No.CONFLICT, f"the present key of {project.name} is not known yet")
    strategy = _strategy(project, request)
    automatic = strategy is Strategy.KMS_AUTOMATIC
    return Rotation(
        rotation_id=rotation_id(project.project_id, request.idempotency_key),
        project_id=project.project_id,
        state=RotationState.REQUESTED,
        strategy=strategy,
        requested_by=request.requested_by,
        requested_at=now,
        fingerprint=request.fingerprint(),
        old_key=project.key,
        old_key_since=project.key_since,
        reason=request.reason,
        wanted_key=request.key,
        region=request.region,
        credentials_secret=request.credentials_secret,
        period_days=(request.period_days or project.policy.automatic_period_days) if automatic else None,
        emergency=request.emergency,
        next_look_at=now,
    )


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
    if reasons:
        raise Refusal(No.CONFLICT, "; ".join(reason.text for reason in reasons), reasons)
    rotation = intended(project, request, now)
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
