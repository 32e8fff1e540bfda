"""Draws the table of parameters in docs/deploy.md from the template: `python docs/draw_deploy.py`."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from package.template import read  # noqa: E402 - the path must be set first

PAGE = ROOT / "docs" / "deploy.md"
_PLACE = re.compile(r"(?<=<!-- parameters -->\n).*?(?=<!-- end of parameters -->)", re.DOTALL)


def row(name: str, parameter: dict[str, Any]) -> str:
    """One parameter: its name, its default, what it is for."""
    default = parameter.get("Default")
    shown = "**needed**" if default is None else f"`{default}`" if str(default) else "empty"
    return f"| `{name}` | {shown} | {parameter['Description'].strip().replace('|', chr(92) + '|')} |"


def document() -> str:
    """The whole page, with the table as the template has it."""
    parameters = read(ROOT / ".chalice" / "resources.yaml")["Parameters"]
    table = "\n".join(
        ["| parameter | default | what it is |", "|---|---|---|", *(row(*one) for one in parameters.items()), ""]
    )
    return _PLACE.sub(lambda _: table, PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(document(), encoding="utf-8")
