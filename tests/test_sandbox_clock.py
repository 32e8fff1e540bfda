"""The virtual clock goes forward only, and knows its time zone."""

from datetime import datetime, timedelta

import pytest
from strict_kms_world import START

from sandbox.clock import VirtualClock


def test_the_virtual_clock_never_goes_back():
    clock = VirtualClock(START)

    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance_to(START - timedelta(seconds=1))


def test_the_virtual_clock_wants_a_time_zone():
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake itself
