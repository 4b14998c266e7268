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
from .candles import SECOND_MS, Candles, fetch_candle, find, number_of

EVENTS = 4096
WHALES = 4096
FLOW_WINDOWS_S = (10, 60, 300)
"""Windows of the flow rules: the first of `WINDOWS_S`, all of which are summed here."""
_WINDOWS = np.array(WINDOWS_S, np.int64)
_LEFT_AT_MOST_S = 60
"""Calm windows are moved on after so long, before the ring of seconds comes around to what is to leave them."""
_SHORTEST, _LONGEST = WINDOWS_S[0], WINDOWS_S[-1]
_RULES, _SHORTER = len(FLOW_WINDOWS_S), len(WINDOWS_S) - 1
MAX_DISTINCT_PRICES = 64
NEVER = np.int64(2**62)
"""Threshold of an instrument whose average daily volume is not known: no rule can fire."""

PULSE = whole_lines(
    ("head_s", np.int64),
    ("buy", np.int64),
    ("sell", np.int64),
    ("buy_quote", np.int64),
    ("sell_quote", np.int64),
    ("calm_above", np.int64),
    ("calm_below", np.int64),
    ("parent_ms", np.int64),
)
"""What every print of an instrument changes and is compared with, in one line of the processor's cache: sums over the
longest window, which ends with second `head_s`. While their net flow is between `calm_above` and `calm_below` no window
is near its threshold and none has an open episode. `parent_ms` is the time of the newest print of a parent order that
may still grow (0: none)."""

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
    ("prices", np.int64, (MAX_DISTINCT_PRICES,)),
)
"""The parent order of an instrument. Nothing looks at it below `notice` (ticks x lots), the lower of both thresholds:
one comparison a print, with what lies in the same place."""

WINDOW = whole_lines(
    ("gone_buy", np.int64),
    ("gone_sell", np.int64),
    ("gone_buy_quote", np.int64),
    ("gone_sell_quote", np.int64),
    ("event", np.int64),
    ("trades", np.int64),
    ("low", np.int64),
    ("high", np.int64),
)
"""One of `WINDOWS_S`: what has left it and is in the longest one still, so that a print changes one sum and not four.
`event` is the open episode's id or -1. `trades`, `low` and `high` are looked up in the candles when an episode grows,
then kept up print by print until it ends or the window moves on (`trades` UNKNOWN)."""
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
    parents["event"] = parents["whale"] = -1
    parents["notice"] = NEVER
    windows = zeros((instruments, len(WINDOWS_S)), WINDOW)
    windows["event"] = -1
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
    state.pulses[i]["calm_above"] = state.pulses[i]["calm_below"] = 0


@leaf
def _stir(pulse: Record) -> None:
    """Let the next print, and the next second, have a look at every window."""
    pulse.calm_above = 0
    pulse.calm_below = 0


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
    if pulse.parent_ms == 0 or parent.sell != sell or ts_ms - pulse.parent_ms > cluster_ms:
        if parent.event >= 0:
            _close_event(s, parent.event)
        if parent.whale >= 0:
            _close_whale(s, parent.whale)
        parent.sell = sell
        parent.start_ms = ts_ms
        parent.qty = 0
        parent.quote = 0
        parent.low = price
        parent.high = price
        parent.levels = 0
        parent.trades = 0
        parent.event = -1
        parent.whale = -1
    pulse.parent_ms = ts_ms
    parent.qty += lots
    parent.quote += price * lots
    parent.low = min(parent.low, price)
    parent.high = max(parent.high, price)
    parent.trades += 1
    _count_level(parent, price)
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
    row.ts_ms = ts_ms
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
def _count_level(parent: Record, price: int) -> None:
    for k in range(parent.levels - 1, -1, -1):
        if parent.prices[k] == price:
            return
    if parent.levels < MAX_DISTINCT_PRICES:
        parent.prices[parent.levels] = price
        parent.levels += 1


@leaf
def on_flow_print(
    s: BigFlow, seconds: Candles, i: int, ts_ms: int, price: int, lots: int, sell: bool, now_second: int
) -> None:
    """Add one print (already in its one-second candle) to the flow windows, which end now, and judge them."""
    second = number_of(ts_ms, SECOND_MS)
    pulse = s.pulses[i]
    if max(second, now_second) > pulse.head_s:
        _advance(s, seconds, i, max(second, now_second))
    age_s = pulse.head_s - second
    if age_s >= _LONGEST:
        return
    sold = lots if sell else 0  # sides are as good as random: a choice between numbers costs no mispredicted branch
    bought = lots - sold
    pulse.buy += bought
    pulse.sell += sold
    pulse.buy_quote += price * bought
    pulse.sell_quote += price * sold
    if age_s >= _SHORTEST:
        _add_gone(s, i, age_s, price, bought, sold)
    if not pulse.calm_above < pulse.buy_quote - pulse.sell_quote < pulse.calm_below:
        _judge_all(s, seconds, i, age_s, ts_ms, price)


@leaf
def fetch_leaving(s: BigFlow, seconds: Candles, i: int, second: int) -> None:
    """Begin to fetch the seconds that leave the windows of an instrument when they come to end with `second`."""
    head_s = s.pulses[i].head_s
    if second > head_s:
        for w in range(len(_WINDOWS)):
            fetch_candle(seconds, i, head_s + 1 - _WINDOWS[w])


@kernel
def _add_gone(s: BigFlow, i: int, age_s: int, price: int, bought: int, sold: int) -> None:
    """A late print has left the windows that are no longer than it is old."""
    for w in range(_SHORTER):
        if age_s >= _WINDOWS[w]:
            window = s.windows[i, w]
            window.gone_buy += bought
            window.gone_sell += sold
            window.gone_buy_quote += price * bought
            window.gone_sell_quote += price * sold
    _stir(s.pulses[i])


@kernel
def _judge_all(s: BigFlow, seconds: Candles, i: int, age_s: int, ts_ms: int, price: int) -> None:
    """Judge the windows that hold a print, then say how far net flow may go until they have to be judged again."""
    for w in range(_RULES):
        if age_s >= _WINDOWS[w]:
            continue
        window = s.windows[i, w]
        if window.trades != UNKNOWN:
            window.trades += 1
            window.low = min(window.low, price)
            window.high = max(window.high, price)
        _judge(s, seconds, i, w, ts_ms)
    _calm_down(s, i)


@leaf
def _calm_down(s: BigFlow, i: int) -> None:
    pulse = s.pulses[i]
    above, below = -NEVER, NEVER
    for w in range(_RULES):
        window = s.windows[i, w]
        if window.event >= 0:
            _stir(pulse)
            return
        gone = window.gone_buy_quote - window.gone_sell_quote
        above = max(above, gone - s.threshold[i])
        below = min(below, gone + s.threshold[i])
    pulse.calm_above = above
    pulse.calm_below = below


@kernel
def _advance(s: BigFlow, seconds: Candles, i: int, second: int) -> None:
    """Let the windows of one instrument end at `second`: take out what has left them."""
    pulse = s.pulses[i]
    head_s, all_gone = pulse.head_s, second - pulse.head_s >= _LONGEST or pulse.buy + pulse.sell == 0
    pulse.head_s = second
    if all_gone:
        pulse.buy = 0
        pulse.sell = 0
        pulse.buy_quote = 0
        pulse.sell_quote = 0
    for w in range(_SHORTER):
        window = s.windows[i, w]
        window.trades = UNKNOWN
        if second - head_s >= _WINDOWS[w]:
            window.gone_buy = pulse.buy
            window.gone_sell = pulse.sell
            window.gone_buy_quote = pulse.buy_quote
            window.gone_sell_quote = pulse.sell_quote
            continue
        for number in range(head_s - _WINDOWS[w] + 1, second - _WINDOWS[w] + 1):
            slot = find(seconds, i, number)
            if slot >= 0:
                candle = seconds.ring[slot, i]
                window.gone_buy += candle.ask
                window.gone_sell += candle.bid
                window.gone_buy_quote += candle.ask_quote
                window.gone_sell_quote += candle.bid_quote
    if not all_gone:
        for number in range(head_s - _LONGEST + 1, second - _LONGEST + 1):
            slot = find(seconds, i, number)
            if slot >= 0:
                _forget(s, i, seconds.ring[slot, i])
    _calm_down(s, i)


@leaf
def _forget(s: BigFlow, i: int, candle: Record) -> None:
    """Take a second out of the longest window, and so out of what the others have let go."""
    pulse = s.pulses[i]
    pulse.buy -= candle.ask
    pulse.sell -= candle.bid
    pulse.buy_quote -= candle.ask_quote
    pulse.sell_quote -= candle.bid_quote
    for w in range(_SHORTER):
        window = s.windows[i, w]
        window.gone_buy -= candle.ask
        window.gone_sell -= candle.bid
        window.gone_buy_quote -= candle.ask_quote
        window.gone_sell_quote -= candle.bid_quote


@leaf
def _judge(s: BigFlow, seconds: Candles, i: int, w: int, ts_ms: int) -> None:
    """Open, grow or close the flow episode of one window."""
    pulse, window = s.pulses[i], s.windows[i, w]
    buy_quote, sell_quote = pulse.buy_quote - window.gone_buy_quote, pulse.sell_quote - window.gone_sell_quote
    net = buy_quote - sell_quote
    size = abs(net)
    sell = net < 0
    if window.event >= 0:
        turned = _holds(s, window.event) and s.events[window.event % len(s.events)].sell != sell
        if turned or 2 * size < s.threshold[i]:
            _close_event(s, window.event)
            window.event = -1
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
    event.ts_ms = ts_ms
    event.quote = size
    buy, sold = pulse.buy - window.gone_buy, pulse.sell - window.gone_sell
    event.qty = abs(buy - sold)
    event.vwap = sell_quote / sold if sell else buy_quote / buy
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
        if second <= pulse.head_s or pulse.buy + pulse.sell == 0:
            continue  # nothing in any window
        if pulse.calm_above < pulse.calm_below and second - pulse.head_s < _LEFT_AT_MOST_S:
            continue  # nothing to judge: they move on when somebody looks
        _advance(s, seconds, i, second)
        if pulse.calm_above >= pulse.calm_below:
            for w in range(_RULES):
                if s.windows[i, w].event >= 0:
                    _judge(s, seconds, i, w, second * 1000)
            _calm_down(s, i)


@leaf
def catch_up(s: BigFlow, seconds: Candles, i: int, second: int) -> None:
    """Let the windows of one instrument end with this second, for who wants to read them."""
    if second > s.pulses[i].head_s and s.pulses[i].buy + s.pulses[i].sell != 0:
        _advance(s, seconds, i, second)


@kernel
def _end_parent(s: BigFlow, i: int) -> None:
    parent = s.parents[i]
    _close_event(s, parent.event)
    _close_whale(s, parent.whale)
    parent.event = -1
    parent.whale = -1
    s.pulses[i].parent_ms = 0


@kernel
def rescale(s: BigFlow, i: int, price_factor: int, lot_factor: int) -> None:
    """Rewrite one instrument's running sums and reported rows on a finer grid; open episodes end."""
    _end_parent(s, i)
    pulse = s.pulses[i]
    pulse.buy *= lot_factor
    pulse.sell *= lot_factor
    pulse.buy_quote *= price_factor * lot_factor
    pulse.sell_quote *= price_factor * lot_factor
    for w in range(len(_WINDOWS)):
        window = s.windows[i, w]
        _close_event(s, window.event)
        window.event = -1
        window.trades = UNKNOWN
        window.gone_buy *= lot_factor
        window.gone_sell *= lot_factor
        window.gone_buy_quote *= price_factor * lot_factor
        window.gone_sell_quote *= price_factor * lot_factor
    _stir(pulse)
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
