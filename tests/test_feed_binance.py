"""The whole feed against the simulated venue and the real core, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web

from ports import kept_port
from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.feed import driver as module
from tapewatch.feed import socket as socket_module
from tapewatch.feed import watchdog as watchdog_module
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.feed.status import ChannelStatus
from tapewatch.model.views import BookState, FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.sim import Faults, SimulatedBinanceUsdm, VenueOptions
from tapewatch.venues.registry import PRODUCTS
from venue_truth import HeldClock
from waiting import WITHIN_S, until

SYMBOLS = 16
"""With four quarterlies."""


class World:
    """One feed, its sink, and the venue they talk to."""

    def __init__(self, rest_url: str, ws_url: str, folder: Path, feed: dict[str, Any], **settings: Any) -> None:
        config = VenueConfig(rest_url=rest_url, ws_url=ws_url, **settings)
        self.sink = VenueNode(PRODUCTS["binance"], config, ThresholdsConfig(), Quarantine(folder / "refused.jsonl"))
        self.feed = VenueFeed(DIALECTS["binance"], config, self.sink, random=Random(5), **feed)

    def books(self, state: BookState) -> int:
        return self.sink.engine.books_by_state()[state]

    @property
    def totals(self) -> dict[str, int]:
        return self.sink.engine.totals()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.get_running_loop().create_task(self.feed.run())
        try:
            yield task
            if task.done():
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, condition: Callable[[], object]) -> None:
        await until(condition, lambda: f"not reached: {self.feed.status}; {self.totals}")


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm_up()


@asynccontextmanager
async def world(
    tmp_path: Path,
    faults: str = "",
    feed: dict[str, Any] | None = None,
    clock: Callable[[], float] = time.time,
    **settings: Any,
) -> AsyncIterator[World]:
    venue = SimulatedBinanceUsdm(VenueOptions(symbols=SYMBOLS - 4, faults=Faults.parse(faults)), clock)
    await venue.start()
    try:
        made = World(venue.rest_url, venue.ws_url, tmp_path, feed or {}, **settings)
        async with made.running():
            yield made
    finally:
        await venue.stop()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(module, "LONGEST_RETRY_S", 0.2)
    monkeypatch.setattr(module, "DOORBELL_S", 0.1)
    monkeypatch.setattr(module, "CLOCK_FIRST_EVERY_S", 0.2)
    monkeypatch.setattr(socket_module, "FIRST_RETRY_S", 0.05)


async def test_everything_is_alive_within_seconds_of_the_start(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.until(lambda: w.feed.status.weight_used > 0)  # of a minute, and the next one may have begun below
        await w.until(lambda: w.books(BookState.LIVE) == SYMBOLS)
        await w.until(lambda: w.feed.status.adv_loaded == SYMBOLS)
        await w.until(lambda: w.feed.status.state == FeedState.LIVE)
        status = w.feed.status
        assert status.instruments == SYMBOLS == len(w.sink.universe)
        assert [i.symbol for i in w.feed.universe] == [i.symbol for i in w.sink.universe]
        assert not status.detail
        assert not status.silent
        assert status.reconnects == status.snapshots_queued == 0
        assert status.clock_offset_ms is not None
        assert status.weight_used < status.weight_limit == 2400
        assert {c.channel: c.streams for c in status.channels} == {
            "trades": SYMBOLS, "depth": SYMBOLS, "quotes": SYMBOLS, "marks": 1, "tickers": 1,
            "liquidations": 1, "instruments": 1, "canary": 1,
        }  # fmt: skip
        assert (w.sink.engine.adv > 0).sum() == SYMBOLS
        await w.until(lambda: w.totals["count"] > 50)
        assert w.totals["missing"] == w.totals["depth_gaps"] == 0
        assert not w.sink.quarantine.by_reason


async def test_only_what_is_configured_is_followed_and_an_unknown_symbol_is_one_sentence(tmp_path: Path) -> None:
    symbols = ("BTCUSDT", "NOSUCHUSDT", "ETHUSDT")
    async with world(tmp_path, symbols=symbols, book_symbols=("ETHUSDT",), book_depth=100) as w:
        await w.until(lambda: w.books(BookState.LIVE) == 1)
        assert [i.symbol for i in w.feed.universe] == ["BTCUSDT", "ETHUSDT"]
        status = w.feed.status
        assert status.detail == "NOSUCHUSDT: not traded on Binance USD-M futures"
        assert {c.channel: c.streams for c in status.channels}["depth"] == 1
        assert {socket.name for socket in status.sockets} == {"market-all", "trades-1", "books-1"}
        await w.until(lambda: w.feed.status.adv_loaded == 2)


async def test_no_books_means_no_public_socket(tmp_path: Path) -> None:
    async with world(tmp_path, book_symbols="none") as w:
        await w.until(lambda: w.totals["count"] > 0)
        assert {socket.route for socket in w.feed.status.sockets} == {"market"}
        assert w.feed.status.snapshots_loaded == 0


async def test_connections_are_replaced_without_losing_or_doubling_anything(tmp_path: Path) -> None:
    async with world(tmp_path, feed={"socket_lifetime_s": 1.0}) as w:
        await w.until(lambda: w.books(BookState.LIVE) == SYMBOLS)
        await w.until(lambda: all(socket.rotations >= 2 for socket in w.feed.status.sockets))
        # A price may leave what a snapshot knew meanwhile: such a book is asked for again, and nothing was lost.
        assert w.totals["missing"] == w.totals["depth_gaps"] == 0
        assert set(w.sink.engine.needs_by_reason) <= {"coverage", "snapshot_too_old"}
        assert w.totals["duplicates"] > 0
        await w.until(lambda: w.books(BookState.LIVE) == SYMBOLS)
        assert w.feed.status.reconnects == 0


async def test_what_cuts_and_drops_hide_is_brought_back(tmp_path: Path) -> None:
    async with world(tmp_path, "disconnect:1.5,drop:0.02:*@aggTrade,duplicate:0.01,reorder:0.01,http-5xx:0.1") as w:
        await w.until(lambda: w.feed.status.reconnects >= 4 and w.totals["missing"] > 20)
        await w.until(lambda: w.feed.status.trades_backfilled > 10 and w.books(BookState.LIVE) >= SYMBOLS / 2)
        assert w.totals["depth_resyncs"] > 0


async def test_listings_delistings_and_tick_sizes_are_followed(tmp_path: Path) -> None:
    faults = "symbol-listed:1,symbol-delisted:10,tick-size-change:4"
    clock = HeldClock()
    async with world(tmp_path, faults, feed={"refresh_s": 1.0}, clock=clock) as w:
        await w.until(lambda: w.feed.status.instruments == SYMBOLS)
        ticks = {i.symbol: i.tick for i in w.feed.universe}
        clock.go()
        await w.until(lambda: w.feed.status.instruments == SYMBOLS + 1)
        await w.until(lambda: w.books(BookState.LIVE) == SYMBOLS + 1)
        new = w.feed.universe[SYMBOLS]
        assert w.sink.universe.get(new.symbol).index == SYMBOLS
        await w.until(lambda: any(i.tick != ticks.get(i.symbol, i.tick) for i in w.feed.universe))
        await w.until(lambda: not all(i.trading for i in w.feed.universe))
        gone = next(i for i in w.feed.universe if not i.trading)
        followed = {stream.symbol for socket in w.feed.sockets.values() for stream in socket.plan.streams}
        assert gone.symbol not in followed
        assert len(followed - {""}) == SYMBOLS
        assert not w.sink.universe.get(gone.symbol).trading


async def test_a_stalled_stream_is_named_while_all_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PATIENCE_S", "PROOF"):
        limits = dict.fromkeys(getattr(watchdog_module, name), 1)
        monkeypatch.setattr(watchdog_module, name, limits)
    monkeypatch.setattr(module, "SECOND", 0.25)
    stalled = "btcusdt@depth@100ms"
    async with world(tmp_path, f"stall:0.5:{stalled}") as w:
        await w.until(lambda: stalled in w.feed.status.silent)
        # With so little patience others may be named for a moment, too.
        await w.until(lambda: depth(w).state == FeedState.LIVE and depth(w).silent == [stalled])


def depth(w: World) -> ChannelStatus:
    return next(c for c in w.feed.status.channels if c.channel == "depth")


@asynccontextmanager
async def refusing(status: int, **headers: str) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that refuses every request."""
    asked: list[str] = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_a_place_that_is_not_served_is_told_in_one_sentence_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with refusing(451) as (host, asked):
        w = World(f"http://{host}", f"ws://{host}", tmp_path, {})
        async with w.running():
            await w.until(lambda: len(asked) >= 6)
            status = w.feed.status
    assert status.state == FeedState.DOWN
    assert status.detail == f"{host} does not serve this place (HTTP 451): use another network or another address"
    told = [r.getMessage() for r in caplog.records if "what=instruments" in r.getMessage()]
    assert len(told) == 1


async def test_a_ban_is_kept_to_the_second_it_ends(tmp_path: Path) -> None:
    async with refusing(418, **{"Retry-After": "3600"}) as (host, asked):
        w = World(f"http://{host}", f"ws://{host}", tmp_path, {})
        async with w.running():
            await w.until(lambda: w.feed.status.held_for_ms > 3_500_000)
            first = len(asked)
            await asyncio.sleep(0.5)  # any retry that forgets the ban would come now
    assert len(asked) == first <= 2


async def test_a_venue_that_is_down_at_start_is_picked_up_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with kept_port() as port:
        await picked_up(World(f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}", tmp_path, {}), port)


async def picked_up(w: World, port: int) -> None:
    async with w.running():
        await w.until(lambda: "refuses the connection" in w.feed.status.detail)
        assert w.feed.status.state == FeedState.DOWN
        venue = SimulatedBinanceUsdm(VenueOptions(symbols=SYMBOLS - 4, port=port))
        await venue.start()
        try:
            await w.until(lambda: w.books(BookState.LIVE) == SYMBOLS)
            assert not w.feed.status.detail
        finally:
            await venue.stop()


async def test_a_defect_of_ours_ends_the_feed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = SimulatedBinanceUsdm(VenueOptions(symbols=SYMBOLS - 4))
    await venue.start()
    try:
        w = World(venue.rest_url, venue.ws_url, tmp_path, {})

        def broken(*_: object) -> list[object]:
            raise ZeroDivisionError

        monkeypatch.setattr(w.sink, "on_frames", broken)
        with pytest.raises(BaseExceptionGroup) as caught:
            await asyncio.wait_for(w.feed.run(), WITHIN_S)
        assert caught.value.subgroup(ZeroDivisionError)
    finally:
        await venue.stop()
