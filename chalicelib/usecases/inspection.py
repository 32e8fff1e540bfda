"""Inspects: gathers what is true just before a rotation. It changes nothing, and what it may not read it says so."""

from collections.abc import Callable
from typing import Any, TypeVar

from chalicelib.domain.arn import KeyArn, account_of, any_key, locate_key
from chalicelib.domain.key_policy import ATLAS_ACTIONS
from chalicelib.domain.observed import AtlasRole, Grant, KeyDescription, PrivateEndpoint, Settings
from chalicelib.domain.preflight import PreflightFacts
from chalicelib.domain.records import Project, Rotation
from chalicelib.domain.vocabulary import Strategy
from chalicelib.usecases.locate import keys_for, keys_holding
from chalicelib.usecases.observe import live_clusters, principal_among
from chalicelib.usecases.ports import Atlas, Outside, PermanentError

Answer = TypeVar("Answer")
Facts = dict[str, Any]


def inspect_rotation(outside: Outside, project: Project, rotation: Rotation) -> tuple[PreflightFacts, str | None]:
    """Everything that the preflight decides from, and the Atlas id of the role; raises TemporaryError to come again."""
    atlas, old = outside.atlas(project.organization), rotation.old_key
    keys, renews = keys_holding(outside, project, old), rotation.strategy is not Strategy.NEW_CMK
    settings, clusters, roles, current, rotations, policy, brought, guessed, place = outside.at_once(
        lambda: atlas.settings(project.project_id),
        lambda: live_clusters(atlas, project.project_id),
        lambda: atlas.roles(project.project_id),
        lambda: unless_forbidden(lambda: keys.describe(old)),
        lambda: unless_forbidden(lambda: keys.rotations(old)) if renews else None,
        lambda: unless_forbidden(lambda: keys.policy(old)),
        lambda: _look_at_wanted(outside, project, rotation),
        lambda: _grants(outside, project, project.role_arn, old),
        lambda: _where_a_key_is_made(outside, project, rotation),
    )
    (wanted, wanted_policy), (made_in, account_problem) = brought, place
    role_id, principal, problem = _principal(outside, rotation, settings, roles)
    asked_about = wanted.arn if wanted is not None else _key_made_abroad(rotation, principal, made_in)
    facts = PreflightFacts(
        rotation=rotation,
        settings=settings,
        clusters=clusters,
        principal=principal,
        credentials_problem=problem,
        current=current,
        current_rotations=rotations,
        current_policy=policy,
        wanted=wanted,
        wanted_policy=wanted_policy,
        made_in=made_in,
        account_problem=account_problem,
        wanted_grants=_grants(outside, project, principal, asked_about),
        old_grants=guessed if principal == project.role_arn else _grants(outside, project, principal, old),
        endpoints=_endpoints(atlas, project, settings),
    )
    return facts, role_id


def _endpoints(atlas: Atlas, project: Project, settings: Settings) -> tuple[PrivateEndpoint, ...] | None:
    if not settings.private_networking:
        return ()
    return unless_forbidden(lambda: atlas.private_endpoints(project.project_id))


def unless_forbidden(call: Callable[[], Answer]) -> Answer | None:
    """What a call gives, or None where we are not let in: not knowing is not an error here."""
    try:
        return call()
    except PermanentError:
        return None


def _principal(
    outside: Outside, rotation: Rotation, settings: Settings, roles: tuple[AtlasRole, ...]
) -> tuple[str | None, str | None, str | None]:
    """The Atlas id and the ARN of whom Atlas comes as, and what stands against the credentials that were named."""
    if not settings.legacy_access_key:
        return *principal_among(roles, settings), None
    if rotation.credentials_secret is None:
        return None, None, None
    try:
        return None, outside.legacy_user(rotation.credentials_secret).arn, None
    except PermanentError as problem:
        return None, None, problem.message


def _look_at_wanted(outside: Outside, project: Project, rotation: Rotation) -> tuple[KeyDescription | None, str | None]:
    if rotation.wanted_key is None:
        return None, None
    region = rotation.region or rotation.old_key.region
    arn = locate_key(rotation.wanted_key, account=rotation.old_key.account, region=region)
    if arn is None:
        return None, None
    keys = keys_holding(outside, project, arn)
    return unless_forbidden(lambda: keys.describe(arn)), unless_forbidden(lambda: keys.policy(arn))


def _where_a_key_is_made(outside: Outside, project: Project, rotation: Rotation) -> tuple[str | None, str | None]:
    """The account in which a new key will be made, else why that cannot be said; neither where none will be."""
    if rotation.wanted_key is not None or rotation.strategy is not Strategy.NEW_CMK:
        return None, None
    try:
        return keys_for(outside, project, rotation.old_key.region).account, None
    except PermanentError as problem:
        return None, problem.message


def _key_made_abroad(rotation: Rotation, principal: str | None, made_in: str | None) -> KeyArn | None:
    """Stands for the key that will be made in another account than the principal's, whose policy is not enough."""
    if principal is None or made_in in {None, account_of(principal)}:
        return None
    return any_key(account=made_in, region=rotation.old_key.region, partition=rotation.old_key.partition)


def _grants(outside: Outside, project: Project, principal: str | None, key: KeyArn | None) -> dict[str, Grant] | None:
    """What the principal's own policies say; they can be asked in its own account only."""
    if principal is None or key is None:
        return None
    role = project.policy.kms_role_arn
    ours = role if role is not None and role.split(":")[4] == principal.split(":")[4] else None
    return unless_forbidden(lambda: outside.roles(ours).allows(principal, ATLAS_ACTIONS, key))
