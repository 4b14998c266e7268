"""Topics of the derivatives panels: their rows are the API's, digit by digit, and deltas add up to snapshots."""

from __future__ import annotations

import asyncio
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import WSMsgType

from deriv_world import HOUR_MS, Two
from market_world import Served, World, serve
from tapes import T0, mark
from tapewatch.hub.derivs import Basis, Cvd, Flow, Funding, Whales
from tapewatch.hub.wire import decode
from waiting import WITHIN_S


def frame(payloads: tuple[bytes | str, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    (payload,) = payloads
    assert isinstance(payload, bytes)
    told = decode(payload)
    return told.header, dict(told.columns)


def lively() -> Two:
    world = Two()
    world.book(600_600, 600_610)
    world.book(600_000, 600_001, venue="binance-spot")
    world.hear([mark(T0, 1, 1, 10_000 * (i + 1), T0 + HOUR_MS, i=i) for i in (0, 1)])
    world.trades([(k * 500, 600_600, 20 if k % 3 else -30) for k in range(40)])
    world.trades([(k * 500, 600_000, 3) for k in range(40)], venue="binance-spot")
    return world


def test_a_delta_of_rows_holds_those_that_differ() -> None:
    world = lively()
    topic = Funding("funding:binance", world.derivs, "binance", lambda: 7)
    head, _ = frame(topic.refresh())
    assert (head["type"], head["meta"]["exchange"]) == ("snapshot", "binance")
    assert head["meta"]["rows"] == world.derivs.funding("binance")
    assert topic.refresh() == ()
    world.hear([mark(T0 + 1, 1, 1, 77, T0 + HOUR_MS, i=1)])
    head, _ = frame(topic.refresh())
    assert (head["type"], head["prev"], [row["symbol"] for row in head["meta"]["rows"]]) == ("delta", 1, ["ETHUSDT"])
    assert frame(topic.snapshot())[0]["meta"]["rows"] == world.derivs.funding("binance")


def test_basis_rows_follow_the_books() -> None:
    world = lively()
    topic = Basis("basis:binance", world.derivs, "binance", lambda: 7)
    head, _ = frame(topic.refresh())
    assert [row["symbol"] for row in head["meta"]["rows"]][:2] == ["BTCUSDT", "ETHUSDT"]
    world.book(600_700, 600_710)
    head, _ = frame(topic.refresh())
    (row,) = head["meta"]["rows"]
    assert row == next(one for one in world.derivs.basis("binance") if one["symbol"] == "BTCUSDT")


def test_whales_of_all_venues_come_as_they_grow() -> None:
    world = lively()
    now = [7_000]
    topic = Whales("whales:all:2", world.derivs, None, 2, lambda: now[0])
    topic.refresh()
    world.trades([(30_000, 600_600, 10_000)])
    rows = frame(topic.refresh())[0]["meta"]["rows"]
    assert [(row["notional"], row["open"]) for row in rows] == [(600_600.0, True)]
    assert topic.refresh() == ()
    world.trades([(30_500, 600_600, -10_000)], venue="binance-spot")
    world.trades([(31_000, 600_600, -10_000)])
    head, _ = frame(topic.refresh())
    assert head["type"] == "delta"
    assert [row["exchange"] for row in frame(topic.snapshot())[0]["meta"]["rows"]] == ["binance", "binance-spot"]


def test_steps_of_cvd_add_up_to_what_a_snapshot_holds() -> None:
    world = lively()
    topic = Cvd("cvd:binance:BTCUSDT:5m:usd", world.derivs, world.venues["binance"], "BTCUSDT", "5m", "usd", lambda: 7)
    head, columns = frame(topic.refresh())
    kept = {name: list(values) for name, values in columns.items()}
    assert [(one["exchange"], one["symbol"]) for one in head["meta"]["markets"]] == [
        ("binance", "BTCUSDT"),
        ("binance-spot", "BTCUSDT"),
    ]
    for start in (20_000, 23_000, 40_000):
        world.trades([(start + k * 100, 600_600 + k, 5 - k) for k in range(10)])
        world.trades([(start + k * 100, 600_000 + k, 9 + k) for k in range(10)], venue="binance-spot")
        head, columns = frame(topic.refresh())
        assert head["type"] == "delta"
        first = columns["ts_ms"][0]
        at = next((k for k, ts in enumerate(kept["ts_ms"]) if ts >= first), len(kept["ts_ms"]))
        for name, values in columns.items():
            kept[name] = kept[name][:at] + list(values)
        whole = frame(topic.snapshot())[1]
        for name, values in whole.items():
            np.testing.assert_array_equal(kept[name][-len(values) :], values)
    assert len(kept["ts_ms"]) > 35


def test_flow_comes_in_the_order_asked_for() -> None:
    world = lively()
    topic = Flow(
        "flow:binance:ETHUSDT,BTCUSDT", world.derivs, world.venues["binance"], ["ETHUSDT", "BTCUSDT"], lambda: 7
    )
    head, _ = frame(topic.refresh())
    assert head["meta"]["order"] == [
        ["binance", "ETHUSDT"],
        ["binance-spot", "ETHUSDT"],
        ["binance", "BTCUSDT"],
        ["binance", "BTCUSDT_260327"],
        ["binance-spot", "BTCUSDT"],
    ]


# -- over real sockets ------------------------------------------------------------------------------------------------


async def snapshot(served: Served, topic: str, **params: Any) -> dict[str, Any]:
    async with served.ws("/ws/stream") as socket:
        await socket.send_json({"op": "subscribe", "id": 1, "topic": topic, "params": params})
        async with asyncio.timeout(WITHIN_S):
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    told = decode(message.data)
                    columns = {
                        name: [None if isnan(v) else v for v in values.tolist()]
                        for name, values in told.columns.items()
                    }
                    return dict(told.header["meta"]) | columns
                assert message.json()["op"] == "subscribed", message.data
    raise AssertionError("the socket ended")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.know_volume(10_000_000)
    world.book([("42500.4", "1.5"), ("42400.3", "2")], [("42500.6", "0.5"), ("42600.7", "3")])
    for k in range(30):
        world.trade(k * 400, "42500.5", f"{0.1 * (k % 5 + 1):.3f}", "buy" if k % 3 else "sell")
    world.trade(13_000, "42500.6", "20")
    world.trade(13_500, "42500.6", "1.5", "sell")
    world.liquidate(100, "long", "42000.05", "0.5")
    world.liquidate(200, "short", "43000", "0.001")
    return world


@pytest.mark.parametrize(
    ("topic", "path", "params"),
    [
        ("basis", "/api/basis", {}),
        ("funding", "/api/funding", {}),
        ("whales", "/api/whales", {"limit": 100}),
        ("flow", "/api/flow", {"symbols": "BTCUSDT,ETHUSDT"}),
    ],
)
async def test_stream_and_api_tell_the_same_rows(world: World, topic: str, path: str, params: dict[str, Any]) -> None:
    async with serve(world) as served:
        _, answer = await served.get(path, params=params)
        told = await snapshot(served, topic, **params)
    assert told["rows"] == answer["rows"]
    assert len(told["rows"]) >= 2


async def test_stream_and_api_tell_the_same_clusters_and_cvd(world: World) -> None:
    async with serve(world) as served:
        _, clusters = await served.get("/api/liquidations/clusters")
        _, cvd = await served.get("/api/cvd?span=5m")
        told, steps = await snapshot(served, "clusters"), await snapshot(served, "cvd", span="5m")
    assert told == {name: value for name, value in clusters.items() if name != "server_ts"}
    assert [one["price"] for one in told["clusters"]] == [43_000, 42_000]
    assert (steps["ts_ms"], steps["net_0"], steps["price_0"]) == (
        cvd["ts"],
        cvd["series"][0]["net"],
        cvd["series"][0]["price"],
    )
    assert steps["divergences"] == cvd["divergences"]
    assert cvd["series"][0]["cvd"] == np.cumsum(steps["net_0"]).tolist()


async def test_what_is_asked_wrongly_is_refused_with_a_sentence(world: World) -> None:
    async with serve(world) as served:
        for path, sentence in (
            (
                "/api/basis?exchange=all&symbol=BTCUSDT",
                "a symbol belongs to one exchange; name it, or leave the symbol out",
            ),
            ("/api/cvd?span=2m", "span"),
            (
                "/api/flow?symbols=" + ",".join(["BTCUSDT"] * 13),
                "13 symbols are too many; at most 12 are shown together",
            ),
            ("/api/funding?exchange=nowhere", "unknown exchange 'nowhere'"),
            ("/api/liquidations/clusters?bucket=0.05", "bucket 0.05 is not a multiple of the tick size"),
        ):
            status, problem = await served.get(path)
            assert status in (404, 422)
            assert sentence in problem["detail"]
