"""The node's own parts: the sink of a feed, what is set aside, lag, access token, metrics, log lines."""

from __future__ import annotations

import json
import logging
import stat
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tapewatch.config import Config, NodeConfig, ServerConfig, SymbolThresholds, ThresholdsConfig, VenueConfig
from tapewatch.feed.sink import TradeHole
from tapewatch.model.errors import TapewatchError
from tapewatch.model.instrument import Grid, Instrument
from tapewatch.model.views import BookState
from tapewatch.node import warm
from tapewatch.node.access import access_token, is_loopback
from tapewatch.node.log import LineFormatter
from tapewatch.node.node import symbols_of
from tapewatch.node.quarantine import FILE_BYTES, KEPT_FRAMES, Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.venues.registry import PRODUCTS

RECV_NS = warm.NOW_MS * 1_000_000
WUSDT = Instrument(0, "binance", "WUSDT", "W", "USDT", "perp", tick=Grid.parse("0.1"), lot=Grid.parse("1"))


def venue_node(
    tmp_path: Path, config: VenueConfig | None = None, thresholds: ThresholdsConfig | None = None
) -> VenueNode:
    quarantine = Quarantine(tmp_path / "quarantine" / "binance.jsonl")
    return VenueNode(PRODUCTS["binance"], config or VenueConfig(), thresholds or ThresholdsConfig(), quarantine)


def feed(node: VenueNode, *frames: bytes) -> list[str]:
    """Give frames as one socket read; returns why books want a snapshot."""
    buffer, ends = bytearray(), []
    for frame in frames:
        buffer += frame
        ends.append(len(buffer))
    return [need.reason for need in node.on_frames(buffer, ends, RECV_NS)]


def test_a_book_goes_live_and_is_stale_from_the_moment_its_socket_is_lost(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    assert [need.reason for need in node.on_universe([WUSDT])] == ["start"]
    feed(node, warm.FRAMES[0])
    assert node.on_snapshot("WUSDT", warm.SNAPSHOT, RECV_NS) == []
    feed(node, warm.FRAMES[1])
    assert node.engine.book_state(0) == BookState.LIVE
    assert node.on_disconnect(["WUSDT"], "trades") == []
    assert node.engine.book_state(0) == BookState.LIVE
    assert [need.reason for need in node.on_disconnect(["WUSDT", "GONEUSDT"], "depth")] == ["disconnect"]
    assert node.engine.book_state(0) == BookState.STALE


@pytest.mark.parametrize(("wanted", "followed"), [("all", 1), ("none", 0), (("WUSDT",), 1), (("OTHERUSDT",), 0)])
def test_only_the_configured_books_are_kept(tmp_path: Path, wanted: object, followed: int) -> None:
    node = venue_node(tmp_path, VenueConfig(book_symbols=wanted))  # type: ignore[arg-type]
    assert len(node.on_universe([WUSDT])) == followed
    assert node.engine.books_by_state().total() == followed


def test_listings_delistings_and_tick_changes_are_followed(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    listed = replace(WUSDT, symbol="NEWUSDT", base="NEW")
    assert [need.instrument for need in node.on_universe([WUSDT, listed])] == [1]
    assert [need.reason for need in node.on_universe([replace(WUSDT, tick=Grid.parse("0.01")), listed])] == [
        "tick_size_changed"
    ]
    assert node.universe.get("WUSDT").tick == Grid.parse("0.01")
    node.on_universe([WUSDT, replace(listed, status="SETTLING")])
    assert not node.universe.get("NEWUSDT").trading
    assert node.engine.book_state(1) == BookState.OFF


def test_garbled_frames_are_counted_kept_aside_and_harm_nothing(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    garbled = b'{"stream":"wusdt@aggTrade","data":{"e":"aggTr\xff'
    feed(node, garbled, warm.FRAMES[2])
    assert node.engine.totals()["count"] == 1
    assert node.quarantine.by_reason == {"not_json": 1}
    assert node.quarantine.newest[0].frame == garbled
    node.quarantine.write(node.quarantine.take())
    kept = json.loads(node.quarantine.path.read_text())
    assert (kept["reason"], kept["size"], kept["recv_ns"]) == ("not_json", len(garbled), RECV_NS)


def test_a_hole_in_the_trades_is_told_until_it_is_filled(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    feed(node, warm.FRAMES[2], warm.FRAMES[3])  # aggregate trades 1 and 3
    assert node.trade_holes() == [TradeHole("WUSDT", 2, 2, 1_790_000_001_250)]
    node.on_trades(
        "WUSDT", b'[{"a":2,"p":"100.1","q":"1","f":3,"l":3,"T":1790000000900,"m":true}]', RECV_NS + 2_000_000_000
    )
    assert node.trade_holes() == []
    assert node.engine.totals()["count"] == 3


def test_history_is_no_gap_that_is_filled(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    feed(node, warm.FRAMES[3])  # aggregate trade 3
    trades = ",".join(
        f'{{"a":{a},"p":"100.{a}","q":"1","f":{a},"l":{a},"T":{1_790_000_000_000 + a},"m":true}}'
        for a in (0, 1, 2, 3)  # the page is longer than what was missing
    )
    node.on_trades("WUSDT", f"[{trades}]".encode(), RECV_NS + 2_000_000_000)
    totals = node.engine.totals()
    assert (totals["count"], totals["missing"], totals["filled"], totals["absent"]) == (4, 0, 0, 0)
    (candle,) = node.engine.footprint(0, 60_000, 1, 1).candles
    assert (candle["open"], candle["high"], candle["close"], candle["bid"]) == (1000, 1002, 999, 503)


def test_thresholds_of_one_symbol_reach_its_screener(tmp_path: Path) -> None:
    own = ThresholdsConfig(symbols={"WUSDT": SymbolThresholds(adv_percent=0.1, min_notional=0.0)})
    common, special = venue_node(tmp_path), venue_node(tmp_path, thresholds=own)
    for node in (common, special):
        node.on_universe([WUSDT])
        node.on_adv("WUSDT", Decimal(10_000_000), 30)
        feed(node, warm.FRAMES[2])  # 500 at 100.1: 0.5 % of average daily volume is 50,000 and a little less
    assert len(special.engine.big_flow()) > 0
    assert special.engine.flow.big.threshold[0] < common.engine.flow.big.threshold[0]


def test_lag_is_measured_by_the_venues_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    monkeypatch.setattr("tapewatch.node.venue.time.time_ns", lambda: RECV_NS + 325_000_000)
    node.clock_offset_ms = lambda: 25.0
    feed(node, warm.FRAMES[2])  # event time is 300 ms after RECV_NS
    took = node.latency.stages
    for histogram, ms in ((node.latency.total, 50), (took["decode"], 325), (took["engine"], 0)):
        assert histogram.percentiles() == pytest.approx((ms, ms), rel=0.07, abs=0.01)
    assert (took["receive"].count, took["receive"].sum_ms) == (1, 0.0)  # received before it happened: a clock is wrong


def test_a_venue_that_plays_a_recording_is_heard_at_its_own_time(tmp_path: Path) -> None:
    node = venue_node(tmp_path)
    node.on_universe([WUSDT])
    years_later = RECV_NS + 2 * 365 * 86_400 * 10**9
    buffer = bytearray(warm.FRAMES[2])
    node.on_frames(buffer, [len(buffer)], years_later)
    assert node.quarantine.by_reason == {"time_skew": 1}
    node.clock_offset_ms = lambda: (RECV_NS - years_later) / 1e6
    node.on_frames(buffer, [len(buffer)], years_later)
    assert node.engine.totals()["count"] == 1


def test_a_storm_of_garbled_frames_is_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.jsonl")
    for n in range(KEPT_FRAMES + 10):
        quarantine.add(n, "not_json", b"x" * 100_000)
    assert (quarantine.total, quarantine.unwritten, len(quarantine.newest)) == (KEPT_FRAMES + 10, 10, KEPT_FRAMES)
    while not quarantine.path.with_suffix(".previous.jsonl").exists():
        quarantine.write(list(quarantine.newest))
    files = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert len(files) == 2
    assert files[-1] < FILE_BYTES + KEPT_FRAMES * 8_192


def test_symbols_in_sight_are_read_from_the_live_topics() -> None:
    topics = [
        "status",
        "imbalance:binance",
        "bigflow:binance:500",
        "footprint:binance:ETHUSDT:1m:0.5:60",
        "top:binance:BTCUSDT",
        "orderflow:binance:ETHUSDT:1m:0.5:30:300",
        "top:bybit:SOLUSDT",
    ]
    assert symbols_of(topics, "binance") == ["ETHUSDT", "BTCUSDT"]


@pytest.mark.parametrize(
    ("host", "private"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("desk", False)],  # noqa: S104
)
def test_what_counts_as_loopback(host: str, private: bool) -> None:
    assert is_loopback(host) is private


def test_the_token_is_made_once_kept_private_and_never_needed_on_loopback(tmp_path: Path) -> None:
    state = NodeConfig(state_dir=str(tmp_path / "state"))
    assert access_token(Config(node=state)) == ("", False)
    open_to_all = Config(node=state, server=ServerConfig(host="0.0.0.0"))  # noqa: S104
    token, new = access_token(open_to_all)
    assert new
    assert len(token) >= 32
    assert access_token(open_to_all) == (token, False)
    assert stat.S_IMODE((tmp_path / "state" / "token").stat().st_mode) == 0o600
    assert access_token(Config(node=state, server=ServerConfig(token="mine"))) == ("mine", False)  # noqa: S106


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    config = Config(node=NodeConfig(state_dir=str(tmp_path)), server=ServerConfig(host="0.0.0.0"))  # noqa: S104
    access_token(config)
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(TapewatchError, match="chmod 600"):
        access_token(config)


def test_log_lines_have_one_shape_and_stay_one_line() -> None:
    record = logging.LogRecord("tapewatch.feed.rest", logging.WARNING, "", 0, "venue_refused status=%d", (429,), None)
    record.created = 1_790_000_000.25
    assert LineFormatter().format(record) == "2026-09-21T14:13:20.250Z warning feed.rest venue_refused status=429"
