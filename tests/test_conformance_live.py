"""Bybit and OKX over real sockets: their whole feed against the simulated venues, well and ill."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import aiohttp
import pytest
from msgspec import structs

from tapewatch.config import Config, ThresholdsConfig
from tapewatch.feed.connection import Connection
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.feed.streams import READ_PADDING
from tapewatch.model.channel import Channel
from tapewatch.model.views import BookState, FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.sim import Faults, SimulatedVenues, VenueOptions
from tapewatch.venues.registry import PRODUCTS
from waiting import until

SYMBOLS = 6


@pytest.fixture(scope="module")
def _warm() -> None:
    warm_up(lab=False)


@pytest.fixture(params=["bybit", "okx"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@dataclass
class World:
    """A venue with what reads it."""

    venues: SimulatedVenues
    node: VenueNode
    feed: VenueFeed

    @property
    def totals(self) -> dict[str, int]:
        return self.node.engine.totals()

    def live_books(self) -> int:
        return self.node.engine.books_by_state()[BookState.LIVE]

    async def until(self, condition: Callable[[], object]) -> None:
        await until(condition)


@asynccontextmanager
async def world(name: str, folder: Path, faults: str = "") -> AsyncIterator[World]:
    venues = SimulatedVenues({
        "binance": VenueOptions(symbols=SYMBOLS + 4),
        name: VenueOptions(symbols=SYMBOLS, faults=Faults.parse(faults)),
    })  # fmt: skip
    await venues.start()
    try:
        venue = venues.venues[name]
        config = structs.replace(Config().venues.of(name), enabled=True, rest_url=venue.rest_url, ws_url=venue.ws_url)
        node = VenueNode(PRODUCTS[name], config, ThresholdsConfig(), Quarantine(folder / "quarantine"))
        feed = VenueFeed(DIALECTS[name], config, node, random=Random(1))
        node.clock_offset_ms = lambda: feed.rest.offset.ms
        tasks = asyncio.get_running_loop()
        running, serving = tasks.create_task(feed.run()), tasks.create_task(venues.serve())
        try:
            yield World(venues, node, feed)
            for task in (running, serving):
                if task.done():
                    await task
        finally:
            running.cancel()
            serving.cancel()
            await asyncio.wait([running, serving])
    finally:
        await venues.stop()


@pytest.mark.usefixtures("_warm")
async def test_everything_is_alive_within_seconds_of_the_start(name: str, tmp_path: Path) -> None:
    async with world(name, tmp_path) as w:
        await w.until(lambda: w.live_books() == SYMBOLS)
        await w.until(lambda: w.feed.status.adv_loaded == SYMBOLS and w.feed.status.state is FeedState.LIVE)
        await w.until(lambda: w.totals["count"] > 50 and len(w.node.tickers) == SYMBOLS)
        marks = w.node.engine.quotes.marks[:SYMBOLS]
        await w.until(lambda: (marks["next_funding_ms"] > 0).all() and (marks["index_e8"] > 0).all())
        assert all(one.funding_ms for one in w.node.universe)
        assert not w.feed.status.detail
        assert not w.node.quarantine.by_reason
        assert (w.totals["missing"], w.totals["gaps"], w.totals["depth_gaps"]) == (0, 0, 0)
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_a_book_asked_for_anew_breaks_no_second_time(name: str, tmp_path: Path) -> None:
    """What was on its way when it was given up comes after the new snapshot, and is older than that."""
    async with world(name, tmp_path, "slow:400") as w:
        await w.until(lambda: w.live_books() == SYMBOLS)
        await asyncio.sleep(1.0)
        gaps = w.totals["depth_gaps"]
        w.feed._subscribe_again([one.symbol for one in w.node.universe])
        before = w.totals["depth_applied"]
        await w.until(lambda: w.totals["depth_applied"] > before + 20 * SYMBOLS)
        assert w.totals["depth_gaps"] == gaps
        assert w.live_books() == SYMBOLS


@pytest.mark.usefixtures("_warm")
async def test_prices_stand_beside_those_of_the_other_venue(name: str, tmp_path: Path) -> None:
    """A perpetual of one coin costs the same everywhere, but for a basis point or so; units are made equal."""
    async with world(name, tmp_path) as w:
        await w.until(lambda: w.live_books() == SYMBOLS)
        lead = w.venues.venues["binance"].market
        assert lead is not None
        for one in w.node.universe:
            theirs = f"{one.base}USDT" if f"{one.base}USDT" in lead.index else f"1000{one.coin}USDT"
            i = lead.index[theirs]
            units = 1000 if theirs.startswith("1000") and one.multiplier == 1 else 1
            price = float(lead.marks.mark[i]) / units
            mid = sum(one.tick.to_float(int(side[0][0])) for side in sides(w, one.index)) / 2
            assert abs(mid / price - 1) < 0.002


def sides(w: World, i: int) -> tuple[list[list[int]], list[list[int]]]:
    view = w.node.engine.book(i, 1)
    return view.bids.tolist(), view.asks.tolist()


@pytest.mark.usefixtures("_warm")
async def test_what_the_line_loses_is_repaired_or_stays_a_gap(name: str, tmp_path: Path) -> None:
    """A broken book is subscribed anew. OKX gives trades back by id; Bybit's ids do not tell that any are missing."""
    async with world(name, tmp_path, "drop:0.02,garble:0.002,duplicate:0.01") as w:
        await w.until(lambda: w.totals["depth_gaps"] > 2 and w.totals["duplicates"] > 0)
        if name == "okx":
            await w.until(lambda: w.totals["missing"] > 0 and w.totals["filled"] > 0)
        await w.until(lambda: w.live_books() > SYMBOLS // 2)
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_a_restart_of_the_venues_service_costs_no_book(name: str, tmp_path: Path) -> None:
    """Bybit sends a snapshot with u 1, OKX an update whose seqId is below its prevSeqId: both continue."""
    async with world(name, tmp_path, "restart:4") as w:
        await w.until(lambda: w.live_books() == SYMBOLS)
        await w.until(lambda: bool((w.node.engine.sync.ladders.books[:SYMBOLS]["last_id"] < 10_000).any()))
        assert w.live_books() == SYMBOLS
        assert w.totals["depth_gaps"] == 0


@pytest.mark.usefixtures("_warm")
async def test_an_interruption_is_a_gap_and_over_soon(name: str, tmp_path: Path) -> None:
    async with world(name, tmp_path, "disconnect:4") as w:
        await w.until(lambda: w.feed.status.reconnects >= 3 and w.totals["gaps"] > 0)
        await w.until(lambda: w.live_books() == SYMBOLS)
        if name == "okx":
            await w.until(lambda: w.totals["filled"] > 0)
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_trades_of_bybit_that_fell_silent_leave_a_gap(tmp_path: Path) -> None:
    """Its ids do not tell what was missed while a stream was acknowledged and silent: the remedy does.

    As long as nothing comes nothing is filled: an answer would hide what is missed after it.
    """
    async with world("bybit", tmp_path, "stall:publicTrade.BTCUSDT") as w:
        await w.until(lambda: w.totals["count"] > 20 and w.feed._backfill.progress().share == 1.0)
        trades = [s for socket in w.feed.sockets.values() for s in socket.plan.streams if s.channel is Channel.TRADES]
        w.feed._lost_in_silence(trades)
        w.feed.on_confirmed(trades)  # as it was before
        await w.until(lambda: w.node.engine.unknown_gaps() > 0)
        await w.until(lambda: w.node.engine.unknown_gaps() == 0)
        assert [tail.doubtful for tail in w.node.trade_tails() if tail.symbol == "BTCUSDT"] == [True]
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_a_notice_of_an_upgrade_moves_to_new_connections_before_the_old_end(tmp_path: Path) -> None:
    async with world("okx", tmp_path, "notice:4") as w:
        await w.until(lambda: sum(socket.rotations for socket in w.feed.status.sockets) >= 3)
        await w.until(lambda: w.live_books() == SYMBOLS)
        assert (w.totals["gaps"], w.totals["depth_gaps"], w.feed.status.reconnects) == (0, 0, 0)


@pytest.mark.usefixtures("_warm")
async def test_a_pong_that_comes_alone_is_no_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It once reached the recorder as a read of no messages, and ended the program after twenty seconds."""
    pong = {"bybit": b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}', "okx": b"pong"}[name]
    async with world(name, tmp_path) as w:
        await w.until(lambda: w.live_books() == SYMBOLS)
        socket = w.feed.sockets["books-1"]
        reads: list[int] = []
        monkeypatch.setattr(w.feed, "on_read", lambda _buffer, ends, _recv_ns: reads.append(len(ends)))
        connection = socket._current()
        socket._on_read(connection, bytearray(pong + READ_PADDING), array("q", [len(pong)]))
        assert reads == []
        assert connection.answers_astray == 0


async def test_one_name_that_the_venue_does_not_know_costs_no_other_its_stream(name: str) -> None:
    """A contract that was delisted since the list was read: Bybit refuses the whole command, OKX names it in words."""
    dialect, venues = DIALECTS[name], SimulatedVenues({name: VenueOptions(symbols=4)})
    await venues.start()
    venue = venues.venues[name]
    gone = {"bybit": "GONEUSDT", "okx": "GONE-USDT-SWAP"}[name]
    async with dialect.rest(venue.rest_url) as rest:
        listed = [one.symbol for body in await rest.instruments() for one in dialect.product.instruments(body)]
    names = [stream.name for symbol in (*listed[:2], gone, *listed[2:]) for stream in dialect.offer.trades(symbol)]
    unknown = [stream.name for stream in dialect.offer.trades(gone)]
    confirmed: list[str] = []

    def read(connection: Connection, buffer: bytearray, ends: array[int]) -> None:
        for start, end in pairwise([0, *ends]):
            if not buffer.startswith(dialect.wire.heading.prefix, start):
                connection.answered(bytes(buffer[start:end]))

    connection = Connection(read, lambda _, some: confirmed.extend(some), dialect.wire)
    try:
        await connection.open(venue.ws_url + dialect.path(""), 5)
        connection.subscribe(names)
        await until(lambda: not connection.unanswered)
        assert sorted(connection.refused) == sorted(unknown)
        assert sorted(confirmed) == sorted(set(names) - set(unknown))
        assert connection.answers_astray == 0
        await connection.close("done")
    finally:
        await venues.stop()


async def test_venues_refuse_in_their_own_words(name: str) -> None:
    venues = SimulatedVenues({name: VenueOptions(symbols=2)})
    await venues.start()
    venue = venues.venues[name]
    asked = {
        "bybit": ("/v5/public/linear", '{"req_id":"7","op":"subscribe","args":["orderbook.200.NOSUCH"]}', 6),
        "okx": ("/ws/v5/public", '{"id":"7","op":"subscribe","args":[{"channel":"books","instId":"NOSUCH"}]}', 6),
    }
    path, command, _ = asked[name]
    wire = DIALECTS[name].wire
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(venue.ws_url + path) as socket:
            await socket.send_str(command)
            answer = wire.answer((await socket.receive_str()).encode())
            assert answer is not None
            assert (answer.number, bool(answer.error)) == (7, True)
            await socket.send_str(wire.ping.decode())
            pong = wire.answer((await socket.receive_str()).encode())
            assert pong is not None
            assert pong.pong
            rest = DIALECTS[name].rest(venue.rest_url)
            klines = {"bybit": "/v5/market/kline?symbol=NOSUCH&interval=D", "okx": "/api/v5/market/candles?instId=NO"}
            async with session.get(venue.rest_url + klines[name]) as refusal:
                assert refusal.status == 200
                assert rest.error_in(await refusal.read()) is not None
    finally:
        await venues.stop()
