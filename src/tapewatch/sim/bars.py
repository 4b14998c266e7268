"""One-minute bars: joining them into klines, keeping a day of them, and the minutes before the market began."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel

_golden, _mix1, _mix2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_s30, _s27, _s31 = np.uint64(30), np.uint64(27), np.uint64(31)
_s16, _s32, _s48, _chunk = np.uint64(16), np.uint64(32), np.uint64(48), np.uint64(0xFFFF)


@kernel
def past_bars(
    seed: np.uint64,
    bars: NDArray[np.void],
    end_ms: int,
    day_lots: float,
    close: float,
    tick_units: int,
    sigma: float,
    order_lots: float,
    trade_id: int,
) -> None:
    """Fill `bars`, newest last, with minutes that ended before `end_ms`; a longer history ends in the same bars."""
    price = close / tick_units
    sigma_minute = sigma * math.sqrt(60.0)
    day, busy = -1, 1.0
    for back in range(len(bars)):
        bar = bars[len(bars) - 1 - back]
        bar.open_ms = end_ms - (back + 1) * 60_000
        if bar.open_ms // 86_400_000 != day:
            day = bar.open_ms // 86_400_000
            busy = math.exp(0.3 * _rough_normal(seed, -day) - 0.045)
        hour = (bar.open_ms % 86_400_000) / 3_600_000.0
        season = 1.0 + 0.35 * math.sin(2.0 * math.pi * (hour - 9.0) / 24.0)
        before = max(200.0, price / math.exp(sigma_minute * _rough_normal(seed, 4 * back + 0)))
        wide = 1.0 + 0.5 * sigma_minute * abs(_rough_normal(seed, 4 * back + 1))
        qty = int(day_lots / 1440.0 * busy * season * math.exp(0.8 * _rough_normal(seed, 4 * back + 2) - 0.32))
        share = min(0.9, max(0.1, 0.5 + 0.08 * _rough_normal(seed, 4 * back + 3)))
        bar.open, bar.close = int(before) * tick_units, int(price) * tick_units
        bar.high = int(max(before, price) * wide) * tick_units
        bar.low = int(min(before, price) / wide) * tick_units
        bar.qty, bar.buy_qty = qty, int(qty * share)
        average = (bar.open + bar.close + bar.high + bar.low) // 4
        bar.quote, bar.buy_quote = qty * average, bar.buy_qty * average
        bar.trades = math.ceil(qty / order_lots * 2.0)
        bar.last, bar.first = trade_id, trade_id - bar.trades + 1
        if bar.trades == 0:
            bar.open = bar.high = bar.low = bar.close
            bar.first = bar.last = -1
        trade_id -= bar.trades
        price = before


@kernel
def add_bar(into: Record, bar: Record) -> None:
    """Let the kline `into` go on with the later `bar`."""
    if bar.trades == 0:
        return
    if into.trades == 0:
        into.open, into.high, into.low, into.first = bar.open, bar.high, bar.low, bar.first
    into.high, into.low = max(into.high, bar.high), min(into.low, bar.low)
    into.close, into.last = bar.close, bar.last
    into.qty += bar.qty
    into.quote += bar.quote
    into.buy_qty += bar.buy_qty
    into.buy_quote += bar.buy_quote
    into.trades += bar.trades


@kernel
def add_bars(into: NDArray[np.void], bars: NDArray[np.void]) -> None:
    for at in range(len(bars)):
        add_bar(into[0], bars[at])


@kernel
def group_bars(bars: NDArray[np.void], width_ms: int, offset_ms: int, out: NDArray[np.void]) -> int:
    """Join minutes into klines of `width_ms`; returns how many."""
    count = 0
    for at in range(len(bars)):
        open_ms = (bars[at].open_ms - offset_ms) // width_ms * width_ms + offset_ms
        if count == 0 or out[count - 1].open_ms != open_ms:
            out[count] = bars[at]
            out[count].open_ms = open_ms
            count += 1
        else:
            add_bar(out[count - 1], bars[at])
    return count


@kernel
def close_minute(
    bars: NDArray[np.void], minutes: NDArray[np.void], day: NDArray[np.void], live_day: NDArray[np.void], minute_ms: int
) -> None:
    """Keep the minute that ended, start the next, and let the 24 h figures lose their oldest minute."""
    slot = bars[0].open_ms // 60_000 % minutes.shape[1]
    for i in range(len(bars)):
        bar, gone, total = bars[i], minutes[i, slot], day[i]
        lost_extreme = gone.trades > 0 and (gone.high >= total.high or gone.low <= total.low)
        total.qty += bar.qty - gone.qty
        total.quote += bar.quote - gone.quote
        total.trades += bar.trades - gone.trades
        add_bar(live_day[i], bar)
        minutes[i, slot] = bar
        oldest = minutes[i, (slot + 1) % minutes.shape[1]]
        total.open_ms, total.open = oldest.open_ms, oldest.open
        total.first = oldest.first if oldest.trades > 0 else total.first
        if lost_extreme:
            total.high, total.low = bar.high, bar.low
            for at in range(minutes.shape[1]):
                total.high, total.low = max(total.high, minutes[i, at].high), min(total.low, minutes[i, at].low)
        elif bar.trades > 0:
            total.high, total.low = max(total.high, bar.high), min(total.low, bar.low)
        last = bar.close
        bar.open_ms = minute_ms
        bar.open = bar.high = bar.low = bar.close = last
        bar.qty = bar.quote = bar.buy_qty = bar.buy_quote = bar.trades = 0
        bar.first = bar.last = -1


@kernel
def _rough_normal(seed: np.uint64, number: int) -> float:
    """The `number`th of a sequence, nearly normal: the sum of four uniform numbers out of one splitmix64 word."""
    z = seed + np.uint64(number) * _golden
    z = (z ^ (z >> _s30)) * _mix1
    z = (z ^ (z >> _s27)) * _mix2
    z ^= z >> _s31
    total = np.float64((z & _chunk) + ((z >> _s16) & _chunk) + ((z >> _s32) & _chunk) + (z >> _s48))
    return (total / 65536.0 - 2.0) * math.sqrt(3.0)
