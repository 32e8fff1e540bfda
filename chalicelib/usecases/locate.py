"""Locates: projects by name or by key, and KMS in the account and region where a key lives."""

from collections.abc import Iterable

from chalicelib.domain.arn import KeyArn
from chalicelib.domain.records import Key, Project
from chalicelib.domain.refusals import No, Refusal
from chalicelib.usecases.ports import Keys, Outside


def project_named(outside: Outside, project_id: str) -> Project:
    """The project that a person names; raises Refusal when there is none."""
    project = outside.tracker.project(project_id)
    if project is None:
        raise Refusal(No.UNKNOWN, f"there is no project {project_id}")
    return project


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
