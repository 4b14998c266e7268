"""What a topic's frames add up to, for topics that tell rows in `meta` and for the steps of `cvd`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .stream import Frame

Row = dict[str, Any]
NAMES = {
    "basis": ("exchange", "symbol"),
    "funding": ("exchange", "symbol"),
    "interest": ("exchange", "symbol"),
    "whales": ("exchange", "id"),
    "flow": ("exchange", "symbol"),
}
"""What a row of each topic is about: the row of the same name is its newer self."""


class Rows:
    """Rows by name, in the order in which they were first told, and the newest head (`meta` without its rows)."""

    def __init__(self, topic: str) -> None:
        self._names = NAMES[topic]
        self.by_name: dict[tuple[Any, ...], Row] = {}
        self.head: Row = {}

    def apply(self, frame: Frame) -> None:
        """Take a frame; beyond `meta.limit` rows the oldest by `ts` are forgotten."""
        if frame.type == "snapshot":
            self.by_name.clear()
        for row in frame.meta["rows"]:
            self.by_name[tuple(row[name] for name in self._names)] = row
        self.head = {name: value for name, value in frame.meta.items() if name != "rows"}
        limit = self.head.get("limit")
        if limit is not None and len(self.by_name) > limit:
            newest = sorted(self.by_name.items(), key=lambda item: (item[1]["ts"], item[1]["id"]), reverse=True)
            self.by_name = dict(newest[:limit])

    @property
    def rows(self) -> list[Row]:
        return list(self.by_name.values())


class Steps:
    """The topic `cvd`: a row a step, for every market of `meta["markets"]` its price and net flow."""

    def __init__(self) -> None:
        self.meta: Row = {}
        self.ts_ms: NDArray[np.float64] = np.zeros(0)
        self.price: list[NDArray[np.float64]] = []
        self.net: list[NDArray[np.float64]] = []

    def apply(self, frame: Frame) -> None:
        """A delta replaces all steps from its first one on; steps before `first_ts` have left the span."""
        markets = len(frame.meta["markets"])
        fresh = frame.columns["ts_ms"]
        if frame.type == "snapshot":
            self.ts_ms, self.price, self.net = np.zeros(0), [np.zeros(0)] * markets, [np.zeros(0)] * markets
        keep = slice(
            int(np.searchsorted(self.ts_ms, frame.meta["first_ts"])),
            int(np.searchsorted(self.ts_ms, fresh[0])) if len(fresh) else len(self.ts_ms),
        )
        self.price = [np.concatenate([self.price[k][keep], frame.columns[f"price_{k}"]]) for k in range(markets)]
        self.net = [np.concatenate([self.net[k][keep], frame.columns[f"net_{k}"]]) for k in range(markets)]
        self.ts_ms = np.concatenate([self.ts_ms[keep], fresh])
        self.meta = frame.meta

    def cvd(self, market: int) -> NDArray[np.float64]:
        """The running sum of one market's net flow from the first step on; NaN before it is held."""
        net = self.net[market]
        held = np.maximum.accumulate(~np.isnan(net)) if len(net) else np.zeros(0, bool)
        sums: NDArray[np.float64] = np.where(held, np.cumsum(np.nan_to_num(net)), np.nan)
        return sums
