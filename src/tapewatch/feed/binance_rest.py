"""Binance's public REST, futures and spot alike; what they charge is what differs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from .budget import Priority
from .rest import VenueRest
from .sink import NO_ID

MINUTE_MS = 60_000


class _Error(msgspec.Struct):
    """{"code":-1121,"msg":"Invalid symbol."}"""

    code: int = 0
    msg: str = ""


class _Time(msgspec.Struct):
    serverTime: int  # noqa: N815  (the venue's name)


class BinanceRest(VenueRest):
    """See `rest.VenueRest`. Weights by name are those of the product's data sheet."""

    used_header = "X-MBX-USED-WEIGHT-1M"
    root: str
    """Path before every endpoint's name."""
    weights: Mapping[str, int] = MappingProxyType({})
    """Of ``time``, ``exchangeInfo``, ``ticker_24hr_all`` and ``aggTrades``."""
    depth_weights: tuple[tuple[int, int], ...]
    klines_weights: tuple[tuple[int, int], ...]
    """Largest limit and what it costs, rising."""
    rows_per_page: int = 1000

    async def server_time(self) -> bytes:
        return await self.get(f"{self.root}/time", self.weights["time"], Priority.CONTROL)

    def read_time(self, body: bytes) -> float:
        return msgspec.json.decode(body, type=_Time).serverTime

    async def instruments(self) -> list[bytes]:
        return [await self.get(f"{self.root}/exchangeInfo", self.weights["exchangeInfo"], Priority.CONTROL)]

    async def volumes(self) -> bytes:
        return await self.get(f"{self.root}/ticker/24hr", self.weights["ticker_24hr_all"], Priority.CONTROL)

    async def daily_klines(self, symbol: str, days: int) -> bytes:
        weight = next(cost for limit, cost in self.klines_weights if days + 1 <= limit)
        path = f"{self.root}/klines"
        return await self.get(path, weight, Priority.ADV, symbol=symbol, interval="1d", limit=days + 1)

    async def minute_klines(self, symbol: str, start_ms: int, end_ms: int, priority: Priority) -> list[bytes]:
        most, path, answers = self.klines_weights[-1][0], f"{self.root}/klines", []
        for at in range(start_ms, end_ms, most * MINUTE_MS):
            limit = min(most, (end_ms - at) // MINUTE_MS)
            weight = next(cost for least, cost in self.klines_weights if limit <= least)
            span = {"startTime": at, "endTime": at + limit * MINUTE_MS - 1}
            answers.append(await self.get(path, weight, priority, symbol=symbol, interval="1m", limit=limit, **span))
        return answers

    async def depth(self, symbol: str, limit: int, priority: Priority) -> bytes:
        path = f"{self.root}/depth"
        return await self.get(path, self.depth_weight(limit), priority, symbol=symbol, limit=limit)

    def depth_weight(self, limit: int) -> int:
        return next(cost for most, cost in self.depth_weights if limit <= most)

    async def trades(self, symbol: str, from_id: int, limit: int, priority: Priority) -> bytes:
        """Aggregate trades, rising from `from_id` on, or the newest."""
        rows = min(limit, self.rows_per_page)
        weight, path = self.weights["aggTrades"], f"{self.root}/aggTrades"
        start = {} if from_id == NO_ID else {"fromId": from_id}
        return await self.get(path, weight, priority, symbol=symbol, **start, limit=rows)

    def error_in(self, body: bytes) -> tuple[int, str] | None:
        """Only a refusal is an object with these two keys; no answer we ask for is."""
        try:
            error = msgspec.json.decode(body, type=_Error)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return (error.code, error.msg) if error.code else None
