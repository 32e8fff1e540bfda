"""The demo has teeth: it ends well because the verdict is right, and badly when the verdict is made wrong."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from figures import FULL_SIZE

from chalicelib.domain.observed import Snapshot
from chalicelib.usecases.ports import TemporaryError
from sandbox.demo import DAYS as WHOLE
from sandbox.demo import tell
from sandbox.demo_proof import FREE_WITHIN

DAYS = 70
"""Long enough for the key of a blinded sweep to be given up, and to be missed by a snapshot."""


class BlindToShards:
    """An Atlas reader to whom the list of sharded snapshots is always empty."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        return iter(())


class NeverSure:
    """An Atlas reader to whom no list of sharded snapshots ever answers."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        raise TemporaryError(f"the list of {cluster} does not answer", call="sharded snapshots", code="503")


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads(capsys.readouterr().out)
    return outcome


def test_the_story_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    status = tell(as_json=True, days=DAYS)

    outcome = told(capsys)
    assert (status, outcome["ok"], outcome["broken"]) == (0, True, [])
    assert outcome["restored"] > 0
    assert outcome["rotations_deployed"] > 0


@pytest.mark.parametrize(
    "days", [DAYS, pytest.param(WHOLE, marks=pytest.mark.skipif(not FULL_SIZE, reason="`make prove` tells all of it"))]
)
def test_whoever_ignores_the_sharded_list_loses_snapshots_and_the_demo_says_so(
    capsys: pytest.CaptureFixture[str], days: int
) -> None:
    status = tell(as_json=True, days=days, around_atlas=BlindToShards)

    outcome = told(capsys)
    assert (status, outcome["ok"]) == (1, False)
    assert any("of events could not be restored" in line for line in outcome["broken"])


def test_where_no_old_key_ever_becomes_free_the_demo_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    status = tell(as_json=True, days=FREE_WITHIN, around_atlas=NeverSure)

    assert (status, told(capsys)["broken"]) == (1, ["no old key became free"])
