"""A Binance USD-M venue on loopback: HTTP and websockets on one port, in the venue's own dialect.

This file owns routes, wrapping, the commands of a connection, request weights and bans, pings, ages and cut-offs;
what is common to all simulated venues stands in `server`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

from aiohttp import web

from ..model.errors import UsageError
from .budget import RequestBudget
from .replay import RecordedVenue
from .rest import ApiError, Query, weight
from .server import Client, Closing, Content, SimulatedVenue, VenueOptions
from .simulation import Simulation, warm_up
from .streams import route_of

COMMANDS_PER_S = 10
STREAMS_PER_CONNECTION = 1024
PONG_WITHIN_S = 600

_METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"


class SimulatedBinanceUsdm(SimulatedVenue):
    """See `server.SimulatedVenue`."""

    rest_path = "/{path:(?:fapi|futures)/.*}"

    def __init__(self, options: VenueOptions, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options, clock)
        self._budget = RequestBudget(options.weight_limit)

    def _build(self) -> Content:
        options = self.options
        if options.replay:
            return RecordedVenue.load(options.replay, speed=options.speed, weight_limit=options.weight_limit)
        if options.symbols < 1:
            raise UsageError(f"a venue needs at least one symbol, not {options.symbols}")
        warm_up()
        simulation = Simulation(
            symbols=options.symbols,
            seed=options.seed,
            start_ms=int(self._clock() * 1000),
            weight_limit=options.weight_limit,
            faults=options.faults,
        )
        for _ in simulation.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return simulation

    # -- streams ------------------------------------------------------------------------------------------------------

    def _wrapped(self, stream: str, payload: str) -> str:
        return f'{{"stream":"{stream}","data":{payload}}}'

    def _may_read(self, client: Client, stream: str) -> bool:
        return route_of(stream) == client.route

    def _address(self, request: web.Request) -> tuple[str, bool, list[str]] | None:
        """Without a route an address carries nothing but /public."""
        parts = request.match_info["path"].split("/")
        route = parts.pop(0) if parts[0] in {"public", "market", "private"} else "public"
        mode = parts.pop(0) if parts and parts[0] in {"ws", "stream"} else None
        if mode is None:
            return None
        if mode == "stream":
            parts = request.query.get("streams", "").split("/")
        names = [name for name in parts if name]
        if any("," in name for name in names):
            raise web.HTTPBadRequest(text="Bad Request")
        return route, mode == "stream", names

    def _look_after(self, client: Client, now: float) -> None:
        if now - client.since > self.options.max_age_s:
            client.transport.close()
        elif client.pinged_at - client.ponged_at > PONG_WITHIN_S:
            client.transport.abort()
        elif now - client.pinged_at >= self.options.ping_s:
            client.pinged_at = now
            client.transport.write(b"\x89\x00")

    def _crowded(self, client: Client, now: float) -> Closing | None:
        if len(client.arrivals) > COMMANDS_PER_S and now - client.arrivals.popleft() < 1.0:
            return 1008, b"Too many requests"
        return None

    def _heard(self, client: Client, text: str, now: float) -> Closing | None:
        del now
        reply = self._command(client, text)
        if len(client.streams) > STREAMS_PER_CONNECTION:
            return 1008, b"Too many streams"
        client.send(reply)
        return None

    def _command(self, client: Client, text: str) -> str:
        """Answer a command as the venue words it; a stream that does not exist is no error."""
        try:
            command = json.loads(text)
        except ValueError:
            return '{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}'
        if not isinstance(command, dict):
            return '{"code":2,"msg":"Invalid request: request must be an object"}'
        number, params = command.get("id"), command.get("params")
        match command.get("method"):
            case "SUBSCRIBE" | "UNSUBSCRIBE" as method:
                if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
                    return _refusal(2, "Invalid request: missing field `params` or invalid type", number)
                (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(client, params)
                return _reply(None, number)
            case "LIST_SUBSCRIPTIONS":
                return _reply(list(client.streams), number)
            case "SET_PROPERTY":
                if not isinstance(params, list) or len(params) != 2 or params[0] != "combined":
                    return _refusal(0, "Unknown property", number)
                if not isinstance(params[1], bool):
                    return _refusal(1, "Invalid value type: expected Boolean", number)
                client.combined = params[1]
                return _reply(None, number)
            case "GET_PROPERTY":
                if params != ["combined"]:
                    return _refusal(0, "Unknown property", number)
                return _reply(client.combined, number)
            case method:
                what = f"Invalid request: unknown variant {method}, expected one of {_METHODS} at line 1 column 16"
                return _refusal(2, what, number)

    # -- REST ---------------------------------------------------------------------------------------------------------

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        query, path = dict(request.query), request.path
        address = request.remote or ""
        wall_ms = int(self._clock() * 1000)
        try:
            used = self._budget.spend(address, weight(path, query), wall_ms)
            self._perhaps_refuse(address, wall_ms)
            body, status = await self._answer(path, query, wall_ms), 200
        except ApiError as refusal:
            body, status = refusal.body, refusal.status
            self.stats.refused += status in {418, 429}
            used = self._budget.used(address, wall_ms)
        late = self.options.faults.find("snapshot-late")
        if late and path.endswith("/depth"):
            await asyncio.sleep(late.value / 1000)
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        return web.Response(text=body, status=status, content_type="application/json", headers=headers)

    async def _answer(self, path: str, query: Query, wall_ms: int) -> str:
        """A market that is computed in steps, and late under load, still has a clock that goes right."""
        if path == "/fapi/v1/time" and not self.options.replay:
            return f'{{"serverTime":{wall_ms}}}'
        return await self.content.answer(path, query)

    def _perhaps_refuse(self, address: str, wall_ms: int) -> None:
        if self._hit(self.options.faults.find("http-418")):
            self._budget.ban(address, wall_ms)
            self._budget.spend(address, 0, wall_ms)
        if self._hit(self.options.faults.find("http-429")):
            raise self._budget.too_many(address)
        if self._hit(self.options.faults.find("http-5xx")):
            raise ApiError(-1008, "Server is currently overloaded with other requests. Please try again later.", 503)


def _reply(result: object, number: object) -> str:
    return json.dumps({"result": result, "id": number}, separators=(",", ":"), ensure_ascii=False)


def _refusal(code: int, message: str, number: object) -> str:
    return json.dumps({"code": code, "msg": message, "id": number}, separators=(",", ":"), ensure_ascii=False)
