"""Lines of an archived file straight into candles and footprints: no row of the tape in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..flow.history import DONE, Work, add_print
from ..venues.binance_archive_kernel import read_line
from ..venues.scan import FAIL

LEFT = -1
"""The line at the position is for the general reader; all other outcomes are those of `add_print`."""


@kernel
def add_lines(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    aggregate: bool,
    grid: NDArray[np.int64],
    widths: NDArray[np.int64],
    work: Work,
) -> tuple[int, int, int]:
    """Add up the lines from `start` to `end`: (outcome, position, lines taken). See `read_line` and `add_print`."""
    p = start
    n = 0
    while p < end:
        line = read_line(buf, p, aggregate, grid, widths)
        if line.end == FAIL:
            return LEFT, p, n
        outcome = add_print(work, line.id, line.ts_ms, line.price, line.qty, line.sell)
        if outcome != DONE:
            return outcome, p, n
        n += 1
        p = line.end
    return DONE, p, n
