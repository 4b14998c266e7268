"""A day of minutes of what panels compare the present with: basis, premium, funding rate, open interest.

Read once a second; a minute keeps the last value seen in it, by the venue's own time, so that a replay compares as the
market would have. What was not seen stays unknown: nothing is carried over from minute to minute.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..engine import Engine

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
"""Payments are whole hours apart; a time that moves otherwise is another announcement, not a payment."""
MINUTES = 1_536
"""Minutes kept: a day, and an hour and a half, so that 24 h ago is there for a while."""
FIGURES = ("basis", "premium", "rate", "interest")

Figures = Mapping[str, NDArray[np.float64]]


class VenueHistory:
    """Minutes of one venue's instruments. Single precision: six digits of what is a comparison, at half the memory."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.since_ms = 0
        """When the first figure was kept by this program; 0 before it."""
        self._restored = 0
        """The oldest minute that an earlier program kept; 0: none."""
        self.funding_ms: NDArray[np.int64] = np.zeros(len(engine.universe), np.int64)
        """Time between payments as learned from two of them in a row, 0: not yet."""
        self._next_funding: NDArray[np.int64] = np.zeros(len(engine.universe), np.int64)
        self._minute: NDArray[np.int64] = np.full(MINUTES, -1, np.int64)
        self._values: NDArray[np.float32] = np.full((len(FIGURES), MINUTES, len(engine.universe)), np.nan, np.float32)

    def keep(self, figures: Figures, next_funding_ms: NDArray[np.int64]) -> None:
        """Keep the newest figures, by instrument index, as those of the venue's present minute."""
        minute = self.engine.clock_ms // MINUTE_MS
        if minute <= 0:
            return
        n = len(next_funding_ms)
        self.fit(n)
        at = minute % MINUTES
        if self._minute[at] != minute:
            self._minute[at] = minute
            self._values[:, at] = np.nan
        for k, name in enumerate(FIGURES):
            self._values[k, at, :n] = figures[name]
        if not self.since_ms:
            self.since_ms = self.engine.clock_ms
        self._learn(next_funding_ms)

    @property
    def first_ms(self) -> int:
        """From when on minutes are known, those of earlier programs with them; 0: none is."""
        return min((ms for ms in (self.since_ms, self._restored * MINUTE_MS) if ms), default=0)

    def finished(self, after: int) -> list[tuple[int, NDArray[np.float32]]]:
        """Minutes behind `after` that are over, oldest first: number, and figures as (figure, instrument)."""
        present = self.engine.clock_ms // MINUTE_MS
        over = np.sort(self._minute[(self._minute > after) & (self._minute < present)])
        return [(int(number), self._values[:, number % MINUTES].copy()) for number in over]

    def restore(self, minute: int, columns: NDArray[np.int64], figures: NDArray[np.float32]) -> None:
        """Take a minute as `finished` once gave it; `columns` are the instruments now (-1: of none).

        What was seen since stays as it is.
        """
        at, here = minute % MINUTES, columns >= 0
        if self._minute[at] > minute:
            return
        if self._minute[at] < minute:
            self._minute[at] = minute
            self._values[:, at] = np.nan
        held = self._values[:, at, columns[here]]
        self._values[:, at, columns[here]] = np.where(np.isnan(held), figures[:, here], held)
        self._restored = min(self._restored or minute, minute)

    def _learn(self, next_funding_ms: NDArray[np.int64]) -> None:
        before = self._next_funding[: len(next_funding_ms)]
        moved = next_funding_ms - before
        paid = (before > 0) & (before <= self.engine.clock_ms) & (moved > 0) & (moved % HOUR_MS == 0)
        self.funding_ms[: len(next_funding_ms)][paid] = moved[paid]
        before[:] = next_funding_ms

    def fit(self, n: int) -> None:
        """Make room for `n` instruments."""
        more = n - self._values.shape[2]
        if more <= 0:
            return
        self._values = np.concatenate([self._values, np.full((len(FIGURES), MINUTES, more), np.nan, np.float32)], 2)
        self.funding_ms = np.concatenate([self.funding_ms, np.zeros(more, np.int64)])
        self._next_funding = np.concatenate([self._next_funding, np.zeros(more, np.int64)])

    def ago(self, name: str, minutes: int) -> NDArray[np.float64]:
        """The figure of every instrument so many minutes before the present one; NaN where that was not seen."""
        minute = self.engine.clock_ms // MINUTE_MS - minutes
        row = self._values[FIGURES.index(name), minute % MINUTES]
        known = self._minute[minute % MINUTES] == minute
        return row.astype(np.float64) if known else np.full(len(row), np.nan)

    def last(self, name: str, minutes: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The last `minutes` up to the present one: their numbers, rising, and their figures (minute, instrument)."""
        newest = self.engine.clock_ms // MINUTE_MS
        numbers = np.arange(max(newest - minutes + 1, 0), newest + 1)
        at = numbers % MINUTES
        values = self._values[FIGURES.index(name), at].astype(np.float64)
        values[self._minute[at] != numbers] = np.nan
        return numbers, values
