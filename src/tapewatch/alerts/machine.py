"""The state of one rule over many instruments: idle, pending, firing. Values and times in, who moved out.

    idle ──on──► pending ──held `for_s`──► firing ──beyond clear──► idle
          ◄─off, or unknown─┘

Pending is broken by a value that is not known: a rule that wants to hold for a minute wants to be seen holding. Firing
is not: what is unknown has not ended. All instruments move in a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .rule import Rule

IDLE, PENDING, FIRING = range(3)
STATES = ("idle", "pending", "firing")
Places = NDArray[np.intp]
_NOBODY: Places = np.zeros(0, np.intp)


@dataclass(frozen=True, slots=True)
class Moves:
    """Places that began to fire and that ended; `held`: how many would have fired but for the cooldown."""

    fired: Places
    ended: Places
    held: int = 0


NO_MOVES = Moves(_NOBODY, _NOBODY)


class Machine:
    """States by place. Times are ms of the venue's clock and never go back; begin a new machine where they do."""

    def __init__(self, rule: Rule, places: int) -> None:
        self._rule = rule
        self._for_ms = round(rule.for_s * 1000)
        self._cooldown_ms = round(rule.cooldown_s * 1000)
        self._crosses = rule.compare.startswith("crosses_")
        self._sign = -1.0 if rule.compare in ("below", "crosses_below") else 1.0
        self.state: NDArray[np.int8] = np.zeros(places, np.int8)
        self.since_ms: NDArray[np.int64] = np.zeros(places, np.int64)
        """When the comparison began to hold, of those pending or firing."""
        self._free_ms: NDArray[np.int64] = np.zeros(places, np.int64)
        self._held: NDArray[np.bool_] = np.zeros(places, np.bool_)
        self._armed: NDArray[np.bool_] = np.full(places, not self._crosses)
        self._active = False

    def fit(self, places: int) -> None:
        """Make room for more."""
        more = places - len(self.state)
        if more > 0:
            fresh = Machine(self._rule, more)
            for name in ("state", "since_ms", "_free_ms", "_held", "_armed"):
                setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))

    def restore(self, place: int, since_ms: int) -> None:
        """Go on firing where an earlier machine left off."""
        self.state[place] = FIRING
        self.since_ms[place] = since_ms
        self._armed[place] = self._active = True

    def release(self, places: NDArray[np.bool_]) -> None:
        """Let go of what these are doing, without having seen an end."""
        self.state[places] = IDLE

    def cool(self, place: int, fired_ms: int) -> None:
        """Take a cooldown up again that began with an alert of then."""
        self._free_ms[place] = fired_ms + self._cooldown_ms

    def step(self, now_ms: int, values: NDArray[np.float64]) -> Moves:
        """Take the values of this moment, one a place; NaN is not known."""
        size = np.abs(values) if self._rule.compare == "outside" else values * self._sign
        on = size >= self._sign * self._rule.threshold
        if self._crosses:
            self._armed |= size < self._sign * self._rule.threshold
            on &= self._armed
        if not self._active and not on.any():
            return NO_MOVES
        state = self.state
        began = on & (state == IDLE) & (self.since_ms < now_ms)  # one beginning a moment: keys are of moments
        state[began], self.since_ms[began] = PENDING, now_ms
        state[(state == PENDING) & ~on] = IDLE
        ripe = (state == PENDING) & (now_ms - self.since_ms >= self._for_ms)
        cooling = ripe & (now_ms < self._free_ms)
        held = int((cooling & ~self._held).sum())
        self._held = cooling | (self._held & (state == PENDING))
        fired = ripe & ~cooling
        state[fired], self._free_ms[fired] = FIRING, now_ms + self._cooldown_ms
        # A comparison with NaN is False: what is not known does not end.
        ended = (state == FIRING) & (size < self._sign * self._rule.clear_at)
        state[ended] = IDLE
        self._active = bool(state.any())
        return Moves(np.flatnonzero(fired), np.flatnonzero(ended), held)
