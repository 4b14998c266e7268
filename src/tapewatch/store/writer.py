"""Writing: rows of the tape become segments, candles, footprints, statistics; in one transaction, each trade once.

Both the sealer and imports write through `Store.write`. Whatever dies in between leaves the catalog as it was, and at
most files that it does not name.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from ..flow.candles import DAY_MS
from ..model.errors import UsageError
from ..model.instrument import Universe
from ..model.rules import TradeIds
from ..model.tape import Flag, Kind, Tape
from ..venues.registry import PRODUCTS
from . import crash, tables
from .catalog import Catalog, GapRow, chunks, write_gaps
from .derived import Grids, fold_days, fold_minutes, put_liquidations
from .ranges import RANGE, SLACK_MS, contained, joined, runs
from .segments import SUFFIX, UNFINISHED, Segment, by_hour, distinct, rows_of, write_segment

log = logging.getLogger(__name__)

SEGMENTS = "segments"
_NAME = re.compile(r"[^A-Za-z0-9._-]")
_SUFFIXES = 1_000
"""How often one name may be given to segments of one hour; imports under one name end up here."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """A journal file whose rows are being written; noted in the same transaction."""

    name: str
    records: int = 0
    damaged: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Written:
    """What became of the rows that were given."""

    rows: int = 0
    """Stored."""
    duplicates: int = 0
    """Stored before, or more than once among those given."""
    other_source: int = 0
    """Raw trades of a day that is counted from aggregate trades, or the reverse."""
    segments: list[str] = field(default_factory=list)
    already: bool = False
    """The journal file had been consumed before: nothing was done."""

    def add(self, other: Written) -> None:
        """Count another write too."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


class Import(NamedTuple):
    """What may be written inside `Store.whole`."""

    write: Callable[[Universe, Tape, str], Written]
    gaps: Callable[[Sequence[GapRow]], None]


class Store:
    """One data folder with its catalog."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.catalog = Catalog.of_folder(folder, url)

    def open(self) -> Store:
        """Make what does not exist yet; bring the catalog to this version."""
        (self.folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
        self.catalog.migrate()
        return self

    def close(self) -> None:
        self.catalog.close()

    def write(self, universe: Universe, tape: Tape, *, name: str, consumed: Consumed | None = None) -> Written:
        """Store rows of one venue, counted in the ticks and lots of `universe`; what is stored already is left out.

        `name` becomes part of the segments' file names. Without `consumed` the rows count as imported: retention leaves
        them alone. With `consumed` the journal file is noted as consumed by the
        same commit; one that was noted before changes nothing. Raises `StoreUnavailableError` when the database does
        not answer: then nothing was written, and the same call can be made again.
        """
        with self.catalog.write() as connection:
            written = Written()
            if consumed is not None and _is_consumed(connection, universe.venue, consumed.name):
                written.already = True
                return written
            self._write(connection, universe, tape, name, written, imported=consumed is None)
            if consumed is not None:
                _note(connection, universe.venue, consumed, written)
            crash.point("before_commit")
        crash.point("after_commit")
        return written

    @contextmanager
    def whole(self) -> Iterator[Import]:
        """Several writes of imported rows in one transaction: all are stored at the end of the block, or none."""
        with self.catalog.write() as connection:
            written: list[Written] = []

            def write(universe: Universe, tape: Tape, name: str) -> Written:
                written.append(Written())
                self._write(connection, universe, tape, name, written[-1], imported=True)
                return written[-1]

            try:
                yield Import(write, partial(write_gaps, connection))
            except BaseException:
                # Nothing of it can be committed any more; after a commit that failed nobody could be so sure.
                for path in (path for one in written for path in one.segments):
                    (self.folder / path).unlink(missing_ok=True)
                raise

    def _write(
        self, connection: Connection, universe: Universe, tape: Tape, name: str, written: Written, *, imported: bool
    ) -> None:
        given, tape = len(tape), distinct(tape)
        written.duplicates += given - len(tape)
        versions = Grids(connection, universe, time.time_ns() // 1_000_000)
        fresh = _fresh_trades(connection, self.folder, versions, rows_of(tape, Kind.TRADE), written)
        self._segments(connection, universe, tape, fresh, name, written, imported=imported)
        if len(fresh):
            fold_minutes(connection, versions, fresh.rows)
            fold_days(connection, versions, fresh.rows)
        liquidations = rows_of(tape, Kind.LIQUIDATION)
        stored = put_liquidations(connection, versions, liquidations.rows)
        written.rows += stored
        written.duplicates += len(liquidations) - stored

    def _segments(
        self, connection: Connection, universe: Universe, tape: Tape, fresh: Tape, name: str, written: Written,
        *, imported: bool,
    ) -> None:  # fmt: skip
        for kind in (Kind.TRADE, Kind.QUOTE, Kind.MARK, Kind.DEPTH):
            rows = fresh if kind is Kind.TRADE else rows_of(tape, kind)
            for part in by_hour(rows) if len(rows) else ():
                path = self.free_path(connection, universe.venue, kind, int(part.rows["ts_ms"][0]), name)
                segment = write_segment(self.folder, path, universe, kind, part)
                enter(connection, segment, imported=imported)
                written.segments.append(segment.path)
                written.rows += segment.rows

    def free_path(self, connection: Connection, venue: str, kind: Kind, ts_ms: int, name: str) -> str:
        """A path below the data folder that the catalog does not name; the same again after a crash."""
        moment = time.gmtime(ts_ms // 1000)
        folder = f"{SEGMENTS}/{_NAME.sub('_', venue)}/{kind.name.lower()}/{time.strftime('%Y-%m-%d', moment)}"
        stem = f"{folder}/{time.strftime('%H', moment)}-{_NAME.sub('_', name)[:120]}"
        path = tables.segments.c.path
        taken_paths = set(connection.scalars(sa.select(path).where(path.startswith(stem, autoescape=True))))
        for k in range(_SUFFIXES):
            candidate = f"{stem}{f'.{k}' if k else ''}{SUFFIX}"
            if candidate not in taken_paths:
                return candidate
        raise UsageError(f"{stem}: {_SUFFIXES} segments of one name; give the next rows another one")

    def remove_strays(self) -> list[str]:
        """Delete files below `segments/` that the catalog does not name: what a crash left behind."""
        root = self.folder / SEGMENTS
        found = [path for path in root.rglob("*") if path.suffix == SUFFIX or path.name.endswith(UNFINISHED)]
        # A lock, not only a look: a file that somebody is about to enter must not be taken for a stray.
        with self.catalog.write() as connection:
            known = set(connection.scalars(sa.select(tables.segments.c.path)))
            strays = [path for path in found if path.relative_to(self.folder).as_posix() not in known]
            for path in strays:
                path.unlink(missing_ok=True)
        return [path.relative_to(self.folder).as_posix() for path in strays]


def enter(connection: Connection, segment: Segment, *, imported: bool) -> None:
    """Put a segment that is in place into the catalog."""
    row = {name: getattr(segment, name) for name in Segment.__slots__}
    more = {"created_ms": time.time_ns() // 1_000_000, "imported": imported}
    connection.execute(sa.insert(tables.segments).values({**row, **more}))


def _is_consumed(connection: Connection, venue: str, name: str) -> bool:
    table = tables.journal_files
    query = sa.select(sa.func.count()).where(table.c.venue == venue, table.c.name == name)
    return bool(connection.scalar(query))


def _note(connection: Connection, venue: str, consumed: Consumed, written: Written) -> None:
    """Write that a journal file is consumed, and what was in it."""
    now_ms = time.time_ns() // 1_000_000
    row = {name: getattr(consumed, name) for name in Consumed.__slots__}
    counts = {"rows": written.rows, "duplicates": written.duplicates, "consumed_ms": now_ms}
    connection.execute(sa.insert(tables.journal_files).values({**row, **counts, "venue": venue}))


# ---------------------------------------------------------------- trades: each once


def _fresh_trades(
    connection: Connection, folder: Path, versions: Grids, trades: Tape, written: Written
) -> Tape:  # fmt: skip
    """Those of the trades that are not stored yet, in order of time; their ids are then noted as stored."""
    if not len(trades):
        return trades
    rows = trades.rows
    given = len(rows)
    used = np.unique(rows["instrument"])
    rows = rows[_of_days_source(connection, versions, rows)]
    written.other_source += given - len(rows)
    if not len(rows):
        return Tape(rows, trades.levels)
    symbol = np.searchsorted(used, rows["instrument"]).astype(np.int64)
    aggregate = (rows["flags"] & Flag.AGGREGATE != 0).astype(np.int64)
    ids, ts_ms = rows["id"].astype(np.int64), rows["ts_ms"].astype(np.int64)
    names = [versions.universe[int(i)].symbol for i in used]
    stored = _load_ranges(connection, versions.universe.venue, names, int(ts_ms.min()))
    product = PRODUCTS.get(versions.universe.venue)
    counted = product is None or product.trades.ids is not TradeIds.RISING
    inside = contained(stored, symbol, aggregate, ids, ts_ms)
    fresh = ~inside
    asked_for = inside & (rows["flags"] & Flag.BACKFILLED != 0)
    if not counted and asked_for.any():
        # A range of ids that do not count says nothing about what an interruption has hidden in it.
        fresh[asked_for] = ~_are_stored(connection, folder, versions, rows[asked_for])
    # The same id at another time is another trade only where a chain began anew; here it is one print told twice.
    order = np.lexsort((ts_ms, ids, aggregate, symbol))
    again = np.zeros(len(rows), bool)
    again[order[1:]] = (
        (np.diff(symbol[order]) == 0) & (np.diff(aggregate[order]) == 0) & (np.diff(ids[order]) == 0)
        & (np.diff(ts_ms[order]) <= SLACK_MS)
    )  # fmt: skip
    fresh &= ~again
    written.duplicates += int((~fresh).sum())
    first_ids = np.where(aggregate == 1, ids, rows["first_id"])
    out = fresh & ~inside
    new = runs(symbol[out], aggregate[out], ids[out], ts_ms[out], first_ids[out], counted=counted)
    touched = np.isin(stored["symbol"], new["symbol"])
    after = joined(np.concatenate([stored[touched], new]))
    _store_ranges(connection, versions.universe.venue, names, stored[touched], after)
    return Tape(rows[fresh], trades.levels)


def _are_stored(
    connection: Connection, folder: Path, versions: Grids, rows: NDArray[np.void]
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of these trades are in segments, each looked up itself; those that may be in one that cannot be read, too.

    The newest trades of a quiet symbol reach back for days, those of a busy one for seconds: each is looked for in its
    own time alone, and nothing is kept but what was looked for.
    """
    table, universe = tables.segments, versions.universe
    used, place = np.unique(rows["instrument"], return_inverse=True)
    first_ms, last_ms = np.full(len(used), rows["ts_ms"].max()), np.full(len(used), rows["ts_ms"].min())
    np.minimum.at(first_ms, place, rows["ts_ms"])
    np.maximum.at(last_ms, place, rows["ts_ms"])
    segments = connection.execute(
        sa.select(table.c.path, table.c.first_ms, table.c.last_ms).where(
            table.c.venue == universe.venue, table.c.kind == Kind.TRADE.name.lower(),
            table.c.last_ms >= int(first_ms.min()), table.c.first_ms <= int(last_ms.max()),
        )
    )  # fmt: skip
    stored = np.zeros(len(rows), np.bool_)
    held: set[tuple[str, int]] = set()
    for path, begin_ms, end_ms in segments:
        near = (first_ms <= end_ms) & (last_ms >= begin_ms)
        if not near.any():
            continue
        wanted = [
            ("symbol", "in", [universe[int(i)].symbol for i in used[near]]),
            ("ts_ms", ">=", int(first_ms[near].min())), ("ts_ms", "<=", int(last_ms[near].max())),
            ("id", "in", rows["id"][near[place]].tolist()),
        ]  # fmt: skip
        try:
            found = pq.read_table(folder / path, columns=["symbol", "id"], filters=wanted, partitioning=None)
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            log.error("segment_not_read path=%s reason=%r", path, str(error))  # noqa: TRY400
            stored |= near[place]
        else:
            held.update(zip(found["symbol"].to_pylist(), found["id"].to_pylist(), strict=True))
    keys = zip(rows["instrument"].tolist(), rows["id"].tolist(), strict=True)
    stored |= np.array([(universe[i].symbol, number) in held for i, number in keys])
    return stored


def _of_days_source(connection: Connection, versions: Grids, rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which trades come from the source that their instrument's day is counted from; raw trades where both are new."""
    day = rows["ts_ms"] // DAY_MS
    aggregate = rows["flags"] & Flag.AGGREGATE != 0
    key = day * (len(versions.universe) + 1) + rows["instrument"]
    keys, first, place = np.unique(key, return_index=True, return_inverse=True)
    raw_too = np.zeros(len(keys), bool)
    np.logical_or.at(raw_too, place, ~aggregate)
    source = ~raw_too
    stats = tables.daily_stats
    of_id = {stored_id: int(i) for i in np.unique(rows["instrument"]) for stored_id in versions.all_ids(int(i))}
    held: dict[tuple[int, int], bool] = {}
    days = [int(one) * DAY_MS for one in np.unique(day)]
    for some in chunks(sorted(of_id)):
        found = connection.execute(
            sa.select(stats.c.day_ms, stats.c.instrument_id, stats.c.aggregate)
            .where(stats.c.day_ms.in_(days), stats.c.instrument_id.in_(some))
        )  # fmt: skip
        held.update({(day_ms // DAY_MS, of_id[i]): bool(flag) for day_ms, i, flag in found})
    for k, at in enumerate(first.tolist()):
        source[k] = held.get((int(day[at]), int(rows["instrument"][at])), source[k])
    result: NDArray[np.bool_] = aggregate == source[place]
    return result


def _load_ranges(connection: Connection, venue: str, symbols: Sequence[str], since_ms: int) -> NDArray[np.void]:
    """Stored ranges of these symbols that end no more than a day before `since_ms`; `symbol` is the position here."""
    table = tables.id_ranges
    number = {symbol: k for k, symbol in enumerate(symbols)}
    query = sa.select(*(table.c[name] for name in RANGE.names or ())).where(
        table.c.venue == venue, table.c.to_ms >= since_ms - DAY_MS
    )
    found = [(number[row[0]], *row[1:]) for row in connection.execute(query) if row[0] in number]
    return np.array(found, RANGE)


def _store_ranges(
    connection: Connection, venue: str, symbols: Sequence[str], before: NDArray[np.void], after: NDArray[np.void]
) -> None:
    table = tables.id_ranges
    old, new = set(before.tolist()), set(after.tolist())
    key = ("symbol", "aggregate", "first_id", "from_ms")
    names = RANGE.names or ()
    gone = [dict(zip(names, row, strict=True)) for row in old - new]
    if gone:
        where = [table.c.venue == venue, *(table.c[name] == sa.bindparam(f"old_{name}") for name in key)]
        connection.execute(
            sa.delete(table).where(*where),
            [{f"old_{name}": _value(row, name, symbols) for name in key} for row in gone],
        )
    come = [dict(zip(names, row, strict=True)) for row in new - old]
    if come:
        rows = [{"venue": venue, **{name: _value(row, name, symbols) for name in names}} for row in come]
        connection.execute(sa.insert(table), rows)


def _value(row: dict[str, Any], name: str, symbols: Sequence[str]) -> Any:
    if name == "symbol":
        return symbols[row["symbol"]]
    return bool(row[name]) if name == "aggregate" else row[name]
