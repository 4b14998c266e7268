"""Counts again: does the store hold the trades that an engine held, and do its own books agree with each other?

Three tables say how many trades there are, each for another purpose: segments (rows of files), candles and days (what
was added up), ranges of ids (what must not be stored again). A row that is lost is missing in one of them at least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import sqlalchemy as sa

from ..flow.candles import DAY_MS, MINUTE_MS
from . import tables
from .catalog import Catalog, versions_of
from .reader import without

Ids = tuple[int, int]
"""First and last of a run of trade ids."""


@dataclass(frozen=True, slots=True)
class Held:
    """Trades that an engine held of one symbol at some moment."""

    symbol: str
    aggregate: bool
    ids: list[Ids]
    from_ms: int
    to_ms: int

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ids)


@dataclass(frozen=True, slots=True)
class HeldMinutes:
    """How many trades an engine held of a symbol whose ids do not count, by opening time of their minute."""

    symbol: str
    trades: dict[int, int]

    def __len__(self) -> int:
        return sum(self.trades.values())


class Absent(NamedTuple):
    """Trades that were held and are not stored; without ids (`last_id` below `first_id`) where ids do not count."""

    first_id: int
    last_id: int
    from_ms: int
    to_ms: int
    trades: int


def unstored_of_minutes(catalog: Catalog, venue: str, held: Sequence[HeldMinutes]) -> dict[str, list[Absent]]:
    """What minutes lack in the store, by symbol."""
    table = tables.candles
    opens = [open_ms for one in held for open_ms in one.trades]
    stored: Counter[tuple[str, int]] = Counter()
    if opens:
        with catalog.read() as connection:
            symbol_of = {v.id: symbol for symbol, several in versions_of(connection, venue).items() for v in several}
            query = sa.select(table.c.instrument_id, table.c.open_ms, table.c.n).where(
                table.c.open_ms >= min(opens), table.c.open_ms <= max(opens)
            )
            for i, open_ms, n in connection.execute(query):
                if i in symbol_of:
                    stored[symbol_of[i], open_ms] += n
    out: dict[str, list[Absent]] = {}
    for one in held:
        for open_ms, n in one.trades.items():
            if (lacking := n - stored[one.symbol, open_ms]) > 0:
                out.setdefault(one.symbol, []).append(Absent(0, -1, open_ms, open_ms + MINUTE_MS - 1, lacking))
    return out


def unstored(catalog: Catalog, venue: str, held: Sequence[Held]) -> dict[str, list[Absent]]:
    """Ids that were held and are not stored, by symbol; none of one whose day is counted from the other source."""
    ranges, days = tables.id_ranges, tables.daily_stats
    since_ms = min((one.from_ms for one in held), default=0) // DAY_MS * DAY_MS
    stored: dict[tuple[str, bool], list[Ids]] = {}
    with catalog.read() as connection:
        query = sa.select(ranges.c.symbol, ranges.c.aggregate, ranges.c.first_id, ranges.c.last_id)
        for symbol, aggregate, first, last in connection.execute(
            query.where(ranges.c.venue == venue, ranges.c.to_ms >= since_ms - DAY_MS)
        ):
            stored.setdefault((symbol, bool(aggregate)), []).append((first, last))
        symbol_of = {v.id: symbol for symbol, several in versions_of(connection, venue).items() for v in several}
        sources = connection.execute(
            sa.select(days.c.instrument_id, days.c.aggregate).where(days.c.day_ms >= since_ms).distinct()
        )
        others = {(symbol_of[i], bool(aggregate)) for i, aggregate in sources if i in symbol_of}
    out: dict[str, list[Absent]] = {}
    for one in held:
        covered = stored.get((one.symbol, one.aggregate), [])
        absent = [run for first, last in one.ids for run in without(first, last, covered)]
        if absent and (one.symbol, not one.aggregate) not in others:
            out[one.symbol] = [Absent(*run, one.from_ms, one.to_ms, run[1] - run[0] + 1) for run in absent]
    return out


@dataclass(frozen=True, slots=True)
class DayCounts:
    """Trades of one venue and UTC day, by those who count them."""

    day_ms: int
    segments: int
    candles: int
    days: int

    @property
    def agree(self) -> bool:
        """Daily statistics stay when retention takes the rest of a day."""
        return self.segments == self.candles and (self.days == self.candles or not self.candles)

    def __str__(self) -> str:
        return f"{self.segments:,} trades in segments, {self.candles:,} in candles, {self.days:,} in daily statistics"


def day_counts(catalog: Catalog, venue: str, day_ms: int) -> DayCounts:
    """Count one day three times, as of one commit."""
    segments, candles, days = tables.segments, tables.candles, tables.daily_stats
    end_ms = day_ms + DAY_MS
    with catalog.read() as connection:
        ids = sa.select(tables.instruments.c.id).where(tables.instruments.c.venue == venue)

        def total(column: sa.ColumnElement[int], *where: sa.ColumnElement[bool]) -> int:
            return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(*where)) or 0)

        return DayCounts(
            day_ms,
            total(
                segments.c.rows, segments.c.venue == venue, segments.c.kind == "trade",
                segments.c.first_ms >= day_ms, segments.c.first_ms < end_ms,
            ),
            total(
                candles.c.n + candles.c.excluded, candles.c.open_ms >= day_ms, candles.c.open_ms < end_ms,
                candles.c.instrument_id.in_(ids),
            ),
            total(days.c.n + days.c.excluded, days.c.day_ms == day_ms, days.c.instrument_id.in_(ids)),
        )  # fmt: skip


def last_day(catalog: Catalog) -> dict[str, int]:
    """The newest day of which trades are stored, by venue."""
    table = tables.segments
    query = sa.select(table.c.venue, sa.func.max(table.c.first_ms)).where(table.c.kind == "trade")
    with catalog.read() as connection:
        found = connection.execute(query.group_by(table.c.venue)).all()
    return {venue: int(newest) // DAY_MS * DAY_MS for venue, newest in found}


def wrong_files(folder: Path, catalog: Catalog) -> Iterator[str]:
    """Segments that are not as the catalog has them: gone, of another size, unreadable, or of other than their rows."""
    table = tables.segments
    with catalog.read() as connection:
        found = connection.execute(sa.select(table.c.path, table.c.rows, table.c.bytes).order_by(table.c.id)).all()
    for path, rows, size in found:
        try:
            there = (folder / path).stat().st_size
            held = pq.read_metadata(folder / path).num_rows if there == size else None
        except FileNotFoundError:
            yield f"{path} does not exist"
        except (OSError, ValueError) as error:
            yield f"{path} cannot be read: {error}"
        else:
            if held is None:
                yield f"{path} has {there:,} bytes, {size:,} were written"
            elif held != rows:
                yield f"{path} holds {held:,} rows, {rows:,} were written"
