"""Instruments and the exact integer grid on which their prices and quantities live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from math import gcd

from .coins import split_multiplier
from .errors import NotFoundError, UsageError

MAX_DIGITS = 17
"""Counts of increments beyond 10**18 do not fit the integers of the tape."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A decimal increment as integers: `increment = units / 10**decimals` (tick 0.05 is units 5, decimals 2)."""

    units: int
    decimals: int

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read an increment such as ``"0.10"`` exactly; trailing zeros do not matter."""
        value = Decimal(text).normalize()
        if not value.is_finite() or value <= 0:
            raise UsageError(f"an increment must be a positive decimal, not {text!r}")
        exponent = int(value.as_tuple().exponent)
        decimals = max(0, -exponent)
        return cls(int(value.scaleb(decimals)), decimals)

    @property
    def value(self) -> Decimal:
        return Decimal(self.units).scaleb(-self.decimals)

    def to_int(self, text: str | Decimal) -> int:
        """Number of increments in a decimal; refuses what is not a whole number of them."""
        value = Decimal(text)
        if not value.is_finite() or value.adjusted() + self.decimals > MAX_DIGITS:
            raise UsageError(f"{text} is no number that prices and quantities can have")
        scaled = value.scaleb(self.decimals)
        whole = int(scaled)
        if whole != scaled or whole % self.units:
            raise UsageError(f"{text} is not a multiple of {self.value}")
        return whole // self.units

    def to_decimal(self, count: int) -> Decimal:
        return Decimal(int(count) * self.units).scaleb(-self.decimals)

    def to_text(self, count: int) -> str:
        """Decimal text with the grid's own number of decimals, never an exponent."""
        return f"{self.to_decimal(count):f}"

    def to_float(self, count: float) -> float:
        return float(count * self.units / 10**self.decimals)


def common_grid(one: Grid, other: Grid) -> Grid:
    """The coarsest grid that holds every multiple of both increments."""
    decimals = max(one.decimals, other.decimals)
    units = gcd(one.units * 10 ** (decimals - one.decimals), other.units * 10 ** (decimals - other.decimals))
    return Grid.parse(str(Decimal(units).scaleb(-decimals)))


@dataclass(frozen=True, slots=True)
class Instrument:
    """One tradable thing of one venue, on one price and quantity grid.

    `index` is its position in the venue's `Universe` and the number rows and state arrays use.
    """

    index: int
    venue: str
    symbol: str
    base: str
    quote: str
    kind: str
    """``perp``, ``tradfi-perp``, ``future`` or ``spot``."""
    tick: Grid
    lot: Grid
    status: str = "TRADING"
    onboard_ms: int = 0
    delivery_ms: int = 0
    funding_ms: int = 0
    """Time between two funding payments; 0: not told, or none."""
    contract: Decimal | None = None
    """Base units in one contract, where the venue counts contracts; None where it counts base units."""

    @property
    def key(self) -> str:
        """``binance:BTCUSDT``, the name used in reports and logs."""
        return f"{self.venue}:{self.symbol}"

    @property
    def coin(self) -> str:
        """What `base` is about, the same word on every venue: PEPE for 1000PEPE."""
        return split_multiplier(self.base)[0]

    @property
    def multiplier(self) -> int:
        """Coins in one unit of `base`: 1000 for 1000PEPE. Prices of coins are prices divided by it."""
        return split_multiplier(self.base)[1]

    @property
    def trading(self) -> bool:
        return self.status == "TRADING"

    def notional(self, units: int) -> Decimal:
        """Quote currency of a sum of ticks x lots."""
        return Decimal(int(units) * self.tick.units * self.lot.units).scaleb(-self.tick.decimals - self.lot.decimals)

    def notional_scale(self) -> float:
        """Quote currency of one tick x lot, for figures that are shown, not compared."""
        return float(self.tick.units * self.lot.units / 10 ** (self.tick.decimals + self.lot.decimals))

    def step_ticks(self, step: str | Decimal) -> int:
        """Width of a bin in ticks; refuses a step that is no multiple of the tick and names the allowed ones."""
        try:
            ticks = self.tick.to_int(step)
        except (UsageError, ArithmeticError):
            ticks = 0
        if ticks <= 0:
            allowed = ", ".join(self.tick.to_text(k) for k in (1, 2, 5, 10, 25, 50, 100))
            raise UsageError(
                f"step {step} is not a multiple of the tick size {self.tick.value} of {self.symbol}; "
                f"use a multiple such as {allowed}"
            )
        return ticks


class Universe:
    """The instruments of one venue in a fixed order; the position of each never changes while we run."""

    def __init__(self, venue: str, instruments: list[Instrument] | None = None) -> None:
        self.venue = venue
        self.version = 0
        """Rises with every change, for those who keep tables made from the universe."""
        self._instruments: list[Instrument] = []
        self._by_symbol: dict[str, int] = {}
        for instrument in instruments or []:
            self.add(instrument)

    def __len__(self) -> int:
        return len(self._instruments)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._instruments)

    def __getitem__(self, index: int) -> Instrument:
        return self._instruments[index]

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._by_symbol

    def find(self, symbol: str) -> Instrument | None:
        index = self._by_symbol.get(symbol)
        return None if index is None else self._instruments[index]

    def get(self, symbol: str) -> Instrument:
        """The instrument called `symbol`, or an error that names what is close to it."""
        instrument = self.find(symbol) or self.find(symbol.upper())
        if instrument is None:
            near = [name for name in self._by_symbol if symbol and symbol.upper()[:3] in name][:5]
            hint = f"; did you mean {', '.join(near)}?" if near else ""
            raise NotFoundError(f"unknown symbol {symbol!r} on {self.venue}{hint}")
        return instrument

    def add(self, instrument: Instrument) -> Instrument:
        """Append a new instrument; its `index` is set here."""
        if instrument.symbol in self._by_symbol:
            raise UsageError(f"{instrument.key} is already in the universe")
        placed = replace(instrument, index=len(self._instruments))
        self._instruments.append(placed)
        self._by_symbol[placed.symbol] = placed.index
        self.version += 1
        return placed

    def update(self, instrument: Instrument) -> Instrument:
        """Replace the description of a known instrument (status, tick size) at its own index."""
        index = self._by_symbol[instrument.symbol]
        self._instruments[index] = replace(instrument, index=index)
        self.version += 1
        return self._instruments[index]
