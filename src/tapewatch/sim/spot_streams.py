"""Which frames each stream of Binance spot gets: names of streams and their rhythm. No marks, no liquidations."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from . import spot_wire
from .layout import DEPTH_SLOTS_MS, STEP_MS
from .leveltext import changes_text
from .market import Happened
from .streams import Frame, MarketStreams, Stream

_NAME = re.compile(
    r"^(?P<symbol>[^@!]+)@(?P<kind>aggTrade|trade|bookTicker|miniTicker|depth)(?P<levels>5|10|20)?(?P<fast>@100ms)?$"
)
_ALL_TICKERS = "!miniTicker@arr"
_DEPTH_SPEED = {True: 1, False: 3}
"""100 ms, and in place of the venue's 1000 ms the slowest the market has."""


class SpotStreams(MarketStreams):
    """Streams of a spot market; see `streams.MarketStreams`."""

    def _parse(self, name: str) -> Stream | None:
        if name == _ALL_TICKERS:
            return Stream(name, "miniTicker", -1, 1000)
        match = _NAME.match(name)
        if match is None or match["symbol"] != match["symbol"].lower():
            return None
        symbol = self.market.index.get(match["symbol"].upper())
        kind, levels, fast = match["kind"], match["levels"], bool(match["fast"])
        if symbol is None or ((levels or fast) and kind != "depth"):
            return None
        if kind == "depth":
            speed = _DEPTH_SPEED[fast]
            return Stream(name, kind, symbol, max(STEP_MS, DEPTH_SLOTS_MS[speed]), speed, int(levels or 0))
        return Stream(name, kind, symbol, 1000 if kind == "miniTicker" else 0)

    def _events(self, happened: Happened) -> Iterator[Frame]:
        listings, names = self.market.listings, self._of_event
        for kind, rows, text in (
            ("trade", happened.fills, spot_wire.trade),
            ("bookTicker", happened.quotes, spot_wire.book_ticker),
            ("aggTrade", happened.aggregates, spot_wire.agg_trade),
        ):
            for row in rows.tolist():
                if name := names.get((kind, row[0])):
                    yield name, text(listings[row[0]], row)
        self._announced.clear()

    def _payloads(self, stream: Stream, now_ms: int) -> Iterator[str]:
        if stream.kind == "depth":
            yield from self._partial(stream, now_ms) if stream.levels else self._diff(stream, now_ms)
        elif stream.symbol < 0:
            yield from self._array(stream, now_ms)
        elif self.market.listings[stream.symbol].status == "TRADING":
            yield self._row(stream.kind, stream.symbol, now_ms)

    def _diff(self, stream: Stream, now_ms: int) -> Iterator[str]:
        """Ids of one instrument follow each other: U is the last u and one."""
        i, state = stream.symbol, self.market.state
        if int(state.slots[i, stream.speed]) == 0:
            return
        listing = self.market.listings[i]
        state.slots[i, stream.speed] = 0
        last = int(state.symbols[i]["last_u"])
        bids, asks = changes_text(state, i, stream.speed, listing.price_decimals, listing.qty_decimals)
        yield spot_wire.depth(listing, now_ms, stream.told + 1, last, bids, asks)
        stream.told = last

    def _partial(self, stream: Stream, now_ms: int) -> Iterator[str]:
        del now_ms
        listing = self.market.listings[stream.symbol]
        book = self.market.book(listing.symbol, limit=stream.levels)
        if book.last_update_id != stream.told:
            stream.told = book.last_update_id
            yield spot_wire.snapshot(listing, book)

    def _array(self, stream: Stream, now_ms: int) -> Iterator[str]:
        """Symbols that traded since the last time, in one frame."""
        last = self.market.state.symbols["trade_id"].copy()
        told = self.market.state.symbols["live"] == 1
        if stream.seen is not None:
            told &= last != stream.seen
        stream.seen = last
        rows = [self._row("miniTicker", i, now_ms) for i in np.flatnonzero(told).tolist()]
        if rows:
            yield f"[{','.join(rows)}]"

    def _row(self, kind: str, i: int, now_ms: int) -> str:
        del kind
        return spot_wire.mini_ticker(self.market.listings[i], now_ms, self.market.ticker(i))
