"""The simulated market as a venue's content: streams, REST, and the lives of its instruments on a timetable."""

from __future__ import annotations

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


class Simulation:
    """Content of a venue that simulates, in the words of Binance USD-M: see `server.Content`."""

    def __init__(
        self, *, symbols: int, seed: int, start_ms: int, weight_limit: int, faults: Faults, patterns_s: float = 0.0
    ) -> None:
        """With `patterns_s` above 0, one pattern of liquidity is planted into BTCUSDT every so many seconds."""
        self._pace, self._gust = faults.value("storm", 1.0), faults.value("gust", 1.0)
        self.market = Market(build_universe(symbols, seed), seed=seed, start_ms=start_ms, pace=self._pace)
        self.planter = Planter(self.market, PLANTED, seed, int(patterns_s * 1000)) if patterns_s > 0 else None
        self.streams = MarketStreams(self.market)
        stale = faults.find("snapshot-stale")
        self.rest = MarketRest(self.market, weight_limit, (lambda: int(stale.value)) if stale else None)
        self.open, self.close = self.streams.open, self.streams.close
        self.skipped_ms = 0
        self._timetable: list[tuple[int, Callable[[], None]]] = []
        for fault in faults.chosen:
            at_ms = self.market.start_ms + int(fault.value * 1000)
            if fault.name == "symbol-listed":
                self._timetable.append((at_ms, self._list))
            elif fault.name == "symbol-delisted":
                self._timetable.append((at_ms, partial(self._delist, fault.target)))
            elif fault.name == "tick-size-change":
                self._timetable.append((at_ms, partial(self._change_tick, fault.target)))

    @property
    def now_ms(self) -> int:
        return self.market.now_ms

    async def answer(self, path: str, query: Query) -> str:
        return self.rest(path, query)

    def advance(self, wall_ms: int, *, congested: bool) -> Iterator[list[Frame]]:
        """Move the market up to `wall_ms`, one list of frames a step; a live market waits for nobody."""
        del congested
        if wall_ms - self.now_ms > BEHIND_MS:
            self.skipped_ms += wall_ms - self.now_ms
            self.market.skip_to(wall_ms - STEP_MS)
        while self.now_ms + STEP_MS <= wall_ms:
            for due in [entry for entry in self._timetable if entry[0] <= self.now_ms]:
                self._timetable.remove(due)
                due[1]()
            if self._gust != 1.0:
                gusty = self.now_ms % GUST_EVERY_MS < GUST_MS
                self.market.set_pace(self._pace * (self._gust if gusty else 1.0))
            yield self.streams.advance()

    def _list(self) -> None:
        listing = self.market.list_new()
        self.streams.announce(listing)
        self._timetable.append((self.now_ms + TRADES_AFTER_MS, partial(self._start_trading, listing.symbol)))

    def _start_trading(self, symbol: str) -> None:
        self.streams.announce(self.market.change(symbol, "TRADING"))

    def _delist(self, target: str) -> None:
        listing = self._one_of_the_tail(target)
        self.streams.announce(self.market.change(listing.symbol, "SETTLING", self.now_ms))

    def _change_tick(self, target: str) -> None:
        listing = self.market.change_tick(self._one_of_the_tail(target).symbol)
        self.streams.break_chains(listing.symbol)

    def _one_of_the_tail(self, target: str) -> Listing:
        """The named instrument, else the last perpetual that trades."""
        listings = self.market.listings
        if target.upper() in self.market.index:
            return listings[self.market.index[target.upper()]]
        return next(listing for listing in reversed(listings) if listing.status == "TRADING" and not listing.dated)


def warm_up() -> None:
    """Compile the market's kernels, or load them from numba's cache: seconds that no event loop should spend."""
    simulation = Simulation(symbols=2, seed=1, start_ms=59_900, weight_limit=2400, faults=Faults())
    simulation.open("btcusdt@depth@100ms")
    simulation.open("btcusdt@kline_1m")
    for _ in simulation.advance(60_400, congested=False):
        pass
    simulation.rest("/fapi/v1/depth", {"symbol": "BTCUSDT"})
    simulation.rest("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1d"})
    Window(simulation.market.state, 0, 5).advance()  # how Bybit and OKX tell a book
