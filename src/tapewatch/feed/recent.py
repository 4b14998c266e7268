"""Brings trades back where REST tells only the newest ones of a symbol, and none by id.

One answer reaches back as far as it does: what an interruption has hidden among its trades is filled, what is older
stays a gap. So interruptions are seen to before anything else, busy symbols in sight first, and each symbol is asked
for once at the start, which of a quiet one tells the whole day.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random

from ..engine import Need
from ..model.errors import FrameError
from ..model.gaps import Fate
from ..venues.product import Product
from .backfill import FIRST_RETRY_S, LONGEST_RETRY_S, LOOK_EVERY_S
from .backoff import Backoff
from .budget import Priority
from .pages import SETTLE_S, TRIES, Progress
from .rest import RestError, VenueRest
from .sink import Sink

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """How often in a row a symbol has been asked for in vain, and when that may be done again."""

    tries: int = 0
    not_before_s: float = 0.0


class RecentTrades:
    """Does for such a venue what `backfill.TradeBackfill` does for those that can be asked from an id on."""

    def __init__(
        self, product: Product, rest: VenueRest, sink: Sink, wanted: Callable[[list[Need]], None],
        is_first: Callable[[str], bool], random: Random, clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.filled = 0
        """Trades brought back into gaps, and from behind the newest one held."""
        self.loaded = 0
        """Trades of before the start brought in."""
        self.given_up: dict[str, int] = {}
        """None: of the gaps that stay nobody knows how many trades each hides."""
        self._cost = max(1, product.trades.page_weight)
        self._rest = rest
        self._sink = sink
        self._wanted = wanted
        self._is_first = is_first
        self._clock = clock
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random)
        self._rates: Mapping[str, float] = {}
        self._heard_since: dict[str, float] = {}
        """Symbols whose trades are streamed, and since when without interruption."""
        self._begun: set[str] = set()
        """Symbols that have been asked for once: what they had before the start is loaded."""
        self._asked: dict[str, _Asked] = {}

    def expect(self, trades_per_s: Mapping[str, float]) -> None:
        """How busy each symbol is expected to be: those reach back the shortest."""
        self._rates = trades_per_s

    def interrupted(self, symbols: Iterable[str]) -> None:
        """Trades of these symbols do not come."""
        for symbol in symbols:
            self._heard_since.pop(symbol, None)

    def streaming(self, symbols: Iterable[str]) -> None:
        """They come again."""
        for symbol in symbols:
            self._heard_since.setdefault(symbol, asyncio.get_running_loop().time())

    def progress(self) -> Progress:
        """How many symbols have been asked for what was before the start."""
        symbols = len(self._begun | self._heard_since.keys())
        done = len(self._begun)
        return Progress(symbols, done, symbols - done, done / symbols if symbols else 1.0)

    async def run(self) -> None:
        """Fill for ever; what was before the start when nothing else is to be asked."""
        while True:
            wanted = self._next_interrupted() or self._next_begun()
            if wanted is None:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            symbol, priority = wanted
            try:
                await self._load(symbol, priority)
            except (RestError, FrameError) as error:
                log.warning("backfill_failed symbol=%s reason=%r", symbol, str(error))
                if isinstance(error, FrameError) or not getattr(error, "retryable", True):
                    self._begun.add(symbol)
                    self._judge(symbol)
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._backoff.reset()
            if priority in (Priority.VISIBLE_HISTORY, Priority.HISTORY):
                await asyncio.sleep(LOOK_EVERY_S)  # a page is ten milliseconds of work, and these have time

    def _next_interrupted(self) -> tuple[str, Priority] | None:
        """The symbol whose page of trades runs out first, of those in sight, else of all."""
        now_s = asyncio.get_running_loop().time()
        lost = {hole.symbol for hole in self._sink.trade_holes()}
        lost |= {tail.symbol for tail in self._sink.trade_tails() if tail.doubtful}
        for symbol in self._asked.keys() - lost:
            del self._asked[symbol]
        ripe = [symbol for symbol in lost if self._is_ripe(symbol, now_s)]
        return self._affordable(ripe, Priority.GAP_FILL, Priority.BACKFILL)

    def _is_ripe(self, symbol: str, now_s: float) -> bool:
        asked = self._asked.setdefault(symbol, _Asked(not_before_s=now_s + SETTLE_S))
        heard_s = self._heard_since.get(symbol)
        return heard_s is not None and now_s >= max(asked.not_before_s, heard_s + SETTLE_S)

    def _next_begun(self) -> tuple[str, Priority] | None:
        now_s = asyncio.get_running_loop().time()
        heard = self._heard_since.items()
        fresh = [symbol for symbol, heard_s in heard if now_s - heard_s >= SETTLE_S and symbol not in self._begun]
        return self._affordable(fresh, Priority.VISIBLE_HISTORY, Priority.HISTORY)

    def _affordable(self, symbols: list[str], seen: Priority, others: Priority) -> tuple[str, Priority] | None:
        """The most urgent of these that can be paid for now: those in sight, then the busiest."""
        for symbol in sorted(symbols, key=lambda symbol: (not self._is_first(symbol), -self._rates.get(symbol, 0.0))):
            priority = seen if self._is_first(symbol) else others
            if self._rest.budget.room(priority, self._rest.venue_ms()) >= self._cost:
                return symbol, priority
        return None

    async def _load(self, symbol: str, priority: Priority) -> None:
        heard_s = self._heard_since.get(symbol)
        body = await self._rest.newest_trades(symbol, priority)
        if self._heard_since.get(symbol) != heard_s:
            return  # interrupted meanwhile: what the stream brings next need not follow this answer
        filled, loaded, needs = self._sink.on_newest(symbol, body, self._clock())
        self._begun.add(symbol)
        self.filled += filled
        self.loaded += loaded
        self._wanted(needs)
        self._judge(symbol)

    def _judge(self, symbol: str) -> None:
        """What an answer has left open is newer than it: asked for again, and given up after a while."""
        left = [hole for hole in self._sink.trade_holes() if hole.symbol == symbol]
        doubtful = any(tail.symbol == symbol and tail.doubtful for tail in self._sink.trade_tails())
        if not left and not doubtful:
            self._asked.pop(symbol, None)
            return
        asked = self._asked.setdefault(symbol, _Asked())
        asked.tries += 1
        asked.not_before_s = asyncio.get_running_loop().time() + SETTLE_S * 2.0**asked.tries
        if asked.tries < TRIES:
            return
        del self._asked[symbol]
        if doubtful:
            self._sink.tail_told(symbol, whole=True)  # nothing more can be known until the next trade
        for hole in left:
            self._sink.give_up(hole, Fate.REFUSED)
            log.warning("gap_stays symbol=%s to_ms=%d fate=%s", symbol, hole.to_ms, Fate.REFUSED.name)
