"""A recording as an input: its records in order, its venue, the instruments it is about, and what they decode to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

from ..config import ThresholdsConfig
from ..model.errors import FrameError, UsageError
from ..model.instrument import Grid, Instrument, Universe, common_grid
from ..model.interest import OpenInterest
from ..model.tape import Tape
from ..model.ticker import Ticker
from ..venues.product import Codec, Product
from ..venues.registry import PRODUCTS
from .captures import Record, read_capture
from .listed import has_list, listed_instruments
from .stage import Stage

BATCH = 1024
"""Frames decoded together. Any number gives the same end state."""

_SYMBOL = re.compile(rb'"s":"([^"]+)"')
_PRICE_QTY = re.compile(
    rb'(?:\["|"[pba]":"|"ap":")(\d+)(?:\.(\d*?)0*)?"(?:,"(\d+)(?:\.(\d*?)0*)?"\]|,"[qBA]":"(\d+)(?:\.(\d*?)0*)?")'
)
"""A price and the quantity behind it, in levels, trades and quotes, with their significant decimals."""
_QUOTES = (b"USDT", b"USDC", b"BUSD", b"BTC", b"ETH", b"BNB", b"AUD", b"BRL")
_EVENT_MS = re.compile(rb'"E":(\d{13})')
_ENDS_WITHIN = 1000
"""Frames at either end among which the first and the last event are: streams overtake each other by far less."""


@dataclass(slots=True)
class Recording:
    """Records of one venue in order of receive time."""

    paths: list[Path]
    product: Product
    records: list[Record]
    universe: Universe
    book_symbols: set[str]
    """Symbols whose depth diffs were recorded."""
    raw_trade_symbols: set[str]
    """Symbols whose raw trades were recorded; aggregate trades of these count for nothing."""
    first_ms: int = field(init=False)
    last_ms: int = field(init=False)

    def __post_init__(self) -> None:
        self.first_ms = min(_event_times(self.records[:_ENDS_WITHIN]))
        self.last_ms = max(_event_times(self.records[-_ENDS_WITHIN:]))

    @property
    def venue(self) -> str:
        return self.product.name

    @property
    def names(self) -> list[str]:
        """Its files."""
        return [str(path) for path in self.paths]

    @classmethod
    def load(cls, paths: Iterable[Path], progress: Callable[[str], None] | None = None) -> Recording:
        """Read the files as one recording. Several files of consecutive days join into one."""
        paths = list(paths)
        if not paths:
            raise UsageError("no recording given")
        records: list[Record] = []
        for path in paths:
            if progress:
                progress(f"reading {path.name}")
            records.extend(read_capture(path))
        records.sort(key=lambda record: record.recv_ns)
        product = PRODUCTS[_venue_of(records)]
        if progress:
            progress("finding instruments")
        raw: set[str] = set()
        if has_list(product):
            universe, books = listed_instruments(records, product)
        else:
            universe, books, raw = _instruments(records, product)
        return cls(paths, product, records, universe, books, raw)

    def stage(self, thresholds: ThresholdsConfig | None = None) -> Stage:
        """A fresh stage: nothing has happened, books of recorded diffs wait for their snapshot."""
        stage = Stage.empty(self.universe, thresholds or ThresholdsConfig(), self.last_ms - self.first_ms)
        for instrument in self.universe:
            if instrument.symbol in self.raw_trade_symbols:
                stage.engine.use_raw_trades(instrument.index)
            if instrument.symbol in self.book_symbols:
                stage.engine.follow_book(instrument.index)
        return stage

    def play(self, stage: Stage) -> Iterator[Tape]:
        """The recorded frames through the codec that live sockets use, REST books and daily volumes at their places."""
        codec = self.product.codec(self.universe)
        for frames, answer in _runs(self.records):
            if frames:
                yield from _decode(codec, frames, stage)
            if answer is None:
                continue
            try:
                if answer.endpoint == "depth":
                    yield codec.snapshot(answer.symbol, answer.payload, answer.recv_ns, answer.limit)
                elif answer.endpoint == "klines" and (instrument := self.universe.find(answer.symbol)):
                    now_ms, days = answer.recv_ns // 1_000_000, stage.engine.thresholds.adv_days
                    adv = self.product.daily_volume(answer.payload, now_ms=now_ms, days=days)
                    stage.engine.set_adv(instrument.index, *adv)
            except FrameError as error:
                stage.refuse(error.reason)


def _decode(codec: Codec, frames: list[Record], stage: Stage) -> Iterator[Tape]:
    payloads = [record.payload for record in frames]
    ends = list(accumulate(len(payload) for payload in payloads))
    decoded = codec.decode(b"".join(payloads), ends, [record.recv_ns for record in frames])
    yield decoded.tape
    stage.frames += decoded.frames
    stage.decoded += decoded.frames - len(decoded.rejected)
    stage.foreign += decoded.foreign
    stage.by_reason.update(rejected.reason for rejected in decoded.rejected)
    for message in decoded.control:
        if isinstance(message, Ticker):
            stage.tickers[message.symbol] = message
        elif isinstance(message, OpenInterest):
            stage.interest[message.symbol] = message


def _runs(records: list[Record]) -> Iterator[tuple[list[Record], Record | None]]:
    """Cut records into runs of at most BATCH frames, each followed by a REST answer or none."""
    run: list[Record] = []
    for record in records:
        if record.url:
            yield run, record
            run = []
        else:
            run.append(record)
            if len(run) == BATCH:
                yield run, None
                run = []
    yield run, None


def _event_times(records: list[Record]) -> list[int]:
    """Event times of frames, ms; receive times where they name none."""
    times = [int(found[1]) for record in records if (found := _EVENT_MS.search(record.payload[:200]))]
    return times or [record.recv_ns // 1_000_000 for record in records]


def _venue_of(records: list[Record]) -> str:
    """Which product was recorded: by the addresses that were asked, else by the shape of the diffs and the trades."""
    for record in records:
        if "api.binance.com/api/" in record.url:
            return "binance-spot"
        if ".bybit.com/" in record.url or record.payload.startswith(b'{"topic":"'):
            return "bybit"
        if ".okx.com/" in record.url or record.payload.startswith(b'{"arg":{'):
            return "okx"
        if b'"depthUpdate"' in record.payload[:120]:
            return "binance" if b'"pu":' in record.payload[:300] else "binance-spot"
    return "binance"


def _instruments(records: list[Record], product: Product) -> tuple[Universe, set[str], set[str]]:
    """Instruments on the coarsest grid that all recorded numbers lie on and, if it was recorded, exchangeInfo's too.

    exchangeInfo alone is not enough: orders older than a change of the tick size still rest between its ticks.
    """
    listed: dict[str, Instrument] = {}
    decimals: dict[str, tuple[int, int]] = {}
    books: set[str] = set()
    raw: set[str] = set()
    for record in records:
        if record.endpoint == "exchangeInfo":
            listed.update((item.symbol, item) for item in product.instruments(record.payload))
            continue
        symbol = record.symbol or _symbol_of(record.payload)
        if not symbol:
            continue
        head = record.payload[:120]
        if b'"depthUpdate"' in head:
            books.add(symbol)
        elif b'"trade"' in head:
            raw.add(symbol)
        decimals[symbol] = _widen(decimals.get(symbol, (0, 0)), record.payload)
    universe = Universe(product.name)
    for symbol, (price_decimals, qty_decimals) in sorted(decimals.items()):
        tick, lot = Grid(1, price_decimals), Grid(1, qty_decimals)
        instrument = listed.get(symbol)
        if instrument is None:
            universe.add(_inferred(product, symbol, tick, lot))
        else:
            universe.add(
                replace(instrument, tick=common_grid(instrument.tick, tick), lot=common_grid(instrument.lot, lot))
            )
    return universe, books, raw


def _symbol_of(payload: bytes) -> str:
    found = _SYMBOL.search(payload)
    return found[1].decode() if found else ""


def _widen(decimals: tuple[int, int], payload: bytes) -> tuple[int, int]:
    price, qty = decimals
    for _, p, _, q1, _, q2 in _PRICE_QTY.findall(payload):
        price = max(price, len(p))
        qty = max(qty, len(q1), len(q2))
    return price, qty


def _inferred(product: Product, symbol: str, tick: Grid, lot: Grid) -> Instrument:
    quote = next((q.decode() for q in _QUOTES if symbol.encode().endswith(q)), "USDT")
    return Instrument(
        index=-1,
        venue=product.name,
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        kind=product.kind,
        tick=tick,
        lot=lot,
    )
