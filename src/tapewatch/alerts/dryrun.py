"""A rule over the past: the machine of live rules, in virtual time, over figures of stored minutes.

It looks once a minute, at its last millisecond, and sees what a live look at that moment would: a window of flow is the
minutes up to then, a price the last one before then. What happens within a minute is not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..derivs.history import MINUTE_MS
from ..derivs.pairs import is_spot
from ..model.errors import UsageError
from ..model.instrument import Instrument
from .episode import AFTER_MINUTES, condition
from .machine import Machine
from .metrics import METRICS, WINDOWS_S
from .readings import Values, pair_z, share
from .rows import rounded
from .rule import Rule

SHOWN = 50
"""Newest episodes, and instruments that fired most, that are told one by one."""
EXTRA_MINUTES = 60
"""Read before a range, so that the last price of who trades seldom is known at its beginning."""
LEAST_FOR_A_DAY = 60
"""Known minutes from which a number a day is told: fewer say nothing of a day."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Minutes:
    """Stored minutes of one venue, each array of (minute, instrument).

    `close` in quote currency, NaN where nothing traded; `bought` and `sold` by aggressors in lots, `…_quote` in
    ticks x lots; liquidations of `long` and `short` positions in quote currency. What is not `known` is in no figure.
    """

    first_ms: int
    instruments: Sequence[Instrument]
    known: NDArray[np.bool_]
    close: Values
    bought: Counts
    sold: Counts
    bought_quote: Counts
    sold_quote: Counts
    long: Values
    short: Values

    def last(self) -> Values:
        """Newest price at the end of each minute; after minutes that are not known only once it trades again."""
        row = np.arange(len(self.close))[:, None]
        told = np.maximum.accumulate(np.where(np.isfinite(self.close), row, -1), axis=0)
        lost = np.maximum.accumulate(np.where(self.known, -1, row), axis=0)
        prices = np.take_along_axis(self.close, np.maximum(told, 0), axis=0)
        return np.where(told > lost, prices, nan)


def refuse_unstored(rule: Rule) -> None:
    """Raise UsageError where the figure has no stored past, with the sentence that says so."""
    metric = rule.of
    if metric.name not in _FIGURES and metric.scope != "pair":
        able = ", ".join([*_FIGURES, *(one.name for one in METRICS.values() if one.scope == "pair")])
        raise UsageError(
            f"{metric.name} cannot be tried on the past: it is read from {metric.source} as it happens, and no history "
            f"of it is stored; figures with a stored history: {able}"
        )
    if rule.window and WINDOWS_S[rule.window] < 60:
        able = ", ".join(one for one in metric.windows if WINDOWS_S[one] >= 60)
        raise UsageError(f"a window of {rule.window} cannot be tried on the past: minutes are stored; windows: {able}")


def minutes_before(rule: Rule) -> int:
    """Minutes that have to be known before the first one that is looked at."""
    window = WINDOWS_S.get(rule.window, 0) // 60
    return EXTRA_MINUTES + window * (rule.bars if rule.of.scope == "pair" else 1)


def figures(rule: Rule, of: Minutes, other: Minutes | None = None) -> Values:
    """The rule's figure at the end of each minute, (minute, instrument); NaN is not known."""
    window = WINDOWS_S.get(rule.window, 0) // 60
    if other is not None:
        return _pair(rule, of, other, window)
    return _FIGURES[rule.metric](of, window)


def dry_run(rule: Rule, of: Minutes, start_ms: int, end_ms: int, other: Minutes | None = None) -> dict[str, Any]:
    """How often the rule would have fired in the minutes that open in `[start_ms, end_ms)`, and what followed.

    `of` begins `minutes_before` the range and goes on behind it, as far as is stored, for what followed.
    """
    first, stop = ((ms - of.first_ms) // MINUTE_MS for ms in (start_ms, end_ms))
    values, last = figures(rule, of, other), of.last()
    episodes, held = _played(rule, of.first_ms, values, first, stop)
    fired = np.array([one.fired for one in episodes], np.intp)
    places = np.array([one.place for one in episodes], np.intp)
    after = {minutes: _after(last, minutes) for minutes in AFTER_MINUTES}
    firing = np.unique(places) if len(places) else np.arange(len(of.instruments))
    by_symbol = Counter(of.instruments[place].symbol for place in places.tolist())
    seen, lost = values[first:stop], ~of.known[first:stop]
    dark = int(lost.all(axis=1).sum())
    days = (stop - first - dark) / 1440

    def end_of(minute: int) -> int:
        return of.first_ms + (minute + 1) * MINUTE_MS - 1

    return {
        "condition": condition(rule),
        "unit": rule.of.unit,
        "decimals": rule.of.decimals,
        "exchange": rule.exchange,
        "from_ts": start_ms,
        "to_ts": end_ms,
        "step_s": MINUTE_MS // 1000,
        "minutes": stop - first,
        "minutes_unknown": dark,
        "instruments": len(of.instruments),
        "looks": seen.size,
        "looks_known": int(np.isfinite(seen).sum()),
        "looks_in_gaps": int(lost.sum()) - dark * len(of.instruments),
        "count": len(episodes),
        "per_day": rounded(len(episodes) / days) if days * 1440 >= LEAST_FOR_A_DAY else None,
        "open": sum(one.ended is None for one in episodes),
        "cooling": held,
        "quiet": 0 if rule.quiet is None else sum(rule.quiet.covers(end_of(one.fired)) for one in episodes),
        "symbols": [{"symbol": symbol, "count": count} for symbol, count in by_symbol.most_common(SHOWN)],
        "symbols_fired": len(by_symbol),
        "episodes": [
            {
                "symbol": of.instruments[one.place].symbol,
                "start_ts": one.since_ms,
                "fired_ts": end_of(one.fired),
                "ended_ts": None if one.ended is None else end_of(one.ended),
                "value": rounded(float(values[one.fired, one.place])),
                "price": rounded(float(last[one.fired, one.place])),
                **{f"after_{minutes}m_pct": rounded(after[minutes][one.fired, one.place]) for minutes in AFTER_MINUTES},
            }
            for one in episodes[: -SHOWN - 1 : -1]
        ],
        "followed": [
            {
                "minutes": minutes,
                **_summary(after[minutes][fired, places]),
                "baseline": _summary(after[minutes][first:stop, firing]),
            }
            for minutes in AFTER_MINUTES
        ],
    }


@dataclass(slots=True)
class _Fired:
    """An episode; `fired` and `ended` number minutes."""

    place: int
    since_ms: int
    fired: int
    ended: int | None = None


def _played(rule: Rule, first_ms: int, values: Values, first: int, stop: int) -> tuple[list[_Fired], int]:
    """Episodes in the order in which they fired, and how many a cooldown kept back."""
    machine = Machine(rule, values.shape[1])
    episodes: list[_Fired] = []
    open_at: dict[int, _Fired] = {}
    held = 0
    for minute in range(first, stop):
        moves = machine.step(first_ms + (minute + 1) * MINUTE_MS - 1, values[minute])
        held += moves.held
        for place in moves.ended.tolist():
            open_at.pop(place).ended = minute
        for place in moves.fired.tolist():
            open_at[place] = _Fired(place, int(machine.since_ms[place]), minute)
            episodes.append(open_at[place])
    return episodes, held


def _after(last: Values, minutes: int) -> Values:
    """Percent that each price moved in the minutes after; NaN where that is not stored."""
    later = np.full_like(last, nan)
    later[:-minutes] = last[minutes:]
    return (later / last - 1) * 100


def _summary(moved: Values) -> dict[str, Any]:
    moved = moved[np.isfinite(moved)]
    if not len(moved):
        return {"n": 0, "mean_pct": None, "median_pct": None}
    return {"n": len(moved), "mean_pct": rounded(float(moved.mean())), "median_pct": rounded(float(np.median(moved)))}


# ---------------------------------------------------------------- figures, each as `readings` has it of live data

Figure = Callable[[Minutes, int], Values]


def _summed(of: Minutes, values: NDArray[Any], window: int) -> Values:
    """Sums over the last `window` minutes; NaN where one of them is not known."""
    out = np.full(values.shape, nan)
    if len(values) >= window:
        view = np.lib.stride_tricks.sliding_window_view
        whole = view(of.known, window, axis=0).all(axis=-1)
        out[window - 1 :] = np.where(whole, view(values, window, axis=0).sum(axis=-1), nan)
    return out


def _change(of: Minutes, window: int) -> Values:
    last = of.last()
    before = np.full_like(last, nan)
    before[window:] = last[:-window]
    return (last / before - 1) * 100


def _flow(sign: int) -> Figure:
    def figure(of: Minutes, window: int) -> Values:
        scale = np.array([one.notional_scale() for one in of.instruments])
        quote = _summed(of, of.bought_quote + sign * of.sold_quote, window) * scale
        heard = np.logical_or.accumulate(np.isfinite(of.close), axis=0)
        return np.where(heard, quote, nan)

    return figure


def _imbalance(of: Minutes, window: int) -> Values:
    return share(_summed(of, of.bought, window), _summed(of, of.sold, window))


def _liquidations(long: bool, short: bool) -> Figure:
    def figure(of: Minutes, window: int) -> Values:
        spot = np.array([is_spot(one) for one in of.instruments])
        return np.where(spot, nan, _summed(of, of.long * long + of.short * short, window))

    return figure


def _pair(rule: Rule, of: Minutes, other: Minutes, window: int) -> Values:
    """Closes of the bars before the running one, by the clock, and the newest price, as live pairs are judged."""
    a, b = of.last()[:, 0], other.last()[:, 0]
    out = np.full(len(a), nan)
    number = of.first_ms // MINUTE_MS
    bars_back = window * np.arange(rule.bars - 2, -1, -1) + 1
    for minute in range(len(a)):
        running = (number + minute) // window * window - number
        at = np.append(running - bars_back, minute)
        if at[0] >= 0:
            out[minute] = pair_z(a[at], b[at], rule.beta)
    return out[:, None]


_FIGURES: dict[str, Figure] = {
    "price": lambda of, _: of.last(),
    "price_change": _change,
    "trade_imbalance": _imbalance,
    "net_flow": _flow(-1),
    "volume": _flow(1),
    "liquidations": _liquidations(long=True, short=True),
    "liquidations_long": _liquidations(long=True, short=False),
    "liquidations_short": _liquidations(long=False, short=True),
}
