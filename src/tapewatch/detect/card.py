"""The report card of a detector: how often it fired and what the mid price did next, against any other moment."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from ..model.detection import Detection, DetectionKind

HORIZONS_MS = (1_000, 5_000, 30_000)
KEPT = 1_000
"""Returns kept of each detector and horizon, and of the baseline; the oldest gives way."""
BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Forward returns in basis points, signed so that the direction the event favours is positive."""

    n: int
    mean: float
    std: float
    p25: float
    median: float
    p75: float


class ReportCard:
    """Forward returns by detector. The baseline is every whole second, long and short in turn."""

    def __init__(self) -> None:
        self.fired: Counter[DetectionKind] = Counter()
        self.watched_s = 0
        """Seconds with a live book."""
        self._waiting: deque[tuple[int, str, int, int, int]] = deque()
        """(due, name, side, twice the mid price then, horizon) in order of time begun, not of time due."""
        self._returns: dict[tuple[str, int], deque[float]] = {}

    def fire(self, event: Detection, at_ms: int, double_mid: int) -> None:
        """Begin to watch what follows an event."""
        self.fired[event.kind] += 1
        self._begin(event.kind.value, event.side, at_ms, double_mid)

    def _begin(self, name: str, side: int, at_ms: int, double_mid: int) -> None:
        if double_mid > 0:
            self._waiting.extend((at_ms + horizon, name, side, double_mid, horizon) for horizon in HORIZONS_MS)

    def on_second(self, at_ms: int, double_mid: int) -> None:
        """The mid price at a whole second; 0 where no book is live, and then what is due is never known."""
        self.watched_s += double_mid > 0
        due = [entry for entry in self._waiting if entry[0] <= at_ms]
        if due:
            self._waiting = deque(entry for entry in self._waiting if entry[0] > at_ms)
        for _, name, side, before, horizon in due:
            if double_mid > 0:
                kept = self._returns.setdefault((name, horizon), deque(maxlen=KEPT))
                kept.append(side * (double_mid / before - 1) * 10_000)
        self._begin(BASELINE, 1 if at_ms // 1000 % 2 else -1, at_ms, double_mid)

    def distribution(self, name: str, horizon_ms: int) -> Distribution | None:
        """Returns of a detector (or BASELINE) after a horizon; None where there is none yet."""
        kept = self._returns.get((name, horizon_ms))
        if not kept:
            return None
        values = np.array(kept)
        low, middle, high = np.percentile(values, (25, 50, 75))
        return Distribution(
            len(values), float(values.mean()), float(values.std()), float(low), float(middle), float(high)
        )
