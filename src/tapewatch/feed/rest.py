"""A venue over HTTP: every request within the weight budget, every failure a typed error with one sentence."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType, TracebackType
from typing import Self

import aiohttp
import msgspec

from ..model.errors import VenueError
from .backoff import Backoff
from .budget import WINDOW_MS, Grant, Priority, WeightBudget
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
"""Lists of instruments are a few MB; anything beyond this is no answer to us."""


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
    """403 or 451: this place or address is not served. After a 403 the budget holds everything back for its window."""


class RefusedError(RestError):
    """The venue understood the request and refused it; `code` is its own error number."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class VenueRest(ABC):
    """The public REST interface of one product. Use as an async context manager.

    A dialect says the addresses, what each request costs and how refusals are worded. Requests wait for their weight in
    order of priority, then of asking; so a call may take minutes while the budget is used up or the venue has banned
    us, and only then fails or succeeds.
    """

    title: str
    """Whose interface it is, in words: ``Binance USD-M futures``."""
    weight_limit: int
    window_ms: int = WINDOW_MS
    """The venue lets an address ask for `weight_limit` in each window of its clock."""
    used_header: str = ""
    """Header with the venue's own count; empty where it tells none."""
    penalties_ms: Mapping[int, int | None] = MappingProxyType({429: None, 418: None})
    """Statuses that mean we asked too much, and how long to keep quiet where the answer does not say."""

    attempts = ATTEMPTS
    refuses_with_200 = False
    """Its refusals come with status 200, too."""

    def __init__(self, base_url: str, clock: Callable[[], int] = time.time_ns, random: Random | None = None) -> None:
        self.base_url = base_url
        self.budget = WeightBudget(self.weight_limit, self.window_ms)
        self.offset = ClockOffset()
        self.refusal = ""
        """Why nothing may be asked while the budget is held, one sentence."""
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
        body = await self.server_time()
        received_ms = self._clock() / 1e6
        try:
            self.offset.add(sent_ms, received_ms, self.read_time(body))
        except (msgspec.MsgspecError, ValueError, LookupError) as error:
            raise RefusedError(f"{self.base_url} does not answer like {self.title}: {error}") from error
        return self.offset.ms or 0.0

    @abstractmethod
    async def server_time(self) -> bytes:
        """The answer that holds the venue's time."""

    @abstractmethod
    def read_time(self, body: bytes) -> float:
        """The time in that answer, in milliseconds; what it raises means that this is no such venue."""

    @abstractmethod
    async def instruments(self) -> list[bytes]:
        """The trading list: one answer, or its pages."""

    @abstractmethod
    async def volumes(self) -> bytes:
        """24 h figures of every symbol."""

    @abstractmethod
    async def daily_klines(self, symbol: str, days: int) -> bytes:
        """The last `days` daily klines and today's running one."""

    async def minute_klines(self, symbol: str, start_ms: int, end_ms: int, priority: Priority) -> list[bytes]:
        """The klines of the minutes that open in [start, end), in as many answers as that takes, in order.

        Not asked where `Product.minute_klines` is None.
        """
        raise NotImplementedError(f"klines of {self.title} do not tell who bought")

    async def funding(self) -> bytes:
        """What `Product.funding_intervals` reads."""
        raise NotImplementedError(f"{self.title} tells funding intervals with its instruments")

    async def open_interest(self, symbol: str) -> bytes:
        """What `Product.interest` reads."""
        raise NotImplementedError(f"{self.title} streams open interest, or has none")

    async def depth(self, symbol: str, limit: int, priority: Priority) -> bytes:
        """A book of `limit` levels a side. Venues whose books come in the stream are never asked."""
        raise NotImplementedError(f"{self.title} sends its books in the stream")

    def depth_weight(self, limit: int) -> int:
        """What a book of `limit` levels costs."""
        raise NotImplementedError(f"{self.title} sends its books in the stream")

    async def trades(self, symbol: str, from_id: int, limit: int, priority: Priority) -> bytes:
        """Up to `limit` trades from id `from_id` on (`NO_ID`: the newest); see `model.rules.TradeRule`. Not asked where
        `page` is 0.
        """
        raise NotImplementedError(f"{self.title} does not give trades back")

    async def newest_trades(self, symbol: str, priority: Priority) -> bytes:
        """As many of the newest trades as there are in one answer. Not asked where `newest` of the rule is 0."""
        raise NotImplementedError(f"{self.title} is asked for trades by their id")

    @abstractmethod
    def error_in(self, body: bytes) -> tuple[int, str] | None:
        """Code and words of a refusal in the body of an answer; None where it is none."""

    def too_much(self, code: int) -> bool:
        """Whether a refusal's code means that we asked too much, whatever its status says."""
        del code
        return False

    # -- one request --------------------------------------------------------------------------------------------

    async def get(self, path: str, weight: int, priority: Priority, **params: str | int) -> bytes:
        """Ask until it is answered, `attempts` times at most; raises `RestError`."""
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random)
        while True:
            grant = await self._turn(weight, priority)
            used: int | None = None
            try:
                status, headers, body = await self._ask(path, params)
                used = self._used_weight(headers)
                self._judge(path, status, headers, body)
                return body
            except RestError as error:
                if not error.retryable or backoff.attempts + 1 >= self.attempts:
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
        told = self.error_in(body) if (status == 200 and self.refuses_with_200) or 400 <= status < 500 else None
        if status == 200 and told is None:
            return
        too_much = status in self.penalties_ms or (told is not None and self.too_much(told[0]))
        if too_much or status == 403:  # a firewall does not say whether it is about our rate, or for how long
            now_ms = self.venue_ms()
            penalty_ms = self.penalties_ms.get(status)
            until_ms = self.budget.refused(status, headers.get("Retry-After"), body, now_ms, penalty_ms)
            self.refusal = refused = why_refused(status if status != 200 else 429, self.base_url)
            log.warning("rest_refused path=%s status=%d held_s=%.0f", path, status, (until_ms - now_ms) / 1000)
            if too_much:
                raise RateLimitedError(f"{refused}; nothing is asked for {(until_ms - now_ms) / 1000:.0f} s")
        if status in (403, 451):
            raise BlockedError(why_refused(status, self.base_url))
        if status >= 500:
            raise OverloadedError(why_refused(status, self.base_url))
        code, words = told or (0, "")
        raise RefusedError(f"{path} is refused (HTTP {status}): {words or 'no reason given'}", code)

    def _used_weight(self, headers: Mapping[str, str]) -> int | None:
        text = headers.get(self.used_header) if self.used_header else None
        return int(text) if text is not None and text.isdecimal() else None

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
