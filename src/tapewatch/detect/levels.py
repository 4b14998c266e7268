"""The memory of single price levels: what stood, what was executed, since when; and the notes it takes.

A level is remembered in the slot of its tick modulo SLOTS, so that an instrument needs the same memory at any price:
ticks further than SLOTS / 2 from the touch are not looked at. Prints and book diffs come on different sockets, prints
often later: executed quantity is only ever compared over a level's life, never diff by diff.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..book.ladder import NO_PRICE, Ladders, lots_at, next_level
from ..compiled import Record, kernel, leaf

SLOTS = 1 << 13
REBORN_MS = 500
"""A level that comes back within this time is the same: it was refilled."""
REFILL_MS = 100
"""Refills closer than this are one: a single order through new quotes is no hidden one."""
NOTES = 1 << 10
"""Notes of one row at most; more are counted as lost."""
LATE_MS = 500
"""Prints may come so much later than the book diffs that show what they did."""
CHANGES = 1 << 13
"""Changes of levels that can be undone: seconds of the busiest book."""
UNSEEN = -(1 << 62)
"""In place of lots: the level came into reach after the book was read, and nobody has looked what stood there."""
GREW, SHRANK, REFILLED, PARENT, STOOD = range(1, 6)
NOTED, LOST, BOUGHT, SOLD, CHANGED, RELOADED_MS = range(6)
"""Places in `Levels.counts`: notes now and notes lost; lots bought and sold by aggressors since the study began;
changes of levels ever; when the book was last read anew, before which nothing can be undone."""

BAND_BPS = (2, 5, 10, 25, 50)
"""Distance bands from the mid price, upper edges."""
FAR = len(BAND_BPS)

MEMORY = np.dtype(
    [
        ("tick", np.int64),
        ("lots", np.int64),
        ("side", np.int64),
        ("born_ms", np.int64),
        ("gone_ms", np.int64),
        ("peak", np.int64),
        ("hit", np.int64),
        ("born_hit", np.int64),
        ("shown", np.int64),
        ("refills", np.int64),
        ("refill_ms", np.int64),
        ("big_ms", np.int64),
        ("big_lots", np.int64),
        ("big_hit", np.int64),
    ]
)
"""One level: `lots` are signed, `side` is that of its present life; `hit` lots executed against it since its tick is
remembered, `born_hit` and `big_hit` what that was when it was born and when it grew large; `shown` what stood after the
newest refill; `big_lots` the most since it is large (0: it is not)."""


class Note(NamedTuple):
    """One row of `Levels.notes`; what each field holds depends on the kind."""

    kind: int
    ts_ms: int
    side: int
    tick: int
    before: int
    lots: int
    since_ms: int
    hit: int
    refills: int
    peak: int
    levels: int
    tick2: int
    quote: int


NOTE = np.dtype([(name, np.int64) for name in Note._fields])
"""GREW a level became large, SHRANK it lost half of its largest size; REFILLED more was executed at a price than had
been shown, again; PARENT an aggressor's order ended, having taken `levels` prices from `tick` to `tick2`, `hit` lots
for `quote` ticks x lots; STOOD such an order pressed on one price, `hit` lots in all, and the price held."""

RUN = np.dtype(
    [
        ("side", np.int64),
        ("first_ms", np.int64),
        ("last_ms", np.int64),
        ("first", np.int64),
        ("last", np.int64),
        ("lots", np.int64),
        ("quote", np.int64),
        ("levels", np.int64),
        ("prints", np.int64),
    ]
)
"""An aggressor's order while it runs."""

CHANGE = np.dtype([("ts_ms", np.int64), ("tick", np.int64), ("lots", np.int64)])
"""A level was changed by the diff of `ts_ms`: what stood there before, in signed lots, or UNSEEN."""


PRESS = np.dtype(
    [
        ("price", np.int64),
        ("first_ms", np.int64),
        ("last_ms", np.int64),
        ("lots", np.int64),
        ("hit", np.int64),
        ("stood", np.int64),
        ("noted", np.int64),
    ]
)
"""Aggressor flow into one price of one side: `stood` is what the level showed when it began, `hit` its memory then."""
PRESS_GAP_MS = 1_000
"""A pause longer than this ends the pressure on a price."""


class Levels(NamedTuple):
    """`large[band]`: lots from which a level is large, `walls[band]` from which it may be a wall, and is told again (0:
    not known yet); `pressure[0]` lots from which pressure on one
    price is told. `run`: the running order; `press[0]` on bids, `press[1]` on asks; `changes`: a ring,
    the newest at `counts[CHANGED] - 1`; `counts`: see NOTED and those after it.
    """

    memory: NDArray[np.void]
    large: NDArray[np.int64]
    walls: NDArray[np.int64]
    pressure: NDArray[np.int64]
    run: NDArray[np.void]
    press: NDArray[np.void]
    notes: NDArray[np.void]
    changes: NDArray[np.void]
    counts: NDArray[np.int64]


def new_levels() -> Levels:
    memory = np.zeros(SLOTS, MEMORY)
    memory["tick"] = -1
    return Levels(
        memory=memory,
        large=np.zeros(FAR + 1, np.int64),
        walls=np.zeros(FAR + 1, np.int64),
        pressure=np.zeros(1, np.int64),
        run=np.zeros(1, RUN),
        press=np.zeros(2, PRESS),
        notes=np.zeros(NOTES, NOTE),
        changes=np.zeros(CHANGES, CHANGE),
        counts=np.zeros(RELOADED_MS + 1, np.int64),
    )


@leaf
def band_of(tick: int, double_mid: int) -> int:
    """Which band a tick is in; FAR beyond the last."""
    distance = abs(2 * tick - double_mid) * 10_000
    band = 0
    while band < FAR and distance > BAND_BPS[band] * double_mid:
        band += 1
    return band


@leaf
def _note(s: Levels, kind: int, ts_ms: int, side: int, tick: int) -> Record:
    if s.counts[NOTED] >= NOTES:
        s.counts[NOTED] -= 1
        s.counts[LOST] += 1
    n = s.notes[s.counts[NOTED]]
    s.counts[NOTED] += 1
    n.kind, n.ts_ms, n.side, n.tick = kind, ts_ms, side, tick
    return n


@leaf
def _slot(s: Levels, tick: int, near: int) -> Record:
    """The memory of a tick; a tick that comes nearer than the one remembered takes the slot."""
    m = s.memory[tick & (SLOTS - 1)]
    if m.tick != tick and (m.tick < 0 or abs(tick - near) <= abs(m.tick - near)):
        m.tick, m.lots, m.side, m.hit, m.born_hit, m.born_ms, m.gone_ms = tick, 0, 0, 0, 0, 0, 0
        m.peak, m.shown, m.refills, m.big_ms, m.big_lots, m.big_hit = 0, 0, 0, 0, 0, 0
    return m


@kernel
def on_level(s: Levels, tick: int, lots: int, side: int, double_mid: int, ts_ms: int) -> None:
    """A diff says that a level of one side (1 bids, -1 asks) now holds so many lots."""
    near = double_mid // 2
    if abs(tick - near) >= SLOTS // 2:
        return
    seen = s.memory[tick & (SLOTS - 1)].tick == tick
    m = _slot(s, tick, near)
    if m.tick != tick:
        return
    if seen and lots == 0 and m.lots * side <= 0:
        return  # where the price has passed, a side deletes what the other one now holds
    signed = lots * side
    change = s.changes[s.counts[CHANGED] & (CHANGES - 1)]
    change.ts_ms, change.tick, change.lots = ts_ms, tick, m.lots if seen else UNSEEN
    s.counts[CHANGED] += 1
    before, after = abs(m.lots), abs(signed)
    turned = after > 0 and side != m.side
    if after and (before == 0 or turned) and (turned or m.gone_ms == 0 or ts_ms - m.gone_ms > REBORN_MS):
        m.born_ms, m.born_hit, m.peak, m.shown, m.refills = ts_ms, m.hit, after, after, 0
        m.refill_ms = ts_ms
        m.side = side
        m.big_ms, m.big_lots = 0, 0
    elif after > before and before * 5 <= m.peak:
        m.shown = after
    m.lots = signed
    m.peak = max(m.peak, after)
    if after == 0 and before:
        m.gone_ms = ts_ms
    band = band_of(tick, double_mid)
    large, wall = s.large[band], s.walls[band]
    if m.big_lots and after * 2 < m.big_lots:
        n = _note(s, SHRANK, ts_ms, side, tick)
        n.before, n.lots, n.since_ms, n.hit = m.big_lots, after, m.big_ms, m.big_hit
        m.big_ms, m.big_lots = 0, 0
    elif m.big_lots:
        if wall and m.big_lots < wall <= after:
            n = _note(s, GREW, ts_ms, side, tick)
            n.before, n.lots, n.since_ms = before, after, m.born_ms
        m.big_lots = max(m.big_lots, after)
    elif large and after >= large:
        m.big_ms, m.big_lots, m.big_hit = ts_ms, after, m.hit
        n = _note(s, GREW, ts_ms, side, tick)
        n.before, n.lots, n.since_ms = before, after, m.born_ms


@kernel
def reload(s: Levels, books: Ladders, i: int, ts_ms: int) -> None:
    """Begin anew with a book that has just become live: its levels are as old as our knowledge of them."""
    s.counts[RELOADED_MS] = ts_ms
    book = books.books[i]
    near = (book.best_bid + book.best_ask) // 2
    for tick in range(near - SLOTS // 2 + 1, near + SLOTS // 2):
        m = _slot(s, tick, near)
        m.lots, m.big_ms, m.big_lots, m.gone_ms = 0, 0, 0, 0
    for side in (1, -1):
        tick = book.best_bid if side > 0 else book.best_ask
        while tick != NO_PRICE and abs(tick - near) < SLOTS // 2:
            m = _slot(s, tick, near)
            if m.tick == tick:
                m.lots, m.side = lots_at(books, i, tick), side
                m.born_ms, m.born_hit, m.peak, m.shown, m.refills = ts_ms, m.hit, abs(m.lots), abs(m.lots), 0
            tick = next_level(books, i, tick, side)


@kernel
def on_print(s: Levels, price: int, lots: int, sell: bool, ts_ms: int, double_mid: int, cluster_ms: int) -> None:
    """An aggressor's print: it hits a bid if it sells. Prints of one order are at most `cluster_ms` apart."""
    s.counts[SOLD if sell else BOUGHT] += lots
    _run(s.run[0], s, price, lots, -1 if sell else 1, ts_ms, cluster_ms)
    near = double_mid // 2
    if double_mid <= 0 or abs(price - near) >= SLOTS // 2:
        return
    m = _slot(s, price, near)
    if m.tick != price:
        return
    m.hit += lots
    _press(s, m, price, lots, sell, ts_ms)
    # What was executed beyond what the display has lost was refilled from somewhere unseen, or by somebody new.
    executed = m.hit - m.born_hit
    if m.peak > 0 and m.lots * (1 if sell else -1) > 0:
        refilled = executed - (m.peak - abs(m.lots))
        if refilled >= (m.refills + 1) * m.shown and ts_ms - m.refill_ms >= REFILL_MS:
            m.refills += 1
            m.refill_ms = ts_ms
            n = _note(s, REFILLED, ts_ms, 1 if sell else -1, price)
            n.hit, n.refills, n.peak, n.since_ms, n.lots = executed, m.refills, m.peak, m.born_ms, abs(m.lots)


@leaf
def _press(s: Levels, m: Record, price: int, lots: int, sell: bool, ts_ms: int) -> None:
    """Flow into one price: tell once when it has become heavy."""
    p = s.press[0 if sell else 1]
    if p.price != price or ts_ms - p.last_ms > PRESS_GAP_MS:
        p.price, p.first_ms, p.lots, p.noted = price, ts_ms, 0, 0
        p.hit, p.stood = m.hit - lots, abs(m.lots)
    p.lots += lots
    p.last_ms = ts_ms
    if s.pressure[0] and p.lots >= s.pressure[0] and not p.noted:
        p.noted = 1
        n = _note(s, STOOD, ts_ms, 1 if sell else -1, price)
        n.hit, n.since_ms, n.before, n.lots = p.lots, p.first_ms, p.stood, abs(m.lots)


@leaf
def _run(r: Record, s: Levels, price: int, lots: int, side: int, ts_ms: int, cluster_ms: int) -> None:
    """Extend the running order, or end it and begin the next one."""
    onward = (price - r.last) * side
    if r.lots and side == r.side and ts_ms - r.last_ms <= cluster_ms and onward >= 0:
        r.levels += onward > 0
        r.last, r.last_ms = price, ts_ms
        r.lots += lots
        r.quote += price * lots
        r.prints += 1
        return
    end_run(s, r)
    r.side, r.first_ms, r.last_ms, r.first, r.last = side, ts_ms, ts_ms, price, price
    r.lots, r.quote, r.levels, r.prints = lots, price * lots, 1, 1


@kernel
def rest(s: Levels, at_ms: int) -> None:
    """End an order that has not gone on for a while."""
    r = s.run[0]
    if at_ms - r.last_ms > LATE_MS:
        end_run(s, r)


@leaf
def end_run(s: Levels, r: Record) -> None:
    """Note the order that has ended, if there was one of several levels."""
    if r.lots and r.levels > 1:
        n = _note(s, PARENT, r.last_ms, r.side, r.first)
        n.tick2, n.hit, n.levels, n.since_ms, n.refills = r.last, r.lots, r.levels, r.first_ms, r.prints
        n.quote = r.quote
    r.lots = 0
