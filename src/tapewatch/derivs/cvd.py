"""Cumulative volume delta of one coin on every venue, in one unit, and where it disagrees with price or with others.

All series begin at the same moment, from zero. *base* adds up coins (contracts and thousands made into coins); *usd*
adds up money, stablecoins counted as dollars.

**Divergence of price and flow** over a window W: r is the change of the last price, f the net flow. Both are of the W
whole seconds (minutes, beyond 5 m) that ended last. Significance is f over its own usual size: the root mean square of
the net flow of all windows of length W in what is held before the present one, at least `LEAST_WINDOWS` of them
without overlap. With |z| of `divergence_z` or more: BULLISH when price fell and buyers were net, BEARISH when it rose
and sellers were, ALIGNED when both have one sign; otherwise NEUTRAL.

**Divergence of two markets**: each one's flow over its own volume, in [-1, 1]; their difference over its own usual size
in the same way. With |z| large and different signs they are SPLIT, with one sign TOGETHER, otherwise NEUTRAL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..flow.candles import MINUTE_MS, Candles
from ..model.derivs import DerivsThresholds
from ..model.instrument import Instrument
from .basis import none
from .pairs import Venues, coin_of, is_spot, same_coin
from .pressure import ring_rows

Unit = Literal["base", "usd"]
SPANS: dict[str, tuple[int, int]] = {
    "5m": (300, 1_000),
    "15m": (900, 1_000),
    "1h": (60, 60_000),
    "4h": (240, 60_000),
    "24h": (1_440, 60_000),
}
"""What a chart shows: steps, and the length of one."""
WINDOWS: dict[str, tuple[int, int]] = {"60s": (60, 1_000), "5m": (5, 60_000), "15m": (15, 60_000), "1h": (60, 60_000)}
"""Windows of divergence: steps, and the length of one."""
LEAST_WINDOWS = 8
MARKETS = 12
"""Markets in one answer at most."""
BEHIND_MS = 5_000
"""A venue whose newest event is further behind the newest of all is not compared with the others."""

Market = tuple[str, Instrument]

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Series:
    """Steps of one market, oldest first, the last one whole; only those that are held without a doubt."""

    exchange: str
    instrument: Instrument
    numbers: NDArray[np.int64]
    price: Floats
    """Last price at the end of each step, of one coin; NaN before the first trade held."""
    net: Floats
    volume: Floats
    gaps: int
    """Steps with a known hole: their flow is at least, not exactly."""


def read_series(venue: str, engine: Engine, one: Instrument, end: int, steps: int, step_ms: int, unit: Unit) -> Series:
    """The `steps` steps before number `end`, as far as they are held."""
    store: Candles = engine.flow.seconds if step_ms == 1_000 else engine.flow.minutes
    since = engine.cvd_since_ms(one.index) if step_ms == MINUTE_MS else engine.counted_since_ms(one.index)
    first = end if since is None else max(end - steps, -(-since // step_ms), end - len(store.ring) + 1)
    numbers = np.arange(min(first, end), end)
    rows = ring_rows(store.ring, one.index, numbers)
    if rows is None:
        numbers, rows = numbers[:0], store.ring[:0, one.index]
    if step_ms == MINUTE_MS:
        _lead(rows, numbers, engine.leading_klines(one.index))
    units = coin_of(one).units
    if unit == "base":
        scale = float(one.lot.value) * units
        buy, sell = rows["ask"] * scale, rows["bid"] * scale
    else:
        scale = one.notional_scale()
        buy, sell = rows["ask_quote"] * scale, rows["bid_quote"] * scale
    price = np.where(rows["n"] > 0, rows["close"] * one.tick.units / (10**one.tick.decimals * units), np.nan)
    return Series(venue, one, numbers, _held(price), buy - sell, buy + sell, int((rows["gap"] > 0).sum()))


def _lead(rows: NDArray[np.void], numbers: NDArray[np.int64], klines: NDArray[np.void]) -> None:
    """Write what klines tell over the minutes before the trades."""
    if len(klines):
        at = numbers - klines["open_ms"][0] // MINUTE_MS
        told = (at >= 0) & (at < len(klines))
        for name in ("bid", "ask", "bid_quote", "ask_quote", "close", "n"):
            rows[name][told] = klines[name][at[told]]


def _held(price: Floats) -> Floats:
    """The last known price at each step."""
    at = np.where(np.isnan(price), -1, np.arange(len(price)))
    at = np.maximum.accumulate(at) if len(at) else at
    return np.where(at >= 0, price[at], np.nan) if len(at) else price


def rolling(values: Floats, length: int) -> Floats:
    """Sums of every `length` consecutive values."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return sums[length:] - sums[:-length] if len(values) >= length else values[:0]


NOISE = 1e-9
"""Share of what was traded below which a sum of floats that should be zero may lie."""


def usual(past: Floats, length: int, traded: float) -> tuple[float, int]:
    """Root mean square of windows of `length` steps, and how many of them fit without overlap.

    NaN where these are too few, or where nothing but rounding is left of `traded`, the largest sum there may have been.
    """
    independent = (len(past) + length - 1) // length
    if independent < LEAST_WINDOWS:
        return np.nan, independent
    size = float(np.sqrt(np.mean(past * past)))
    return size if size > NOISE * traded else np.nan, independent


def divergence(series: Series, window: str, limits: DerivsThresholds) -> dict[str, Any]:
    """Price against flow of one market (or several added up) over one window; `series` holds what came before, too."""
    length, step_ms = WINDOWS[window]
    told: dict[str, Any] = {"window": window, "window_s": length * step_ms // 1000}
    blank = {"price_change_bps": None, "net": None, "z": None, "windows": 0, "state": None}
    if len(series.net) < length:
        return told | blank | {"why": f"{len(series.net)} of {length} steps of {step_ms // 1000} s are held"}
    before = series.price[-length - 1] if len(series.price) > length else np.nan
    change = float((series.price[-1] / before - 1) * 1e4)
    sums = rolling(series.net, length)
    net = float(sums[-1])
    size, windows = usual(sums[:-length], length, float(series.volume.sum()))
    z = net / size
    state, why = None, None
    if np.isnan(change):
        why = "no trade before the window is held, so its change of price is not known"
    elif windows < LEAST_WINDOWS:
        why = f"significance needs {LEAST_WINDOWS} earlier windows; {windows} are held"
    elif np.isnan(z):
        why = "the windows before had no net flow to compare with"
    else:
        state = divergence_state(change, z, limits)
    return told | {
        "price_change_bps": none(round(change, 4)),
        "net": round(net, 8),
        "z": none(round(z, 3)),
        "windows": windows,
        "state": state,
        "why": why,
    }


def divergence_state(price_change: float, z: float, limits: DerivsThresholds) -> str:
    """BULLISH, BEARISH, ALIGNED or NEUTRAL."""
    if abs(z) < limits.divergence_z or price_change == 0:
        return "NEUTRAL"
    if (price_change > 0) == (z > 0):
        return "ALIGNED"
    return "BULLISH" if z > 0 else "BEARISH"


def split(a: Series, b: Series, window: str, limits: DerivsThresholds) -> dict[str, Any]:
    """Two markets against each other over one window, on the steps that both hold."""
    length, step_ms = WINDOWS[window]
    told: dict[str, Any] = {"window": window, "window_s": length * step_ms // 1000}
    n = min(len(a.net), len(b.net))
    blank = {"a": None, "b": None, "difference": None, "z": None, "windows": 0, "state": None}
    if n < length:
        return told | blank | {"why": f"{n} of {length} steps of {step_ms // 1000} s are held of both"}
    shares = [_share(one.net[-n:], one.volume[-n:], length) for one in (a, b)]
    now = [float(share[-1]) for share in shares]
    if any(np.isnan(value) for value in now):
        return told | blank | {"why": "nothing has traded on one side"}
    apart = shares[0] - shares[1]
    past = apart[:-length]
    size, windows = usual(past[~np.isnan(past)], length, 1.0)
    z = (now[0] - now[1]) / size
    state, why = None, None
    if windows < LEAST_WINDOWS:
        why = f"significance needs {LEAST_WINDOWS} earlier windows; {windows} are held"
    elif np.isnan(z):
        why = "the two did not differ in the windows before"
    elif abs(z) < limits.divergence_z:
        state = "NEUTRAL"
    else:
        state = "SPLIT" if now[0] * now[1] < 0 else "TOGETHER"
    return told | {
        "a": round(now[0], 6),
        "b": round(now[1], 6),
        "difference": round(now[0] - now[1], 6),
        "z": none(round(z, 3)),
        "windows": windows,
        "state": state,
        "why": why,
    }


def _share(net: Floats, volume: Floats, length: int) -> Floats:
    total = rolling(volume, length)
    return np.where(total > 0, rolling(net, length) / np.where(total > 0, total, 1), np.nan)


def merged(name: str, parts: Sequence[Series]) -> Series:
    """Several markets as one, on the steps that all hold; its price is that of the first. All end at one step."""
    n = min(len(part.net) for part in parts)
    first = parts[0]
    net, volume = (sum((getattr(part, what)[-n:] for part in parts), np.zeros(n)) for what in ("net", "volume"))
    return Series(name, first.instrument, first.numbers[-n:], first.price[-n:], net, volume, sum(p.gaps for p in parts))


@dataclass(slots=True)
class CvdView:
    """What the CVD panel shows of one coin."""

    unit: str
    """``BTC``, or ``USD``."""
    span: str
    step_ms: int
    markets: list[Series]
    missing: list[tuple[str, Instrument, str]]
    """Markets of the coin with nothing to show, and why."""


def read_cvd(venues: Venues, venue: str, instrument: Instrument, span: str, unit: Unit) -> CvdView:
    """The chart's series: of every market of the coin, on the same steps, up to the last whole one of all of them."""
    steps, step_ms = SPANS[span]
    found = list(same_coin(venues, instrument))
    found.sort(key=lambda pair: pair != (venue, instrument))
    dollars = "USD" if any(one.quote != instrument.quote for _, one in found) or instrument.quote != "USDT" else "USDT"
    here, behind = present(venues, found[:MARKETS])
    view = CvdView(coin_of(instrument).name if unit == "base" else dollars, span, step_ms, [], behind)
    end = common_end(venues, here, step_ms)
    for name, one in here:
        series = read_series(name, venues[name], one, end, steps, step_ms, unit)
        if len(series.numbers):
            view.markets.append(series)
        else:
            view.missing.append((name, one, "no trade of it is held in this span"))
    return view


def present(venues: Venues, found: Sequence[Market]) -> tuple[list[Market], list[tuple[str, Instrument, str]]]:
    """Markets whose venues tell the present, and the others with why: one that is down must not hold up the rest."""
    newest = max((venues[name].clock_ms for name, _ in found), default=0)
    here: list[Market] = []
    behind: list[tuple[str, Instrument, str]] = []
    for name, one in found:
        late_ms = newest - venues[name].clock_ms
        if late_ms <= BEHIND_MS:
            here.append((name, one))
        elif not venues[name].clock_ms:
            behind.append((name, one, "its venue has told nothing yet"))
        else:
            behind.append((name, one, f"its venue is {late_ms // 1000} s behind the others"))
    return here, behind


def common_end(venues: Venues, found: Sequence[Market], step_ms: int) -> int:
    """Number of the running step, of the venue that is furthest behind: steps before it are over everywhere."""
    return min((venues[name].clock_ms // step_ms for name in {name for name, _ in found}), default=0)


def divergences(
    venues: Venues, venue: str, instrument: Instrument, unit: Unit, limits: DerivsThresholds
) -> dict[str, Any]:
    """Every market against its price, all together, spot against the rest, and each against the one asked for."""
    found, _ = present(venues, list(same_coin(venues, instrument))[:MARKETS])
    by_window: dict[str, list[Series]] = {}
    for window, (_, step_ms) in WINDOWS.items():
        end = common_end(venues, found, step_ms)
        kept = 1_023 if step_ms == 1_000 else 2_047
        parts = [read_series(name, venues[name], one, end, kept, step_ms, unit) for name, one in found]
        by_window[window] = parts
    markets = []
    for k, (name, one) in enumerate(found):
        windows = [divergence(parts[k], window, limits) for window, parts in by_window.items()]
        markets.append({"exchange": name, "symbol": one.symbol, "windows": windows})
    together = []
    for group in ("all", "spot", "perp"):
        chosen = [k for k, (_, one) in enumerate(found) if group == "all" or is_spot(one) == (group == "spot")]
        held = [k for k in chosen if all(len(parts[k].net) for parts in by_window.values())]
        if len(held) < (2 if group == "all" else 1):
            continue
        windows = [
            divergence(merged(group, [parts[k] for k in held]), window, limits) for window, parts in by_window.items()
        ]
        together.append({"group": group, "markets": len(held), "windows": windows})
    return {"markets": markets, "together": together, "across": _across(found, by_window, venue, instrument, limits)}


def _across(
    found: Sequence[tuple[str, Instrument]],
    by_window: dict[str, list[Series]],
    venue: str,
    instrument: Instrument,
    limits: DerivsThresholds,
) -> list[dict[str, Any]]:
    here = next((k for k, pair in enumerate(found) if pair == (venue, instrument)), None)
    rows = []
    for k, (name, one) in enumerate(found):
        if here is None or k == here:
            continue
        windows = [split(parts[here], parts[k], window, limits) for window, parts in by_window.items()]
        rows.append({"a": f"{venue}:{instrument.symbol}", "b": f"{name}:{one.symbol}", "windows": windows})
    held = [k for k in range(len(found)) if all(len(parts[k].net) for parts in by_window.values())]
    spots = [k for k in held if is_spot(found[k][1])]
    others = [k for k in held if not is_spot(found[k][1])]
    if spots and others:
        windows = [
            split(merged("perp", [parts[k] for k in others]), merged("spot", [parts[k] for k in spots]), window, limits)
            for window, parts in by_window.items()
        ]
        rows.append({"a": "perp", "b": "spot", "windows": windows})
    return rows
