"""Compiled scanning of JSON bytes: strict, allocation free, and unable to leave the buffer.

Every function takes a position and returns the next one, or FAIL when the bytes are not exactly what it knows. FAIL
never means "bad": the frame then goes to the general decoder, which decides. So these may be as strict as is fast,
but must not accept what that decoder would refuse or read differently.

The buffer is followed by at least `PADDING` zero bytes: a scan may look a few bytes past a frame, finds no digit and
no quote there, and stops.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, whole_lines, zeros
from ..model.instrument import Instrument
from .words import (
    MAX_TEXT,
    SPAN,
    WORD,
    below,
    byte_at,
    equal_bytes,
    first,
    head_of,
    matches,
    no_zeros,
    non_digits,
    plain_bytes,
    text,
    times_ten_to,
    value_of,
    without,
    word_at,
)

PADDING = 64
FAIL = -1
MAX_DIGITS = 18
NAME_BYTES = 64

_QUOTE, _ZERO, _NINE = ord('"'), ord("0"), ord("9")
_DOT, _MINUS = ord("."), ord("-")
_e, _E = ord("e"), ord("E")
_ALL, _NONE = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
_TRUE, _FALSE, _NULL = text("true"), text("false"), text("null")
_HASH_1, _HASH_2, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(32)
_HASH_3, _SMALL = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0x2020202020202020)
_is_escaped = re.compile(rb'[\0-\x1f"\\]').search
MAX_NUMBER_BYTES = 40
"""Longer numbers, zeros all of them behind the last digit that matters, are left to the general decoder."""


@leaf
def skip_string(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """From an opening quote to behind the closing one; valid UTF-8 without escapes only."""
    if byte_at(buf, p) != _QUOTE:
        return FAIL
    p += 1
    while p < end:
        step = plain_bytes(buf, p)
        p += step
        if step == SPAN:
            continue
        c = byte_at(buf, p)
        if c == _QUOTE:
            return p + 1 if p < end else FAIL
        length = _utf8_length(buf, p) if c >= 128 else 0
        if length == 0:
            return FAIL
        p += length
    return FAIL


@kernel
def _utf8_length(buf: NDArray[np.uint8], p: int) -> int:
    """Bytes of the multi-byte character at `p`, 0 when it is not valid UTF-8 (RFC 3629, table 3-7 of Unicode)."""
    c, d = buf[p], buf[p + 1]
    if 0xC2 <= c <= 0xDF:
        return 2 if 0x80 <= d <= 0xBF else 0
    if buf[p + 2] & 0xC0 != 0x80:
        return 0
    if 0xE0 <= c <= 0xEF:
        low = 0xA0 if c == 0xE0 else 0x80
        high = 0x9F if c == 0xED else 0xBF
        return 3 if low <= d <= high else 0
    if 0xF0 <= c <= 0xF4 and buf[p + 3] & 0xC0 == 0x80:
        low = 0x90 if c == 0xF0 else 0x80
        high = 0x8F if c == 0xF4 else 0xBF
        return 4 if low <= d <= high else 0
    return 0


@leaf
def read_int(buf: NDArray[np.uint8], p: int) -> tuple[int, int]:
    """A whole number of at most 15 digits without sign, leading zero, fraction or exponent: (next position, value)."""
    word = word_at(buf, p)
    digits = first(non_digits(word))
    if digits == 0 or (digits > 1 and byte_at(buf, p) == _ZERO):
        return FAIL, np.int64(0)
    value = value_of(word, digits)
    p += digits
    if digits == WORD:
        word = word_at(buf, p)
        digits = first(non_digits(word))
        if digits == WORD:
            return FAIL, np.int64(0)
        if digits:
            value = times_ten_to(value, digits) + value_of(word, digits)
            p += digits
    c = byte_at(buf, p)
    if c == _DOT or c == _e or c == _E:
        return FAIL, np.int64(0)
    return p, value


@leaf
def read_price(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """A quoted decimal such as "83434.40" as a whole number of 10**-decimals: (behind the closing quote, value).

    Digits beyond `decimals` have to be zeros. Read digit by digit: prices of an instrument are as long as each other,
    and a processor that foresees the end of the loop is faster than one that counts digits.
    """
    if byte_at(buf, p) != _QUOTE:
        return FAIL, np.int64(0)
    return read_digits(buf, p + 1, decimals, _QUOTE)


class Shape(NamedTuple):
    """How prices of an instrument are written: the next one most likely as the last, and can then be read without loop.

    `length` bytes (0: not known) with the point behind `whole` digits; `digits` and `zeros` mask the bytes that have to
    be digits, and those of them beyond the grid, once the point is taken out; `used` digits times 10**`power` is the
    value.
    """

    length: int
    whole: int
    digits: np.uint64
    zeros: np.uint64
    used: int
    power: int


@leaf
def shape_of(known: Record) -> Shape:
    """The shape of the newest price of a symbol (SYMBOL)."""
    return Shape(known.length, known.whole, known.digits, known.zeros, known.used, known.power)


@kernel
def read_new_shape(buf: NDArray[np.uint8], p: int, known: Record) -> tuple[int, int]:
    """As `read_price`, for a price that is written in another shape than the last one: that is noted down."""
    decimals = known.tick_decimals
    q, value = read_price(buf, p, decimals)
    known.length = 0
    if q == FAIL:
        return FAIL, np.int64(0)
    length = q - p - 2
    whole = first(non_digits(word_at(buf, p + 1)))
    n = length if whole == length else length - 1
    if n <= WORD and 0 < whole < WORD:
        used = whole + min(n - whole, decimals)
        known.length = length
        known.whole = whole
        known.digits = below(n)
        known.zeros = below(n) & ~below(used)
        known.used = used
        known.power = decimals - (used - whole)
    return q, value


@leaf
def read_shaped(buf: NDArray[np.uint8], start: int, shape: Shape) -> int:
    """The price of this known shape at `start`, or FAIL. What follows it the caller has to compare."""
    low = np.uint64(8 * shape.whole)
    digits = head_of(word_at(buf, start), shape.whole) | (word_at(buf, start + shape.whole + 1) << low)
    strange = (non_digits(digits) & shape.digits) | (no_zeros(digits) & shape.zeros)
    pointed = (byte_at(buf, start + shape.whole) == _DOT) | (shape.whole == shape.length)
    if strange != 0 or not pointed:
        return FAIL
    return times_ten_to(value_of(digits, shape.used), shape.power)


@leaf
def read_quantity(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """As `read_price`, but for numbers of any length, which are read by the word."""
    if byte_at(buf, p) != _QUOTE:
        return FAIL, np.int64(0)
    return read_number(buf, p + 1, decimals, _QUOTE)


@leaf
def read_number(buf: NDArray[np.uint8], p: int, decimals: int, ending: int) -> tuple[int, int]:
    """As `read_digits`, by the word: for numbers that differ in length, and in decimals between instruments."""
    word = word_at(buf, p)
    length = first(equal_bytes(word, ending))
    whole = length - 1 - decimals
    n = length - (decimals != 0)
    without_point = without(word, whole)
    digits = word if decimals == 0 else without_point
    pointed = (decimals == 0) | ((whole > 0) & (byte_at(buf, p + whole) == _DOT))
    if pointed & (n > 0) & (first(non_digits(digits)) >= n) & (byte_at(buf, p + length) == ending):
        return p + 1 + length, value_of(digits, n)
    return read_long_number(buf, p, decimals, ending)


@kernel
def read_long_number(buf: NDArray[np.uint8], p: int, decimals: int, ending: int) -> tuple[int, int]:
    """Numbers longer than a word, or with another number of decimals than the grid."""
    word = word_at(buf, p)
    whole = first(non_digits(word))
    if whole == 0 or whole + decimals > MAX_DIGITS:
        return FAIL, np.int64(0)
    q = p + whole
    if byte_at(buf, q) == ending:
        return q + 1, times_ten_to(value_of(word, whole), decimals)
    fraction = word_at(buf, q + 1)
    as_on_grid = byte_at(buf, q) == _DOT and byte_at(buf, q + 1 + decimals) == ending
    if as_on_grid and decimals > 0 and first(non_digits(fraction)) == decimals:
        value = times_ten_to(value_of(word, whole), decimals) + value_of(fraction, decimals)
        return q + 2 + decimals, value
    return read_digits(buf, p, decimals, ending)


@leaf
def read_digits(buf: NDArray[np.uint8], p: int, decimals: int, ending: int) -> tuple[int, int]:
    """A plain decimal that goes up to the byte `ending`: (behind that, whole number of 10**-decimals)."""
    start = p
    value = np.int64(0)
    c = byte_at(buf, p)
    while _ZERO <= c <= _NINE:
        value = value * 10 + (c - _ZERO)
        p += 1
        c = byte_at(buf, p)
    whole = p - start
    if whole == 0 or whole + decimals > MAX_DIGITS:
        return FAIL, np.int64(0)
    left = decimals
    if c == _DOT:
        p += 1
        c = byte_at(buf, p)
        while left > 0 and _ZERO <= c <= _NINE:
            value = value * 10 + (c - _ZERO)
            left -= 1
            p += 1
            c = byte_at(buf, p)
        while c == _ZERO:
            p += 1
            c = byte_at(buf, p)
    if c != ending or p - start > MAX_NUMBER_BYTES:
        return FAIL, np.int64(0)
    return p + 1, times_ten_to(value, left)


@kernel
def read_signed_decimal(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """As `read_price`, with an optional minus; an empty string is zero (funding rate of dated contracts)."""
    if byte_at(buf, p) != _QUOTE:
        return FAIL, np.int64(0)
    if byte_at(buf, p + 1) == _QUOTE:
        return p + 2, np.int64(0)
    if byte_at(buf, p + 1) != _MINUS:
        return read_digits(buf, p + 1, decimals, _QUOTE)
    p, value = read_digits(buf, p + 2, decimals, _QUOTE)
    return p, -value


@leaf
def skip_scalar(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind a string, plain whole number, true, false or null; anything else is FAIL."""
    if byte_at(buf, p) == _QUOTE:
        return skip_string(buf, p, end)
    if matches(buf, p, _TRUE) or matches(buf, p, _NULL):
        return p + 4
    if matches(buf, p, _FALSE):
        return p + 5
    return read_int(buf, p)[0]


SYMBOL = whole_lines(
    ("name_length", np.int64),
    ("tick_units", np.int64),
    ("tick_decimals", np.int64),
    ("lot_units", np.int64),
    ("lot_decimals", np.int64),
    ("length", np.int64),
    ("whole", np.int64),
    ("digits", np.uint64),
    ("zeros", np.uint64),
    ("used", np.int64),
    ("power", np.int64),
    ("name", np.uint64, (NAME_BYTES // WORD,)),
)
"""What the kernels know of a symbol, what is needed of most messages in two lines of the processor's cache: its grid,
the `Shape` of its newest price, which they remember and on which no result depends, and its name in words, padded with
zeros (`name_length` 0: it is never found)."""


class Symbols(NamedTuple):
    """Hash table from symbol bytes to instrument index: `slots` (-1: empty) lead to `known` (SYMBOL)."""

    slots: NDArray[np.int32]
    known: NDArray[np.void]


def index_symbols(instruments: list[Instrument]) -> Symbols:
    """Build the table of instruments in the order of their `index`."""
    table = index_names([instrument.symbol.encode() for instrument in instruments])
    for known, instrument in zip(table.known, instruments, strict=True):
        known["tick_units"], known["tick_decimals"] = instrument.tick.units, instrument.tick.decimals
        known["lot_units"], known["lot_decimals"] = instrument.lot.units, instrument.lot.decimals
    return table


def index_names(names: list[bytes]) -> Symbols:
    """Build the table of any names; those too long for it, or that JSON would escape, are never found in it."""
    size = 64
    while size < 4 * len(names):
        size *= 2
    table = Symbols(np.full(size, -1, np.int32), zeros(len(names), SYMBOL))
    for number, name in enumerate(names):
        if not 0 < len(name) <= NAME_BYTES or _is_escaped(name):
            continue
        known = table.known[number]
        known["name"] = np.frombuffer(name.ljust(NAME_BYTES, b"\0"), np.uint64)
        known["name_length"] = len(name)
        slot = int(slot_of(table, np.frombuffer(name + bytes(PADDING), np.uint8), 0, len(name)))
        while table.slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table.slots[slot] = number
    return table


@leaf
def slot_of(table: Symbols, buf: NDArray[np.uint8], start: int, length: int) -> int:
    """Where the table begins to look for a name, in whichever case it is written: a hash of its first and last word,
    which are all of most names, and of the middle one of others.
    """
    part = min(length, WORD)
    head = head_of(word_at(buf, start), part) | _SMALL
    tail = head_of(word_at(buf, start + length - part), part) | _SMALL
    h = head * _HASH_1 ^ tail * _HASH_2
    if length > MAX_TEXT:
        h ^= (word_at(buf, start + (length - part) // 2) | _SMALL) * _HASH_3
    return np.int64((h ^ (h >> _HALF)) & np.uint64(len(table.slots) - 1))


@leaf
def find_symbol(table: Symbols, buf: NDArray[np.uint8], start: int, stop: int) -> int:
    """Instrument whose symbol stands at buf[start:stop], or -1."""
    length = stop - start
    if length <= 0 or length > NAME_BYTES:
        return -1
    return find_from(table, slot_of(table, buf, start, length), buf, start, length)


@leaf
def find_from(table: Symbols, slot: int, buf: NDArray[np.uint8], start: int, length: int) -> int:
    """Instrument whose symbol is the `length` bytes at `start`, or -1. A wrong `slot` finds nothing."""
    while True:
        i = np.int64(table.slots[np.uint64(slot)])
        if i < 0 or _is_named(table.known[np.uint64(i)], buf, start, length):
            return i
        slot = (slot + 1) & (len(table.slots) - 1)


@leaf
def _is_named(known: Record, buf: NDArray[np.uint8], start: int, length: int) -> bool:
    """Whether a symbol has this name: two words of it at once, since symbols differ in length."""
    second = below(min(length - WORD, WORD)) if length > WORD else _NONE
    strange = np.uint64(known.name_length ^ length)
    strange |= (word_at(buf, start) ^ known.name[0]) & below(min(length, WORD))
    strange |= (word_at(buf, start + WORD) ^ known.name[1]) & second
    return bool(strange == 0) and (length <= MAX_TEXT or _ends_like(known.name, buf, start, length))


@kernel
def _ends_like(name: NDArray[np.uint64], buf: NDArray[np.uint8], start: int, length: int) -> bool:
    for k in range(2, (length + WORD - 1) // WORD):
        if (word_at(buf, start + k * WORD) ^ name[k]) & below(min(length - k * WORD, WORD)) != 0:
            return False
    return True
