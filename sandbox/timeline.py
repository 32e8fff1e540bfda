"""The timeline: what happens, told line by line as it happens; a notice as it would be read.

A kind of notice is told whole the first time, later by its subject and the lines that matter each time.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console

Shape = Mapping[str, Any]

ATTENTION = ("Attention:", "Proof:", "Approved by:", "Disabled since:", "KMS deletes")
"""How the lines begin that are told every time."""

_COUNTED = "snapshots"
_INDENT = " " * 18


@dataclass(kw_only=True)
class Timeline:
    """Tells on a console; remembers what was told, so that nothing is told twice."""

    console: Console
    _heard: int = 0
    _told_whole: set[str] = field(default_factory=set)
    _drained: dict[str, str] = field(default_factory=dict)

    @property
    def heard(self) -> int:
        """How many notices were told."""
        return self._heard

    def say(self, at: datetime, text: str) -> None:
        """Tell one line; the text may hold rich's markup."""
        self.console.print(f"[dim]{at:%Y-%m-%d %H:%M}[/]  {text}", highlight=False)

    def hear(self, inbox: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Tell the messages that are new, and give them."""
        new = inbox[self._heard :]
        self._heard = len(inbox)
        for message in new:
            self._tell(message)
        return new

    def _tell(self, message: Shape) -> None:
        self.say(datetime.fromisoformat(message["time"]), f"[bold cyan]{message['subject']}[/]")
        kind = str(message["attributes"].get("kind"))
        lines = [line for line in str(message["body"]).splitlines() if line.strip()]
        if kind in self._told_whole:
            lines = [line for line in lines if line.startswith(ATTENTION)]
        self._told_whole.add(kind)
        for line in lines:
            self.console.print(f"{_INDENT}{line}", highlight=False, markup=False)

    def show_draining(self, at: datetime, keys: Iterable[Shape], names: Mapping[str, str]) -> None:
        """Tell of each old key how far it has drained, if that changed since it was last told."""
        for key in keys:
            if key["state"] != "retiring" or not key["reasons"]:
                continue
            text = _draining(key)
            if self._drained.get(key["arn"]) != text:
                self._drained[key["arn"]] = text
                self.say(at, f"{owner_of(key, names)}' old key {short(key['key_id'])}: {text}")


def short(key: str) -> str:
    """The end of a key's name, enough to tell it from the others."""
    return f"…{key[-4:]}"


def owner_of(key: Shape, names: Mapping[str, str]) -> str:
    """The names of the projects that a key belongs to."""
    return ", ".join(names.get(project, project) for project in key["projects"])


def _draining(key: Shape) -> str:
    counts = [cluster["snapshots"] for cluster in key["clusters"]]
    expiries = [cluster["last_expiry"] for cluster in key["clusters"] if cluster["last_expiry"]]
    others = sorted({reason["text"] for reason in key["reasons"] if reason["kind"] != _COUNTED})
    noun = "snapshot" if sum(counts) == 1 else "snapshots"
    left = f"{sum(counts)} {noun} left" + (f", the last until {max(expiries)[:10]}" if expiries else "")
    return "; ".join([left, *others])
