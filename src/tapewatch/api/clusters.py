"""Reported liquidations by price bucket, each beside what the book holds on the way there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.instrument import Instrument
from ..model.tape import E8
from ..model.views import BookState, BookView
from .numbers import exact, grid_printer, printer, quote_printer, trimmed

DANGER_SHARE = 0.5
"""A bucket is dangerous when what was liquidated in it is at least this share of the depth on the way to it."""
BUCKETS_WANTED = 50
"""Of the default width, which follows from the range of prices."""
DEPTH = 5000


def clusters(engine: Engine, instrument: Instrument, bucket_ticks: int | None) -> dict[str, Any]:
    """Buckets ``[price, price + bucket)`` from the highest down, over the liquidations that are held."""
    rows = engine.liquidations(0, 1 << 20)
    rows = rows[rows["instrument"] == instrument.index]
    ticks = _ticks(instrument, rows["price_e8"])
    width = bucket_ticks or _default_width(ticks)
    edges, place = np.unique(ticks // width, return_inverse=True)
    view = engine.book(instrument.index, DEPTH)
    live = view.state is BookState.LIVE and len(view.bids) > 0 and len(view.asks) > 0
    price = grid_printer(instrument.tick)
    half = printer(instrument.tick.units * 5, instrument.tick.decimals + 1)
    return {
        "bucket": exact(price(width)),
        "mid_price": exact(half(int(view.bids[0, 0] + view.asks[0, 0]))) if live else None,
        "clusters": [
            _bucket(instrument, int(edge) * width, width, rows[place == k], view if live else None)
            for k, edge in reversed(list(enumerate(edges.tolist())))
        ],
    }


def _ticks(instrument: Instrument, price_e8: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tick at or below an average fill price, which need not lie on one."""
    scaled = [int(p) * 10**instrument.tick.decimals // (E8 * instrument.tick.units) for p in price_e8]
    return np.array(scaled, np.int64)


def _default_width(ticks: NDArray[np.int64]) -> int:
    """The smallest of 1, 2, 5, 10, 20, … ticks that gives at most `BUCKETS_WANTED` buckets."""
    if not len(ticks):
        return 1
    span = int(ticks.max() - ticks.min()) + 1
    width = 1
    while width * BUCKETS_WANTED < span:
        width = width * 5 // 2 if str(width)[0] == "2" else width * 2
    return width


def _bucket(
    instrument: Instrument, low: int, width: int, rows: NDArray[np.void], view: BookView | None
) -> dict[str, Any]:
    totals = {}
    counts = {}
    for side, flag in (("long", 1), ("short", 0)):
        of_side = rows[rows["long"] == flag]
        counts[side] = len(of_side)
        totals[side] = sum(int(r["price_e8"]) * int(r["qty"]) for r in of_side) * instrument.lot.units
    money = trimmed(1, 8 + instrument.lot.decimals)
    both = sum(totals.values())
    reach = None if view is None else _depth_to_reach(view, low, low + width)
    notional = both / (E8 * 10**instrument.lot.decimals)
    return {
        "price": exact(grid_printer(instrument.tick)(low)),
        "long_count": counts["long"],
        "short_count": counts["short"],
        "long_notional": exact(money(totals["long"])),
        "short_notional": exact(money(totals["short"])),
        "notional": exact(money(both)),
        "depth_to_reach": None if reach is None else exact(quote_printer(instrument)(reach)),
        "danger": reach is not None and notional >= DANGER_SHARE * float(instrument.notional(reach)),
    }


def _depth_to_reach(view: BookView, low: int, high: int) -> int | None:
    """Ticks x lots from the touch through [low, high); None where the book that is held does not reach that far."""
    if low >= int(view.asks[0, 0]):
        known, reached = view.asks, view.asks[:, 0] < high
        complete = int(view.asks[-1, 0]) >= high
    else:
        known, reached = view.bids, view.bids[:, 0] >= low
        complete = int(view.bids[-1, 0]) < low
    return int((known[reached, 0] * known[reached, 1]).sum()) if complete else None
