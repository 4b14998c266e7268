"""How long things take: histograms of fixed size, and the stages of one venue's way to the screen."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import frexp

PARTS = 8
"""Buckets in an octave: a percentile is known to about 5 %."""
OCTAVES = 27
"""From 1 us to 134 s; what is shorter or longer counts in the first or last bucket."""
BUCKETS = PARTS * OCTAVES
RECENT = 4096
"""Percentiles are of so many newest samples, and of older ones at half their weight and less."""
SHOWN_FROM = 4
"""First octave with a bucket of its own in metrics: 16 us. Every second octave has one."""


class Histogram:
    """Durations in logarithmic buckets: counts since the start for metrics, fading ones for percentiles."""

    __slots__ = ("_all", "_recent", "_samples", "count", "sum_ms")

    def __init__(self) -> None:
        self.count = 0
        self.sum_ms = 0.0
        self._all = [0] * BUCKETS
        self._recent = [0] * BUCKETS
        self._samples = 0

    def add(self, ms: float) -> None:
        """Count one duration; a negative one, which only a wrong clock can make, is none at all."""
        part, octave = frexp(ms * 1000.0)
        bucket = PARTS * (octave - 1) + int(part * (2 * PARTS)) - PARTS
        if bucket < 0 or part < 0.0:
            bucket = 0
        elif bucket >= BUCKETS:
            bucket = BUCKETS - 1
        self._all[bucket] += 1
        self._recent[bucket] += 1
        self.count += 1
        self.sum_ms += max(ms, 0.0)
        self._samples += 1
        if self._samples >= 2 * RECENT:
            self._recent = [n // 2 for n in self._recent]
            self._samples = sum(self._recent)

    def percentiles(self) -> tuple[float | None, float | None]:
        """p50 and p99 of the newest samples, ms; None before the first."""
        if not self._samples:
            return None, None
        reached = list(accumulate(self._recent))
        p50, p99 = (_middle(bisect_left(reached, self._samples * share)) for share in (0.5, 0.99))
        return p50, p99

    def cumulative(self) -> list[tuple[str, float]]:
        """All samples as Prometheus wants them: upper bounds in seconds, each with all samples below it."""
        reached = [0, *accumulate(self._all)]
        rows = [
            (f"{2.0**octave / 1e6:.6g}", float(reached[PARTS * octave])) for octave in range(SHOWN_FROM, OCTAVES, 2)
        ]
        return [*rows, ("+Inf", float(reached[-1]))]


def _middle(bucket: int) -> float:
    octave, part = divmod(bucket, PARTS)
    ms = 2.0**octave * (1 + (part + 0.5) / PARTS) / 1000
    return float(f"{ms:.3g}")


STAGES = ("receive", "decode", "engine", "hub", "send")
"""From the venue's event time to received (by the venue's clock); to decoded; to applied; from a view's beat to its
frame built; from built to handed to the sockets of all clients that can take it. The wait for the beat is no stage: it
is the pace of a view."""


class Latency:
    """One venue's way from the exchange to the screen."""

    def __init__(self) -> None:
        self.total = Histogram()
        """Event time to applied, by the venue's clock; one sample a socket read, of its oldest event."""
        self.stages = {stage: Histogram() for stage in STAGES}
