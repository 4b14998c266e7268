"""Which instruments are about the same thing: the coin behind a name, and how many of them one unit is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..engine import Engine
from ..model.instrument import Instrument

Venues = Mapping[str, Engine]
"""Engines by venue, as users call it (`binance`, `binance-spot`)."""

DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "USD"})
"""Quote currencies that are added up as US dollars where several markets are shown in one unit."""


@dataclass(frozen=True, slots=True)
class Coin:
    """What an instrument is about; its price is that of `units` of them."""

    name: str
    units: int


def coin_of(instrument: Instrument) -> Coin:
    """The coin of an instrument: 1000PEPEUSDT trades in thousands of PEPE, SHIB1000USDT of SHIB, 1MMOG in millions.

    A share is never the coin that goes by its ticker: CATUSDT may be Caterpillar on one market and a meme on another.
    """
    if instrument.kind == "tradfi-perp":
        return Coin(f"{instrument.base} (TradFi)", 1)
    return Coin(instrument.coin, instrument.multiplier)


def in_dollars(instrument: Instrument) -> bool:
    """Whether its quote currency counts as US dollars."""
    return instrument.quote in DOLLARS


def is_spot(instrument: Instrument) -> bool:
    return instrument.kind == "spot"


def same_coin(venues: Venues, instrument: Instrument) -> Iterator[tuple[str, Instrument]]:
    """Every trading instrument about the same coin in a comparable currency: (venue, instrument), derivatives first."""
    wanted = coin_of(instrument).name
    found = [
        (venue, other)
        for venue, engine in venues.items()
        for other in engine.universe
        if coin_of(other).name == wanted
        and (other.quote == instrument.quote or (in_dollars(other) and in_dollars(instrument)))
        and (other.trading or (venue, other.symbol) == (instrument.venue, instrument.symbol))
    ]
    yield from sorted(found, key=lambda pair: (is_spot(pair[1]), pair[1].quote != instrument.quote))
