"""Compiled scanning of JSON bytes: strict, allocation free, and unable to leave the buffer.

Every function takes a position and returns the next one, or FAIL when the bytes are not exactly what it knows. FAIL
never means "bad": the frame then goes to the general decoder, which decides. So these may be as strict as is fast,
but must not accept what that decoder would refuse or read differently.

The buffer is followed by at least `PADDING` zero bytes: a scan may look a few bytes past a frame, finds no digit and
no quote there, and stops.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel, leaf
from ..model.instrument import Instrument

PADDING = 64
FAIL = -1
MAX_DIGITS = 18
NAME_BYTES = 32

_QUOTE = ord('"')
_BACKSLASH = ord("\\")
_ZERO = ord("0")
_DOT = ord(".")
_MINUS = ord("-")
_T, _F, _N = ord("t"), ord("f"), ord("n")


@leaf
def skip_string(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """From an opening quote to behind the closing one; valid UTF-8 without escapes only."""
    if buf[p] != _QUOTE:
        return FAIL
    p += 1
    while p < end:
        c = buf[p]
        if c == _QUOTE:
            return p + 1
        if c < 32 or c == _BACKSLASH:
            return FAIL
        if c < 128:
            p += 1
        else:
            length = _utf8_length(buf, p)
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
    """A whole number without sign, leading zero, fraction or exponent: (next position, value)."""
    start = p
    value = np.int64(0)
    c = np.int64(buf[p]) - _ZERO
    while 0 <= c <= 9:
        value = value * 10 + c
        p += 1
        c = np.int64(buf[p]) - _ZERO
    digits = p - start
    if digits == 0 or digits > MAX_DIGITS or (digits > 1 and buf[start] == _ZERO):
        return FAIL, np.int64(0)
    c = np.int64(buf[p])
    if c == _DOT or c == 101 or c == 69:
        return FAIL, np.int64(0)
    return p, value


@leaf
def read_decimal(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """A quoted decimal such as "83434.40" as a whole number of 10**-decimals: (behind the closing quote, value).

    Digits beyond `decimals` have to be zeros.
    """
    if buf[p] != _QUOTE:
        return FAIL, np.int64(0)
    p += 1
    start = p
    value = np.int64(0)
    c = np.int64(buf[p]) - _ZERO
    while 0 <= c <= 9:
        value = value * 10 + c
        p += 1
        c = np.int64(buf[p]) - _ZERO
    whole = p - start
    if whole == 0 or whole + decimals > MAX_DIGITS:
        return FAIL, np.int64(0)
    left = decimals
    if buf[p] == _DOT:
        p += 1
        c = np.int64(buf[p]) - _ZERO
        while 0 <= c <= 9:
            if left > 0:
                value = value * 10 + c
                left -= 1
            elif c != 0:
                return FAIL, np.int64(0)
            p += 1
            c = np.int64(buf[p]) - _ZERO
        if p - start > 40:
            return FAIL, np.int64(0)
    if buf[p] != _QUOTE:
        return FAIL, np.int64(0)
    while left > 0:
        value *= 10
        left -= 1
    return p + 1, value


@kernel
def read_signed_decimal(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    """As `read_decimal`, with an optional minus; an empty string is zero (funding rate of dated contracts)."""
    if buf[p] == _QUOTE and buf[p + 1] == _QUOTE:
        return p + 2, np.int64(0)
    if buf[p + 1] != _MINUS:
        return read_decimal(buf, p, decimals)
    if buf[p] != _QUOTE:
        return FAIL, np.int64(0)
    # Read the digits as if the minus were the opening quote.
    q, value = _read_after_minus(buf, p + 1, decimals)
    return q, -value


@kernel
def _read_after_minus(buf: NDArray[np.uint8], p: int, decimals: int) -> tuple[int, int]:
    p += 1
    start = p
    value = np.int64(0)
    left = decimals
    fraction = False
    while True:
        c = np.int64(buf[p])
        if c == _DOT and not fraction and p > start:
            fraction = True
        elif _ZERO <= c <= _ZERO + 9:
            if not fraction:
                value = value * 10 + (c - _ZERO)
            elif left > 0:
                value = value * 10 + (c - _ZERO)
                left -= 1
            elif c != _ZERO:
                return FAIL, np.int64(0)
        else:
            break
        p += 1
        if p - start > MAX_DIGITS:
            return FAIL, np.int64(0)
    if p == start or buf[p] != _QUOTE:
        return FAIL, np.int64(0)
    for _ in range(left):
        value *= 10
    return p + 1, value


@leaf
def skip_scalar(buf: NDArray[np.uint8], p: int, end: int) -> int:
    """Behind a string, plain whole number, true, false or null; anything else is FAIL."""
    c = buf[p]
    if c == _QUOTE:
        return skip_string(buf, p, end)
    if c == _T and buf[p + 1] == 114 and buf[p + 2] == 117 and buf[p + 3] == 101:
        return p + 4
    if c == _F and buf[p + 1] == 97 and buf[p + 2] == 108 and buf[p + 3] == 115 and buf[p + 4] == 101:
        return p + 5
    if c == _N and buf[p + 1] == 117 and buf[p + 2] == 108 and buf[p + 3] == 108:
        return p + 4
    return read_int(buf, p)[0]


@leaf
def matches(buf: NDArray[np.uint8], p: int, text: NDArray[np.uint8]) -> bool:
    """Whether `text` stands at `p`. Longer texts than the padding are not for this function."""
    for k in range(len(text)):
        if buf[p + k] != text[k]:
            return False
    return True


class Symbols(NamedTuple):
    """Hash table from symbol bytes to instrument index, with each instrument's grid.

    `grid` columns: tick units, tick decimals, lot units, lot decimals.
    """

    slots: NDArray[np.int32]
    names: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    grid: NDArray[np.int64]


def index_symbols(instruments: list[Instrument]) -> Symbols:
    """Build the table; names that are too long for it are left to the general decoder."""
    size = 64
    while size < 4 * len(instruments):
        size *= 2
    table = Symbols(
        slots=np.full(size, -1, np.int32),
        names=np.zeros((len(instruments), NAME_BYTES), np.uint8),
        lengths=np.zeros(len(instruments), np.int64),
        grid=np.array(
            [(i.tick.units, i.tick.decimals, i.lot.units, i.lot.decimals) for i in instruments], np.int64
        ).reshape(-1, 4),
    )
    for instrument in instruments:
        name = instrument.symbol.encode()
        if len(name) > NAME_BYTES:
            continue
        table.names[instrument.index, : len(name)] = np.frombuffer(name, np.uint8)
        table.lengths[instrument.index] = len(name)
        padded = np.frombuffer(name + bytes(PADDING), np.uint8)
        slot = int(_hash(padded, 0, len(name))) & (size - 1)
        while table.slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        table.slots[slot] = instrument.index
    return table


@leaf
def _hash(buf: NDArray[np.uint8], start: int, stop: int) -> int:
    """FNV-1a, 32 bits."""
    h = np.uint64(2166136261)
    for p in range(start, stop):
        h = ((h ^ np.uint64(buf[p])) * np.uint64(16777619)) & np.uint64(0xFFFFFFFF)
    return np.int64(h)


@leaf
def find_symbol(table: Symbols, buf: NDArray[np.uint8], start: int, stop: int) -> int:
    """Instrument whose symbol stands at buf[start:stop], or -1."""
    mask = len(table.slots) - 1
    slot = _hash(buf, start, stop) & mask
    length = stop - start
    while table.slots[slot] >= 0:
        i = table.slots[slot]
        if table.lengths[i] == length:
            same = True
            for k in range(length):
                if table.names[i, k] != buf[start + k]:
                    same = False
                    break
            if same:
                return np.int64(i)
        slot = (slot + 1) & mask
    return -1
