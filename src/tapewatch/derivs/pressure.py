"""Order-flow imbalance of a few coins on every venue: shares of buying and selling, money a minute, a trend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.derivs import DerivsThresholds
from ..model.instrument import Instrument
from ..model.views import WINDOWS_S
from .basis import Limits
from .pairs import Venues, same_coin

NAMES = ("10s", "1m", "5m", "15m")
"""Names of `WINDOWS_S`, in its order."""
LONGEST_MINUTES = 15


def arrow(short: float | None, minute: float | None, limits: DerivsThresholds) -> str | None:
    """The imbalance of 10 s against that of the minute: ``up``, ``up up``, ``flat``, ``down``, ``down down``."""
    if short is None or minute is None:
        return None
    by = round(short - minute, 6)
    if abs(by) < limits.trend:
        return "flat"
    word = "up" if by > 0 else "down"
    return f"{word} {word}" if abs(by) >= round(3 * limits.trend, 6) else word


def pressure_rows(venues: Venues, instruments: Iterable[Instrument], limits: Limits) -> list[dict[str, Any]]:
    """One row a market, in the order asked, each coin on all venues; a market comes once."""
    views = {name: engine.imbalance() for name, engine in venues.items()}
    markets = dict.fromkeys(
        (name, other.symbol) for instrument in instruments for name, other in same_coin(venues, instrument)
    )
    rows = []
    for name, symbol in markets:
        engine = venues[name]
        instrument = engine.universe.get(symbol)
        rows.append(_row(name, engine, instrument, views[name][instrument.index], limits(symbol)))
    return rows


def _row(name: str, engine: Engine, one: Instrument, view: np.void, limits: DerivsThresholds) -> dict[str, Any]:
    windows = {}
    since = engine.counted_since_ms(one.index)
    counted_s = 0 if since is None else engine.clock_ms // 1000 + 1 - since // 1000
    for w, window in enumerate(NAMES):
        buy, sell = int(view["buy"][w]), int(view["sell"][w])
        total = buy + sell
        net = int(view["buy_quote"][w] - view["sell_quote"][w])
        windows[window] = {
            "imbalance": round((buy - sell) / total, 6) if total else None,
            "buy_pct": round(100 * buy / total, 2) if total else None,
            "sell_pct": round(100 - round(100 * buy / total, 2), 2) if total else None,
            "net_per_min": round(float(one.notional(net)) * 60 / max(1, min(WINDOWS_S[w], counted_s)), 2),
            "held_s": min(WINDOWS_S[w], counted_s),
        }
    traded = int(view["last_ms"])
    return {
        "exchange": name,
        "symbol": one.symbol,
        "kind": one.kind,
        "windows": windows,
        "trend": arrow(windows["10s"]["imbalance"], windows["1m"]["imbalance"], limits),
        "imbalance_15m_1h_ago": _then(engine, one, 60),
        "imbalance_15m_24h_ago": _then(engine, one, 1440),
        "since_ts": since,
        "last": one.tick.to_decimal(view["last"]) if traded else None,
        "last_ts": traded or None,
        "why": None if traded else "no trade of it has been heard",
    }


def _then(engine: Engine, one: Instrument, minutes: int) -> float | None:
    """The imbalance of the 15 whole minutes that ended so long ago; None where they are not all held, or have a gap."""
    end = engine.clock_ms // 60_000 - minutes
    since = engine.counted_since_ms(one.index)
    if since is None or since > (end - LONGEST_MINUTES) * 60_000:
        return None
    candles = ring_rows(engine.flow.minutes.ring, one.index, np.arange(end - LONGEST_MINUTES, end))
    if candles is None or candles["gap"].any():
        return None
    buy, sell = int(candles["ask"].sum()), int(candles["bid"].sum())
    return round((buy - sell) / (buy + sell), 6) if buy + sell else None


def ring_rows(ring: NDArray[np.void], i: int, numbers: NDArray[np.int64]) -> NDArray[np.void] | None:
    """A copy of instrument `i`'s candles of these rising numbers, zeros where nothing traded; None beyond the ring."""
    if not len(numbers) or numbers[-1] - numbers[0] >= len(ring):
        return None
    rows: NDArray[np.void] = ring[numbers & (len(ring) - 1), i].copy()
    if (rows["number"] > numbers).any():
        return None  # newer candles have taken the place of some
    rows[rows["number"] != numbers] = np.zeros((), rows.dtype)
    return rows
