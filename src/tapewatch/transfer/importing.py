"""Files into the store: archive files, OHLC, and our own exports. Each is read whole before its first row is stored.

Its rows are stored in one transaction: a file with a wrong row changes nothing, and neither does one that is
interrupted. What is stored already is left out, so that a file may be imported again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.errors import FrameError, UsageError
from ..model.gaps import Cause, Fate
from ..model.instrument import Grid, Instrument, Universe
from ..model.tape import E8, LEVEL, ROW, Flag, Kind, Tape
from ..replay.archive import Archive
from ..replay.archive_source import Source
from ..store import bars as stored_bars
from ..store.catalog import GapRow
from ..store.writer import Store, Written
from ..venues.binance_archive import (
    Product,
    inferred_instrument,
    layout_of,
    read_kline,
    read_metrics,
    symbol_of,
)
from .exporting import OHLC_SCHEMA, What
from .files import About, about_of, load
from .ohlc import Candles, Findings, read_ohlc, texts_of, timeframe_of

DAY_MS = 86_400_000
ROWS_AT_ONCE = 1 << 20
"""Trades that are sorted and folded together: a hundred megabytes of rows."""
GAPS_NOTED = 10_000
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": 7 * DAY_MS}

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(slots=True)
class Imported:
    """What became of one file."""

    path: str
    what: str
    symbols: list[str]
    rows: int = 0
    """Stored."""
    duplicates: int = 0
    """Stored before, or more than once in the file."""
    other_source: int = 0
    """Raw trades of a day that is counted from aggregate trades, or the reverse."""
    missing: int = 0
    """Ids that the file leaves out."""
    remarks: list[str] = field(default_factory=list)


class Importer:
    """Imports into one store."""

    def __init__(self, store: Store, listed: Sequence[Instrument] = (), progress: Progress | None = None) -> None:
        """`listed` are instruments whose increments are known, beside those in the store."""
        self._store = store
        self._listed = list(listed)
        self._progress: Progress = progress or (lambda _what, _done, _total: None)

    def file(self, path: Path, *, venue: str = "binance", symbol: str = "", tf: str = "") -> Imported:
        """Import one file, whatever it is.

        `venue`, `symbol` and `tf` say what a file of OHLC is of. Raise UsageError naming the first wrong rows; then
        nothing has been stored.
        """
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        about = about_of(path)
        if about is not None:
            return self._export(path, about)
        if path.suffix.lower() in {".zip", ".csv"} and not symbol and (product := _product(path)) is not None:
            return self._archive(path) if product.has_trades else self._lines(path, product)
        if path.suffix.lower() == ".zip":
            raise UsageError(f"{path} is no archive file of trades, klines or metrics")
        return self.ohlc(path.read_bytes(), path.name, venue=venue, symbol=symbol, tf=tf)

    # -- archive files ------------------------------------------------------------------------------------------

    def _archive(self, path: Path) -> Imported:
        head = Archive(path, self._listed)
        venue = head.layout.venue
        stored = self._store.catalog.universe(venue)
        archive = Archive(path, [*stored, *self._listed])
        history = archive.history(lambda done, total: self._progress("reading", done, total))
        findings = Findings([str(line) for line in archive.account.first_wrong], archive.account.wrong)
        findings.refuse(path.name)
        done = Imported(path.name, str(archive.layout.product), [archive.instrument.symbol], missing=history.missing)
        if archive.source.checked:
            done.remarks.append("checksum verified")
        if not archive.account.sorted:
            done.remarks.append("rows were not in order of id")
        universe = Universe(venue, [archive.instrument])
        archive.place(universe[0])
        total = history.trades + history.duplicates
        self._trades(universe, archive.tapes(), path.stem, total, done, _left_out(archive, history.holes[:GAPS_NOTED]))
        return done

    def _trades(
        self, universe: Universe, tapes: Iterable[Tape], name: str, total: int, done: Imported,
        gaps: Sequence[GapRow] = (),
    ) -> None:  # fmt: skip
        """Store rows and gaps in one transaction, some rows after the other: memory does not grow with the file."""
        now_ns = time.time_ns()
        given = 0
        with self._store.whole() as into:
            for tape in _gathered(tapes):
                fresh = tape.rows["recv_ns"] == 0
                tape.rows["recv_ns"][fresh] = now_ns
                _count(done, into.write(universe, tape, f"import-{name}"))
                given += len(tape)
                self._progress("storing", given, total)
            into.gaps(gaps)

    def _lines(self, path: Path, product: Product) -> Imported:
        """Klines and metrics: some thousand lines a month."""
        source = Source(path)
        layout = layout_of(*source.head)
        symbol = symbol_of(path.stem)
        findings, rows = Findings(), []
        tf_ms = _length(path.stem.split("-")[1], path) if product is Product.KLINES else 0
        with source.open() as file:
            for number, line in enumerate(file, 1):
                if not line.strip() or (number == 1 and layout.header):
                    continue
                try:
                    read = _kline_row if product is Product.KLINES else _metrics_row
                    rows.append(read(line, layout.venue, symbol, tf_ms))
                except FrameError as error:
                    findings.add(f"line {number:,}", error)
        findings.refuse(path.name)
        put = stored_bars.put_bars if product is Product.KLINES else stored_bars.put_metrics
        at = "open_ms" if product is Product.KLINES else "ts_ms"
        distinct = {row[at]: row for row in rows}
        stored = put(self._store.catalog, (tuple(row.values()) for row in distinct.values()))
        return Imported(path.name, str(product), [symbol], stored, len(rows) - stored)

    # -- OHLC ---------------------------------------------------------------------------------------------------

    def ohlc(self, data: bytes, what: str, *, venue: str, symbol: str, tf: str = "") -> Imported:
        """Store an upload of OHLC; see `read_ohlc` for its forms. `tf` (such as 5m) is inferred where it is empty."""
        if not symbol:
            raise UsageError(f"{what} does not say whose candles it holds; give a symbol")
        candles, tf_ms = understood(data, what, tf, lambda done, total: self._progress("reading", done, total))
        unknown = (None,) * (len(stored_bars.BAR_COLUMNS) - 9)
        rows = ((venue, symbol, tf_ms, *numbers, *unknown) for numbers in texts_of(candles))
        counted = _counted(rows, len(candles), self._progress)
        done = Imported(what, "ohlc", [symbol], stored_bars.put_bars(self._store.catalog, counted))
        if candles.sorted_here:
            done.remarks.append("rows were not in order of time")
        return done

    # -- our own exports ----------------------------------------------------------------------------------------

    def _export(self, path: Path, about: About) -> Imported:
        what, venue = str(about.get("what")), str(about.get("venue"))
        done = Imported(path.name, what, sorted(about.get("instruments", {})))
        total = int(about.get("rows", 0))
        if what == What.OHLC:
            names = OHLC_SCHEMA.names
            rows = [(venue, *map(_or_none, row)) for columns in load(path, names) for row in zip(*columns, strict=True)]
            done.rows = stored_bars.put_bars(self._store.catalog, _counted(rows, total, self._progress))
            done.symbols = sorted({row[1] for row in rows})
            return done
        if what not in {What.TRADES, What.LIQUIDATIONS}:
            raise UsageError(f"{path.name} holds {what}, which are made from trades; import the trades")
        universe = _universe_of(about, venue, [*self._store.catalog.universe(venue), *self._listed])
        make = _trade_rows if what == What.TRADES else _liquidation_rows
        try:
            tapes = [make(columns, universe, path.name) for columns in load(path, _COLUMNS[What(what)])]
        except (ValueError, ArithmeticError) as error:
            raise UsageError(f"{path.name} is refused, nothing was stored: {error}") from error
        self._trades(universe, tapes, path.stem, total, done)
        return done


def understood(
    data: bytes, what: str, tf: str = "", progress: Callable[[int, int], None] | None = None
) -> tuple[Candles, int]:
    """The candles of an upload of OHLC and their length in ms; raise UsageError naming the first wrong rows."""
    candles = read_ohlc(data, what, progress)
    tf_ms = _length(tf, what) if tf else timeframe_of(candles, what)
    off = candles.open_ms[candles.open_ms % min(tf_ms, DAY_MS) != 0]
    if len(off):
        at = datetime.fromtimestamp(int(off[0]) / 1000, UTC)
        raise UsageError(f"{what}: a candle of {tf or _spelt(tf_ms)} cannot open at {at:%Y-%m-%d %H:%M:%S} UTC")
    return candles, tf_ms


def _product(path: Path) -> Product | None:
    """What an archive file holds by its name and first lines; None for other CSV files."""
    try:
        symbol_of(path.stem)
        return layout_of(*Source(path).head).product
    except (UsageError, FrameError):
        if path.suffix.lower() == ".zip":
            raise
        return None


def _left_out(archive: Archive, holes: NDArray[np.void]) -> list[GapRow]:
    """Ids that the venue's own file leaves out are asked for no more."""
    one, now_ms = archive.instrument, time.time_ns() // 1_000_000
    stream = "aggregate" if archive.layout.product is Product.AGG_TRADES else "trade"
    cause, fate = Cause.DROPPED.name.lower(), Fate.REFUSED.name.lower()
    return [
        GapRow(one.venue, one.symbol, stream, first, last, from_ms, to_ms, cause, fate, now_ms)
        for first, last, from_ms, to_ms in holes.tolist()
    ]


def _length(text: str, what: object) -> int:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in _UNITS_MS or int(number) == 0:
        raise UsageError(f"{what}: {text!r} is no length of candles; write 1m, 5m, 1h, 1d")
    return int(number) * _UNITS_MS[unit]


def _spelt(length_ms: int) -> str:
    """A length as people write it, 5m; one of no whole unit in ms."""
    unit = next((unit for unit, ms in reversed(_UNITS_MS.items()) if length_ms % ms == 0), "")
    return f"{length_ms // _UNITS_MS[unit]}{unit}" if unit else f"{length_ms} ms"


def _gathered(tapes: Iterable[Tape]) -> Iterator[Tape]:
    """Tapes joined to as many rows as one transaction takes; copies, since batches are used again."""
    held: list[NDArray[np.void]] = []
    n = 0
    for tape in tapes:
        held.append(tape.rows.copy())
        n += len(tape)
        if n >= ROWS_AT_ONCE:
            yield Tape(np.concatenate(held), np.zeros(0, LEVEL))
            held, n = [], 0
    if held:
        yield Tape(np.concatenate(held), np.zeros(0, LEVEL))


def _count(done: Imported, written: Written) -> None:
    done.rows += written.rows
    done.duplicates += written.duplicates
    done.other_source += written.other_source


def _counted(rows: Iterable[tuple[Any, ...]], total: int, progress: Progress) -> Iterator[tuple[Any, ...]]:
    for k, row in enumerate(rows, 1):
        if k % 10_000 == 0:
            progress("storing", k, total)
        yield row


def _kline_row(line: bytes, venue: str, symbol: str, tf_ms: int) -> dict[str, Any]:
    kline = read_kline(line)
    names = ("open", "high", "low", "close", "volume", "quote_volume")
    return {
        "venue": venue,
        "symbol": symbol,
        "tf_ms": tf_ms,
        "open_ms": kline.open_ms,
        **{name: f"{getattr(kline, name):f}" for name in names},
        "buy_volume": f"{kline.taker_buy_volume:f}",
        "buy_quote_volume": f"{kline.taker_buy_quote_volume:f}",
        "trades": kline.count,
    }


def _metrics_row(line: bytes, venue: str, symbol: str, _: int) -> dict[str, Any]:
    metrics = read_metrics(line)
    if metrics.symbol != symbol:
        raise FrameError("symbol", f"{metrics.symbol[:40]!r} in a file of {symbol}")
    names = stored_bars.METRIC_COLUMNS[3:]
    values = {name: getattr(metrics, name) for name in names}
    texts = {name: None if value is None else f"{value:f}" for name, value in values.items()}
    return {"venue": venue, "symbol": symbol, "ts_ms": metrics.ts_ms, **texts}


_COLUMNS = {
    What.TRADES: (
        "symbol", "ts_ms", "id", "side", "price", "quantity", "first_id", "last_id", "quantity_market", "aggregate",
        "off_book", "backfilled", "event_ms", "recv_ns",
    ),
    What.LIQUIDATIONS: ("symbol", "ts_ms", "side", "price", "quantity", "event_ms", "recv_ns"),
}  # fmt: skip


def _universe_of(about: About, venue: str, known: Iterable[Instrument]) -> Universe:
    """The instruments an export is counted in: its own increments, other facts from the store where it knows them."""
    by_symbol = {one.symbol: one for one in known}
    universe = Universe(venue)
    for symbol, said in about["instruments"].items():
        tick, lot = Grid.parse(said["tick"]), Grid.parse(said["lot"])
        one = by_symbol.get(symbol) or inferred_instrument(venue, symbol, tick, lot)
        universe.add(replace(one, tick=tick, lot=lot))
    return universe


def _trade_rows(columns: list[list[Any]], universe: Universe, what: str) -> Tape:
    symbols, ts_ms, ids, sides, prices, qtys, firsts, lasts, market, aggregate, off, backfilled, event, recv = columns
    rows = _blank(Kind.TRADE, symbols, universe, what)
    flags = _marked(sides, "sell", Flag.SELL) | _marked(aggregate, "true", Flag.AGGREGATE)
    rows["flags"] = flags | _marked(off, "true", Flag.OFF_BOOK) | _marked(backfilled, "true", Flag.BACKFILLED)
    times = {"ts_ms": ts_ms, "event_ms": event, "recv_ns": recv}
    for name, values in {**times, "id": ids, "first_id": firsts, "last_id": lasts}.items():
        rows[name] = np.array(list(map(int, values)), np.int64)
    rows["price"] = _counts(symbols, prices, lambda one: one.tick, universe)
    rows["qty"] = _counts(symbols, qtys, lambda one: one.lot, universe)
    rows["qty2"] = _counts(symbols, market, lambda one: one.lot, universe)
    return Tape(rows, np.zeros(0, LEVEL))


def _liquidation_rows(columns: list[list[Any]], universe: Universe, what: str) -> Tape:
    symbols, ts_ms, sides, prices, qtys, event, recv = columns
    rows = _blank(Kind.LIQUIDATION, symbols, universe, what)
    rows["flags"] = _marked(sides, "long", Flag.LONG)
    for name, values in {"ts_ms": ts_ms, "event_ms": event, "recv_ns": recv}.items():
        rows[name] = np.array(list(map(int, values)), np.int64)
    rows["price"] = np.array([int(Decimal(price) * E8) for price in prices], np.int64)
    rows["qty"] = _counts(symbols, qtys, lambda one: one.lot, universe)
    return Tape(rows, np.zeros(0, LEVEL))


def _blank(kind: Kind, symbols: list[str], universe: Universe, what: str) -> NDArray[np.void]:
    unknown = sorted({symbol for symbol in symbols if symbol not in universe})
    if unknown:
        raise UsageError(f"{what}: its description does not know {', '.join(unknown[:5])}")
    rows = np.zeros(len(symbols), ROW)
    rows["kind"] = kind
    rows["instrument"] = [universe.get(symbol).index for symbol in symbols]
    return rows


def _marked(values: Sequence[Any], wanted: str, flag: Flag) -> NDArray[np.int16]:
    """`flag` where a value is `wanted`; booleans are compared by how they are written."""
    return np.array([flag if str(value).lower() == wanted else 0 for value in values], np.int16)


def _counts(
    symbols: list[str], values: list[Any], grid_of: Callable[[Instrument], Grid], universe: Universe
) -> NDArray[np.int64]:
    @lru_cache(maxsize=1 << 16)
    def count(symbol: str, value: object) -> int:
        return grid_of(universe.get(symbol)).to_int(str(value))

    return np.array([count(symbol, value) for symbol, value in zip(symbols, values, strict=True)], np.int64)


def _or_none(value: Any) -> Any:
    return None if value == "" else value
