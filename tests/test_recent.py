"""Trades that an interruption hid, of a venue that tells the newest ones alone: what is within reach comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import numpy as np
import pytest
from aiohttp import web

from feed_api import Clock
from recent_market import PRODUCT, Market
from sealing import seal_all, task_of
from tapewatch import ledger
from tapewatch.config import StoreConfig
from tapewatch.feed import recent as recent_module
from tapewatch.feed.bybit import BybitRest
from tapewatch.feed.recent import RecentTrades
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.tape import Flag
from tapewatch.node.storage import Storage
from tapewatch.store.reader import Reader
from tapewatch.venues.bybit_linear_rest import RECENT_TRADES
from venue_words import NOW
from waiting import until


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def test_what_an_interruption_hid_is_filled_and_nothing_counts_twice(market: Market) -> None:
    market.trade(300)
    market.interrupt()
    market.trade(400, heard=False)
    market.trade(50)
    assert market.gaps() == [(Cause.DISCONNECTED, Fate.OPEN, 299, 700)]
    assert market.wrong(range(300, 700)) == ""
    assert market.newest() == (400, 0)
    assert (market.gaps(), market.wrong()) == ([], "")
    assert market.newest() == (0, 0), "told again it changes nothing"
    account = ledger.trade_account(market.node.engine, market.node.ledger, 0)
    assert (account["accepted"], account["backfilled"], account["gaps_filled"]) == (750, 400, 400)
    assert market.node.engine.footprint(0, 60_000, 1, 400).candles["gap"].sum() == 0


def test_more_than_an_answer_holds_stays_a_gap_of_what_is_out_of_reach(market: Market) -> None:
    market.trade(300)
    market.interrupt()
    market.trade(1_500, heard=False)
    market.trade(50)
    filled, _ = market.newest()
    first = 1_850 - RECENT_TRADES + 1  # the oldest of a full answer may be one of several of its moment
    assert filled == 1_800 - first
    assert market.gaps() == [(Cause.DISCONNECTED, Fate.BEYOND_HORIZON, 299, first)]
    assert market.wrong(range(300, first)) == ""
    (gap,) = market.node.engine.gaps(0)
    assert gap["last_id"] < gap["first_id"], "nobody knows how many it hides"


def test_a_symbol_that_has_not_traded_since_is_asked_for_what_followed(market: Market) -> None:
    market.trade(10)
    market.interrupt()
    market.trade(5, heard=False)
    assert [tail.doubtful for tail in market.node.trade_tails() if tail.symbol == "BTCUSDT"] == [True]
    assert market.newest() == (5, 0)
    assert not any(tail.doubtful for tail in market.node.trade_tails())
    market.trade(5)
    assert (market.gaps(), market.wrong()) == ([], "")


def test_an_answer_older_than_the_interruption_leaves_the_rest_of_it_open(market: Market) -> None:
    market.trade(10)
    market.interrupt()
    market.trade(20, heard=False)
    market.trade(5)
    assert market.newest(market.page(20)) == (10, 0)
    assert market.gaps() == [(Cause.DISCONNECTED, Fate.OPEN, 19, 30)]
    assert market.newest() == (10, 0)
    assert (market.gaps(), market.wrong()) == ([], "")


def test_two_interruptions_are_filled_by_one_answer(market: Market) -> None:
    for _ in range(2):
        market.trade(30)
        market.interrupt()
        market.trade(20, heard=False)
    market.trade(30)
    assert market.newest() == (40, 0)
    assert (market.gaps(), market.wrong()) == ([], "")


def test_a_start_in_the_middle_of_the_day_begins_with_what_the_venue_still_tells(market: Market) -> None:
    market.trade(700, heard=False)
    market.trade(30)
    assert market.newest() == (0, 700)
    assert (market.gaps(), market.wrong()) == ([], "")
    assert market.node.engine.totals()["gaps"] == 0, "what was read late was no gap"


async def test_a_frame_nobody_can_read_is_asked_for(market: Market) -> None:
    market.trade(10)
    frame = market.frame(10).replace(b'"p":', b'"q":')
    market.node.on_frames(bytearray(frame), [len(frame)], market.ms(10) * 10**6)
    market.traded += 1
    market.trade(10)
    assert market.gaps() == [(Cause.QUARANTINED, Fate.OPEN, 9, 11)]
    assert market.newest() == (1, 0)
    assert (market.gaps(), market.wrong()) == ([], "")


# -- the loader -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def loading(market: Market) -> AsyncIterator[RecentTrades]:
    """The venue's REST and who asks it; `market.answers` come first, then the truth."""

    async def answer(_: web.Request) -> web.Response:
        market.asked += 1
        if market.answers:
            return web.Response(body=market.answers.pop(0)(), content_type="application/json")
        return web.Response(body=market.page(), content_type="application/json")

    app = web.Application()
    app.router.add_get("/v5/market/recent-trade", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with BybitRest(f"http://127.0.0.1:{runner.addresses[0][1]}", Clock(), Random(3)) as rest:
            loader = RecentTrades(PRODUCT, rest, market.node, lambda _: None, lambda _: False, Random(1))
            task = asyncio.create_task(loader.run())
            try:
                yield loader
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
    finally:
        await runner.cleanup()


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLE_S", "LOOK_EVERY_S", "FIRST_RETRY_S"):
        monkeypatch.setattr(recent_module, name, 0.01)


@pytest.mark.usefixtures("_quick")
async def test_each_symbol_is_asked_for_once_and_again_after_an_interruption(market: Market) -> None:
    market.trade(200, heard=False)
    async with loading(market) as loader:
        market.trade(10)
        await asyncio.sleep(0.05)
        assert market.asked == 0, "its stream has not been confirmed"
        loader.streaming(["BTCUSDT"])
        await until(lambda: loader.loaded == 200)
        assert loader.progress().share == 1.0
        market.interrupt()
        loader.interrupted(["BTCUSDT"])
        market.trade(60, heard=False)
        market.trade(10)
        await asyncio.sleep(0.05)
        assert market.asked == 1, "it does not stream yet"
        loader.streaming(["BTCUSDT"])
        await until(lambda: loader.filled == 60)
        assert (market.gaps(), market.wrong(), market.asked) == ([], "", 2)


@pytest.mark.usefixtures("_quick")
async def test_an_answer_during_which_the_stream_broke_off_again_is_not_taken(market: Market) -> None:
    """What the stream brings next need not follow it: taken, it would hide what is lost after it."""
    market.trade(10)

    def broken_off() -> bytes:
        page = market.page()
        loader.interrupted(["BTCUSDT"])
        market.interrupt()
        market.trade(20, heard=False)
        loader.streaming(["BTCUSDT"])
        return page

    async with loading(market) as loader:
        market.answers = [broken_off]
        loader.streaming(["BTCUSDT"])
        await until(lambda: market.asked == 1)
        market.trade(5)
        await until(lambda: loader.filled == 20)
    assert (market.gaps(), market.wrong()) == ([], "")


@pytest.mark.usefixtures("_quick")
async def test_what_the_venue_does_not_tell_is_given_up_after_a_few_answers(market: Market) -> None:
    market.trade(10)
    async with loading(market) as loader:
        market.interrupt()
        market.trade(20, heard=False)
        market.trade(5)
        market.answers = [lambda: b"{}", *[lambda: market.page(10)] * 10]
        loader.streaming(["BTCUSDT"])
        await until(lambda: market.gaps() == [(Cause.DISCONNECTED, Fate.REFUSED, 9, 30)])
        assert loader.given_up == {}


# -- the store --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True], ids=["in one file", "in another file than what they lie between"])
def test_trades_that_came_back_are_stored_once(tmp_path: Path, *, apart: bool) -> None:
    """A range of stored ids that do not count says nothing of what was hidden in it."""
    market = Market(tmp_path)
    storage = Storage(StoreConfig(path=str(tmp_path / "data"), retention="forever"))
    node = market.node
    node.recorder = storage.start(["bybit"])["bybit"]
    node.recorder.instruments(list(node.universe), NOW * 10**6)
    market.trade(100)
    market.interrupt()
    market.trade(200, heard=False)
    market.trade(100)
    if apart:
        storage.close()
        seal_all(task_of(tmp_path / "data"))
        storage = Storage(StoreConfig(path=str(tmp_path / "data"), retention="forever"))
        node.recorder = storage.start(["bybit"])["bybit"]
        node.recorder.instruments(list(node.universe), NOW * 10**6)
    assert market.newest() == (200, 0)
    market.newest()
    storage.close()
    seal_all(task_of(tmp_path / "data"))
    reader = Reader(tmp_path / "data")
    stored = [row for tape in reader.tapes("bybit", 0, NOW * 2) for row in tape.rows]
    candles = reader.footprint("bybit", "BTCUSDT", 60_000, 1, NOW - 60_000, NOW + 3_600_000)
    reader.close()
    assert [int(row["ts_ms"]) for row in stored] == [market.ms(n) for n in range(400)]
    assert sum(bool(row["flags"] & Flag.BACKFILLED) for row in stored) == 200, "labelled"
    ours = node.engine.footprint(0, 60_000, 1, 400)
    assert candles.candles["cvd"].tolist() == ours.candles["cvd"].tolist()
    assert np.array_equal(candles.cells, ours.cells)
