"""What reaches anybody from the simulated venue, and how late: the part of a delay that is the venue's own.

python -m bench.overhear WS_URL SECONDS SYMBOL ...

A process of its own with picows and nothing behind it reads quotes and trades of some symbols. One sample a socket
read, of its first message, as the program counts `receive` (docs/performance.md). Prints one line of JSON: p50 and p99
in ms.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import numpy as np
import uvloop
from picows import WSFrame, WSListener, WSTransport, ws_connect

from . import report

_EVENT_MS = re.compile(rb'"E":(\d{13})')


class Listener(WSListener):
    """Notes the age of the first message of every read."""

    def __init__(self, ages_ms: list[float]) -> None:
        self._ages_ms = ages_ms
        self._first = True

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        if self._first and (found := _EVENT_MS.search(frame.get_payload_as_bytes())):
            self._ages_ms.append(time.time_ns() / 1e6 - int(found[1]))
        self._first = frame.last_in_buffer


async def listen(url: str, seconds: float, symbols: list[str]) -> list[float]:
    ages_ms: list[float] = []
    names = [f"{symbol.lower()}@{kind}" for symbol in symbols for kind in ("aggTrade", "bookTicker")]
    sockets = [
        (await ws_connect(lambda: Listener(ages_ms), f"{url}/{route}/stream?streams={'/'.join(chosen)}"))[0]
        for route, chosen in (("market", names[::2]), ("public", names[1::2]))
    ]
    await asyncio.sleep(seconds)
    for socket in sockets:
        socket.disconnect(graceful=False)
    return ages_ms


def main() -> None:
    url, seconds, *symbols = sys.argv[1:]
    ages = uvloop.run(listen(url, float(seconds), symbols))
    p50, p99 = np.percentile(ages, (50, 99))
    report.say(json.dumps({"p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1), "reads": len(ages)}))


if __name__ == "__main__":
    main()
