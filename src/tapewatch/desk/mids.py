"""Mid prices of every live instrument, second by second and minute by minute: what bars on mids are made of.

Trades tell a price only when somebody trades, and jump between bid and ask; a mid is there as long as its book is, and
two mids can be read at one moment. A bar on mids is the last mid of its second or minute. Nothing is carried over.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..derivs.mids import read_mids
from ..engine import Engine
from ..research.series import Bars, Floats, Times, longer
from .bars import LATEST_MS, MINUTE_MS, of_mids

SECOND_MS = 1_000
SECONDS = 1_020
"""Kept, as of candles on trades: 17 minutes."""
MINUTES = 1_500
"""Kept: a day and an hour. With the seconds 22 kB an instrument."""


class VenueMids:
    """Rings of one engine's mids; `keep` once a second. Times are the venue's own, so that a replay keeps the same."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        n = len(engine.universe)
        self._second: Times = np.full(SECONDS, -1, np.int64)
        self._seconds: Floats = np.full((SECONDS, n), np.nan)
        self._minute: Times = np.full(MINUTES, -1, np.int64)
        self._minutes: Floats = np.full((MINUTES, n), np.nan)
        self._left_s: NDArray[np.uint8] = np.zeros((MINUTES, n), np.uint8)
        """Seconds from a minute's last mid to its end."""

    def keep(self) -> None:
        """Keep the mids of this moment as those of the venue's present second and minute."""
        mids = read_mids(self.engine)
        if mids.clock_ms <= 0:
            return
        self._fit(len(mids.price))
        second, minute = mids.clock_ms // SECOND_MS, mids.clock_ms // MINUTE_MS
        at, of = second % SECONDS, minute % MINUTES
        if self._minute[of] != minute:
            self._minute[of] = minute
            self._minutes[of] = np.nan
        self._second[at] = second
        self._seconds[at] = mids.price
        known = np.isfinite(mids.price)
        self._minutes[of, known] = mids.price[known]
        self._left_s[of, known] = (minute + 1) * 60 - second - 1

    def _fit(self, n: int) -> None:
        more = n - self._seconds.shape[1]
        if more > 0:
            self._seconds = np.pad(self._seconds, ((0, 0), (0, more)), constant_values=np.nan)
            self._minutes = np.pad(self._minutes, ((0, 0), (0, more)), constant_values=np.nan)
            self._left_s = np.pad(self._left_s, ((0, 0), (0, more)))

    def bars(self, i: int, name: str, tf_ms: int) -> Bars | None:
        """All that is kept of instrument `i` as bars of `tf_ms`, the growing one too; None where nothing is."""
        if i >= self._seconds.shape[1]:
            return None
        if tf_ms < MINUTE_MS:
            number, price, gap = self._second, self._seconds[:, i], np.zeros(SECONDS, np.bool_)
        else:
            number, price = self._minute, self._minutes[:, i]
            gap = self._left_s[:, i] > LATEST_MS // SECOND_MS
        order = np.argsort(number, kind="stable")
        # A replay that leaps leaves older rounds of the ring behind.
        order = order[np.isfinite(price[order]) & (number[order] > number[order[-1]] - len(number))]
        if not len(order):
            return None
        unit_ms = min(tf_ms, MINUTE_MS)
        bars = of_mids(name, unit_ms, number[order] * unit_ms, price[order], gap[order])
        return bars if tf_ms == unit_ms else longer(bars, tf_ms)
