"""GET /api/impact/calibration: what real sweeps cost, beside what the walk through the book before them said."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..detect.detectors import Detectors
from ..lab.calibration import SWEEPS_KEPT, Sweep
from ..lab.lab import Study
from ..model.instrument import Instrument
from .numbers import exact, grid_printer, printer

DEFINITION = (
    "orders of one aggressor through several prices within moments; each is walked through the book as it stood before "
    "its first print, and both costs are against that book's mid price; error = predicted - realised"
)


def calibration_content(study: Study, instrument: Instrument, limit: int) -> dict[str, Any]:
    """Accuracy over the kept sweeps and the newest `limit` of them."""
    record = study.calibration
    found = record.accuracy()
    accuracy = None if found is None else {name: round(value, 6) for name, value in asdict(found).items()}
    return {
        "definition": DEFINITION,
        "parameters": parameters(study.detectors),
        "seen": record.seen,
        "not_compared": dict(record.not_compared),
        "accuracy_bps": accuracy,
        "sweeps": [sweep_content(one, instrument) for one in list(record.sweeps)[: -limit - 1 : -1]],
    }


def parameters(detectors: Detectors) -> dict[str, int]:
    """What makes an order a sweep here. Unlike a detection it may be small."""
    limits = detectors.limits
    return {"sweep_levels": limits.sweep_levels, "sweep_ms": limits.sweep_ms, "kept": SWEEPS_KEPT}


def sweep_content(sweep: Sweep, instrument: Instrument) -> dict[str, Any]:
    """One sweep; prices and quantities exact."""
    tick = instrument.tick
    price, lots = grid_printer(tick), grid_printer(instrument.lot)
    return {
        "ts": sweep.ts_ms,
        "side": "buy" if sweep.side > 0 else "sell",
        "quantity": exact(lots(sweep.lots)),
        "first_price": exact(price(sweep.first)),
        "last_price": exact(price(sweep.last)),
        "mid_price": exact(printer(tick.units * 5, tick.decimals + 1)(sweep.double_mid)),
        "levels": sweep.levels,
        "predicted_levels": sweep.predicted_levels,
        "duration_ms": sweep.duration_ms,
        "book_age_ms": sweep.age_ms,
        "predicted_bps": round(sweep.predicted_bps, 6),
        "realised_bps": round(sweep.realised_bps, 6),
        "error_bps": round(sweep.error_bps, 6),
    }
