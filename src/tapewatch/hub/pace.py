"""Overload: what is given up, in declared tiers, and when it comes back.

Views are conflated, so they can be refreshed less often and lose nothing: what is shown is older, never wrong. That is
all a tier costs. Sockets are read, trades, books and the journal kept at every tier; what even the last tier cannot
carry waits in the sockets' own buffers, late and not lost, and shows as lag.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from enum import Enum

log = logging.getLogger(__name__)

SLOWEST_S = 3.0
"""No tier makes a view slower than this: the page calls what is older stale."""
STRAINED_BUSY, STRAINED_LATE_MS = 0.9, 1000.0
"""The event loop works for this share of a second, or lets a timer wait so long (other programs have the processor):
it cannot carry more."""
CALM_BUSY, CALM_LATE_MS = 0.6, 300.0
"""There is room to give back what was taken. Between the two nothing changes."""
STEP_UP_AFTER_S = 2
STEP_DOWN_AFTER_S = 10
LONGEST_HOLD_S = 160
"""A tier that was left too early is held twice as long the next time, up to this."""
RELAPSE_S = 60
PROBES_A_SECOND = 10


class Tier(Enum):
    """How much is shown of what is known, from all of it downwards."""

    FULL = 1.0
    EASED = 3.0
    SLOW = 10.0
    SPARSE = 30.0

    @property
    def pace(self) -> float:
        """Factor on the period of every view."""
        return self.value

    @property
    def words(self) -> str:
        """What it means for who looks at a screen."""
        if self is Tier.FULL:
            return "every view at its own pace"
        return f"overloaded: views at 1/{self.value:.0f} of their pace, trades and books complete"


_TIERS = tuple(Tier)


@dataclass(slots=True)
class Governor:
    """Chooses the tier from one measurement a second. Quick to ease, slow to come back."""

    tier: Tier = Tier.FULL
    steps: int = 0
    """Changes of the tier since the start."""
    busy: float = 0.0
    """Share of the last second in which the loop's thread ran."""
    late_ms: float = 0.0
    """Longest that a timer of the loop waited in the last second."""
    _strained_s: int = 0
    _calm_s: int = 0
    _hold_s: int = STEP_DOWN_AFTER_S
    _since_down_s: int = RELAPSE_S

    @property
    def number(self) -> int:
        """0 is full."""
        return _TIERS.index(self.tier)

    def observe(self, busy: float, late_ms: float) -> bool:
        """Take the measurement of a second; whether the tier has changed."""
        self.busy, self.late_ms = busy, late_ms
        strained = busy >= STRAINED_BUSY or late_ms >= STRAINED_LATE_MS
        calm = busy < CALM_BUSY and late_ms < CALM_LATE_MS
        self._strained_s = self._strained_s + 1 if strained else 0
        self._calm_s = self._calm_s + 1 if calm else 0
        self._since_down_s += 1
        if self._strained_s >= STEP_UP_AFTER_S and self.tier is not _TIERS[-1]:
            relapsed = self._since_down_s < RELAPSE_S
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if relapsed else STEP_DOWN_AFTER_S
            return self._step(1)
        if self._calm_s >= self._hold_s and self.tier is not Tier.FULL:
            self._since_down_s = 0
            return self._step(-1)
        return False

    def _step(self, by: int) -> bool:
        self.tier = _TIERS[self.number + by]
        self.steps += 1
        self._strained_s = self._calm_s = 0
        return True

    async def run(self) -> None:
        """Measure the event loop this runs in, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began, worked, late = time.monotonic(), time.thread_time(), 0.0
            for _ in range(PROBES_A_SECOND):
                due = loop.time() + 1 / PROBES_A_SECOND
                await asyncio.sleep(1 / PROBES_A_SECOND)
                late = max(late, loop.time() - due)
            busy = (time.thread_time() - worked) / (time.monotonic() - began)
            if self.observe(busy, late * 1000):
                log.warning(
                    "load_tier tier=%s views_at=1/%.0f busy=%.2f late_ms=%.0f",
                    self.tier.name.lower(), self.tier.pace, busy, late * 1000,
                )  # fmt: skip
