"""How Bybit linear is spoken to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

import msgspec

from ..model.channel import Channel
from ..venues.bybit_linear import (
    BANNED_MS,
    BOOK_LEVELS,
    INSTRUMENTS_PAGE,
    PING,
    PING_EVERY_S,
    PRODUCT,
    REQUESTS,
    REQUESTS_WINDOW_MS,
    TOO_MANY_VISITS,
    WS_PATH,
)
from ..venues.bybit_linear_rest import RECENT_TRADES, result_rows
from .budget import Priority
from .dialect import Dialect
from .plan import Offer, Stream
from .reasons import UNREADABLE
from .rest import VenueRest
from .wire import Answer, Heading, Method

PAGES_AT_MOST = 20
"""Of the list of instruments: a venue that sends cursors without end is not followed for ever."""
_TOPIC = re.compile(rb'"topic"\s*:\s*"([^"]*)"')


class _Told(msgspec.Struct):
    """{"success":true,"ret_msg":"","conn_id":"…","req_id":"7","op":"subscribe"}; a refusal may lack all but two:
    {"success":false,"ret_msg":"error:invalid op","conn_id":"…","request":{"op":"","args":null}}.
    """

    success: bool = True
    ret_msg: str = ""
    req_id: str = ""
    op: str = ""


class _Time(msgspec.Struct):
    time: int


class _Refusal(msgspec.Struct):
    retCode: int = 0  # noqa: N815  (the venue's names)
    retMsg: str = ""  # noqa: N815


_told = msgspec.json.Decoder(_Told)
_refusal = msgspec.json.Decoder(_Refusal)


class BybitWire:
    """See `wire.Wire`. A command is answered as a whole; one bad topic fails all of it."""

    heading = Heading(b'{"topic":"', b'"')
    event_time = re.compile(rb'"ts":\s?(\d{13})\b')
    names_per_command = 100
    command_every_s = 0.1
    commands_per_hour: int | None = None
    one_spoils_all = True
    ping = PING
    ping_every_s = PING_EVERY_S

    def command(self, method: Method, names: Sequence[str], number: int) -> bytes:
        return msgspec.json.encode({"req_id": str(number), "op": method.lower(), "args": names})

    def answer(self, frame: bytes) -> Answer | None:
        try:
            told = _told.decode(frame)
        except UNREADABLE:
            return None
        if told.ret_msg == "pong" or told.op in ("ping", "pong"):
            return Answer(pong=True)
        if told.success and not told.op and not told.req_id:
            return None
        number = int(told.req_id) if told.req_id.isdecimal() else None
        return Answer(number, error="" if told.success else told.ret_msg or "refused without a word")

    def name_in(self, buffer: bytes | bytearray, start: int, end: int) -> bytes | None:
        named = _TOPIC.search(buffer, start, end)
        return None if named is None else named[1]


class BybitRest(VenueRest):
    """See `rest.VenueRest`. Every request counts the same."""

    title = PRODUCT.title
    # Nobody says when the venue's windows begin: half of it in each of ours, and none of its can hold too many.
    weight_limit = REQUESTS // 2
    window_ms = REQUESTS_WINDOW_MS
    penalties_ms = MappingProxyType({403: BANNED_MS, 429: None})
    refuses_with_200 = True

    async def server_time(self) -> bytes:
        return await self.get("/v5/market/time", 1, Priority.CONTROL)

    def read_time(self, body: bytes) -> float:
        return msgspec.json.decode(body, type=_Time).time

    async def instruments(self) -> list[bytes]:
        pages: list[bytes] = []
        cursor = ""
        while len(pages) < PAGES_AT_MOST:
            more = {"cursor": cursor} if cursor else {}
            pages.append(await self.get(
                "/v5/market/instruments-info", 1, Priority.CONTROL, category="linear", limit=INSTRUMENTS_PAGE, **more
            ))  # fmt: skip
            cursor = result_rows(pages[-1], "instruments-info")[1]
            if not cursor:
                break
        return pages

    async def volumes(self) -> bytes:
        return await self.get("/v5/market/tickers", 1, Priority.CONTROL, category="linear")

    async def daily_klines(self, symbol: str, days: int) -> bytes:
        return await self.get(
            "/v5/market/kline", 1, Priority.ADV, category="linear", symbol=symbol, interval="D", limit=days + 1
        )

    async def newest_trades(self, symbol: str, priority: Priority) -> bytes:
        path = "/v5/market/recent-trade"
        return await self.get(path, 1, priority, category="linear", symbol=symbol, limit=RECENT_TRADES)

    def error_in(self, body: bytes) -> tuple[int, str] | None:
        try:
            told = _refusal.decode(body)
        except UNREADABLE:
            return None
        return (told.retCode, told.retMsg) if told.retCode else None

    def too_much(self, code: int) -> bool:
        return code == TOO_MANY_VISITS


def trades(symbol: str) -> tuple[Stream, ...]:
    """Liquidations have no stream of the whole market here."""
    return (
        Stream(f"publicTrade.{symbol}", Channel.TRADES, symbol),
        Stream(f"tickers.{symbol}", Channel.MARKS, symbol),
        Stream(f"allLiquidation.{symbol}", Channel.LIQUIDATIONS, symbol),
    )


def book(symbol: str) -> tuple[Stream, ...]:
    return (Stream(f"orderbook.{BOOK_LEVELS}.{symbol}", Channel.DEPTH, symbol),)


DIALECT = Dialect(
    product=PRODUCT,
    rest=BybitRest,
    wire=BybitWire(),
    offer=Offer(trades=trades, books=book, streams_per_socket=300),
    path=lambda _: WS_PATH,
    liquidation_mark=b'"data":[',
)
