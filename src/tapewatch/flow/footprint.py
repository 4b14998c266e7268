"""Views of the footprint: any timeframe, any bin, point of control and value area, always from tick-level cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, maker
from ..model.instrument import Instrument
from ..model.views import CANDLE, CELL, Footprint
from .candles import DAY_MS, Candles, find
from .packing import get_cell, head

ABOVE_ALL = 2**62
"""A price that no cell has."""
VALUE_AREA_PERCENT = 70
VALUE_AREA_ROWS = 2
"""The larger neighbouring pair of bins is added at a time; ties grow downward (the method of the CBOT handbook)."""


def footprint(
    seconds: Candles, minutes: Candles, instrument: Instrument, tf_ms: int, step_ticks: int, lookback: int
) -> Footprint:
    """The last `lookback` candles of one instrument up to the newest that has a trade.

    Candles without trades between two that have some are present with zeros. Timeframes below a minute are built
    from the one-second store, all others from the one-minute store; CVD always runs from 00:00 UTC over all that the
    one-minute store holds of that day or has held.
    """
    store = seconds if tf_ms < minutes.meta[1] else minutes
    base_ms = int(store.meta[1])
    i = instrument.index
    newest = int(store.newest[i])
    if newest < 0 or store.oldest[i] > newest or lookback < 1:  # a gap opens candles too, before any trade
        return Footprint(instrument, tf_ms, step_ticks, np.zeros(0, CANDLE), np.zeros(0, CELL))
    per_candle = tf_ms // base_ms
    last = newest // per_candle
    reach = newest - len(store.ring) + 1
    # A candle that begins before what the ring reaches would be shown with a part of its trades as if it were whole.
    first = max(last - lookback + 1, -(-reach // per_candle), _oldest(store, i, reach) // per_candle)
    candles = np.zeros(last - first + 1, CANDLE)
    cells = np.empty(_count_bins(store, i, first * per_candle, (last + 1) * per_candle, step_ticks), CELL)
    candles["open_ms"] = np.arange(first, last + 1) * tf_ms
    used = _build(store, i, per_candle, step_ticks, candles, cells)
    _run_cvd(seconds, minutes, i, candles)
    return Footprint(instrument, tf_ms, step_ticks, candles, cells[:used])


@kernel
def _oldest(store: Candles, i: int, reach: int) -> int:
    """Number of the oldest candle with a trade, from `reach` on."""
    number = max(reach, store.oldest[i])
    while number < store.newest[i]:
        slot = find(store, i, number)
        if slot >= 0 and store.ring[slot, i].n > 0:
            break
        number += 1
    return number


@maker
def _build(
    store: Candles, i: int, per_candle: int, step: int, candles: NDArray[np.void], cells: NDArray[np.void]
) -> int:
    """Fill `candles` (open_ms set) and `cells`; returns the number of cells used.

    Work and memory follow the cells that traded, not the range between them: one print far away costs one cell.
    """
    used = 0
    starts, spare = np.empty(len(cells) + 1, np.int64), np.empty(len(cells), cells.dtype)
    for c in range(len(candles)):
        out = candles[c]
        number = out.open_ms // store.meta[1]
        out.cell_at = used
        _merge_candles(store, i, number, per_candle, out)
        if out.n == 0:
            out.poc = out.vah = out.val = -1
            continue
        out.cells = _merge_cells(store, i, number, per_candle, step, cells[used:], starts, spare)
        profile = cells[used : used + out.cells][::-1]
        bins = np.empty(out.cells, np.int64)
        volume = np.empty(out.cells, np.int64)
        for k in range(out.cells):
            bins[k] = profile[k].price // step
            volume[k] = profile[k].bid + profile[k].ask
        poc, val, vah = value_area(bins, volume)
        out.poc = poc * step
        out.val = val * step
        out.vah = vah * step
        used += out.cells
    return used


@kernel
def _merge_candles(store: Candles, i: int, number: int, per_candle: int, out: Record) -> None:
    """Merge base candles into `out`."""
    for k in range(number, number + per_candle):
        slot = find(store, i, k)
        if slot < 0:
            continue
        base = store.ring[slot, i]
        out.gap += base.gap
        if base.n == 0:
            continue
        if out.n == 0:
            out.open, out.low, out.high = base.open, base.low, base.high
        out.low = min(out.low, base.low)
        out.high = max(out.high, base.high)
        out.close = base.close
        out.n += base.n
        out.bid += base.bid
        out.ask += base.ask
        out.quote += base.bid_quote + base.ask_quote


@kernel
def _count_bins(store: Candles, i: int, from_number: int, to_number: int, step: int) -> int:
    """How many bins `_merge_cells` will write at most, of all base candles with numbers in [from, to)."""
    n = 0
    for number in range(from_number, to_number):
        slot = find(store, i, number)
        if slot >= 0:
            base = store.ring[slot, i]
            n += head(store, base)[0]
            edge = np.int64(ABOVE_ALL)
            for at in range(base.cell_at, base.cell_at + base.cells):
                if not edge <= store.cells[at].price < edge + step:
                    edge = store.cells[at].price // step * step
                    n += 1
    return n


@maker
def _merge_cells(
    store: Candles, i: int, number: int, per_candle: int, step: int, out: NDArray[np.void],
    starts: NDArray[np.int64], spare: NDArray[np.void],
) -> int:  # fmt: skip
    """Add the tick-level cells of base candles up into bins of `step` ticks, highest first; returns how many.

    Cells are binned in one pass. Where they stand sorted that gives one run of falling prices for a base candle, else
    several; runs are merged two by two, with `spare` and `starts` as room to work in.
    """
    runs = n = 0
    for k in range(number, number + per_candle):
        slot = find(store, i, k)
        if slot < 0:
            continue
        base = store.ring[slot, i]
        if base.cells:
            runs, n = _bin_cells(store, base, step, out, n, starts, runs)
        if base.packed:
            starts[runs] = n
            runs += 1
            n = _bin_packed(store, base, step, out, n)
    starts[runs] = n
    while runs > 1:
        spare[:n] = out[:n]
        merged = n = 0
        for k in range(0, runs, 2):
            start, middle, stop = starts[k], starts[k + 1], starts[min(k + 2, runs)]
            starts[merged] = n
            merged += 1
            n = _merge_two(spare, start, middle, stop, out, n)
        starts[merged] = n
        runs = merged
    return n


@kernel
def _bin_cells(
    store: Candles, base: Record, step: int, out: NDArray[np.void], n: int, starts: NDArray[np.int64], runs: int
) -> tuple[int, int]:
    """Write one base candle's bins to `out` from `n` on, in runs of falling prices: how many runs and bins then are."""
    edge = np.int64(-ABOVE_ALL)
    for at in range(base.cell_at + base.cells - 1, base.cell_at - 1, -1):
        cell = store.cells[at]
        if edge <= cell.price < edge + step:
            _add(out[n - 1], cell)
            continue
        if cell.price > edge:
            starts[runs] = n
            runs += 1
        edge = cell.price // step * step
        out[n] = cell
        out[n].price = edge
        n += 1
    return runs, n


@kernel
def _bin_packed(store: Candles, base: Record, step: int, out: NDArray[np.void], n: int) -> int:
    """The same for the packed cells of a base candle."""
    edge, price = np.int64(ABOVE_ALL), np.int64(0)
    count, at = head(store, base)
    for _ in range(count):
        price, bid, ask, trades, at = get_cell(store, at, price)
        if price < edge:
            edge = price // step * step
            out[n].price, out[n].bid, out[n].ask, out[n].n = edge, bid, ask, trades
            n += 1
        else:
            total = out[n - 1]
            total.bid += bid
            total.ask += ask
            total.n += trades
    return n


@kernel
def _merge_two(runs: NDArray[np.void], at: int, middle: int, stop: int, out: NDArray[np.void], n: int) -> int:
    """Merge the sorted runs [at, middle) and [middle, stop) to `out` from `n` on; returns the position behind."""
    other = middle
    while at < middle or other < stop:
        if other == stop or (at < middle and runs[at].price >= runs[other].price):
            out[n] = runs[at]
            if other < stop and runs[other].price == runs[at].price:
                _add(out[n], runs[other])
                other += 1
            at += 1
        else:
            out[n] = runs[other]
            other += 1
        n += 1
    return n


@leaf
def _add(total: Record, cell: Record) -> None:
    total.bid += cell.bid
    total.ask += cell.ask
    total.n += cell.n


@kernel
def value_area(bins: NDArray[np.int64], volume: NDArray[np.int64]) -> tuple[int, int, int]:
    """Point of control, lowest and highest bin of the value area of a profile: rising bin numbers and their volumes.

    Bins not named hold nothing; a run of them is passed in one stride. POC ties: the bin closest to the middle of the
    range, then the lower one.
    """
    first, last = bins[0], bins[-1]
    at = 0
    for k in range(len(bins)):
        nearer = abs(2 * bins[k] - first - last) < abs(2 * bins[at] - first - last)
        if volume[k] > volume[at] or (volume[k] == volume[at] and nearer):
            at = k
    total = volume.sum()
    held = volume[at]
    lo = hi = bins[at]
    below, above = at - 1, at + 1  # the next named bins on either side of the area
    while held * 100 < total * VALUE_AREA_PERCENT and (below >= 0 or above < len(bins)):
        up = down = np.int64(0)
        up_to, down_to = above, below
        while up_to < len(bins) and bins[up_to] <= hi + VALUE_AREA_ROWS:
            up += volume[up_to]
            up_to += 1
        while down_to >= 0 and bins[down_to] >= lo - VALUE_AREA_ROWS:
            down += volume[down_to]
            down_to -= 1
        if above < len(bins) and (below < 0 or up > down):
            pairs = max(1, (bins[above] - hi - 1) // VALUE_AREA_ROWS) if up == 0 else 1
            hi = min(last, hi + pairs * VALUE_AREA_ROWS)
            held += up
            above = up_to
        else:
            pairs = max(1, (lo - bins[below] - 1) // VALUE_AREA_ROWS) if up == 0 and down == 0 else 1
            lo = max(first, lo - pairs * VALUE_AREA_ROWS)
            held += down
            below = down_to
    return bins[at], lo, hi


@kernel
def _delta_between(store: Candles, i: int, from_number: int, to_number: int) -> int:
    """Buy minus sell lots of the base candles with numbers in [from, to) whose place no other has taken."""
    delta = np.int64(0)
    for k in range(from_number, min(to_number, store.newest[i] + 1)):
        slot = find(store, i, k)
        if slot >= 0:
            delta += store.ring[slot, i].ask - store.ring[slot, i].bid
    return delta


@kernel
def _run_cvd(seconds: Candles, minutes: Candles, i: int, candles: NDArray[np.void]) -> None:
    """Set `cvd` at the end of each candle: delta summed since 00:00 UTC of the candle's day."""
    minute_ms, second_ms = minutes.meta[1], seconds.meta[1]
    start = candles[0].open_ms
    whole = start // minute_ms
    cvd = _delta_between(minutes, i, start // DAY_MS * DAY_MS // minute_ms, whole)
    cvd += _delta_between(seconds, i, whole * minute_ms // second_ms, start // second_ms)
    if minutes.left[i, 0] == start // DAY_MS:
        cvd += minutes.left[i, 1]
    for c in range(len(candles)):
        candle = candles[c]
        if candle.open_ms % DAY_MS == 0:
            cvd = np.int64(0)
        cvd += candle.ask - candle.bid
        candle.cvd = cvd
