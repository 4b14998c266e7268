"""A simulated market as a venue's content: it follows the clock, and its instruments have lives on a timetable."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

from .faults import Faults
from .layout import STEP_MS
from .market import Market
from .patterns import Planter
from .rest import MarketRest, Query
from .streams import Frame, MarketStreams
from .universe import Listing, build_universe
from .windows import Window

TRADES_AFTER_MS = 5_000
"""A new listing trades so long after its announcement."""
GUST_MS, GUST_EVERY_MS = 2_000, 10_000
PLANTED = "BTCUSDT"
"""The instrument that patterns are planted into."""
BEHIND_MS = 5_000
"""A process that slept longer than this does not make up for it: the market jumps."""


class MovingMarket(ABC):
    """Content of a venue that simulates (see `server.Content`): moves the market, and does what faults bring about.

    How streams and REST word it, a subclass says.
    """

    def __init__(self, market: Market, faults: Faults) -> None:
        self.market = market
        self._pace, self._gust = faults.value("storm", 1.0), faults.value("gust", 1.0)
        self._timetable: list[tuple[int, Callable[[], None]]] = []
        for fault in faults.chosen:
            happening = self.happenings(fault.target).get(fault.name)
            if happening is not None:
                self._at(self.market.start_ms + int(fault.value * 1000), happening)

    @property
    def now_ms(self) -> int:
        return self.market.now_ms

    def advance(self, wall_ms: int, *, congested: bool) -> Iterator[list[Frame]]:
        """Move the market up to `wall_ms`, but never beyond the one it follows; one list of frames a step.

        A live market waits for nobody.
        """
        del congested
        lead = self.market.lead
        until_ms = wall_ms if lead is None else min(wall_ms, lead.now_ms)
        if until_ms - self.now_ms > BEHIND_MS:
            self.market.skip_to(until_ms - STEP_MS)
        while self.now_ms + STEP_MS <= until_ms:
            for due in [entry for entry in self._timetable if entry[0] <= self.now_ms]:
                self._timetable.remove(due)
                due[1]()
            if self._gust != 1.0:
                gusty = self.now_ms % GUST_EVERY_MS < GUST_MS
                self.market.set_pace(self._pace * (self._gust if gusty else 1.0))
            yield self.step()

    @abstractmethod
    def step(self) -> list[Frame]:
        """Move the market one step; what open streams get."""

    # -- the life of instruments --------------------------------------------------------------------------------------

    def happenings(self, target: str) -> dict[str, Callable[[], None]]:
        """What the faults that have a time bring about."""
        return {
            "symbol-listed": self._list,
            "symbol-delisted": partial(self._delist, target),
            "tick-size-change": partial(self._change_tick, target),
        }

    @abstractmethod
    def announce(self, listing: Listing) -> None:
        """An instrument was listed, or its status has changed: tell it where the venue tells such things."""

    @abstractmethod
    def begin_book_anew(self, listing: Listing) -> None:
        """The book of an instrument stands on another grid: what was told of it goes on nowhere."""

    def rename(self, listing: Listing) -> Listing:
        """A new listing under the name this venue would give it."""
        return listing

    def _at(self, when_ms: int, happening: Callable[[], None]) -> None:
        self._timetable.append((when_ms, happening))

    def _list(self) -> None:
        told = self.market.list_new()
        i, listing = self.market.index.pop(told.symbol), self.rename(told)
        self.market.listings[i] = listing
        self.market.index[listing.symbol] = i
        self.announce(listing)
        self._at(self.now_ms + TRADES_AFTER_MS, lambda: self.announce(self.market.change(listing.symbol, "TRADING")))

    def _delist(self, target: str) -> None:
        self.announce(self.market.change(self._one_of_the_tail(target).symbol, "SETTLING", self.now_ms))

    def _change_tick(self, target: str) -> None:
        """Without notice on any stream."""
        self.begin_book_anew(self.market.change_tick(self._one_of_the_tail(target).symbol))

    def _one_of_the_tail(self, target: str) -> Listing:
        """The named instrument, else the last that trades and never expires."""
        listings = self.market.listings
        if target.upper() in self.market.index:
            return listings[self.market.index[target.upper()]]
        return next(listing for listing in reversed(listings) if listing.status == "TRADING" and not listing.dated)


class Simulation(MovingMarket):
    """A market in Binance's words: streams by name, REST by path."""

    def __init__(
        self,
        market: Market,
        streams: MarketStreams,
        rest: Callable[[str, Query], str],
        faults: Faults,
        patterns_s: float = 0.0,
    ) -> None:
        """With `patterns_s` above 0, one pattern of liquidity is planted into BTCUSDT every so many seconds."""
        super().__init__(market, faults)
        self.planter = Planter(market, PLANTED, market.seed, int(patterns_s * 1000)) if patterns_s > 0 else None
        self.streams = streams
        self.rest = rest
        self.open, self.close = streams.open, streams.close

    async def answer(self, path: str, query: Query) -> str:
        return self.rest(path, query)

    def step(self) -> list[Frame]:
        return self.streams.advance()

    def announce(self, listing: Listing) -> None:
        self.streams.announce(listing)

    def begin_book_anew(self, listing: Listing) -> None:
        self.streams.break_chains(listing.symbol)


def simulate_usdm(
    *, symbols: int, seed: int, start_ms: int, weight_limit: int, faults: Faults, patterns_s: float = 0.0
) -> Simulation:
    """Binance USD-M futures."""
    listings = build_universe(symbols, seed)
    market = Market(listings, seed=seed, start_ms=start_ms, pace=faults.value("storm", 1.0))
    rest = MarketRest(market, weight_limit, stale_ms(faults))
    return Simulation(market, MarketStreams(market), rest, faults, patterns_s)


def stale_ms(faults: Faults) -> Callable[[], int] | None:
    """How old REST books are by a fault; None where they are as old as usual."""
    stale = faults.find("snapshot-stale")
    return None if stale is None else lambda: int(stale.value)


def warm_up() -> None:
    """Compile the market's kernels, or load them from numba's cache: seconds that no event loop should spend."""
    simulation = simulate_usdm(symbols=2, seed=1, start_ms=59_900, weight_limit=2400, faults=Faults())
    simulation.open("btcusdt@depth@100ms")
    simulation.open("btcusdt@kline_1m")
    for _ in simulation.advance(60_400, congested=False):
        pass
    simulation.rest("/fapi/v1/depth", {"symbol": "BTCUSDT"})
    simulation.rest("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1d"})
    Window(simulation.market.state, 0, 5).advance()  # how Bybit and OKX tell a book
