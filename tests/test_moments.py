"""Which moments of others can be meant."""

from datetime import UTC, datetime

import pytest

from chalicelib.domain.moments import is_meant


@pytest.mark.parametrize(
    ("year", "meant"), [(1, False), (1970, False), (1971, True), (2027, True), (8999, True), (9000, False)]
)
def test_a_moment_is_meant_between_the_years_1970_and_9000(year, meant):
    assert is_meant(datetime(year, 6, 1, tzinfo=UTC)) is meant
