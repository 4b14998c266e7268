"""Values of the figures at this moment, of all instruments of a venue at once.

What several rules ask for is read once. A figure that needs a walk (basis, clusters, divergence) is read once a second
of the venue's time. NaN is *not known*; `metrics` says of each figure when that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..book.ladder import LIVE, OFF
from ..derivs.basis import Basis
from ..derivs.cvd import WINDOWS, divergence, read_series
from ..derivs.derivs import Derivs
from ..derivs.funding import HOUR_MS, read_rates
from ..derivs.mids import QUOTE_FRESH_MS
from ..derivs.pairs import is_spot
from ..engine import Engine
from ..flow.candles import Candles
from ..model.errors import NotReadyError
from ..model.instrument import Instrument
from ..model.ticker import Ticker
from ..model.views import WINDOWS_S as IMBALANCE_S
from .metrics import METRICS, WINDOWS_S, Metric

Values = NDArray[np.float64]
LOOK_BACK = 64
"""Candles looked at together, at most, when the last price before a moment is searched: mostly the first is one."""
RECENT_LIQUIDATIONS = 2_048
SECONDS_AT_MOST = 900
"""Windows up to here are read from one-second candles, longer ones from minutes."""
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Health:
    """What a venue's feed says of itself; NaN is not known."""

    down: bool = False
    age_s: float = nan
    lag_ms: float = nan


class Venue(Protocol):
    """What is read of a venue."""

    @property
    def engine(self) -> Engine: ...
    @property
    def tickers(self) -> Mapping[str, Ticker]: ...


@dataclass(slots=True)
class _Table:
    """What only changes with the universe, by instrument index."""

    version: int
    tick: Values
    scale: Values
    """Quote currency of one tick x lot."""
    lot: Values
    trading: NDArray[np.bool_]
    spot: NDArray[np.bool_]


@dataclass(slots=True)
class _Held:
    """Figures read of one engine at one moment."""

    engine: Engine
    table: _Table
    now: dict[tuple[str, str], Values] = field(default_factory=dict)
    second: dict[tuple[str, str], Values] = field(default_factory=dict)
    second_s: int = -1


class Readings:
    """Reads figures. `begin` before each look at the market."""

    def __init__(
        self,
        venues: Mapping[str, Venue],
        derivs: Derivs,
        health: Callable[[str], Health],
        venue_ms: Callable[[str], int],
    ) -> None:
        """`venue_ms` is the venue's clock as we keep it: it goes on while the venue says nothing."""
        self.venues = venues
        self._derivs = derivs
        self._health = health
        self.venue_ms = venue_ms
        self._held: dict[str, _Held] = {}

    def begin(self) -> None:
        """What was read at the last moment no longer holds."""
        for held in self._held.values():
            held.now.clear()

    def clock_ms(self, venue: str, metric: Metric) -> int:
        """The time that a figure is of."""
        return self.venue_ms(venue) if metric.health else self.venues[venue].engine.clock_ms

    def trading(self, venue: str) -> NDArray[np.bool_]:
        """Which instruments trade."""
        return self._of(venue).table.trading

    def all(self, venue: str, metric: Metric, window: str) -> Values:
        """Of every instrument, by index; of a venue as a whole an array of one."""
        held = self._of(venue)
        key = metric.name, window
        kept = held.now
        if metric.name in _ONCE_A_SECOND:
            second = held.engine.clock_ms // 1000
            if second != held.second_s:
                held.second.clear()
                held.second_s = second
            kept = held.second
        if key not in kept:
            kept[key] = _READERS[metric.name](self, venue, held, WINDOWS_S.get(window, 0))
        return kept[key]

    def one(
        self,
        venue: str,
        metric: Metric,
        window: str,
        instrument: Instrument,
        pair: Pair | None = None,
        *,
        begin: bool = True,
    ) -> float:
        """Of one instrument; the way for figures that are computed one by one.

        `begin`: a detection has its instrument studied from now on, which may end another's study.
        """
        if metric.scope == "venue":
            return float(self.all(venue, metric, window)[0])
        if metric.scope == "instrument":
            return float(self.all(venue, metric, window)[instrument.index])
        engine = self.venues[venue].engine
        if metric.scope == "pair":
            return nan if pair is None else self._pair_z(venue, instrument, pair, window)
        if metric.name == "cvd_divergence":
            return self._divergence(venue, instrument, window)
        if metric.name.startswith("detection_"):
            if not begin and instrument.index not in engine.lab.studies:
                return nan
            return _detected(engine, instrument, metric.name.removeprefix("detection_"), WINDOWS_S[window])
        return self._cluster(venue, instrument, metric.name, window)

    def price(self, venue: str, instrument: Instrument) -> float:
        """Newest price."""
        return self.one(venue, METRICS["price"], "", instrument)

    def price_at(self, venue: str, instrument: Instrument, ts_ms: int) -> float:
        """Price of the last trade before the end of the second of `ts_ms`; NaN where that is not held."""
        engine = self.venues[venue].engine
        only = np.array([instrument.index])
        return float(last_closes(engine.flow.seconds, only, ts_ms // 1000)[0] * instrument.tick.to_float(1))

    def _of(self, venue: str) -> _Held:
        engine = self.venues[venue].engine
        held = self._held.get(venue)
        if held is None or held.engine is not engine or held.table.version != engine.universe.version:
            held = self._held[venue] = _Held(engine, _table(engine))
        return held

    # -- figures of the venue, and of several markets -----------------------------------------------------------

    def health(self, venue: str) -> Health:
        return self._health(venue)

    def basis(self, venue: str) -> Basis:
        return self._derivs.read_basis(venue)

    def funding(self, venue: str, per_8h: bool) -> Values:
        """Percent, for the symbol's own interval or per 8 hours."""
        rates = read_rates(self.venues[venue].engine, self._derivs.history(venue))
        hours = np.where(rates.funding_ms > 0, rates.funding_ms / HOUR_MS, np.nan)
        return rates.rate * 100 * (8 / hours if per_8h else 1)

    def _divergence(self, venue: str, one: Instrument, window: str) -> float:
        engine = self.venues[venue].engine
        _, step_ms = WINDOWS[window]
        kept = len((engine.flow.seconds if step_ms == 1_000 else engine.flow.minutes).ring) - 1
        series = read_series(venue, engine, one, engine.clock_ms // step_ms, kept, step_ms, "usd")
        told = divergence(series, window, self._derivs.limits(one.symbol))
        change, z = told["price_change_bps"], told["z"]
        if change is None or z is None:
            return nan
        return float(z) if change * z < 0 else 0.0

    def _cluster(self, venue: str, one: Instrument, name: str, window: str) -> float:
        if is_spot(one):
            return nan
        found = self._derivs.clusters(venue, one, None, WINDOWS_S[window] * 1000)["clusters"]
        if name == "cluster":
            return max((float(bucket["notional"]) for bucket in found), default=0.0)
        return max((bucket["depth_share"] for bucket in found if bucket["depth_share"] is not None), default=nan)

    def _pair_z(self, venue: str, one: Instrument, pair: Pair, window: str) -> float:
        other = self.venues.get(pair.venue)
        b = None if other is None else other.engine.universe.find(pair.symbol)
        if other is None or b is None:
            return nan
        minutes = WINDOWS_S[window] // 60
        end = min(self.venues[venue].engine.clock_ms, other.engine.clock_ms) // 60_000
        bars = [_closes(v.engine, i, end, pair.bars, minutes) for v, i in ((self.venues[venue], one), (other, b))]
        return pair_z(bars[0], bars[1], pair.beta)


@dataclass(frozen=True, slots=True)
class Pair:
    """The other side of a pair, and how many bars it is judged on."""

    venue: str
    symbol: str
    bars: int
    beta: float


def pair_z(a: Values, b: Values, beta: float) -> float:
    """The newest ``ln a - beta ln b`` in standard deviations (n - 1) from the mean of all; NaN where one is missing."""
    spread = np.log(a) - beta * np.log(b)
    if not len(spread) or np.isnan(spread).any():
        return nan
    deviation = float(spread.std(ddof=1))
    # A spread that does not move has no unit to measure it in; below this it is rounding.
    return float(spread[-1] - spread.mean()) / deviation if deviation > 1e-12 else nan


def _closes(engine: Engine, one: Instrument, end: int, bars: int, minutes: int) -> Values:
    """Closes of the `bars` - 1 bars before the running one, by the clock, and the newest price."""
    newest = end // minutes * minutes
    ends = newest - minutes * np.arange(bars - 2, -1, -1) - 1
    store, only = engine.flow.minutes, np.array([one.index])
    rows = store.ring[ends & (len(store.ring) - 1), one.index]
    closes = np.where((rows["number"] == ends) & (rows["n"] > 0), rows["close"], np.nan)
    for k in np.flatnonzero(np.isnan(closes)):  # nothing traded in that minute
        closes[k] = last_closes(store, only, int(ends[k]))[0]
    last = engine.flow.trades[one.index]
    newest_price = float(last["last_price"]) if last["last_ms"] else nan
    return np.append(closes, newest_price) * one.tick.to_float(1)


def _table(engine: Engine) -> _Table:
    every = list(engine.universe)
    return _Table(
        engine.universe.version,
        np.array([one.tick.to_float(1) for one in every], np.float64),
        np.array([one.notional_scale() for one in every], np.float64),
        np.array([one.lot.to_float(1) for one in every], np.float64),
        np.array([one.trading for one in every], bool),
        np.array([is_spot(one) for one in every], bool),
    )


def last_closes(store: Candles, chosen: NDArray[np.int64], number: int) -> Values:
    """Close, ticks, of the newest candle up to `number` of each chosen instrument; NaN where it is not held for sure.

    What lies a whole ring before an instrument's newest candle may have been overwritten: nothing is said of it.
    """
    out = np.full(len(chosen), np.nan)
    slots = len(store.ring)
    number_of, n_of, close_of = (store.ring[name] for name in ("number", "n", "close"))
    newest = np.minimum(store.newest[chosen], number)
    least = np.maximum(store.newest[chosen] - slots + 1, store.oldest[chosen])
    missing = np.flatnonzero(newest >= least)
    back, depth = 0, 1
    while len(missing):
        numbers = newest[missing] - back - np.arange(depth)[:, None]
        rows = numbers & (slots - 1), chosen[missing]
        held = (number_of[rows] == numbers) & (n_of[rows] > 0) & (numbers >= least[missing])
        found, first = held.any(axis=0), held.argmax(axis=0)[held.any(axis=0)]
        out[missing[found]] = close_of[rows[0][first, found], rows[1][found]]
        back, depth = back + depth, min(4 * depth, LOOK_BACK)
        missing = missing[~found]
        missing = missing[newest[missing] - back >= least[missing]]
    return out


def _detected(engine: Engine, one: Instrument, kind: str, window_s: int) -> float:
    try:
        study = engine.lab.study(one)
    except NotReadyError:
        return nan
    since_ms = engine.clock_ms - window_s * 1000
    found = 0.0
    for event in reversed(study.detectors.events):
        if event.kind == kind and event.ts_ms > since_ms:
            found = max(found, event.confidence)
    return found


# ---------------------------------------------------------------- figures of all instruments at once

Reader = Callable[[Readings, str, _Held, int], Values]


def _heard(held: _Held, values: Values) -> Values:
    """Values, NaN where no trade has been heard."""
    return np.where(held.engine.flow.trades["last_ms"][: len(values)] > 0, values, np.nan)


def _price(_: Readings, __: str, held: _Held, ___: int) -> Values:
    n = len(held.table.tick)
    return _heard(held, held.engine.flow.trades["last_price"][:n] * held.table.tick)


def _price_change(readings: Readings, venue: str, held: _Held, window_s: int) -> Values:
    engine = held.engine
    store, step_s = (engine.flow.seconds, 1) if window_s <= SECONDS_AT_MOST else (engine.flow.minutes, 60)
    number = engine.clock_ms // (1000 * step_s) - window_s // step_s
    before = last_closes(store, np.arange(len(held.table.tick)), number) * held.table.tick
    return (readings.all(venue, METRICS["price"], "") / before - 1) * 100


def _change_24h(readings: Readings, venue: str, held: _Held, _: int) -> Values:
    tickers = readings.venues[venue].tickers
    none = Decimal("nan")
    told = (tickers.get(one.symbol) for one in held.engine.universe)
    return np.array([float(ticker.change_percent if ticker else none) for ticker in told], np.float64)


def _spread(_: Readings, __: str, held: _Held, ___: int) -> Values:
    engine, n = held.engine, len(held.table.tick)
    books, quotes = engine.sync.ladders.books[:n], engine.quotes.quotes[:n]
    live = (books["state"] == LIVE) & (books["bids"] > 0) & (books["asks"] > 0)
    quoted = (quotes["seen"] > 0) & (engine.clock_ms - quotes["ts_ms"] <= QUOTE_FRESH_MS)
    bid = np.where(live, books["best_bid"], quotes["bid"])
    ask = np.where(live, books["best_ask"], quotes["ask"])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(live | quoted, (ask - bid) * 2e4 / (ask + bid), np.nan)


def _windows(held: _Held, field_name: str, window_s: int) -> Values:
    """One column of the imbalance view; the view itself is read once for all windows."""
    key = "imbalance view", field_name
    if key not in held.now:
        view = held.engine.imbalance()
        for name in ("buy", "sell", "buy_quote", "sell_quote", "book_bid", "book_ask"):
            held.now["imbalance view", name] = view[name].astype(np.float64)
    values = held.now[key]
    return values[:, IMBALANCE_S.index(window_s)] if values.ndim == 2 else values


def share(bought: Values, sold: Values) -> Values:
    """How one-sided a flow is, in [-1, 1]; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bought + sold > 0, (bought - sold) / (bought + sold), np.nan)


def _trade_imbalance(_: Readings, __: str, held: _Held, window_s: int) -> Values:
    return share(*(_windows(held, side, window_s) for side in ("buy", "sell")))


def _net_flow(_: Readings, __: str, held: _Held, window_s: int) -> Values:
    buy, sell = (_windows(held, side, window_s) for side in ("buy_quote", "sell_quote"))
    return _heard(held, (buy - sell) * held.table.scale)


def _volume(_: Readings, __: str, held: _Held, window_s: int) -> Values:
    buy, sell = (_windows(held, side, window_s) for side in ("buy_quote", "sell_quote"))
    return _heard(held, (buy + sell) * held.table.scale)


def _book_imbalance(_: Readings, __: str, held: _Held, ___: int) -> Values:
    return share(*(_windows(held, side, 0) for side in ("book_bid", "book_ask")))


def _liquidations(long: bool, short: bool) -> Reader:
    def read(_: Readings, __: str, held: _Held, window_s: int) -> Values:
        engine, table = held.engine, held.table
        since_ms = engine.clock_ms - window_s * 1000
        rows = engine.liquidations(0, RECENT_LIQUIDATIONS)
        if len(rows) == RECENT_LIQUIDATIONS and rows["event_ms"][0] > since_ms:
            rows = engine.liquidations(0, len(engine.quotes.liquidations))
        rows = rows[(rows["event_ms"] > since_ms) & ((rows["long"] == 1) & long | (rows["long"] == 0) & short)]
        i = rows["instrument"]
        money = rows["price_e8"] / 1e8 * rows["qty"] * table.lot[i]
        sums = np.bincount(i, weights=money, minlength=len(table.lot))
        return np.where(table.spot, np.nan, sums)

    return read


def _whale(sell: int | None) -> Reader:
    def read(_: Readings, __: str, held: _Held, window_s: int) -> Values:
        rows = _recent(held.engine.flow.big.whales, held.engine.clock_ms - window_s * 1000, sell)
        i = rows["instrument"]
        return _heard(held, _largest(i, rows["quote"] * held.table.scale[i], len(held.table.scale)))

    return read


def _big_flow(sell: int | None) -> Reader:
    def read(_: Readings, __: str, held: _Held, window_s: int) -> Values:
        n = len(held.table.scale)
        rows = _recent(held.engine.flow.big.events, held.engine.clock_ms - window_s * 1000, sell)
        largest = _largest(rows["instrument"], np.nan_to_num(rows["pct_of_adv"]), n)
        return np.where(held.engine.adv[:n] > 0, largest, np.nan)

    return read


def _recent(ring: NDArray[np.void], since_ms: int, sell: int | None) -> NDArray[np.void]:
    """Rows of a ring of episodes that changed since, of one side or of both."""
    chosen = (ring["id"] >= 0) & (ring["ts_ms"] > since_ms)
    return ring[chosen if sell is None else chosen & (ring["sell"] == sell)]


def _largest(i: NDArray[np.int64], values: Values, n: int) -> Values:
    out = np.zeros(n)
    np.maximum.at(out, i, values)
    return out


def _quiet(readings: Readings, venue: str, held: _Held, _: int) -> Values:
    last_ms = held.engine.flow.trades["last_ms"][: len(held.table.tick)]
    return _heard(held, np.maximum(readings.venue_ms(venue) - last_ms, 0) / 1000)


def _book_stale(_: Readings, __: str, held: _Held, ___: int) -> Values:
    state = held.engine.sync.ladders.books["state"][: len(held.table.tick)]
    return np.where(state == OFF, np.nan, (state != LIVE).astype(np.float64))


def _trades_missing(_: Readings, __: str, held: _Held, ___: int) -> Values:
    return held.engine.flow.trades["absent"][: len(held.table.tick)].astype(np.float64)


def _books_stale(_: Readings, __: str, held: _Held, ___: int) -> Values:
    state = held.engine.sync.ladders.books["state"][: len(held.table.tick)]
    kept = int((state != OFF).sum())
    return np.array([100 * float((state[state != OFF] != LIVE).sum()) / kept if kept else nan])


_READERS: dict[str, Reader] = {
    "price": _price,
    "price_change": _price_change,
    "change_24h": _change_24h,
    "spread": _spread,
    "trade_imbalance": _trade_imbalance,
    "net_flow": _net_flow,
    "volume": _volume,
    "book_imbalance": _book_imbalance,
    "funding": lambda readings, venue, _, __: readings.funding(venue, per_8h=True),
    "funding_rate": lambda readings, venue, _, __: readings.funding(venue, per_8h=False),
    "basis": lambda readings, venue, _, __: readings.basis(venue).bps,
    "premium": lambda readings, venue, _, __: readings.basis(venue).premium_bps,
    "liquidations": _liquidations(long=True, short=True),
    "liquidations_long": _liquidations(long=True, short=False),
    "liquidations_short": _liquidations(long=False, short=True),
    "whale": _whale(None),
    "whale_buy": _whale(0),
    "whale_sell": _whale(1),
    "big_flow": _big_flow(None),
    "big_flow_buy": _big_flow(0),
    "big_flow_sell": _big_flow(1),
    "quiet": _quiet,
    "book_stale": _book_stale,
    "trades_missing": _trades_missing,
    "venue_down": lambda readings, venue, _, __: np.array([float(readings.health(venue).down)]),
    "data_age": lambda readings, venue, _, __: np.array([readings.health(venue).age_s]),
    "lag": lambda readings, venue, _, __: np.array([readings.health(venue).lag_ms]),
    "books_stale": _books_stale,
}
_ONCE_A_SECOND = frozenset({"basis", "premium", "funding", "funding_rate", "change_24h", "price_change"})
