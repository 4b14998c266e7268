"""What is derived from trades as they are stored: 1m candles with their cells, days, liquidations.

Stored candles are laid back into the structure that folds live trades, the new trades are added by the same code, and
the result takes the place of what was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from ..flow.candles import DAY_MS, MINUTE_MS
from ..model.instrument import Universe
from ..model.tape import Flag
from . import tables
from .catalog import chunks, version_for, versions_of
from .cells import STORED, fold, lay, pack, taken, unpack

CANDLES_AT_ONCE = 1 << 16
"""Candles (instruments x minutes) that are folded at a time: eight megabytes, and their cells."""
CANDLE_COLUMNS = ("open", "high", "low", "close", "open_id", "close_id", "bid", "ask", "bid_quote", "ask_quote", "n")

Key = tuple[int, int]
"""Open time in ms, instrument id."""


class Grids:
    """Which id stands for an instrument on the grid its rows are counted in, and which ids it had before."""

    def __init__(self, connection: Connection, universe: Universe, now_ms: int) -> None:
        self.universe = universe
        self._connection = connection
        self._known = versions_of(connection, universe.venue)
        self._ids: dict[int, int] = {}
        self._now_ms = now_ms

    def id_of(self, index: int) -> int:
        """The instrument's stored version with exactly its ticks and lots; made if there is none."""
        if index not in self._ids:
            self._ids[index] = version_for(self._connection, self._known, self.universe[index], self._now_ms)
        return self._ids[index]

    def all_ids(self, index: int) -> list[int]:
        """Every version of the instrument."""
        return [version.id for version in self._known.get(self.universe[index].symbol, [])]


# ---------------------------------------------------------------- candles and footprints


def fold_minutes(connection: Connection, grids: Grids, rows: NDArray[np.void]) -> None:
    """Add trades to the stored 1m candles and cells that they belong to."""
    used, places = np.unique(rows["instrument"], return_inverse=True)
    ids = [grids.id_of(int(i)) for i in used]
    slots = 1 << max(1, (CANDLES_AT_ONCE // len(ids)).bit_length() - 1)
    order = np.argsort(rows["ts_ms"], kind="stable")
    minutes = rows["ts_ms"][order] // MINUTE_MS
    at = 0
    while at < len(order):
        stop = int(np.searchsorted(minutes, minutes[at] + slots))
        _fold_span(connection, ids, rows[order[at:stop]], places[order[at:stop]], slots)
        at = stop


def _fold_span(
    connection: Connection, ids: Sequence[int], rows: NDArray[np.void], places: NDArray[np.intp], slots: int
) -> None:
    minutes = rows["ts_ms"] // MINUTE_MS
    market = rows["flags"] & Flag.OFF_BOOK == 0
    pairs, place_of = np.unique(minutes * len(ids) + places, return_inverse=True)
    keys: list[Key] = [(pair // len(ids) * MINUTE_MS, ids[pair % len(ids)]) for pair in pairs.tolist()]
    off_book = np.bincount(place_of[~market], minlength=len(keys)).tolist()
    opened = (np.unique(minutes) * MINUTE_MS).tolist()
    stored, cells, excluded = load_candles(connection, opened, ids, only=set(keys))
    held = {(int(row["open_ms"]), ids[int(row["i"])]) for row in stored}
    for key, count in zip(keys, off_book, strict=True):
        excluded[key] = excluded.get(key, 0) + count
    store = lay(stored, cells, len(ids), MINUTE_MS, slots)
    store = fold(store, np.ascontiguousarray(rows[market]), places[market].astype(np.int64))
    candles, cells = taken(store)
    _replace_candles(connection, ids, candles, cells, excluded, held)


def load_candles(
    connection: Connection, open_ms: Sequence[int], ids: Sequence[int], *, only: set[Key] | None = None
) -> tuple[NDArray[np.void], NDArray[np.void], dict[Key, int]]:
    """Stored candles (STORED; `i` is the position in `ids`), their cells, and prints excluded by key."""
    place = {stored_id: k for k, stored_id in enumerate(ids)}
    candle, profile = tables.candles, tables.volume_profile
    joined_tables = candle.join(
        profile,
        (candle.c.open_ms == profile.c.open_ms) & (candle.c.instrument_id == profile.c.instrument_id),
    )
    columns = [candle.c.open_ms, candle.c.instrument_id, candle.c.excluded, profile.c.cells]
    columns += [candle.c[name] for name in CANDLE_COLUMNS]
    found: list[Any] = []
    for some in chunks(open_ms):
        for several in chunks(ids):
            query = sa.select(*columns).select_from(joined_tables)
            query = query.where(candle.c.open_ms.in_(some), candle.c.instrument_id.in_(several))
            found += [row for row in connection.execute(query).all() if only is None or (row[0], row[1]) in only]
    candles = np.zeros(len(found), STORED)
    cells, counts = unpack([row[3] for row in found])
    if found:
        numbers = np.array([row[4:] for row in found], np.int64)
        candles["open_ms"] = [row[0] for row in found]
        candles["i"] = [place[row[1]] for row in found]
        for k, name in enumerate(CANDLE_COLUMNS):
            candles["base"][name] = numbers[:, k]
        candles["base"]["cells"] = counts
        candles["base"]["cell_at"] = np.cumsum(counts) - counts
    return candles, cells, {(row[0], row[1]): row[2] for row in found if row[2]}


def _replace_candles(
    connection: Connection, ids: Sequence[int], candles: NDArray[np.void], cells: NDArray[np.void],
    excluded: dict[Key, int], held: set[Key],
) -> None:  # fmt: skip
    """Write candles and cells in the place of those that were there."""
    for table in (tables.candles, tables.volume_profile):
        _delete(connection, table, "open_ms", held)
    # Minutes with nothing but prints that are no market trades have no numbers of a candle; the prints are counted.
    present = {(int(row["open_ms"]), ids[int(row["i"])]) for row in candles}
    for open_ms, stored_id in sorted(excluded.keys() - present):
        key = {"open_ms": open_ms, "instrument_id": stored_id}
        zeroes = dict.fromkeys(CANDLE_COLUMNS, 0) | {"excluded": excluded[open_ms, stored_id]}
        connection.execute(sa.insert(tables.candles).values(key | zeroes))
        connection.execute(sa.insert(tables.volume_profile).values(key | {"cells": b""}))
    insert_candles(connection, ids, candles, cells, excluded)


def insert_candles(
    connection: Connection, ids: Sequence[int], candles: NDArray[np.void], cells: NDArray[np.void],
    excluded: dict[Key, int] | None = None,
) -> None:  # fmt: skip
    """Write candles (STORED; `i` is the position in `ids`) of which none is there yet, and their cells."""
    if not len(candles):
        return
    blobs = pack(cells, candles["base"]["cells"].astype(np.int64))
    rows = candle_rows(candles, ids, excluded or {})
    profiles = [
        {"open_ms": row["open_ms"], "instrument_id": row["instrument_id"], "cells": blob}
        for row, blob in zip(rows, blobs, strict=True)
    ]
    connection.execute(sa.insert(tables.candles), rows)
    connection.execute(sa.insert(tables.volume_profile), profiles)


def candle_rows(candles: NDArray[np.void], ids: Sequence[int], excluded: dict[Key, int]) -> list[dict[str, Any]]:
    """Candles as rows of SQL."""
    columns = [candles["base"][name].tolist() for name in CANDLE_COLUMNS]
    keys = [(int(ms), ids[i]) for ms, i in zip(candles["open_ms"].tolist(), candles["i"].tolist(), strict=True)]
    return [
        {"open_ms": key[0], "instrument_id": key[1], "excluded": excluded.get(key, 0)}
        | dict(zip(CANDLE_COLUMNS, numbers, strict=True))
        for key, numbers in zip(keys, zip(*columns, strict=True), strict=True)
    ]


def _delete(connection: Connection, table: sa.Table, time_name: str, keys: set[Key]) -> None:
    if keys:
        query = sa.delete(table).where(
            table.c[time_name] == sa.bindparam("at"), table.c.instrument_id == sa.bindparam("id")
        )
        connection.execute(query, [{"at": open_ms, "id": stored_id} for open_ms, stored_id in sorted(keys)])


# ---------------------------------------------------------------- days


def fold_days(connection: Connection, grids: Grids, rows: NDArray[np.void]) -> None:
    """Add trades to the statistics of their UTC days."""
    table = tables.daily_stats
    added = _days(grids, rows)
    for day_ms in sorted({key[0] for key in added}):
        mine = {stored_id: stats for (day, stored_id), stats in added.items() if day == day_ms}
        before: dict[int, Any] = {}
        for some in chunks(sorted(mine)):
            query = sa.select(table).where(table.c.day_ms == day_ms, table.c.instrument_id.in_(some))
            before.update({row["instrument_id"]: row for row in connection.execute(query).mappings()})
        _delete(connection, table, "day_ms", {(day_ms, one) for one in before})
        values = [
            {"day_ms": day_ms, "instrument_id": stored_id, **merged(before.get(stored_id), stats)}
            for stored_id, stats in mine.items()
        ]
        connection.execute(sa.insert(table), values)


def _days(grids: Grids, rows: NDArray[np.void]) -> dict[Key, dict[str, Any]]:
    """One candle a day and instrument over these trades."""
    used, places = np.unique(rows["instrument"], return_inverse=True)
    pairs, group = np.unique(rows["ts_ms"] // DAY_MS * len(used) + places, return_inverse=True)
    market = rows["flags"] & Flag.OFF_BOOK == 0
    excluded = np.bincount(group[~market], minlength=len(pairs)).tolist()
    aggregate = np.zeros(len(pairs), bool)
    aggregate[group] = rows["flags"] & Flag.AGGREGATE != 0
    out: dict[Key, dict[str, Any]] = {}
    for pair, count, of_aggregates in zip(pairs.tolist(), excluded, aggregate.tolist(), strict=True):
        key = (pair // len(used) * DAY_MS, grids.id_of(int(used[pair % len(used)])))
        out[key] = dict.fromkeys(CANDLE_COLUMNS, 0) | {"excluded": count, "aggregate": of_aggregates}
    if not market.any():
        return out
    order = np.flatnonzero(market)
    order = order[np.lexsort((rows["id"][order], group[order]))]
    rows, group = rows[order], group[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(group) != 0]))
    last = np.concatenate([starts[1:], [len(rows)]]) - 1
    sold = np.where(rows["flags"] & Flag.SELL != 0, rows["qty"], 0)
    bought = rows["qty"] - sold
    columns = {
        "open": rows["price"][starts],
        "high": np.maximum.reduceat(rows["price"], starts),
        "low": np.minimum.reduceat(rows["price"], starts),
        "close": rows["price"][last],
        "open_id": rows["id"][starts],
        "close_id": rows["id"][last],
        "bid": np.add.reduceat(sold, starts),
        "ask": np.add.reduceat(bought, starts),
        "bid_quote": np.add.reduceat(sold * rows["price"], starts),
        "ask_quote": np.add.reduceat(bought * rows["price"], starts),
        "n": last - starts + 1,
    }
    keys = list(out)
    for k, at in enumerate(group[starts].tolist()):
        out[keys[at]].update({name: int(column[k]) for name, column in columns.items()})
    return out


def merged(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    """Two candles of one span as one; the trade with the lowest id opens it, the one with the highest closes it."""
    if old is None or not old["n"]:
        return new | {"excluded": new["excluded"] + (old["excluded"] if old else 0)}
    if not new["n"]:
        return {name: old[name] for name in new} | {"excluded": old["excluded"] + new["excluded"]}
    first, last = (old if old["open_id"] < new["open_id"] else new), (old if old["close_id"] > new["close_id"] else new)
    sums = ("bid", "ask", "bid_quote", "ask_quote", "n", "excluded")
    return {
        **new,
        "open": first["open"],
        "open_id": first["open_id"],
        "close": last["close"],
        "close_id": last["close_id"],
        "high": max(old["high"], new["high"]),
        "low": min(old["low"], new["low"]),
        **{name: old[name] + new[name] for name in sums},
    }


# ---------------------------------------------------------------- liquidations


def put_liquidations(connection: Connection, grids: Grids, tape_rows: NDArray[np.void]) -> int:
    """Note liquidations that are not there yet; returns how many that were."""
    if not len(tape_rows):
        return 0
    table = tables.liquidations
    key = [column.name for column in table.primary_key]
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in tape_rows:
        one = {
            "ts_ms": int(row["ts_ms"]),
            "instrument_id": grids.id_of(int(row["instrument"])),
            "long": bool(row["flags"] & Flag.LONG),
            "price_e8": int(row["price"]),
            "qty": int(row["qty"]),
            "event_ms": int(row["event_ms"]),
            "recv_ns": int(row["recv_ns"]),
        }
        rows.setdefault(tuple(one[name] for name in key), one)
    times = [one["ts_ms"] for one in rows.values()]
    query = sa.select(*(table.c[name] for name in key)).where(table.c.ts_ms.between(min(times), max(times)))
    held = {tuple(row) for row in connection.execute(query)}
    fresh = [one for one_key, one in rows.items() if one_key not in held]
    if fresh:
        connection.execute(sa.insert(table), fresh)
    return len(fresh)
