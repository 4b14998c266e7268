"""Eight bytes at a time: what a scan of digits and quotes needs to know about a word, without a branch for each byte.

A word holds eight bytes of the buffer, the first one lowest. Masks have the high bit of a byte set where the byte is
what was asked for; bytes above the first hit may be marked wrongly, so only `first` of a mask means anything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic as _intrinsic
from numpy.typing import NDArray

from ..compiled import leaf

intrinsic: Any = _intrinsic
"""Its decorator is made at run time, out of sight of a type checker."""

WORD = 8
SPAN = 32
WIDE = 64
MAX_TEXT = 2 * WORD
_EIGHT_DIGITS = 10**WORD

_ONES = np.uint64(0x0101010101010101)
_HIGHS = np.uint64(0x8080808080808080)
_LOWS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ZEROS = np.uint64(ord("0")) * _ONES
_ABOVE_NINE = np.uint64(0x76) * _ONES
_ONE, _TEN, _BYTE, _TWO_BYTES, _HALF = np.uint64(1), np.uint64(10), np.uint64(8), np.uint64(16), np.uint64(32)
_PAIRS = np.uint64(0x000000FF000000FF)
_PAIRS_1 = np.uint64(0x000F424000000064)
_PAIRS_2 = np.uint64(0x0000271000000001)

_POWERS = np.array([10**k for k in range(19)], np.int64)
_LAST = np.array([256**WORD - 256 ** max(WORD - k, 0) for k in range(MAX_TEXT + 1)], np.uint64)
"""Masks of the last k bytes of a word, all of it from 8 on."""
_LAST_BUT_A_WORD = np.array([int(_LAST[max(k - WORD, 0)]) for k in range(MAX_TEXT + 1)], np.uint64)
_FIRST_BUT_A_WORD = np.array([256 ** max(k - WORD, 0) - 1 for k in range(MAX_TEXT + 1)], np.uint64)


class Text(NamedTuple):
    """A text of at most 16 bytes to compare with in two words that may overlap."""

    head: np.uint64
    tail: np.uint64
    mask: np.uint64
    tail_at: int
    length: int


def text(string: str) -> Text:
    data = string.encode()
    if not 0 < len(data) <= MAX_TEXT:
        raise ValueError(f"{string!r} does not fit two words")
    part = min(len(data), WORD)
    head, tail = (np.uint64(int.from_bytes(word, "little")) for word in (data[:part], data[-part:]))
    return Text(head, tail, np.uint64(256**part - 1), len(data) - part, len(data))


@intrinsic
def word_at(_: Any, buf: Any, p: Any) -> Any:
    """The eight bytes of a byte array from `p`, wherever that lies: numpy could only read aligned ones."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.gep(array.data, [args[1]])
        return builder.load(builder.bitcast(address, ir.IntType(64).as_pointer()), align=1)

    return numba.uint64(buf, numba.int64), generate


@intrinsic
def reversed_at(_: Any, buf: Any, p: Any) -> Any:
    """The eight bytes from `p`, the first one highest: of equally long numbers the larger has the larger word."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.bitcast(builder.gep(array.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.bswap(builder.load(address, align=1))

    return numba.uint64(buf, numba.int64), generate


@intrinsic
def byte_at(_: Any, buf: Any, p: Any) -> Any:
    """buf[p] as a number, without Python's meaning of a negative `p`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        return builder.zext(builder.load(builder.gep(array.data, [args[1]])), ir.IntType(64))

    return numba.int64(buf, numba.int64), generate


@intrinsic
def plain_bytes(_: Any, buf: Any, p: Any) -> Any:
    """How many of the `SPAN` bytes from `p` stand before the first that ends a JSON string or makes it less than plain:
    quote, backslash, control and non-ASCII bytes.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        kind = ir.VectorType(ir.IntType(8), SPAN)
        address = builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())
        these = builder.load(address, align=1)
        special = builder.icmp_signed("<", these, ir.Constant(kind, [ord(" ")] * SPAN))
        for byte in b'"\\':
            special = builder.or_(special, builder.icmp_unsigned("==", these, ir.Constant(kind, [byte] * SPAN)))
        mask = builder.zext(builder.bitcast(special, ir.IntType(SPAN)), ir.IntType(64))
        beyond = builder.or_(mask, ir.Constant(ir.IntType(64), 1 << SPAN))
        return builder.cttz(beyond, ir.Constant(ir.IntType(1), 1))

    return numba.int64(buf, numba.int64), generate


@intrinsic
def digits_at(_: Any, buf: Any, p: Any) -> Any:
    """How many decimal digits stand in a row from `p`, at most `MAX_TEXT`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        kind = ir.VectorType(ir.IntType(8), MAX_TEXT)
        address = builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer())
        values = builder.sub(builder.load(address, align=1), ir.Constant(kind, [ord("0")] * MAX_TEXT))
        others = builder.icmp_unsigned(">", values, ir.Constant(kind, [9] * MAX_TEXT))
        mask = builder.zext(builder.bitcast(others, ir.IntType(MAX_TEXT)), ir.IntType(64))
        beyond = builder.or_(mask, ir.Constant(ir.IntType(64), 1 << MAX_TEXT))
        return builder.cttz(beyond, ir.Constant(ir.IntType(1), 1))

    return numba.int64(buf, numba.int64), generate


@intrinsic
def bytes_between(_: Any, buf: Any, p: Any, low: Any, high: Any) -> Any:
    """Which of the `WIDE` bytes from `p` are `low` to `high`: a bit for each, the first byte lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        kind, lane = ir.VectorType(ir.IntType(8), WIDE), ir.IntType(32)

        def each(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(kind, ir.Undefined), builder.trunc(value, ir.IntType(8)), lane(0))
            return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(lane, WIDE), [0] * WIDE))

        these = builder.load(builder.bitcast(builder.gep(array.data, [args[1]]), kind.as_pointer()), align=1)
        above = builder.sub(these, each(args[2]))
        within = builder.icmp_unsigned("<=", above, each(builder.sub(args[3], args[2])))
        return builder.bitcast(within, ir.IntType(WIDE))

    return numba.uint64(buf, numba.int64, numba.int64, numba.int64), generate


@intrinsic
def lowest(_: Any, mask: Any) -> Any:
    """Number of the lowest bit that is set, 64 if there is none."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return numba.int64(numba.uint64), generate


@leaf
def lowest_bit(mask: int) -> int:
    """The lowest bit that is set, alone."""
    return mask & (~mask + _ONE)


@leaf
def first(mask: int) -> int:
    """Number of the first byte that a mask marks, 8 if there is none."""
    return lowest(mask) >> 3


@leaf
def matches(buf: NDArray[np.uint8], p: int, wanted: Text) -> bool:
    """Whether `wanted` stands at `p`."""
    other = (word_at(buf, p) ^ wanted.head) | (word_at(buf, p + wanted.tail_at) ^ wanted.tail)
    return bool(other & wanted.mask == 0)


@leaf
def head_of(word: int, length: int) -> int:
    """The first `length` bytes, 1 to 8, of a word; the others are zero."""
    return word & below(length)


@leaf
def below(length: int) -> int:
    """Mask of the first `length` bytes, 1 to 8, all their bits."""
    return _ALL >> np.uint64(8 * (WORD - length))


@leaf
def no_zeros(word: int) -> int:
    """Zero in every byte that is the digit zero, something else in others."""
    return word ^ _ZEROS


@leaf
def without(word: int, at: int) -> int:
    """The word with byte number `at`, 0 to 7, taken out; what then stands in the last place is zero."""
    low = np.uint64(8 * (at & (WORD - 1)))
    return (word & ~(_ALL << low)) | (word >> low >> _BYTE << low)


@leaf
def equal_bytes(word: int, byte: int) -> int:
    """Mask of the bytes that are `byte`."""
    return _equal_bytes(word, np.uint64(byte) * _ONES)


@leaf
def _equal_bytes(word: int, wanted: int) -> int:
    x = word ^ wanted
    return (x - _ONES) & ~x & _HIGHS


@leaf
def non_digits(word: int) -> int:
    """Mask of the bytes that are no decimal digits."""
    x = word ^ _ZEROS
    return (((x & _LOWS) + _ABOVE_NINE) | x) & _HIGHS


@leaf
def value_of(word: int, digits: int) -> int:
    """Number that the first `digits` bytes, 1 to 8 decimal digits, spell."""
    return _eight((word ^ _ZEROS) << np.uint64(8 * (WORD - digits)))


@leaf
def head_before(buf: NDArray[np.uint8], p: int, digits: int) -> int:
    """What all but the last eight of the `digits` bytes before `p`, 0 to 16 decimal digits, are worth in the number
    they spell. Sixteen bytes before `p` are looked at.

    Numbers shorter and longer than a word come in turns: what does not belong to this one is masked, not branched on.
    """
    return _eight((word_at(buf, p - MAX_TEXT) ^ _ZEROS) & _LAST_BUT_A_WORD[np.uint64(digits)]) * _EIGHT_DIGITS


@leaf
def tail_before(buf: NDArray[np.uint8], p: int, digits: int) -> int:
    """What the last eight of them are worth."""
    return _eight((word_at(buf, p - WORD) ^ _ZEROS) & _LAST[np.uint64(digits)])


@leaf
def begin_alike(buf: NDArray[np.uint8], one: int, other: int, digits: int) -> bool:
    """Whether two numbers of 0 to 16 digits are the same but for their last eight."""
    return bool((word_at(buf, one) ^ word_at(buf, other)) & _FIRST_BUT_A_WORD[np.uint64(digits)] == 0)


@leaf
def _eight(x: int) -> int:
    """Number of the eight digits that are the bytes of a word, the first one lowest."""
    x = x * _TEN + (x >> _BYTE)
    return np.int64((((x & _PAIRS) * _PAIRS_1) + (((x >> _TWO_BYTES) & _PAIRS) * _PAIRS_2)) >> _HALF)


@leaf
def times_ten_to(value: int, power: int) -> int:
    return value * _POWERS[np.uint64(power)]
