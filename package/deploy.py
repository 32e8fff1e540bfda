"""Deploys what `make package` has built, and takes it down again: `python -m package.deploy deploy|undeploy STAGE`.

It finds credentials and region as every AWS tool does, and honours AWS_ENDPOINT_URL. Parameters come from
`stages/STAGE.json` where there is such a file, and from --parameters; what is given nowhere keeps its last value.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from package.rules import FUNCTION, of_type
from package.shelf import Shelf
from package.stack import Refused, Stack, endangered
from package.template import Template, read, write

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "build" / "package"
LIVE = "live"


def stack_name(stage: str) -> str:
    """The stack of a stage: `keyturn` for `live`, `keyturn-<stage>` for any other."""
    return "keyturn" if stage == LIVE else f"keyturn-{stage}"


def parameters_of(stage: str, pairs: list[str], folder: Path) -> dict[str, str]:
    """The parameters for a stage: its file's, and over them NAME=VALUE pairs; raises Refused for what is neither."""
    path = folder / f"{stage}.json"
    try:
        found = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise Refused(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refused(f"{path} must be one JSON object of texts, by the parameters' names")
    odd = [pair for pair in pairs if "=" not in pair]
    if odd:
        raise Refused(f"parameters are given as NAME=VALUE, not as {odd[0]}")
    return found | dict(pair.split("=", 1) for pair in pairs)


def packaged(template: Template, bucket: str, key: str) -> Template:
    """The template with every function's code taken from the bucket."""
    for function in of_type(template, FUNCTION).values():
        function["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    return template


def deploy(given: argparse.Namespace) -> int:
    """Upload the package, propose a change, show it, and carry it out."""
    parameters = parameters_of(given.stage, given.parameters, given.stages)
    stack = Stack(_client("cloudformation"), stack_name(given.stage))
    shelf = _shelf(given.bucket)
    template = packaged(read(given.package / "sam.yaml"), shelf.bucket, shelf.put(given.package / "deployment.zip"))
    finished = given.package / "packaged.yaml"
    write(template, finished)
    change_set = stack.propose(shelf.address(shelf.put(finished)), template, parameters)
    if change_set is None:
        _say(f"{stack.name} is as it should be: nothing to change")
        return 0
    effects = stack.effects(change_set)
    for effect in effects:
        _say(str(effect))
    lost = [effect for effect in endangered(effects) if effect.logical_id not in given.may_replace]
    if given.dry_run or lost:
        stack.drop(change_set)
    if lost:
        names = ", ".join(effect.logical_id for effect in lost)
        raise Refused(f"this would take away {names}: if that is meant, --may-replace {lost[0].logical_id}")
    if given.dry_run:
        _say(f"nothing was changed: --dry-run shows what would be done to {stack.name}")
        return 0
    _say(f"{stack.name}: {stack.execute(change_set)}")
    _say(json.dumps(stack.outputs(), indent=2, sort_keys=True))
    return 0


def undeploy(given: argparse.Namespace) -> int:
    """Delete the stack; the table stays, and no key is touched."""
    stack = Stack(_client("cloudformation"), stack_name(given.stage))
    for left in stack.delete():
        _say(f"kept {left}")
    _say(f"{stack.name} is gone; the keys in KMS and the secrets are as they were")
    return 0


def _client(service: str) -> Any:  # noqa: ANN401 - boto3 ships no types
    return boto3.client(service, config=Config(retries={"mode": "standard"}))


def _shelf(bucket: str | None) -> Shelf:
    who = _client("sts")
    return Shelf(
        _client("s3"), account=who.get_caller_identity()["Account"], region=who.meta.region_name, bucket=bucket
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    asked = argparse.ArgumentParser(prog="python -m package.deploy", description=__doc__)
    commands = asked.add_subparsers(dest="command", required=True)
    up = commands.add_parser("deploy", help="make or change the stack")
    up.add_argument("stage")
    up.add_argument(
        "--parameters", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="of the template"
    )
    up.add_argument("--bucket", help="where packages lie; by default one that is made for it")
    up.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    up.add_argument("--may-replace", action="append", default=[], metavar="ID", help="the table, if it must be so")
    up.add_argument("--package", type=Path, default=PACKAGE, help="what `make package` wrote")
    up.add_argument("--stages", type=Path, default=ROOT / "stages", help="the folder of the parameters' files")
    up.set_defaults(work=deploy)
    down = commands.add_parser("undeploy", help="delete the stack; the table and every key stay")
    down.add_argument("stage")
    down.set_defaults(work=undeploy)
    return asked


def main(arguments: list[str]) -> int:
    """Do what is asked; every refusal is told in words, with exit status 1."""
    given = parser().parse_args(arguments)
    try:
        return int(given.work(given))
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"AWS refused or was not reached: {error}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
