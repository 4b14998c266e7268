"""Liquidations by price bucket, in layers that are never added up: reported, and how many there may have been.

*Reported* is what the venue told. Where a venue tells at most one liquidation a symbol and second, that is the least
there was; the most is what takers traded on the forced side in the whole seconds up to the report, of which the
liquidations are a part (an order that closes a long sells). Where a venue tells all, both are the same; where it tells
a sample, nothing bounds them. *Estimated* future levels would need the leverage that no venue tells, and are absent.

A bucket is a danger zone when its reported notional reaches `danger_notional`, or `danger_share` of what the live book
holds on the way to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine
from ..model.derivs import DerivsThresholds
from ..model.instrument import Instrument
from ..model.tape import E8
from ..model.views import BookState, BookView
from .pressure import ring_rows

BUCKET_SHARE = 0.0012
"""Width of a bucket against the price before it is rounded to 1, 2 or 5: $100 at $84,000, $5 at $2,700."""
DEPTH = 5_000
DAY_MS = 86_400_000
ESTIMATED_WHY = "no venue tells at which leverage its open interest is held, so that future levels would be guesses"

Coverage = Literal["one a second", "all", "sampled"]
COVERAGE: dict[str, tuple[Coverage, str]] = {
    "binance": ("one a second", "Binance tells at most one liquidation a symbol and second, the largest."),
    "bybit": ("all", "Bybit tells every liquidation, at the bankruptcy price."),
    "okx": ("sampled", "OKX tells a sample of its liquidations, sometimes minutes late, at the bankruptcy price."),
}
"""How complete a venue's reports are."""
UNSTATED: tuple[Coverage, str] = ("sampled", "How complete this venue's reports are is not known.")


def default_bucket(instrument: Instrument, price_ticks: int) -> int:
    """Width in ticks: of 1, 2 and 5 x 10^n in price, the nearest (by ratio) to `BUCKET_SHARE`; never under a tick."""
    tick = float(instrument.tick.value)
    wanted = max(price_ticks * tick * BUCKET_SHARE, tick)
    power = math.floor(math.log10(wanted))
    nice = [factor * 10.0**p for p in (power, power + 1) for factor in (1, 2, 5)]
    width = min(nice, key=lambda one: abs(math.log(one / wanted)))
    return max(1, round(width / tick))


@dataclass(slots=True)
class Bounds:
    """The most that may have been liquidated with each report, lots; kept as reports come, while seconds are held."""

    engine: Engine
    upper: NDArray[np.int64]
    seen: int = 0

    @classmethod
    def of(cls, engine: Engine) -> Bounds:
        return cls(engine, np.full(len(engine.quotes.liquidations), -1, np.int64))

    def keep(self, coverage: Coverage) -> None:
        """Look at the reports since the last call whose second is over."""
        for row in self.engine.liquidations(self.seen, 1 << 20):
            if int(row["event_ms"]) // 1000 >= self.engine.clock_ms // 1000:
                return
            self.upper[int(row["seq"]) % len(self.upper)] = self._most(row, coverage)
            self.seen = int(row["seq"])

    def _most(self, row: np.void, coverage: Coverage) -> int:
        """Lots; -1 where nothing bounds them."""
        reported = int(row["qty"])
        if coverage == "all":
            return reported
        if coverage == "sampled":
            return -1
        i, end = int(row["instrument"]), int(row["event_ms"]) // 1000
        since = self.engine.counted_since_ms(i)
        numbers = np.arange(min(int(row["ts_ms"]) // 1000, end - 1), end + 1)
        if since is None or since > int(numbers[0]) * 1000:
            return -1
        seconds = ring_rows(self.engine.flow.seconds.ring, i, numbers)
        if seconds is None or seconds["gap"].any():
            return -1
        return max(reported, int(seconds["bid" if row["long"] else "ask"].sum()))

    def of_rows(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        known = self.upper[rows["seq"] % len(self.upper)]
        return np.where(rows["seq"] <= self.seen, known, -1)


def clusters(
    engine: Engine,
    instrument: Instrument,
    bounds: Bounds,
    limits: DerivsThresholds,
    bucket_ticks: int | None,
    heard_ms: int,
    window_ms: int = DAY_MS,
) -> dict[str, Any]:
    """Buckets ``[price, price + bucket)`` from the highest down, over the reports of the last `window_ms`.

    The venue has been listened to since `heard_ms`, 0: not yet.
    """
    rows = engine.liquidations(0, 1 << 20)
    full = len(rows) == len(engine.quotes.liquidations)
    since_ms = max(heard_ms, int(rows["ts_ms"].min())) if full else heard_ms
    rows = rows[(rows["instrument"] == instrument.index) & (rows["ts_ms"] > engine.clock_ms - window_ms)]
    ticks = _ticks(instrument, rows["price_e8"])
    view = engine.book(instrument.index, DEPTH)
    live = view.state is BookState.LIVE and len(view.bids) > 0 and len(view.asks) > 0
    anchor = int(view.bids[0, 0]) if live else int(engine.flow.trades[instrument.index]["last_price"])
    width = bucket_ticks or default_bucket(instrument, anchor or (int(ticks[-1]) if len(ticks) else 1))
    edges, place = np.unique(ticks // width, return_inverse=True)
    coverage, words = COVERAGE.get(instrument.venue, UNSTATED)
    upper = bounds.of_rows(rows)
    why_unbounded = words if coverage == "sampled" else "the trades around some of its reports are not all held"
    return {
        "price_decimals": instrument.tick.decimals,
        "bucket": instrument.tick.to_decimal(width),
        "ts": engine.clock_ms,
        "window_ms": window_ms,
        "since_ts": since_ms or None,
        "coverage": coverage,
        "coverage_words": words,
        "estimated": None,
        "estimated_why": ESTIMATED_WHY,
        "mid_price": instrument.tick.to_decimal(int(view.bids[0, 0] + view.asks[0, 0])) / 2 if live else None,
        "depth_why": None if live else f"the book is {view.state.value}, so no depth on the way is known",
        "danger_notional": limits.danger_notional,
        "danger_share": limits.danger_share,
        "clusters": [
            _bucket(instrument, int(edge) * width, width, rows[place == k], upper[place == k],
                    view if live else None, limits, why_unbounded)
            for k, edge in reversed(list(enumerate(edges.tolist())))
        ],
    }  # fmt: skip


def _ticks(instrument: Instrument, price_e8: NDArray[np.int64]) -> NDArray[np.int64]:
    """Tick at or below an average fill price, which need not lie on one."""
    scaled = [int(p) * 10**instrument.tick.decimals // (E8 * instrument.tick.units) for p in price_e8]
    return np.array(scaled, np.int64)


def money(instrument: Instrument, price_e8: NDArray[np.int64], lots: NDArray[np.int64]) -> Decimal:
    """Exact quote currency of reports at their average prices."""
    units = sum(int(p) * int(q) for p, q in zip(price_e8.tolist(), lots.tolist(), strict=True))
    return Decimal(units * instrument.lot.units).scaleb(-8 - instrument.lot.decimals)


def _bucket(
    instrument: Instrument,
    low: int,
    width: int,
    rows: NDArray[np.void],
    upper: NDArray[np.int64],
    view: BookView | None,
    limits: DerivsThresholds,
    why_unbounded: str,
) -> dict[str, Any]:
    long, short = rows[rows["long"] == 1], rows[rows["long"] == 0]
    of_long, of_short = (money(instrument, side["price_e8"], side["qty"]) for side in (long, short))
    notional = of_long + of_short
    depth = None if view is None else depth_to_reach(view, low, low + width)
    reach = None if depth is None else instrument.notional(depth)
    share = float(notional / reach) if reach else None
    level, because = danger(float(notional), share, limits)
    bounded = bool((upper >= 0).all())
    return {
        "price": instrument.tick.to_decimal(low),
        "long_count": len(long),
        "short_count": len(short),
        "long_notional": of_long.normalize() + 0,
        "short_notional": of_short.normalize() + 0,
        "notional": notional.normalize() + 0,
        "upper_notional": money(instrument, rows["price_e8"], upper).normalize() + 0 if bounded else None,
        "upper_why": None if bounded else why_unbounded,
        "last_ts": int(rows["ts_ms"].max()),
        "depth_to_reach": None if reach is None else reach.normalize() + 0,
        "depth_share": None if share is None else round(share, 4),
        "level": level,
        "because": because,
        "danger": level in ("danger", "critical"),
    }


def danger(notional: float, share: float | None, limits: DerivsThresholds) -> tuple[str, list[str]]:
    """``none``, ``watch``, ``danger`` or ``critical``, and by which of ``notional`` and ``depth``."""
    because = []
    if notional >= limits.danger_notional:
        because.append("notional")
    if share is not None and share >= limits.danger_share:
        because.append("depth")
    if share is not None and share >= 2 * limits.danger_share:
        return "critical", because
    if because:
        return "danger", because
    return ("watch", ["depth"]) if share is not None and share >= limits.danger_share / 2 else ("none", [])


def depth_to_reach(view: BookView, low: int, high: int) -> int | None:
    """Ticks x lots from the touch through [low, high); None where the book that is held does not reach that far."""
    if low >= int(view.asks[0, 0]):
        known, reached = view.asks, view.asks[:, 0] < high
        complete = int(view.asks[-1, 0]) >= high and high - 1 <= view.high
    else:
        known, reached = view.bids, view.bids[:, 0] >= low
        complete = int(view.bids[-1, 0]) < low and low >= view.low
    return int((known[reached, 0] * known[reached, 1]).sum()) if complete else None
