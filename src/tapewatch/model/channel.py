"""The kinds of stream there are, whatever a venue calls them."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """What a stream tells; the value is the word that /health, metrics and the accounts use."""

    TRADES = "trades"
    DEPTH = "depth"
    QUOTES = "quotes"
    MARKS = "marks"
    """Mark and index price, funding rate."""
    TICKERS = "tickers"
    """24 h figures."""
    LIQUIDATIONS = "liquidations"
    INSTRUMENTS = "instruments"
    """Listings and changes of contracts."""
    CANARY = "canary"
    """A stream that is never silent for long, followed so that the silence of its socket means something."""
