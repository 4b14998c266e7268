"""Today's one-minute klines of every symbol: CVD since 00:00 UTC for a few weight units, trades or no trades."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random

from ..model.errors import FrameError
from ..venues.product import Product
from .backoff import Backoff
from .budget import Priority
from .pages import midnight
from .rest import RefusedError, RestError, VenueRest
from .sink import HistoryEdge, Sink

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
MINUTE_MS = 60_000
SETTLED_MS = 3_000
"""After its end a minute's kline needs a moment to be final."""
TRIES = 3
"""Answers of one symbol that may be of no use, before it is left alone for a while."""
AGAIN_MS = 3_600_000
ROOM = 10
"""Weight that must be free before a symbol is chosen: whoever comes into sight meanwhile goes first."""
PRIORITY = {True: Priority.ADV, False: Priority.KLINES}
"""Of symbols in sight, and of others."""
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0


class KlineLoader:
    """Asks once for the minutes from 00:00 UTC on of each symbol whose trades begin later, those in sight first.

    The minute of the oldest trade held is told by its kline as a whole, so nothing is asked before it is over.
    """

    def __init__(
        self, product: Product, rest: VenueRest, sink: Sink, is_first: Callable[[str], bool], random: Random
    ) -> None:
        self.rates: Mapping[str, float] = {}
        """Expected trades a second by symbol: the busiest go first, their history is the longest to load."""
        self.loaded: dict[str, int] = {}
        """Until when there are klines, ms, by symbol."""
        self._product = product
        self._rest = rest
        self._sink = sink
        self._is_first = is_first
        self._failed: Counter[str] = Counter()
        self._again_ms: dict[str, int] = {}
        """When a symbol whose answers were of no use is asked for again."""
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random)

    def progress(self) -> tuple[int, int]:
        """Symbols whose CVD of today begins with klines or shall, and of how many they have come."""
        if self._product.minute_klines is None:
            return 0, 0
        today = midnight(self._rest.venue_ms())
        edges = [edge for edge in self._sink.history_edges() if edge.first_ms >= today]
        return len(edges), sum(self._is_led(edge) for edge in edges)

    def _is_led(self, edge: HistoryEdge) -> bool:
        """Whether klines reach its oldest trade, which is another one where ids have begun anew."""
        return self.loaded.get(edge.symbol, 0) > edge.first_ms

    async def run(self) -> None:
        """Load, for ever; nothing where the venue's klines do not tell who bought."""
        if self._product.minute_klines is None:
            return
        while True:
            edge = self._next()
            if edge is None:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                await self._load(edge)
            except (RestError, FrameError) as error:
                log.warning("klines_failed symbol=%s reason=%r", edge.symbol, str(error))
                if isinstance(error, FrameError | RefusedError):
                    self._note_failure(edge.symbol, for_now=isinstance(error, RefusedError))
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._backoff.reset()

    def _note_failure(self, symbol: str, *, for_now: bool) -> None:
        """Leave a symbol alone for an hour `for_now`, or where it has failed often enough."""
        self._failed[symbol] += 1
        if for_now or self._failed[symbol] >= TRIES:
            del self._failed[symbol]
            self._again_ms[symbol] = self._rest.venue_ms() + AGAIN_MS

    def _next(self) -> HistoryEdge | None:
        now_ms = self._rest.venue_ms()
        today = midnight(now_ms)
        room = {first: self._rest.budget.room(PRIORITY[first], now_ms) for first in (True, False)}
        wanted = [
            edge
            for edge in self._sink.history_edges()
            if edge.first_ms >= today
            and room[self._is_first(edge.symbol)] >= ROOM
            and not self._is_led(edge)
            and now_ms >= self._again_ms.get(edge.symbol, 0)
            and now_ms >= (edge.first_ms // MINUTE_MS + 1) * MINUTE_MS + SETTLED_MS
        ]
        return min(wanted, key=self._urgency, default=None)

    def _urgency(self, edge: HistoryEdge) -> tuple[bool, float]:
        return not self._is_first(edge.symbol), -self.rates.get(edge.symbol, 0.0)

    async def _load(self, edge: HistoryEdge) -> None:
        symbol = edge.symbol
        now_ms = self._rest.venue_ms()
        start_ms = midnight(now_ms)
        end_ms = (now_ms - SETTLED_MS) // MINUTE_MS * MINUTE_MS
        bodies = await self._rest.minute_klines(symbol, start_ms, end_ms, PRIORITY[self._is_first(symbol)])
        self.loaded[symbol] = self._sink.on_klines(symbol, bodies)
        if not self._is_led(edge):
            raise FrameError("bad_klines", f"those of {symbol} end before its oldest trade")
