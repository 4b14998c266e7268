"""Which frames each stream gets: names of streams, their routes and their rhythm.

One `MarketStreams` moves a market and writes the payload of every stream somebody has open, once, whoever reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import wire
from .layout import DEPTH_SLOTS_MS, STEP_MS, WANT_QUOTES, WANT_TRADES
from .leveltext import changes_text, forget_changes, levels_text
from .market import INTERVALS_MS, Happened, Market
from .universe import COIN_MARGINED, Listing

Frame = tuple[str, str]
"""Name of a stream and the payload it gets."""
Route = Literal["public", "market"]

_PUBLIC = re.compile(r"(bookTicker|depth(5|10|20)?|trade|rpiDepth)(@|$)")
_NAME = re.compile(
    r"^(?P<symbol>[^@!]+)@(?P<kind>[A-Za-z]+)(?P<levels>5|10|20)?(?:_(?P<interval>\w+))?(?:@(?P<pace>\w+))?$"
)
_ALL = re.compile(
    r"^!(?P<kind>bookTicker|contractInfo|(?:markPrice|miniTicker|ticker|forceOrder)(?=@arr))(?:@arr)?(?:@(?P<pace>1s))?$"
)
_DEPTH_SPEED = {"0ms": 0, "100ms": 1, None: 2, "500ms": 3}
_ARRAY_ROWS = 400
"""Rows in one frame of a `!…@arr` stream; a tick of the whole market takes several frames."""
_PACE_MS = {"kline": 250, "markPrice": 3000, "ticker": 2000, "miniTicker": 2000}
_ALL_PACE_MS = {
    "bookTicker": 5000,
    "markPrice": 3000,
    "ticker": 1000,
    "miniTicker": 1000,
    "forceOrder": 0,
    "contractInfo": 0,
}


@dataclass(slots=True)
class Stream:
    """An open stream. `told` is what its last frame told: an update id, a trade id or a bar's opening time."""

    name: str
    kind: str
    symbol: int
    """-1: all symbols."""
    pace_ms: int = 0
    speed: int = 0
    levels: int = 0
    interval: str = ""
    told: int = 0
    bar_ms: int = 0
    seen: NDArray[np.int64] | None = None
    """Last trade id of every symbol when an array stream last told the market."""

    @property
    def turn(self) -> tuple[int, int]:
        """Period and phase in steps: streams of one rhythm take turns, so that no step carries them all."""
        period = self.pace_ms // STEP_MS
        return period, -(self.symbol + 1) % period


def route_of(stream: str) -> Route:
    """The route on which a stream of this name would flow."""
    kind = stream[1:] if stream.startswith("!") else stream.partition("@")[2]
    return "public" if _PUBLIC.match(kind) else "market"


class MarketStreams:
    """The market's streams: `open` and `close` them, `advance` moves the market and yields what they get."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.open_streams: dict[str, Stream] = {}
        self._of_event: dict[tuple[str, int], str] = {}
        """Streams that get a frame for each event, by kind and symbol."""
        self._turns: dict[tuple[int, int], dict[str, Stream]] = {}
        """Streams with a rhythm of their own, by period and phase."""
        self._announced: list[Listing] = []

    # -- opening and closing ------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Begin to write a stream; a name the venue does not know is no error, it only stays silent."""
        stream = self._parse(name)
        if stream is None or name in self.open_streams:
            return
        self.open_streams[name] = stream
        if stream.pace_ms:
            self._turns.setdefault(stream.turn, {})[name] = stream
        else:
            self._of_event[stream.kind, stream.symbol] = name
        if stream.kind == "depth":
            self._restart(stream)
        elif stream.symbol >= 0:
            self._want(stream.symbol)

    def close(self, name: str) -> None:
        stream = self.open_streams.pop(name, None)
        if stream is None:
            return
        if stream.pace_ms:
            self._turns[stream.turn].pop(name)
        else:
            del self._of_event[stream.kind, stream.symbol]
        if stream.symbol >= 0:
            self._want(stream.symbol)

    def _parse(self, name: str) -> Stream | None:
        if name.startswith("!"):
            match = _ALL.match(name)
            if match is None:
                return None
            kind = match["kind"]
            return Stream(name, kind, -1, 1000 if match["pace"] else _ALL_PACE_MS[kind])
        match = _NAME.match(name)
        if match is None or match["symbol"] != match["symbol"].lower():
            return None
        symbol = self.market.index.get(match["symbol"].upper())
        kind, pace, levels = match["kind"], match["pace"], match["levels"]
        if symbol is None or (levels and kind != "depth"):
            return None
        if kind == "depth" and pace in _DEPTH_SPEED and not (levels and pace == "0ms"):
            speed = _DEPTH_SPEED[pace]
            return Stream(name, kind, symbol, max(STEP_MS, DEPTH_SLOTS_MS[speed]), speed, int(levels or 0))
        if kind == "kline" and match["interval"] in INTERVALS_MS and pace is None:
            return Stream(name, kind, symbol, _PACE_MS[kind], interval=match["interval"])
        if kind == "markPrice" and pace in {None, "1s"}:
            return Stream(name, kind, symbol, 1000 if pace else 3000)
        if kind in {"ticker", "miniTicker", "aggTrade", "trade", "bookTicker", "forceOrder"} and pace is None:
            return Stream(name, kind, symbol, _PACE_MS.get(kind, 0))
        return None

    def _restart(self, stream: Stream) -> None:
        """Let a diff stream's chain of update ids begin here."""
        state = self.market.state
        if not stream.levels:
            forget_changes(state, stream.symbol, stream.speed)
        stream.told = int(state.symbols[stream.symbol]["last_u"])

    def _want(self, symbol: int) -> None:
        quotes = WANT_QUOTES if ("bookTicker", symbol) in self._of_event else 0
        trades = WANT_TRADES if ("trade", symbol) in self._of_event else 0
        self.market.state.symbols[symbol]["want"] = quotes | trades

    # -- the life of instruments --------------------------------------------------------------------------------------

    def announce(self, listing: Listing) -> None:
        """Tell `!contractInfo` about a listing or a change of status with the next step."""
        self._announced.append(listing)

    def break_chains(self, symbol: str) -> None:
        """The book of `symbol` began anew: its diff streams go on with a `pu` nobody has seen."""
        i = self.market.index[symbol]
        for stream in self.open_streams.values():
            if stream.symbol == i and stream.kind == "depth":
                self._restart(stream)

    # -- frames -------------------------------------------------------------------------------------------------------

    def advance(self) -> list[Frame]:
        """Move the market one step; the frames that are due then, in the order they are sent."""
        happened = self.market.step()
        frames = list(self._events(happened))
        steps = happened.end_ms // STEP_MS
        for period in {period for period, _ in self._turns}:
            for stream in self._turns.get((period, steps % period), {}).values():
                frames += [(stream.name, payload) for payload in self._payloads(stream, happened.end_ms)]
        return frames

    def _events(self, happened: Happened) -> Iterator[Frame]:
        listings, names = self.market.listings, self._of_event
        for kind, rows, text in (
            ("trade", happened.fills, wire.trade),
            ("bookTicker", happened.quotes, wire.book_ticker),
            ("aggTrade", happened.aggregates, wire.agg_trade),
        ):
            for row in rows.tolist():
                if name := names.get((kind, row[0])):
                    yield name, text(listings[row[0]], row)
        for row in happened.liquidations.tolist():
            if name := names.get(("forceOrder", row[0])):
                yield name, wire.force_order(listings[row[0]], row)
            if name := names.get(("forceOrder", -1)):
                yield name, wire.force_order(listings[row[0]], row)
                yield from ((name, payload) for payload in self._coin_margined_twin(row))
        if name := names.get(("contractInfo", -1)):
            for listing in self._announced:
                yield name, wire.contract_info(listing, happened.end_ms)
        self._announced.clear()

    def _coin_margined_twin(self, row: tuple[int, ...]) -> Iterator[str]:
        """Who is liquidated in BTCUSDT is sometimes liquidated in BTCUSD_PERP too: `q` counts contracts there."""
        listing = self.market.listings[row[0]]
        for contract in COIN_MARGINED:
            if contract.underlying == listing.symbol and row[6] % 3 == 0:
                dollars = row[3] / 10 ** (listing.price_decimals + listing.qty_decimals)
                contracts = max(1, round(dollars / contract.contract_usd))
                yield wire.force_order(listing, row, contract.symbol, contracts, 2)

    def _payloads(self, stream: Stream, now_ms: int) -> Iterator[str]:
        if stream.kind == "depth":
            yield from self._partial(stream, now_ms) if stream.levels else self._diff(stream, now_ms)
        elif stream.kind == "kline":
            yield from self._kline(stream, now_ms)
        elif stream.kind == "bookTicker":
            yield from self._all_quotes()
        elif stream.symbol < 0:
            yield from self._array(stream, now_ms)
        elif self.market.listings[stream.symbol].status == "TRADING":
            yield self._row(stream.kind, stream.symbol, now_ms)

    def _diff(self, stream: Stream, now_ms: int) -> Iterator[str]:
        i, state = stream.symbol, self.market.state
        first = int(state.slots[i, stream.speed])
        if first == 0:
            return
        listing, record = self.market.listings[i], state.symbols[i]
        state.slots[i, stream.speed] = 0
        last = int(record["last_u"])
        bids, asks = changes_text(state, i, stream.speed, listing.price_decimals, listing.qty_decimals)
        yield wire.depth(listing, now_ms, int(record["last_us"]) // 1000, first, last, stream.told, bids, asks)
        stream.told = last

    def _partial(self, stream: Stream, now_ms: int) -> Iterator[str]:
        listing = self.market.listings[stream.symbol]
        book = self.market.book(listing.symbol, limit=stream.levels)
        if book.last_update_id == stream.told:
            return
        decimals = listing.price_decimals, listing.qty_decimals
        bids, asks = levels_text(book.bids, *decimals), levels_text(book.asks, *decimals)
        yield wire.depth(listing, now_ms, book.ts_ms, stream.told + 1, book.last_update_id, stream.told, bids, asks)
        stream.told = book.last_update_id

    def _kline(self, stream: Stream, now_ms: int) -> Iterator[str]:
        listing, width = self.market.listings[stream.symbol], INTERVALS_MS[stream.interval]
        bars = self.market.klines(listing.symbol, stream.interval, None, None, 2)
        for bar, closed in zip(bars, (True, False)[-len(bars) :], strict=True):
            if closed and int(bar["open_ms"]) != stream.bar_ms:
                continue  # its end was told, or nobody was there for its beginning
            if not closed and int(bar["open_ms"]) == stream.bar_ms and int(bar["last"]) == stream.told:
                continue
            closing = closed or int(bar["open_ms"]) + width <= now_ms
            yield wire.kline(listing, now_ms, stream.interval, bar, int(bar["open_ms"]) + width - 1, closed=closing)
            stream.told = int(bar["last"])
            stream.bar_ms = 0 if closing else int(bar["open_ms"])

    def _all_quotes(self) -> Iterator[str]:
        for i, listing in enumerate(self.market.listings):
            if listing.status == "TRADING":
                yield wire.book_ticker(listing, self.market.quote(i))

    def _array(self, stream: Stream, now_ms: int) -> Iterator[str]:
        """Arrays in frames of their own for crypto and for stocks; tickers only of symbols that traded."""
        market = self.market
        last = market.state.symbols["trade_id"].copy()
        told = market.state.symbols["live"] == 1
        if stream.kind != "markPrice" and stream.seen is not None:
            told &= last != stream.seen
        stream.seen = last
        indices: list[int] = np.flatnonzero(told).tolist()
        for tradfi in (False, True):
            rows = [self._row(stream.kind, i, now_ms) for i in indices if market.listings[i].tradfi == tradfi]
            if not tradfi and stream.kind != "miniTicker":
                rows += self._coin_margined_rows(stream.kind, now_ms)
            for at in range(0, len(rows), _ARRAY_ROWS):
                yield f"[{','.join(rows[at : at + _ARRAY_ROWS])}]"

    def _row(self, kind: str, i: int, now_ms: int) -> str:
        listing = self.market.listings[i]
        if kind == "markPrice":
            return self._mark(listing, i, now_ms)
        text = wire.ticker_24h if kind == "ticker" else wire.mini_ticker
        return text(listing, now_ms, self.market.ticker(i))

    def _mark(self, listing: Listing, i: int, now_ms: int, symbol: str = "", kind: int = 1) -> str:
        marks = self.market.marks
        rate, next_ms = self.market.funding(i)
        mark, index = float(marks.mark[i]), float(marks.index[i])
        return wire.mark_price(symbol or listing.symbol, now_ms, mark, index, rate, next_ms, (mark + index) / 2, kind)

    def _coin_margined_rows(self, kind: str, now_ms: int) -> list[str]:
        rows = []
        for contract in COIN_MARGINED:
            i = self.market.index.get(contract.underlying)
            if i is None:
                continue
            listing = self.market.listings[i]
            if kind == "markPrice":
                rows.append(self._mark(listing, i, now_ms, contract.symbol, 2))
            else:
                day = self.market.ticker(i)
                contracts = {"qty": day["qty"] // 900, "quote": day["quote"] // 9_000_000}
                rows.append(wire.ticker_24h(listing, now_ms, day | contracts, contract.symbol, 2))
        return rows
