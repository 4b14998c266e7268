"""Upkeep: small segments become few, what is too old or too much goes. One step a call, so that sealing never waits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..flow.candles import DAY_MS
from . import crash, tables
from .reader import HOUR_MS, concatenated
from .segments import KINDS, MAX_ROWS, distinct, read_segment, write_segment
from .writer import Store, enter

log = logging.getLogger(__name__)

SETTLED_MS = 600_000
"""An hour is over when rows this much later have been stored: late ones have come by then."""
WORTH_ROWS = 8
"""Rewriting is worth it when the largest part is at most so many times the others, or when they are so many."""


def compact(store: Store) -> bool:
    """Put together the small segments of one hour, or of one day, that is over; False when there are none."""
    with store.catalog.read() as connection:
        group = _next_group(connection)
    if not group:
        return False
    venue, kind = group[0]["venue"], KINDS[group[0]["kind"]]
    universe = store.catalog.universe(venue)
    parts = [read_segment(store.folder / row["path"], universe, kind, 0, 1 << 62) for row in group]
    whole = distinct(concatenated(parts))
    ids = sorted(row["id"] for row in group)
    with store.catalog.read() as connection:
        path = store.free_path(connection, venue, kind, int(whole.rows["ts_ms"][0]), f"c{ids[0]}-{ids[-1]}")
    segment = write_segment(store.folder, path, universe, kind, whole)
    with store.catalog.write() as connection:
        gone = connection.execute(sa.delete(tables.segments).where(tables.segments.c.id.in_(ids)))
        if gone.rowcount != len(ids):
            raise RuntimeError("segments were removed while they were being compacted; only one sealer may run")
        enter(connection, segment, imported=all(row["imported"] for row in group))
        crash.point("before_exchange")
    crash.point("after_exchange")
    _unlink(store, [row["path"] for row in group])
    log.info(
        "compacted venue=%s kind=%s parts=%d rows=%d bytes=%d", venue, kind.name, len(ids), segment.rows, segment.bytes
    )
    return True


def _next_group(connection: Connection) -> list[Any]:
    table = tables.segments
    rows = connection.execute(
        sa.select(table).order_by(table.c.venue, table.c.kind, table.c.imported, table.c.first_ms, table.c.id)
    )
    spans: dict[tuple[Any, ...], list[Any]] = {}
    newest: dict[str, int] = {}
    for row in rows.mappings():
        newest[row["venue"]] = max(newest.get(row["venue"], 0), row["last_ms"])
        spans.setdefault((row["venue"], row["kind"], row["imported"], row["first_ms"] // DAY_MS), []).append(row)
    for (venue, _, _, day), members in spans.items():
        settled = newest[venue] - SETTLED_MS
        if settled >= (day + 1) * DAY_MS:
            groups = _packed(members)
        else:
            hours: dict[int, list[Any]] = {}
            for row in members:
                if row["first_ms"] // HOUR_MS < settled // HOUR_MS and row["last_ms"] < settled:
                    hours.setdefault(row["first_ms"] // HOUR_MS, []).append(row)
            groups = [group for several in hours.values() for group in _packed(several)]
        if groups:
            return groups[0]
    return []


def _packed(rows: Sequence[Any]) -> list[list[Any]]:
    """Neighbours in time that fit into one segment and are worth being rewritten."""
    groups: list[list[Any]] = []
    held = MAX_ROWS + 1
    for row in rows:
        if held + row["rows"] > MAX_ROWS:
            groups.append([])
            held = 0
        groups[-1].append(row)
        held += row["rows"]
    return [group for group in groups if len(group) > 1 and _is_worth_it(group)]


def _is_worth_it(group: Sequence[Any]) -> bool:
    largest = max(row["rows"] for row in group)
    return len(group) > WORTH_ROWS or largest <= WORTH_ROWS * (sum(row["rows"] for row in group) - largest)


def expire(store: Store, now_ms: int, retention_s: float, max_bytes: int) -> int:
    """Delete the oldest recorded day that is older than `retention_s`, or that is too much; returns how many files.

    0 for either means no bound. The day that is being written is never deleted for its size. A clock that has jumped
    ahead deletes nothing: no age is counted beyond a day after the newest row stored.
    """
    table = tables.segments
    with store.catalog.read() as connection:
        oldest, newest_ms = _span(connection)
        if oldest is None:
            return 0
        now_ms = min(now_ms, newest_ms + DAY_MS)
        expired = retention_s and (oldest + 1) * DAY_MS <= now_ms - retention_s * 1000
        used = int(connection.scalar(sa.select(sa.func.sum(table.c.bytes))) or 0) + store.catalog.size()
        too_much = max_bytes and used > max_bytes and (oldest + 1) * DAY_MS <= now_ms
    if not expired and not too_much:
        return 0
    start, end = oldest * DAY_MS, (oldest + 1) * DAY_MS
    with store.catalog.write() as connection:
        mine = (table.c.last_ms < end, sa.not_(table.c.imported))
        paths = list(connection.scalars(sa.select(table.c.path).where(*mine)))
        connection.execute(sa.delete(table).where(*mine))
        keeps = connection.scalar(
            sa.select(sa.func.count()).where(table.c.imported, table.c.first_ms < end, table.c.last_ms >= start)
        )
        if not keeps:
            for derived, time in _BY_TIME:
                connection.execute(sa.delete(derived).where(derived.c[time] >= start, derived.c[time] < end))
        crash.point("before_expiry")
    crash.point("after_expiry")
    _unlink(store, paths)
    log.info("expired day_ms=%d segments=%d reason=%s", start, len(paths), "age" if expired else "size")
    return len(paths)


_BY_TIME = (
    (tables.candles, "open_ms"),
    (tables.volume_profile, "open_ms"),
    (tables.liquidations, "ts_ms"),
    (tables.gaps, "to_ms"),
    (tables.id_ranges, "to_ms"),
)


def _span(connection: Connection) -> tuple[int | None, int]:
    """Day of the oldest recorded segment, by its end, and the time of the newest recorded row."""
    last_ms = tables.segments.c.last_ms
    recorded = sa.select(sa.func.min(last_ms), sa.func.max(last_ms)).where(sa.not_(tables.segments.c.imported))
    oldest, newest = connection.execute(recorded).one()
    return (None, 0) if oldest is None else (int(oldest) // DAY_MS, int(newest))


def _unlink(store: Store, paths: Sequence[str]) -> None:
    for path in paths:
        (store.folder / path).unlink(missing_ok=True)
        crash.point("segment_removed")
