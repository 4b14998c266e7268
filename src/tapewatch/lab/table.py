"""Features as figures: the rolling buffer of a study as columns of floats, NaN where a figure is not defined.

Prices are ticks, quantities lots, `quote` ticks x lots, as in FEATURES; ratios and basis points are plain numbers. What
is printed exactly (mid price, volumes, OFI) is a whole number here; the API turns it into a decimal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ..flow.pressure import Line, fit_line, integrated_ofi, vpin
from ..model.features import BPS_DEPTHS, LEVEL_DEPTHS, REALISED_MS, SLOPE_BPS, STEP_MS, TOP
from .lab import Study

Column = NDArray[np.float64]

NOT_LIVE = "the book was not live"
REASONS = {
    "stoikov_microprice": "not fitted yet, a state of imbalance and spread hardly ever seen, or a fit that strays "
    "further than the spread",
    "depth_weighted_price": f"fewer than {TOP} levels are known on a side",
    "slope": f"fewer than {TOP} levels are known on a side, or the first holds one lot",
    "depth_per_bp": f"the known book ends within {SLOPE_BPS} bps of the mid price",
    "imbalance": "the known book ends before this depth",
    "cumulative": "the known book ends before this depth",
    "total": f"the known book ends within {TOP} levels",
    "ofi_ckS": "no best quotes were heard in this second",
    "ofi_integrated": "too few samples with a live book for a principal component",
    "effective_spread_bps": "nothing traded in this second, or no mid price was known yet",
    "realised_spread_bps": f"no print became {REALISED_MS} ms old in this second",
}
"""Why a figure is not defined, by the beginning of its name; before these comes NOT_LIVE."""
OF_THE_BOOK = ("imbalance", "total", "cumulative", "slope", "depth", "stoikov")
"""Beginnings of the names that say nothing without a live book."""


@dataclass(frozen=True, slots=True)
class Window:
    """Figures of the whole buffer rather than of one second."""

    kyle: Line | None
    """Change of mid price in ticks per signed lot, second by second."""
    integrated: tuple[Column, float] | None
    """Weights of the levels in the integrated OFI, and the share of variance they explain."""
    vpin: float
    vpin_buckets: int
    vpin_bucket: int
    """Size of a bucket, ticks x lots; 0: average daily volume not known."""


def columns_of(samples: NDArray[np.void], quotes_heard: bool) -> dict[str, Column]:
    """Every figure of every sample, by its name; NaN where it is not defined."""
    live = samples["live"] == 1
    known = {name: np.where(live & (samples[name] >= 0), samples[name], np.nan) for name in ("bid", "ask")}
    out: dict[str, Column] = {
        "mid_price": (known["bid"] + known["ask"]) / 2,
        "spread": known["ask"] - known["bid"],
        "microprice": np.where(live, samples["weighted_mid"], np.nan),
        "stoikov_microprice": np.where(live, samples["stoikov"], np.nan),
        "depth_weighted_price": np.where(live, samples["depth_weighted"], np.nan),
    }
    for k, depth in enumerate(LEVEL_DEPTHS):
        out[f"imbalance_{depth}"] = _balance(_at(samples, "bid_levels", k), _at(samples, "ask_levels", k))
    for k, bps in enumerate(BPS_DEPTHS):
        out[f"imbalance_{bps}bps"] = _balance(_at(samples, "bid_bps", k), _at(samples, "ask_bps", k))
    top = LEVEL_DEPTHS.index(TOP)
    out["total_bid_volume"], out["total_ask_volume"] = _at(samples, "bid_levels", top), _at(samples, "ask_levels", top)
    for k, bps in enumerate(BPS_DEPTHS):
        for side in ("bid", "ask"):
            out[f"cumulative_{side}_{bps}bps"] = _at(samples, f"{side}_bps", k)
            out[f"cumulative_{side}_{bps}bps_quote"] = _at(samples, f"{side}_bps_quote", k)
    out["slope_bid"], out["slope_ask"] = (np.where(live, samples[f"{s}_slope"], np.nan) for s in ("bid", "ask"))
    out["slope"] = (out["slope_bid"] + out["slope_ask"]) / 2
    for side in ("bid", "ask"):
        out[f"depth_per_bp_{side}"] = np.where(live, samples[f"{side}_per_bp"], np.nan)
    for name in ("d_bid", "d_ask"):
        out[f"{name}_volume"] = samples[name].astype(np.float64)
    out["ofi"] = out["d_bid_volume"] - out["d_ask_volume"]
    out["ofi_ckS"] = np.where(quotes_heard, samples["quote_ofi"], np.nan)
    for k in range(TOP):
        out[f"ofi_level_{k + 1}"] = samples["level_ofi"][:, k].astype(np.float64)
    buy, sell = samples["buy"].astype(np.float64), samples["sell"].astype(np.float64)
    out["trade_flow"] = buy - sell
    out["trade_flow_imbalance"] = _balance(buy, sell)
    for name in ("effective", "realised"):
        lots = np.where(samples[f"{name}_lots"] > 0, samples[f"{name}_lots"], np.nan)
        out[f"{name}_spread_bps"] = samples[name] / lots * 10_000
    out["trades"], out["updates"] = samples["trades"].astype(np.float64), samples["updates"].astype(np.float64)
    return out


def _at(samples: NDArray[np.void], name: str, k: int) -> Column:
    values = samples[name][:, k]
    return np.where((samples["live"] == 1) & (values >= 0), values, np.nan)


def _balance(one: Column, other: Column) -> Column:
    """(one - other) / (one + other): 0 where both are, NaN where one is not known."""
    total = one + other
    return np.divide(one - other, total, out=np.where(np.isnan(total), np.nan, 0.0), where=total > 0)


def window_of(study: Study, samples: NDArray[np.void], columns: dict[str, Column]) -> Window:
    """Regressions and sums over the buffer; adds `ofi_integrated` to `columns`."""
    mid = columns["mid_price"]
    moves, flow = np.diff(mid), columns["trade_flow"][1:]
    # A pair of samples more than a step apart has a hole between them.
    usable = ~np.isnan(moves) & (np.diff(samples["ts_ms"]) == STEP_MS)
    depth = (columns["total_bid_volume"] + columns["total_ask_volume"]) / (2 * TOP)
    live = ~np.isnan(depth)
    average = float(depth[live].mean()) if live.any() else float("nan")
    scaled = samples["level_ofi"].astype(np.float64) / average
    integrated = integrated_ofi(scaled[live]) if live.any() else None
    columns["ofi_integrated"] = np.full(len(samples), np.nan) if integrated is None else scaled @ integrated[0]
    value, buckets = vpin(study.state.cost, study.state.buckets)
    return Window(
        kyle=fit_line(flow[usable], moves[usable]),
        integrated=integrated,
        vpin=value,
        vpin_buckets=buckets,
        vpin_bucket=int(study.state.cost[0]["bucket"]),
    )


class Unit(StrEnum):
    """What a figure counts."""

    TICKS = "ticks"
    LOTS = "lots"
    QUOTE = "quote"
    """Ticks x lots."""
    NUMBER = "number"


def unit_of(name: str) -> Unit:
    """What the figure of this name counts."""
    if name == "spread" or name.endswith("price"):
        return Unit.TICKS
    if name.endswith("_quote") or name.startswith("depth_per_bp"):
        return Unit.QUOTE
    numbers = name in ("trades", "updates", "ofi_integrated") or name.startswith("slope")
    return Unit.NUMBER if numbers or "imbalance" in name or name.endswith("_bps") else Unit.LOTS


def reason_of(name: str, *, live: bool) -> str:
    """Why the figure called `name` is not defined in a sample."""
    of_the_book = name in ("mid_price", "spread", "microprice") or name.startswith(OF_THE_BOOK)
    if not live and of_the_book:
        return NOT_LIVE
    for beginning, reason in REASONS.items():
        if name.startswith(beginning):
            return reason
    return NOT_LIVE


def reasons_of(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Of every figure, why it is not defined: while the book is live, and while it is not."""
    return {name: (reason_of(name, live=True), reason_of(name, live=False)) for name in names}
