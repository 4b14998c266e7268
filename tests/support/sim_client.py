"""A simulated venue on real sockets and a plain client of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp

from tapewatch.sim import SimulatedBinanceUsdm, VenueOptions
from waiting import WITHIN_S

OPTIONS = VenueOptions(symbols=12)


class Client:
    """A plain client: one HTTP session, sockets, and patience with a limit."""

    def __init__(self, venue: SimulatedBinanceUsdm, session: aiohttp.ClientSession) -> None:
        self.venue = venue
        self.session = session

    async def get(self, path: str, **query: str | int) -> Any:
        _, body, _ = await self.ask(path, **query)
        return body

    async def ask(self, path: str, **query: str | int) -> tuple[int, Any, Any]:
        async with self.session.get(self.venue.rest_url + path, params=query) as answer:
            return answer.status, await answer.json(), answer.headers

    async def connect(self, path: str) -> aiohttp.ClientWebSocketResponse:
        return await self.session.ws_connect(self.venue.ws_url + path, autoping=False)


async def receive(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """The next text message, decoded."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                return json.loads(message.data)
            if message.type is not aiohttp.WSMsgType.PING:
                raise ConnectionError(f"{message.type.name} {message.data}")


async def command(socket: aiohttp.ClientWebSocketResponse, **message: Any) -> Any:
    """Send a command and return its answer, reading over data."""
    await socket.send_json(message)
    return await answer_of(socket)


async def answer_of(socket: aiohttp.ClientWebSocketResponse) -> Any:
    while True:
        told = await receive(socket)
        if "result" in told or "code" in told:
            return told


@contextlib.asynccontextmanager
async def serving(clock: Callable[[], float] = time.time, **changes: Any) -> AsyncIterator[Client]:
    venue = SimulatedBinanceUsdm(replace(OPTIONS, **changes), clock)
    await venue.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Client(venue, session)
    finally:
        await venue.stop()
