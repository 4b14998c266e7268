"""A Binance USD-M venue on loopback, in the venue's own dialect."""

from __future__ import annotations

from aiohttp import web

from ..model.errors import UsageError
from . import rest
from .binance import SimulatedBinance
from .replay import RecordedVenue
from .rest import Query
from .server import Client, Content, Place
from .simulation import simulate_usdm, warm_up
from .streams import route_of


class SimulatedBinanceUsdm(SimulatedBinance):
    """See `server.SimulatedVenue`."""

    rest_paths = "(?:fapi|futures)/.*"
    weight_limit = 2400
    ping_s = 180.0
    commands_per_s = 10

    def build(self, start_ms: int) -> Content:
        options = self.options
        if options.replay:
            return RecordedVenue.load(options.replay, speed=options.speed, weight_limit=self._limit)
        if options.symbols < 1:
            raise UsageError(f"a venue needs at least one symbol, not {options.symbols}")
        warm_up()
        simulation = simulate_usdm(
            symbols=options.symbols,
            seed=options.seed,
            start_ms=start_ms,
            weight_limit=self._limit,
            faults=options.faults,
            patterns_s=options.patterns_s,
        )
        for _ in simulation.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return simulation

    def place(self, request: web.Request) -> Place | None:
        """Addresses without a route carry nothing but /public."""
        parts = request.match_info["path"].split("/")
        route = parts.pop(0) if parts[0] in {"public", "market", "private"} else "public"
        return self.mode(request, route, parts)

    def carries(self, client: Client, name: str) -> bool:
        return route_of(name) == client.route

    def weight(self, path: str, query: Query) -> int:
        return rest.weight(path, query)

    async def answer(self, path: str, query: Query, wall_ms: int) -> str:
        if path == "/fapi/v1/time" and not self.options.replay:
            return f'{{"serverTime":{wall_ms}}}'
        return await self.content.answer(path, query)
