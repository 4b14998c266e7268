"""Average daily volumes from the venue's daily klines: loaded once, again after each UTC midnight."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from random import Random

from ..model.errors import FrameError
from .backoff import Backoff
from .rest import RestError, VenueRest
from .sink import Sink

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
AFTER_MIDNIGHT_MS = 5 * 60_000
"""The day's kline needs a moment to be final."""
AT_A_TIME = 4
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0

Average = Callable[..., tuple[Decimal, int]]


class AdvLoader:
    """Tells the sink every instrument's average daily volume, larger markets first."""

    def __init__(self, rest: VenueRest, sink: Sink, days: int, random: Random, average: Average) -> None:
        """`average` reads an answer with daily klines; see `venues.product.Product.daily_volume`."""
        self.loaded: dict[str, int] = {}
        """Symbols whose average is known, and the UTC day it was taken on."""
        self._rest = rest
        self._sink = sink
        self._days = days
        self._average = average
        self._symbols: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random)

    def follow(self, symbols: Iterable[str], volume: Mapping[str, float]) -> None:
        """These are the instruments from now on."""
        self._symbols = {symbol: volume.get(symbol, 0.0) for symbol in symbols}
        self._changed.set()

    async def run(self) -> None:
        """Load what is missing or from an earlier day, for ever."""
        while True:
            self._changed.clear()
            missing = self._missing()
            failures = await self._load_all(missing)
            if failures:
                log.warning("adv_failed symbols=%d of=%d reason=%r", len(failures), len(missing), failures[0])
                wait_s = self._backoff.next_s()
            else:
                self._backoff.reset()
                wait_s = (DAY_MS - (self._rest.venue_ms() - AFTER_MIDNIGHT_MS) % DAY_MS) / 1000
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _today(self) -> int:
        return (self._rest.venue_ms() - AFTER_MIDNIGHT_MS) // DAY_MS

    def _missing(self) -> list[str]:
        today = self._today()
        missing = [symbol for symbol in self._symbols if self.loaded.get(symbol) != today]
        return sorted(missing, key=lambda symbol: -self._symbols[symbol])

    async def _load_all(self, symbols: list[str]) -> list[str]:
        """Load these, a few at a time; returns the sentences of what failed."""
        waiting = iter(symbols)
        failures: list[str] = []

        async def load() -> None:
            for symbol in waiting:
                try:
                    await self._load(symbol)
                except (RestError, FrameError) as error:
                    failures.append(f"{symbol}: {error}")

        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_A_TIME):
                tasks.create_task(load())
        return failures

    async def _load(self, symbol: str) -> None:
        today = self._today()
        body = await self._rest.daily_klines(symbol, self._days)
        volume, days = self._average(body, now_ms=self._rest.venue_ms(), days=self._days)
        self._sink.on_adv(symbol, volume, days)
        self.loaded[symbol] = today
