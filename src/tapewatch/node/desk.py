"""The research desk of a running program: live bars from the engines, all else from the desk's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..alerts.rule import Rule
from ..config import StoreConfig
from ..desk.bars import ONE_BIN, UPLOAD, of_candles
from ..desk.mids import SECOND_MS, VenueMids
from ..desk.questions import Ask
from ..hub.columns import Market
from ..hub.requests import MAX_LOOKBACK
from ..research.series import Bars
from .child import Child

ANSWER_WITHIN_S = 120.0
SERIES_AT_ONCE = 16
"""Live series read from an engine before the event loop has its turn again: half a millisecond or so."""


class Desk:
    """Puts questions about bars."""

    def __init__(self, venues: Mapping[str, Market], store: StoreConfig | None) -> None:
        self._venues = venues
        self._child = Child("desk", store, about="the research desk", within_s=ANSWER_WITHIN_S)

        self._mids: dict[str, VenueMids] = {}

    def observe(self) -> None:
        """Keep the mids of this moment; called once a second."""
        for name, market in self._venues.items():
            self._mids_of(name, market).keep()

    def _mids_of(self, name: str, market: Market) -> VenueMids:
        """Begun anew with a new engine: after a seek of a replay time runs anew."""
        known = self._mids.get(name)
        if known is None or known.engine is not market.engine:
            known = self._mids[name] = VenueMids(market.engine)
        return known

    async def ask(self, ask: Ask, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """Answer one question; raises UsageError with the sentence that says why there is no answer."""
        # Where no trades are stored, the last trades of live seconds are the nearest there is to ticks.
        seconds = msgspec.structs.replace(ask, tf_ms=SECOND_MS, count=MAX_LOOKBACK) if ask.kind == "ticks" else ask
        live = {} if ask.kind == "hawkes" else await self._live(ask.series, seconds)  # which is of stored trades
        answer: dict[str, Any] = await self._child.ask("ask", ask, live, progress=progress)
        return answer

    async def uploads(self) -> list[dict[str, Any]]:
        """Uploaded series: one row a name and length of bars."""
        rows: list[dict[str, Any]] = await self._child.ask("uploads")
        return rows

    async def dry_run(self, rule: Rule, start_ms: int, end_ms: int) -> dict[str, Any]:
        """What an alert rule would have done over stored minutes; raises why that cannot be told."""
        told: dict[str, Any] = await self._child.ask("dry_run", rule, start_ms, end_ms)
        return told

    async def _live(self, names: Sequence[str], ask: Ask) -> dict[str, Bars]:
        """Bars that were complete by the end asked for: a growing one has a price, but not the volume of a bar."""
        found: dict[str, Bars] = {}
        for k, name in enumerate(names):
            if k % SERIES_AT_ONCE == SERIES_AT_ONCE - 1:
                await asyncio.sleep(0)
            venue, _, symbol = name.partition(":")
            market = self._venues.get(venue)
            instrument = None if market is None or venue == UPLOAD else market.engine.universe.find(symbol)
            if market is None or instrument is None:
                continue
            if ask.prices == "mids":
                bars = self._mids_of(venue, market).bars(instrument.index, name, ask.tf_ms)
            else:
                count = min(ask.count + 1, MAX_LOOKBACK)
                bars = of_candles(market.engine.footprint(instrument.index, ask.tf_ms, ONE_BIN, count), name)
            end_ms = min(ask.end_ms or market.engine.clock_ms, market.engine.clock_ms)
            if bars is not None and (complete := _before(bars, end_ms)) is not None:
                found[name] = complete
        return found

    async def close(self) -> None:
        await self._child.close()


def _before(bars: Bars, end_ms: int) -> Bars | None:
    """Bars that had ended by `end_ms`."""
    n = int(np.searchsorted(bars.open_ms, end_ms - bars.tf_ms, side="right"))
    return bars.first(n) if n else None
