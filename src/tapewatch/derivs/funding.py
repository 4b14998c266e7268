"""Funding: the rate of the next payment, normalised by the symbol's own interval, and where it is going.

    8 h   rate x 8 / hours between payments        year   rate x payments a day x 365

Slope is that of the least-squares line through the last 60 minutes' values of the running estimate (normalised to
8 h), in basis points an hour. Percentile is the share of the symbol's own known minutes below the present one (ties
count half).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.derivs import DerivsThresholds
from ..model.instrument import Instrument
from .basis import none
from .history import MINUTES, VenueHistory

HOUR_MS = 3_600_000
SLOPE_MINUTES = 60
SLOPE_LEAST = 10
"""Minutes that a slope needs, and that a percentile needs."""
PERCENTILE_LEAST = 60


def normalised(rate: float, funding_ms: int) -> tuple[float, float]:
    """A rate per `funding_ms` as percent per 8 hours and percent a year."""
    hours = funding_ms / HOUR_MS
    return rate * 8 / hours * 100, rate * 24 / hours * 365 * 100


def payer(rate: float) -> str:
    """Who pays whom at the next payment."""
    return "LONGS PAY" if rate > 0 else "SHORTS PAY" if rate < 0 else "NOBODY PAYS"


@dataclass(slots=True)
class Funding:
    """Figures of one venue at this moment, by instrument index; NaN is unknown. Rates are fractions an interval."""

    clock_ms: int
    event_ms: NDArray[np.int64]
    rate: NDArray[np.float64]
    next_ms: NDArray[np.int64]
    funding_ms: NDArray[np.int64]
    """Time between payments: as the venue tells it, else as learned from two payments; 0 is unknown."""


def read_rates(engine: Engine, history: VenueHistory | None) -> Funding:
    """The newest rate of every instrument that has had one; spot and dated contracts never have."""
    n = len(engine.universe)
    marks = engine.quotes.marks[:n]
    funded = np.array([one.kind not in ("spot", "future") for one in engine.universe], bool)
    told = np.array([one.funding_ms for one in engine.universe], np.int64)
    if history is not None and len(history.funding_ms) >= n:
        told = np.where(told > 0, told, history.funding_ms[:n])
    known = funded & (marks["event_ms"] > 0) & (marks["next_funding_ms"] > 0)
    rate = np.where(known, marks["rate_e8"] / 1e8, np.nan)
    return Funding(engine.clock_ms, marks["event_ms"].copy(), rate, marks["next_funding_ms"].copy(), told)


def slopes(numbers: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Least-squares slope a minute of each column over its known rows, and their count; NaN below SLOPE_LEAST."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    x = (numbers - numbers[-1]).astype(np.float64)[:, None] * np.ones(values.shape[1])
    x[~known] = 0.0
    y = np.where(known, values, 0.0)
    mean_x, mean_y = x.sum(axis=0) / np.maximum(count, 1), y.sum(axis=0) / np.maximum(count, 1)
    dx, dy = np.where(known, x - mean_x, 0.0), np.where(known, y - mean_y, 0.0)
    spread = (dx * dx).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (dx * dy).sum(axis=0) / spread
    slope[count < SLOPE_LEAST] = np.nan
    return slope, count


def percentiles(values: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Percent of each column's known rows below `now`, ties half, and their count; NaN below PERCENTILE_LEAST."""
    known = (~np.isnan(values)).sum(axis=0)
    below = (values < now).sum(axis=0) + 0.5 * (values == now).sum(axis=0)
    share = np.where((known >= PERCENTILE_LEAST) & ~np.isnan(now), 100.0 * below / np.maximum(known, 1), np.nan)
    return share, known


@dataclass(slots=True)
class Momentum:
    """Where the rates come from, by instrument index."""

    slope: NDArray[np.float64]
    """Of the rate as the venue tells it, a minute."""
    slope_minutes: NDArray[np.int64]
    percentile: NDArray[np.float64]
    minutes: NDArray[np.int64]
    hour_ago: NDArray[np.float64]
    day_ago: NDArray[np.float64]


def read_momentum(history: VenueHistory, funding: Funding) -> Momentum:
    n = len(funding.rate)
    numbers, recent = history.last("rate", SLOPE_MINUTES)
    slope, slope_minutes = slopes(numbers, recent[:, :n])
    _, whole = history.last("rate", MINUTES)
    percentile, minutes = percentiles(whole[:, :n], funding.rate.astype(np.float32).astype(np.float64))
    hour, day = history.ago("rate", 60)[:n], history.ago("rate", 1440)[:n]
    return Momentum(slope, slope_minutes, percentile, minutes, hour, day)


def funding_row(
    name: str, instrument: Instrument, funding: Funding, momentum: Momentum, limits: DerivsThresholds
) -> dict[str, Any]:
    """What is told about one instrument's funding."""
    i = instrument.index
    rate, funding_ms = float(funding.rate[i]), int(funding.funding_ms[i])
    known, scaled = not isnan(rate), not isnan(rate) and funding_ms > 0
    per_8h, per_year = normalised(rate, funding_ms) if scaled else (np.nan, np.nan)
    to_8h = 8 * HOUR_MS / funding_ms if funding_ms else np.nan
    percentile = round(float(momentum.percentile[i]), 2)
    by_rate = scaled and abs(per_8h) >= limits.funding_extreme_percent
    edge = limits.funding_extreme_percentile
    by_rank = not isnan(percentile) and (percentile >= edge or percentile <= 100 - edge)
    return {
        "exchange": name,
        "symbol": instrument.symbol,
        "kind": instrument.kind,
        "ts": int(funding.event_ms[i]) or None,
        "rate_pct": round(rate * 100, 6) if known else None,
        "interval_h": funding_ms / HOUR_MS if funding_ms else None,
        "rate_8h_pct": none(round(per_8h, 6)),
        "annual_pct": none(round(per_year, 4)),
        "payer": payer(rate) if known else None,
        "next_ts": int(funding.next_ms[i]) if known else None,
        "slope_bps_per_h": none(round(float(momentum.slope[i]) * 60 * to_8h * 1e4, 4)),
        "slope_minutes": int(momentum.slope_minutes[i]),
        "percentile": none(percentile),
        "percentile_minutes": int(momentum.minutes[i]),
        "extreme": by_rate or by_rank if known else None,
        "extreme_by": [word for word, is_so in (("rate", by_rate), ("percentile", by_rank)) if is_so],
        "rate_8h_pct_1h_ago": none(round(float(momentum.hour_ago[i]) * to_8h * 100, 6)),
        "rate_8h_pct_24h_ago": none(round(float(momentum.day_ago[i]) * to_8h * 100, 6)),
        "why": _why(instrument, known, funding_ms),
    }


def _why(instrument: Instrument, known: bool, funding_ms: int) -> str | None:
    if instrument.kind in ("spot", "future"):
        return "a dated future pays no funding" if instrument.kind == "future" else "spot pays no funding"
    if not known:
        return "the venue has not told a rate yet"
    if not funding_ms:
        return "the venue has not told how often this symbol pays"
    return None
