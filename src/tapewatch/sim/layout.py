"""State of the simulated market: flat arrays of records that the kernels step and ordinary Python reads.

Prices in books are ticks. Prices of prints, bars and quotes are *wire units* (units of the last printed decimal), so
that what was printed stays right when an instrument's tick changes. Quantities are lots; times say their unit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP_MS = 25
"""The market moves in steps of this; every depth stream's slot is a whole number of them."""
DEPTH_SLOTS_MS = (0, 100, 250, 500)
"""Speeds of the diff depth streams; 0 sends after every step with a change."""

RING = 4096
"""Price levels kept per book: the level of price `p` lives at `p % RING`."""
REACH = 1600
"""A book stands this many ticks around its anchor on either side; the rest of the ring stays empty, so that while the
anchor wanders at most 160 ticks in the slowest slot, no two prices of one slot share a place."""
UNDO = 1 << 18
"""Level changes remembered to serve REST books of a moment ago: more than 5 s of a calm market."""
OPEN_AGGREGATES = 1024
PARENTS = 64
PER_STEP = 1 << 16
MINUTES = 1440
"""One-minute bars kept: the 24 h of the tickers."""

WANT_QUOTES, WANT_TRADES = 1, 2

SYMBOL = np.dtype(
    [
        ("live", np.int64),
        ("want", np.int64),
        # character
        ("tick_units", np.int64),
        ("orders_per_s", np.float64),
        ("changes_per_s", np.float64),
        ("order_lots", np.float64),
        ("level_lots", np.float64),
        ("adv_lots", np.float64),
        ("sigma", np.float64),
        ("beta", np.float64),
        ("spread", np.int64),
        # book
        ("anchor", np.int64),
        ("bid", np.int64),
        ("ask", np.int64),
        ("fair", np.float64),
        ("last_u", np.int64),
        ("last_us", np.int64),
        # flow
        ("excited_buy", np.float64),
        ("excited_sell", np.float64),
        ("drift", np.float64),
        # prints
        ("trade_id", np.int64),
        ("aggregate_id", np.int64),
        ("first_aggregate", np.int64),
        ("open_from", np.int64),
        ("open_to", np.int64),
        ("last_event_ms", np.int64),
        ("past_at", np.int64),
        ("past_room", np.int64),
        # the largest liquidation of the running second
        ("liq_due_ms", np.int64),
        ("liq_ms", np.int64),
        ("liq_sell", np.int64),
        ("liq_qty", np.int64),
        ("liq_quote", np.int64),
        ("liq_last", np.int64),
        ("liq_limit", np.int64),
    ]
)

AGGREGATE = np.dtype(
    [
        ("symbol", np.int64),
        ("id", np.int64),
        ("price", np.int64),
        ("qty", np.int64),
        ("public_qty", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("ts_ms", np.int64),
        ("event_ms", np.int64),
        ("sell", np.int64),
    ]
)
"""Fills of one price and one taker side within 100 ms; `public_qty` leaves out retail price improvement orders."""

FILL = np.dtype(
    [
        ("symbol", np.int64),
        ("id", np.int64),
        ("price", np.int64),
        ("qty", np.int64),
        ("ts_ms", np.int64),
        ("sell", np.int64),
        ("cause", np.int64),
    ]
)
MARKET, INSURANCE_FUND, ADL = 0, 1, 2

QUOTE = np.dtype(
    [
        ("symbol", np.int64),
        ("u", np.int64),
        ("bid", np.int64),
        ("bid_qty", np.int64),
        ("ask", np.int64),
        ("ask_qty", np.int64),
        ("ts_ms", np.int64),
    ]
)

LIQUIDATED = np.dtype(
    [
        ("symbol", np.int64),
        ("sell", np.int64),
        ("qty", np.int64),
        ("quote", np.int64),
        ("last", np.int64),
        ("limit", np.int64),
        ("ts_ms", np.int64),
        ("event_ms", np.int64),
    ]
)
"""`quote` is wire units x lots, so the average price is quote / qty; `limit` the bankruptcy price in wire units."""

BAR = np.dtype(
    [
        ("open_ms", np.int64),
        ("open", np.int64),
        ("high", np.int64),
        ("low", np.int64),
        ("close", np.int64),
        ("qty", np.int64),
        ("quote", np.int64),
        ("buy_qty", np.int64),
        ("buy_quote", np.int64),
        ("trades", np.int64),
        ("first", np.int64),
        ("last", np.int64),
    ]
)
"""A kline; `quote` figures are wire units x lots, `first` and `last` raw trade ids (-1 where `trades` is 0)."""

CHANGE = np.dtype(
    [
        ("symbol", np.int64),
        ("price", np.int64),
        ("was", np.int64),
        ("u", np.int64),
        ("prev_u", np.int64),
        ("prev_us", np.int64),
        ("us", np.int64),
    ]
)
"""One level change, as what undoes it."""

PARENT = np.dtype(
    [
        ("left", np.int64),
        ("symbol", np.int64),
        ("sell", np.int64),
        ("child", np.int64),
        ("gap_us", np.int64),
        ("next_us", np.int64),
    ]
)
"""A large order worked in children."""

WORLD = np.dtype(
    [
        ("rng", np.uint64),
        ("start_us", np.int64),
        ("pace", np.float64),
        ("shock", np.float64),
        ("shock_steps", np.int64),
        ("symbols", np.int64),
        ("changes", np.int64),
        ("quotes", np.int64),
        ("fills", np.int64),
        ("aggregates", np.int64),
        ("liquidations", np.int64),
        ("overflow", np.int64),
    ]
)


class State(NamedTuple):
    """Everything a step reads and writes."""

    world: NDArray[np.void]
    symbols: NDArray[np.void]
    books: NDArray[np.int64]
    """Signed lots a level: bids positive, asks negative."""
    dirty: NDArray[np.uint8]
    """Which diff streams have not told a level yet: bit s the bid side of speed s, bit 4 + s its ask side."""
    slots: NDArray[np.int64]
    """First update id of the running slot of each speed, 0 when nothing changed in it."""
    undo: NDArray[np.void]
    open: NDArray[np.void]
    past: NDArray[np.void]
    """Aggregate trades sent, in one ring a symbol: REST aggTrades reads here."""
    parents: NDArray[np.void]
    bars: NDArray[np.void]
    """The running minute of each symbol."""
    quotes: NDArray[np.void]
    fills: NDArray[np.void]
    aggregates: NDArray[np.void]
    liquidations: NDArray[np.void]


def allocate(room: int, past: int) -> State:
    return State(
        world=np.zeros(1, WORLD),
        symbols=np.zeros(room, SYMBOL),
        books=np.zeros((room, RING), np.int64),
        dirty=np.zeros((room, RING), np.uint8),
        slots=np.zeros((room, len(DEPTH_SLOTS_MS)), np.int64),
        undo=np.zeros(UNDO, CHANGE),
        open=np.zeros((room, OPEN_AGGREGATES), AGGREGATE),
        past=np.zeros(past, AGGREGATE),
        parents=np.zeros(PARENTS, PARENT),
        bars=np.zeros(room, BAR),
        quotes=np.zeros(PER_STEP, QUOTE),
        fills=np.zeros(PER_STEP, FILL),
        aggregates=np.zeros(PER_STEP, AGGREGATE),
        liquidations=np.zeros(room, LIQUIDATED),
    )
