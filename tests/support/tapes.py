"""Rows of the tape written by hand: trades, diffs, snapshots, quotes, marks and liquidations in ticks and lots."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import LEVEL, ROW, Flag, Kind, Tape

T0 = 1_767_225_600_000
"""2026-01-01 00:00:00 UTC in ms."""

Level = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One row to be, with its levels."""

    kind: Kind
    columns: dict[str, int]
    bids: Sequence[Level] = ()
    asks: Sequence[Level] = field(default=())


def universe(*symbols: str, tick: str = "0.1", lot: str = "0.001") -> Universe:
    """Instruments on one grid; one tick x lot of the default grid is 0.0001 of quote currency."""
    return Universe(
        "binance",
        [
            Instrument(-1, "binance", symbol, symbol[:-4], "USDT", "perp", Grid.parse(tick), Grid.parse(lot))
            for symbol in symbols or ("BTCUSDT",)
        ],
    )


def trade(
    trade_id: int, ts_ms: int, price: int, lots: int, *, sell: bool = False, i: int = 0,
    aggregate: bool = True, off_book: bool = False, event_ms: int | None = None,
) -> Row:  # fmt: skip
    flags = (Flag.SELL if sell else 0) | (Flag.AGGREGATE if aggregate else 0) | (Flag.OFF_BOOK if off_book else 0)
    return Row(
        Kind.TRADE,
        {
            "flags": int(flags),
            "instrument": i,
            "event_ms": ts_ms if event_ms is None else event_ms,
            "ts_ms": ts_ms,
            "id": trade_id,
            "first_id": trade_id,
            "last_id": trade_id,
            "price": price,
            "qty": lots,
            "qty2": lots,
        },
    )


def diff(
    first: int,
    last: int,
    prev: int,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    i: int = 0,
    ts_ms: int = T0,
) -> Row:
    """A depth diff: ids U, u, pu and absolute lots per level."""
    columns = {"instrument": i, "event_ms": ts_ms, "ts_ms": ts_ms, "id": last, "first_id": first, "last_id": last}
    return Row(Kind.DEPTH, {**columns, "prev_id": prev}, bids, asks)


def snapshot(
    last: int,
    bids: Sequence[Level] = (),
    asks: Sequence[Level] = (),
    *,
    known: tuple[int, int] = (0, 0),
    i: int = 0,
    ts_ms: int = T0,
) -> Row:
    """A REST depth answer with its lastUpdateId; `known` are the ticks at which a side was cut, 0 where it was not."""
    columns = {"flags": int(Flag.SNAPSHOT), "instrument": i, "event_ms": ts_ms, "ts_ms": ts_ms, "id": last}
    return Row(
        Kind.DEPTH, {**columns, "first_id": last, "last_id": last, "price": known[0], "price2": known[1]}, bids, asks
    )


def quote(update_id: int, ts_ms: int, bid: int, bid_lots: int, ask: int, ask_lots: int, *, i: int = 0) -> Row:
    columns = {"instrument": i, "event_ms": ts_ms, "ts_ms": ts_ms, "id": update_id, "price": bid, "qty": bid_lots}
    return Row(Kind.QUOTE, {**columns, "price2": ask, "qty2": ask_lots})


def mark(event_ms: int, mark_e8: int, index_e8: int, rate_e8: int, funding_ms: int, *, i: int = 0) -> Row:
    columns = {"instrument": i, "event_ms": event_ms, "ts_ms": event_ms, "id": funding_ms}
    return Row(Kind.MARK, {**columns, "price": mark_e8, "price2": index_e8, "qty": rate_e8})


def liquidation(ts_ms: int, price_e8: int, lots: int, *, long: bool, i: int = 0) -> Row:
    columns = {"flags": int(Flag.LONG) if long else 0, "instrument": i, "event_ms": ts_ms + 1_005, "ts_ms": ts_ms}
    return Row(Kind.LIQUIDATION, {**columns, "price": price_e8, "qty": lots})


def tape(rows: Iterable[Row]) -> Tape:
    """The rows as one batch."""
    rows = list(rows)
    out = np.zeros(len(rows), ROW)
    levels: list[Level] = []
    for k, row in enumerate(rows):
        out[k]["kind"] = row.kind
        for name, value in row.columns.items():
            out[k][name] = value
        out[k]["level_at"], out[k]["bids"], out[k]["asks"] = len(levels), len(row.bids), len(row.asks)
        levels += [*row.bids, *row.asks]
    return Tape(out, np.array(levels, LEVEL))


def examples(count: int) -> settings:
    """Settings of a property: `count` examples, times TAPEWATCH_EXAMPLES for a long run, which finds new ones."""
    factor = int(os.environ.get("TAPEWATCH_EXAMPLES", "1"))
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count * factor, suppress_health_check=checks)


def cuts(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """A way to cut `length` rows into batches, as (start, stop) pairs."""
    at = sorted(draw(st.sets(st.integers(0, length), max_size=12)) | {0, length})
    return list(pairwise(at))
