"""Stoikov's microprice (2018): the mid price plus what it is expected to move, given imbalance and spread.

A state is a bucket of the best levels' imbalance and a spread in ticks. Between two best quotes the mid price stays
(counts of transitions Q) or moves (sums of moves R1, counts of transitions R2). With G1 = (1 - Q)^-1 R1 the expected
next move and B = (1 - Q)^-1 R2 the state after it, the adjustment is g = G1 + B G1 + B^2 G1 + …. Every transition is
counted with its mirror image, without which the sum does not converge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf

BUCKETS = 11
"""Buckets of bid lots / (bid lots + ask lots); an odd number, so that a balanced quote is its own mirror image."""
SPREADS = 4
"""Spreads of 1, 2, 3 ticks, and more."""
STATES = BUCKETS * SPREADS
MIN_TRANSITIONS = 2_000
"""No fit from fewer best quotes."""
MIN_VISITS = 20
"""A state seen less often than this has no adjustment of its own."""
HALVE_MS = 3_600_000
"""Counts are halved every hour of event time, so that a fit describes the day it is used on."""
TERMS = 64


class Counts(NamedTuple):
    """`stay[x, y]` quotes without, `move[x, y]` with a move of the mid price, `sums[x]` of moves in half ticks.

    `last`: state (-1 none yet) and twice the mid price of the newest quote, when counts were last halved.
    """

    stay: NDArray[np.int64]
    move: NDArray[np.int64]
    sums: NDArray[np.int64]
    last: NDArray[np.int64]


def new_counts() -> Counts:
    zeros = np.zeros((STATES, STATES), np.int64)
    return Counts(zeros, zeros.copy(), np.zeros(STATES, np.int64), np.array([-1, 0, 0], np.int64))


@leaf
def state_of(bid: int, bid_lots: int, ask: int, ask_lots: int) -> int:
    """The state of a best quote."""
    larger = min(BUCKETS * max(bid_lots, ask_lots) // (bid_lots + ask_lots), BUCKETS - 1)
    bucket = larger if bid_lots >= ask_lots else BUCKETS - 1 - larger
    return (min(ask - bid, SPREADS) - 1) * BUCKETS + bucket


@leaf
def mirrored(state: int) -> int:
    """The state with bids and asks exchanged."""
    return state - state % BUCKETS + BUCKETS - 1 - state % BUCKETS


@kernel
def on_quote(c: Counts, bid: int, bid_lots: int, ask: int, ask_lots: int, ts_ms: int) -> None:
    """Count the transition to a new best quote."""
    if ask <= bid or bid_lots <= 0 or ask_lots <= 0:
        c.last[0] = -1
        return
    state = state_of(bid, bid_lots, ask, ask_lots)
    before, moved = c.last[0], bid + ask - c.last[1]
    if before >= 0:
        if ts_ms - c.last[2] >= HALVE_MS:
            _halve(c)
            c.last[2] = ts_ms
        there, back = mirrored(before), mirrored(state)
        if moved == 0:
            c.stay[before, state] += 1
            c.stay[there, back] += 1
        else:
            c.move[before, state] += 1
            c.move[there, back] += 1
            c.sums[before] += moved
            c.sums[there] -= moved
    else:
        c.last[2] = ts_ms
    c.last[0] = state
    c.last[1] = bid + ask


@leaf
def _halve(c: Counts) -> None:
    for x in range(STATES):
        c.sums[x] = np.int64(c.sums[x] / 2)  # towards zero: mirror images stay mirror images
        for y in range(STATES):
            c.stay[x, y] //= 2
            c.move[x, y] //= 2


def fit(counts: Counts) -> NDArray[np.float64] | None:
    """Adjustment of every state in ticks, NaN for states hardly seen; None before enough quotes."""
    stay, move = counts.stay.astype(np.float64), counts.move.astype(np.float64)
    visits = stay.sum(axis=1) + move.sum(axis=1)
    if visits.sum() < 2 * MIN_TRANSITIONS:
        return None
    seen = np.flatnonzero(visits >= MIN_VISITS)
    # Transitions into states hardly seen leave the chain: what comes after them is not known.
    per_visit = 1 / visits[seen]
    q = stay[np.ix_(seen, seen)] * per_visit[:, None]
    r2 = move[np.ix_(seen, seen)] * per_visit[:, None]
    r1 = counts.sums[seen] / 2 * per_visit
    try:
        solved = np.linalg.solve(np.eye(len(seen)) - q, np.column_stack([r1, r2]))
    except np.linalg.LinAlgError:  # states that have only ever led to each other, without a move
        return None
    step, b = solved[:, 0], solved[:, 1:]
    total = step.copy()
    for _ in range(TERMS):
        step = b @ step
        total += step
    out = np.full(STATES, np.nan)
    out[seen] = total
    return out
