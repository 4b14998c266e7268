"""Fetches trades that a gap has hidden, in pages, while the venue still has them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from random import Random

import msgspec

from ..engine import Need
from ..model.errors import FrameError
from .backoff import Backoff
from .budget import Priority
from .rest import BinanceUsdmRest, RefusedError, RestError
from .sink import Sink, TradeHole

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PAGES_AT_MOST = 50
"""50,000 trades of one hole: an hour of the busiest symbol; what is beyond stays marked as missing."""
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 120.0


class _Id(msgspec.Struct):
    a: int


_ids = msgspec.json.Decoder(list[_Id])


class TradeBackfill:
    """Fills trade holes one after the other, those of visible symbols first and with the budget's reserve."""

    def __init__(
        self, rest: BinanceUsdmRest, sink: Sink, wanted: Callable[[list[Need]], None],
        is_first: Callable[[str], bool], random: Random, clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self.filled = 0
        """Trades brought back."""
        self.given_up: dict[str, int] = {}
        """Holes that the venue cannot fill: the last id of the newest one by symbol."""
        self._rest = rest
        self._sink = sink
        self._wanted = wanted
        self._is_first = is_first
        self._clock = clock
        self._seen: set[TradeHole] = set()
        self._backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, random)

    async def run(self) -> None:
        while True:
            hole = self._next()
            if hole is None:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            try:
                await self._fill(hole)
            except RefusedError as error:
                self._give_up(hole, str(error))
            except (RestError, FrameError) as error:
                log.warning("backfill_failed symbol=%s reason=%r", hole.symbol, str(error))
                await asyncio.sleep(self._backoff.next_s())
            else:
                self._backoff.reset()

    def _next(self) -> TradeHole | None:
        """The most urgent hole: of visible symbols first, then the newest.

        One that was not there at the last look is left alone: trades that only changed places close it themselves.
        """
        holes = self._open_holes()
        stable = [hole for hole in holes if hole in self._seen]
        self._seen = set(holes)
        return min(stable, key=lambda hole: (not self._is_first(hole.symbol), -hole.last_id), default=None)

    def _open_holes(self) -> list[TradeHole]:
        return [hole for hole in self._sink.trade_holes() if hole.last_id > self.given_up.get(hole.symbol, -1)]

    async def _fill(self, hole: TradeHole) -> None:
        priority = Priority.GAP_FILL if self._is_first(hole.symbol) else Priority.BACKFILL
        from_id = hole.first_id
        for _ in range(PAGES_AT_MOST):
            body = await self._rest.agg_trades(hole.symbol, from_id, hole.last_id - from_id + 1, priority)
            try:
                ids = [row.a for row in _ids.decode(body)]
            except msgspec.MsgspecError as error:
                raise FrameError("bad_agg_trades", str(error)) from error
            if not ids or ids[0] != from_id:
                # Beyond its horizon the venue answers with other trades, or none, instead of an error.
                self._give_up(hole, f"the venue has no trade {from_id} any more")
                return
            self._wanted(self._sink.on_trades(hole.symbol, body, self._clock()))
            self.filled += sum(hole.first_id <= number <= hole.last_id for number in ids)
            if ids[-1] >= hole.last_id:
                if hole in self._open_holes():
                    self._give_up(hole, "the venue's own answer leaves it open")
                return
            from_id = ids[-1] + 1
        self._give_up(hole, f"more than {PAGES_AT_MOST} pages are missing")

    def _give_up(self, hole: TradeHole, reason: str) -> None:
        self.given_up[hole.symbol] = max(hole.last_id, self.given_up.get(hole.symbol, -1))
        log.warning(
            "gap_stays symbol=%s first_id=%d last_id=%d reason=%r", hole.symbol, hole.first_id, hole.last_id, reason
        )
