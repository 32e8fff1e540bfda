"""Locates: what a person names, the projects of a key, and KMS in the account and region where a key lives."""

from collections.abc import Iterable

from chalicelib.domain.arn import KeyArn, parse_key_arn, parse_key_id
from chalicelib.domain.records import Deletion, Key, Project, Rotation
from chalicelib.domain.refusals import No, Refusal
from chalicelib.usecases.ports import Keys, Outside


def project_named(outside: Outside, project_id: str) -> Project:
    """The project that a person names; raises Refusal when there is none."""
    project = outside.tracker.project(project_id)
    if project is None:
        raise Refusal(No.UNKNOWN, f"there is no project {project_id}")
    return project


def rotation_named(outside: Outside, project_id: str, rotation_id: str) -> Rotation:
    """The rotation of a project that a person names; raises Refusal when there is none."""
    rotation = outside.tracker.rotation(project_id, rotation_id)
    if rotation is None:
        project_named(outside, project_id)
        raise Refusal(No.UNKNOWN, f"project {project_id} has no rotation {rotation_id}")
    return rotation


def key_named(outside: Outside, name: str, *, account: str | None, region: str | None) -> Key:
    """The key that a person names by its id or ARN, however spelt; raises Refusal when that is none, or several."""
    bare, arn = parse_key_id(name), parse_key_arn(name)
    found = [
        key
        for key in (outside.tracker.keys_named(bare) if bare is not None else ())
        if account in {None, key.arn.account} and region in {None, key.arn.region} and arn in {None, key.arn}
    ]
    if not found:
        raise Refusal(No.UNKNOWN, f"there is no key {name}")
    if len(found) > 1:
        choices = ", ".join(sorted(f"account={key.arn.account} region={key.arn.region}" for key in found))
        raise Refusal(No.INVALID, f"{name} names several keys, say which: {choices}", choices=choices)
    return found[0]


def deletion_named(outside: Outside, deletion_id: str) -> Deletion:
    """The deletion that a person names; raises Refusal when there is none."""
    deletion = outside.tracker.deletion(deletion_id)
    if deletion is None:
        raise Refusal(No.UNKNOWN, f"there is no deletion {deletion_id}")
    return deletion


def projects_of(outside: Outside, key: Key) -> tuple[Project, ...]:
    """Every project that uses the key or ever used it, as far as the tracker knows it."""
    found = (outside.tracker.project(project_id) for project_id in key.projects)
    return tuple(project for project in found if project is not None)


def keys_among(outside: Outside, arn: KeyArn, projects: Iterable[Project]) -> Keys:
    """KMS in the account and region of a key: our own account, or the role that a policy of its projects names."""
    roles = (project.policy.kms_role_arn for project in projects)
    role = next((role for role in roles if role is not None and f"::{arn.account}:" in role), None)
    return outside.keys(arn.region, role)


def keys_holding(outside: Outside, project: Project, arn: KeyArn) -> Keys:
    """KMS in the account and region of one of a project's keys, wherever its next keys will be made."""
    return keys_among(outside, arn, (project,))


def keys_for(outside: Outside, project: Project, region: str) -> Keys:
    """KMS in the account where a project's next keys are made."""
    return outside.keys(region, project.policy.kms_role_arn)
