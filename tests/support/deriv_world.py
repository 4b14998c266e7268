"""Two venues fed by hand-written tapes: a perpetual market and a spot market of the same coins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tapes import T0, Row, diff, mark, snapshot, tape, trade
from tapewatch.derivs.derivs import Derivs
from tapewatch.engine import Engine
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.interest import OpenInterest
from tapewatch.model.ticker import Ticker

HOUR_MS = 3_600_000


def instrument(
    venue: str, symbol: str, base: str, kind: str = "perp", *, funding_ms: int = 0, delivery_ms: int = 0
) -> Instrument:
    tick, lot = Grid.parse("0.1"), Grid.parse("0.001")
    return Instrument(-1, venue, symbol, base, "USDT", kind, tick, lot, funding_ms=funding_ms, delivery_ms=delivery_ms)


PERPS = [
    instrument("binance", "BTCUSDT", "BTC", funding_ms=8 * HOUR_MS),
    instrument("binance", "ETHUSDT", "ETH", funding_ms=4 * HOUR_MS),
    instrument("binance", "1000PEPEUSDT", "1000PEPE"),
    instrument("binance", "BTCUSDT_260327", "BTC", "future", delivery_ms=T0 + 73 * 24 * HOUR_MS),
    instrument("binance", "AAPLUSDT", "AAPL", "tradfi-perp", funding_ms=8 * HOUR_MS),
]
SPOTS = [
    instrument("binance-spot", "BTCUSDT", "BTC", "spot"),
    instrument("binance-spot", "PEPEUSDT", "PEPE", "spot"),
    instrument("binance-spot", "ETHUSDT", "ETH", "spot"),
]


@dataclass
class Venue:
    """A venue whose engine hears what a test says."""

    name: str
    engine: Engine
    tickers: dict[str, Ticker] = field(default_factory=dict)
    interest: dict[str, OpenInterest] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def ask(self, symbol: str) -> None:
        self.asked.append(symbol)


@dataclass
class Two:
    """`binance` and `binance-spot`, and the derivatives view of both."""

    limits: DerivsThresholds = field(default_factory=DerivsThresholds)

    def __post_init__(self) -> None:
        self.venues = {
            "binance": Venue("binance", Engine(Universe("binance", PERPS))),
            "binance-spot": Venue("binance-spot", Engine(Universe("binance-spot", SPOTS))),
        }
        self.derivs = Derivs(self.venues, lambda _: self.limits)
        self._ids: dict[tuple[str, int], int] = {}

    def engine(self, venue: str = "binance") -> Engine:
        return self.venues[venue].engine

    def hear(self, rows: Iterable[Row], venue: str = "binance") -> None:
        self.engine(venue).apply(tape(rows))

    def book(self, bid: int, ask: int, i: int = 0, venue: str = "binance", ts_ms: int = T0, lots: int = 1_000) -> None:
        """A live book with one level a side, in ticks."""
        self.engine(venue).unfollow_book(i)
        self.engine(venue).follow_book(i)
        first = diff(999, 1001, 998, i=i, ts_ms=ts_ms)
        self.hear([first, snapshot(1000, [(bid, lots)], [(ask, lots)], i=i, ts_ms=ts_ms)], venue)

    def at(self, ts_ms: int, venue: str = "binance") -> None:
        """The venue's clock moves on by a mark of an instrument nobody looks at."""
        self.hear([mark(ts_ms, 10**8, 10**8, 0, 0, i=len(self.engine(venue).universe) - 1)], venue)

    def trades(self, prints: Iterable[tuple[int, int, int]], i: int = 0, venue: str = "binance") -> None:
        """(ms after T0, price in ticks, lots bought or, negative, sold)."""
        rows = []
        for ms, price, lots in prints:
            number = self._ids[venue, i] = self._ids.get((venue, i), 0) + 1
            rows.append(trade(number, T0 + ms, price, abs(lots), sell=lots < 0, i=i))
        self.hear(rows, venue)
