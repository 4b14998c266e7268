"""A line that goes down: two programs watch one market, one of them through a line that fails, and must agree again.

python -m bench.outages [--seconds 60 600] [--symbols 12] [--save]

`tapewatch venue` serves four simulated venues. One `tapewatch run` reads them directly: the truth. The other reads them
through relays that for so many seconds cut every connection and take no new one, REST included. When it says that
nothing it can ask for is missing any more, its one-minute footprints are compared with the truth's: times, prices,
every cell, CVD. Minutes that it marks as lacking something are counted apart: there it claims nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from . import report
from .kills import _is_live, _url
from .live import first_line, program

READY_S = 300.0
FILLED_S = 600.0
BEFORE_S, BETWEEN_S = 70.0, 30.0
COMPARED = ("open", "high", "low", "close", "bid", "ask", "delta", "levels")


class Relay:
    """A port that leads to another, or nowhere while it is `down`."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._where = parts.hostname or "", parts.port or 0
        self._open: set[asyncio.StreamWriter] = set()
        self._down = False
        self.port = 0

    async def start(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def set_down(self, down: bool) -> None:
        self._down = down
        for writer in list(self._open) if down else ():
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._where)
        mine = {writer, far_writer}
        self._open |= mine
        pumps = [asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for one in mine:
                one.transport.abort()
            self._open -= mine


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


@contextlib.asynccontextmanager
async def watcher(folder: Path, where: dict[str, dict[str, str]]) -> AsyncIterator[str]:
    """A program that reads venues at these addresses; its own address."""
    settings = {"TAPEWATCH_STORE__PATH": str(folder), "TAPEWATCH_NODE__STATE_DIR": str(folder / "state")}
    for name, address in where.items():
        key = f"TAPEWATCH_VENUES__{name.upper().replace('-', '_')}__"
        settings |= {f"{key}REST_URL": address["rest_url"], f"{key}WS_URL": address["ws_url"], f"{key}ENABLED": "true"}
    with program("run", "--port", "0", **settings) as process:
        yield await asyncio.to_thread(_url, process)


async def measure(seconds: list[int], symbols: int) -> report.Results:
    market = ("--port", "0", "--symbols", str(symbols), "--venues", "all", "--announce")
    with tempfile.TemporaryDirectory(prefix="tapewatch-outages-") as name, program("venue", *market) as venue:
        where = json.loads(await asyncio.to_thread(first_line, venue))["venues"]
        relays = {name: Relay(address["rest_url"]) for name, address in where.items()}
        for relay in relays.values():
            await relay.start()
        through = {
            name: {"rest_url": f"http://127.0.0.1:{relay.port}", "ws_url": f"ws://127.0.0.1:{relay.port}"}
            for name, relay in relays.items()
        }
        async with (
            watcher(Path(name) / "truth", where) as truth,
            watcher(Path(name) / "failing", through) as failing,
            aiohttp.ClientSession() as http,
        ):
            for url in (truth, failing):
                await _until(http, url, READY_S)
            await asyncio.sleep(BEFORE_S)
            results: report.Results = {}
            for length in seconds:
                for relay in relays.values():
                    relay.set_down(True)
                await asyncio.sleep(length)
                live = await _books(http, failing)
                for relay in relays.values():
                    relay.set_down(False)
                back = time.monotonic()
                await _until(http, failing, FILLED_S, whole=True)
                filled_s = time.monotonic() - back
                await asyncio.sleep(BETWEEN_S)
                results[f"{length} s"] = {
                    "live_books_while_down": live, "whole_after_s": round(filled_s, 1),
                    **{name: await _compared(http, truth, failing, name) for name in where},
                }  # fmt: skip
            return results


async def _get(http: aiohttp.ClientSession, url: str, path: str, **params: str | int) -> Any:
    async with http.get(f"{url}{path}", params=params) as answer:
        if answer.status >= HTTPStatus.BAD_REQUEST and path != "health":
            raise SystemExit(f"{answer.url}: {await answer.text()}")
        return await answer.json(content_type=None)


async def _until(http: aiohttp.ClientSession, url: str, within_s: float, *, whole: bool = False) -> None:
    """Until every venue is live, its books stand and, if wanted, nothing that can be asked for is missing."""
    deadline = time.monotonic() + within_s
    while True:
        told = await _get(http, url, "health")
        venues = told["venues"].values()
        if (
            _is_live(told)
            and all(not venue["books_resyncing"] for venue in venues)
            and not (whole and any(venue["missing"] > venue["given_up"] for venue in venues))
        ):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"after {within_s:g} s: {json.dumps(told)[:4_000]}")
        await asyncio.sleep(0.5)


async def _books(http: aiohttp.ClientSession, url: str) -> int:
    told = await _get(http, url, "health")
    return sum(venue["books_in_sync"] for venue in told["venues"].values())


async def _compared(http: aiohttp.ClientSession, truth: str, failing: str, venue: str) -> dict[str, Any]:
    """Minutes that are equal, that differ, and that are marked as lacking something, over all symbols of a venue."""
    listed = await _get(http, truth, "api/symbols", exchange=venue)
    equal, differ, marked = 0, [], 0
    for one in listed["symbols"]:
        step = f"{Decimal(str(one['tick'])):f}"  # not 1e-05
        query = {"exchange": venue, "symbol": one["symbol"], "tf": "1m", "step": step, "lookback": 60}
        ours, theirs = [await _get(http, url, "api/footprint", **query) for url in (failing, truth)]
        known = {candle["open_ts"]: candle for candle in theirs["candles"][1:-1]}
        both = [(candle, known[candle["open_ts"]]) for candle in ours["candles"][1:-1] if candle["open_ts"] in known]
        base: float | None = None
        for mine, true in both:
            if mine["gaps"]:
                marked, base = marked + 1, None
                continue
            off = round(mine["cvd"] - true["cvd"], 9)
            base = off if base is None else base
            # Where a minute before the first one is not whole, CVD begins elsewhere; from there on it runs alike.
            # What klines tell in the minute in which a program came, they do not tell by price.
            by_klines = {"levels"} if mine["klines"] or true["klines"] else set()
            wrong = [name for name in COMPARED if mine[name] != true[name] and name not in by_klines]
            wrong += ["cvd"] * (off != base)
            if wrong:
                differ.append(f"{one['symbol']} {mine['open_ts']} {wrong}")
            else:
                equal += 1
    return {"equal": equal, "marked": marked, "differ": differ[:5], "differing": len(differ)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--symbols", type=int, default=12)
    parser.add_argument("--save", action="store_true")
    chosen = parser.parse_args()
    results = asyncio.run(measure(chosen.seconds, chosen.symbols))
    sys.stdout.write(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    if chosen.save:
        report.save("outages", results)


if __name__ == "__main__":
    main()
