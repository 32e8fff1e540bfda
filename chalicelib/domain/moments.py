"""Moments that others write: which of them can be meant."""

from datetime import datetime

YEARS = range(1971, 9000)
"""Beyond them no time is meant: 1970 is how a machine writes none, and counting on may leave the calendar."""


def is_meant(moment: datetime) -> bool:
    """Whether a moment that somebody else wrote can be one that they mean."""
    return moment.year in YEARS
