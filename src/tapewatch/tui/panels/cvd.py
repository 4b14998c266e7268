"""CVD of the coin on every venue in one unit; where flow and price, or two markets, disagree, and how significantly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...client import Steps
from ..format import MISSING, Maybe, percent, signed, signed_money
from ..freshness import Row
from ..grid import Cell, Column, Line, Role, sparkline, table
from ..market import Shown
from .rows import dimmed, nothing, shade, with_notes

WINDOWS = ("60s", "5m", "15m", "1h")
STATES: dict[str, Role] = {
    "BULLISH": "buy", "BEARISH": "sell", "ALIGNED": "aligned", "NEUTRAL": "muted", "SPLIT": "caution",
    "TOGETHER": "aligned",
}  # fmt: skip
LEAST_WINDOWS = 8
"""Earlier windows that a significance needs (docs/derivs.md)."""
GROUPS = {"all": "all markets", "spot": "spot together", "perp": "perps together"}


def cvd(shown: Shown, width: int, height: int) -> list[Line]:
    """A row a market with its course, then groups of markets, then pairs that are compared."""
    steps, notes = shown.cvd, shown.notes["cvd"]
    columns = [
        Column("market", "market", 22, "left", grow=2),
        Column("net", f"net {shown.choice.window('cvd')}", 8),
        Column("course", "CVD", 8, "left", grow=2, drop=1),
        *(Column(one, one, 16, "left", drop=2 + k) for k, one in enumerate(WINDOWS)),
    ]
    if steps is None:
        return with_notes(
            nothing("" if notes else "waiting for the first snapshot", width), shown, notes, width, height
        )
    rows = list(_rows(shown, steps))
    if not rows:
        return with_notes(nothing("nothing of this coin is held in this span", width), shown, notes, width, height)
    return with_notes(table(columns, rows, width, height - min(len(notes), 1)), shown, notes, width, height)


def _rows(shown: Shown, steps: Steps) -> Iterator[dict[str, Cell]]:
    told, markets = steps.meta["divergences"], steps.meta["markets"]
    money = shown.choice.unit("cvd") == "usd"
    if shown.choice.venue == "all":
        for group in told["together"]:
            if group["markets"] > 1:
                merged = _merged(steps) if group["group"] == "all" else None
                words = f"{GROUPS[group['group']]} ({group['markets']})"
                yield _named(words, "title") | _course_cells(merged, money) | _states(group["windows"])
        for pair in told["across"]:
            if pair["a"] == "perp":
                yield _named("perps against spot", "title") | _states(pair["windows"])
    by_market = {(one["exchange"], one["symbol"]): one["windows"] for one in told["markets"]}
    order = sorted(range(len(markets)), key=lambda k: not shown.is_main(markets[k]))
    for k in order:
        market = markets[k]
        if shown.choice.venue in ("all", market["exchange"]):
            cells = _named(f"{market['exchange']} {market['symbol']}", "text") | _course_cells(steps.cvd(k), money)
            yield dimmed(cells | _states(by_market.get((market["exchange"], market["symbol"]), [])), shown, market)
    if shown.choice.venue == "all":
        for pair in told["across"]:
            if pair["a"] != "perp":
                yield _named(f"vs {pair['b'].replace(':', ' ')}", "muted") | _states(pair["windows"])


def _named(words: str, role: Role) -> dict[str, Cell]:
    return {"market": (words, role)}


def _merged(steps: Steps) -> NDArray[np.float64]:
    """All markets as one, from the step on that all of them hold."""
    together = Steps()
    together.net = [np.sum(steps.net, axis=0)]
    return together.cvd(0)


def _course_cells(course: NDArray[np.float64] | None, money: bool) -> dict[str, Cell]:
    if course is None:
        return {}
    net = None if not len(course) or np.isnan(course[-1]) else float(course[-1])
    printed = signed_money(net) if money else signed(net, 3)
    return {"net": (printed, shade(net)), "course": sparkline(course.tolist(), shade(net))}


def _states(windows: list[Row]) -> dict[str, Cell]:
    return {one["window"]: _state(one) for one in windows}


def _state(cell: Row) -> Cell:
    """``BULLISH (+2.1)``: the word and how many times its usual size the flow has."""
    if cell["state"] is None:
        short = (
            f"{cell['windows']}/{LEAST_WINDOWS} windows" if str(cell["why"]).startswith("significance") else "too short"
        )
        return f"{MISSING} {short}", "faint"
    z: Maybe = cell["z"]
    return f"{cell['state']} ({MISSING if z is None else percent(z, 1)})", STATES.get(cell["state"], "muted")
