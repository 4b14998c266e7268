"""Lines of an archived file straight into candles and footprints: no row of the tape in between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel
from ..flow.history import DONE, SKIP, Work, add, goes_on, opened, put_away, turn_to
from ..venues.binance_archive_form import Form
from ..venues.binance_archive_kernel import read_line
from ..venues.scan import FAIL

LEFT = -1
"""The line at the position is for the general reader; all other outcomes are those of `turn_to`."""


@kernel
def add_lines(
    buf: NDArray[np.uint8],
    start: int,
    end: int,
    aggregate: bool,
    form: Form,
    work: Work,
) -> tuple[int, int, int]:
    """Add up the lines from `start` to `end`: (outcome, position, lines taken). See `read_line` and `turn_to`."""
    p, n, outcome = start, 0, DONE
    o = opened(work)
    while p < end:
        line = read_line(buf, p, end, aggregate, form)
        if line.end == FAIL:
            outcome = LEFT
            break
        if not goes_on(o, line.id, line.ts_ms, line.price):
            put_away(work, o)
            outcome = turn_to(work, line.id, line.ts_ms, line.price)
            o = opened(work)
            if outcome > SKIP:
                break
        if outcome == DONE:
            o = add(work, o, line.id, line.ts_ms, line.price, line.qty, line.sell)
        outcome = DONE
        n += 1
        p = line.end
    put_away(work, o)
    return outcome, p, n
