"""Missing ids: exact intervals of every instrument's chain, as linked lists in one pool.

The list of an instrument runs from its newest hole to its oldest. Reordered trades and repetitions of recent ones are
at its head; a backfill goes through one hole in order, which `cursor` remembers: both find their place without a walk.
Every hole marks the candles it touches, and lets go of them as it shrinks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf
from ..model.gaps import GAP, Fate
from .candles import Candles, mark_gap

NONE = 0
"""No hole: slot 0 of the pool is never used."""
HOLES_AT_MOST = 4_096
"""Of one instrument. Beyond it the oldest is forgotten: it stays missing, but what fills it later is refused. A line
that loses one frame in a hundred makes so many in an hour of the busiest symbol while nothing can be backfilled."""
FIRST_POOL = 1_024

USED, FREE, FORGOTTEN = range(3)
"""Words of `Holes.meta`: slots ever used, head of the free list, head of the list of forgotten holes."""

_OPEN, _UNFILLABLE = int(Fate.OPEN), int(Fate.UNFILLABLE)

HOLE = np.dtype(
    [
        ("first", np.int64),
        ("last", np.int64),
        ("from_ms", np.int64),
        ("to_ms", np.int64),
        ("instrument", np.int64),
        ("cause", np.int64),
        ("fate", np.int64),
        ("older", np.int64),
        ("newer", np.int64),
    ]
)

CHAIN = np.dtype(
    [
        ("newest", np.int64),
        ("oldest", np.int64),
        ("cursor", np.int64),
        ("count", np.int64),
        ("forgotten", np.int64),
    ]
)
"""Per instrument: both ends of its list, the hole filled last, how many there are, ids in those forgotten."""


class Holes(NamedTuple):
    """The pool, its meta words and the chain heads of every instrument."""

    pool: NDArray[np.void]
    chains: NDArray[np.void]
    meta: NDArray[np.int64]


def new_holes(instruments: int) -> Holes:
    meta = np.zeros(3, np.int64)
    meta[USED] = 1
    return Holes(np.zeros(FIRST_POOL, HOLE), np.zeros(instruments, CHAIN), meta)


def grow_pool(h: Holes) -> Holes:
    """Return the holes with a pool twice as large."""
    pool = np.zeros(2 * len(h.pool), HOLE)
    pool[: len(h.pool)] = h.pool
    return h._replace(pool=pool)


def grow_instruments(h: Holes, instruments: int) -> Holes:
    """Return the holes with room for more instruments."""
    chains = np.zeros(instruments, CHAIN)
    chains[: len(h.chains)] = h.chains
    return h._replace(chains=chains)


@leaf
def has_room(h: Holes) -> bool:
    """Whether one more hole certainly finds a slot."""
    return h.meta[FREE] != NONE or h.meta[USED] < len(h.pool)


@kernel
def open_hole(
    h: Holes, seconds: Candles, minutes: Candles, i: int, first: int, last: int, from_ms: int, to_ms: int, cause: int,
    fate: int, newer: int,
) -> None:  # fmt: skip
    """Insert a hole directly behind the hole `newer` (NONE: as the newest of all) and mark its candles."""
    chain = h.chains[i]
    at = _take(h)
    hole = h.pool[at]
    hole.first, hole.last, hole.from_ms, hole.to_ms = first, last, from_ms, max(from_ms, to_ms)
    hole.instrument, hole.cause, hole.fate, hole.newer = i, cause, fate, newer
    hole.older = chain.newest if newer == NONE else h.pool[newer].older
    if newer == NONE:
        chain.newest = at
    else:
        h.pool[newer].older = at
    if hole.older == NONE:
        chain.oldest = at
    else:
        h.pool[hole.older].newer = at
    chain.count += 1
    _mark(seconds, minutes, i, hole.from_ms, hole.to_ms, 1)
    if chain.count > HOLES_AT_MOST:
        oldest = h.pool[chain.oldest]
        chain.forgotten += oldest.last - oldest.first + 1
        _forget(h, chain.oldest)


@kernel
def fill(h: Holes, seconds: Candles, minutes: Candles, i: int, number: int, ts_ms: int) -> bool:
    """Take id `number` out of the hole it lies in; False when it is not missing.

    Ids and times rise together, so what remains of the hole lies before or after `ts_ms`.
    """
    at = _find(h, i, number)
    if at == NONE:
        return False
    hole = h.pool[at]
    when = min(max(ts_ms, hole.from_ms), hole.to_ms)
    if hole.first == hole.last:
        _mark(seconds, minutes, i, hole.from_ms, hole.to_ms, -1)
        _unlink(h, at)
        _give(h, at)
    elif number == hole.first:
        hole.first += 1
        _release(seconds, minutes, i, hole.from_ms, when, 1)
        hole.from_ms = when
    elif number == hole.last:
        hole.last -= 1
        _release(seconds, minutes, i, hole.to_ms, when, -1)
        hole.to_ms = when
    else:
        lower, from_ms = hole.first, hole.from_ms
        hole.first = number + 1
        _release(seconds, minutes, i, from_ms, when, 1)
        hole.from_ms = when
        open_hole(h, seconds, minutes, i, lower, number - 1, from_ms, when, hole.cause, hole.fate, at)
    return True


@kernel
def close(h: Holes, seconds: Candles, minutes: Candles, i: int, number: int, ts_ms: int) -> None:
    """Take id `number` and all before it out of the hole it lies in, if it lies in one."""
    at = _find(h, i, number)
    if at != NONE:
        h.pool[at].first = number
        fill(h, seconds, minutes, i, number, ts_ms)


@kernel
def lacks(h: Holes, i: int, first: int, last: int) -> bool:
    """Whether all of ids `first..last` are missing, in one hole."""
    at = _find(h, i, first)
    return at != NONE and last <= h.pool[at].last


@kernel
def end_chain(h: Holes, i: int, last_id: int, from_ms: int, to_ms: int, cause: int) -> None:
    """Give up every hole of an instrument: its ids end at `last_id`, for `cause`. Marked candles stay marked.

    The break itself is left as a hole without ids.
    """
    chain = h.chains[i]
    while chain.newest != NONE:
        if h.pool[chain.newest].fate == _OPEN:
            h.pool[chain.newest].fate = _UNFILLABLE
        _forget(h, chain.newest)
    chain.forgotten = 0
    at = _take(h)
    hole = h.pool[at]
    hole.first, hole.last, hole.from_ms, hole.to_ms = last_id + 1, last_id, from_ms, max(from_ms, to_ms)
    hole.instrument, hole.cause, hole.fate = i, cause, _UNFILLABLE
    hole.older = h.meta[FORGOTTEN]
    h.meta[FORGOTTEN] = at


@kernel
def _find(h: Holes, i: int, number: int) -> int:
    """Slot of the hole that `number` lies in, or NONE."""
    chain = h.chains[i]
    at = chain.cursor
    if at == NONE or number > h.pool[at].last:
        at = chain.newest
    while at != NONE and h.pool[at].first > number:
        at = h.pool[at].older
    if at == NONE or number > h.pool[at].last:
        return NONE
    chain.cursor = at
    return at


@leaf
def _take(h: Holes) -> int:
    at = h.meta[FREE]
    if at != NONE:
        h.meta[FREE] = h.pool[at].older
        return at
    at = h.meta[USED]
    h.meta[USED] += 1
    return at


@leaf
def _give(h: Holes, at: int) -> None:
    h.pool[at].instrument = -1
    h.pool[at].older = h.meta[FREE]
    h.meta[FREE] = at


@leaf
def _unlink(h: Holes, at: int) -> None:
    hole = h.pool[at]
    chain = h.chains[hole.instrument]
    if hole.newer == NONE:
        chain.newest = hole.older
    else:
        h.pool[hole.newer].older = hole.older
    if hole.older == NONE:
        chain.oldest = hole.newer
    else:
        h.pool[hole.older].newer = hole.newer
    chain.count -= 1
    chain.cursor = NONE


@leaf
def _forget(h: Holes, at: int) -> None:
    """Move a hole from its chain to the list of forgotten ones, until somebody has taken note of it."""
    _unlink(h, at)
    h.pool[at].older = h.meta[FORGOTTEN]
    h.meta[FORGOTTEN] = at


@leaf
def _mark(seconds: Candles, minutes: Candles, i: int, from_ms: int, to_ms: int, change: int) -> None:
    mark_gap(minutes, i, from_ms, to_ms, change)
    mark_gap(seconds, i, from_ms, to_ms, change)


@leaf
def _release(seconds: Candles, minutes: Candles, i: int, was_ms: int, now_ms: int, direction: int) -> None:
    """An end of a hole moved from `was_ms` to `now_ms` (`direction` 1: its beginning, -1: its end)."""
    _release_one(minutes, i, was_ms, now_ms, direction)
    _release_one(seconds, i, was_ms, now_ms, direction)


@leaf
def _release_one(store: Candles, i: int, was_ms: int, now_ms: int, direction: int) -> None:
    """Unmark the candles between two positions of a hole's end, except the one it stands in now."""
    base_ms = store.meta[1]
    was, now = was_ms // base_ms, now_ms // base_ms
    if was < now and direction > 0:
        mark_gap(store, i, was_ms, (now - 1) * base_ms, -1)
    elif was > now and direction < 0:
        mark_gap(store, i, (now + 1) * base_ms, was_ms, -1)


# -- for readers ------------------------------------------------------------------------------------------------------


def listed(h: Holes, i: int) -> NDArray[np.void]:
    """The holes of an instrument as `GAP` rows, oldest first."""
    chain = h.chains[i]
    out = np.zeros(int(chain["count"]), GAP)
    at = int(chain["oldest"])
    for k in range(len(out)):
        hole = h.pool[at]
        out[k] = _gap(hole, int(hole["fate"]))
        at = int(hole["newer"])
    return out


def take_forgotten(h: Holes) -> NDArray[np.void]:
    """Hand over the holes that were forgotten since the last call, as `GAP` rows, and free their slots."""
    rows = []
    at = int(h.meta[FORGOTTEN])
    while at != NONE:
        hole = h.pool[at]
        rows.append(_gap(hole, int(hole["fate"]) or int(Fate.FORGOTTEN)))
        following = int(hole["older"])
        hole["instrument"], hole["older"] = -1, h.meta[FREE]
        h.meta[FREE] = at
        at = following
    h.meta[FORGOTTEN] = NONE
    return np.array(rows[::-1], GAP)


def decide(h: Holes, i: int, first: int, last: int, fate: int) -> NDArray[np.void]:
    """Set the fate of what is missing within `first..last`; returns those holes as `GAP` rows, oldest first.

    A hole that reaches beyond the range is decided as a whole: ask for whole holes.
    """
    at = int(h.chains[i]["oldest"])
    rows = []
    while at != NONE:
        hole = h.pool[at]
        if hole["first"] <= last and hole["last"] >= first:
            hole["fate"] = fate
            rows.append(_gap(hole, fate))
        at = int(hole["newer"])
    return np.array(rows, GAP)


def rename(h: Holes, i: int, cause: int, to: int) -> None:
    """Give another cause to an instrument's holes of one cause."""
    at = int(h.chains[i]["oldest"])
    while at != NONE:
        hole = h.pool[at]
        if hole["cause"] == cause:
            hole["cause"] = to
        at = int(hole["newer"])


def _gap(hole: NDArray[np.void], fate: int) -> tuple[int, ...]:
    return (
        int(hole["instrument"]),
        int(hole["cause"]),
        fate,
        int(hole["first"]),
        int(hole["last"]),
        int(hole["from_ms"]),
        int(hole["to_ms"]),
    )
