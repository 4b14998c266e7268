"""Binance USD-M over HTTP: every request within the weight budget, every failure a typed error with one sentence."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from random import Random
from types import TracebackType
from typing import Self

import aiohttp
import msgspec

from ..model.errors import VenueError
from ..venues.binance_usdm import DEPTH_WEIGHT, WEIGHT, WEIGHT_PER_MINUTE
from .backoff import Backoff
from .budget import Grant, Priority, WeightBudget
from .clock import ClockOffset
from .proxy import proxy_for
from .reasons import why, why_refused

log = logging.getLogger(__name__)

ANSWER_WITHIN_S = 10.0
CONNECT_WITHIN_S = 5.0
ATTEMPTS = 3
"""Tries of one request; who asked decides whether to ask again later."""
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 10.0
CONNECTIONS = 8
MAX_BODY_BYTES = 64 << 20
"""exchangeInfo is a few MB; anything beyond this is no answer to us."""
AGG_TRADES_PER_PAGE = 1000
KLINES_WEIGHT = ((100, 1), (500, 2), (1001, 5), (1501, 10))
"""REST /klines: limits below, and what they cost."""
USED_WEIGHT_HEADER = "X-MBX-USED-WEIGHT-1M"


class RestError(VenueError):
    """A request failed; `retryable` says whether the same request may succeed a moment later."""

    retryable = False


class UnreachableError(RestError):
    """No answer: name, network, TLS, timeout, or an answer that broke off."""

    retryable = True


class OverloadedError(RestError):
    """5xx: the venue failed, or does not know whether it did."""

    retryable = True


class RateLimitedError(RestError):
    """429 or 418; the budget already holds everything back for the stated time."""

    retryable = True


class BlockedError(RestError):
    """403 or 451: this place or address is not served."""


class RefusedError(RestError):
    """The venue understood the request and refused it; `code` is its own error number."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class _Error(msgspec.Struct):
    """{"code":-1121,"msg":"Invalid symbol."}"""

    code: int = 0
    msg: str = ""


class _Time(msgspec.Struct):
    serverTime: int  # noqa: N815  (the venue's name)


class BinanceUsdmRest:
    """The venue's public REST interface. Use as an async context manager.

    Requests wait for their weight in order of priority, then of asking; so a call may take minutes while the budget
    is used up or the venue has banned us, and only then fails or succeeds.
    """

    def __init__(self, base_url: str, clock: Callable[[], int] = time.time_ns, random: Random | None = None) -> None:
        self.base_url = base_url
        self.budget = WeightBudget(WEIGHT_PER_MINUTE)
        self.offset = ClockOffset()
        self._clock = clock
        self._random = random or Random()  # noqa: S311  (jitter is no secret)
        self._session: aiohttp.ClientSession | None = None
        self._queue: list[tuple[Priority, int, int, asyncio.Future[Grant]]] = []
        self._order = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S, connect=CONNECT_WITHIN_S),
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            proxy=proxy_for(self.base_url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._session is not None:
            await self._session.close()

    def venue_ms(self) -> int:
        """The venue's clock, as well as we know it."""
        return self._clock() // 1_000_000 + round(self.offset.ms or 0.0)

    # -- endpoints ----------------------------------------------------------------------------------------------

    async def synchronise(self) -> float:
        """Measure the venue's clock against ours; returns the offset in milliseconds."""
        sent_ms = self._clock() / 1e6
        body = await self._get("/fapi/v1/time", WEIGHT["time"], Priority.CONTROL)
        received_ms = self._clock() / 1e6
        try:
            self.offset.add(sent_ms, received_ms, msgspec.json.decode(body, type=_Time).serverTime)
        except msgspec.MsgspecError as error:
            raise RefusedError(f"{self.base_url} does not answer like Binance USD-M futures: {error}") from error
        return self.offset.ms or 0.0

    async def exchange_info(self) -> bytes:
        return await self._get("/fapi/v1/exchangeInfo", WEIGHT["exchangeInfo"], Priority.CONTROL)

    async def tickers_24h(self) -> bytes:
        return await self._get("/fapi/v1/ticker/24hr", WEIGHT["ticker_24hr_all"], Priority.CONTROL)

    async def premium_index(self) -> bytes:
        return await self._get("/fapi/v1/premiumIndex", WEIGHT["premiumIndex_all"], Priority.CONTROL)

    async def funding_info(self) -> bytes:
        """Symbols whose funding differs from the usual; of no weight, 500 in 5 minutes."""
        return await self._get("/fapi/v1/fundingInfo", WEIGHT["fundingInfo"], Priority.BACKGROUND)

    async def daily_klines(self, symbol: str, days: int) -> bytes:
        """The last `days` daily klines and today's running one."""
        weight = next(cost for limit, cost in KLINES_WEIGHT if days + 1 < limit)
        return await self._get("/fapi/v1/klines", weight, Priority.ADV, symbol=symbol, interval="1d", limit=days + 1)

    async def depth(self, symbol: str, limit: int, priority: Priority) -> bytes:
        return await self._get("/fapi/v1/depth", DEPTH_WEIGHT[limit], priority, symbol=symbol, limit=limit)

    async def agg_trades(self, symbol: str, from_id: int, limit: int, priority: Priority) -> bytes:
        """Up to `limit` aggregate trades, ascending, from `from_id` on; only the last 48 h can be asked for."""
        return await self._get(
            "/fapi/v1/aggTrades",
            WEIGHT["aggTrades"],
            priority,
            symbol=symbol,
            fromId=from_id,
            limit=min(limit, AGG_TRADES_PER_PAGE),
        )

    async def open_interest(self, symbol: str) -> bytes:
        return await self._get("/fapi/v1/openInterest", WEIGHT["openInterest"], Priority.BACKGROUND, symbol=symbol)

    # -- one request --------------------------------------------------------------------------------------------

    async def _get(self, path: str, weight: int, priority: Priority, **params: str | int) -> bytes:
        """Ask until it is answered, `ATTEMPTS` times at most; raises `RestError`."""
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random)
        while True:
            grant = await self._turn(weight, priority)
            used: int | None = None
            try:
                status, headers, body = await self._ask(path, params)
                used = _used_weight(headers)
                self._judge(path, status, headers, body)
                return body
            except RestError as error:
                if not error.retryable or backoff.attempts + 1 >= ATTEMPTS:
                    raise
            finally:
                self.budget.answered(grant, self.venue_ms(), used)
                self._serve()
            await asyncio.sleep(backoff.next_s())

    async def _ask(self, path: str, params: dict[str, str | int]) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            raise RuntimeError("the REST client is not open")
        url = self.base_url + path
        try:
            async with self._session.get(url, params=params) as answer:
                body = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise UnreachableError(f"{url} answers with more than {MAX_BODY_BYTES >> 20} MiB")
                return answer.status, answer.headers, bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(why(error, url)) from error

    def _judge(self, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Nothing for an answer; otherwise the error it means."""
        if status == 200:
            return
        if status in (429, 418):
            now_ms = self.venue_ms()
            until_ms = self.budget.refused(status, headers.get("Retry-After"), body, now_ms)
            sentence = f"{why_refused(status, self.base_url)}; nothing is asked for {(until_ms - now_ms) / 1000:.0f} s"
            log.warning("rest_refused path=%s status=%d held_s=%.0f", path, status, (until_ms - now_ms) / 1000)
            raise RateLimitedError(sentence)
        if status in (403, 451):
            raise BlockedError(why_refused(status, self.base_url))
        if status >= 500:
            raise OverloadedError(why_refused(status, self.base_url))
        try:
            error = msgspec.json.decode(body, type=_Error)
        except msgspec.MsgspecError:
            error = _Error()
        raise RefusedError(f"{path} is refused (HTTP {status}): {error.msg or 'no reason given'}", error.code)

    # -- turns --------------------------------------------------------------------------------------------------

    async def _turn(self, weight: int, priority: Priority) -> Grant:
        """Wait for `weight`; the most urgent go first, and nobody overtakes within a priority."""
        turn: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (priority, next(self._order), weight, turn))
        self._serve()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.budget.unused(turn.result())
            raise
        finally:
            turn.cancel()

    def _serve(self) -> None:
        """Grant what can be granted, and look again when more can be."""
        now_ms = self.venue_ms()
        while self._queue:
            priority, _, weight, turn = self._queue[0]
            if not turn.done():
                grant = self.budget.take(weight, priority, now_ms)
                if grant is None:
                    break
                turn.set_result(grant)
            heapq.heappop(self._queue)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._queue:
            wait_s = (self.budget.next_chance_ms(now_ms) - now_ms) / 1000
            # A clock that is stepped meanwhile would make one long wait wrong by as much.
            self._alarm = asyncio.get_running_loop().call_later(min(wait_s, 5.0) + 0.01, self._serve)


def _used_weight(headers: Mapping[str, str]) -> int | None:
    text = headers.get(USED_WEIGHT_HEADER)
    return int(text) if text is not None and text.isdecimal() else None
