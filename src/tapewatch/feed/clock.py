"""The venue's clock against ours, from round trips."""

from __future__ import annotations

from collections import deque

SAMPLES = 8
DRIFT_MS = 50.0
"""Two samples may differ by this and by half their round trips; by more only if a clock was set."""


class ClockOffset:
    """What to add to our clock to get the venue's; the sample with the shortest round trip is the most honest."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def add(self, sent_ms: float, received_ms: float, server_ms: float) -> None:
        """One answer of the venue: its time lies somewhere between our sending and receiving."""
        round_trip = max(0.0, received_ms - sent_ms)
        offset = server_ms - (sent_ms + received_ms) / 2
        if self._samples:
            best_trip, best_offset = min(self._samples)
            if abs(offset - best_offset) > (round_trip + best_trip) / 2 + DRIFT_MS:
                self._samples.clear()
        self._samples.append((round_trip, offset))

    @property
    def ms(self) -> float | None:
        """The venue's clock minus ours; None before the first sample."""
        return min(self._samples)[1] if self._samples else None

    @property
    def round_trip_ms(self) -> float:
        """The shortest round trip among the samples; 0 before the first."""
        return min(self._samples)[0] if self._samples else 0.0
