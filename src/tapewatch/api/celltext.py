"""Footprint levels as JSON text, written by compiled code that does not hold the interpreter's lock.

A day of minutes has hundreds of thousands of levels. Written in Python, even in a thread, they would keep the event
loop from the market's data for tenths of a second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..model.instrument import Grid
from ..model.views import Footprint

_ZERO, _POINT = ord("0"), ord(".")
_MAX_DIGITS = 19
_PRICE, _BID, _ASK, _COUNT, _END = (
    np.frombuffer(text, np.uint8) for text in (b'{"p":', b',"bid":', b',"ask":', b',"n":', b"},")
)
_LONGEST = sum(map(len, (_PRICE, _BID, _ASK, _COUNT, _END))) + 4 * (_MAX_DIGITS + 2)
"""Bytes of one level: each number may have a point, and a zero before it."""


@kernel
def _put(out: NDArray[np.uint8], at: int, text: NDArray[np.uint8]) -> int:
    for k in range(len(text)):
        out[at + k] = text[k]
    return at + len(text)


@kernel
def _put_decimal(out: NDArray[np.uint8], at: int, value: int, decimals: int) -> int:
    """Write `value` x 10**-decimals with all its decimals; returns the place behind it."""
    digits, beyond = decimals + 1, 10 ** (decimals + 1)
    while value >= beyond and digits < _MAX_DIGITS:
        beyond *= 10
        digits += 1
    end = place = at + digits + (1 if decimals else 0)
    for k in range(digits):  # from the last digit on: division by a constant is cheap
        if decimals and k == decimals:
            place -= 1
            out[place] = _POINT
        place -= 1
        out[place] = _ZERO + value % 10
        value //= 10
    return end


@kernel
def _put_cells(
    cells: NDArray[np.void],
    tick: tuple[int, int],
    lot: tuple[int, int],
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
) -> None:
    """Write cell after cell, each with a comma behind it; `ends[k]` is the place behind cell `k`."""
    at = 0
    for k in range(len(cells)):
        cell = cells[k]
        at = _put_decimal(out, _put(out, at, _PRICE), cell.price * tick[0], tick[1])
        at = _put_decimal(out, _put(out, at, _BID), cell.bid * lot[0], lot[1])
        at = _put_decimal(out, _put(out, at, _ASK), cell.ask * lot[0], lot[1])
        at = _put_decimal(out, _put(out, at, _COUNT), cell.n, 0)
        at = _put(out, at, _END)
        ends[k] = at


def level_texts(shown: Footprint, which: NDArray[np.intp]) -> list[str]:
    """The levels of each candle at positions `which`: ``{"p":42500.5,"bid":2.1,"ask":8.3,"n":15}``, commas between."""
    chosen = shown.candles[which]
    if not len(chosen):
        return []
    # Cells of neighbouring candles lie side by side: one run of them, from the first candle's to the last one's.
    first = int(chosen["cell_at"].min())
    cells = np.require(shown.cells[first : int((chosen["cell_at"] + chosen["cells"]).max())], requirements=["C", "W"])
    out, ends = np.empty(len(cells) * _LONGEST, np.uint8), np.zeros(len(cells) + 1, np.int64)
    _put_cells(cells, _grid(shown.instrument.tick), _grid(shown.instrument.lot), out, ends[1:])
    text = out[: ends[-1]].tobytes().decode("ascii")
    starts = ends[chosen["cell_at"] - first].tolist()
    stops = ends[chosen["cell_at"] - first + chosen["cells"]].tolist()
    return [text[start : stop - 1] if stop > start else "" for start, stop in zip(starts, stops, strict=True)]


def _grid(grid: Grid) -> tuple[int, int]:
    return grid.units, grid.decimals
