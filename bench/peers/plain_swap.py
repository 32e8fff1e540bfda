"""The script that people write themselves: create a key, change the settings, trust the answers.

It looks for nothing, checks nothing, records nothing and reads nothing back. What it has been told beforehand (the
role, the project, a token) is not timed.
"""

import base64
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

ROOT = Path(__file__).resolve().parents[2]
VERSION = "application/vnd.atlas.2023-01-01+json"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A sandbox, a project in it, and how to come in."""

    aws: dict[str, Any]
    atlas: str
    token: str
    project_id: str
    role_id: str
    role_arn: str


@contextmanager
def sandbox() -> Iterator[Place]:
    """A sandbox in a process of its own, stopped at the end."""
    command = [sys.executable, "-m", "sandbox", "serve"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        try:
            if running.stdout is None:
                raise RuntimeError("the sandbox says nothing")
            yield _enter(json.loads(running.stdout.readline()))
        finally:
            running.terminate()


def create_and_swap(
    place: Place,
    *,
    per_aws_call: float,
    per_atlas_call: float,
    alias: str | None = None,
    after: Callable[[str], None] = lambda _step: None,
) -> str:
    """Make a key and name it in the settings; two calls, each as slow as it is told (seconds). Gives the key's ARN.

    With an alias there is a step between them: it is made, or moved to the new key. `after` hears of each step done.
    """
    kms = boto3.client("kms", **place.aws)
    time.sleep(per_aws_call)
    key: str = kms.create_key(Policy=_policy(place))["KeyMetadata"]["Arn"]
    after("create")
    if alias is not None:
        _move_alias(kms, alias, key)
        after("alias")
    block = {
        "enabled": True,
        "customerMasterKeyID": key,
        "region": key.split(":")[3].upper().replace("-", "_"),
        "roleId": place.role_id,
    }
    time.sleep(per_atlas_call)
    _ask(place.atlas, place.token, "PATCH", f"/groups/{place.project_id}/encryptionAtRest", {"awsKms": block})
    after("patch")
    return key


def _move_alias(kms: Any, alias: str, key: str) -> None:  # noqa: ANN401 - boto3 ships no types
    known = {one["AliasName"] for one in kms.list_aliases()["Aliases"]}
    move = kms.update_alias if alias in known else kms.create_alias
    move(AliasName=alias, TargetKeyId=key)


def key_in_settings(place: Place) -> str:
    """Which key the project's settings name; for who checks that the work was done."""
    answer = _ask(place.atlas, place.token, "GET", f"/groups/{place.project_id}/encryptionAtRest")
    return str(answer["awsKms"]["customerMasterKeyID"])


def entered(stage: Any, project_id: str) -> Place:  # noqa: ANN401 - a stage of the sandbox in this process
    """How to come into a project of a stage."""
    world = stage.world
    aws = {
        "endpoint_url": world.aws.address,
        "region_name": world.aws.region,
        "aws_access_key_id": world.aws.admin.access_key_id,
        "aws_secret_access_key": world.aws.admin.secret_access_key,
    }
    token = _token(world.place.address, *world.place.owner)
    role = _ask(world.place.address, token, "GET", f"/groups/{project_id}/cloudProviderAccess")["awsIamRoles"][0]
    role_id, role_arn = role["roleId"], role["iamAssumedRoleArn"]
    return Place(
        aws=aws, atlas=world.place.address, token=token, project_id=project_id, role_id=role_id, role_arn=role_arn
    )


def _enter(said: dict[str, Any]) -> Place:
    admin = said["admin"]
    aws = {
        "endpoint_url": said["aws"],
        "region_name": "us-east-1",
        "aws_access_key_id": admin["access_key_id"],
        "aws_secret_access_key": admin["secret_access_key"],
    }
    secrets = boto3.client("secretsmanager", **aws)
    name = secrets.list_secrets()["SecretList"][0]["Name"]
    owner = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])["owner"]
    token = _token(said["atlas"], owner["client_id"], owner["client_secret"])
    projects = _ask(said["atlas"], token, "GET", "/groups")["results"]
    project_id = next(project["id"] for project in projects if project["name"] == "payments")
    roles = _ask(said["atlas"], token, "GET", f"/groups/{project_id}/cloudProviderAccess")["awsIamRoles"]
    role_id, role_arn = roles[0]["roleId"], roles[0]["iamAssumedRoleArn"]
    return Place(aws=aws, atlas=said["atlas"], token=token, project_id=project_id, role_id=role_id, role_arn=role_arn)


def _token(atlas: str, client_id: str, secret: str) -> str:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    request = urllib.request.Request(f"{atlas}/api/oauth/token", data=b"grant_type=client_credentials", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(json.load(answer)["access_token"])


def _ask(atlas: str, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}", "Accept": VERSION, "Content-Type": VERSION}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{atlas}/api/atlas/v2{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def _policy(place: Place) -> str:
    account = {"AWS": f"arn:aws:iam::{place.role_arn.split(':')[4]}:root"}
    uses = ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"]
    statements = [
        {"Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": place.role_arn}, "Action": uses, "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
