"""Which instruments are about the same thing: the coin behind a name, and how many of them one unit is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..engine import Engine
from ..model.instrument import Instrument

Venues = Mapping[str, Engine]
"""Engines by venue, as users call it (`binance`, `binance-spot`)."""

DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "USD"})
"""Quote currencies that are added up as US dollars where several markets are shown in one unit."""

_PREFIX = re.compile(r"^(1000000|100000|10000|1000|1M)(?=[A-Z])(.+)$")
_SUFFIX = re.compile(r"^([A-Z].*?)(1000000|10000|1000)$")


@dataclass(frozen=True, slots=True)
class Coin:
    """What an instrument is about; its price is that of `units` of them."""

    name: str
    units: int


def coin_of(instrument: Instrument) -> Coin:
    """The coin of an instrument: 1000PEPEUSDT trades in thousands of PEPE, SHIB1000USDT of SHIB, 1MMOG in millions."""
    return _coin(instrument.base)


@lru_cache(maxsize=1 << 14)
def _coin(base: str) -> Coin:
    if found := _PREFIX.match(base):
        count = found[1]
        return Coin(found[2], 1_000_000 if count == "1M" else int(count))
    if found := _SUFFIX.match(base):
        return Coin(found[1], int(found[2]))
    return Coin(base, 1)


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
