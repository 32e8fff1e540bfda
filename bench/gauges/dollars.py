"""Dollars of metered units, by the prices of a dated file; and units of a fleet, by those of two smaller ones."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

Units = Mapping[str, float]
"""How many of what the price file names."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What AWS asks for, where and when that was read, and what is taken for granted."""

    region: str
    read: date
    each: Mapping[str, float]
    assumed: Mapping[str, float]

    def dollars(self, units: Units) -> dict[str, float]:
        """What each kind of unit costs; KeyError for one without a price."""
        return {name: count * self.each[name] for name, count in units.items()}


def read_prices(path: Path) -> Prices:
    """Read a price file; each price must say where it is from."""
    text = tomllib.loads(path.read_text(encoding="utf-8"))
    region, read, assumed = (text.pop(name) for name in ("region", "read", "assumed"))
    unsourced = [name for name, price in text.items() if not price["source"].startswith("https://")]
    if unsourced:
        raise ValueError(f"prices without a source: {unsourced}")
    each = {name: price["dollars"] / price["per"] for name, price in text.items()}
    return Prices(region=region, read=read, each=each, assumed=assumed)


def of_fleet(few: tuple[int, Units], more: tuple[int, Units], projects: int) -> dict[str, float]:
    """The units of so many projects: a straight line through two fleets that were metered."""
    (low, units), (high, others) = few, more
    names = dict.fromkeys([*units, *others])
    slopes = {name: (others.get(name, 0) - units.get(name, 0)) / (high - low) for name in names}
    return {name: units.get(name, 0) + slopes[name] * (projects - low) for name in names}
