"""A snapshot knows a book only down to its worst levels; before the market gets there the book is refreshed."""

from __future__ import annotations

import json
import random

from tapewatch.engine import Engine
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.views import BookState
from tapewatch.venues.binance_usdm_codec import Codec

MS = 1_790_000_000_000
LIMIT = 20


class Venue:
    """A true book of levels that stand still and a market that walks through them."""

    def __init__(self) -> None:
        self.bids = dict.fromkeys(range(9_000, 10_000), 5)
        self.asks = dict.fromkeys(range(10_000, 11_000), 5)
        self.u = 100
        self.random = random.Random(4)

    def step(self, down: bool) -> bytes:
        """The best level is taken and the other side follows: one diff."""
        if down:
            price = max(self.bids)
            del self.bids[price]
            lots = self.asks[price] = self.random.randint(1, 9)
            bids, asks = [(price, 0)], [(price, lots)]
        else:
            price = min(self.asks)
            del self.asks[price]
            lots = self.bids[price] = self.random.randint(1, 9)
            bids, asks = [(price, lots)], [(price, 0)]
        before, self.u = self.u, self.u + self.random.randint(1, 5)
        body = {"e": "depthUpdate", "E": MS, "T": MS, "s": "XUSDT", "U": before + 1, "u": self.u, "pu": before,
                "b": _text(bids), "a": _text(asks)}  # fmt: skip
        return json.dumps({"stream": "xusdt@depth", "data": body}, separators=(",", ":")).encode()

    def snapshot(self) -> bytes:
        bids, asks = sorted(self.bids.items(), reverse=True)[:LIMIT], sorted(self.asks.items())[:LIMIT]
        body = {"lastUpdateId": self.u, "E": MS, "T": MS, "bids": _text(bids), "asks": _text(asks)}
        return json.dumps(body).encode()


def _text(levels: list[tuple[int, int]]) -> list[list[str]]:
    return [[str(price), str(lots)] for price, lots in levels]


def test_book_is_refreshed_before_the_market_leaves_what_it_knows() -> None:
    """Live all the time, and all levels inside the known range are always the venue's."""
    instrument = Instrument(0, "binance", "XUSDT", "X", "USDT", "perp", Grid.parse("1"), Grid.parse("1"))
    universe = Universe("binance", [instrument])
    engine, codec, venue = Engine(universe), Codec(universe), Venue()
    assert [need.reason for need in engine.follow_book(0)] == ["start"]
    body, answer_in = b"", 2
    refreshes = 0
    for n in range(1_200):
        frame = venue.step(down=(n // 300) % 2 == 0)
        needs = engine.apply(codec.decode(frame, [len(frame)], MS * 1_000_000).tape)
        if n == 0:
            body = venue.snapshot()
        if needs:
            assert [need.reason for need in needs] == ["coverage"]
            refreshes += 1
            body, answer_in = venue.snapshot(), venue.random.randint(0, 3)
        if answer_in == 0:
            assert engine.apply(codec.snapshot("XUSDT", body, MS * 1_000_000)) == []
        answer_in -= 1
        if n < 3:
            continue
        view = engine.book(0)
        assert view.state is BookState.LIVE
        shown = {int(p): int(q) for p, q in view.bids if p >= view.low}
        assert shown == {p: q for p, q in venue.bids.items() if p >= view.low}
        shown = {int(p): int(q) for p, q in view.asks if p <= view.high}
        assert shown == {p: q for p, q in venue.asks.items() if p <= view.high}
        assert view.low < max(venue.bids)
        assert view.high > min(venue.asks)
    assert refreshes > 20
    assert int(engine.sync.ladders.books[0]["applied"]) == 1_200
