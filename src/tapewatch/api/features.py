"""Samples of features as JSON: what is a whole number of ticks or lots exactly, null with a reason where undefined."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..lab.lab import Study
from ..lab.table import Column, Window, columns_of, reason_of, window_of
from ..model.features import BPS_DEPTHS, LEVEL_DEPTHS, REALISED_MS, SAMPLES, SLOPE_BPS, STEP_MS, TOP
from ..model.instrument import Instrument
from .numbers import exact, grid_printer, printer, quote_printer

WINDOW_S = SAMPLES * STEP_MS // 1000
PARAMETERS = {
    "step_ms": STEP_MS,
    "samples": SAMPLES,
    "top_levels": TOP,
    "level_depths": list(LEVEL_DEPTHS),
    "bps_depths": list(BPS_DEPTHS),
    "slope_levels": TOP,
    "depth_per_bp_reach_bps": SLOPE_BPS,
    "realised_spread_ms": REALISED_MS,
}
"""How the figures are made, printed with them."""

IMBALANCE = f"imbalance_{TOP}"


def features_content(engine: Engine, instrument: Instrument) -> dict[str, Any]:
    """The rolling buffer and the figures over it."""
    study = engine.lab.study(instrument)
    samples, columns, window = read_study(study)
    fitted_ms = study.fitted_ms
    return {
        "ts": int(samples["ts_ms"][-1]) if len(samples) else None,
        "sampling": "bookTicker" if quotes_heard(study) else "depth",
        "parameters": PARAMETERS,
        "window": window_content(instrument, window, fitted_ms, engine.clock_ms),
        "features": sample_rows(instrument, samples, columns),
    }


def read_study(study: Study) -> tuple[NDArray[np.void], dict[str, Column], Window]:
    """The buffer of a study, its figures and those over the whole of it."""
    samples = study.samples()
    columns = columns_of(samples, quotes_heard(study))
    return samples, columns, window_of(study, samples, columns)


def quotes_heard(study: Study) -> bool:
    """Whether best quotes are heard beside the book's diffs."""
    return bool(study.state.base[0]["quotes"])


def sample_rows(instrument: Instrument, samples: NDArray[np.void], columns: dict[str, Column]) -> list[dict[str, Any]]:
    """One object a sample; `undefined` says why a figure is null."""
    printers = {name: figure_printer(instrument, name) for name in columns}
    rows = []
    for k, sample in enumerate(samples):
        row: dict[str, Any] = {"ts": int(sample["ts_ms"])}
        undefined: dict[str, str] = {}
        for name, values in columns.items():
            value = float(values[k])
            if math.isnan(value):
                row[name] = None
                undefined[name] = reason_of(name, live=bool(sample["live"]))
            else:
                row[name] = printers[name](value)
        row["imbalance"] = row[IMBALANCE]
        row["ofi_levels"] = [row.pop(f"ofi_level_{m + 1}") for m in range(TOP)]
        rows.append(row | {"undefined": undefined})
    return rows


def figure_printer(instrument: Instrument, name: str) -> Callable[[float], Any]:
    """How a figure of this name is printed."""
    tick = instrument.tick
    if name == "mid_price":
        half = printer(tick.units * 5, tick.decimals + 1)
        return lambda value: exact(half(round(2 * value)))
    if name == "spread":
        price = grid_printer(tick)
        return lambda value: exact(price(round(value)))
    if name.endswith("price"):
        return lambda value: round(tick.to_float(value), tick.decimals + 6)
    if name.endswith("_quote"):
        money = quote_printer(instrument)
        return lambda value: exact(money(round(value)))
    if name.startswith("depth_per_bp"):
        scale = instrument.notional_scale()
        return lambda value: round(value * scale, 2)
    if name in ("trades", "updates"):
        return int
    if name == "ofi_integrated" or "imbalance" in name or name.endswith("_bps") or name.startswith("slope"):
        return lambda value: round(value, 9)
    lots = grid_printer(instrument.lot)
    return lambda value: exact(lots(round(value)))


def window_content(instrument: Instrument, window: Window, fitted_ms: int, clock_ms: int) -> dict[str, Any]:
    """Regressions and sums over the buffer, each null with a reason where it cannot be said."""
    kyle, integrated = window.kyle, window.integrated
    lot, tick = instrument.lot, instrument.tick
    per_base = tick.to_float(1) / lot.to_float(1)
    no_vpin = "the average daily volume is not known yet" if not window.vpin_bucket else "no bucket is full yet"
    return {
        "seconds": WINDOW_S,
        "kyle_lambda": {
            "value": None if kyle is None else kyle.slope * per_base,
            "standard_error": None if kyle is None else kyle.slope_se * per_base,
            "r2": None if kyle is None else round(kyle.r2, 6),
            "n": 0 if kyle is None else kyle.n,
            "unit": f"{instrument.quote} per {instrument.base} of signed volume, 1 s steps, errors robust (HC0)",
            "reason": None if kyle is not None else "fewer than 30 seconds with a live book, or no trades",
        },
        "integrated_ofi": {
            "weights": None if integrated is None else [round(float(w), 6) for w in integrated[0]],
            "variance_explained": None if integrated is None else round(integrated[1], 6),
            "reason": None if integrated is not None else "fewer than 30 seconds with a live book",
        },
        "vpin": {
            "value": None if math.isnan(window.vpin) else round(window.vpin, 6),
            "buckets": window.vpin_buckets,
            "bucket_notional": round(window.vpin_bucket * instrument.notional_scale(), 2) or None,
            "reason": no_vpin if math.isnan(window.vpin) else None,
        },
        "stoikov_fit": {
            "fitted_at": fitted_ms or None,
            "age_ms": clock_ms - fitted_ms if fitted_ms else None,
            "reason": None if fitted_ms else "too few best quotes yet; fitted at each full minute",
        },
    }
