"""How OKX swaps are spoken to."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ..model.channel import Channel
from ..venues.okx_swap import (
    BOOKS_PER_SOCKET,
    COMMANDS_PER_HOUR,
    CONNECTIONS_PER_S,
    HISTORY_TRADES_PAGE,
    PING,
    PING_EVERY_S,
    PONG,
    PRODUCT,
    RATE_LIMITED,
    REQUESTS_PER_2_S,
    SERVICE_UPGRADE,
    WS_PATH,
)
from .budget import Priority
from .dialect import Dialect
from .plan import Offer, Stream
from .reasons import UNREADABLE
from .rest import VenueRest
from .sink import NO_ID
from .wire import Answer, Heading, Method

WINDOW_MS = 2_000
LIMIT = max(REQUESTS_PER_2_S.values())
"""Endpoints are limited one by one; here they share what the freest of them allows, and the others weigh more."""
_ARG = re.compile(rb'"arg"\s*:\s*\{([^}]*)\}')
_REFUSED = re.compile(r"channel:([a-z0-9-]+),(instId|instType):([^\s,]+)")
"""Which argument an error is about; it says so in its words alone."""


class _Arg(msgspec.Struct):
    channel: str = ""
    instId: str = ""  # noqa: N815  (the venue's names)
    instType: str = ""  # noqa: N815


class _Told(msgspec.Struct):
    """{"id":"1512","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"…"}, one for each
    argument; {"id":"1512","event":"error","code":"60012","msg":"Invalid request: …"}; {"id":"1512","event":"error",
    "code":"60018","msg":"Wrong URL or channel:trades,instId:NO-USDT-SWAP doesn't exist. …"}; {"event":"notice",
    "code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect."}.
    """

    event: str = ""
    id: str = ""
    arg: _Arg | None = None
    code: str = ""
    msg: str = ""


class _Time(msgspec.Struct):
    ts: str


class _Times(msgspec.Struct):
    data: list[_Time]


class _Refusal(msgspec.Struct):
    code: str = "0"
    msg: str = ""


_told = msgspec.json.Decoder(_Told)
_refusal = msgspec.json.Decoder(_Refusal)


def name_of(channel: str, symbol: str) -> str:
    """A subscription's argument without its braces: what stands at the head of each of its messages."""
    return f'"channel":"{channel}","instId":"{symbol}"'


def name_of_all(channel: str) -> str:
    """The same for a channel of all swaps."""
    return f'"channel":"{channel}","instType":"SWAP"'


class OkxWire:
    """See `wire.Wire`. Each argument of a command is answered by itself."""

    heading = Heading(b'{"arg":{', b"}")
    event_time = re.compile(rb'"ts":\s?"(\d{13})"')
    names_per_command = 100
    command_every_s = 0.1
    commands_per_hour: int | None = COMMANDS_PER_HOUR
    one_spoils_all = False
    ping = PING
    ping_every_s = PING_EVERY_S

    def command(self, method: Method, names: Sequence[str], number: int) -> bytes:
        args = ",".join(f"{{{name}}}" for name in names)
        return f'{{"id":"{number}","op":"{method.lower()}","args":[{args}]}}'.encode()

    def answer(self, frame: bytes) -> Answer | None:
        if frame == PONG:
            return Answer(pong=True)
        try:
            told = _told.decode(frame)
        except UNREADABLE:
            return None
        if told.event == "notice":
            return (
                Answer(leaving=told.msg or "a service upgrade") if told.code == SERVICE_UPGRADE else Answer(pong=True)
            )
        if told.event == "channel-conn-count":
            return Answer(pong=True)
        if told.event not in ("subscribe", "unsubscribe", "error"):
            return None
        number = int(told.id) if told.id.isdecimal() else None
        if told.event == "error":
            refused = _REFUSED.search(told.msg)
            names = None if refused is None else ('"channel":"{}","{}":"{}"'.format(*refused.groups()),)
            return Answer(number, names, f"{told.msg} ({told.code})")
        return Answer(number, None if told.arg is None else (_name(told.arg),))

    def name_in(self, buffer: bytes | bytearray, start: int, end: int) -> bytes | None:
        found = _ARG.search(buffer, start, end)
        if found is None or buffer.find(b'"event"', start, end) >= 0:
            return None  # answers name their argument, too
        try:
            return _name(msgspec.json.decode(b"{" + found[1] + b"}", type=_Arg)).encode()
        except UNREADABLE:
            return None


def _name(arg: _Arg) -> str:
    return name_of(arg.channel, arg.instId) if arg.instId else f'"channel":"{arg.channel}","instType":"{arg.instType}"'


class OkxRest(VenueRest):
    """See `rest.VenueRest`."""

    title = PRODUCT.title
    weight_limit = LIMIT
    window_ms = WINDOW_MS
    refuses_with_200 = True

    async def _ask_for(self, path: str, priority: Priority, **params: str | int) -> bytes:
        return await self.get(f"/api/v5/{path}", LIMIT // REQUESTS_PER_2_S[path], priority, **params)

    async def server_time(self) -> bytes:
        return await self._ask_for("public/time", Priority.CONTROL)

    def read_time(self, body: bytes) -> float:
        return float(msgspec.json.decode(body, type=_Times).data[0].ts)

    async def instruments(self) -> list[bytes]:
        return [await self._ask_for("public/instruments", Priority.CONTROL, instType="SWAP")]

    async def funding(self) -> bytes:
        return await self._ask_for("public/funding-rate", Priority.BACKGROUND, instId="ANY")

    async def volumes(self) -> bytes:
        return await self._ask_for("market/tickers", Priority.CONTROL, instType="SWAP")

    async def daily_klines(self, symbol: str, days: int) -> bytes:
        return await self._ask_for("market/candles", Priority.ADV, instId=symbol, bar="1Dutc", limit=days + 1)

    async def trades(self, symbol: str, from_id: int, limit: int, priority: Priority) -> bytes:
        """Single fills; the venue goes back from an id, so it is asked from behind the last one wanted."""
        rows = min(limit, HISTORY_TRADES_PAGE)
        path = "market/history-trades"
        before = {} if from_id == NO_ID else {"after": from_id + rows}
        return await self._ask_for(path, priority, instId=symbol, type=1, **before, limit=rows)

    def error_in(self, body: bytes) -> tuple[int, str] | None:
        try:
            told = _refusal.decode(body)
        except UNREADABLE:
            return None
        return None if told.code in ("", "0") else (int(told.code) if told.code.isdecimal() else -1, told.msg)

    def too_much(self, code: int) -> bool:
        return code == RATE_LIMITED


def trades(symbol: str) -> tuple[Stream, ...]:
    index = "-".join(symbol.split("-")[:2])
    return (
        Stream(name_of("trades", symbol), Channel.TRADES, symbol),
        Stream(name_of("tickers", symbol), Channel.QUOTES, symbol),
        Stream(name_of("mark-price", symbol), Channel.MARKS, symbol),
        Stream(name_of("index-tickers", index), Channel.MARKS, symbol),
        Stream(name_of("funding-rate", symbol), Channel.MARKS, symbol),
        Stream(name_of("open-interest", symbol), Channel.MARKS, symbol),
    )


def book(symbol: str) -> tuple[Stream, ...]:
    return (Stream(name_of("books", symbol), Channel.DEPTH, symbol),)


DIALECT = Dialect(
    product=PRODUCT,
    rest=OkxRest,
    wire=OkxWire(),
    offer=Offer(
        trades=trades,
        books=book,
        whole_market=(
            Stream(name_of_all("liquidation-orders"), Channel.LIQUIDATIONS),
            Stream(name_of_all("instruments"), Channel.INSTRUMENTS),
        ),
        streams_per_socket=300,
        books_per_socket=BOOKS_PER_SOCKET,
    ),
    path=lambda _: WS_PATH,
    connect_every_s=1.0 / CONNECTIONS_PER_S,
    liquidation_mark=b'"data":[',
)
