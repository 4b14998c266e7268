"""Open interest of one symbol, as a venue tells it."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class OpenInterest(Struct, frozen=True):
    """Contracts that stand open, counted once: a venue's figure that adds longs and shorts comes here halved."""

    symbol: str
    quantity: Decimal
    """Base units."""
    ts_ms: int
