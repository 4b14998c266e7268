"""Best-quote events: the order flow imbalance of Cont, Kukanov and Stoikov (2014), mark prices, liquidations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, prefetch, whole_lines, zeros
from ..model.tape import E8, Flag
from ..model.views import LIQUIDATION
from .candles import MINUTE_MS, number_of

_LONG = int(Flag.LONG)
LIQUIDATIONS = 1 << 15
CHAIN_SLACK_MS = 1_000
"""Update ids and times rise together: a lower id with a later time than this begins a new chain (see `trades`)."""

QUOTE = whole_lines(
    ("id", np.int64),
    ("ts_ms", np.int64),
    ("bid", np.int64),
    ("bid_lots", np.int64),
    ("ask", np.int64),
    ("ask_lots", np.int64),
    ("seen", np.int64),
    ("repeated", np.int64),
)

MARK = np.dtype(
    [
        ("event_ms", np.int64),
        ("mark_e8", np.int64),
        ("index_e8", np.int64),
        ("rate_e8", np.int64),
        ("next_funding_ms", np.int64),
    ]
)

LIQUIDATION_TOTALS = np.dtype(
    [("long", np.int64), ("short", np.int64), ("notional_whole", np.int64), ("notional_e8", np.int64)]
)
"""Counts of reported liquidations and their notional: lots x whole part of the price, lots x its 1e-8 parts. Two
sums because one alone would leave 64 bits after a thousand bitcoin."""

OFI_MINUTE = np.dtype([("minute", np.int64), ("ofi", np.int64), ("n", np.int64)])


class Quotes(NamedTuple):
    """Per instrument: newest quote, OFI by minute of T (`ofi[slot, instrument]`), newest mark, liquidation totals.

    `meta[0]` is the newest seq.
    """

    quotes: NDArray[np.void]
    ofi: NDArray[np.void]
    marks: NDArray[np.void]
    totals: NDArray[np.void]
    liquidations: NDArray[np.void]
    meta: NDArray[np.int64]


def new_quotes(instruments: int, minutes: int) -> Quotes:
    """Nothing known yet; `minutes` of order flow imbalance are kept, a power of two."""
    ofi = np.zeros((minutes, instruments), OFI_MINUTE)
    return Quotes(
        quotes=zeros(instruments, QUOTE),
        ofi=ofi,
        marks=np.zeros(instruments, MARK),
        totals=np.zeros(instruments, LIQUIDATION_TOTALS),
        liquidations=np.zeros(LIQUIDATIONS, LIQUIDATION),
        meta=np.zeros(1, np.int64),
    )


def grow_instruments(state: Quotes, instruments: int) -> Quotes:
    """Return the state with room for more instruments."""
    wider = new_quotes(instruments, len(state.ofi))
    n = len(state.quotes)
    for name in ("quotes", "marks", "totals"):
        getattr(wider, name)[:n] = getattr(state, name)
    wider.ofi[:, :n] = state.ofi
    return wider._replace(liquidations=state.liquidations, meta=state.meta)


@leaf
def best_level_ofi(
    bid: int, bid_lots: int, ask: int, ask_lots: int, bid0: int, bid_lots0: int, ask0: int, ask_lots0: int
) -> int:
    """Contribution e_n of one quote after the previous one (suffix 0), in lots. Cont, Kukanov, Stoikov 2014, eq. 2."""
    e = np.int64(0)
    if bid >= bid0:
        e += bid_lots
    if bid <= bid0:
        e -= bid_lots0
    if ask <= ask0:
        e -= ask_lots
    if ask >= ask0:
        e += ask_lots0
    return e


@leaf
def fetch_quote(s: Quotes, i: int, ts_ms: int) -> None:
    """Begin to fetch what a quote of this time will change."""
    prefetch(s.quotes, i)
    prefetch(s.ofi, (number_of(ts_ms, MINUTE_MS) & (len(s.ofi) - 1)) * s.ofi.shape[1] + i)


@leaf
def on_quote(s: Quotes, row: Record) -> None:
    i = np.uint32(row.instrument)
    q = s.quotes[i]
    if q.seen and row.id <= q.id and row.ts_ms <= q.ts_ms + CHAIN_SLACK_MS:
        q.repeated += 1
        return
    if q.seen and row.id > q.id:
        e = best_level_ofi(row.price, row.qty, row.price2, row.qty2, q.bid, q.bid_lots, q.ask, q.ask_lots)
        minute = number_of(row.ts_ms, MINUTE_MS)
        slot = s.ofi[np.uint64(minute & (len(s.ofi) - 1)), i]
        if slot.minute < minute:
            slot.minute = minute
            slot.ofi = 0
            slot.n = 0
        if slot.minute == minute:
            slot.ofi += e
            slot.n += 1
    q.id = row.id
    q.ts_ms = row.ts_ms
    q.bid, q.bid_lots = row.price, row.qty
    q.ask, q.ask_lots = row.price2, row.qty2
    q.seen += 1


@leaf
def on_mark(s: Quotes, row: Record) -> None:
    mark = s.marks[np.uint32(row.instrument)]
    if row.event_ms < mark.event_ms:
        return
    mark.event_ms = row.event_ms
    mark.mark_e8 = row.price
    mark.index_e8 = row.price2
    mark.rate_e8 = row.qty
    mark.next_funding_ms = row.id


@leaf
def on_liquidation(s: Quotes, row: Record) -> None:
    long = np.int64((row.flags & _LONG) != 0)
    totals = s.totals[np.uint32(row.instrument)]
    totals.long += long
    totals.short += 1 - long
    totals.notional_whole += row.price // E8 * row.qty
    totals.notional_e8 += row.price % E8 * row.qty
    s.meta[0] += 1
    entry = s.liquidations[s.meta[0] % len(s.liquidations)]
    entry.seq = s.meta[0]
    entry.instrument = row.instrument
    entry.ts_ms = row.ts_ms
    entry.event_ms = row.event_ms
    entry.long = long
    entry.price_e8 = row.price
    entry.qty = row.qty


@kernel
def rescale(s: Quotes, i: int, price_factor: int, lot_factor: int) -> None:
    """Rewrite one instrument's quote, OFI and liquidations on a finer grid."""
    q = s.quotes[i]
    q.bid *= price_factor
    q.ask *= price_factor
    q.bid_lots *= lot_factor
    q.ask_lots *= lot_factor
    for k in range(len(s.ofi)):
        s.ofi[k, i].ofi *= lot_factor
    s.totals[i].notional_whole *= lot_factor
    s.totals[i].notional_e8 *= lot_factor
    for k in range(len(s.liquidations)):
        if s.liquidations[k].seq and s.liquidations[k].instrument == i:
            s.liquidations[k].qty *= lot_factor
