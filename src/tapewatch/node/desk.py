"""The research desk of a running program: live bars from the engines, all else from the desk's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..config import StoreConfig
from ..desk.bars import ONE_BIN, UPLOAD, of_candles
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

    async def ask(self, ask: Ask, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """Answer one question; raises UsageError with the sentence that says why there is no answer."""
        live = await self._live(ask.series, ask)
        answer: dict[str, Any] = await self._child.ask("ask", ask, live, progress=progress)
        return answer

    async def _live(self, names: Sequence[str], ask: Ask) -> dict[str, Bars]:
        found: dict[str, Bars] = {}
        for k, name in enumerate(names):
            if k % SERIES_AT_ONCE == SERIES_AT_ONCE - 1:
                await asyncio.sleep(0)
            venue, _, symbol = name.partition(":")
            market = self._venues.get(venue)
            instrument = None if market is None or venue == UPLOAD else market.engine.universe.find(symbol)
            if market is None or instrument is None:
                continue
            count = min(ask.count + 1, MAX_LOOKBACK)
            bars = of_candles(market.engine.footprint(instrument.index, ask.tf_ms, ONE_BIN, count), name)
            # The newest bar is still growing: its close is a price, its volume and range are not those of a bar.
            complete = (
                None
                if bars is None
                else _before(bars, min(ask.end_ms or market.engine.clock_ms, market.engine.clock_ms))
            )
            if complete is not None:
                found[name] = complete
        return found

    async def close(self) -> None:
        await self._child.close()


def _before(bars: Bars, end_ms: int) -> Bars | None:
    """Bars that had ended by `end_ms`."""
    n = int(np.searchsorted(bars.open_ms, end_ms - bars.tf_ms, side="right"))
    return bars.first(n) if n else None
