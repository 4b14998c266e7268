"""The HTTP routes over a real server: values, exact numbers, and one sentence for every wrong question."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from pydantic import BaseModel
from yarl import URL

from market_world import STATUS, T0, Feed, Served, World, lively, serve
from tapewatch.api import derivs_schemas, lab_schemas, schemas
from tapewatch.api.coverage import Coverage
from tapewatch.api.layouts import Layouts, Settings
from tapewatch.api.operations import Operations
from tapewatch.config import Config, ServerConfig
from tapewatch.feed.status import FeedStatus
from tapewatch.model.views import FeedState


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def body(served: Served, path: str) -> str:
    async with served.http.get(served.url + path) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "application/json"
        return await answer.text()


async def test_numbers_are_printed_with_the_instruments_own_decimals(world: World) -> None:
    lively(world)
    async with serve(world) as served:
        footprint = await body(served, "/api/footprint?step=0.5")
        assert '{"p":42500.5,"bid":0.000,"ask":1.000,"n":2}' in footprint
        book = await body(served, "/api/book?depth=2")
        assert '"bids":[[42500.4,1.500],[42500.3,2.000]],"asks":[[42500.6,0.500],[42500.7,3.000]]' in book
        symbols = await body(served, "/api/symbols")
        assert '"symbol":"币安人生USDT"' in symbols
        assert '"tick":0.00001,"lot":1,' in symbols
        assert '"last":0.00123,' in symbols  # no exponent, no float noise
        assert '"change_24h_pct":1.250,' in symbols
        liquidations = await body(served, "/api/liquidations")
        assert '"price":42000.05,"quantity":0.500,"notional":21000.025' in liquidations


async def test_answers_are_what_the_openapi_document_says(world: World) -> None:
    lively(world)
    models: dict[str, type[BaseModel]] = {
        "/api/symbols": schemas.Symbols,
        "/api/screener": schemas.Screener,
        "/api/imbalance": schemas.Imbalance,
        "/api/imbalance/history": schemas.ImbalanceHistory,
        "/api/footprint": schemas.Footprint,
        "/api/liquidations": schemas.Liquidations,
        "/api/liquidations/clusters": derivs_schemas.Clusters,
        "/api/basis": derivs_schemas.Basis,
        "/api/basis/history": derivs_schemas.MinuteHistory,
        "/api/funding": derivs_schemas.Funding,
        "/api/funding/history": derivs_schemas.MinuteHistory,
        "/api/interest": derivs_schemas.Interest,
        "/api/interest/history": derivs_schemas.MinuteHistory,
        "/api/whales": derivs_schemas.Whales,
        "/api/cvd": derivs_schemas.Cvd,
        "/api/flow": derivs_schemas.Flow,
        "/api/book": schemas.Book,
        "/api/candles": schemas.Candles,
        "/api/coverage": Coverage,
        "/api/stored": schemas.Stored,
        "/api/layouts": Layouts,
        "/api/settings": Settings,
        "/api/export/progress?job=mine": schemas.ExportProgress,
        "/api/impact?size=1": lab_schemas.Impact,
        "/api/operations": Operations,
        "/api/impact/calibration": lab_schemas.Calibration,
        "/api/features": lab_schemas.Features,
        "/api/detections": lab_schemas.Detections,
    }
    async with serve(world) as served:
        _, document = await served.get("/openapi.json")
        for path, model in models.items():
            model.model_validate_json(await body(served, path), strict=True)
            described = document["paths"][path.partition("?")[0]]["get"]["responses"]["200"]["content"][
                "application/json"
            ]["schema"]
            assert described["$ref"].endswith(f"/{model.__name__}")
        elsewhere = {
            "/api/replay",
            "/api/replay/hash",
            "/api/export",
            "/api/export/table",
            "/api/ohlc",
        }  # they need a player, or a store
        api = {path for path in document["paths"] if path.startswith("/api/")} - elsewhere
        api = {path for path in api if not path.startswith("/api/analytics/")}  # they need bars: test_analytics
        api = {path for path in api if not path.startswith("/api/alerts")}  # they need rules: test_alerting
        assert api == {path.partition("?")[0] for path in models}  # a new route needs its schema here


async def test_symbols_tell_grid_volume_and_24h_figures(world: World) -> None:
    lively(world)
    async with serve(world) as served:
        _, answer = await served.get("/api/symbols")
    btc, eth, _ = answer["symbols"]
    assert (btc["index"], btc["tick_grid"], btc["lot_grid"]) == (0, [1, 1], [1, 3])
    assert (btc["adv"], btc["adv_days"], btc["adv_young"], btc["book"]) == (1_000_000, 30, False, "live")
    assert (btc["last"], btc["last_ts"]) == (42499.5, T0 + 61_000)
    assert (btc["high_24h"], btc["low_24h"], btc["quote_volume_24h"], btc["trades_24h"]) == (
        43000,
        42000,
        52470000.25,
        4321,
    )
    assert [eth[name] for name in ("adv", "last", "last_ts", "volume_24h")] == [None] * 4
    assert (eth["adv_young"], eth["book"]) == (True, "waiting")


async def test_footprint_tells_candles_with_ohlc_and_profile(world: World) -> None:
    lively(world)
    world.trade(185_000, "42501.2", "0.25")
    async with serve(world) as served:
        _, answer = await served.get("/api/footprint?tf=1m&step=1&lookback=3")
        _, whole = await served.get("/api/footprint?tf=1h&step=0.1")
    assert (answer["symbol"], answer["tf_ms"], answer["step"]) == ("BTCUSDT", 60_000, 1)
    second, empty, last = answer["candles"]
    assert second["open_ts"] == T0 + 60_000
    assert (second["bid"], second["ask"], second["delta"], second["cvd"]) == (0.3, 0, -0.3, 0.7)
    assert (second["open"], second["high"], second["low"], second["close"]) == (42499.5,) * 4
    assert (second["poc"], second["vah"], second["val"], second["n"]) == (42499, 42499, 42499, 1)
    assert (empty["open_ts"], empty["n"], empty["levels"], empty["cvd"]) == (T0 + 120_000, 0, [], 0.7)
    assert [empty[name] for name in ("open", "high", "low", "close", "poc", "vah", "val")] == [None] * 7
    assert last["levels"] == [{"p": 42501, "bid": 0, "ask": 0.25, "n": 1}]
    (hour,) = whole["candles"]
    assert [level["p"] for level in hour["levels"]] == [42501.2, 42500.6, 42500.5, 42499.5]
    assert hour["quote_volume"] == 0.1 * 42500.5 + 0.9 * 42500.6 + 0.3 * 42499.5 + 0.25 * 42501.2


async def test_imbalance_and_its_history(world: World) -> None:
    world.trade(0, "42500.5", "3")
    world.trade(40_000, "42500.5", "1", "sell")
    world.trade(61_500, "42500.5", "1", "sell")
    async with serve(world) as served:
        _, minute = await served.get("/api/imbalance?window=1m")
        _, five = await served.get("/api/imbalance?window=5m")
        _, ten = await served.get("/api/imbalance?window=10s")
        _, history = await served.get("/api/imbalance/history?window=5m")
        _, fine = await served.get("/api/imbalance/history?window=10s")
    row = minute["rows"][0]
    assert (row["trade_imbalance"], row["bid_volume"], row["ask_volume"], row["book_imbalance"]) == (-1, 2, 0, None)
    assert row["net_flow_per_minute"] == -85001.0
    assert five["rows"][0]["trade_imbalance"] == 0.2
    assert five["rows"][0]["net_flow_per_minute"] == 42500.5 / 5
    assert five["rows"][0]["trend"] == -1.2
    assert (ten["rows"][0]["trade_imbalance"], ten["rows"][0]["trend"]) == (-1, None)
    assert minute["rows"][1]["trade_imbalance"] == 0
    assert (history["step_ms"], history["window_ms"]) == (60_000, 300_000)
    assert history["points"] == [  # not complete: the minutes before are not held
        {"ts": T0 + 60_000, "imbalance": 0.5, "buy": 3, "sell": 1, "complete": False},
        {"ts": T0 + 120_000, "imbalance": 0.2, "buy": 3, "sell": 2, "complete": False},
    ]
    assert fine["step_ms"] == 1000
    points = {point["ts"] - T0: point for point in fine["points"]}
    assert points[1_000]["imbalance"] == points[10_000]["imbalance"] == 1
    assert points[11_000] == {"ts": T0 + 11_000, "imbalance": 0, "buy": 0, "sell": 0, "complete": True}
    assert (points[9_000]["complete"], points[10_000]["complete"]) == (False, True)
    assert points[62_000]["sell"] == 1


async def test_imbalance_history_runs_on_while_nothing_trades(world: World) -> None:
    world.trade(0, "42500.5", "3")
    world.trade(5_000, "1", "3", symbol="ETHUSDT")
    async with serve(world) as served:
        _, history = await served.get("/api/imbalance/history?window=10s")
    assert [point["ts"] - T0 for point in history["points"]] == [1000, 2000, 3000, 4000, 5000, 6000]
    assert [point["buy"] for point in history["points"]] == [3] * 6


async def test_imbalance_history_does_not_call_lost_trades_balance(world: World) -> None:
    """Trades are lost between 0 s and 40 s: nothing is known between, and too little of windows that reach into it."""
    world.trade(0, "42500.5", "3")
    world.lose_trades(3)
    world.trade(40_000, "42500.5", "1", "sell")
    world.trade(60_000, "42500.5", "1", "sell")
    async with serve(world) as served:
        _, history = await served.get("/api/imbalance/history?window=10s")
    points = {point["ts"] - T0: point for point in history["points"]}
    assert points[30_000] == {"ts": T0 + 30_000, "imbalance": None, "buy": 0, "sell": 0, "complete": False}
    assert (points[45_000]["imbalance"], points[45_000]["complete"]) == (-1, False)
    assert (points[55_000]["imbalance"], points[55_000]["complete"]) == (0, True)


async def test_screener_tells_newest_first_and_obeys_limit_since_and_symbol(world: World) -> None:
    lively(world)
    async with serve(world) as served:
        _, answer = await served.get("/api/screener")
        _, none = await served.get(f"/api/screener?since={T0 + 3_600_000}")
        _, one = await served.get("/api/screener?limit=1")
        _, other = await served.get("/api/screener?symbol=ETHUSDT")
    events = answer["events"]
    assert {event["rule"] for event in events} == {"parent", "flow_10s", "flow_1m", "flow_5m"}
    parent = next(event for event in events if event["rule"] == "parent")
    assert (parent["side"], parent["quantity"], parent["trades"], parent["levels"]) == ("buy", 1, 2, 2)
    assert parent["notional"] == 42500.59
    assert parent["price"] == 42500.59
    assert parent["pct_of_adv"] == 4.2501
    assert (parent["start_ts"], parent["ts"]) == (T0, T0 + 100)
    assert (none["events"], one["events"], other["events"]) == ([], events[:1], [])


async def test_liquidations_newest_first_with_the_side_of_the_position(world: World) -> None:
    lively(world)
    async with serve(world) as served:
        _, answer = await served.get("/api/liquidations")
        _, one = await served.get("/api/liquidations?limit=1")
        _, other = await served.get("/api/liquidations?symbol=ETHUSDT")
    assert [row["side"] for row in answer["liquidations"]] == ["short", "long"]
    assert answer["liquidations"][0] == one["liquidations"][0]
    assert one["liquidations"][0] == {
        "ts": T0 + 200,
        "event_ts": T0 + 205,
        "symbol": "BTCUSDT",
        "side": "short",
        "price": 43000,
        "quantity": 0.001,
        "notional": 43,
    }
    assert other["liquidations"] == []


async def test_clusters_count_by_bucket_and_weigh_them_against_the_book(world: World) -> None:
    world.book(
        [("100.0", "10"), ("99.0", "10"), ("98.0", "10"), ("90.0", "1")],
        [("101.0", "10"), ("102.0", "10"), ("120.0", "1")],
        "ETHUSDT",
    )
    world.liquidate(0, "long", "98.50", "20", "ETHUSDT")
    world.liquidate(10, "long", "98.99", "1", "ETHUSDT")
    world.liquidate(20, "short", "102.00", "1", "ETHUSDT")
    world.liquidate(30, "short", "130.00", "1000", "ETHUSDT")
    async with serve(world) as served:
        _, answer = await served.get("/api/liquidations/clusters?symbol=ETHUSDT&bucket=1")
    assert (answer["bucket"], answer["mid_price"]) == (1, 100.5)
    far, above, below = answer["clusters"]
    assert [(c["price"], c["long_count"], c["short_count"]) for c in answer["clusters"]] == [
        (130, 0, 1),
        (102, 0, 1),
        (98, 2, 0),
    ]
    assert below["long_notional"] == below["notional"] == 20 * 98.5 + 98.99
    assert below["depth_to_reach"] == 10 * 100 + 10 * 99 + 10 * 98
    assert below["danger"]
    assert (above["depth_to_reach"], above["danger"]) == (10 * 101 + 10 * 102, False)
    assert (far["depth_to_reach"], far["danger"]) == (None, False)  # the book that is known does not reach there


async def test_default_bucket_gives_a_readable_number_of_rows(world: World) -> None:
    for k in range(40):
        world.liquidate(k, "long", f"{40_000 + 100 * k}", "0.001")
    async with serve(world) as served:
        _, answer = await served.get("/api/liquidations/clusters")
    assert answer["bucket"] == 50  # the nearest of 1, 2, 5 x 10^n to 0.12 % of the newest price
    assert len(answer["clusters"]) == 40


async def test_a_book_out_of_sync_is_never_shown(world: World) -> None:
    async with serve(world) as served:
        async with served.http.get(f"{served.url}/api/book") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            problem = await answer.json(content_type="application/problem+json")
            assert problem["detail"] == (
                "the book of binance:BTCUSDT is being resynchronised (waiting); try again soon"
            )
        world.book([("1.0", "1")], [("2.0", "1")])
        assert (await served.get("/api/book"))[0] == 200
        world.diff([("1.1", "1")], [], gap=5)
        status, problem = await served.get("/api/book")
        assert (status, problem["title"]) == (503, "Service Unavailable")


async def test_a_book_nobody_keeps_is_told_from_one_that_comes(tmp_path: Path) -> None:
    config = Config()
    binance = structs.replace(config.venues.binance, book_symbols="none")
    config = structs.replace(config, venues=structs.replace(config.venues, binance=binance))
    async with serve(World(tmp_path, config=config)) as served:
        status, problem = await served.get("/api/book")
    assert status == 404
    assert problem["detail"] == "no book of binance:BTCUSDT is kept; add it to venues.binance.book_symbols"


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/api/book?symbol=BTC", 404, "unknown symbol 'BTC' on binance; did you mean BTCUSDT?"),
        ("/api/book?symbol=NOPE", 404, "unknown symbol 'NOPE' on binance"),
        ("/api/symbols?exchange=okx", 404, "unknown exchange 'okx'; running here: binance"),
        ("/api/nothing", 404, "there is nothing at /api/nothing; /docs lists what there is"),
        ("/../../etc/passwd", 404, None),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, None),
        ("/a%00b", 404, None),
        ("/api/footprint?tf=2m", 422, "tf = '2m' is refused; it must be '1s', '1m', '5m', '15m', '1h', '4h' or '1d'"),
        (
            "/api/footprint?step=0.07",
            422,
            "step 0.07 is not a multiple of the tick size 0.1 of BTCUSDT; use a multiple",
        ),
        ("/api/footprint?step=abc", 422, "step 'abc' is not a plain decimal number such as 0.1"),
        ("/api/footprint?step=1e999999999", 422, "step '1e999999999' is not a plain decimal number such as 0.1"),
        ("/api/footprint?step=-1", 422, "step '-1' is not a plain decimal number such as 0.1"),
        ("/api/footprint?lookback=0", 422, "lookback = '0' is refused; it must be greater than or equal to 1"),
        ("/api/footprint?lookback=1441", 422, "lookback = '1441' is refused; it must be less than or equal to 1440"),
        (
            "/api/footprint?timeframe=5m",
            422,
            "unknown parameter 'timeframe'; allowed: exchange, symbol, tf, step, lookback",
        ),
        ("/api/screener?limit=501", 422, "limit = '501' is refused; it must be less than or equal to 500"),
        ("/api/screener?limit=x", 422, "limit = 'x' is refused; it must be a valid integer, unable to parse string as"),
        ("/api/screener?since=-1", 422, "since = '-1' is refused; it must be greater than or equal to 0"),
        ("/api/imbalance?window=2m", 422, "window = '2m' is refused; it must be '10s', '1m', '5m' or '15m'"),
        ("/api/imbalance/history?symbol=", 422, "symbol = '' is refused; it must have at least 1 character"),
        (
            "/api/liquidations/clusters?bucket=0.05",
            422,
            "bucket 0.05 is not a multiple of the tick size 0.1 of BTCUSDT",
        ),
        ("/api/book?depth=999999999999999999999999", 422, "depth = '999999999999999999999999' is refused; it must be"),
    ],
)
async def test_wrong_questions_get_one_sentence(world: World, path: str, status: int, sentence: str | None) -> None:
    async with serve(world) as served:
        url = URL(served.url + path, encoded=True)
        async with served.http.get(url) as answer:
            assert answer.status == status
            assert answer.content_type == "application/problem+json"
            problem = schemas.Problem.model_validate_json(await answer.text())
    assert problem.status == status
    if sentence is not None:
        assert problem.detail.startswith(sentence)


async def test_method_not_allowed_says_which_is(world: World) -> None:
    async with serve(world) as served, served.http.post(f"{served.url}/api/book") as answer:
        assert answer.status == 405
        assert (await answer.json(content_type=None))["detail"] == "POST is not allowed here; allowed: GET, HEAD"


async def test_before_the_instruments_are_known_the_answer_is_try_again(tmp_path: Path) -> None:
    async with serve(World(tmp_path, instruments=[])) as served:
        assert (await served.get("/api/symbols"))[1]["symbols"] == []
        assert (await served.get("/api/imbalance"))[1]["rows"] == []
        status, problem = await served.get("/api/footprint")
    assert status == 503
    assert problem["detail"] == "the instruments of binance are not loaded yet; try again in a few seconds"


# -- health, metrics, docs, page ------------------------------------------------------------------------------------


async def test_health_is_200_while_fresh_and_tells_each_venue(world: World) -> None:
    lively(world)
    world.lose_trades(3)
    world.trade(62_000, "42499.5", "0.1")
    world.fill_hole(61_900, "42499.5", "0.1", number=5)
    world.diff([("42500.4", "2")], [], gap=5)
    world.hear({"e": "aggTrade", "s": "BTCUSDT", "p": "oops"})
    async with serve(world) as served:
        status, answer = await served.get("/health")
    assert (status, answer["status"], answer["mode"]) == (200, "ok", "live")
    venue = answer["venues"]["binance"]
    expected = {
        "connected": True,
        "last_message_age_ms": 12,
        "reconnects": 1,
        "gaps_found": 3,
        "gaps_filled": 1,
        "depth_gaps": 1,
        "books_in_sync": 0,
        "books_resyncing": 3,
        "dropped": 1,
        "trades": 6,
    }
    assert {name: venue[name] for name in expected} == expected
    assert venue["latency_p99_ms"] >= venue["latency_p50_ms"] > 0
    assert list(venue["latency"]) == ["receive", "decode", "engine", "hub", "send"]
    assert venue["latency"]["engine"]["p99_ms"] >= venue["latency"]["engine"]["p50_ms"] > 0
    assert venue["latency"]["send"] == {"p50_ms": None, "p99_ms": None}  # nobody listens


@pytest.mark.parametrize("state", [FeedState.CONNECTING, FeedState.STALE, FeedState.DOWN, FeedState.DELAYED])
async def test_health_is_503_when_what_is_shown_is_not_the_market_now(world: World, state: FeedState) -> None:
    world.feeds = {"binance": Feed(_status(state=state, detail="cannot be reached"))}
    async with serve(world) as served:
        status, answer = await served.get("/health")
    assert (status, answer["status"]) == (503, f"binance is {state.value}")
    assert answer["venues"]["binance"]["detail"] == "cannot be reached"


def _status(**changes: Any) -> FeedStatus:
    fields = {name: getattr(STATUS, name) for name in FeedStatus.__dataclass_fields__}
    return FeedStatus(**fields | changes)


async def test_a_replayed_venue_has_no_feed_and_says_replay(tmp_path: Path) -> None:
    async with serve(World(tmp_path, feeds={}, mode="replay")) as served:
        status, answer = await served.get("/health")
        metrics = await served.text("/metrics")
    assert status == 200
    assert (answer["mode"], answer["venues"]["binance"]["state"]) == ("replay", "replay")
    assert 'tapewatch_trades_total{venue="binance"} 0.0' in metrics


async def test_metrics_count_what_happened(world: World) -> None:
    lively(world)
    world.hear({"e": "aggTrade", "s": "BTCUSDT", "p": "oops"})
    async with serve(world) as served:
        await served.get("/api/nothing")
        async with served.ws("/ws/orderflow") as ws:
            await ws.receive()
            async with served.http.get(f"{served.url}/metrics") as answer:
                assert answer.content_type == "text/plain"
                lines = (await answer.text()).splitlines()
    for line in (
        'tapewatch_trades_total{venue="binance"} 4.0',
        'tapewatch_books{state="live",venue="binance"} 1.0',
        'tapewatch_feed_state{state="live",venue="binance"} 1.0',
        'tapewatch_rest_weight_limit{venue="binance"} 2400.0',
        'tapewatch_data_age_seconds{venue="binance"} 0.012',
        "tapewatch_clients 1.0",
        "tapewatch_topics 1.0",
        'tapewatch_http_responses_total{status="404"} 1.0',
    ):
        assert line in lines
    assert any(line.startswith('tapewatch_frames_refused_total{reason="') for line in lines)
    for stage in ("receive", "decode", "engine"):
        at_most = f'tapewatch_latency_seconds_bucket{{le="+Inf",stage="{stage}",venue="binance"}}'
        assert any(line.startswith(at_most) and not line.endswith(" 0.0") for line in lines)
    assert any(line.startswith("tapewatch_lag_seconds_bucket{le=") for line in lines)


async def test_metrics_say_why_a_book_wanted_a_snapshot(world: World) -> None:
    world.book([("42500.4", "1")], [("42500.6", "1")])
    world.diff([], [], gap=3)
    async with serve(world) as served:
        lines = (await served.text("/metrics")).splitlines()
    assert 'tapewatch_book_wants_total{reason="gap",venue="binance"} 1.0' in lines


async def test_docs_need_nothing_from_elsewhere(world: World) -> None:
    async with serve(world) as served:
        page = await served.text("/docs")
        _, document = await served.get("/openapi.json")
    assert "http://" not in page
    assert "https://" not in page
    assert "<script" not in page
    for path, operations in document["paths"].items():
        assert f">{path}</a>" in page
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                assert parameter.get("description"), (path, parameter["name"])
    assert "/ws/orderflow" in page


async def test_page_is_served_with_the_right_caching(world: World, tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html>the page")
    (static / "assets" / "index-BxK3f_9a.js").write_text("1")
    (static / "robots.txt").write_text("x")
    async with serve(world, static=static) as served:
        cached = {}
        for path in ("/", "/assets/index-BxK3f_9a.js", "/robots.txt", "/api/symbols"):
            async with served.http.get(served.url + path) as answer:
                assert answer.status == 200
                cached[path] = answer.headers["Cache-Control"]
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
                assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert (await served.get("/nope.html"))[0] == 404
        assert await served.text("/?panels=footprint&symbol=BTCUSDT") == "<!doctype html>the page"
    assert cached == {
        "/": "no-store",
        "/assets/index-BxK3f_9a.js": "public, max-age=31536000, immutable",
        "/robots.txt": "no-cache",
        "/api/symbols": "no-store",
    }


async def test_without_a_built_page_one_sentence_says_so(world: World, tmp_path: Path) -> None:
    async with serve(world, static=tmp_path / "absent") as served:
        async with served.http.get(served.url + "/") as answer:
            assert answer.status == 503
            assert "The web page is not built: in a checkout run <code>make setup</code>" in await answer.text()
        assert (await served.get("/assets/x.js"))[0] == 404


async def test_exact_numbers_survive_where_floats_would_not(world: World) -> None:
    """Seventeen digits: a float would print another number."""
    world.trade(0, "9007199254740.9", "0.001")
    async with serve(world) as served:
        text = await body(served, "/api/footprint?step=0.1")
    (candle,) = json.loads(text, parse_float=Decimal)["candles"]
    assert candle["open"] == Decimal("9007199254740.9")
    assert candle["quote_volume"] == Decimal("9007199254.7409")


def test_loopback_needs_no_token_by_default() -> None:
    assert ServerConfig().host == "127.0.0.1"
    assert ServerConfig().token == ""


async def test_impact_walks_the_live_book(world: World) -> None:
    lively(world)
    async with serve(world) as served:
        text = await body(served, "/api/impact?side=buy&size=1.5&fee_bps=4")
        assert '"avg_price":42500.6666667,' in text  # 0.5 at 42500.6, 1 at 42500.7
        assert '"filled":1.500,"unfilled":0.000' in text
        _, found = await served.get("/api/impact?side=sell&size=20")
        assert (found["levels_consumed"], found["filled"], found["unfilled"]) == (3, 12.5, 7.5)
        assert "insufficient depth" in found["reason"]
        assert found["slippage"] > 0
        assert found["model"]["reason"].startswith("fewer than 30")
        for query, sentence in (
            ("size=0", "above 0"),
            ("size=0.0001", "not a multiple"),
            ("size=1e999999", "not a multiple of|no number"),
            ("size=x", "not a number"),
            ("", "size"),
        ):
            status, problem = await served.get(f"/api/impact?{query}")
            assert status == 422, problem
            assert re.search(sentence, problem["detail"])
        world.diff([], [], gap=5)
        status, _ = await served.get("/api/impact?size=1")
        assert status == 503
