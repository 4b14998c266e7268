"""Book levels as the venue prints them, written by compiled code: `["84551.00","2.581"],["84551.10","0.000"]`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from .layout import RING, State

_MASK = RING - 1
_PAGE = 8
"""Places of the ring that are skipped at once while they are clean."""
_ZERO, _POINT, _QUOTE, _COMMA, _OPEN, _CLOSE = 48, 46, 34, 44, 91, 93


@kernel
def _put_decimal(out: NDArray[np.uint8], at: int, value: int, decimals: int) -> int:
    """Write `value` units of 10**-decimals; returns the place behind it."""
    digits = 1
    scale = 1
    while digits <= decimals or value // scale >= 10:
        scale *= 10
        digits += 1
    while digits > 0:
        if digits == decimals:
            out[at] = _POINT
            at += 1
        out[at] = _ZERO + value // scale % 10
        at += 1
        scale //= 10
        digits -= 1
    return at


@kernel
def _put_level(out: NDArray[np.uint8], at: int, price: int, price_decimals: int, lots: int, qty_decimals: int) -> int:
    out[at] = _OPEN
    out[at + 1] = _QUOTE
    at = _put_decimal(out, at + 2, price, price_decimals)
    out[at] = _QUOTE
    out[at + 1] = _COMMA
    out[at + 2] = _QUOTE
    at = _put_decimal(out, at + 3, lots, qty_decimals)
    out[at] = _QUOTE
    out[at + 1] = _CLOSE
    out[at + 2] = _COMMA
    return at + 3


@kernel
def _put_levels(out: NDArray[np.uint8], levels: NDArray[np.int64], price_decimals: int, qty_decimals: int) -> int:
    at = 0
    for row in range(len(levels)):
        at = _put_level(out, at, levels[row, 0], price_decimals, levels[row, 1], qty_decimals)
    return max(0, at - 1)


@kernel
def _put_changes(
    m: State, i: int, speed: int, price_decimals: int, qty_decimals: int, out: NDArray[np.uint8]
) -> tuple[int, int]:
    """Write what one diff stream must tell and mark it told; returns where the bids and where the asks end.

    Levels ascend in price as on the wire. As there, a far order and the deletion of a level that was never told now and
    then come along; the update id decides, so that every subscriber of every run sees the same.
    """
    symbol = m.symbols[i]
    units = symbol.tick_units
    pages = m.dirty[i].view(np.uint64)
    low = symbol.anchor // _PAGE * _PAGE - RING // 2
    chance = (symbol.last_u * 2654435761) % 4096
    at, bids_end = 0, 0
    for side in range(2):
        bit = np.uint8(1 << (speed + 4 * side))
        keep = np.uint8(0xFF ^ bit)
        if side == 0 and chance < 90:
            at = _put_level(out, at, (symbol.anchor // 40 + 1) * units, price_decimals, 1 + chance * 37, qty_decimals)
        elif side == 0 and chance < 180 and symbol.anchor > RING:
            at = _put_level(out, at, (low - 1 - chance) * units, price_decimals, 0, qty_decimals)
        for page in range(RING // _PAGE):
            first = low + page * _PAGE
            if pages[(first & _MASK) // _PAGE] == 0:
                continue
            for price in range(first, first + _PAGE):
                if m.dirty[i, price & _MASK] & bit == 0:
                    continue
                m.dirty[i, price & _MASK] &= keep
                lots = m.books[i, price & _MASK]
                shown = max(0, -lots if side else lots)
                at = _put_level(out, at, price * units, price_decimals, shown, qty_decimals)
        if side == 0:
            bids_end = at
    return bids_end, at


_SCRATCH = np.empty(RING * 2 * 48, np.uint8)
"""Room for both sides of a whole ring; the event loop's one thread writes here."""


def changes_text(state: State, i: int, speed: int, price_decimals: int, qty_decimals: int) -> tuple[str, str]:
    """Bids and asks of the next diff of one stream, without the brackets around them."""
    bids_end, end = _put_changes(state, i, speed, price_decimals, qty_decimals, _SCRATCH)
    text = _SCRATCH[:end].tobytes().decode("ascii")
    return text[: max(0, bids_end - 1)], text[bids_end:-1]


def levels_text(levels: NDArray[np.int64], price_decimals: int, qty_decimals: int) -> str:
    """Rows of (price in wire units, lots), without the brackets around them."""
    return _SCRATCH[: _put_levels(_SCRATCH, levels, price_decimals, qty_decimals)].tobytes().decode("ascii")


@kernel
def forget_changes(m: State, i: int, speed: int) -> None:
    """Start a diff stream anew: what changed before nobody is told."""
    keep = np.uint8(0xFF ^ (0x11 << speed))
    for at in range(RING):
        m.dirty[i, at] &= keep
    m.slots[i, speed] = 0
