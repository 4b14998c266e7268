"""The research desk of a running program: live bars from the engines, all else from the desk's own process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from ..alerts.rule import Rule
from ..config import StoreConfig
from ..desk.ask import Ask
from ..desk.bars import ONE_BIN, UPLOAD, of_candles
from ..desk.mids import SECOND_MS, VenueMids
from ..hub.columns import Market
from ..hub.requests import MAX_LOOKBACK
from ..model.errors import NotReadyError
from ..research.series import Bars
from .child import Child

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 120.0
READY_AFTER_S = 10.0
"""After the start, when the market is there: libraries that take two seconds to load are not to slow its coming."""
READY_EVERY_S = 20.0
"""Between two looks whether the process is there; a question that took too long has ended it."""
WANTED_S = 120.0
"""So long after a question a symbol counts as looked at."""
SERIES_AT_ONCE = 16
"""Live series read from an engine before the event loop has its turn again: half a millisecond or so."""


class Desk:
    """Puts questions about bars."""

    def __init__(self, venues: Mapping[str, Market], store: StoreConfig | None) -> None:
        self._venues = venues
        self._child = Child("desk", store, about="the research desk", within_s=ANSWER_WITHIN_S)
        # A scan keeps its process busy for a minute, in which people go on studying pairs.
        self._scans = Child("desk", store, about="the pair scanner", within_s=ANSWER_WITHIN_S, lasting=False)
        self._asked: dict[tuple[str, str], float] = {}
        """Venue and symbol, and when a pair or a single series of them was asked for last."""
        self._mids: dict[str, VenueMids] = {}

    async def keep_ready(self) -> None:
        """Have the process there, its libraries loaded, before anybody asks."""
        await asyncio.sleep(READY_AFTER_S)
        while True:
            if not self._child.running:
                try:
                    await self._child.ask("ready")
                except NotReadyError as error:
                    log.warning("desk_not_ready reason=%r", str(error))
            await asyncio.sleep(READY_EVERY_S)

    def wanted(self, venue: str) -> list[str]:
        """Symbols of a venue that somebody studies: what is loaded of their day comes first."""
        now = time.monotonic()
        self._asked = {key: at for key, at in self._asked.items() if now - at < WANTED_S}
        return [symbol for name, symbol in self._asked if name == venue]

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

    async def ask(self, ask: Ask, progress: Callable[[int, int], None] | None = None) -> bytes:
        """Answer one question, as JSON; raises UsageError with the sentence that says why there is no answer."""
        # Where no trades are stored, the last trades of live seconds are the nearest there is to ticks.
        if len(ask.series) <= 2:
            now = time.monotonic()
            self._asked |= {(venue, symbol): now for venue, _, symbol in (one.partition(":") for one in ask.series)}
        seconds = msgspec.structs.replace(ask, tf_ms=SECOND_MS, count=MAX_LOOKBACK) if ask.kind == "ticks" else ask
        live = {} if ask.kind == "hawkes" else await self._live(ask.series, seconds)  # which is of stored trades
        child = self._scans if ask.kind == "scan" else self._child
        answer: bytes = await child.ask("ask", ask, live, progress=progress)
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
        await self._child.stop()
        await self._scans.stop()


def _before(bars: Bars, end_ms: int) -> Bars | None:
    """Bars that had ended by `end_ms`."""
    n = int(np.searchsorted(bars.open_ms, end_ms - bars.tf_ms, side="right"))
    return bars.first(n) if n else None
