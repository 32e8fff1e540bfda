"""`python -m sandbox serve` keeps a pretend world running, `python -m sandbox demo` tells the story of one."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

SCENARIO_NAMES = ("due-today", "draining", "drift", "rogue-deletion", "paused-cluster", "lost-permission")
"""As in sandbox/scenarios.py, which is not loaded for the sake of a help text."""
_LAST_PORT = 65535


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit status."""
    given = _parser().parse_args(arguments)
    if given.command == "serve":
        from sandbox.serve import serve

        return serve(port=given.port, atlas_url=given.atlas_url, scenario=given.scenario, env=given.env)
    from sandbox.demo import tell

    return tell(quiet=given.quiet, as_json=given.json)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number up to {_LAST_PORT}, not {text}")
    return int(text)


def _folder(text: str) -> Path:
    try:
        Path(text).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as problem:
        raise argparse.ArgumentTypeError(f"no folder can be made there: {problem}") from problem
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="keep a pretend world running on loopback")
    serve.add_argument("--port", type=_port, default=0, help="of the API; any free one by default")
    world = serve.add_mutually_exclusive_group()
    world.add_argument("--atlas-url", help="an Atlas to use instead of the embedded one")
    world.add_argument("--scenario", choices=SCENARIO_NAMES, help="begin where something is to be seen")
    serve.add_argument("--env", type=_folder, help="a folder for ada.env and grace.env, which make a shell theirs")
    demo = commands.add_parser("demo", help="tell the whole story and prove it")
    demo.add_argument("--quiet", action="store_true", help="only the end")
    demo.add_argument("--json", action="store_true", help="one JSON document for scripts")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
