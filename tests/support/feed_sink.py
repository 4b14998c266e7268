"""Who takes what the feed loads, in a test of the feed alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

from tapewatch.engine import Need
from tapewatch.feed.sink import HistoryEdge, TradeHole, TradeTail
from tapewatch.model.gaps import Fate
from tapewatch.model.instrument import Instrument
from tapewatch.model.interest import OpenInterest

DAY = 20_000 * 86_400_000
"""The day of everything here, by its first millisecond."""


class Taker:
    """A sink that notes what it is given and answers what the test says."""

    def __init__(self) -> None:
        self.snapshots: list[str] = []
        self.answers: dict[str, list[Need | Exception]] = {}
        self.adv: dict[str, tuple[Decimal, int]] = {}
        self.interest: list[tuple[str, Decimal]] = []
        self.trades: list[int] = []
        self.holes: list[TradeHole] = []
        self.given_up: dict[TradeHole, Fate] = {}
        self.tails: list[TradeTail] = []
        self.told: dict[str, int] = {}
        self.first: dict[str, int] = {}
        """Oldest trade of symbols whose ids are milliseconds since midnight."""

    def on_universe(self, _instruments: list[Instrument]) -> list[Need]:
        raise AssertionError

    def on_frames(self, _buffer: bytearray, _ends: Sequence[int], _recv_ns: int) -> list[Need]:
        raise AssertionError

    def on_disconnect(self, _symbols: Sequence[str], _channel: str) -> list[Need]:
        raise AssertionError

    def on_followed(self, _asked: frozenset[str]) -> list[Need]:
        raise AssertionError

    def on_klines(self, _symbol: str, _bodies: Sequence[bytes]) -> int:
        raise AssertionError

    def on_newest(self, _symbol: str, _body: bytes, _recv_ns: int) -> tuple[int, int, list[Need]]:
        raise AssertionError

    def on_adv(self, symbol: str, quote_volume: Decimal, days: int) -> None:
        self.adv[symbol] = (quote_volume, days)

    def on_interest(self, told: OpenInterest) -> None:
        self.interest.append((told.symbol, told.quantity))

    def on_snapshot(self, symbol: str, _body: bytes, _recv_ns: int, _limit: int = 0) -> list[Need]:
        self.snapshots.append(symbol)
        answers = self.answers.get(symbol)
        if not answers:
            return []
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def on_trades(self, symbol: str, body: bytes, _recv_ns: int) -> list[Need]:
        ids = [row["a"] for row in json.loads(body)]
        self.trades += ids
        if symbol in self.first:
            self.first[symbol] = min(ids)
        first, last = ids[0], ids[-1]
        for hole in [h for h in self.holes if h.symbol == symbol and h.first_id <= last and h.last_id >= first]:
            self.holes.remove(hole)
            parts = (hole.first_id, first - 1), (last + 1, hole.last_id)
            self.holes += [TradeHole(symbol, low, high) for low, high in parts if low <= high]
        return []

    def trade_holes(self) -> list[TradeHole]:
        return [hole for hole in self.holes if hole not in self.given_up]

    def give_up(self, hole: TradeHole, fate: Fate) -> None:
        self.given_up[hole] = fate

    def trade_tails(self) -> list[TradeTail]:
        return self.tails

    def tail_told(self, symbol: str, whole: bool) -> None:
        (tail,) = (tail for tail in self.tails if tail.symbol == symbol)
        self.tails.remove(tail)
        last_id = max([tail.last_id, *self.trades])
        if not whole:
            self.tails.append(replace(tail, last_id=last_id))
        self.told[symbol] = last_id

    def history_edges(self) -> list[HistoryEdge]:
        return [HistoryEdge(symbol, first, DAY + first, DAY + 5_000) for symbol, first in self.first.items()]


@asynccontextmanager
async def running(*jobs: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(job) for job in jobs]  # type: ignore[call-overload]
    try:
        yield
        for task in tasks:
            assert not task.done() or task.result() is None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
