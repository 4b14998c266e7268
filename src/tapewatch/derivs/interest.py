"""Open interest, counted once on every venue: contracts that stand open, in base units and in money, and its change.

A figure is the present one for `FRESH_MS`, the longest that any venue is asked for it anew; the minutes of before are
compared by quantity, so that a move of the price is no change of what stands open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.instrument import Instrument
from ..model.interest import OpenInterest
from .basis import none
from .history import VenueHistory
from .pairs import in_dollars

FRESH_MS = 600_000

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Interest:
    """Of one venue at this moment, by instrument index; NaN is unknown."""

    ts_ms: NDArray[np.int64]
    quantity: Floats
    """Base units; of a figure older than `FRESH_MS`, NaN."""
    value: Floats
    """The same at the mark price, quote currency."""


def read_interest(engine: Engine, told: Mapping[str, OpenInterest]) -> Interest:
    """What the venue told of each instrument, as far as it still holds."""
    n = len(engine.universe)
    found = Interest(np.zeros(n, np.int64), np.full(n, np.nan), np.full(n, np.nan))
    for symbol, one in told.items():
        instrument = engine.universe.find(symbol)
        if instrument is not None:
            found.ts_ms[instrument.index] = one.ts_ms
            found.quantity[instrument.index] = float(one.quantity)
    found.quantity[engine.clock_ms - found.ts_ms > FRESH_MS] = np.nan
    mark_e8 = engine.quotes.marks["mark_e8"][:n]
    found.value = np.where(mark_e8 > 0, found.quantity * mark_e8 / 1e8, np.nan)
    return found


@dataclass(slots=True)
class Before:
    """The quantities of an hour and of a day ago, by instrument index; NaN where not seen."""

    hour: Floats
    day: Floats

    @classmethod
    def of(cls, history: VenueHistory) -> Before:
        return cls(history.ago("interest", 60), history.ago("interest", 1440))


def interest_row(name: str, instrument: Instrument, now: Interest, before: Before) -> dict[str, Any]:
    """What is told about one instrument's open interest; `usd` where its quote counts as dollars."""
    i = instrument.index
    quantity, ts_ms = float(now.quantity[i]), int(now.ts_ms[i])
    why = None
    if isnan(quantity):
        why = "what the venue told last is more than 10 minutes old" if ts_ms else "the venue has not told it yet"
    return {
        "exchange": name,
        "symbol": instrument.symbol,
        "kind": instrument.kind,
        "ts": ts_ms or None,
        "quantity": none(round(quantity, 8)),
        "usd": none(round(float(now.value[i]), 2)) if in_dollars(instrument) else None,
        "change_1h_pct": change_percent(quantity, float(before.hour[i])),
        "change_24h_pct": change_percent(quantity, float(before.day[i])),
        "why": why,
    }


def change_percent(now: float, then: float) -> float | None:
    """From then to now; None where either is unknown."""
    return none(round((now / then - 1) * 100, 2) + 0.0) if then > 0 else None  # what is minus zero is zero
