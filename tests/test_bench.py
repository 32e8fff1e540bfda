"""What the benches reckon by: slopes, goals, and dollars of metered units."""

import tomllib
from datetime import date
from pathlib import Path

import pytest

from bench.__main__ import goals_of, summary_of
from bench.gauges.dollars import Prices, of_fleet, read_prices
from bench.gauges.figures import AT_LEAST, AT_MOST, goal, read_goal, slope

PRICES = Path(__file__).parent.parent / "bench" / "prices.toml"


@pytest.mark.parametrize("power", [0, 0.5, 1, 2])
def test_the_slope_is_the_power_by_which_a_figure_grows(power):
    assert slope({x: 7 * x**power for x in (1, 10, 500)}) == pytest.approx(power)


def test_a_printed_goal_is_read_back_as_it_was_meant():
    reached, missed = read_goal(goal("a / b", 0.5, AT_MOST, 0.8)), read_goal(goal("c: d", 6.9, AT_LEAST, 7, digits=1))

    assert (reached.name, reached.figure, reached.reached, reached.ratio) == ("a / b", 0.5, True, 0.625)
    assert (missed.name, missed.bound, missed.limit, missed.reached) == ("c: d", AT_LEAST, 7, False)


def test_a_goal_of_nothing_at_all_has_no_ratio():
    assert read_goal(goal("slope", -0.01, AT_MOST, 0.0)).ratio is None


def test_other_lines_are_no_goals():
    for line in ("| 1 | 2 |", "calls / floor: 0.5 (no goal)", ""):
        assert read_goal(line) is None


def test_the_last_table_has_every_goal_of_every_bench():
    said = {Path("one.py"): ["One", goal("a", 2, AT_MOST, 1)], Path("two.py"): ["Two", goal("b", 1, AT_MOST, 1)]}

    rows = list(goals_of(said))[1:]

    assert rows == ["| one.py | a | 2 | <= 1 | 2.00 | MISSED |", "| two.py | b | 1 | <= 1 | 1.00 | reached |"]
    assert summary_of(said) == "1 goals reached, 1 missed"


def test_dollars_are_units_by_their_prices():
    prices = Prices(region="here", read=date(2026, 1, 2), each={"call": 0.5, "key": 2}, assumed={})

    assert prices.dollars({"call": 10, "key": 3}) == {"call": 5, "key": 6}


def test_what_has_no_price_is_not_free():
    prices = Prices(region="here", read=date(2026, 1, 2), each={}, assumed={})

    with pytest.raises(KeyError):
        prices.dollars({"call": 1})


def test_a_fleet_s_units_lie_on_the_line_through_two_metered_ones():
    assert of_fleet((1, {"start": 4, "call": 10}), (3, {"start": 4, "call": 30}), 100) == {"start": 4, "call": 1000}


def test_every_price_says_where_and_when_it_was_read_and_is_for_one_unit():
    prices = read_prices(PRICES)
    written = tomllib.loads(PRICES.read_text(encoding="utf-8"))

    assert (prices.region, prices.read) == (written["region"], written["read"])
    assert prices.each["lambda_request"] == pytest.approx(0.20 / 1_000_000)


def test_a_price_without_a_source_is_refused(tmp_path):
    page = tmp_path / "prices.toml"
    page.write_text('region = "r"\nread = 2026-01-01\n[call]\ndollars = 1\nper = 1\nsource = "hearsay"\n[assumed]\n')

    with pytest.raises(ValueError, match="call"):
        read_prices(page)
