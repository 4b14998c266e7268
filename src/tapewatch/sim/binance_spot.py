"""A Binance spot venue on loopback, in the venue's own dialect: one path, diffs without `pu`, `Retry-After`."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from aiohttp import web

from ..model.errors import UsageError
from . import spot_wire, wire
from .binance import SimulatedBinance
from .budget import BAN_MS
from .market import INTERVALS_MS, Market
from .rest import SNAPSHOT_AGE_MS, ApiError, Query, integer, limit_of, required
from .server import Content, Place
from .simulation import Simulation, stale_ms, warm_up
from .spot_streams import SpotStreams
from .universe import Listing, build_spot, build_universe

DEPTH_WEIGHT = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_WEIGHT = {"aggTrades": 4, "klines": 2, "exchangeInfo": 20, "trades": 25, "historicalTrades": 25}


class SimulatedBinanceSpot(SimulatedBinance):
    """See `server.SimulatedVenue`."""

    rest_paths = "api/.*"
    weight_limit = 6000
    ping_s = 20.0
    commands_per_s = 5

    def build(self, start_ms: int) -> Content:
        options = self.options
        if options.replay:
            raise UsageError("recordings are played by the venue of binance alone")
        warm_up()
        lead = self.lead
        listed = build_universe(options.symbols, options.seed) if lead is None else lead.listings
        listings = build_spot(listed, options.symbols, options.seed)
        faults, seed = options.faults, options.seed + 1
        market = Market(listings, seed=seed, start_ms=start_ms, pace=faults.value("storm", 1.0), lead=lead)
        content = Simulation(market, SpotStreams(market), SpotRest(market, self._limit, stale_ms(faults)), faults)
        for _ in content.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return content

    def place(self, request: web.Request) -> Place | None:
        return self.mode(request, "", request.match_info["path"].split("/"))

    def weight(self, path: str, query: Query) -> int:
        name = path.rsplit("/", 1)[-1]
        if name == "depth":
            limit = integer(query, "limit") or 100
            return next((cost for most, cost in DEPTH_WEIGHT if limit <= most), 250)
        if name == "24hr":
            return 2 if "symbol" in query else 80
        if name == "bookTicker":
            return 2 if "symbol" in query else 4
        return _WEIGHT.get(name, 1)

    def headers(self, address: str, wall_ms: int) -> Mapping[str, str]:
        """A refused address is told how many seconds to wait."""
        told = dict(super().headers(address, wall_ms))
        if self._budget.is_banned(address, wall_ms):
            told["Retry-After"] = str(BAN_MS // 1000)
        elif self._budget.used(address, wall_ms) > self._limit:
            told["Retry-After"] = str(60 - wall_ms // 1000 % 60)
        return told

    async def answer(self, path: str, query: Query, wall_ms: int) -> str:
        if path == "/api/v3/time":
            return f'{{"serverTime":{wall_ms}}}'
        return await self.content.answer(path, query)


class SpotRest:
    """Answers from a spot market; see `rest.MarketRest`."""

    def __init__(self, market: Market, weight_limit: int, age_ms: Callable[[], int] | None = None) -> None:
        ages = random.Random(f"spot snapshot ages {market.seed}")
        self.market = market
        self._age_ms = age_ms or (lambda: ages.randint(*SNAPSHOT_AGE_MS))
        self._routes: dict[str, Callable[[Query], str]] = {
            "ping": lambda _: "{}",
            "exchangeInfo": lambda _: spot_wire.exchange_info(market.listings, market.now_ms, weight_limit),
            "depth": self._depth,
            "aggTrades": self._agg_trades,
            "klines": self._klines,
            "ticker/24hr": self._tickers,
        }

    def __call__(self, path: str, query: Query) -> str:
        """Body of a GET; raises ApiError."""
        route = self._routes.get(path.removeprefix("/api/v3/"))
        if route is None:
            raise ApiError(-5000, f"Path {path}, Method GET is invalid", 404)
        return route(query)

    def _listing(self, query: Query) -> Listing:
        index = self.market.index.get(required(query, "symbol"))
        if index is None:
            raise ApiError(-1121, "Invalid symbol.")
        return self.market.listings[index]

    def _depth(self, query: Query) -> str:
        listing, limit = self._listing(query), min(integer(query, "limit") or 100, 5000)
        return spot_wire.snapshot(listing, self.market.book(listing.symbol, age_ms=self._age_ms(), limit=limit))

    def _agg_trades(self, query: Query) -> str:
        listing, limit = self._listing(query), limit_of(query, 500, 1000)
        first = integer(query, "fromId")
        rows = self.market.trades(listing.symbol, first or 0, limit if first is not None else None)[-limit:]
        return f"[{','.join(spot_wire.agg_trade_row(listing, row) for row in rows.tolist())}]"

    def _klines(self, query: Query) -> str:
        listing, interval = self._listing(query), required(query, "interval")
        if interval not in INTERVALS_MS:
            raise ApiError(-1120, "Invalid interval.")
        limit, start, end = limit_of(query, 500, 1000), integer(query, "startTime"), integer(query, "endTime")
        bars = self.market.klines(listing.symbol, interval, start, end, limit)
        width = INTERVALS_MS[interval]
        return f"[{','.join(wire.kline_row(listing, bar, int(bar['open_ms']) + width - 1) for bar in bars)}]"

    def _tickers(self, query: Query) -> str:
        if "symbol" in query:
            listing = self._listing(query)
            return self._ticker(self.market.index[listing.symbol], listing)
        rows = (self._ticker(i, one) for i, one in enumerate(self.market.listings) if one.status == "TRADING")
        return f"[{','.join(rows)}]"

    def _ticker(self, i: int, listing: Listing) -> str:
        return spot_wire.ticker_24h_row(listing, self.market.now_ms, self.market.ticker(i), self.market.quote(i))
