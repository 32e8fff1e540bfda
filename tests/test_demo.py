"""The demo has teeth: it ends well because the verdict is right, and badly when the verdict is made wrong."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.domain.observed import Snapshot
from sandbox.demo import tell

DAYS = 70
"""Long enough for a key to drain, to be given up, and to be missed by a snapshot."""


class BlindToShards:
    """An Atlas reader to whom the list of sharded snapshots is always empty."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        return iter(())


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(capsys.readouterr().out)
    return outcome


def test_the_story_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    status = tell(as_json=True, days=DAYS)

    outcome = told(capsys)
    assert (status, outcome["ok"], outcome["broken"]) == (0, True, [])
    assert outcome["restored"] > 0
    assert outcome["rotations_deployed"] > 0


def test_whoever_ignores_the_sharded_list_loses_snapshots_and_the_demo_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = tell(as_json=True, days=DAYS, around_atlas=BlindToShards)

    outcome = told(capsys)
    assert (status, outcome["ok"]) == (1, False)
    assert any("of events cannot be restored" in line for line in outcome["broken"])
