"""python-binance: decoded as its websocket does, then `BaseDepthCacheManager._depth_event` into a `DepthCache`.

Its manager for futures keeps no book of diffs, so the base class does the work. That deletes a level only on the text
"0.00000000", which USD-M never sends: levels of quantity zero stay, and are left out of the digest.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson
from binance.ws.depthcache import BaseDepthCacheManager, DepthCache

from ..state import Scale, State
from ..workload import Read, Workload


class DepthCaches:
    """Books only; prices are text, quantities floats."""

    def __init__(self, workload: Workload) -> None:
        self._scales = {s.name: Scale(s) for s in workload.symbols}
        self._managers: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        for symbol, body in workload.snapshots.items():
            manager = BaseDepthCacheManager.__new__(BaseDepthCacheManager)
            manager._depth_cache = DepthCache(symbol)
            manager._refresh_interval = None
            manager._log = logging.getLogger(__name__)
            manager._apply_orders(orjson.loads(body))
            self._managers[symbol] = manager

    def run(self, reads: list[Read]) -> None:
        self._loop.run_until_complete(self._run(reads))

    async def _run(self, reads: list[Read]) -> None:
        managers = self._managers
        for read in reads:
            for frame in read.frames:
                event = orjson.loads(frame)["data"]
                if event["e"] == "depthUpdate":
                    await managers[event["s"]]._depth_event(event)

    def state(self) -> State:
        books = {}
        for symbol, manager in self._managers.items():
            cache, scale = manager._depth_cache, self._scales[symbol]
            books[symbol] = scale.side(cache._bids.items()), scale.side(cache._asks.items())
        return State(books)
