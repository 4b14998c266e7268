"""Segments: immutable sorted Parquet files of tape rows, readable by anybody's tools. Format: docs/storage.md."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..model.errors import OffGridError
from ..model.instrument import Grid, Instrument, Universe
from ..model.tape import LEVEL, ROW, Flag, Kind, Tape
from . import crash

ROW_GROUP = 1 << 16
MAX_ROWS = 1 << 19
"""Rows of one segment at most: what a reader that merges by time holds in memory for each."""
SUFFIX = ".parquet"
UNFINISHED = ".tmp"

KINDS = {
    "trade": Kind.TRADE,
    "quote": Kind.QUOTE,
    "mark": Kind.MARK,
    "depth": Kind.DEPTH,
    "liquidation": Kind.LIQUIDATION,
}
"""Names of what is stored. All but liquidations, which are rows of the catalog, are kinds of segments."""

TIMES = {"ts_ms": "ts_ms", "event_ms": "event_ms", "recv_ns": "recv_ns"}
COLUMNS: dict[Kind, dict[str, str]] = {
    Kind.TRADE: {
        "id": "id", "first_id": "first_id", "last_id": "last_id", "price": "price", "qty": "qty", "qty_market": "qty2",
    },
    Kind.QUOTE: {"id": "id", "bid": "price", "bid_qty": "qty", "ask": "price2", "ask_qty": "qty2"},
    Kind.MARK: {"mark_e8": "price", "index_e8": "price2", "rate_e8": "qty", "next_funding_ms": "id"},
    Kind.DEPTH: {"first_id": "first_id", "last_id": "last_id", "prev_id": "prev_id", "low": "price", "high": "price2"},
}  # fmt: skip
"""Columns of a segment and the fields of the tape row that they hold."""

FLAGS: dict[Kind, dict[str, Flag]] = {
    Kind.TRADE: {
        "sell": Flag.SELL, "off_book": Flag.OFF_BOOK, "aggregate": Flag.AGGREGATE, "backfilled": Flag.BACKFILLED,
    },
    Kind.QUOTE: {},
    Kind.MARK: {},
    Kind.DEPTH: {"snapshot": Flag.SNAPSHOT},
}  # fmt: skip

TICKS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("price",),
    Kind.QUOTE: ("price", "price2"),
    Kind.DEPTH: ("price", "price2"),
}
LOTS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("qty", "qty2"),
    Kind.QUOTE: ("qty", "qty2"),
    Kind.LIQUIDATION: ("qty",),
}
"""Fields that are counted in ticks and in lots."""

LISTS = ("bid_prices", "bid_qtys", "ask_prices", "ask_qtys")
NAMES = ("symbol", "tick", "lot")
KEYS: dict[Kind, tuple[str, ...]] = {
    Kind.TRADE: ("id",),
    Kind.QUOTE: ("id",),
    Kind.MARK: (),
    Kind.DEPTH: ("last_id", "flags"),
    Kind.LIQUIDATION: ("event_ms", "flags", "price", "qty"),
}
"""What tells two rows of one instrument and `ts_ms` apart; equal in all of it, they are one event received twice."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file that is in place but not in the catalog yet; `path` is relative to the data folder."""

    venue: str
    kind: str
    path: str
    rows: int
    bytes: int
    first_ms: int
    last_ms: int


def in_order(rows: NDArray[np.void], first: Sequence[NDArray[Any]] = ()) -> NDArray[np.intp]:
    """Order of rows by `first` (most important first), time, kind, instrument and what tells equals apart."""
    keys = [*first, rows["ts_ms"], rows["kind"], rows["instrument"], rows["id"], rows["last_id"], rows["flags"]]
    return np.lexsort(keys[::-1])


def distinct(tape: Tape) -> Tape:
    """A tape in order of time without rows that repeat their neighbour."""
    rows = tape.rows[in_order(tape.rows)]
    if len(rows) < 2:
        return Tape(rows, tape.levels)
    same = np.ones(len(rows) - 1, bool)
    for name in ("ts_ms", "kind", "instrument"):
        same &= rows[name][1:] == rows[name][:-1]
    for kind, names in KEYS.items():
        for name in names:
            same &= (rows["kind"][1:] != kind) | (rows[name][1:] == rows[name][:-1])
    counted = rows["flags"] & Flag.AGGREGATE  # raw and aggregate ids are two numberings
    same &= (rows["kind"][1:] != Kind.TRADE) | (counted[1:] == counted[:-1])
    return Tape(rows[np.concatenate([[True], ~same])], tape.levels)


# ---------------------------------------------------------------- writing


def write_segment(folder: Path, path: str, universe: Universe, kind: Kind, tape: Tape) -> Segment:
    """Write rows of one kind to `folder / path`, which is whole or absent whatever happens."""
    table = to_arrow(universe, kind, tape)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(target.name + UNFINISHED)
    integers = [field.name for field in table.schema if field.type == pa.int64()]
    with unfinished.open("wb") as file:
        pq.write_table(
            table,
            file,
            row_group_size=ROW_GROUP,
            compression="zstd",
            use_dictionary=list(NAMES),
            column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED"),
            write_statistics=["symbol", "ts_ms"],
        )
        crash.point("segment_written")
        file.flush()
        os.fsync(file.fileno())
    crash.point("segment_synced")
    unfinished.replace(target)
    sync_folder(target.parent)
    crash.point("segment_renamed")
    times = tape.rows["ts_ms"]
    return Segment(
        universe.venue, kind.name.lower(), path, len(times), target.stat().st_size, int(times.min()), int(times.max())
    )


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder survive a power cut; Windows neither needs nor allows it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def to_arrow(universe: Universe, kind: Kind, tape: Tape) -> pa.Table:
    """Rows of one kind as the documented columns, sorted by symbol and time."""
    used, places = np.unique(tape.rows["instrument"], return_inverse=True)
    instruments = [universe[int(i)] for i in used]
    rank = np.argsort(np.argsort([one.symbol for one in instruments], kind="stable"), kind="stable")
    order = in_order(tape.rows, [rank[places]])
    rows, places = tape.rows[order], places[order].astype(np.int32)
    columns: dict[str, Any] = {
        "symbol": _named(places, [one.symbol for one in instruments]),
        "tick": _named(places, [f"{one.tick.value:f}" for one in instruments]),
        "lot": _named(places, [f"{one.lot.value:f}" for one in instruments]),
    }
    for column, field in (TIMES | COLUMNS[kind]).items():
        columns[column] = pa.array(np.ascontiguousarray(rows[field]))
    for column, flag in FLAGS[kind].items():
        columns[column] = pa.array(rows["flags"] & flag != 0)
    if kind is Kind.DEPTH:
        columns.update(_level_lists(rows, tape.levels))
    return pa.table(columns)


def _named(places: NDArray[np.signedinteger], names: list[str]) -> pa.DictionaryArray:
    distinct_names = sorted(set(names))
    code = np.array([distinct_names.index(name) for name in names], np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(code[places]), pa.array(distinct_names, pa.string()))


def _level_lists(rows: NDArray[np.void], levels: NDArray[np.void]) -> dict[str, pa.ListArray]:
    start = rows["level_at"].astype(np.int64)
    out = {}
    for side, at, counts in (("bid", start, rows["bids"]), ("ask", start + rows["bids"], rows["asks"])):
        offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        take = np.arange(offsets[-1]) + np.repeat(at - offsets[:-1], counts)
        for name, field in (("prices", "price"), ("qtys", "qty")):
            values = pa.array(np.ascontiguousarray(levels[field][take]))
            out[f"{side}_{name}"] = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
    return out


# ---------------------------------------------------------------- reading


def read_segment(
    path: Path, universe: Universe, kind: Kind, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None
) -> Tape:
    """Rows with `start_ms <= ts_ms < end_ms` of the given symbols (None: all of the universe), in order of time."""
    wanted: list[tuple[str, str, Any]] = [("ts_ms", ">=", start_ms), ("ts_ms", "<", end_ms)]
    if symbols is not None:
        wanted.append(("symbol", "in", list(symbols)))
    table = pq.read_table(path, filters=wanted, read_dictionary=list(NAMES), partitioning=None)
    return from_arrow(table, universe, kind)


def from_arrow(table: pa.Table, universe: Universe, kind: Kind) -> Tape:
    """The documented columns as tape rows of `universe`, brought to its grids; unknown symbols are left out.

    Raises `OffGridError` (naming the symbol) where a number lies between two increments of the universe's grid.
    """
    table = table.unify_dictionaries().combine_chunks()
    rows = np.zeros(len(table), ROW)
    if not len(table):
        return Tape.empty()
    coded = [_codes(table, name) for name in NAMES]
    codes, words = [code for code, _ in coded], [names for _, names in coded]
    combined = (codes[0].astype(np.int64) * len(words[1]) + codes[1]) * len(words[2]) + codes[2]
    kinds, places = np.unique(combined, return_inverse=True)
    stored: list[tuple[Instrument | None, Grid, Grid]] = []
    for value in kinds.tolist():
        rest, lot = divmod(value, len(words[2]))
        symbol, tick = divmod(rest, len(words[1]))
        stored.append((universe.find(words[0][symbol]), Grid.parse(words[1][tick]), Grid.parse(words[2][lot])))
    rows["kind"] = kind
    rows["instrument"] = np.array([-1 if one is None else one.index for one, _, _ in stored], np.int32)[places]
    for column, field in (TIMES | COLUMNS[kind]).items():
        rows[field] = table[column].to_numpy()
    for column, flag in FLAGS[kind].items():
        rows["flags"] |= np.where(table[column].to_numpy(), np.int16(flag), np.int16(0))
    if kind is Kind.DEPTH:
        rows["id"] = rows["last_id"]
    levels = _levels(table, rows) if kind is Kind.DEPTH else np.zeros(0, LEVEL)
    known = rows["instrument"] >= 0
    rescale(rows, levels, places, kind, stored)
    return Tape(rows if known.all() else rows[known], levels)


def _codes(table: pa.Table, name: str) -> tuple[NDArray[np.int32], list[str]]:
    array = table[name].combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.indices.to_numpy(), array.dictionary.to_pylist()


def _levels(table: pa.Table, rows: NDArray[np.void]) -> NDArray[np.void]:
    """Levels of depth rows, bids before asks, and where each row finds its own."""
    flat = {name: _list(table, name) for name in LISTS}
    bids, asks = (np.diff(flat[name][0]) for name in ("bid_prices", "ask_prices"))
    ends = np.cumsum(bids + asks)
    rows["bids"], rows["asks"], rows["level_at"] = bids, asks, ends - bids - asks
    levels = np.zeros(int(ends[-1]) if len(ends) else 0, LEVEL)
    for side, counts, before in (("bid", bids, np.zeros_like(bids)), ("ask", asks, bids)):
        offsets = flat[f"{side}_prices"][0]
        at = np.arange(int(counts.sum())) + np.repeat(rows["level_at"] + before - (offsets[:-1] - offsets[0]), counts)
        levels["price"][at] = flat[f"{side}_prices"][1]
        levels["qty"][at] = flat[f"{side}_qtys"][1]
    return levels


def _list(table: pa.Table, name: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    array = table[name].combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    return array.offsets.to_numpy().astype(np.int64), array.flatten().to_numpy()


def rescale(
    rows: NDArray[np.void],
    levels: NDArray[np.void],
    places: NDArray[np.intp],
    kind: Kind,
    stored: Sequence[tuple[Instrument | None, Grid, Grid]],
) -> None:
    """Bring numbers from the grids they were stored in to those of their instruments, exactly."""
    for k, (instrument, tick, lot) in enumerate(stored):
        if instrument is None or (instrument.tick, instrument.lot) == (tick, lot):
            continue
        mine = np.flatnonzero(places == k)
        own = [
            (rows, mine, TICKS.get(kind, ()), tick, instrument.tick, "price"),
            (rows, mine, LOTS.get(kind, ()), lot, instrument.lot, "quantity"),
        ]
        if kind is Kind.DEPTH:
            at = np.concatenate(
                [np.arange(r["level_at"], r["level_at"] + r["bids"] + r["asks"]) for r in rows[mine]]
                or [np.zeros(0, np.int64)]
            ).astype(np.int64)
            own += [
                (levels, at, ("price",), tick, instrument.tick, "price"),
                (levels, at, ("qty",), lot, instrument.lot, "quantity"),
            ]
        for array, where, names, old, new, what in own:
            for name in names:
                array[name][where] = moved(array[name][where], old, new, what, instrument.symbol)


def moved(counts: NDArray[np.int64], old: Grid, new: Grid, what: str, symbol: str) -> NDArray[np.int64]:
    """Counts of one increment as counts of another; raises `OffGridError` for what lies between two of the new ones."""
    if old == new:
        return counts
    decimals = max(old.decimals, new.decimals)
    up, down = old.units * 10 ** (decimals - old.decimals), new.units * 10 ** (decimals - new.decimals)
    scaled = counts * up
    between = np.flatnonzero(scaled % down)
    if len(between):
        error = OffGridError(what, old.to_decimal(int(counts[between[0]])), new.value)
        error.symbol = symbol
        raise error
    result: NDArray[np.int64] = scaled // down
    return result


def rows_of(tape: Tape, kind: Kind) -> Tape:
    """The rows of one kind."""
    mine = tape.rows["kind"] == kind
    return tape if mine.all() else Tape(tape.rows[mine], tape.levels)


def by_hour(tape: Tape, smallest: int = ROW_GROUP) -> Iterator[Tape]:
    """Cut rows into what becomes one segment each: whole hours of one day, a busy hour in several parts.

    Hours with little in them stay together with the next ones of the same day, up to `smallest` rows.
    """
    rows = tape.rows[in_order(tape.rows)]
    hours = rows["ts_ms"] // 3_600_000
    edges = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(rows)]
    start = 0
    for k in range(1, len(edges)):
        stop = edges[k]
        last = stop == len(rows)
        if not last and edges[k + 1] - start <= smallest and hours[start] // 24 == hours[stop] // 24:
            continue
        for at in range(start, stop, MAX_ROWS):
            yield Tape(rows[at : min(at + MAX_ROWS, stop)], tape.levels)
        start = stop
