"""What a person has chosen to look at: coin, venues, and for each panel a window and a unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

Panel = Literal["flow", "cvd", "basis", "funding", "clusters", "whales"]
PANELS: tuple[Panel, ...] = get_args(Panel)
"""In the order of the screen: two columns, three rows."""

WINDOWS: dict[Panel, tuple[str, ...]] = {
    "flow": ("1m", "5m", "15m", "10s"),
    "cvd": ("15m", "1h", "4h", "24h", "5m"),
    "basis": ("1h", "24h"),
    "funding": ("1h", "24h"),
    "clusters": ("24h", "1h", "4h"),
    "whales": ("all", "1h", "15m", "5m"),
}
"""The first is what a panel begins with. Of basis and funding: how long ago the present is compared with."""
UNITS: dict[Panel, tuple[str, ...]] = {
    "flow": ("USD/min",),
    "cvd": ("usd", "base"),
    "basis": ("bps", "%"),
    "funding": ("% per 8 h", "% a year", "own interval"),
    "clusters": ("USD",),
    "whales": ("USD", "coins"),
}
ALL = "all"


@dataclass(frozen=True, slots=True)
class Choice:
    """One moment's choices; every key makes a new one."""

    coins: tuple[str, ...]
    coin: str
    venue: str = ALL
    windows: tuple[str, ...] = tuple(WINDOWS[panel][0] for panel in PANELS)
    units: tuple[str, ...] = tuple(UNITS[panel][0] for panel in PANELS)

    @classmethod
    def of(cls, coins: tuple[str, ...]) -> Choice:
        return cls(coins, coins[0])

    def window(self, panel: Panel) -> str:
        return self.windows[PANELS.index(panel)]

    def unit(self, panel: Panel) -> str:
        return self.units[PANELS.index(panel)]

    def next_coin(self, by: int = 1) -> Choice:
        return replace(self, coin=_next(self.coins, self.coin, by))

    def next_venue(self, venues: tuple[str, ...]) -> Choice:
        """All of them, then each."""
        return replace(self, venue=_next((ALL, *venues), self.venue, 1))

    def next_window(self, panel: Panel) -> Choice:
        return replace(self, windows=_with(self.windows, panel, _next(WINDOWS[panel], self.window(panel), 1)))

    def next_unit(self, panel: Panel) -> Choice:
        return replace(self, units=_with(self.units, panel, _next(UNITS[panel], self.unit(panel), 1)))


def _next(values: tuple[str, ...], value: str, by: int) -> str:
    at = values.index(value) + by if value in values else 0
    return values[at % len(values)]


def _with(values: tuple[str, ...], panel: Panel, value: str) -> tuple[str, ...]:
    at = PANELS.index(panel)
    return (*values[:at], value, *values[at + 1 :])
