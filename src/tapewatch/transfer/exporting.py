"""What is stored, as tables to take away: trades, candles, footprints, liquidations, imbalances, gaps, alerts, OHLC."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .. import __version__
from ..model.errors import NotFoundError, UsageError
from ..model.instrument import Grid, Instrument, Universe
from ..model.tape import Flag
from ..model.views import TIMEFRAMES_MS, Footprint
from ..store import bars as stored_bars
from ..store.reader import Reader
from .dataset import dataset
from .features import of_store
from .files import About, Table

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CHUNK_MS = 7 * DAY_MS
"""Footprints are read a week at a time: some megabytes of a busy instrument at ticks."""
SECONDS_CHUNK_MS = 3_600_000
GAPS_NAMED = 1_000
FOREVER_MS = 4_102_444_800_000

Progress = Callable[[int, int], None]


class What(StrEnum):
    TRADES = "trades"
    CANDLES = "candles"
    FOOTPRINTS = "footprints"
    LIQUIDATIONS = "liquidations"
    IMBALANCES = "imbalances"
    GAPS = "gaps"
    ALERTS = "alerts"
    OHLC = "ohlc"
    FEATURES = "features"
    DATASET = "dataset"


OF_THE_BOOK = (What.FEATURES, What.DATASET)
"""Made by playing order books, or from memory; of one instrument."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be exported; times in ms UTC, the end not included."""

    what: What
    venue: str
    symbols: tuple[str, ...] = ()
    """None: all that is stored."""
    start_ms: int = 0
    end_ms: int = FOREVER_MS
    tf: str = "1m"
    step: str | None = None
    """Width of a footprint's bins; the tick where nothing is said."""


def time_of(text: str) -> int:
    """A time in ms from ms since the epoch or ISO 8601, UTC where nothing else is said."""
    if text.isdigit() and len(text) >= 12:
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time; write 2026-06-01, 2026-06-01T14:30 or milliseconds") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def export(reader: Reader, wish: Wish, progress: Progress | None = None) -> Table:
    """The table that is wished for; nothing is read before its first batch is taken.

    `progress(done, total)` is in ms of the range. Raise UsageError for what is not stored or cannot be.
    """
    if wish.tf not in TIMEFRAMES_MS:
        raise UsageError(f"tf {wish.tf!r} is unknown; allowed: {', '.join(TIMEFRAMES_MS)}")
    if wish.start_ms >= wish.end_ms:
        raise UsageError("the range is empty: its start is not before its end")
    if wish.what in OF_THE_BOOK:
        if len(wish.symbols) != 1:
            raise UsageError("features are of one instrument: give one symbol")
        features = of_store(reader, wish.venue, wish.symbols[0], wish.start_ms, wish.end_ms, progress)
        return dataset(features) if wish.what is What.DATASET else features
    universe = reader.universe(wish.venue)
    if not len(universe) and wish.what not in (What.OHLC, What.ALERTS):
        raise NotFoundError(f"nothing is stored of {wish.venue} yet; what was just heard follows within minutes")
    if wish.what in (What.OHLC, What.ALERTS):  # may be of instruments, and times, that nothing else is known of
        known = [universe.get(symbol) for symbol in wish.symbols if symbol in universe]
    else:
        known = [universe.get(symbol) for symbol in wish.symbols] or list(universe)
        wish = _within(reader, wish, known)
    job = _Job(reader, wish, universe, known, progress)
    schema, batches = job.table()
    return Table(job.about(), schema, batches)


def _within(reader: Reader, wish: Wish, known: Sequence[Instrument]) -> Wish:
    """The wish with its open ends brought to what is stored, whole days."""
    if wish.start_ms > 0 and wish.end_ms < FOREVER_MS:
        return wish
    spans = reader.coverage(wish.venue, wish.start_ms, wish.end_ms, [one.symbol for one in known])
    hours = spans["hour_ms"].to_pylist() or [wish.start_ms or int(time.time()) * 1000 // DAY_MS * DAY_MS]
    first, last = min(hours) // DAY_MS * DAY_MS, (max(hours) // DAY_MS + 1) * DAY_MS
    return Wish(
        wish.what, wish.venue, wish.symbols, wish.start_ms or first,
        last if wish.end_ms >= FOREVER_MS else wish.end_ms, wish.tf, wish.step,
    )  # fmt: skip


class _Job:
    """One export under way."""

    def __init__(
        self, reader: Reader, wish: Wish, universe: Universe, known: Sequence[Instrument], progress: Progress | None
    ) -> None:
        self._reader, self._wish, self._universe, self._known = reader, wish, universe, known
        self._symbols = [one.symbol for one in known]
        self._progress = progress
        self._tick_scale = max((one.tick.decimals for one in known), default=0)
        self._lot_scale = max((one.lot.decimals for one in known), default=0)

    def about(self) -> About:
        """What the sheet or sidecar says."""
        wish = self._wish
        gaps = self._reader.gaps(wish.venue, wish.start_ms, wish.end_ms, self._symbols).to_pylist()
        of_candles = wish.what in {What.CANDLES, What.FOOTPRINTS, What.IMBALANCES}
        return {
            "tapewatch": __version__,
            "what": str(wish.what),
            "venue": wish.venue,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "from": _iso(wish.start_ms),
            "to": _iso(wish.end_ms),
            **({"tf": wish.tf} if of_candles else {}),
            **(
                {"step": {one.symbol: f"{one.tick.value * self._step(one):f}" for one in self._known}}
                if of_candles
                else {}
            ),
            "instruments": {
                one.symbol: {"tick": f"{one.tick.value:f}", "lot": f"{one.lot.value:f}", "quote": one.quote}
                for one in self._known
            },
            "missing_trades": sum(gap["missing"] for gap in gaps),
            "gaps": gaps[:GAPS_NAMED],
            "gaps_not_listed": max(0, len(gaps) - GAPS_NAMED),
            "units": "prices in quote currency, quantities in base units, times in ms since the epoch, UTC; "
            "bid: sold by aggressors, ask: bought by aggressors",
        }

    def table(self) -> tuple[pa.Schema, Iterator[pa.Table]]:
        match self._wish.what:
            case What.TRADES:
                return self._trades_schema(), self._trades()
            case What.LIQUIDATIONS:
                return self._liquidations_schema(), self._liquidations()
            case What.CANDLES:
                return self._candles_schema(), self._of_footprints(self._candles)
            case What.IMBALANCES:
                return self._imbalances_schema(), self._of_footprints(self._imbalances)
            case What.FOOTPRINTS:
                return self._cells_schema(), self._of_footprints(self._cells)
            case What.GAPS:
                table = self._reader.gaps(self._wish.venue, self._wish.start_ms, self._wish.end_ms, self._symbols)
                return table.schema, iter([table])
            case What.ALERTS:
                table = self._reader.alerts(
                    self._wish.venue, self._wish.start_ms, self._wish.end_ms, self._wish.symbols or None
                )
                return table.schema, iter([table])
            case What.OHLC:
                return OHLC_SCHEMA, self._ohlc()
            case What.FEATURES | What.DATASET:
                raise AssertionError("features have a table of their own")

    # -- trades -------------------------------------------------------------------------------------------------

    def _trades_schema(self) -> pa.Schema:
        price, qty = self._price_type(), self._qty_type()
        first = [("symbol", pa.string()), ("ts_ms", pa.int64()), ("id", pa.int64()), ("side", pa.string())]
        rest = [("first_id", pa.int64()), ("last_id", pa.int64()), ("quantity_market", qty)]
        flags = [(name, pa.bool_()) for name in ("aggregate", "off_book", "backfilled")]
        times = [("event_ms", pa.int64()), ("recv_ns", pa.int64())]
        return pa.schema([*first, ("price", price), ("quantity", qty), *rest, *flags, *times])

    def _trades(self) -> Iterator[pa.Table]:
        schema, wish = self._trades_schema(), self._wish
        order = [("ts_ms", "ascending"), ("symbol", "ascending"), ("id", "ascending")]
        for stored in self._reader.trades(wish.venue, wish.start_ms, wish.end_ms, self._symbols):
            batch = stored.set_column(0, "symbol", stored["symbol"].cast(pa.string())).sort_by(order)
            lots = _increments(batch["lot"], self._lot_scale)
            made = {
                "side": pc.if_else(batch["sell"], "sell", "buy"),
                "price": _times(batch["price"], _increments(batch["tick"], self._tick_scale)),
                "quantity": _times(batch["qty"], lots),
                "quantity_market": _times(batch["qty_market"], lots),
            }
            columns = [made[name] if name in made else batch[name] for name in schema.names]
            self._tell(batch["ts_ms"][-1].as_py())
            yield pa.table(columns, schema=schema)

    # -- liquidations -------------------------------------------------------------------------------------------

    def _liquidations_schema(self) -> pa.Schema:
        return pa.schema(
            [
                ("symbol", pa.string()),
                ("ts_ms", pa.int64()),
                ("side", pa.string()),
                ("price", pa.decimal128(38, 8)),
                ("quantity", self._qty_type()),
                ("event_ms", pa.int64()),
                ("recv_ns", pa.int64()),
            ]
        )

    def _liquidations(self) -> Iterator[pa.Table]:
        wish = self._wish
        rows = self._reader.liquidations(wish.venue, wish.start_ms, wish.end_ms, self._symbols, universe=self._universe)
        instruments = [self._universe[int(i)] for i in rows["instrument"]]
        lots = _increments(pa.array([f"{one.lot.value:f}" for one in instruments], pa.string()), self._lot_scale)
        e8 = _increments(pa.array([f"{Grid(1, 8).value:f}"] * len(rows), pa.string()), 8)
        yield pa.table(
            [
                pa.array([one.symbol for one in instruments], pa.string()),
                _ints(rows["ts_ms"]),
                pa.array(["long" if flags & Flag.LONG else "short" for flags in rows["flags"].tolist()], pa.string()),
                _times(_ints(rows["price"]), e8),
                _times(_ints(rows["qty"]), lots),
                _ints(rows["event_ms"]),
                _ints(rows["recv_ns"]),
            ],
            schema=self._liquidations_schema(),
        )

    # -- candles, imbalances, footprints ------------------------------------------------------------------------

    def _of_footprints(self, made: Callable[[Footprint], pa.Table]) -> Iterator[pa.Table]:
        wish = self._wish
        tf_ms = TIMEFRAMES_MS[wish.tf]
        chunk = SECONDS_CHUNK_MS if tf_ms < 60_000 else CHUNK_MS
        first = -(-wish.start_ms // tf_ms) * tf_ms
        # Only where something is stored: a range may be of centuries.
        hours = self._reader.hours(wish.venue, first, wish.end_ms)
        edges = (ms for hour in hours for ms in (hour * HOUR_MS, (hour + 1) * HOUR_MS - 1))
        stored = {max(0, ms - first) // chunk for ms in edges}
        for k, instrument in enumerate(self._known):
            for start in (first + number * chunk for number in sorted(stored)):
                end = min(start + chunk, wish.end_ms)
                view = self._reader.footprint(wish.venue, instrument.symbol, tf_ms, self._step(instrument), start, end)
                view.candles = view.candles[view.candles["open_ms"] >= start]
                if len(view.candles):
                    yield made(view)
                self._tell(
                    wish.start_ms + (end - wish.start_ms + k * (wish.end_ms - wish.start_ms)) // len(self._known)
                )

    def _step(self, instrument: Instrument) -> int:
        return instrument.step_ticks(self._wish.step) if self._wish.step else 1

    def _candles_schema(self) -> pa.Schema:
        price, qty = self._price_type(), self._qty_type()
        return pa.schema(
            [
                ("symbol", pa.string()),
                ("open_ms", pa.int64()),
                *((name, price) for name in ("open", "high", "low", "close")),
                *((name, qty) for name in ("bid", "ask", "delta", "cvd")),
                ("trades", pa.int64()),
                ("quote_volume", pa.decimal128(38, self._tick_scale + self._lot_scale)),
                *((name, price) for name in ("poc", "vah", "val")),
                ("gaps", pa.int64()),
            ]
        )

    def _candles(self, view: Footprint) -> pa.Table:
        one, candles = view.instrument, view.candles
        empty = candles["n"] == 0
        prices = {
            name: self._prices(one, candles[name], empty)
            for name in ("open", "high", "low", "close", "poc", "vah", "val")
        }
        columns = {
            "symbol": pa.array([one.symbol] * len(candles), pa.string()),
            "open_ms": _ints(candles["open_ms"]),
            **prices,
            **{name: self._lots(one, candles[name]) for name in ("bid", "ask", "cvd")},
            "delta": self._lots(one, candles["ask"] - candles["bid"]),
            "trades": _ints(candles["n"]),
            "quote_volume": pa.array(
                [one.notional(int(units)) for units in candles["quote"]],
                pa.decimal128(38, self._tick_scale + self._lot_scale),
            ),
            "gaps": _ints(candles["gap"]),
        }
        schema = self._candles_schema()
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _imbalances_schema(self) -> pa.Schema:
        qty = self._qty_type()
        names = [("symbol", pa.string()), ("open_ms", pa.int64()), ("bid", qty), ("ask", qty)]
        return pa.schema([*names, ("imbalance", pa.float64())])

    def _imbalances(self, view: Footprint) -> pa.Table:
        one, candles = view.instrument, view.candles
        total = candles["bid"] + candles["ask"]
        balance = np.divide(candles["ask"] - candles["bid"], total, out=np.zeros(len(total)), where=total > 0)
        columns = [
            pa.array([one.symbol] * len(candles), pa.string()),
            _ints(candles["open_ms"]),
            self._lots(one, candles["bid"]),
            self._lots(one, candles["ask"]),
            pa.array(balance),
        ]
        return pa.table(columns, schema=self._imbalances_schema())

    def _cells_schema(self) -> pa.Schema:
        qty = self._qty_type()
        names = [("symbol", pa.string()), ("open_ms", pa.int64()), ("price", self._price_type())]
        return pa.schema([*names, ("bid", qty), ("ask", qty), ("trades", pa.int64())])

    def _cells(self, view: Footprint) -> pa.Table:
        one, candles = view.instrument, view.candles
        at = np.repeat(candles["cell_at"] - np.cumsum(candles["cells"]) + candles["cells"], candles["cells"])
        cells = view.cells[at + np.arange(len(at))]
        columns = [
            pa.array([one.symbol] * len(cells), pa.string()),
            _ints(np.repeat(candles["open_ms"], candles["cells"])),
            self._prices(one, cells["price"]),
            self._lots(one, cells["bid"]),
            self._lots(one, cells["ask"]),
            _ints(cells["n"]),
        ]
        return pa.table(columns, schema=self._cells_schema())

    # -- imported candles ---------------------------------------------------------------------------------------

    def _ohlc(self) -> Iterator[pa.Table]:
        wish = self._wish
        rows = stored_bars.bars(self._reader.catalog, wish.venue, wish.start_ms, wish.end_ms, wish.symbols or None)
        for some in _batched(rows, 1 << 14):
            yield pa.Table.from_pylist([{name: row[name] for name in OHLC_SCHEMA.names} for row in some], OHLC_SCHEMA)

    # -- numbers ------------------------------------------------------------------------------------------------

    def _price_type(self) -> pa.DataType:
        return pa.decimal128(38, self._tick_scale)

    def _qty_type(self) -> pa.DataType:
        return pa.decimal128(38, self._lot_scale)

    def _prices(self, one: Instrument, ticks: NDArray[np.int64], empty: NDArray[np.bool_] | None = None) -> pa.Array:
        return _scaled(ticks, one.tick, self._tick_scale, empty)

    def _lots(self, one: Instrument, lots: NDArray[np.int64]) -> pa.Array:
        return _scaled(lots, one.lot, self._lot_scale)

    def _tell(self, at_ms: int) -> None:
        if self._progress:
            whole = self._wish.end_ms - self._wish.start_ms
            self._progress(min(max(0, at_ms - self._wish.start_ms), whole), whole)


_OHLC_NUMBERS = ("open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "buy_quote_volume")
OHLC_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("tf_ms", pa.int64()),
        ("open_ms", pa.int64()),
        *((name, pa.string()) for name in _OHLC_NUMBERS),
        ("trades", pa.int64()),
    ]
)
"""Numbers are the text they were imported as."""


def _ints(values: NDArray[Any]) -> pa.Array:
    return pa.array(np.ascontiguousarray(values), pa.int64())


def _increments(texts: pa.Array | pa.ChunkedArray, scale: int) -> pa.Array:
    """The increments that each row is counted in, as decimals."""
    return texts.cast(pa.string()).cast(pa.decimal128(18, scale))


def _times(counts: pa.Array, increments: pa.Array) -> pa.Array:
    """Counts times increments, exact: 19 and 18 digits fit 38."""
    return pc.multiply(counts.cast(pa.decimal128(19, 0)), increments)


def _scaled(counts: NDArray[np.int64], grid: Grid, scale: int, empty: NDArray[np.bool_] | None = None) -> pa.Array:
    increments = pa.array([grid.value] * len(counts), pa.decimal128(18, scale))
    return _times(pa.array(np.ascontiguousarray(counts), pa.int64(), mask=empty), increments)


def _batched(rows: Iterable[Any], n: int) -> Iterator[list[Any]]:
    held = []
    for row in rows:
        held.append(row)
        if len(held) == n:
            yield held
            held = []
    if held:
        yield held


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
