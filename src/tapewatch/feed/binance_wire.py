"""Binance's websockets, futures and spot alike: SUBSCRIBE and UNSUBSCRIBE, answered by id; data wrapped by stream."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from .reasons import UNREADABLE
from .wire import Answer, Heading, Method

_STREAM_NAME = re.compile(rb'"stream"\s*:\s*"([^"]*)"')


class _Answer(msgspec.Struct):
    """{"result":null,"id":1}, {"code":2,"msg":"Invalid request: …","id":1} or {"error":{"code":2,"msg":"…"},"id":1};
    spot also {"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}, and the same unwrapped.
    """

    id: int | None = None
    code: int | None = None
    msg: str = ""
    error: dict[str, str | int] | None = None
    stream: str = ""
    e: str = ""


_answer = msgspec.json.Decoder(_Answer)


class BinanceWire:
    """See `wire.Wire`."""

    heading = Heading(b'{"stream":"', b'"')
    event_time = re.compile(rb'"E":\s?(\d{13})\b')
    names_per_command = 100
    commands_per_hour: int | None = None
    one_spoils_all = False  # it acknowledges even names that it never heard of
    ping = b""
    ping_every_s = 0.0

    def __init__(self, *, command_every_s: float) -> None:
        self.command_every_s = command_every_s

    def command(self, method: Method, names: Sequence[str], number: int) -> bytes:
        return msgspec.json.encode({"method": method, "params": names, "id": number})

    def answer(self, frame: bytes) -> Answer | None:
        try:
            told = _answer.decode(frame)
        except UNREADABLE:
            return None
        if told.stream == "!serverShutdown" or told.e == "serverShutdown":
            return Answer(leaving="the venue's server shuts down")
        if told.id is None:
            return None
        if told.code is None and told.error is None:
            return Answer(told.id)
        return Answer(told.id, error=told.msg or str((told.error or {}).get("msg", "")) or f"code {told.code}")

    def name_in(self, buffer: bytes | bytearray, start: int, end: int) -> bytes | None:
        named = _STREAM_NAME.search(buffer, start, end)
        return None if named is None else named[1]
