"""Binance spot: its messages, its recordings, its whole feed against the simulated venue beside the futures'."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import pytest

from book_ticker import play_beside_book_ticker
from tapewatch.config import BinanceConfig, BinanceSpotConfig, ThresholdsConfig
from tapewatch.feed import driver
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.hub.requests import find_instrument
from tapewatch.model.errors import FrameError, NotFoundError, VenueError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import Flag, Kind
from tapewatch.model.ticker import Ticker
from tapewatch.model.views import BookState, FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.replay import Recording
from tapewatch.sim import Faults, SimulatedVenues, VenueOptions
from tapewatch.venues.batch import Decoded
from tapewatch.venues.binance_spot import PRODUCT, parse_exchange_info
from tapewatch.venues.binance_spot_codec import SpotCodec
from tapewatch.venues.registry import PRODUCTS
from waiting import until

NOW = 1_791_019_853_438
RECV_NS = (NOW + 30) * 1_000_000

AGG_TRADE = {"e": "aggTrade", "E": NOW, "s": "BTCUSDT", "a": 4080045245, "p": "84598.05000000", "q": "0.00481000",
             "f": 6733597948, "l": 6733597949, "T": NOW, "m": True, "M": True}  # fmt: skip
TRADE = {"e": "trade", "E": NOW, "s": "BTCUSDT", "t": 1587720407, "p": "84598.05000000", "q": "0.00800000",
         "T": NOW, "m": False, "M": True}  # fmt: skip
DEPTH = {"e": "depthUpdate", "E": NOW, "s": "BTCUSDT", "U": 157, "u": 160, "b": [["84598.04000000", "10.00000000"]],
         "a": [["84598.06000000", "0.00000000"], ["84600.00000000", "0.50000000"]]}  # fmt: skip
QUOTE = {"u": 400900217, "s": "BTCUSDT", "b": "84598.04000000", "B": "31.21000000", "a": "84598.06000000",
         "A": "40.66000000"}  # fmt: skip
TICKER = {"e": "24hrMiniTicker", "E": NOW, "s": "BTCUSDT", "c": "110.00", "o": "100.00", "h": "120.00", "l": "90.00",
          "v": "10000", "q": "18"}  # fmt: skip
STREAMS = {"aggTrade": "aggTrade", "trade": "trade", "depthUpdate": "depth@100ms", "": "bookTicker"}


def frame(event: dict[str, Any] | list[Any], stream: str = "") -> bytes:
    name = stream or f"btcusdt@{STREAMS[event.get('e', '')]}"  # type: ignore[union-attr]
    return json.dumps({"stream": name, "data": event}, separators=(",", ":")).encode()


def universe() -> Universe:
    tick, lot = Grid.parse("0.01000000"), Grid.parse("0.00001000")
    return Universe(PRODUCT.name, [Instrument(-1, PRODUCT.name, "BTCUSDT", "BTC", "USDT", "spot", tick, lot)])


@pytest.fixture(params=[True, False], ids=["kernel", "general"])
def codec(request: pytest.FixtureRequest) -> SpotCodec:
    return SpotCodec(universe(), kernel=request.param)


def decode(codec: SpotCodec, *frames: bytes) -> Decoded:
    return codec.decode(b"".join(frames), list(accumulate(map(len, frames))), RECV_NS)


def test_each_message_becomes_its_row(codec: SpotCodec) -> None:
    decoded = decode(codec, frame(AGG_TRADE), frame(TRADE), frame(DEPTH), frame(QUOTE))
    aggregate, trade, depth, quote = decoded.tape.rows
    assert not decoded.rejected
    assert codec.general_frames == (0 if codec._kernel else 4)
    assert [int(row["kind"]) for row in decoded.tape.rows] == [Kind.TRADE, Kind.TRADE, Kind.DEPTH, Kind.QUOTE]
    assert aggregate[["id", "first_id", "last_id", "price", "qty", "qty2", "ts_ms", "event_ms"]].item() == (
        4080045245, 6733597948, 6733597949, 8459805, 481, 481, NOW, NOW
    )  # fmt: skip
    assert (aggregate["flags"], trade["flags"]) == (Flag.SELL | Flag.AGGREGATE, 0)
    assert depth[["first_id", "last_id", "prev_id", "bids", "asks", "ts_ms"]].item() == (157, 160, 156, 1, 2, NOW)
    assert decoded.tape.levels.tolist() == [(8459804, 1_000_000), (8459806, 0), (8460000, 50_000)]
    assert quote[["id", "price", "qty", "price2", "qty2"]].item() == (400900217, 8459804, 3121000, 8459806, 4066000)


def test_a_quote_has_the_newest_time_that_was_told(codec: SpotCodec) -> None:
    """It comes without one; nothing here may run ahead of the venue's clock, however wrong ours is."""
    depth, trade = {**DEPTH, "E": NOW - 5}, {**TRADE, "E": NOW - 9, "T": NOW - 9}
    rows = decode(codec, *(frame(event) for event in (QUOTE, depth, QUOTE, trade, QUOTE))).tape.rows
    assert [int(ms) for ms in rows["event_ms"]] == [RECV_NS // 1_000_000, NOW - 5, NOW - 5, NOW - 9, NOW - 5]
    assert int(decode(codec, frame(QUOTE)).tape.rows[0]["ts_ms"]) == NOW - 5


def test_microseconds_are_read_where_they_are_asked_for(codec: SpotCodec) -> None:
    times = {"E": NOW * 1000 + 7, "T": NOW * 1000 + 3}
    (row,) = decode(codec, frame({**AGG_TRADE, **times})).tape.rows
    assert (row["event_ms"], row["ts_ms"]) == (NOW, NOW)


def test_tickers_are_the_same_as_on_other_venues(codec: SpotCodec) -> None:
    decoded = decode(codec, frame([TICKER, {**TICKER, "s": "NOPE"}], "!miniTicker@arr"))
    (ticker,) = decoded.control
    assert isinstance(ticker, Ticker)
    assert (ticker.symbol, ticker.last, ticker.change_percent) == ("BTCUSDT", Decimal(110), Decimal(10))
    assert (decoded.foreign, ticker.trades) == (1, None)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({**DEPTH, "U": 161}, "id_range"),
        ({**DEPTH, "b": [["1.0", "-1"]]}, "not_positive"),
        ({**QUOTE, "s": "NOPEUSDT"}, "unknown_symbol"),
        ({**AGG_TRADE, "p": "oops"}, "wrong_shape"),
        ({**AGG_TRADE, "E": 7}, "time_range"),
        ({"s": "BTCUSDT"}, "no_event"),
    ],
)
def test_what_is_not_as_promised_is_set_aside(codec: SpotCodec, event: dict[str, Any], reason: str) -> None:
    decoded = decode(codec, frame(AGG_TRADE), frame(event, "btcusdt@x"), frame(TRADE))
    assert [(one.reason, one.number) for one in decoded.rejected] == [(reason, 1)]
    assert len(decoded.tape) == 2


def test_partial_books_are_no_diffs(codec: SpotCodec) -> None:
    body = {"lastUpdateId": 160, "bids": [["84598.04", "1"]], "asks": []}
    assert [one.reason for one in decode(codec, frame(body, "btcusdt@depth20@100ms")).rejected] == ["partial_depth"]


def test_snapshots_and_pages_of_trades(codec: SpotCodec) -> None:
    body = json.dumps({"lastUpdateId": 160, "bids": [["84598.04000000", "1.0"]], "asks": [["84599", "2"]]}).encode()
    (row,) = codec.snapshot("BTCUSDT", body, RECV_NS, 100).rows
    assert (row["last_id"], row["flags"], row["event_ms"]) == (160, Flag.SNAPSHOT, 0)
    page = json.dumps([{k: AGG_TRADE[k] for k in "apqflTm"}]).encode()
    (trade,) = codec.trades("BTCUSDT", page, RECV_NS).rows
    assert trade["flags"] == Flag.AGGREGATE | Flag.BACKFILLED | Flag.SELL
    assert PRODUCT.trade_ids(page) == [4080045245]
    with pytest.raises(FrameError):
        PRODUCT.trade_ids(b"{}")


def test_the_list_of_2021(data_dir: Path) -> None:
    """Pairs quoted in dollars, of whatever status; others are no instruments here."""
    body = gzip.decompress(next((data_dir / "rest").glob("spot_exchangeInfo_2021*")).read_bytes())
    listed = {one.symbol: one for one in parse_exchange_info(body)}
    assert (listed["BTCUSDT"].tick.value, listed["BTCUSDT"].kind) == (Decimal("0.01"), "spot")
    assert {one.quote for one in listed.values()} <= {"USDT", "USDC", "TUSD"}
    with pytest.raises(VenueError):
        parse_exchange_info(b"[]")


# -- recordings ---------------------------------------------------------------------------------------------------

RECORDINGS = {
    "btc2024": ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"],
    "ten2021": ["spot_20210405_10symbols.raw.gz"],
}
APPLIED = {"btc2024": (2_594, 1), "ten2021": (4_651, 10)}
"""Diffs applied and snapshots used."""


@pytest.mark.parametrize("name", sorted(RECORDINGS))
def test_recorded_books_equal_the_book_ticker_at_every_diff(name: str, data_dir: Path) -> None:
    """In 2024 the market leaves the thousand levels of the only snapshot after 2,595 of 6,495 diffs.

    From then on the book is stale, and says so. The venue's rules alone would show a wrong best price twice.
    """
    tape = Recording.load([data_dir / "binance_spot" / file for file in RECORDINGS[name]])
    assert tape.venue == "binance-spot"
    frames = (record.payload for record in tape.records if not record.url)
    tickers = (json.loads(payload)["data"] for payload in frames if b'"e":' not in payload[:90])
    cursor, compared = play_beside_book_ticker(tape, tickers)
    engine, books = cursor.stage.engine, cursor.stage.engine.sync.ladders.books
    applied, snapshots = int(books["applied"].sum()), int(books["snapshots"].sum())
    assert int(books["gaps"].sum()) == 0
    assert engine.totals()["gaps"] == 0
    assert (applied, snapshots) == APPLIED[name]
    assert compared >= applied - 20 * len(tape.book_symbols)
    assert not cursor.stage.by_reason


# -- the feed -----------------------------------------------------------------------------------------------------

SYMBOLS = 10


@pytest.fixture(scope="module")
def _warm() -> None:
    warm_up(decoders=[PRODUCT.name])


class World:
    """The feed of spot and its sink, and simulated futures and spot side by side."""

    def __init__(self, venues: SimulatedVenues, folder: Path, **settings: Any) -> None:
        self.venues = venues
        spot = venues.venues["binance-spot"]
        config = BinanceSpotConfig(enabled=True, rest_url=spot.rest_url, ws_url=spot.ws_url, **settings)
        self.node = VenueNode(PRODUCT, config, ThresholdsConfig(), Quarantine(folder / "refused.jsonl"))
        self.feed = VenueFeed(DIALECTS["binance-spot"], config, self.node, random=Random(5))
        self.node.on_ask = self.feed.ask

    @property
    def totals(self) -> dict[str, int]:
        return self.node.engine.totals()

    async def until(self, condition: Any) -> None:
        await until(condition, lambda: f"not reached: {self.feed.status}; {self.totals}")


@asynccontextmanager
async def world(folder: Path, faults: str = "", **settings: Any) -> AsyncIterator[World]:
    options = VenueOptions(symbols=SYMBOLS, faults=Faults.parse(faults))
    venues = SimulatedVenues({"binance": VenueOptions(symbols=SYMBOLS + 6), "binance-spot": options})
    await venues.start()
    try:
        made = World(venues, folder, **settings)
        task = asyncio.get_running_loop().create_task(made.feed.run())
        try:
            yield made
            if task.done():
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])
    finally:
        await venues.stop()


@pytest.mark.usefixtures("_warm")
async def test_everything_is_alive_within_seconds_of_the_start(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.until(lambda: w.feed.status.weight_used > 0)  # of a minute, and the next one may have begun below
        await w.until(lambda: w.node.engine.books_by_state()[BookState.LIVE] == SYMBOLS)
        await w.until(lambda: w.feed.status.adv_loaded == SYMBOLS)
        await w.until(lambda: w.feed.status.state == FeedState.LIVE)
        status = w.feed.status
        assert {c.channel: c.streams for c in status.channels} == {
            "trades": SYMBOLS, "depth": SYMBOLS, "quotes": SYMBOLS, "tickers": 1, "canary": 1
        }  # fmt: skip
        assert not status.detail
        assert status.weight_used < status.weight_limit == 6000
        await w.until(lambda: w.totals["count"] > 30 and w.node.tickers)
        assert w.totals["missing"] == w.totals["depth_gaps"] == 0
        assert not w.node.quarantine.by_reason
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_what_the_line_loses_is_repaired(tmp_path: Path) -> None:
    """Lost diffs make a book stale and then whole again; lost trades come back over REST, by id."""
    async with world(tmp_path, "drop:0.02,garble:0.002,duplicate:0.01") as w:
        await w.until(lambda: w.totals["missing"] > 0 and w.totals["filled"] > 0)
        await w.until(lambda: w.totals["depth_gaps"] > 2)
        await w.until(lambda: w.node.engine.books_by_state()[BookState.LIVE] > 0)
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
async def test_spot_stands_beside_the_perpetual_by_its_basis(tmp_path: Path) -> None:
    """One market for both venues: mids differ by the basis, a few basis points, and by the multiplier of the name."""
    async with world(tmp_path) as w:
        perp, spot = (w.venues.venues[name].market for name in ("binance", "binance-spot"))
        assert perp is not None
        assert spot is not None
        await w.until(lambda: w.totals["count"] > 20)
        for i, listing in enumerate(spot.listings):
            lead = perp.index[listing.follows]
            mids = []
            for market, at in ((perp, lead), (spot, i)):
                one = market.listings[at]
                _, _, bid, _, ask, _, _ = market.quote(at)
                mids.append((bid + ask) / 2 * 10.0**-one.price_decimals)
            ticks = 3 * perp.listings[lead].tick_units * 10.0 ** -perp.listings[lead].price_decimals / mids[0]
            assert abs(mids[1] / (mids[0] * listing.multiple) - 1) < 0.002 + ticks, listing.symbol


@pytest.mark.usefixtures("_warm")
async def test_an_instrument_is_followed_while_somebody_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started by the first look, let go after the last, started again by the next."""
    async with world(tmp_path, symbols=("BTCUSDT",)) as w:
        await w.until(lambda: w.totals["count"] > 2)
        assert [one.symbol for one in w.node.universe] == ["BTCUSDT"]
        with pytest.raises(NotFoundError):
            find_instrument(w.node, "NOPEUSDT")
        i = find_instrument(w.node, "ETHUSDT").index  # at once: its venue lists it
        w.feed.in_sight(["ETHUSDT"])
        await w.until(lambda: w.node.engine.trade_seq(i) > 2 and w.node.engine.book_state(i) is BookState.LIVE)
        assert w.node.asked == {"ETHUSDT"}
        monkeypatch.setattr(driver, "LINGER_S", -1.0)
        w.feed.in_sight([])
        assert w.node.asked == frozenset()
        assert w.node.engine.book_state(i) is BookState.OFF
        assert all("ethusdt" not in s.name for socket in w.feed.sockets.values() for s in socket.plan.streams)
        monkeypatch.setattr(driver, "LINGER_S", 60.0)
        assert find_instrument(w.node, "ETHUSDT").index == i
        w.feed.in_sight(["ETHUSDT"])
        await w.until(lambda: w.node.engine.book_state(i) is BookState.LIVE)
        assert w.node.ledger.check(w.node.engine) == []


@pytest.mark.usefixtures("_warm")
@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ("http-418:1", "banned this address"),
        ("http-429:1", "rate limit is used up"),
        ("http-5xx:1", "answers HTTP 503"),
    ],
)
async def test_a_venue_that_refuses_us_says_so_and_the_other_goes_on(
    tmp_path: Path, faults: str, sentence: str
) -> None:
    async with world(tmp_path, faults) as w:
        futures = w.venues.venues["binance"]
        config = BinanceConfig(rest_url=futures.rest_url, ws_url=futures.ws_url)
        node = VenueNode(PRODUCTS["binance"], config, ThresholdsConfig(), Quarantine(tmp_path / "other.jsonl"))
        feed = VenueFeed(DIALECTS["binance"], config, node, random=Random(5))
        task = asyncio.get_running_loop().create_task(feed.run())
        try:
            await w.until(lambda: sentence in w.feed.status.detail)
            assert w.feed.status.state == FeedState.DOWN
            await w.until(lambda: feed.status.state == FeedState.LIVE and node.engine.totals()["count"] > 50)
            assert not feed.status.detail
            assert node.engine.totals()["missing"] == 0
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.mark.usefixtures("_warm")
async def test_nonsense_is_set_aside_and_counted(tmp_path: Path) -> None:
    """Every fourth frame is garbage: nothing wrong is shown, and what is missing is known."""
    async with world(tmp_path, "garble:0.25") as w:
        await w.until(lambda: w.node.quarantine.total > 200)
        assert w.node.ledger.check(w.node.engine) == []
        assert w.node.ledger.quarantined
