"""A recording as a whole: its records in order, its venue, and the instruments it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..model.errors import UsageError
from ..model.instrument import Grid, Instrument, Universe, common_grid
from ..venues import binance_usdm
from .captures import Record, read_capture

_SYMBOL = re.compile(rb'"s":"([^"]+)"')
_PRICE_QTY = re.compile(
    rb'(?:\["|"[pba]":"|"ap":")(\d+)(?:\.(\d*?)0*)?"(?:,"(\d+)(?:\.(\d*?)0*)?"\]|,"[qBA]":"(\d+)(?:\.(\d*?)0*)?")'
)
"""A price and the quantity behind it, in levels, trades and quotes, with their significant decimals."""
_QUOTES = (b"USDT", b"USDC", b"BUSD", b"BTC")


@dataclass(slots=True)
class Recording:
    """Records of one venue in order of receive time."""

    paths: list[Path]
    venue: str
    records: list[Record]
    universe: Universe
    book_symbols: set[str]
    """Symbols whose depth diffs were recorded."""
    raw_trade_symbols: set[str]
    """Symbols whose raw trades were recorded; aggregate trades of these count for nothing."""

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
        _refuse_other_venues(records)
        if progress:
            progress("finding instruments")
        universe, books, raw = _instruments(records)
        return cls(paths, binance_usdm.VENUE, records, universe, books, raw)


def _refuse_other_venues(records: list[Record]) -> None:
    for record in records:
        diff = b'"depthUpdate"' in record.payload[:120]
        spot = "api.binance.com/api/" in record.url or (diff and b'"pu":' not in record.payload[:300])
        if spot:
            raise UsageError("this is a recording of binance-spot; this version replays Binance USD-M only")
        if diff:
            return


def _instruments(records: list[Record]) -> tuple[Universe, set[str], set[str]]:
    """Instruments on the coarsest grid that all recorded numbers lie on and, if it was recorded, exchangeInfo's too.

    exchangeInfo alone is not enough: orders older than a change of the tick size still rest between its ticks.
    """
    listed: dict[str, Instrument] = {}
    decimals: dict[str, tuple[int, int]] = {}
    books: set[str] = set()
    raw: set[str] = set()
    for record in records:
        if record.endpoint == "exchangeInfo":
            listed.update((item.symbol, item) for item in binance_usdm.parse_exchange_info(record.payload))
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
    universe = Universe(binance_usdm.VENUE)
    for symbol, (price_decimals, qty_decimals) in sorted(decimals.items()):
        tick, lot = Grid(1, price_decimals), Grid(1, qty_decimals)
        instrument = listed.get(symbol)
        if instrument is None:
            universe.add(_inferred(symbol, tick, lot))
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


def _inferred(symbol: str, tick: Grid, lot: Grid) -> Instrument:
    quote = next((q.decode() for q in _QUOTES if symbol.encode().endswith(q)), "USDT")
    return Instrument(
        index=-1,
        venue=binance_usdm.VENUE,
        symbol=symbol,
        base=symbol.removesuffix(quote),
        quote=quote,
        kind="perp",
        tick=tick,
        lot=lot,
    )
