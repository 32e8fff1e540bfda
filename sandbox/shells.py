"""Writes, for each person of a sandbox, the lines that make a shell theirs."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from sandbox.world import World

_OWNER_ALONE = 0o600


def write_shells(folder: Path, world: World, api: str) -> None:
    """Write `ada.env` and the others into a folder, for their owner alone; what was there is replaced.

    Operators get the address of the API and credentials; the administrator gets the address of the pretend AWS.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    region = {"AWS_DEFAULT_REGION": world.aws.region, "AWS_REGION": world.aws.region}
    for person in world.operators:
        name = person.arn.rpartition("/")[2].removeprefix("operator-")
        credentials = _credentials(person.access_key_id, person.secret_access_key)
        _write(folder / f"{name}.env", name, {"KEYTURN_ENDPOINT": api, **region, **credentials})
    admin = _credentials(world.aws.admin.access_key_id, world.aws.admin.secret_access_key)
    _write(folder / "admin.env", "the administrator", {"AWS_ENDPOINT_URL": world.aws.address, **region, **admin})


def _credentials(access_key_id: str, secret_access_key: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": access_key_id, "AWS_SECRET_ACCESS_KEY": secret_access_key}


def _write(path: Path, who: str, settings: Mapping[str, str]) -> None:
    lines = [
        f"# Makes a shell that of {who}. Pretend credentials: they open a sandbox and nothing else.",
        "unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL",
        *(f"export {name}={shlex.quote(value)}" for name, value in settings.items()),
    ]
    path.unlink(missing_ok=True)  # a file of before would keep its own mode
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _OWNER_ALONE), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
