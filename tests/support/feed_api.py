"""A REST server that answers what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from aiohttp import web

from tapewatch.feed.binance_usdm import BinanceUsdmRest

MINUTE_NS = 60_000_000_000


Answer = web.Response | Callable[[web.Request], web.Response] | None


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.ns = 29_856_518 * MINUTE_NS + 5_000_000_000

    def __call__(self) -> int:
        return self.ns


class Api:
    """Answers each request with the next of `answers`, the last one for ever; counts weight like the venue."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:  # half an answer, then nothing more
            half = web.StreamResponse(headers={"Content-Length": "100"})
            await half.prepare(request)
            await half.write(b'{"lastUpdateId":1,')
            assert request.transport is not None
            request.transport.abort()
            return half
        return answer(request) if callable(answer) else clone(answer)


def clone(answer: web.Response) -> web.Response:
    return web.Response(body=answer.body, status=answer.status, headers=answer.headers)


@asynccontextmanager
async def client(api: Api, clock: Clock | None = None) -> AsyncIterator[BinanceUsdmRest]:
    app = web.Application()
    app.router.add_get("/{path:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with BinanceUsdmRest(f"http://127.0.0.1:{port}", clock or Clock(), Random(3)) as rest:
            yield rest
    finally:
        await runner.cleanup()


def used(weight: int, body: str = "{}") -> web.Response:
    return web.Response(text=body, headers={"x-mbx-used-weight-1m": str(weight)})
