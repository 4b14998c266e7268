"""How the lines of an archived file are written: what one line of aggTrades teaches about the next ones.

Whole numbers keep their length, and all but their last eight digits, for millions of lines. Two patterns say byte by
byte what that means: one for the id, one for what stands between quantity and flag. A line is compared with them at
once, and only where its price and its quantity end has to be searched for.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf, zeros
from ..model.instrument import Grid
from .binance_usdm_fields import EARLIEST_MS, LATEST_MS
from .scan import MAX_DIGITS
from .wide import bytes_as
from .words import WIDE, WORD, byte_at, digits_at, times_ten_to

ID, FIRST_ID, LAST_ID, TIME = range(4)
"""Whole numbers of a line."""
PRICE, QTY = range(2)
"""Its decimals."""
NUMBER = np.dtype([("length", np.int64), ("high", np.int64)])
"""A whole number's length, and what the digits before its last eight are worth."""
DECIMAL = np.dtype([("units", np.int64), ("decimals", np.int64)])
"""An increment, with as many decimals as numbers of this kind have been seen to have."""

_HEAD, _TAIL = 0, 2 * WIDE
"""Where the pattern of the id and its comma begins, and that of first id, last id and time with theirs."""
_AS_WANTED = np.uint64(2**WIDE - 1)
_LAST_DIGITS = 10**WORD
_MS_DIGITS = 13
_MAX_POWER = MAX_DIGITS - WORD
"""Of ten, by which eight digits may be multiplied."""
_COMMA, _DOT, _ZERO = ord(","), ord("."), ord("0")
_ANY_DIGIT, _ANY_BYTE = 9, 255


class Line(NamedTuple):
    """What a line says; `end` is the position behind it, or FAIL."""

    end: int
    id: int
    first_id: int
    last_id: int
    ts_ms: int
    price: int
    qty: int
    sell: bool


class Form(NamedTuple):
    """What is known of a file's lines."""

    grid: NDArray[np.int64]
    """Tick units, tick decimals, lot units, lot decimals."""
    known: NDArray[np.bool_]
    """One: whether a line has been learnt from. All below comes from lines."""
    numbers: NDArray[np.void]
    decimals: NDArray[np.void]
    scales: NDArray[np.int64]
    """A row for prices, one for quantities: what to multiply the digits by, given how many bytes stand from the point
    to the end; 0 if that is too many."""
    patterns: NDArray[np.uint8]
    """As `wide.bytes_as` has them."""


def new_form(tick: Grid, lot: Grid) -> Form:
    """What is known before the first line."""
    return Form(
        grid=np.array([tick.units, tick.decimals, lot.units, lot.decimals], np.int64),
        known=np.zeros(1, np.bool_),
        numbers=np.zeros(TIME + 1, NUMBER),
        decimals=np.array([(tick.units, tick.decimals), (lot.units, lot.decimals)], DECIMAL),
        scales=np.zeros((QTY + 1, WIDE), np.int64),
        patterns=zeros(4 * WIDE, np.dtype(np.uint8)),
    )


@leaf
def is_as_learnt(buf: NDArray[np.uint8], p: int, first_at: int, form: Form) -> bool:
    """Whether whole numbers and commas of a line, whose first id is at `first_at`, are as learnt."""
    return bool(bytes_as(buf, p, form.patterns, _HEAD) & bytes_as(buf, first_at, form.patterns, _TAIL) == _AS_WANTED)


@kernel
def learn(buf: NDArray[np.uint8], p: int, first_at: int, line: Line, form: Form) -> None:
    """Learn from the line of aggTrades at `p`, which says `line` and whose first id is at `first_at`.

    Nothing is known where whole numbers are shorter than a word, or times are not milliseconds.
    """
    price_at = p + digits_at(buf, p) + 1
    _learn_decimal(buf, _learn_decimal(buf, price_at, form, PRICE), form, QTY)
    if form.known[0] and is_as_learnt(buf, p, first_at, form):
        return
    last_at = first_at + digits_at(buf, first_at) + 1
    time_at = last_at + digits_at(buf, last_at) + 1
    flag_at = time_at + digits_at(buf, time_at) + 1
    _learn_number(form, ID, price_at - p - 1, line.id)
    _learn_number(form, FIRST_ID, last_at - first_at - 1, line.first_id)
    _learn_number(form, LAST_ID, time_at - last_at - 1, line.last_id)
    _learn_number(form, TIME, flag_at - time_at - 1, line.ts_ms)
    # Times like this one need no look at whether they are possible.
    ids, firsts, lasts, times = form.numbers[ID], form.numbers[FIRST_ID], form.numbers[LAST_ID], form.numbers[TIME]
    in_time = times.length == _MS_DIGITS and times.high > EARLIEST_MS and times.high + _LAST_DIGITS <= LATEST_MS
    form.known[0] = in_time and min(ids.length, firsts.length, lasts.length) >= WORD
    if form.known[0]:
        _want(buf, p, price_at - p, form, _HEAD)
        _want(buf, first_at, flag_at - first_at, form, _TAIL)


@leaf
def _learn_number(form: Form, which: int, length: int, value: int) -> None:
    number = form.numbers[which]
    number.length, number.high = length, value - value % _LAST_DIGITS


@kernel
def _learn_decimal(buf: NDArray[np.uint8], p: int, form: Form, which: int) -> int:
    """Learn with how many decimals the one at `p` is written; returns where the next field begins."""
    p += digits_at(buf, p)
    written = 0
    if byte_at(buf, p) == _DOT:
        written = digits_at(buf, p + 1)
        p += 1 + written
    known = form.decimals[which]
    is_finer = known.decimals < written <= WORD
    if is_finer:
        known.units = times_ten_to(known.units, written - known.decimals)
        known.decimals = written
    if is_finer or form.scales[which, 0] == 0:
        for behind in range(min(known.decimals, WORD) + 2):
            power = known.decimals - max(behind - 1, 0)
            form.scales[which, behind] = times_ten_to(1, power) if power <= _MAX_POWER else 0
    return p + 1


@kernel
def _want(buf: NDArray[np.uint8], p: int, length: int, form: Form, at: int) -> None:
    """Want bytes like the `length` from `p`: the same commas, and other digits only for the last eight before each."""
    digits = 0
    for k in range(length - 1, -1, -1):
        c = byte_at(buf, p + k)
        digits = 0 if c == _COMMA else digits + 1
        may_vary = 0 < digits <= WORD
        form.patterns[at + k] = _ZERO if may_vary else c
        form.patterns[at + WIDE + k] = _ANY_DIGIT if may_vary else 0
    form.patterns[at + length : at + WIDE] = 0
    form.patterns[at + WIDE + length : at + 2 * WIDE] = _ANY_BYTE
