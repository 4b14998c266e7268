"""What can be asked of bars: a kind, the series it is about, parameters. An answer is plain data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import numpy as np

from ..model.errors import UsageError
from ..research import hawkes, hedge, unitroot
from ..research.correlation import correlation
from ..research.hedge import Method
from ..research.scan import Progress, panel, scan
from ..research.series import Bars, Pair, align
from ..research.spread import Center, spread, zscore
from ..research.statistics import price_statistics

Kind = Literal["stats", "ols", "spread", "zscore", "adf", "cointegration", "correlation", "pair", "scan", "hawkes"]


class Ask(msgspec.Struct, frozen=True):
    """A question. `series` are names ``venue:symbol`` or ``upload:venue:symbol``; of a pair x comes first, then y.

    `count` bars of `tf_ms`, the newest that end by `end_ms` (0: the newest there are). `log`: of logarithms of prices.
    """

    kind: Kind
    series: tuple[str, ...]
    tf_ms: int
    count: int
    end_ms: int
    window: int = 20
    method: Method = "ols"
    center: Center = "mean"
    log: bool = True
    keep: int = 50


def answer(ask: Ask, series: list[Bars], progress: Progress | None = None) -> dict[str, Any]:
    """The answer as JSON-like data; raises UsageError with the reason where there is none."""
    if ask.kind == "scan":
        return _plain(scan(panel(series), keep=ask.keep, progress=progress))
    if ask.kind in _OF_ONE:
        return _plain(_OF_ONE[ask.kind](ask, series[0]))
    if len(series) != 2:
        raise UsageError(f"{ask.kind} needs two series, x and y")
    return _plain(_OF_TWO[ask.kind](ask, align(*series)))


def arrivals(buy_ms: Any, sell_ms: Any) -> dict[str, Any]:
    """A Hawkes process fitted to times of buys and sells, ms."""
    return _plain(hawkes.fit(buy_ms, sell_ms))


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


def _workspace(ask: Ask, pair: Pair) -> dict[str, Any]:
    """All of a pair in one answer. A part that cannot be had says why; the others are there."""
    scaled = pair.logs() if ask.log else pair
    parts: dict[str, Callable[[], Any]] = {
        "lines": lambda: [line for method in hedge.METHODS for line in hedge.both_directions(scaled, method)],
        "kalman": lambda: hedge.kalman(scaled),
        "spread": lambda: _spread(ask, pair),
        "cointegration": lambda: _cointegration(ask, pair),
        "correlation": lambda: correlation(pair, max(ask.window, 20)),
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
    return found


_OF_ONE: dict[str, Callable[[Ask, Bars], Any]] = {
    "stats": lambda _, bars: price_statistics(bars),
    "zscore": _zscore,
    "adf": _adf,
}
_OF_TWO: dict[str, Callable[[Ask, Pair], Any]] = {
    "ols": _lines,
    "spread": _spread,
    "cointegration": _cointegration,
    "correlation": lambda ask, pair: correlation(pair, ask.window),
    "pair": _workspace,
}


def _plain(found: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
