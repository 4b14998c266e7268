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
from .scan import FAIL, read_digits, read_int, read_trimmed
from .words import (
    WIDE,
    WORD,
    below,
    byte_at,
    bytes_between,
    first,
    lowest,
    lowest_bit,
    non_digits,
    reversed_at,
    times_ten_to,
    value_of,
    word_at,
)

MICROSECONDS = 10**14
"""Times from here on are microseconds. As milliseconds this is the year 5138, as microseconds 1973."""

DONE, FULL, LEFT = range(3)

_COMMA, _DOT, _FEED, _RETURN = ord(","), ord("."), ord("\n"), ord("\r")
_ZERO, _NINE = ord("0"), ord("9")
_SMALL_INITIAL = np.uint64(0x20)
_TRUE, _FALSE = np.uint64(int.from_bytes(b"true", "little")), np.uint64(int.from_bytes(b"false", "little"))
_TRUE_LINE, _FALSE_LINE = (np.uint64(int.from_bytes(text, "little")) for text in (b"true\n", b"false\n"))
_NONE, _ONE, _SMALL = np.uint64(0), np.uint64(1), np.uint64(2**28)
_TRADE = 1
_SELL, _AGGREGATE = int(Flag.SELL), int(Flag.AGGREGATE)


SEEN = np.dtype([("length", np.int64), ("mask", np.uint64), ("head", np.uint64), ("value", np.int64)])
"""How a whole number was written in the line before: its length, 8 to 16 digits, and what stands before the last eight
(`mask` and `head` of its first word), with what that is worth. Nearly every line has the same; so where the next field
begins is known before the number is read, which is what a processor would wait for."""
ID, FIRST_ID, LAST_ID, TIME = range(4)
"""Numbers of a line that `SEEN` is kept of."""
_REACH = 2 * WIDE
"""So far from its beginning to the end of all lines, with `scan.PADDING` behind that, a usual line may look."""


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
    """What `read_line` keeps of numbers, before the first line: no line is like these."""
    seen = np.zeros(TIME + 1, SEEN)
    seen["head"], seen["length"] = 1, WORD
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
        line = read_line(buf, p, end, aggregate, grid, seen)
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
def read_line(
    buf: NDArray[np.uint8], p: int, end: int, aggregate: bool, grid: NDArray[np.int64], seen: NDArray[np.void]
) -> Line:
    """The line at `p`. `grid` is tick units, tick decimals, lot units, lot decimals; `seen` begins as
    `nothing_seen`.
    """
    if aggregate and p + _REACH <= end:
        is_usual, line = _usual_line(buf, p, grid, seen)
        if is_usual:
            return line
    return _any_line(buf, p, aggregate, grid, seen)


@leaf
def _usual_line(buf: NDArray[np.uint8], p: int, grid: NDArray[np.int64], seen: NDArray[np.void]) -> tuple[bool, Line]:
    """A line of aggTrades as the venue's archive of futures has them, its whole numbers alike those `seen`: (whether it
    is one, what it says).

    Three commas show where id, price and quantity end, all else lies where it did in the line before: the next line is
    begun before this one is read. What may be wrong is gathered and looked at once, and no position depends on it.
    """
    ids, firsts, lasts, times = seen[ID], seen[FIRST_ID], seen[LAST_ID], seen[TIME]
    commas, points = bytes_between(buf, p, _COMMA, _COMMA), bytes_between(buf, p, _DOT, _DOT)
    odd = ~bytes_between(buf, p, _ZERO, _NINE)
    id_end = lowest_bit(commas)
    price_end = lowest_bit(commas ^ id_end)
    qty_end = lowest_bit(commas ^ id_end ^ price_end)
    first_at = p + lowest(qty_end) + 1
    last_at = first_at + firsts.length + 1
    time_at = last_at + lasts.length + 1
    flag_at = time_at + times.length + 1
    flag = word_at(buf, flag_at) | _SMALL_INITIAL
    sell, buy = flag & below(5) == _TRUE_LINE, flag & below(6) == _FALSE_LINE
    end = flag_at + 6 - sell

    price_whole, qty_whole = lowest_bit(odd & _above(id_end)), lowest_bit(odd & _above(price_end))
    strange = (odd & ~_above(qty_end)) ^ (id_end | price_whole | price_end | qty_whole | qty_end)
    strange |= (price_whole | qty_whole) & ~(commas | points)
    strange |= id_end ^ _bit(ids.length)
    ends = _bit(last_at - 1 - first_at) | _bit(time_at - 1 - first_at) | _bit(flag_at - 1 - first_at)
    strange |= (~bytes_between(buf, first_at, _ZERO, _NINE) & (_bit(flag_at - first_at) - _ONE)) ^ ends
    strange |= ends & ~bytes_between(buf, first_at, _COMMA, _COMMA)
    strange |= _unlike(buf, p, ids) | _unlike(buf, time_at, times)
    strange |= _unlike(buf, first_at, firsts) | _unlike(buf, last_at, lasts) | (firsts.head ^ lasts.head)
    backward = reversed_at(buf, last_at - 1 - WORD) > reversed_at(buf, time_at - 1 - WORD)

    price = _decimal(buf, p, id_end, price_whole, price_end, grid[1])
    qty = _decimal(buf, p, price_end, qty_whole, qty_end, grid[3])
    ticks_end, price = _in_units(np.int64(0), price, grid[0])
    lots_end, qty = _in_units(np.int64(0), qty, grid[2])
    # One comparison tells that both are positive and their product is small; others are judged one by one.
    small = np.uint64((price - 1) | (qty - 1)) < _SMALL
    number, first_id, last_id = _alike(buf, p, ids), _alike(buf, first_at, firsts), _alike(buf, last_at, lasts)
    ts_ms = _alike(buf, time_at, times)
    wrong = (strange != 0) | (qty_end == _NONE) | backward | (not small) | (ticks_end | lots_end != 0)
    is_usual = not (wrong | (ts_ms <= EARLIEST_MS) | (ts_ms >= LATEST_MS) | (not (sell | buy)))
    return is_usual, Line(end, number, first_id, last_id, ts_ms, price, qty, sell)


@kernel
def _any_line(buf: NDArray[np.uint8], p: int, aggregate: bool, grid: NDArray[np.int64], seen: NDArray[np.void]) -> Line:
    """The line at `p`, whatever it is like; what it is like is noted."""
    q, number = _int(buf, p, seen[ID])
    q, price = _read_decimal(buf, _comma(buf, q), grid[1])
    q, qty = _read_decimal(buf, q, grid[3])
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
def _bit(number: int) -> int:
    return _ONE << np.uint64(number)


@leaf
def _above(bit: int) -> int:
    """All higher bits."""
    return ~(bit + bit - _ONE)


@leaf
def _unlike(buf: NDArray[np.uint8], p: int, before: Record) -> int:
    """Not zero where the number at `p` begins otherwise than the one before."""
    return (word_at(buf, p) & before.mask) ^ before.head


@leaf
def _alike(buf: NDArray[np.uint8], p: int, before: Record) -> int:
    """The number at `p`, as long as the one before and but for eight digits the same."""
    return before.value + value_of(word_at(buf, p + before.length - WORD), WORD)


@leaf
def _note(buf: NDArray[np.uint8], p: int, length: int, value: int, now: Record) -> None:
    """The number at `p` is what the next ones will be alike, if it is long enough."""
    now.mask = below(max(length - WORD, 1))  # a first digit that is no zero, at least
    now.head = word_at(buf, p) & now.mask if length >= WORD else _ONE
    now.length = max(length, WORD)
    now.value = value - value % 10**WORD


@leaf
def _int(buf: NDArray[np.uint8], p: int, now: Record) -> tuple[int, int]:
    """A whole number of at most 15 digits."""
    if p == FAIL:
        return FAIL, np.int64(0)
    q, value = read_int(buf, p)
    _note(buf, p, q - p if q != FAIL else np.int64(0), value, now)
    return q, value


@leaf
def _decimal(buf: NDArray[np.uint8], line: int, before: int, whole: int, end: int, decimals: int) -> int:
    """The decimal of a line between two of its bytes, as a whole number of 10**-decimals, or FAIL."""
    start = lowest(before) + 1
    return read_trimmed(buf, line + start, lowest(whole) - start, lowest(end) - start, decimals)


@leaf
def _read_decimal(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """A decimal and the comma behind it."""
    return read_digits(buf, p, decimals, _COMMA) if p != FAIL else (FAIL, np.int64(0))


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
def _time(buf: NDArray[np.uint8], p: int, now: Record) -> tuple[int, int]:
    """A time of 9 to 16 digits in ms, from ms or us; the magnitude says which."""
    if p == FAIL:
        return FAIL, np.int64(0)
    more = first(non_digits(word_at(buf, p + WORD)))
    if first(non_digits(word_at(buf, p))) != WORD or more == 0:
        return FAIL, np.int64(0)
    value = times_ten_to(value_of(word_at(buf, p), WORD), more) + value_of(word_at(buf, p + WORD), more)
    _note(buf, p, WORD + more, value, now)
    return p + WORD + more, value // 1000 if value >= MICROSECONDS else value


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
