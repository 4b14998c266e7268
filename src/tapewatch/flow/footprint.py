"""Views of the footprint: any timeframe, any bin, point of control and value area, always from tick-level cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.compiled import kernel
from ..model.instrument import Instrument
from ..model.views import CANDLE, CELL, Footprint
from .candles import Candles, find

DAY_MS = 86_400_000
VALUE_AREA_PERCENT = 70
VALUE_AREA_ROWS = 2
"""The larger neighbouring pair of bins is added at a time; ties grow downward (the method of the CBOT handbook)."""


def footprint(
    seconds: Candles, minutes: Candles, instrument: Instrument, tf_ms: int, step_ticks: int, lookback: int
) -> Footprint:
    """The last `lookback` candles of one instrument up to the newest that has a trade.

    Candles without trades between two that have some are present with zeros. Timeframes below a minute are built
    from the one-second store, all others from the one-minute store; CVD always runs from 00:00 UTC over all that the
    one-minute store holds of that day.
    """
    store = seconds if tf_ms < minutes.meta[1] else minutes
    base_ms = int(store.meta[1])
    i = instrument.index
    newest = int(store.newest[i])
    if newest < 0 or lookback < 1:
        return Footprint(instrument, tf_ms, step_ticks, np.zeros(0, CANDLE), np.zeros(0, CELL))
    per_candle = tf_ms // base_ms
    last = newest // per_candle
    first = max(last - lookback + 1, _oldest(store, i) // per_candle)
    numbers = np.arange(first * per_candle, (last + 1) * per_candle)
    held = store.ring[i][numbers % store.ring.shape[1]]
    room = int(held["cells"][held["number"] == numbers].sum())
    candles = np.zeros(last - first + 1, CANDLE)
    cells = np.zeros(room, CELL)
    candles["open_ms"] = np.arange(first, last + 1) * tf_ms
    used = _build(store, i, per_candle, step_ticks, candles, cells)
    _run_cvd(seconds, minutes, i, tf_ms, candles)
    return Footprint(instrument, tf_ms, step_ticks, candles, cells[:used])


@kernel
def _oldest(store: Candles, i: int) -> int:
    oldest = store.newest[i]
    for slot in range(store.ring.shape[1]):
        number = store.ring[i, slot].number
        if number > 0 and number < oldest:
            oldest = number
    return oldest


@kernel
def _build(
    store: Candles, i: int, per_candle: int, step: int, candles: NDArray[np.void], cells: NDArray[np.void]
) -> int:
    """Fill `candles` (open_ms set) and `cells`; returns the number of cells used."""
    used = 0
    bins = np.zeros((16, 3), np.int64)
    for c in range(len(candles)):
        out = candles[c]
        out.cell_at = used
        low, high = _merge_candles(store, i, out.open_ms // store.meta[1], per_candle, out)
        if out.n == 0:
            out.poc = out.vah = out.val = -1
            continue
        low_bin = low // step
        n_bins = high // step - low_bin + 1
        if n_bins > len(bins):
            bins = np.zeros((n_bins * 2, 3), np.int64)
        bins[:n_bins] = 0
        _fill_bins(store, i, out.open_ms // store.meta[1], per_candle, step, low_bin, bins)
        for b in range(n_bins - 1, -1, -1):
            if bins[b, 2]:
                cell = cells[used]
                cell.price = (low_bin + b) * step
                cell.bid = bins[b, 0]
                cell.ask = bins[b, 1]
                cell.n = bins[b, 2]
                used += 1
        out.cells = used - out.cell_at
        poc, val, vah = value_area(bins[:n_bins, 0] + bins[:n_bins, 1])
        out.poc = (low_bin + poc) * step
        out.val = (low_bin + val) * step
        out.vah = (low_bin + vah) * step
    return used


@kernel
def _merge_candles(store: Candles, i: int, number: int, per_candle: int, out: NDArray[np.void]) -> tuple[int, int]:
    """Merge base candles into `out`; returns the lowest and highest tick traded."""
    low, high = np.int64(0), np.int64(-1)
    for k in range(number, number + per_candle):
        slot = find(store, i, k)
        if slot < 0:
            continue
        base = store.ring[i, slot]
        out.gap += base.gap
        if base.n == 0:
            continue
        if out.n == 0:
            out.open, low, high = base.open, base.low, base.high
        low, high = min(low, base.low), max(high, base.high)
        out.close = base.close
        out.n += base.n
        out.bid += base.bid
        out.ask += base.ask
        out.quote += base.bid_quote + base.ask_quote
    out.low, out.high = low, max(high, 0)
    return low, high


@kernel
def _fill_bins(
    store: Candles, i: int, number: int, per_candle: int, step: int, low_bin: int, bins: NDArray[np.int64]
) -> None:
    for k in range(number, number + per_candle):
        slot = find(store, i, k)
        if slot < 0:
            continue
        base = store.ring[i, slot]
        for at in range(base.cell_at, base.cell_at + base.cells):
            cell = store.cells[at]
            b = cell.price // step - low_bin
            bins[b, 0] += cell.bid
            bins[b, 1] += cell.ask
            bins[b, 2] += cell.n


@kernel
def value_area(volume: NDArray[np.int64]) -> tuple[int, int, int]:
    """Indices of point of control, low and high end of the value area of a volume profile (lowest bin first).

    POC ties: the bin closest to the middle of the range, then the lower one.
    """
    n = len(volume)
    poc = 0
    for b in range(n):
        nearer = abs(2 * b - (n - 1)) < abs(2 * poc - (n - 1))
        if volume[b] > volume[poc] or (volume[b] == volume[poc] and nearer):
            poc = b
    total = volume.sum()
    lo = hi = poc
    held = volume[poc]
    while held * 100 < total * VALUE_AREA_PERCENT and (lo > 0 or hi < n - 1):
        above = volume[hi + 1 : hi + 1 + VALUE_AREA_ROWS].sum()
        below = volume[max(0, lo - VALUE_AREA_ROWS) : lo].sum()
        if hi < n - 1 and (lo == 0 or above > below):
            hi = min(n - 1, hi + VALUE_AREA_ROWS)
            held += above
        else:
            lo = max(0, lo - VALUE_AREA_ROWS)
            held += below
    return poc, lo, hi


@kernel
def _delta_between(store: Candles, i: int, from_number: int, to_number: int) -> int:
    """Buy minus sell lots of the base candles with numbers in [from, to) that are held."""
    delta = np.int64(0)
    for k in range(max(from_number, store.newest[i] - store.ring.shape[1] + 1), min(to_number, store.newest[i] + 1)):
        slot = find(store, i, k)
        if slot >= 0:
            delta += store.ring[i, slot].ask - store.ring[i, slot].bid
    return delta


@kernel
def _run_cvd(seconds: Candles, minutes: Candles, i: int, tf_ms: int, candles: NDArray[np.void]) -> None:
    """Set `cvd` at the end of each candle: delta summed since 00:00 UTC of the candle's day."""
    minute_ms, second_ms = minutes.meta[1], seconds.meta[1]
    start = candles[0].open_ms
    whole = start // minute_ms
    cvd = _delta_between(minutes, i, start // DAY_MS * DAY_MS // minute_ms, whole)
    cvd += _delta_between(seconds, i, whole * minute_ms // second_ms, start // second_ms)
    for c in range(len(candles)):
        candle = candles[c]
        if candle.open_ms % DAY_MS == 0:
            cvd = np.int64(0)
        cvd += candle.ask - candle.bid
        candle.cvd = cvd
