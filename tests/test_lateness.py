"""Lateness of ours is no silence of the venue: a starved loop keeps its connections, and hears again by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from program import started
from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.feed import connection, watchdog
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.model.views import BookState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.venues.registry import PRODUCTS
from waiting import WITHIN_S, until

SYMBOLS = 24
STARVED_S = 8.0


@asynccontextmanager
async def running_feed(tmp_path: Path, *arguments: str) -> AsyncIterator[tuple[VenueFeed, VenueNode]]:
    """A feed with live books on a simulated venue that has a process, and so a loop, of its own."""
    await asyncio.to_thread(warm_up)
    words = ("venue", "--port", "0", "--symbols", str(SYMBOLS), "--announce", *arguments)
    with started(tmp_path, *words) as venue:
        where = json.loads(await asyncio.to_thread(lambda: venue.wait_for(r"\{.*\}")[0]))
        config = VenueConfig(rest_url=where["rest_url"], ws_url=where["ws_url"])
        quarantine = Quarantine(tmp_path / "quarantine.jsonl")
        node = VenueNode(PRODUCTS["binance"], config, ThresholdsConfig(), quarantine)
        feed = VenueFeed(DIALECTS["binance"], config, node)
        running = asyncio.create_task(feed.run())
        try:
            await until(lambda: node.engine.books_by_state()[BookState.LIVE] >= 12, lambda: str(feed.status))
            yield feed, node
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def starve(feed: VenueFeed, seconds: float) -> None:
    """Leave the event loop about one turn a second, so that what arrives waits in the kernel, until that is seen."""
    loop = asyncio.get_running_loop()
    begin, seen = loop.time(), False
    while not seen or loop.time() < begin + seconds:
        time.sleep(0.8)  # noqa: ASYNC251  (to block is the point)
        await asyncio.sleep(0)
        seen |= any(watch.behind for watch in feed.watchdog.sockets.values())
        assert loop.time() < begin + WITHIN_S, str(feed.status)


async def test_a_starved_loop_does_not_reconnect_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was late was read in the end, over the same connections."""
    monkeypatch.setattr(connection, "READ_BUFFER_BYTES", 4_096)  # a turn of the loop reads so much of a socket
    monkeypatch.setattr(watchdog, "TOO_LATE_MS", 500.0)
    monkeypatch.setattr(watchdog, "TOO_LATE_FOR_S", 1.0)
    monkeypatch.setattr(watchdog, "RHYTHM_S", dict.fromkeys(watchdog.RHYTHM_S, 2.5))
    monkeypatch.setattr(watchdog, "PATIENCE_S", dict.fromkeys(watchdog.PATIENCE_S, 2.0))
    async with running_feed(tmp_path, "--faults", "storm:6") as (feed, node):
        connections = feed.status.connected
        await starve(feed, STARVED_S)
        await until(lambda: not any(w.behind for w in feed.watchdog.sockets.values()), lambda: str(feed.status))
        frames = node.frames
        await until(lambda: node.frames > frames + 1_000, lambda: str(feed.status))
        assert (feed.status.reconnects, feed.status.connected) == (0, connections)
        totals = node.engine.totals()
        assert (totals["missing"], totals["depth_gaps"]) == (0, 0)


async def test_a_stream_that_falls_silent_after_a_starved_time_is_found(tmp_path: Path) -> None:
    """Excuses end with the lateness they excuse."""
    async with running_feed(tmp_path, "--faults", "stall:12:*@depth*") as (feed, _node):
        await starve(feed, 3.0)
        # A venue's process that stands still is silent on all streams, for so long.
        await until(lambda: is_depth_alone(feed.status.silent), lambda: str(feed.status))


def is_depth_alone(silent: list[str]) -> bool:
    return bool(silent) and all("@depth" in name for name in silent)
