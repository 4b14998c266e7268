"""Loads book snapshots: the queue decides which, the weight budget when, both decide how deep."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from ..engine import Need
from ..model.errors import FrameError
from ..model.instrument import Universe
from .budget import Priority
from .rest import RestError, VenueRest
from .sink import Sink
from .snapshots import SnapshotQueue

log = logging.getLogger(__name__)

TAIL_DEPTH = 100
"""Levels asked for books nobody looks at while many are waiting: 5 of weight instead of 20."""
LEADERS = 20
"""The largest markets get their whole depth before it is known that there is enough for all."""
AT_A_TIME = 4
LOOK_AGAIN_S = 1.0
"""While the budget is used up: somebody may have looked at a book meanwhile, so the choice is made late."""


class BookLoader:
    """Gives every followed book its snapshot, for ever. Owned by the feed; `run` ends by cancellation."""

    def __init__(
        self, rest: VenueRest, sink: Sink, universe: Universe, full_depth: int, random: Random,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.queue = SnapshotQueue(random)
        self.loaded = 0
        self.failed: Counter[str] = Counter()
        """Snapshots that were asked for and of no use, by reason."""
        self._rest = rest
        self._sink = sink
        self._universe = universe
        self._full_depth = full_depth
        self._clock = clock
        self._changed = asyncio.Event()
        self._room = asyncio.Semaphore(AT_A_TIME)
        self._troubled = False

    def want(self, needs: Iterable[Need]) -> None:
        """Queue the books that asked for a snapshot."""
        now = asyncio.get_running_loop().time()
        for need in needs:
            if self.queue.want(self._universe[need.instrument].symbol, need.reason, now):
                self._changed.set()

    def start(self, symbol: str) -> None:
        """Queue a book that is followed for the first time."""
        self.want([Need(self._universe.get(symbol).index, "start")])

    def streaming(self, symbols: Iterable[str]) -> None:
        """Diffs of these books are coming now."""
        self.queue.streaming(symbols, asyncio.get_running_loop().time())
        self._changed.set()

    def put_first(self, symbols: Iterable[str]) -> None:
        self.queue.put_first(symbols)
        self._changed.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._room.acquire()
                self._changed.clear()
                symbol = self.queue.peek(loop.time())
                if symbol is not None and self._affordable(symbol):
                    self.queue.take(symbol)
                    tasks.create_task(self._load_and_leave(symbol, self._depth(symbol)))
                    # The request takes its weight in its own task; the next choice must see that.
                    await asyncio.sleep(0)
                    continue
                self._room.release()
                wait_s = LOOK_AGAIN_S if symbol is not None else max(0.0, self.queue.next_at_s() - loop.time())
                try:
                    async with asyncio.timeout(wait_s if wait_s < float("inf") else None):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    def _priority(self, symbol: str) -> Priority:
        return Priority.VISIBLE_BOOK if self.queue.is_first(symbol) else Priority.BOOK

    def _affordable(self, symbol: str) -> bool:
        room = self._rest.budget.room(self._priority(symbol), self._rest.venue_ms())
        return self._rest.depth_weight(self._depth(symbol)) <= room

    def _depth(self, symbol: str) -> int:
        """Visible books get their whole depth always, others while at least half of this minute's weight is left.

        A storm of resyncs would otherwise use the minute up in seconds and leave the last books stale for the rest.
        """
        if self.queue.is_first(symbol):
            return self._full_depth
        left = self._rest.budget.room(Priority.BOOK, self._rest.venue_ms())
        whole = self._rest.depth_weight(self._full_depth)
        others = 0 if self.queue.is_leader(symbol, LEADERS) else (len(self.queue) - 1) * whole
        plenty = left - whole - others >= self._rest.budget.limit // 2
        return self._full_depth if plenty else min(self._full_depth, TAIL_DEPTH)

    async def _load_and_leave(self, symbol: str, depth: int) -> None:
        try:
            await self._load(symbol, depth)
        finally:
            self._room.release()
            self._changed.set()

    async def _load(self, symbol: str, depth: int) -> None:
        """Ask for one snapshot and hand it on; whatever goes wrong, the book stays queued."""
        loop = asyncio.get_running_loop()
        try:
            body = await self._rest.depth(symbol, depth, self._priority(symbol))
            needs = self._sink.on_snapshot(symbol, body, self._clock(), depth)
        except (RestError, FrameError) as error:
            self._note(symbol, error)
            self.queue.answered(symbol, False, loop.time())
            return
        self._troubled = False
        mine = [need for need in needs if self._universe[need.instrument].symbol == symbol]
        self.queue.answered(symbol, not mine, loop.time())
        self.want(need for need in needs if need not in mine)
        if mine:
            self.failed[mine[0].reason] += 1
        else:
            self.loaded += 1

    def _note(self, symbol: str, error: RestError | FrameError) -> None:
        self.failed[error.reason if isinstance(error, FrameError) else type(error).__name__] += 1
        if not self._troubled:
            self._troubled = True
            log.warning("snapshot_failed symbol=%s reason=%r", symbol, str(error))
