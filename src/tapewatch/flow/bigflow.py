"""Big flow: parent orders and one-sided flow that are large against average daily volume, one row per episode.

Two rules, evaluated trade by trade on event time (contract section 5):

* *parent order*: consecutive prints of one aggressor side no more than `cluster_ms` apart;
* *flow*: net aggressor flow |buy - sell| of the last 10 s, 1 m or 5 m, in whole seconds.

A row opens when its notional reaches the instrument's threshold (0.5 % of ADV and never less than the floor). It
grows while its episode lasts: a parent until another side prints or `cluster_ms` pass, a flow until the net flow has
fallen below half the threshold, so that flow hovering at the threshold is one episode and not a hundred.

Parent orders have a second list, of whales: those of `whale_from` or more, an amount of money that needs no average.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import Record, kernel, leaf, whole_lines, zeros
from ..model.views import BIG_FLOW, WINDOWS_S
from .candles import SECOND_MS, Candles, find, number_of

EVENTS = 4096
WHALES = 4096
FLOW_WINDOWS_S = (10, 60, 300)
"""Windows of the flow rules: the first of `WINDOWS_S`, all of which are summed here."""
_WINDOWS = np.array(WINDOWS_S, np.int64)
_LEFT_AT_MOST_S = 60
"""Calm windows are moved on after so long, before the ring of seconds comes around to what is to leave them."""
_LIVE = 2
"""The newest seconds of a window are read in their candles, where prints still come; the others are in its sums."""
_RULES = len(FLOW_WINDOWS_S)
NONE = -1
"""No episode."""
MAX_DISTINCT_PRICES = 64
FEW_PRICES = 4
"""Prices that are compared without a branch: hardly any parent order has more."""
NEVER = np.int64(2**62)
"""Threshold of an instrument whose average daily volume is not known: no rule can fire."""

PULSE = whole_lines(
    ("head_s", np.int64),
    ("turnover", np.int64),
    ("calm_below", np.int64),
    ("calm_until_s", np.int64),
    ("parent_ms", np.int64),
)
"""What every print of an instrument changes and is compared with, in one line of the processor's cache. The windows
were last brought to end with second `head_s`. `turnover` (ticks x lots) rises with every print, by no less than any net
flow changes. While it is under `calm_below`, up to second `calm_until_s`, no window can be at its threshold, and none
has an open episode. `parent_ms` is the time of the newest print of a parent order that may still grow (0: none)."""

PARENT = whole_lines(
    ("sell", np.int64),
    ("start_ms", np.int64),
    ("qty", np.int64),
    ("quote", np.int64),
    ("low", np.int64),
    ("high", np.int64),
    ("levels", np.int64),
    ("trades", np.int64),
    ("event", np.int64),
    ("whale", np.int64),
    ("notice", np.int64),
    ("prices", np.int64, (MAX_DISTINCT_PRICES + 1,)),
)
"""The parent order of an instrument. Nothing looks at it below `notice` (ticks x lots), the lower of both thresholds:
one comparison a print, with what lies in the same place. Behind the distinct `prices` is room for one more."""

WINDOW = whole_lines(
    ("buy", np.int64),
    ("sell", np.int64),
    ("buy_quote", np.int64),
    ("sell_quote", np.int64),
    ("event", np.int64),
    ("trades", np.int64),
    ("low", np.int64),
    ("high", np.int64),
)
"""One of `WINDOWS_S`: sums over its seconds but the `_LIVE` newest. `event` is the open episode's id or -1. `trades`,
`low` and `high` are looked up in the candles when an episode grows, then kept up print by print until it ends or the
window moves on (`trades` UNKNOWN)."""
UNKNOWN = -1


class BigFlow(NamedTuple):
    """State of the screener. `meta`: next episode id and newest sequence number, then the same two of the whales.

    `threshold` and `whale_from` are in ticks x lots, `adv` in ticks x lots a day.
    """

    pulses: NDArray[np.void]
    parents: NDArray[np.void]
    windows: NDArray[np.void]
    threshold: NDArray[np.int64]
    adv: NDArray[np.float64]
    events: NDArray[np.void]
    whale_from: NDArray[np.int64]
    whales: NDArray[np.void]
    meta: NDArray[np.int64]


def new_big_flow(instruments: int) -> BigFlow:
    parents = zeros(instruments, PARENT)
    parents["event"] = parents["whale"] = NONE
    parents["notice"] = NEVER
    windows = zeros((instruments, len(WINDOWS_S)), WINDOW)
    windows["event"] = NONE
    windows["trades"] = UNKNOWN
    events = np.zeros(EVENTS, BIG_FLOW)
    events["id"] = -1
    whales = np.zeros(WHALES, BIG_FLOW)
    whales["id"] = -1
    return BigFlow(
        pulses=zeros(instruments, PULSE),
        parents=parents,
        windows=windows,
        threshold=np.full(instruments, NEVER, np.int64),
        adv=np.full(instruments, np.nan),
        events=events,
        whale_from=np.full(instruments, NEVER, np.int64),
        whales=whales,
        meta=np.zeros(4, np.int64),
    )


def grow_instruments(state: BigFlow, instruments: int) -> BigFlow:
    """Return the state with room for more instruments."""
    wider = new_big_flow(instruments)
    n = len(state.parents)
    for name in ("pulses", "parents", "windows", "threshold", "adv", "whale_from"):
        getattr(wider, name)[:n] = getattr(state, name)
    return wider._replace(events=state.events, whales=state.whales, meta=state.meta)


def arm(state: BigFlow, i: int, threshold: int, adv: float, whale_from: int) -> None:
    """Set from when on flow of instrument `i` is big and a parent order a whale, in ticks x lots."""
    state.threshold[i] = min(threshold, int(NEVER))
    state.adv[i] = adv
    state.whale_from[i] = min(whale_from, int(NEVER))
    state.parents[i]["notice"] = min(state.threshold[i], state.whale_from[i])
    state.pulses[i]["calm_below"] = 0


class Sums(NamedTuple):
    """Lots bought and sold by aggressors in a window, and the same in ticks x lots."""

    buy: int
    sell: int
    buy_quote: int
    sell_quote: int


@kernel
def _open_event(s: BigFlow, i: int, rule: int, sell: bool, start_ms: int) -> int:
    event_id = s.meta[0]
    s.meta[0] += 1
    event = s.events[event_id % len(s.events)]
    event.id = event_id
    event.instrument = i
    event.rule = rule
    event.sell = sell
    event.start_ms = start_ms
    event.ts_ms = start_ms
    event.open = 1
    event.quote = 0
    event.depth_quote = -1
    return event_id


@leaf
def _touch(s: BigFlow, event_id: int) -> None:
    event = s.events[event_id % len(s.events)]
    s.meta[1] += 1
    event.seq = s.meta[1]


@leaf
def _holds(s: BigFlow, event_id: int) -> bool:
    """Whether the episode's row has not been overwritten by newer ones."""
    return event_id >= 0 and s.events[event_id % len(s.events)].id == event_id


@kernel
def _close_event(s: BigFlow, event_id: int) -> None:
    if _holds(s, event_id):
        s.events[event_id % len(s.events)].open = 0
        _touch(s, event_id)


@leaf
def on_parent_print(s: BigFlow, i: int, ts_ms: int, price: int, lots: int, sell: bool, cluster_ms: int) -> None:
    """Extend or start the parent order of an instrument with one print."""
    parent, pulse = s.parents[i], s.pulses[i]
    # Every other print begins one, in no order that a processor could foresee: choices of values cost it less.
    begins = (pulse.parent_ms == 0) | (parent.sell != sell) | (ts_ms - pulse.parent_ms > cluster_ms)
    if begins & ((parent.event & parent.whale) != NONE):
        _end_parent(s, i)
    pulse.parent_ms = ts_ms
    parent.sell = sell
    parent.start_ms = ts_ms if begins else parent.start_ms
    parent.qty = (0 if begins else parent.qty) + lots
    parent.quote = (0 if begins else parent.quote) + price * lots
    parent.low = min(price if begins else parent.low, price)
    parent.high = max(price if begins else parent.high, price)
    parent.levels = _count_level(parent, 0 if begins else parent.levels, price)
    parent.trades = (0 if begins else parent.trades) + 1
    if parent.quote >= parent.notice:
        _notice(s, i)


@kernel
def _notice(s: BigFlow, i: int) -> None:
    """Write the current parent order into the rows it is large enough for."""
    parent = s.parents[i]
    if parent.quote >= s.threshold[i]:
        if parent.event < 0:
            parent.event = _open_event(s, i, 0, parent.sell, parent.start_ms)
        if _holds(s, parent.event):
            _write_parent(s.events[parent.event % len(s.events)], parent, s.pulses[i].parent_ms, s.adv[i])
            _touch(s, parent.event)
    if parent.quote >= s.whale_from[i]:
        if parent.whale < 0:
            parent.whale = _open_whale(s, i)
        whale = s.whales[parent.whale % len(s.whales)]
        if whale.id == parent.whale:
            _write_parent(whale, parent, s.pulses[i].parent_ms, s.adv[i])
            s.meta[3] += 1
            whale.seq = s.meta[3]


@leaf
def _write_parent(row: Record, parent: Record, ts_ms: int, adv: float) -> None:
    row.ts_ms = max(ts_ms, parent.start_ms)  # a late print may make it grow
    row.qty = parent.qty
    row.quote = parent.quote
    row.low = parent.low
    row.high = parent.high
    row.levels = parent.levels
    row.trades = parent.trades
    row.vwap = parent.quote / parent.qty
    row.pct_of_adv = 100.0 * parent.quote / adv


@kernel
def _open_whale(s: BigFlow, i: int) -> int:
    parent = s.parents[i]
    whale_id = s.meta[2]
    s.meta[2] += 1
    whale = s.whales[whale_id % len(s.whales)]
    whale.id = whale_id
    whale.instrument = i
    whale.rule = 0
    whale.sell = parent.sell
    whale.start_ms = parent.start_ms
    whale.open = 1
    whale.depth_quote = -1
    return whale_id


@kernel
def _close_whale(s: BigFlow, whale_id: int) -> None:
    if whale_id < 0:
        return
    whale = s.whales[whale_id % len(s.whales)]
    if whale.id == whale_id:
        whale.open = 0
        s.meta[3] += 1
        whale.seq = s.meta[3]


@leaf
def _count_level(parent: Record, levels: int, price: int) -> int:
    """How many of its prices are distinct, with this one behind so many others."""
    known = levels == MAX_DISTINCT_PRICES
    for k in range(FEW_PRICES):
        known |= (k < levels) & (parent.prices[np.uint64(k)] == price)
    for k in range(FEW_PRICES, levels):
        known |= parent.prices[np.uint64(k)] == price
    parent.prices[np.uint64(levels)] = price
    return levels + (not known)


@leaf
def on_flow_print(
    s: BigFlow, seconds: Candles, i: int, ts_ms: int, price: int, lots: int, sell: bool, now_second: int
) -> None:
    """Judge the flow windows, which end now, by one print (already in its one-second candle) if that may matter."""
    second = number_of(ts_ms, SECOND_MS)
    pulse = s.pulses[i]
    pulse.turnover += price * lots
    if second <= pulse.head_s - _LIVE:
        _add_late(s, i, second, price, lots, sell)
    newest = max(second, now_second)
    if pulse.turnover >= pulse.calm_below or newest > pulse.calm_until_s:
        _judge_all(s, seconds, i, second, newest, ts_ms, price)


@kernel
def _add_late(s: BigFlow, i: int, second: int, price: int, lots: int, sell: bool) -> None:
    """A late print belongs to the sums of the windows that reach back to it."""
    for w in range(len(_WINDOWS)):
        if second > s.pulses[i].head_s - _WINDOWS[w]:
            window = s.windows[i, w]
            if sell:
                window.sell += lots
                window.sell_quote += price * lots
            else:
                window.buy += lots
                window.buy_quote += price * lots


@kernel
def _judge_all(s: BigFlow, seconds: Candles, i: int, second: int, newest: int, ts_ms: int, price: int) -> None:
    """Judge the windows that hold a print, then say for how long they need not be judged again."""
    catch_up(s, seconds, i, newest)
    for w in range(_RULES):
        if second <= s.pulses[i].head_s - _WINDOWS[w]:
            continue
        window = s.windows[i, w]
        if window.trades != UNKNOWN:
            window.trades += 1
            window.low = min(window.low, price)
            window.high = max(window.high, price)
        _judge(s, seconds, i, w, ts_ms)
    _calm_down(s, seconds, i)


@leaf
def _calm_down(s: BigFlow, seconds: Candles, i: int) -> None:
    """Say for how long no window has to be judged.

    All that was traded in the longest of them and since is more than the net flow of any: mostly that is little, and
    holds however time passes. If it is not, the windows stay as they are for the rest of this second.
    """
    pulse = s.pulses[i]
    pulse.calm_below = 0
    largest = np.int64(0)
    for w in range(_RULES):
        if s.windows[i, w].event >= 0:
            return
        sums = read_window(s, seconds, i, w)
        largest = max(largest, abs(sums.buy_quote - sums.sell_quote))
        pulse.turnover = sums.buy_quote + sums.sell_quote
    if pulse.turnover < s.threshold[i]:
        pulse.calm_below, pulse.calm_until_s = s.threshold[i], NEVER
    else:
        pulse.calm_below, pulse.calm_until_s = pulse.turnover + s.threshold[i] - largest, pulse.head_s


@leaf
def read_window(s: BigFlow, seconds: Candles, i: int, w: int) -> Sums:
    """What one of `WINDOWS_S` of an instrument holds, as of the second to which it was brought."""
    window, head_s = s.windows[i, w], s.pulses[i].head_s
    sums = Sums(window.buy, window.sell, window.buy_quote, window.sell_quote)
    for number in range(head_s - _LIVE + 1, head_s + 1):
        slot = find(seconds, i, number)
        if slot >= 0:
            candle = seconds.ring[slot, i]
            sums = Sums(
                sums.buy + candle.ask,
                sums.sell + candle.bid,
                sums.buy_quote + candle.ask_quote,
                sums.sell_quote + candle.bid_quote,
            )
    return sums


@leaf
def catch_up(s: BigFlow, seconds: Candles, i: int, second: int) -> None:
    """Let the windows of one instrument end with this second, unless they do already."""
    if second > s.pulses[i].head_s:
        _advance(s, seconds, i, second)


@kernel
def _advance(s: BigFlow, seconds: Candles, i: int, second: int) -> None:
    """Take in the seconds that are no longer new and let go of those that have left, or count all anew after a leap."""
    pulse = s.pulses[i]
    before, pulse.head_s = pulse.head_s, second
    for w in range(len(_WINDOWS)):
        window, length = s.windows[i, w], _WINDOWS[w]
        window.trades = UNKNOWN
        if second - before >= length - _LIVE:
            window.buy = window.sell = 0
            window.buy_quote = window.sell_quote = 0
            _count(window, seconds, i, second - length, second - _LIVE, 1)
        else:
            _count(window, seconds, i, before - _LIVE, second - _LIVE, 1)
            _count(window, seconds, i, before - length, second - length, -1)


@leaf
def _count(window: Record, seconds: Candles, i: int, after: int, last: int, times: int) -> None:
    """Add the seconds behind `after`, up to `last`, to the sums of a window."""
    for number in range(max(after + 1, seconds.oldest[i]), min(last, seconds.newest[i]) + 1):
        slot = find(seconds, i, number)
        if slot >= 0:
            candle = seconds.ring[slot, i]
            window.buy += times * candle.ask
            window.sell += times * candle.bid
            window.buy_quote += times * candle.ask_quote
            window.sell_quote += times * candle.bid_quote


@leaf
def _judge(s: BigFlow, seconds: Candles, i: int, w: int, ts_ms: int) -> None:
    """Open, grow or close the flow episode of one window."""
    window, sums = s.windows[i, w], read_window(s, seconds, i, w)
    net = sums.buy_quote - sums.sell_quote
    size = abs(net)
    sell = net < 0
    if window.event >= 0:
        turned = _holds(s, window.event) and s.events[window.event % len(s.events)].sell != sell
        if turned or 2 * size < s.threshold[i]:
            _close_event(s, window.event)
            window.event = NONE
            window.trades = UNKNOWN
    if window.event < 0:
        if size < s.threshold[i]:
            return
        window.event = _open_event(s, i, w + 1, sell, ts_ms)
    if not _holds(s, window.event):
        return
    event = s.events[window.event % len(s.events)]
    if size <= event.quote:
        return
    event.ts_ms = max(event.ts_ms, ts_ms)  # a late print may make an episode grow, not end before it began
    event.quote = size
    event.qty = abs(sums.buy - sums.sell)
    event.vwap = sums.sell_quote / sums.sell if sell else sums.buy_quote / sums.buy
    event.pct_of_adv = 100.0 * size / s.adv[i]
    if window.trades == UNKNOWN:
        _look_up(s, seconds, i, w)
    event.levels = 0
    event.trades = window.trades
    event.low = window.low
    event.high = window.high
    _touch(s, window.event)


@kernel
def _look_up(s: BigFlow, seconds: Candles, i: int, w: int) -> None:
    """Count the trades of a window and find its lowest and highest price in its candles."""
    window = s.windows[i, w]
    window.trades = 0
    window.low = NEVER
    window.high = 0
    head_s = s.pulses[i].head_s
    for number in range(head_s - _WINDOWS[w] + 1, head_s + 1):
        slot = find(seconds, i, number)
        if slot >= 0 and seconds.ring[slot, i].n:
            candle = seconds.ring[slot, i]
            window.trades += candle.n
            window.low = min(window.low, candle.low)
            window.high = max(window.high, candle.high)


@kernel
def on_second(s: BigFlow, seconds: Candles, second: int, cluster_ms: int) -> None:
    """Time passes for every instrument: end episodes that nothing keeps alive."""
    for i in range(len(s.pulses)):
        pulse = s.pulses[i]
        if pulse.parent_ms and second * 1000 - pulse.parent_ms > cluster_ms + 1000:
            _end_parent(s, i)
        if second <= pulse.head_s or (pulse.calm_below and second - pulse.head_s < _LEFT_AT_MOST_S):
            continue  # nothing to judge: they move on when somebody looks
        _advance(s, seconds, i, second)
        for w in range(_RULES):
            if s.windows[i, w].event >= 0:
                _judge(s, seconds, i, w, second * 1000)
        _calm_down(s, seconds, i)


@kernel
def _end_parent(s: BigFlow, i: int) -> None:
    parent = s.parents[i]
    _close_event(s, parent.event)
    _close_whale(s, parent.whale)
    parent.event = NONE
    parent.whale = NONE
    s.pulses[i].parent_ms = 0


@kernel
def rescale(s: BigFlow, i: int, price_factor: int, lot_factor: int) -> None:
    """Rewrite one instrument's running sums and reported rows on a finer grid; open episodes end."""
    _end_parent(s, i)
    for w in range(len(_WINDOWS)):
        window = s.windows[i, w]
        _close_event(s, window.event)
        window.event = NONE
        window.trades = UNKNOWN
        window.buy *= lot_factor
        window.sell *= lot_factor
        window.buy_quote *= price_factor * lot_factor
        window.sell_quote *= price_factor * lot_factor
    s.pulses[i].calm_below = 0
    for k in range(len(s.events)):
        event = s.events[k]
        if event.id >= 0 and event.instrument == i:
            _rescale_row(event, price_factor, lot_factor)
            _touch(s, event.id)
    for k in range(len(s.whales)):
        whale = s.whales[k]
        if whale.id >= 0 and whale.instrument == i:
            _rescale_row(whale, price_factor, lot_factor)
            s.meta[3] += 1
            whale.seq = s.meta[3]


@leaf
def _rescale_row(row: Record, price_factor: int, lot_factor: int) -> None:
    row.qty *= lot_factor
    row.quote *= price_factor * lot_factor
    row.low *= price_factor
    row.high *= price_factor
    row.vwap *= price_factor
    if row.depth_quote > 0:
        row.depth_quote *= price_factor * lot_factor
