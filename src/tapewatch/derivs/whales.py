"""Whales: parent orders of half a million and more, or large for their own symbol, over all venues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.instrument import Instrument
from .pairs import Venues

HOUR_MS = 3_600_000
ALL = 1 << 20


def tier_of(notional: float, engine: Engine, instrument: Instrument) -> str:
    """``mega``, ``whale``, or ``symbol`` for an order that is only large against its symbol's average day."""
    limits = engine.limits(instrument)
    if notional >= limits.mega_notional:
        return "mega"
    return "whale" if notional >= limits.whale_notional else "symbol"


def whale_row(name: str, engine: Engine, row: np.void) -> dict[str, Any]:
    """One whale, exact: prices, quantities and money as decimals."""
    one = engine.universe[int(row["instrument"])]
    notional = one.notional(row["quote"])
    depth = one.notional(row["depth_quote"]) if row["depth_quote"] >= 0 else None
    pct = float(row["pct_of_adv"])
    return {
        "exchange": name,
        "id": int(row["id"]),
        "ts": int(row["ts_ms"]),
        "start_ts": int(row["start_ms"]),
        "symbol": one.symbol,
        "side": "sell" if row["sell"] else "buy",
        "tier": tier_of(float(notional), engine, one),
        "price_decimals": one.tick.decimals,
        "price": round(one.tick.to_float(float(row["vwap"])), one.tick.decimals + 4),
        "low": one.tick.to_decimal(row["low"]),
        "high": one.tick.to_decimal(row["high"]),
        "quantity": one.lot.to_decimal(row["qty"]),
        "notional": notional,
        "pct_of_adv": None if np.isnan(pct) else round(pct, 4),
        "levels": int(row["levels"]),
        "trades": int(row["trades"]),
        "open": bool(row["open"]),
        "depth_10bps": depth,
        "depth_share": round(float(notional / depth), 4) if depth else None,
    }


def newest(venues: Venues, limit: int, symbol: tuple[str, str] | None = None) -> list[tuple[str, np.void]]:
    """(venue, row) of the newest `limit` whales, newest first; of one (venue, symbol) if asked."""
    found: list[tuple[str, np.void]] = []
    for name, engine in venues.items():
        rows = engine.whales(0, ALL)
        if symbol is not None:
            rows = rows[rows["instrument"] == engine.universe.get(symbol[1]).index] if symbol[0] == name else rows[:0]
        found += [(name, row) for row in rows]
    found.sort(key=lambda pair: (int(pair[1]["ts_ms"]), int(pair[1]["id"])), reverse=True)
    return found[:limit]


def whale_flow(venues: Venues, begun_ms: Mapping[str, int]) -> list[dict[str, Any]]:
    """By venue: what whales of all symbols bought and sold in the last hour and in the one before.

    Each list begins at `begun_ms` of its venue (0: not yet), or with the oldest whale where it is full. The running
    hour says from when it counts; an hour before that is not whole is null.
    """
    rows = []
    for name, engine in venues.items():
        held = engine.whales(0, ALL)
        now = engine.clock_ms
        since = begun_ms[name] or now
        if len(held) == len(engine.flow.big.whales):
            since = max(since, int(held["ts_ms"].min()))
        hours = [_sums(engine, held, now - (k + 1) * HOUR_MS, now - k * HOUR_MS, since) for k in (0, 1)]
        rows.append({"exchange": name, "ts": now, "since_ts": since, "hour": hours[0], "hour_before": hours[1]})
    return rows


def _sums(engine: Engine, held: NDArray[np.void], start: int, end: int, since: int) -> dict[str, Any] | None:
    if end <= since or (start < since and end < engine.clock_ms):
        return None
    inside = held[(held["ts_ms"] > start) & (held["ts_ms"] <= end)]
    sums = {"buy": 0.0, "sell": 0.0}
    for row in inside:
        side = "sell" if row["sell"] else "buy"
        sums[side] += float(engine.universe[int(row["instrument"])].notional(row["quote"]))
    return {
        "from_ts": max(start, since),
        "count": len(inside),
        "buy_notional": round(sums["buy"], 2),
        "sell_notional": round(sums["sell"], 2),
    }
