"""Draws docs/cli.md from the help of every command: `python docs/draw_cli.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "cli.md"
_COMMAND = re.compile(r"^  ([a-z]+)  ", re.MULTILINE)
_FORGOTTEN = {"KEYTURN_ENDPOINT", "TERMINAL_WIDTH"}


_BETWEEN = "\x1e"
_ASK = f"""
import sys
from cli.__main__ import app
for name in sys.argv[1:]:
    app([*name.split(), "--help"], prog_name="keyturn", standalone_mode=False)
    print({_BETWEEN!r})
"""


def helps_of(*commands: str) -> list[str]:
    """What `--help` prints on a terminal of 80 columns, per command; an empty one is the program itself."""
    environment = {name: value for name, value in os.environ.items() if name not in _FORGOTTEN} | {"COLUMNS": "80"}
    call = [sys.executable, "-c", _ASK, *commands]
    done = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    texts = done.stdout.split(_BETWEEN)[: len(commands)]
    return ["\n".join(line.rstrip() for line in text.strip("\n").splitlines()) for text in texts]


def commands(overview: str) -> list[str]:
    """The commands that the overview lists."""
    return _COMMAND.findall(overview.partition("\nCommands:\n")[2])


def section(title: str, text: str) -> str:
    """One command's help under its name."""
    return f"## {title}\n\n```text\n{text}\n```\n"


def document() -> str:
    """The whole page."""
    (overview,) = helps_of("")
    names = commands(overview)
    sections = [section(f"keyturn {name}", text) for name, text in zip(names, helps_of(*names), strict=True)]
    return "\n".join([_INTRODUCTION, section("keyturn", overview), *sections])


_INTRODUCTION = """# The command line

Drawn from the help of every command by `python docs/draw_cli.py`; a test compares them.

`pip install '.[cli]'` in a checkout installs `keyturn`; `keyturn --install-completion` teaches it to your shell. Calls
are signed with your own AWS credentials, found as the AWS CLI finds them: environment, profiles, SSO, roles.
`KEYTURN_ENDPOINT` spares you `--endpoint`: it is the stack's output `EndpointURL`, or the address of a sandbox.
"""

if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
