"""24 h figures of one symbol, as every venue tells them."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from .errors import FrameError


class Ticker(Struct, frozen=True):
    """The venue's own figures over the last 24 h, with the decimals it printed them with."""

    symbol: str
    last: Decimal
    high: Decimal
    low: Decimal
    change_percent: Decimal
    """Of the price, over those 24 h."""
    volume: Decimal
    """Base units."""
    quote_volume: Decimal
    trades: int | None = None
    """Number of trades; None where the venue does not say."""

    def __post_init__(self) -> None:
        """Raise FrameError for what is no number: whoever reads it later would fail on it."""
        figures = (self.last, self.high, self.low, self.change_percent, self.volume, self.quote_volume)
        if not all(figure.is_finite() for figure in figures):
            raise FrameError("number_range", f"24 h figures of {self.symbol}")
