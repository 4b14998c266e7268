"""Reading back: tapes in order of time, frames for tools, footprints for the page; bounded memory for any range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from ..flow.candles import DAY_MS, MINUTE_MS, SECOND_MS, Candles, new_candles
from ..flow.footprint import footprint
from ..model.errors import TapewatchError, UsageError
from ..model.instrument import Instrument, Universe
from ..model.tape import LEVEL, ROW, Flag, Kind, Tape
from ..model.views import CELL, Footprint
from . import tables
from .catalog import Catalog, Version, versions_of, whole
from .cells import STORED, fold, lay
from .derived import CANDLE_COLUMNS, load_candles
from .segments import KINDS, distinct, moved, read_segment, to_arrow

BATCH = 1 << 16
"""Rows of one tape at most."""
MAX_MINUTES = 1 << 16
"""Minutes of one footprint at most: 45 days."""
MAX_SECONDS = 1 << 12
"""Seconds of one footprint at most, which are read from the trades themselves: an hour and some."""
MAX_DELTA_MINUTES = 7 * 1440
FEW = 1_000
"""Instruments that a query names; of more all are read."""
HOUR_MS = 3_600_000
_TRIES = 5

SEGMENT_KINDS = tuple(kind for kind in KINDS.values() if kind is not Kind.LIQUIDATION)


@dataclass(frozen=True, slots=True)
class Deltas:
    """Buy minus sell lots: `lots[k, m]` is that of `instruments[k]` in the minute that opens at `open_ms[m]`."""

    instruments: list[Instrument]
    open_ms: NDArray[np.int64]
    lots: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MinuteBars:
    """Minutes of several instruments, from `first_ms` on; arrays of (minute, instrument) but for `stored`.

    Ticks, lots, ticks x lots; `close` is the least int64 where nothing traded. `stored`: whether anything of the venue
    is stored of that minute.
    """

    instruments: list[Instrument]
    first_ms: int
    stored: NDArray[np.bool_]
    close: NDArray[np.int64]
    bid: NDArray[np.int64]
    ask: NDArray[np.int64]
    bid_quote: NDArray[np.int64]
    ask_quote: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    kind: Kind
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class _Sweep:
    """One pass over segments in order of time: what is loaded and not yet given out."""

    done_ms: int
    """Every row before this time has been given out."""
    loaded: list[Tape] = field(default_factory=list)


class Reader:
    """Reads one data folder; any number may read while the sealer writes."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.catalog = Catalog.of_folder(folder, url)

    def close(self) -> None:
        self.catalog.close()

    def universe(self, venue: str) -> Universe:
        """The instruments of a venue, each on a grid that holds all that is stored of it."""
        return self.catalog.universe(venue)

    def span(
        self, venue: str, start_ms: int = 0, end_ms: int = 1 << 62, kind: Kind | None = None
    ) -> tuple[int, int] | None:
        """Times of the first and the last row stored from `start_ms` to `end_ms`, by whole segments; None for none."""
        table = tables.segments
        query = (
            sa.select(sa.func.min(table.c.first_ms), sa.func.max(table.c.last_ms))
            .where(table.c.venue == venue, table.c.first_ms < end_ms, table.c.last_ms >= start_ms)
            .where(sa.true() if kind is None else table.c.kind == kind.name.lower())
        )
        with self.catalog.read() as connection:
            first, last = connection.execute(query).one()
        return None if first is None else (int(first), int(last))

    def hours(self, venue: str, start_ms: int, end_ms: int) -> list[int]:
        """The hours from `start_ms` to `end_ms`, by number since the epoch, in which trades may be stored; rising."""
        table = tables.segments
        query = sa.select(table.c.first_ms, table.c.last_ms).where(
            table.c.venue == venue, table.c.kind == Kind.TRADE.name.lower(),
            table.c.first_ms < end_ms, table.c.last_ms >= start_ms,
        )  # fmt: skip
        with self.catalog.read() as connection:
            found = connection.execute(query).all()
        spans = ((max(first, start_ms), min(last, end_ms - 1)) for first, last in found)
        return sorted({hour for first, last in spans for hour in range(first // HOUR_MS, last // HOUR_MS + 1)})

    # -- tapes --------------------------------------------------------------------------------------------------

    def tapes(
        self,
        venue: str,
        start_ms: int,
        end_ms: int,
        symbols: Sequence[str] | None = None,
        kinds: Sequence[Kind] | None = None,
        universe: Universe | None = None,
    ) -> Iterator[Tape]:
        """Stored rows with `start_ms <= ts_ms < end_ms` in order of time, at most `BATCH` rows a tape.

        Rows count the ticks and lots of `universe` (default: `self.universe(venue)`); symbols it does not know are left
        out. Raises `OffGridError`, naming the symbol, where a stored number lies between its increments. In memory
        are the segments that overlap in time, normally one an hour and kind.
        """
        universe = universe or self.universe(venue)
        wanted = tuple(kinds if kinds is not None else KINDS.values())
        sweep = _Sweep(start_ms)
        tries = 0
        while sweep.done_ms < end_ms:
            before = sweep.done_ms
            try:
                yield from self._sweep(sweep, venue, end_ms, symbols, wanted, universe)
            except FileNotFoundError as error:
                # Compacted or expired between our look at the catalog and our reading: look again, go on from here.
                tries = 0 if sweep.done_ms > before else tries + 1
                if tries == _TRIES:
                    raise TapewatchError(f"{error.filename} is in the catalog but not on the disk") from error

    def _sweep(
        self, sweep: _Sweep, venue: str, end_ms: int, symbols: Sequence[str] | None, kinds: Sequence[Kind],
        universe: Universe,
    ) -> Iterator[Tape]:  # fmt: skip
        sweep.loaded.clear()
        files = self._files(venue, sweep.done_ms, end_ms, kinds)
        begins = [max(sweep.done_ms, file.first_ms) for file in files]
        for k, file in enumerate(files):
            part = read_segment(self.folder / file.path, universe, file.kind, sweep.done_ms, end_ms, symbols)
            if len(part):
                sweep.loaded.append(part)
            until = min(begins[k + 1], end_ms) if k + 1 < len(files) else end_ms
            if until > sweep.done_ms:
                yield from self._give_out(sweep, venue, until, symbols, kinds, universe)
        if sweep.done_ms < end_ms:
            yield from self._give_out(sweep, venue, end_ms, symbols, kinds, universe)

    def _give_out(
        self, sweep: _Sweep, venue: str, until_ms: int, symbols: Sequence[str] | None, kinds: Sequence[Kind],
        universe: Universe,
    ) -> Iterator[Tape]:  # fmt: skip
        """Give out all rows before `until_ms`; nothing that is read later lies before it."""
        now, later = [], []
        for tape in sweep.loaded:
            early = tape.rows["ts_ms"] < until_ms
            if early.any():
                now.append(Tape(tape.rows[early], tape.levels))
            if not early.all():
                later.append(Tape(tape.rows[~early], tape.levels))
        if Kind.LIQUIDATION in kinds:
            now.append(self._liquidation_tape(venue, sweep.done_ms, until_ms, symbols, universe))
        sweep.loaded[:] = later
        whole_tape = distinct(concatenated(now))
        for at in range(0, len(whole_tape), BATCH):
            yield whole_tape.slice(at, min(at + BATCH, len(whole_tape)))
        sweep.done_ms = until_ms

    def _files(self, venue: str, start_ms: int, end_ms: int, kinds: Sequence[Kind]) -> list[_File]:
        table = tables.segments
        names = [kind.name.lower() for kind in kinds if kind in SEGMENT_KINDS]
        query = (
            sa.select(table.c.path, table.c.kind, table.c.first_ms, table.c.last_ms)
            .where(table.c.venue == venue, table.c.kind.in_(names))
            .where(table.c.first_ms < end_ms, table.c.last_ms >= start_ms)
            .order_by(table.c.first_ms, table.c.id)
        )
        with self.catalog.read() as connection:
            return [_File(path, KINDS[kind], first, last) for path, kind, first, last in connection.execute(query)]

    def _liquidation_tape(
        self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None, universe: Universe
    ) -> Tape:
        stored = self.liquidations(venue, start_ms, end_ms, symbols, universe=universe)
        return Tape(stored, np.zeros(0, LEVEL))

    def trades(
        self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None
    ) -> Iterator[pa.Table]:
        """Stored trades as Arrow tables with the columns of a segment, in order of time from table to table."""
        universe = self.universe(venue)
        for tape in self.tapes(venue, start_ms, end_ms, symbols, (Kind.TRADE,), universe):
            yield to_arrow(universe, Kind.TRADE, tape)

    # -- candles and footprints ---------------------------------------------------------------------------------

    def candles(self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None) -> pa.Table:
        """Stored 1m candles: symbol, tick, lot, open_ms and the columns of the table, ordered by symbol and time."""
        table = tables.candles
        columns = ("open_ms", *CANDLE_COLUMNS, "excluded")
        query = sa.select(table.c.instrument_id, *(table.c[name] for name in columns))
        with self.catalog.read() as connection:
            ids = _ids(versions_of(connection, venue), symbols)
            found = connection.execute(
                query.where(table.c.open_ms >= start_ms, table.c.open_ms < end_ms)
                .where(table.c.instrument_id.in_(list(ids)) if symbols is not None else sa.true())
            ).all()  # fmt: skip
        found = sorted((row for row in found if row[0] in ids), key=lambda row: (ids[row[0]].instrument.symbol, row[1]))
        named = [ids[row[0]].instrument for row in found]
        return pa.table(
            {
                "symbol": pa.array([one.symbol for one in named], pa.string()).dictionary_encode(),
                "tick": pa.array([f"{one.tick.value:f}" for one in named], pa.string()).dictionary_encode(),
                "lot": pa.array([f"{one.lot.value:f}" for one in named], pa.string()).dictionary_encode(),
                **{name: pa.array([row[k + 1] for row in found], pa.int64()) for k, name in enumerate(columns)},
            }
        )

    def footprint(self, venue: str, symbol: str, tf_ms: int, step_ticks: int, start_ms: int, end_ms: int) -> Footprint:
        """Footprint candles that open in `[start_ms, end_ms)`, by the code that makes the live ones.

        `step_ticks` counts the ticks of `universe(venue)`. Candles without trades between two that have some are
        present; CVD runs from 00:00 UTC over what is stored of the day. Refuses more than 45 days, or an hour of
        seconds.
        """
        first = start_ms // tf_ms * tf_ms
        seconds_only = tf_ms < MINUTE_MS
        if end_ms - first > (MAX_SECONDS * SECOND_MS if seconds_only else (MAX_MINUTES - 1440) * MINUTE_MS):
            raise UsageError("the range is too long: footprints of up to 44 days, of seconds up to one hour")
        with self.catalog.read() as connection:
            versions = versions_of(connection, venue).get(symbol)
            if not versions:
                raise UsageError(f"nothing is stored of {venue}:{symbol}")
            from_ms = first // DAY_MS * DAY_MS
            to_ms = first if seconds_only else end_ms
            minutes = _minutes(connection, versions, from_ms, -(-to_ms // MINUTE_MS) * MINUTE_MS)
        instrument = whole(versions)
        seconds = new_candles(1, SECOND_MS, 1, 1)
        if seconds_only:
            seconds = self._seconds(venue, instrument, first // MINUTE_MS * MINUTE_MS, end_ms)
        base = seconds if seconds_only else minutes
        newest = int(base.newest[0]) * int(base.meta[1])
        lookback = newest // tf_ms - first // tf_ms + 1
        return footprint(seconds, minutes, replace(instrument, index=0), tf_ms, step_ticks, lookback)

    def _seconds(self, venue: str, instrument: Instrument, start_ms: int, end_ms: int) -> Candles:
        """One-second candles of one instrument, folded from its stored trades."""
        universe = Universe(venue, [instrument])
        store = new_candles(1, SECOND_MS, 2 * MAX_SECONDS, 1 << 12)
        for tape in self.tapes(venue, start_ms, end_ms, [instrument.symbol], (Kind.TRADE,), universe):
            rows = tape.rows[tape.rows["flags"] & Flag.OFF_BOOK == 0]
            store = fold(store, rows, np.zeros(len(rows), np.int64))
        return store

    def deltas(self, venue: str, start_ms: int, end_ms: int) -> Deltas:
        """Delta of every symbol in every minute of a range of up to a week, in lots; 0 where nothing traded."""
        first, count = start_ms // MINUTE_MS, -(-end_ms // MINUTE_MS) - start_ms // MINUTE_MS
        if not 0 < count <= MAX_DELTA_MINUTES:
            raise UsageError("minute deltas of all symbols are given for up to a week")
        with self.catalog.read() as connection:
            versions = versions_of(connection, venue)
            wholes = [whole(several) for several in versions.values()]
            place, _, lots = _places(versions, wholes)
            out = np.zeros((len(wholes), count), np.int64)
            column = tables.candles.c
            for minute, ids, deltas in _by_minute(connection, first, count, place, column.ask - column.bid):
                np.add.at(out[:, minute], place[ids], deltas * lots[ids])
        return Deltas(wholes, np.arange(first, first + count) * MINUTE_MS, out)

    def minutes(self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None) -> MinuteBars:
        """What every symbol traded in every minute of a range, on the grid that holds all that is stored of it."""
        first, count = start_ms // MINUTE_MS, -(-end_ms // MINUTE_MS) - start_ms // MINUTE_MS
        table, known = tables.candles, tables.instruments
        any_of_venue = (
            sa.select(table.c.open_ms)
            .join(known, known.c.id == table.c.instrument_id)
            .where(known.c.venue == venue, *_opened(first, count))
            .distinct()
        )
        with self.catalog.read() as connection:
            versions = versions_of(connection, venue)
            if symbols is not None:
                versions = {name: versions[name] for name in symbols if name in versions}
            wholes = [whole(several) for several in versions.values()]
            place, ticks, lots = _places(versions, wholes)
            scales = {"bid": lots, "ask": lots, "bid_quote": ticks * lots, "ask_quote": ticks * lots}
            sums = {name: np.zeros((count, len(wholes)), np.int64) for name in scales}
            close = np.full((count, len(wholes)), np.iinfo(np.int64).min)
            stored = np.zeros(count, np.bool_)
            stored[[open_ms // MINUTE_MS - first for (open_ms,) in connection.execute(any_of_venue)]] = True
            columns = [table.c[name] for name in ("n", "close", *scales)]
            for minute, ids, n, closes, *values in _by_minute(connection, first, count, place, *columns):
                some = n > 0  # else nothing but prints that are no market trades
                close[minute, place[ids[some]]] = closes[some] * ticks[ids[some]]
                for (name, scale), amounts in zip(scales.items(), values, strict=True):
                    np.add.at(sums[name][minute], place[ids], amounts * scale[ids])
        return MinuteBars(wholes, first * MINUTE_MS, stored, close, **sums)

    # -- liquidations, gaps, coverage ---------------------------------------------------------------------------

    def liquidations(
        self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None, *,
        universe: Universe | None = None, newest: int | None = None,
    ) -> NDArray[np.void]:  # fmt: skip
        """Stored liquidations as tape rows in order of time; with `newest` only so many, the last ones."""
        universe = universe or self.universe(venue)
        table = tables.liquidations
        names = ("ts_ms", "instrument_id", "long", "price_e8", "qty", "event_ms", "recv_ns")
        query = sa.select(*(table.c[name] for name in names))
        query = query.where(table.c.ts_ms >= start_ms, table.c.ts_ms < end_ms)
        query = query.order_by(*(table.c[name].desc() for name in names[:6]))
        with self.catalog.read() as connection:
            ids = _ids(versions_of(connection, venue), symbols)
            if symbols is not None or newest is not None:
                query = query.where(table.c.instrument_id.in_(list(ids)))
            found = [row for row in connection.execute(query.limit(newest)) if row[1] in ids][::-1]
        rows = np.zeros(len(found), ROW)
        rows["kind"] = Kind.LIQUIDATION
        for k, row in enumerate(found):
            stored = ids[row[1]].instrument
            known = universe.find(stored.symbol)
            rows["instrument"][k] = -1 if known is None else known.index
            qty = np.array([row[4]], np.int64)
            lots = qty if known is None else moved(qty, stored.lot, known.lot, "quantity", stored.symbol)
            rows["ts_ms"][k], rows["flags"][k], rows["price"][k] = row[0], Flag.LONG if row[2] else 0, row[3]
            rows["qty"][k], rows["event_ms"][k], rows["recv_ns"][k] = lots[0], row[5], row[6]
        return rows[rows["instrument"] >= 0]

    def gaps(self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None) -> pa.Table:
        """Holes that touch the range and what of them is still missing: what has been stored since is taken out.

        Columns: symbol, stream, first_id, last_id, from_ms, to_ms, cause, fate, found_ms, missing (ids; 0 where a chain
        of ids ended and nobody knows how many there were).
        """
        table, held = tables.gaps, tables.id_ranges
        out: list[dict[str, Any]] = []
        with self.catalog.read() as connection:
            query = sa.select(table).where(table.c.venue == venue, table.c.to_ms >= start_ms, table.c.from_ms < end_ms)
            if symbols is not None:
                query = query.where(table.c.symbol.in_(list(symbols)))
            found = connection.execute(query.order_by(table.c.from_ms, table.c.id)).mappings().all()
            ranges: dict[tuple[str, bool], list[tuple[int, int]]] = {}
            if found:
                stored = sa.select(held.c.symbol, held.c.aggregate, held.c.first_id, held.c.last_id).where(
                    held.c.venue == venue, held.c.to_ms >= min(row["from_ms"] for row in found) - DAY_MS
                )
                for symbol, aggregate, first, last in connection.execute(stored):
                    ranges.setdefault((symbol, bool(aggregate)), []).append((first, last))
        for row in found:
            kept = {name: row[name] for name in GAP_COLUMNS}
            if row["last_id"] < row["first_id"] or row["stream"] not in STREAMS:
                out.append(kept | {"missing": 0 if row["last_id"] < row["first_id"] else _count(row)})
                continue
            covered = ranges.get((row["symbol"], STREAMS[row["stream"]]), [])
            for first, last in without(row["first_id"], row["last_id"], covered):
                out.append(kept | {"first_id": first, "last_id": last, "missing": last - first + 1})
        return pa.Table.from_pylist(out, GAP_SCHEMA)

    def alerts(self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None) -> pa.Table:
        """What alert rules fired in the range, oldest first; `symbol` is ``*`` where it is of the venue as a whole."""
        table = tables.alert_episodes
        with self.catalog.read() as connection:
            query = sa.select(table).where(
                table.c.exchange == venue, table.c.fired_ms >= start_ms, table.c.fired_ms < end_ms
            )
            if symbols is not None:
                query = query.where(table.c.symbol.in_(list(symbols)))
            found = connection.execute(query.order_by(table.c.fired_ms, table.c.key)).mappings().all()
        return pa.Table.from_pylist([dict(row) for row in found], ALERT_SCHEMA)

    def coverage(self, venue: str, start_ms: int, end_ms: int, symbols: Sequence[str] | None = None) -> pa.Table:
        """Per instrument and hour: symbol, hour_ms, present (trades stored), missing (ids known to be missing).

        A hole counts in the hour in which it begins: where in it the missing trades happened nobody knows.
        """
        table = tables.candles
        hour = table.c.open_ms // HOUR_MS
        sums: dict[tuple[str, int], list[int]] = {}
        with self.catalog.read() as connection:
            ids = _ids(versions_of(connection, venue), symbols)
            query = (
                sa.select(
                    table.c.instrument_id, hour, sa.cast(sa.func.sum(table.c.n + table.c.excluded), sa.BigInteger)
                )
                .where(table.c.open_ms >= start_ms, table.c.open_ms < end_ms)
                .group_by(table.c.instrument_id, hour)
            )
            for stored_id, number, n in connection.execute(query):
                if stored_id in ids:
                    key = (ids[stored_id].instrument.symbol, int(number) * HOUR_MS)
                    sums.setdefault(key, [0, 0])[0] += int(n)
        for gap in self.gaps(venue, start_ms, end_ms, symbols).to_pylist():
            if gap["stream"] in STREAMS:
                begin = max(gap["from_ms"], start_ms) // HOUR_MS * HOUR_MS
                sums.setdefault((gap["symbol"], begin), [0, 0])[1] += gap["missing"]
        rows = [
            {"symbol": symbol, "hour_ms": hour_ms, "present": present, "missing": missing}
            for (symbol, hour_ms), (present, missing) in sorted(sums.items())
        ]
        return pa.Table.from_pylist(rows, COVERAGE_SCHEMA)


STREAMS = {"aggregate": True, "trade": False}
"""Streams of trades in the table of gaps, and whether their ids count aggregate trades."""
GAP_COLUMNS = ("symbol", "stream", "first_id", "last_id", "from_ms", "to_ms", "cause", "fate", "found_ms")
_TEXT = {"symbol", "stream", "cause", "fate"}
GAP_SCHEMA = pa.schema([(name, pa.string() if name in _TEXT else pa.int64()) for name in (*GAP_COLUMNS, "missing")])
_ALERT_TIMES = ("start_ms", "fired_ms", "ended_ms", "acked_ms")
ALERT_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("key", "name", "severity", "exchange", "symbol", "told", "ended_by")),
        *((name, pa.int64()) for name in ("rule_id", "revision", *_ALERT_TIMES)),
        *((name, pa.float64()) for name in ("value", "price", "after_1m", "after_5m", "after_15m")),
    ]
)
COVERAGE_SCHEMA = pa.schema(
    [("symbol", pa.string()), ("hour_ms", pa.int64()), ("present", pa.int64()), ("missing", pa.int64())]
)


def concatenated(tapes: Sequence[Tape]) -> Tape:
    """Tapes one behind the other, with the levels of each."""
    rows, levels, at = [], [], 0
    for tape in tapes:
        moved_rows = tape.rows.copy()
        moved_rows["level_at"][moved_rows["kind"] == Kind.DEPTH] += at
        rows.append(moved_rows)
        levels.append(tape.levels)
        at += len(tape.levels)
    none = Tape.empty()
    return Tape(np.concatenate([none.rows, *rows]), np.concatenate([none.levels, *levels]))


def without(first: int, last: int, covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of first..last when the covered ranges are taken out."""
    left = []
    for begin, end in sorted(covered):
        if end < first or begin > last:
            continue
        if begin > first:
            left.append((first, begin - 1))
        first = max(first, end + 1)
    return [*left, (first, last)] if first <= last else left


def _count(row: Any) -> int:
    return int(row["last_id"] - row["first_id"] + 1)


def _ids(versions: dict[str, list[Version]], symbols: Sequence[str] | None) -> dict[int, Version]:
    chosen = versions if symbols is None else {name: versions[name] for name in symbols if name in versions}
    return {version.id: version for several in chosen.values() for version in several}


def _places(
    versions: dict[str, list[Version]], wholes: Sequence[Instrument]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """By instrument id: position of its symbol (-1: none), and the ticks and lots of the whole in one of its own."""
    top = max((version.id for several in versions.values() for version in several), default=0)
    place, ticks, lots = np.full(top + 1, -1, np.int64), np.ones(top + 1, np.int64), np.ones(top + 1, np.int64)
    for k, (several, one) in enumerate(zip(versions.values(), wholes, strict=True)):
        for version in several:
            place[version.id] = k
            ticks[version.id] = int(version.instrument.tick.value / one.tick.value)
            lots[version.id] = int(version.instrument.lot.value / one.lot.value)
    return place, ticks, lots


def _opened(first: int, count: int) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Candles that open in `count` minutes from the number `first` on."""
    open_ms = tables.candles.c.open_ms
    return open_ms >= first * MINUTE_MS, open_ms < (first + count) * MINUTE_MS


def _by_minute(
    connection: Connection, first: int, count: int, place: NDArray[np.int64], *columns: sa.ColumnElement[int]
) -> Iterator[tuple[Any, ...]]:
    """Stored candles of the ids that have a place: number of the minute, ids, and each column's values.

    A row a minute, its numbers as text: a row a candle would cost several times as much to take over.
    """
    table = tables.candles
    texts = [sa.func.aggregate_strings(sa.cast(one, sa.Text), ",") for one in (table.c.instrument_id, *columns)]
    query = sa.select(table.c.open_ms, *texts).where(*_opened(first, count)).group_by(table.c.open_ms)
    if (place >= 0).sum() <= FEW:
        query = query.where(table.c.instrument_id.in_(np.flatnonzero(place >= 0).tolist()))
    for open_ms, *found in connection.execute(query):
        ids, *values = (np.fromstring(text, np.int64, sep=",") for text in found)
        mine = np.flatnonzero(ids < len(place))
        mine = mine[place[ids[mine]] >= 0]
        mine = mine[np.argsort(ids[mine])]  # of two versions in a minute the later one comes last
        yield open_ms // MINUTE_MS - first, ids[mine], *(amounts[mine] for amounts in values)


def _minutes(connection: Connection, versions: Sequence[Version], start_ms: int, end_ms: int) -> Candles:
    """The stored minutes of one instrument, on the grid that holds all of its versions."""
    instrument = whole(versions)
    ids = [version.id for version in versions]
    opened = list(range(start_ms, end_ms, MINUTE_MS))
    candles, cells, _ = load_candles(connection, opened, ids)
    for k, version in enumerate(versions):
        mine = np.flatnonzero(candles["i"] == k)
        of_candle = np.repeat(candles["i"], candles["base"]["cells"]) == k
        _move(candles["base"], mine, cells, of_candle, version.instrument, instrument)
    candles["i"] = 0
    candles, cells = _one_a_minute(candles, cells)
    slots = 1 << max(1, (len(opened) - 1).bit_length())
    return lay(candles, cells, 1, MINUTE_MS, slots)


def _move(
    base: NDArray[np.void], mine: NDArray[np.intp], cells: NDArray[np.void], of_candle: NDArray[np.bool_],
    old: Instrument, new: Instrument,
) -> None:  # fmt: skip
    if (old.tick, old.lot) == (new.tick, new.lot):
        return
    for name in ("open", "high", "low", "close"):
        base[name][mine] = moved(base[name][mine], old.tick, new.tick, "price", new.symbol)
    for name in ("bid", "ask"):
        base[name][mine] = moved(base[name][mine], old.lot, new.lot, "quantity", new.symbol)
        quote = moved(base[f"{name}_quote"][mine], old.tick, new.tick, "price", new.symbol)
        base[f"{name}_quote"][mine] = moved(quote, old.lot, new.lot, "quantity", new.symbol)
        cells[name][of_candle] = moved(cells[name][of_candle], old.lot, new.lot, "quantity", new.symbol)
    cells["price"][of_candle] = moved(cells["price"][of_candle], old.tick, new.tick, "price", new.symbol)


def _one_a_minute(candles: NDArray[np.void], cells: NDArray[np.void]) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Put together the two candles of a minute in which the grid changed."""
    times, counts = np.unique(candles["open_ms"], return_counts=True)
    if not (counts > 1).any():
        return candles, cells
    out = np.zeros(len(times), STORED)
    runs: list[NDArray[np.void]] = []
    for k, time in enumerate(times.tolist()):
        parts = candles[candles["open_ms"] == time]
        base = parts[0]["base"].copy()
        for part in parts[1:]["base"]:
            base = _joined(base, part)
        inside = np.concatenate([cells[p["cell_at"] : p["cell_at"] + p["cells"]] for p in parts["base"]])
        prices, place = np.unique(inside["price"], return_inverse=True)
        run = np.zeros(len(prices), CELL)
        run["price"] = prices
        for name in ("bid", "ask", "n"):
            np.add.at(run[name], place, inside[name])
        base["cells"], base["cell_at"] = len(run), sum(len(one) for one in runs)
        runs.append(run)
        out[k]["open_ms"], out[k]["base"] = time, base
    return out, np.concatenate(runs)


def _joined(one: np.void, other: np.void) -> np.void:
    if not one["n"] or not other["n"]:
        return (other if other["n"] else one).copy()
    out = one.copy()
    if other["open_id"] < one["open_id"]:
        out["open"], out["open_id"] = other["open"], other["open_id"]
    if other["close_id"] > one["close_id"]:
        out["close"], out["close_id"] = other["close"], other["close_id"]
    out["high"], out["low"] = max(one["high"], other["high"]), min(one["low"], other["low"])
    for name in ("bid", "ask", "bid_quote", "ask_quote", "n"):
        out[name] = one[name] + other[name]
    return out
