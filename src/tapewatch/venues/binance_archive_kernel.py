"""Compiled reading of archived trades: lines of CSV to TRADE rows of the tape.

As strict as `scan`: a line that is not exactly of the usual form is left to the general reader in `binance_archive`.
The buffer ends with a line feed and is followed by `scan.PADDING` zero bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf
from ..model.tape import Flag
from .binance_archive_form import FIRST_ID, ID, LAST_ID, PRICE, QTY, TIME, Form, Line, is_as_learnt, learn
from .binance_usdm_fields import EARLIEST_MS, LATEST_MS, MAX_TICKS, MAX_UNITS
from .scan import FAIL, read_digits, read_int
from .wide import values_of
from .words import (
    WIDE,
    WORD,
    below,
    byte_at,
    bytes_between,
    first,
    lowest,
    lowest_bit,
    no_zeros,
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
_ONE, _SMALL = np.uint64(1), np.uint64(2**28)
_TRADE = 1
_SELL, _AGGREGATE = int(Flag.SELL), int(Flag.AGGREGATE)

_REACH = 2 * WIDE
"""So far from its beginning to the end of all lines, with `scan.PADDING` behind that, a usual line may look."""
_LAST_BIT = np.uint64(1 << (WIDE - 1))
_FRACTION = np.array([256**WORD - 1, *(256**WORD - 256 ** (WORD - min(k, WORD)) for k in range(WIDE - 1))], np.uint64)
"""Masks of a word's last bytes that stand behind the point, given how many there are from it to the end."""
_LAST = np.array([256**WORD - 256 ** (WORD - k) if k <= WORD else 0 for k in range(WIDE)], np.uint64)
"""Masks of a word's last bytes; none of them where they are more than it holds."""


@kernel
def read_trades(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    aggregate: bool,
    instrument: int,
    form: Form,
    rows: NDArray[np.void],
) -> tuple[int, int, int]:
    """Read lines from `start` into zeroed or formerly used trade `rows`: (status, position, rows read).

    DONE at the end, FULL when the rows are; LEFT means that the line at the position is for the general reader.
    """
    p = np.int64(start)
    n = 0
    while p < end:
        if n == len(rows):
            return FULL, p, n
        line = read_line(buf, p, end, aggregate, form)
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
def read_line(buf: NDArray[np.uint8], p: int, end: int, aggregate: bool, form: Form) -> Line:
    """The line at `p`."""
    if form.known[0] and p + _REACH <= end:
        is_usual, line = _usual_line(buf, p, form)
        if is_usual:
            return line
    return _any_line(buf, p, aggregate, form)


@leaf
def _usual_line(buf: NDArray[np.uint8], p: int, form: Form) -> tuple[bool, Line]:
    """A line of aggTrades as the venue's archive of futures has them, its whole numbers as learnt: (whether it is one,
    what it says).

    The first line feed ends it, which is known at once: the next line is begun while this one is read. What may be
    wrong is gathered and looked at once.
    """
    ids, firsts, lasts, times = form.numbers[ID], form.numbers[FIRST_ID], form.numbers[LAST_ID], form.numbers[TIME]
    price_at = p + ids.length + 1
    end = price_at + lowest(bytes_between(buf, price_at, _FEED, _FEED)) + 1
    commas = bytes_between(buf, price_at, _COMMA, _COMMA) | _LAST_BIT  # so that positions lie within the tables
    marks = commas | bytes_between(buf, price_at, _DOT, _DOT)
    price_end = lowest_bit(commas)
    qty_end = lowest_bit(commas ^ price_end)
    price_whole, qty_whole = lowest_bit(marks), lowest_bit(marks & _above(price_end))
    odd = ~bytes_between(buf, price_at, _ZERO, _NINE) & ~_above(qty_end)
    strange = odd ^ (price_whole | price_end | qty_whole | qty_end)

    first_at = price_at + lowest(qty_end) + 1
    last_at = first_at + firsts.length + 1
    time_at = last_at + lasts.length + 1
    flag_at = time_at + times.length + 1
    flag = word_at(buf, flag_at) | _SMALL_INITIAL
    sell, buy = flag & below(5) == _TRUE_LINE, flag & below(6) == _FALSE_LINE
    backward = reversed_at(buf, last_at - 1 - WORD) > reversed_at(buf, time_at - 1 - WORD)
    wrong = (strange != 0) | backward | (not (sell | buy)) | (end != flag_at + 6 - sell)
    wrong |= not is_as_learnt(buf, p, first_at, form)

    number, ts_ms, price, qty = values_of(
        word_at(buf, price_at - 1 - WORD),
        word_at(buf, flag_at - 1 - WORD),
        _digits(buf, price_at, np.int64(0), lowest(price_whole), lowest(price_end)),
        _digits(buf, price_at, lowest(price_end) + 1, lowest(qty_whole), lowest(qty_end)),
    )
    price *= form.scales[np.uint64(PRICE), np.uint64(lowest(price_end) - lowest(price_whole))]
    qty *= form.scales[np.uint64(QTY), np.uint64(lowest(qty_end) - lowest(qty_whole))]
    ticks_end, price = _in_units(np.int64(0), price, form.decimals[PRICE].units)
    lots_end, qty = _in_units(np.int64(0), qty, form.decimals[QTY].units)
    # One comparison tells that both are positive and their product is small; others are judged one by one.
    wrong |= np.uint64((price - 1) | (qty - 1)) >= _SMALL
    wrong |= ticks_end | lots_end != 0
    first_id, last_id = _number(buf, first_at, firsts), _number(buf, last_at, lasts)
    return not wrong, Line(end, ids.high + number, first_id, last_id, times.high + ts_ms, price, qty, sell)


@kernel
def _any_line(buf: NDArray[np.uint8], p: int, aggregate: bool, form: Form) -> Line:
    """The line at `p`, whatever it is like; others like it are learnt from it."""
    q, number = _int(buf, p)
    q, price = _read_decimal(buf, _comma(buf, q), form.grid[1])
    q, qty = _read_decimal(buf, q, form.grid[3])
    first_at = q
    first_id = last_id = number
    if aggregate:
        q, first_id = _int(buf, q)
        q, last_id = _int(buf, _comma(buf, q))
    else:
        q = _skip_decimal(buf, q)
    q, ts_ms = _time(buf, _comma(buf, q))
    flag_at = _comma(buf, q)
    q, sell = _flag(buf, flag_at)
    q = _line_end(buf, q)
    q, price = _in_units(q, price, form.grid[0])
    q, qty = _in_units(q, qty, form.grid[2])
    sound = EARLIEST_MS < ts_ms < LATEST_MS and 0 < price <= MAX_TICKS and qty > 0 and first_id <= last_id
    if not sound or np.float64(price) * np.float64(qty) >= MAX_UNITS / 2:
        q = np.int64(FAIL)
    line = Line(q, number, first_id, last_id, ts_ms, price, qty, sell)
    if aggregate and q == flag_at + 6 - sell:  # what ends otherwise is never usual
        learn(buf, p, first_at, line, form)
    return line


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
def _above(bit: int) -> int:
    """All higher bits."""
    return ~(bit + bit - _ONE)


@leaf
def _number(buf: NDArray[np.uint8], p: int, known: Record) -> int:
    """The whole number at `p`, written as is known."""
    return known.high + value_of(word_at(buf, p + known.length - WORD), WORD)


@leaf
def _int(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """A whole number of at most 15 digits."""
    return read_int(buf, p) if p != FAIL else (FAIL, np.int64(0))


@leaf
def _digits(buf: NDArray[np.uint8], at: int, start: int, whole: int, end: int) -> int:
    """The digits of the decimal from `start` to `end`, its point behind those up to `whole`, as the last of a word; all
    zeros where there are more than eight. Positions are counted from `at`.
    """
    behind = end - whole
    fraction = _FRACTION[np.uint64(behind)]
    last, before = word_at(buf, at + end - WORD), word_at(buf, at + end - WORD - 1)
    digits = no_zeros(last & fraction | before & ~fraction) & _LAST[np.uint64(end - start - (behind > 0))]
    return no_zeros(digits)


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
def _time(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """A time of 9 to 16 digits in ms, from ms or us; the magnitude says which."""
    if p == FAIL:
        return FAIL, np.int64(0)
    more = first(non_digits(word_at(buf, p + WORD)))
    if first(non_digits(word_at(buf, p))) != WORD or more == 0:
        return FAIL, np.int64(0)
    value = times_ten_to(value_of(word_at(buf, p), WORD), more) + value_of(word_at(buf, p + WORD), more)
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
