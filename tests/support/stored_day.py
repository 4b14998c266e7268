"""A day of one market around midnight, for tests of stored data."""

from __future__ import annotations

from market_world import T0
from tapes import Row, liquidation, trade

DAY = 86_400_000
MIDNIGHT = T0 // DAY * DAY
HOUR = 3_600_000


def rows() -> list[Row]:
    """Trades from six hours before midnight to two after it, every 50 s; a liquidation an hour."""
    out = [
        trade(k, MIDNIGHT - 6 * HOUR + k * 50_000, 425_000 + k * 37 % 60, 1 + k % 50, sell=k % 3 == 0)
        for k in range(1, 570)
    ]
    out += [liquidation(MIDNIGHT + h * HOUR, 10**12 + h, 5 + h % 3, long=h % 2 == 0) for h in range(-6, 3)]
    return sorted(out, key=lambda row: row.columns["ts_ms"])
