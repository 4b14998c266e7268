"""The detectors find the same to the last digit: live on real sockets, in a replay of the journal, by any clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import pytest

from journals import read_all
from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.feed import books, watchdog
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.journal import Content, Journal, Record, StreamClass
from tapewatch.model.views import BookState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.recorder import VenueRecorder
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.sim import SimulatedBinanceUsdm, VenueOptions
from tapewatch.sim.faults import Faults
from tapewatch.venues.registry import PRODUCTS
from waiting import until

VENUE = PRODUCTS["binance"]
PACE = 8.0
"""Seconds of the market in one of ours."""
EVENTS, KINDS = 12, 3
"""What is to be found before the comparison means something."""
INSTRUMENTS = 6
"""Two perpetuals, and two quarterlies of each."""
LEVELS = 1_000
HOUR_NS = 3_600_000_000_000


def node_for(folder: Path, config: VenueConfig) -> VenueNode:
    return VenueNode(VENUE, config, ThresholdsConfig(), Quarantine(folder / "quarantine.jsonl"))


def events(node: VenueNode) -> list[dict[str, Any]]:
    """All that was found of BTCUSDT, with evidence, in the order of finding."""
    return [asdict(event) for event in node.engine.lab.studies[0].detectors.events]


def kinds(node: VenueNode) -> set[str]:
    return {event["kind"] for event in events(node)}


def reads(records: list[Record], *, at_once: bool) -> Iterator[list[Record]]:
    """Records as they came, or all websocket reads up to the next REST answer in one."""
    for _, run in groupby(enumerate(records), lambda one: (at_once and one[1].content is Content.FRAMES) or -one[0]):
        yield [record for _, record in run]


def replay(node: VenueNode, records: list[Record], *, at_once: bool, later_ns: int = 0) -> None:
    """Give a node what a journal holds; `later_ns` is added to the clock by which it was received."""
    for run in reads(records, at_once=at_once):
        recv_ns = run[0].recv_ns + later_ns
        if run[0].content is Content.FRAMES:
            frames = [frame for record in run for frame in record.frames()]
            node.on_frames(bytearray(b"".join(frames)), list(accumulate(map(len, frames))), recv_ns)
        elif run[0].content is Content.SNAPSHOT:
            node.on_snapshot(run[0].symbol, run[0].payload, recv_ns, LEVELS)
        elif run[0].content is Content.TRADES:
            node.on_trades(run[0].symbol, run[0].payload, recv_ns)


@pytest.mark.parametrize("faults", ["", "drop:0.05:*@aggTrade"], ids=["calm", "trades lost and asked for"])
async def test_live_replay_and_another_clock_find_the_same(
    faults: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second of lateness on a busy machine is eight of this market's; a connection given up for it is in no journal.
    monkeypatch.setattr(watchdog, "TOO_LATE_MS", float("inf"))
    # Nor is it in one how many levels of a book were asked for: as many while weight is short.
    monkeypatch.setattr(books, "TAIL_DEPTH", LEVELS)
    await asyncio.to_thread(warm_up)
    start_s = time.time()
    venue = SimulatedBinanceUsdm(
        VenueOptions(seed=3, symbols=2, patterns_s=5.0, weight_limit=1_000_000, faults=Faults.parse(faults)),
        lambda: start_s + PACE * (time.time() - start_s),
    )
    await venue.start()
    config = VenueConfig(rest_url=venue.rest_url, ws_url=venue.ws_url, study_symbols=("BTCUSDT",))
    live = node_for(tmp_path, config)
    journal = Journal(tmp_path / "journal", "binance")
    journal.start()
    live.recorder = VenueRecorder(journal, [stream.name.lower() for stream in StreamClass], VENUE.channel_of)
    feed = VenueFeed(DIALECTS["binance"], config, live)
    running = asyncio.create_task(feed.run())
    try:
        await until(lambda: live.engine.books_by_state()[BookState.LIVE] == INSTRUMENTS, lambda: str(feed.status))
        await until(lambda: len(events(live)) >= EVENTS and len(kinds(live)) >= KINDS, lambda: str(events(live)))
        if faults:
            await until(lambda: feed.status.trades_backfilled > 0, lambda: str(live.engine.totals()))
        assert not running.done(), running.exception()
        assert feed.status.reconnects == 0, str(feed.status)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.stop()
        journal.close()
    found = events(live)
    records, damage = read_all(tmp_path / "journal")
    assert not damage
    for at_once, later_ns in ((False, 0), (True, 0), (True, HOUR_NS)):
        again = node_for(tmp_path, config)
        again.on_universe(list(live.universe))
        replay(again, records, at_once=at_once, later_ns=later_ns)
        assert events(again) == found
        assert again.engine.totals() == live.engine.totals()
