"""Draws docs/states.md from the state tables of rotations and deletions: `python docs/draw_states.py`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from chalicelib.domain import approval, rotation  # noqa: E402 - the path must be set first
from chalicelib.domain.vocabulary import DeletionState, RotationState  # noqa: E402 - as above

STATES = ROOT / "docs" / "states.md"
State = TypeVar("State", bound=RotationState | DeletionState)
Event = TypeVar("Event", bound=StrEnum)


def draw(title: str, table: dict[tuple[State, Event], State], states: type[State], first: State) -> str:
    """One state machine as a Mermaid diagram."""
    arrows = [f"    {start} --> {end}: {event.replace('_', ' ')}" for (start, event), end in table.items()]
    ends = [f"    {state} --> [*]" for state in states if state.terminal]
    return "\n".join(
        [f"## {title}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *arrows, *ends, "```", ""]
    )


def document() -> str:
    """The whole page."""
    return "\n".join(
        [
            "# States",
            "",
            "Drawn from the tables in the code by `python docs/draw_states.py`; a test compares them.",
            "",
            draw("A rotation", rotation.TABLE, RotationState, RotationState.REQUESTED),
            draw("A deletion", approval.TABLE, DeletionState, DeletionState.REQUESTED),
        ]
    )


if __name__ == "__main__":
    STATES.write_text(document(), encoding="utf-8")
