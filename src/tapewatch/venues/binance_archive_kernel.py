"""Compiled reading of archived trades: lines of CSV to TRADE rows of the tape.

As strict as `scan`: a line that is not exactly of the usual form is left to the general reader in `binance_archive`.
The buffer ends with a line feed and is followed by `scan.PADDING` zero bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.tape import Flag
from .binance_usdm_fields import EARLIEST_MS, LATEST_MS, MAX_TICKS, MAX_UNITS
from .scan import FAIL, read_int, read_trimmed
from .words import WORD, below, byte_at, first, non_digits, times_ten_to, value_of, word_at

MICROSECONDS = 10**14
"""Times from here on are microseconds. As milliseconds this is the year 5138, as microseconds 1973."""

DONE, FULL, LEFT = range(3)

_COMMA, _DOT, _FEED, _RETURN = ord(","), ord("."), ord("\n"), ord("\r")
_ZERO, _NINE = ord("0"), ord("9")
_SMALL_INITIAL = np.uint64(0x20)
_TRUE, _FALSE = np.uint64(int.from_bytes(b"true", "little")), np.uint64(int.from_bytes(b"false", "little"))
_HIGH, _NONE = np.uint64(0x80), np.uint64(0)
_TRADE = 1
_SELL, _AGGREGATE = int(Flag.SELL), int(Flag.AGGREGATE)


SEEN = np.dtype(
    [("head", np.uint64), ("value", np.int64), ("more", np.int64), ("looked_at", np.uint64), ("ending", np.uint64)]
)
"""How a number was written in the line before: its first eight digits and what they are worth, the `more` digits behind
them, and what `non_digits` of the bytes `looked_at` must be for so many. The next line's most likely begins alike, and
a processor that need not wait for the end of a number reads the next field meanwhile."""
ID, FIRST_ID, LAST_ID, TIME = range(4)
"""Numbers of a line that `SEEN` is kept of."""


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


def nothing_seen() -> NDArray[np.void]:
    """What `read_line` keeps of numbers, before the first line: no number is like these."""
    seen = np.zeros(TIME + 1, SEEN)
    seen["ending"] = 1
    return seen


@kernel
def read_trades(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    aggregate: bool,
    instrument: int,
    grid: NDArray[np.int64],
    seen: NDArray[np.void],
    rows: NDArray[np.void],
) -> tuple[int, int, int]:
    """Read lines from `start` into zeroed or formerly used trade `rows`: (status, position, rows read).

    `grid` and `seen` are those of `read_line`. DONE at the end, FULL when the rows are; LEFT means that the line at
    the position is for the general reader.
    """
    p = np.int64(start)
    n = 0
    while p < end:
        if n == len(rows):
            return FULL, p, n
        line = read_line(buf, p, aggregate, grid, seen)
        if line.end == FAIL:
            return LEFT, p, n
        row = rows[n]
        row.kind = _TRADE
        row.flags = (_SELL if line.sell else 0) | (_AGGREGATE if aggregate else 0)
        row.instrument = instrument
        row.event_ms = line.ts_ms
        row.ts_ms = line.ts_ms
        row.id = line.id
        row.first_id = line.first_id
        row.last_id = line.last_id
        row.price = line.price
        row.qty = line.qty
        row.qty2 = line.qty
        n += 1
        p = line.end
    return DONE, p, n


@leaf
def read_line(buf: NDArray[np.uint8], p: int, aggregate: bool, grid: NDArray[np.int64], seen: NDArray[np.void]) -> Line:
    """The line at `p`. `grid` is tick units, tick decimals, lot units, lot decimals; `seen` begins as
    `nothing_seen`.
    """
    q, number = _int(buf, p, seen[ID])
    q, price = _decimal(buf, _comma(buf, q), grid[1])
    q, qty = _decimal(buf, q, grid[3])
    first_id = last_id = number
    if aggregate:
        q, first_id = _int(buf, q, seen[FIRST_ID])
        q, last_id = _int(buf, _comma(buf, q), seen[LAST_ID])
    else:
        q = _skip_decimal(buf, q)
    q, ts_ms = _time(buf, _comma(buf, q), seen[TIME])
    q, sell = _flag(buf, _comma(buf, q))
    q = _line_end(buf, q)
    q, price = _in_units(q, price, grid[0])
    q, qty = _in_units(q, qty, grid[2])
    sound = EARLIEST_MS < ts_ms < LATEST_MS and 0 < price <= MAX_TICKS and qty > 0 and first_id <= last_id
    if not sound or np.float64(price) * np.float64(qty) >= MAX_UNITS / 2:
        q = np.int64(FAIL)
    return Line(q, number, first_id, last_id, ts_ms, price, qty, sell)


@leaf
def _in_units(p: int, value: int, units: int) -> tuple[int, int]:
    if units != 1 and p != FAIL:
        if value % units:
            return FAIL, np.int64(0)
        value //= units
    return p, value


@leaf
def _comma(buf: NDArray[np.uint8], p: int) -> int:
    return p + 1 if p != FAIL and byte_at(buf, p) == _COMMA else FAIL


@leaf
def _is_alike(buf: NDArray[np.uint8], p: int, before: Record) -> bool:
    """Whether the number at `p` has the length of the one before and its first eight digits."""
    rest = non_digits(word_at(buf, p + WORD)) & before.looked_at
    return (word_at(buf, p) == before.head) & (rest == before.ending)


@leaf
def _alike(buf: NDArray[np.uint8], p: int, before: Record) -> tuple[int, int]:
    return p + WORD + before.more, before.value + value_of(word_at(buf, p + WORD), before.more)


@leaf
def _note(buf: NDArray[np.uint8], p: int, more: int, now: Record) -> None:
    """The number at `p` has eight digits and `more`, 1 to 8, behind them."""
    now.head = word_at(buf, p)
    now.value = times_ten_to(value_of(now.head, WORD), more)
    now.more = more
    now.looked_at = below(min(more + 1, WORD))
    now.ending = _HIGH << np.uint64(8 * more) if more < WORD else _NONE


@leaf
def _int(buf: NDArray[np.uint8], p: int, before: Record) -> tuple[int, int]:
    """A whole number of at most 15 digits."""
    if p == FAIL:
        return FAIL, np.int64(0)
    if _is_alike(buf, p, before):
        return _alike(buf, p, before)
    return _new_int(buf, p, before)


@leaf
def _new_int(buf: NDArray[np.uint8], p: int, now: Record) -> tuple[int, int]:
    q, value = read_int(buf, p)
    if q - p > WORD:
        _note(buf, p, q - p - WORD, now)
    return q, value


@leaf
def _decimal(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """A decimal and the comma behind it."""
    return read_trimmed(buf, p, decimals, _COMMA) if p != FAIL else (FAIL, np.int64(0))


@leaf
def _skip_decimal(buf: NDArray[np.uint8], p: int) -> int:
    """Behind a decimal that repeats what price and quantity say."""
    if p == FAIL:
        return FAIL
    start = p
    while _ZERO <= byte_at(buf, p) <= _NINE or byte_at(buf, p) == _DOT:
        p += 1
    return p if p > start else FAIL


@leaf
def _time(buf: NDArray[np.uint8], p: int, before: Record) -> tuple[int, int]:
    """A time of 9 to 16 digits in ms, from ms or us; the magnitude says which."""
    if p == FAIL:
        return FAIL, np.int64(0)
    if not _is_alike(buf, p, before):
        digits = first(non_digits(word_at(buf, p + WORD)))
        if first(non_digits(word_at(buf, p))) != WORD or digits == 0:
            return FAIL, np.int64(0)
        _note(buf, p, digits, before)
    q, value = _alike(buf, p, before)
    return q, value // 1000 if value >= MICROSECONDS else value


@leaf
def _flag(buf: NDArray[np.uint8], p: int) -> tuple[int, bool]:
    """``true`` or ``false``, as futures and spot archives spell them."""
    if p == FAIL:
        return FAIL, False
    word = word_at(buf, p) | _SMALL_INITIAL
    is_true, is_false = word & below(4) == _TRUE, word & below(5) == _FALSE
    # Sides are as good as random: to count is cheaper than to branch.
    return (p + 5 - is_true if is_true | is_false else FAIL), is_true


@leaf
def _line_end(buf: NDArray[np.uint8], p: int) -> int:
    """Behind the line feed; spot archives have one more flag (best match) before it."""
    if p != FAIL and byte_at(buf, p) == _COMMA:
        p, _ = _flag(buf, p + 1)
    if p != FAIL and byte_at(buf, p) == _RETURN:
        p += 1
    return p + 1 if p != FAIL and byte_at(buf, p) == _FEED else FAIL
