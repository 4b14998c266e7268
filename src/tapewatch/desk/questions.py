"""Answers to what can be asked of bars, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from ..model.errors import UsageError
from ..research import hawkes, hedge, unitroot
from ..research.choices import METHODS
from ..research.correlation import correlation, ticks
from ..research.scan import Progress, panel, scan
from ..research.series import Bars, Pair, Ticks, align
from ..research.spread import Spread, doubts, spread, zscore
from ..research.statistics import price_statistics
from .ask import Ask


def answer(ask: Ask, series: list[Bars], progress: Progress | None = None) -> dict[str, Any]:
    """The answer as JSON-like data; raises UsageError with the reason where there is none."""
    if ask.kind == "scan":
        return _plain(scan(panel(series), keep=ask.keep, progress=progress))
    if ask.kind in _OF_ONE:
        return _plain(_OF_ONE[ask.kind](ask, series[0]))
    if len(series) != 2:
        raise UsageError(f"{ask.kind} needs two series, x and y")
    if ask.kind == "pair":
        return _plain(_workspace(ask, *series))
    return _plain(_OF_TWO[ask.kind](ask, align(*series)))


def get_ready() -> None:
    """Answer about made-up series what takes long for the first time, so that no question does."""
    n = 200
    times = 60_000 * np.arange(n)
    walks = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, (2, n)), axis=1))
    none = np.zeros(n)
    x, y = (
        Bars(name, 60_000, times, walk, walk, walk, walk, none, none.astype(np.int64), none > 0)
        for name, walk in zip("xy", walks, strict=True)
    )
    answer(Ask("pair", ("x", "y"), 60_000, n, 0), [x, y])
    arrivals(times, times + 20_000)


def arrivals(buy_ms: Any, sell_ms: Any) -> dict[str, Any]:
    """A Hawkes process fitted to times of buys and sells, ms."""
    return _plain(hawkes.fit(buy_ms, sell_ms))


def together(x: Ticks, y: Ticks) -> dict[str, Any]:
    """How two series of ticks move together, without a grid and on grids."""
    return _plain(ticks(x, y))


def _bars(_: Ask, bars: Bars) -> dict[str, Any]:
    columns = ("open_ms", "open", "high", "low", "close", "volume", "trades", "gap")
    return {"name": bars.name, "sample": bars.sample(), **{name: getattr(bars, name).tolist() for name in columns}}


def _zscore(ask: Ask, bars: Bars) -> dict[str, Any]:
    values = np.log(bars.close) if ask.log else bars.close
    of = f"log close of {bars.name}" if ask.log else f"close of {bars.name}"
    found = zscore(values, ask.window, center=ask.center, of=of)
    return {"sample": bars.sample(), "open_ms": bars.open_ms.tolist(), "z": found}


def _adf(ask: Ask, bars: Bars) -> dict[str, Any]:
    """Of prices and of their returns: a price that has a unit root and returns that have none are what is usual."""
    values = np.log(bars.close) if ask.log else bars.close
    of = f"log close of {bars.name}" if ask.log else f"close of {bars.name}"
    steps = np.diff(values)[np.diff(bars.open_ms) == bars.tf_ms]
    return {
        "sample": bars.sample(),
        "level": unitroot.adf(values, of),
        "change": unitroot.adf(steps, f"changes of {of}"),
    }


def _lines(ask: Ask, pair: Pair) -> dict[str, Any]:
    scaled = pair.logs() if ask.log else pair
    one, other = hedge.both_directions(scaled, ask.method)
    return {"log": ask.log, "y_on_x": one, "x_on_y": other}


def _cointegration(ask: Ask, pair: Pair) -> dict[str, Any]:
    scaled = pair.logs() if ask.log else pair
    one, other = unitroot.engle_granger(scaled), unitroot.engle_granger(scaled.swapped())
    rank = unitroot.johansen([scaled.y, scaled.x], [pair.y_name, pair.x_name])
    return {"log": ask.log, "y_on_x": one, "x_on_y": other, "johansen": rank}


def _spread(ask: Ask, pair: Pair) -> Any:
    return spread(pair, method=ask.method, log=ask.log, window=ask.window, center=ask.center)


def _workspace(ask: Ask, x: Bars, y: Bars) -> dict[str, Any]:
    """All of a pair in one answer. A part that cannot be had says why; the others are there."""
    pair = align(x, y)
    scaled = pair.logs() if ask.log else pair
    parts: dict[str, Callable[[], Any]] = {
        "lines": lambda: [line for method in METHODS for line in hedge.both_directions(scaled, method)],
        "kalman": lambda: hedge.kalman(scaled),
        "spread": lambda: _spread(ask, pair),
        "cointegration": lambda: _cointegration(ask, pair),
        "correlation": lambda: correlation(pair, ask.returns),
        "x_statistics": lambda: price_statistics(x),
        "y_statistics": lambda: price_statistics(y),
        "x_adf": lambda: _adf(ask, x),
        "y_adf": lambda: _adf(ask, y),
    }
    found: dict[str, Any] = {
        "x": pair.x_name,
        "y": pair.y_name,
        "sample": pair.sample(),
        "left_out": pair.left_out,
        "open_ms": pair.open_ms.tolist(),
        "x_close": pair.x.tolist(),
        "y_close": pair.y.tolist(),
    }
    for name, part in parts.items():
        try:
            found[name] = part()
        except UsageError as error:
            found[name] = {"unknown": str(error)}
    found["doubts"] = _doubts(found)
    return found


def _doubts(found: dict[str, Any]) -> list[str]:
    """Why a z-score of this pair is no signal; empty: nothing speaks against it."""
    of, tests = found["spread"], found["cointegration"]
    if not isinstance(of, Spread) or "unknown" in tests:
        return [str(part["unknown"]) for part in (of, tests) if isinstance(part, dict) and "unknown" in part]
    p = min(1.0, 2 * min(tests["y_on_x"].p, tests["x_on_y"].p))
    newer = np.array(of.values[of.calibrated :])
    return doubts(p, "p of Engle-Granger, twice the better direction's,", of.half_life, newer, of.beta_drift_pct)


_OF_ONE: dict[str, Callable[[Ask, Bars], Any]] = {
    "bars": _bars,
    "stats": lambda _, bars: price_statistics(bars),
    "zscore": _zscore,
    "adf": _adf,
}
_OF_TWO: dict[str, Callable[[Ask, Pair], Any]] = {
    "ols": _lines,
    "spread": _spread,
    "cointegration": _cointegration,
    "correlation": lambda ask, pair: correlation(pair, ask.returns),
}


def _plain(found: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
