"""Brings trades back: what a gap hides or may hide, and today's before we came. Which and when, `pages` decides."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from random import Random

from ..engine import Need
from ..model.errors import FrameError
from ..model.gaps import Fate
from ..venues.product import Product
from .backoff import Backoff
from .budget import Priority
from .pages import Page, PagePlan, Progress
from .rest import RefusedError, RestError, VenueRest
from .sink import NO_ID, Sink, TradeHole

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.5
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0


class TradeBackfill:
    """Asks for one page after the other, gaps and history side by side, each within its share of the weight."""

    def __init__(
        self, product: Product, rest: VenueRest, sink: Sink, wanted: Callable[[list[Need]], None],
        is_first: Callable[[str], bool], random: Random, clock: Callable[[], int] = time.time_ns,
        is_busy: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.plan = PagePlan(product.trades, is_first)
        self.filled = 0
        """Trades brought back into gaps, and from behind the newest one held."""
        self.loaded = 0
        """Trades of today's history brought in."""
        self.given_up: dict[str, int] = {}
        """Trades that nobody asks for any more, by symbol."""
        self._ids = product.trade_ids
        self._rest = rest
        self._sink = sink
        self._wanted = wanted
        self._clock = clock
        self._is_busy = is_busy
        self._random = random

    def expect(self, trades_per_s: Mapping[str, float]) -> None:
        """How busy each symbol is expected to be: decides whose history is cheap."""
        self.plan.rates = trades_per_s

    def progress(self) -> Progress:
        """How far today's history has come."""
        return self.plan.progress(self._sink.history_edges(), self._rest.venue_ms())

    def interrupted(self, symbols: Iterable[str]) -> None:
        """Trades of these symbols do not come."""
        self.plan.interrupted(symbols)

    def streaming(self, symbols: Iterable[str]) -> None:
        """They come again."""
        self.plan.streaming(symbols, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Fill and load, for ever; nothing where the venue gives no trades back."""
        if not self.plan.rule.page:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(self._next_hole))
            tasks.create_task(self._keep(self._next_tail))
            tasks.create_task(self._keep(self._next_history))

    async def _keep(self, choose: Callable[[], Page | None]) -> None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random)
        while True:
            page = choose()
            if page is None:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                await self._load(page)
            except RefusedError as error:
                self._refused(page, str(error))
            except (RestError, FrameError) as error:
                log.warning("backfill_failed symbol=%s reason=%r", page.symbol, str(error))
                if isinstance(error, FrameError):
                    self._judge(page, [])  # one answer that nobody can read must not hold up all others for ever
                await asyncio.sleep(backoff.next_s())
            else:
                backoff.reset()

    def _room(self, priority: Priority) -> int:
        return self._rest.budget.room(priority, self._rest.venue_ms())

    def _next_hole(self) -> Page | None:
        return self.plan.next_hole(self._sink.trade_holes(), asyncio.get_running_loop().time(), self._room)

    def _next_tail(self) -> Page | None:
        now_s = asyncio.get_running_loop().time()
        return self.plan.next_tail(self._sink.trade_tails(), now_s, self._rest.venue_ms(), self._room)

    def _next_history(self) -> Page | None:
        """Books come first: while some wait for a snapshot, only the history in sight goes on."""
        page = self.plan.next_history(self._sink.history_edges(), self._rest.venue_ms(), self._room)
        return None if page is not None and page.priority is Priority.HISTORY and self._is_busy() else page

    async def _load(self, page: Page) -> None:
        body = await self._rest.trades(page.symbol, page.from_id, page.limit, page.priority)
        ids = self._ids(body)
        if ids != sorted(set(ids)):
            raise FrameError("bad_trades", f"trades from {page.from_id} on are not in order")
        ids = page.wanted(ids)
        if page.takes(ids):
            brought = sum(number < page.stop for number in ids)
            if page.hole is not None:  # between two gaps that one page fills lie trades that are held
                holes = [hole for hole in self._sink.trade_holes() if hole.symbol == page.symbol]
                brought = sum(any(hole.first_id <= number <= hole.last_id for hole in holes) for number in ids)
            self._wanted(self._sink.on_trades(page.symbol, body, self._clock()))
            if page.is_history:
                self.loaded += len(ids) if page.from_id == NO_ID else brought
            else:
                self.filled += brought
        if page.tail is not None:
            self._sink.tail_told(page.symbol, whole=len(ids) < page.limit or page.from_id == NO_ID)
        self._judge(page, ids)

    def _judge(self, page: Page, ids: list[int]) -> None:
        now_s = asyncio.get_running_loop().time()
        for hole, fate in self.plan.judge(page, ids, self._sink.trade_holes(), now_s, self._rest.venue_ms()):
            self._give_up(hole, fate)

    def _refused(self, page: Page, reason: str) -> None:
        log.warning("backfill_refused symbol=%s from_id=%d reason=%r", page.symbol, page.from_id, reason)
        if page.tail is not None:
            self._sink.tail_told(page.symbol, whole=True)  # nothing more can be known until the next trade
        elif page.hole is None:
            self.plan.end_history(page)
        else:
            self._give_up(page.hole, Fate.REFUSED)

    def _give_up(self, hole: TradeHole, fate: Fate) -> None:
        self.given_up[hole.symbol] = self.given_up.get(hole.symbol, 0) + hole.last_id - hole.first_id + 1
        self._sink.give_up(hole, fate)
        log.warning(
            "gap_stays symbol=%s first_id=%d last_id=%d fate=%s", hole.symbol, hole.first_id, hole.last_id, fate.name
        )
