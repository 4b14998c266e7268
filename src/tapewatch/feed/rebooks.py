"""Mends books whose snapshots come in the stream: a broken one is subscribed anew, with back-off a symbol."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

from ..engine import Need
from ..model.instrument import Universe
from .snapshots import SnapshotQueue

TOGETHER_S = 0.2
"""Books that break in one moment are asked for in one command."""
AT_A_TIME = 50


class Resubscriber:
    """Does for such books what `books.BookLoader` does for those of REST; `run` ends by cancellation.

    A book that is followed for the first time, or whose connection was lost, gets its snapshot with the subscription.
    If diffs come and no snapshot does, the book says so itself (`book.sync`).
    """

    def __init__(self, universe: Universe, subscribe_again: Callable[[Sequence[str]], None], random: Random) -> None:
        self.queue = SnapshotQueue(random)
        self.loaded = 0
        """Books asked for anew."""
        self.failed: Counter[str] = Counter()
        """Books that broke, by reason."""
        self._universe = universe
        self._subscribe_again = subscribe_again
        self._changed = asyncio.Event()

    def want(self, needs: Iterable[Need]) -> None:
        """Queue the books that are not the venue's any more. Those that only begin wait for their first snapshot."""
        now = asyncio.get_running_loop().time()
        for need in needs:
            if need.reason in ("start", "disconnect"):
                continue
            self.failed[need.reason] += 1
            if self.queue.want(self._universe[need.instrument].symbol, need.reason, now):
                self._changed.set()

    def start(self, symbol: str) -> None:
        """A book is followed for the first time: its snapshot comes with the subscription."""

    def streaming(self, symbols: Iterable[str]) -> None:
        """Diffs of these books are coming now."""
        self.queue.streaming(symbols, asyncio.get_running_loop().time())
        self._changed.set()

    def put_first(self, symbols: Iterable[str]) -> None:
        self.queue.put_first(symbols)

    async def run(self) -> None:
        """Subscribe anew what broke, those of one moment together, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            broken: list[str] = []
            while len(broken) < AT_A_TIME and (symbol := self.queue.peek(loop.time())) is not None:
                self.queue.take(symbol)
                self.queue.answered(symbol, True, loop.time())
                broken.append(symbol)
            if broken:
                self.queue.interrupted(broken)
                self._subscribe_again(broken)
                self.loaded += len(broken)
                await asyncio.sleep(TOGETHER_S)
                continue
            wait_s = self.queue.next_at_s() - loop.time()
            try:
                async with asyncio.timeout(max(TOGETHER_S, wait_s) if wait_s < float("inf") else None):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(TOGETHER_S)
