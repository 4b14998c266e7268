"""Open interest of one symbol, as a venue tells it."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .errors import FrameError

MOST = Decimal(10) ** 18
LATEST_MS = 2**53


class OpenInterest(Struct, frozen=True):
    """Contracts that stand open, counted once: a venue's figure that adds longs and shorts comes here halved."""

    symbol: str
    quantity: Decimal
    """Base units."""
    ts_ms: int

    def __post_init__(self) -> None:
        """Raise FrameError for what cannot be: whoever reads it later would fail on it."""
        if not self.quantity.is_finite() or not 0 <= self.quantity < MOST or not 0 <= self.ts_ms < LATEST_MS:
            raise FrameError("number_range", f"open interest of {self.symbol}")
