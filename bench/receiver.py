"""The measured end of a socket benchmark: one process, one socket, one contender.

python -m bench.receiver CONTENDER PORT SET [TIMES]

Prints one line of JSON: messages, CPU and wall seconds from a tenth of the set on, and the digests of the end state.
With TIMES, a file, it also keeps when (CLOCK_MONOTONIC) each message had been dealt with.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.feed.binance_usdm import DIALECT, FORCE_ORDERS, MARK_PRICES, agg_trade, book_ticker, depth
from tapewatch.feed.connection import READ_BUFFER_BYTES
from tapewatch.feed.plan import SocketPlan, Stream
from tapewatch.feed.socket import Socket
from tapewatch.feed.watchdog import Watchdog
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.venues.registry import PRODUCTS

from . import report, sets
from .ours import Pipeline, universe_of
from .slices import UNTIMED_SHARE
from .workload import Workload

HELLO = b'{"method":"SUBSCRIBE","params":[],"id":0}'


class Meter:
    """Clocks of a run. Its first tenth is not timed: there books go live and memory is touched for the first time."""

    def __init__(self, messages: int, *, keep_times: bool) -> None:
        self.messages = messages
        self.seen = self.reads = 0
        self.times = np.zeros(messages if keep_times else 0, np.int64)
        self.done = asyncio.get_running_loop().create_future()
        self._untimed = messages // UNTIMED_SHARE
        self._began: tuple[int, float, float] | None = None

    def saw(self, count: int) -> None:
        """So many more messages have been dealt with."""
        before, self.seen = self.seen, self.seen + count
        self.reads += 1
        if len(self.times):
            self.times[before : self.seen] = time.monotonic_ns()
        if self._began is None and self.seen >= self._untimed:
            self._began = self.seen, time.process_time(), time.perf_counter()
        if self.seen >= self.messages and self._began is not None and not self.done.done():
            first, cpu, wall = self._began
            timed = self.messages - first
            self.done.set_result({
                "messages": timed, "cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall,
                "per_read": round(self.seen / self.reads, 1),
            })  # fmt: skip


class RawRead(WSListener):
    """picows and nothing behind it: what any reader of this socket pays."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._frames = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.TEXT, HELLO)

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        self._frames += 1
        if frame.last_in_buffer:
            self._meter.saw(self._frames)
            self._frames = 0


class Ours:
    """The program's own socket and everything behind it: stream counts, codec, engine, lag meters."""

    def __init__(self, workload: Workload, meter: Meter, folder: Path) -> None:
        self._meter = meter
        self.venue = VenueNode(PRODUCTS["binance"], VenueConfig(), ThresholdsConfig(), Quarantine(folder / "refused"))
        self.venue.on_universe(list(universe_of(workload)))
        # The books that the set has snapshots of, live; and nothing else of what the engine starts with.
        self.pipeline = Pipeline(workload)
        self.venue.universe, self.venue.engine = self.pipeline.universe, self.pipeline.engine
        self.venue.codec = self.pipeline.codec
        names = [symbol.name for symbol in workload.symbols]
        streams = [make(name) for name in names for make in (agg_trade, depth, book_ticker)]
        self.plan = SocketPlan("bench", "market", (MARK_PRICES, FORCE_ORDERS, *streams))

    async def run(self, port: int, recv_ns: int) -> None:
        dog = Watchdog(DIALECT.wire.heading)
        watch = dog.follow(self.plan, {}, {})
        socket = Socket(
            self.plan, f"ws://127.0.0.1:{port}/market/stream", DIALECT.wire, watch, dog, self,
            random=Random(1),  # noqa: S311  (jitter of reconnects, of which there are none)
            gate=asyncio.Semaphore(1), clock=lambda: recv_ns,
        )  # fmt: skip
        running = asyncio.create_task(socket.run())
        await asyncio.wait({running, self._meter.done}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()

    def on_read(self, buffer: bytearray, ends: Sequence[int], recv_ns: int) -> None:
        self.venue.on_frames(buffer, ends, recv_ns)
        self._meter.saw(len(ends))

    def on_confirmed(self, streams: Sequence[Stream]) -> None: ...

    def on_lost(self, socket: Socket) -> None: ...

    def venue_ms(self) -> int:
        return 0


async def measure(contender: str, port: int, workload: Workload, times: Path | None) -> dict[str, object]:
    meter = Meter(len(workload.frames), keep_times=times is not None)
    digests: dict[str, str] = {}
    if contender == "raw":
        transport, _ = await ws_connect(
            lambda: RawRead(meter), f"ws://127.0.0.1:{port}/", read_buffer_init_size=READ_BUFFER_BYTES
        )
        await meter.done
        transport.disconnect(graceful=False)
    else:
        with tempfile.TemporaryDirectory() as folder:
            ours = Ours(workload, meter, Path(folder))
            await ours.run(port, workload.recv_ns)
        digests = ours.pipeline.state().digests()
    if times is not None:
        np.save(times, meter.times)
    return {**meter.done.result(), "digests": digests}


def main() -> None:
    contender, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    times = Path(sys.argv[4]) if len(sys.argv) > 4 else None
    workload = sets.load(name)
    report.say(json.dumps(uvloop.run(measure(contender, port, workload, times))))


if __name__ == "__main__":
    main()
