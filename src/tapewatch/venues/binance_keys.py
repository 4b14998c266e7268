"""The keys of a JSON object in any order: one compiled loop for all of Binance's events.

What an event has of its own is a function that reads the value behind one of its keys. It becomes part of the loop,
which is compiled once for each kind of event.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, leaf
from .batch import ROWS
from .binance_usdm_fields import COIN_MARGINED
from .scan import FAIL, Symbols, find_symbol, read_int, skip_string
from .words import byte_at, word_at


class Frame(NamedTuple):
    """A frame that is being decoded: `buf` up to `end`, and where its rows and levels go (`binance_kernel.decode`)."""

    buf: NDArray[np.uint8]
    end: int
    recv_ns: int
    symbols: Symbols
    rows: NDArray[np.void]
    levels: NDArray[np.void]
    counts: NDArray[np.int64]


ReadValue = Any
"""A leaf `(frame, p, key, i, seen, row)` that reads the value at `p`: (position behind it, the key's bit in `seen`)."""


def _word(data: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(data, "little"))


_ONE_LETTER, _ONE_LETTER_MASK = _word(b',"\0":'), _word(b"\xff\xff\0\xff\xff")
_TWO_LETTERS, _TWO_LETTERS_MASK = _word(b',"\0\0":'), _word(b"\xff\xff\0\0\xff\xff")

_COMMA, _COLON, _CLOSE = ord(","), ord(":"), ord("}")
_KIND, _NAME = ord("e"), ord("s")
_CONTRACT_KIND = ord("s") << 8 | ord("t")

SYMBOL, _CONTRACT, COIN, OWN = 1, 2, 4, 8
"""Bits of keys seen: symbol and kind of contract, which every event may have, whether that is one margined in coin,
and the first of those that each kind of event gives its own keys."""


@leaf
def read_keys(read_value: ReadValue, frame: Frame, p: int, i: int, seen: int, row: Record) -> tuple[int, int, int]:
    """Go through an object from the comma or brace at `p` to its end: (behind it, instrument, keys seen).

    `i` and `seen` say what is known before. A key that comes twice is FAIL.
    """
    buf, end = frame.buf, frame.end
    while byte_at(buf, p) != _CLOSE:
        p, key = _key(buf, p, end)
        if p == FAIL:
            return FAIL, i, seen
        bit = 0
        if key == _NAME:
            stop = skip_string(buf, p, end)
            if stop == FAIL:
                return FAIL, i, seen
            i = find_symbol(frame.symbols, buf, p + 1, stop - 1)
            p, bit = stop, SYMBOL
        elif key == _CONTRACT_KIND:
            p, kind = read_int(buf, p)
            bit = _CONTRACT | COIN if kind == COIN_MARGINED else _CONTRACT
        elif key == _KIND:  # a second one would make the general decoder read another kind of event
            return FAIL, i, seen
        else:
            p, bit = read_value(frame, p, key, i, seen, row)
        if p == FAIL or seen & bit:
            return FAIL, i, seen
        seen |= bit
    return p + 1, i, seen


@leaf
def _key(buf: NDArray[np.uint8], p: int, end: int) -> tuple[int, int]:
    """The key behind a comma at `p`: (position of its value, key). One letter is its code, two are packed, others 0."""
    word = word_at(buf, p)
    first = byte_at(buf, p + 2)
    if word & _ONE_LETTER_MASK == _ONE_LETTER and _is_letter(first):
        return p + 5, first
    second = byte_at(buf, p + 3)
    if word & _TWO_LETTERS_MASK == _TWO_LETTERS and _is_letter(first) and _is_letter(second):
        return p + 6, first << 8 | second
    if byte_at(buf, p) != _COMMA:
        return FAIL, 0
    p = skip_string(buf, p + 1, end)
    if p == FAIL or byte_at(buf, p) != _COLON:
        return FAIL, 0
    return p + 1, 0


@leaf
def _is_letter(c: int) -> bool:
    return 65 <= c <= 90 or 97 <= c <= 122


@leaf
def has(seen: int, wanted: int) -> bool:
    """Whether all keys that are wanted have come, and the contract is not one margined in coin."""
    return seen & (wanted | COIN) == wanted


@leaf
def done(frame: Frame, row: Record, kind: int, i: int) -> None:
    row.kind = kind
    row.instrument = i
    frame.counts[ROWS] += 1
