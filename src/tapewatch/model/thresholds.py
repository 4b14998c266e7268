"""Numbers that engines compare against; every one can be set in the configuration."""

from __future__ import annotations

import msgspec


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Thresholds of the screener, for all symbols unless overridden per symbol."""

    adv_percent: float = 0.5
    """Flow above this share of average daily volume is big, in percent."""
    adv_days: int = 30
    """Complete UTC days that the average daily volume is taken over."""
    adv_young_days: int = 10
    """Fewer days than this and the average is flagged young."""
    min_notional: float = 25_000.0
    """Big flow below this notional (quote currency) is not reported."""
    cluster_ms_trades: int = 10
    """Raw prints of one side no further apart than this are one parent order."""
    cluster_ms_aggregate: int = 100
    """The same for aggregate trades, whose own time is only known to 100 ms."""
