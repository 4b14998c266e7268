"""How late the market reaches us: milliseconds from the venue's own event time to a moment of ours."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

RECENT = 4096
"""Samples behind a percentile: one a socket read, so some seconds of a busy feed."""

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 60_000)
"""Upper bounds of the buckets that metrics show."""


class LagMeter:
    """Percentiles of the newest samples, and buckets over all of them."""

    def __init__(self) -> None:
        self._ring = np.zeros(RECENT)
        self.count = 0
        self.sum_ms = 0.0
        self.buckets = [0] * (len(BOUNDS_MS) + 1)

    def add(self, lag_ms: float) -> None:
        self._ring[self.count % RECENT] = lag_ms
        self.count += 1
        self.sum_ms += lag_ms
        self.buckets[bisect_left(BOUNDS_MS, lag_ms)] += 1

    def percentiles(self) -> tuple[float | None, float | None]:
        """p50 and p99 of the newest samples; None before the first."""
        if not self.count:
            return None, None
        p50, p99 = np.percentile(self._ring[: min(self.count, RECENT)], (50, 99))
        return round(float(p50), 1), round(float(p99), 1)

    def cumulative(self) -> list[tuple[str, float]]:
        """Buckets as Prometheus wants them: each bound with all samples up to it, in seconds."""
        total = 0
        rows = []
        for bound, n in zip((*BOUNDS_MS, float("inf")), self.buckets, strict=True):
            total += n
            rows.append(("+Inf" if bound == float("inf") else str(bound / 1000), float(total)))
        return rows
