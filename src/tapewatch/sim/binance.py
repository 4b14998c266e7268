"""What Binance's venues have in common: their commands, request weights and bans."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

from .budget import RequestBudget
from .market import Market
from .rest import ApiError, Query
from .server import Client, Place, SimulatedVenue, VenueOptions

_METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"


class SimulatedBinance(SimulatedVenue):
    """A venue of Binance's; products differ in their addresses, their weights and what their messages hold."""

    streams_per_connection = 1024

    def __init__(
        self, options: VenueOptions, clock: Callable[[], float] = time.time, lead: Market | None = None
    ) -> None:
        super().__init__(options, clock, lead)
        self._budget = RequestBudget(self._limit)

    def replies(self, client: Client, text: str) -> Iterable[str]:
        yield self._command(client, text)

    def mode(self, request: web.Request, route: str, parts: list[str]) -> Place | None:
        """What stands behind the route: ``ws/<stream>/…`` raw, or ``stream?streams=a/b`` wrapped."""
        mode = parts.pop(0) if parts and parts[0] in {"ws", "stream"} else None
        if mode is None:
            return None
        asked = request.query.get("streams", "").split("/") if mode == "stream" else parts
        names = tuple(name for name in asked if name)
        if any("," in name for name in names):
            raise web.HTTPBadRequest(text="Bad Request")
        return Place(route, mode == "stream", names)

    def wrapped(self, stream: str, payload: str) -> str:
        return f'{{"stream":"{stream}","data":{payload}}}'

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
                (self.subscribe if method == "SUBSCRIBE" else self.unsubscribe)(client, params)
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

    # -- REST -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def weight(self, path: str, query: Query) -> int:
        """What a call costs of the budget of its minute."""

    def charge(self, address: str, path: str, query: Query, wall_ms: int) -> None:
        self._budget.spend(address, self.weight(path, query), wall_ms)

    def too_many(self, address: str) -> ApiError:
        return self._budget.too_many(address)

    def ban(self, address: str, wall_ms: int) -> ApiError:
        return self._budget.ban(address, wall_ms)

    def overloaded(self) -> ApiError:
        return ApiError(-1008, "Server is currently overloaded with other requests. Please try again later.", 503)

    def headers(self, address: str, wall_ms: int) -> Mapping[str, str]:
        return {"X-MBX-USED-WEIGHT-1M": str(self._budget.used(address, wall_ms))}


def _reply(result: object, number: object) -> str:
    return json.dumps({"result": result, "id": number}, separators=(",", ":"), ensure_ascii=False)


def _refusal(code: int, message: str, number: object) -> str:
    return json.dumps({"code": code, "msg": message, "id": number}, separators=(",", ":"), ensure_ascii=False)
