"""What one update costs the server with 1, 100 and 1,000 screens, beside the bare write of one prebuilt frame.

python -m bench.fanout [--save]

Two servers in one process and one event loop: the program's own, with its hub, and a protocol that does nothing but
write. As many clients listen to each, in another process. A few updates to all clients of the one, then of the other,
on CPU time from the change to the last byte handed to the operating system; sockets are drained in between, untimed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

import uvloop
from msgspec import structs

from tapewatch.api import create_app
from tapewatch.api.transport import Framing, Line
from tapewatch.config import Config
from tapewatch.hub.hub import Hub, Payloads
from tapewatch.node.node import Node
from tapewatch.node.server import Server, bind

from . import report

CLIENTS = (1, 100, 1000)
UPDATE_BYTES = 4096
UPDATES = 8
"""In a timed slice."""
SLICES = 24
HANDSHAKE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
OURS, RAW = "tapewatch: hub to every client", "raw write of one prebuilt frame"


class Blob:
    """A topic that always has something new of one size."""

    key = "blob"
    period_s = 3600.0

    def refresh(self) -> Payloads:
        return (os.urandom(UPDATE_BYTES),)

    def snapshot(self) -> Payloads:
        return self.refresh()

    def close(self) -> None: ...


class RawWrite(asyncio.Protocol):
    """The least that any server on this loop does."""

    transports: list[asyncio.WriteTransport]

    def __init__(self, transports: list[asyncio.WriteTransport]) -> None:
        self.transports = transports
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's own class has the methods and not the base

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._transport.write(HANDSHAKE)
            self.transports.append(self._transport)


async def measure(clients: int) -> report.Results:
    """CPU microseconds a client and update, best and median of the slices."""
    hub = Hub()
    raw: list[asyncio.WriteTransport] = []
    loop = asyncio.get_running_loop()
    bare = await loop.create_server(lambda: RawWrite(raw), "127.0.0.1", 0, backlog=2048)
    with tempfile.TemporaryDirectory() as folder, bind("127.0.0.1", 0) as listener:
        node = _node(folder)
        server = Server(create_app(node, hub=hub), node.config.limits)
        server.config.ws_ping_interval = None  # the clients only read
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        ports = [str(one.getsockname()[1]) for one in (bare.sockets[0], listener)]
        sink = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.sink", str(clients), ports[0], "/", ports[1], "/ws/stream"),
            stdout=asyncio.subprocess.PIPE,
        )
        if sink.stdout is None or not await sink.stdout.readline():
            raise RuntimeError("the clients could not connect")
        lines = [client._outlet for client in hub.clients]  # noqa: SLF001  (to see what still waits)
        ours = [line.transport for line in lines if isinstance(line, Line)]
        for client in list(hub.clients):
            client.subscribe(0, Blob.key, Blob)
        channel = hub.open(Blob.key, Blob)
        try:
            spent = await _slices({
                OURS: (lambda: channel.refresh(hub.stats, time.monotonic), lambda: _drained(ours)),
                RAW: (lambda: _write(raw), lambda: _drained(raw)),
            })  # fmt: skip
            if len(channel.subscriptions) != clients:
                raise RuntimeError(f"{clients - len(channel.subscriptions)} clients were lost on the way")
        finally:
            sink.terminate()
            await sink.wait()
            server.stop()
            await serving
            bare.close()
    per_send = {name: [ns / 1000 / UPDATES / clients for ns in took] for name, took in spent.items()}
    return {
        name: {"best_us": round(min(took), 2), "median_us": round(median(took), 2)} for name, took in per_send.items()
    }


Side = tuple[Callable[[], None], Callable[[], Awaitable[None]]]


async def _slices(sides: dict[str, Side]) -> dict[str, list[int]]:
    spent: dict[str, list[int]] = {name: [] for name in sides}
    names = list(sides)
    for number in range(SLICES):
        for name in names if number % 2 else reversed(names):
            send, drained = sides[name]
            took = 0
            for _ in range(UPDATES):
                began = time.process_time_ns()
                send()
                await asyncio.sleep(0)  # uvloop hands over what was written at the end of its turn
                took += time.process_time_ns() - began
                await drained()
            spent[name].append(took)
    return {name: took[SLICES // 10 :] for name, took in spent.items()}


def _write(transports: list[asyncio.WriteTransport]) -> None:
    frame = Framing()((os.urandom(UPDATE_BYTES),))
    for transport in transports:
        transport.write(frame)


async def _drained(transports: list[asyncio.WriteTransport]) -> None:
    while any(transport.get_write_buffer_size() for transport in transports):  # noqa: ASYNC110  (no event tells)
        await asyncio.sleep(0.001)


def _node(folder: str) -> Node:
    config = Config()
    venues = structs.replace(config.venues, binance=structs.replace(config.venues.binance, enabled=False))
    store = structs.replace(config.store, enabled=False)
    limits = structs.replace(config.limits, clients=10_000)
    state = structs.replace(config.node, state_dir=folder)
    return Node(structs.replace(config, venues=venues, store=store, limits=limits, node=state))


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__)
    arguments.add_argument("--save", action="store_true")
    chosen = arguments.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = {"machine": report.machine(), "bytes": UPDATE_BYTES, "clients": {}}
    for clients in CLIENTS:
        results["clients"][str(clients)] = uvloop.run(measure(clients))
    if chosen.save:
        report.save("fanout", results)
    report.say(report.fanout_report(results))


if __name__ == "__main__":
    main()
