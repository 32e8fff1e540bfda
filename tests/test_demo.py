"""The demo has teeth: it ends well because the verdict is right, and badly when the verdict is made wrong."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from figures import FULL_SIZE
from rich.console import Console

from chalicelib.domain.observed import Snapshot
from sandbox.cast import stage
from sandbox.demo import DAYS as WHOLE
from sandbox.demo import tell
from sandbox.demo_proof import DELETED_WITHIN, FREE_WITHIN, prove
from sandbox.demo_story import begin, live
from sandbox.timeline import Timeline

BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
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
    """An Atlas reader to whom every cluster has one more snapshot, for ever, and nobody knows with which key."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def sharded_snapshots(self, project_id: str, cluster: str) -> Iterator[Snapshot]:
        yield from self._reader.sharded_snapshots(project_id, cluster)
        yield Snapshot(snapshot_id="f" * 24, status="completed", key=None, created_at=BEFORE, expires_at=None)


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


def test_a_story_that_lasts_and_in_which_nothing_came_of_old_keys_ends_badly() -> None:
    with stage() as set_up:
        story = begin(set_up, Timeline(console=Console(quiet=True)))
        live(story, 2, lambda: None)

        assert prove(story, 2)["broken"] == []
        assert prove(story, FREE_WITHIN)["broken"] == ["no old key became free"]
        assert prove(story, DELETED_WITHIN)["broken"] == [
            "no old key was held by the sleeping cluster",
            "no old key became free",
            "no old key was deleted",
        ]


@pytest.mark.skipif(not FULL_SIZE, reason="`make prove` lives through it")
def test_where_no_old_key_ever_becomes_free_the_demo_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    status = tell(as_json=True, days=FREE_WITHIN, around_atlas=NeverSure)

    assert (status, told(capsys)["broken"]) == (1, ["no old key became free"])
