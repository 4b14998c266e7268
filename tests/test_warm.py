"""The first start: what is compiled when, and what is said while it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_world import T0, World, serve
from tapewatch.hub.wire import decode

PREPARING = "features are being prepared"

USE = """
import gc, sys
from pathlib import Path
from market_world import World
from tapewatch import compiled
from tapewatch.node.warm import warm_up

def compiled_now():
    functions = [one for one in gc.get_objects() if isinstance(one, compiled._Function)]
    return {(one.__module__, one.__qualname__, signature) for one in functions for signature in one.overloads}

world = World(Path(sys.argv[1]))
warm_up()
before = compiled_now()
world.know_volume(1_000_000)
world.venue.engine.lab.study(world.venue.universe.get("BTCUSDT"))
world.book([("42500.4", "1.5"), ("42500.3", "2")], [("42500.6", "0.5"), ("42500.7", "3")])
for second in range(200):
    world.trade(second * 500, "42500.5", "0.100", "sell" if second % 3 else "buy")
    world.diff([("42500.4", str(second))], [])
world.lose_trades(2)
world.trade(100_100, "42500.5", "0.1")
world.fill_hole(100_050, "42500.5", "0.1", 201)
world.liquidate(100_200, "long", "42000.05", "0.5")
engine = world.venue.engine
engine.imbalance(), engine.top10_ofi(0), engine.gaps(0), engine.totals(), engine.big_flow(), engine.liquidations()
world.diff([("42500.4", "7")], [])
world.diff([], [], gap=3)
for tf_ms in (1_000, 60_000, 300_000, 3_600_000):
    engine.footprint(0, tf_ms, 7, 60)
for module, name, signature in compiled_now() - before:
    print(module, name)
"""


def test_what_is_warmed_is_all_that_the_event_loop_meets(tmp_path: Path) -> None:
    """A compile in the event loop would stop every socket for seconds."""
    command = [sys.executable, "-c", USE, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == []


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A venue that is live before its lab is ready."""
    world = World(tmp_path, preparing=PREPARING)
    world.venue.prepare_lab(PREPARING)
    return world


async def test_while_the_lab_is_prepared_its_routes_say_try_again(world: World) -> None:
    async with serve(world) as served:
        for path in ("/api/features", "/api/detections"):
            async with served.http.get(served.url + path) as answer:
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) > 0
                assert (await answer.json())["detail"] == PREPARING
        assert (await served.get("/health"))[1]["preparing"] == PREPARING
        assert (await served.get("/api/imbalance"))[0] == 200  # all else is served
        world.preparing = ""
        world.venue.prepare_lab("")
        assert (await served.get("/api/features"))[0] == 200
        assert (await served.get("/health"))[1]["preparing"] == ""


async def test_a_topic_of_the_lab_begins_by_itself_when_it_is_ready(world: World) -> None:
    async with serve(world) as served, served.ws("/ws/stream") as ws:
        for number, topic in enumerate(("status", "heatmap")):
            await ws.send_json({"op": "subscribe", "id": number, "topic": topic, "params": {}})
        told = set[str]()
        while told != {"status"}:
            told.add(await _next_topic(ws))
        world.venue.prepare_lab("")
        for at_ms in (0, 300, 600):
            world.trade(at_ms, "42500.5", "1")
            await _next_topic(ws)
        async with asyncio.timeout(10):
            while await _next_topic(ws) != "heatmap":
                world.trade(T0 % 1000 + 900, "42500.5", "1")


async def _next_topic(ws: object) -> str:
    while True:
        message = await ws.receive(timeout=10)  # type: ignore[attr-defined]
        if isinstance(message.data, bytes):
            return str(decode(message.data).header["topic"])


def test_named_studies_begin_when_the_lab_is_ready(world: World) -> None:
    """`study_symbols` of the configuration are not forgotten by a first start."""
    lab = world.venue.engine.lab
    for i in list(lab.studies):
        lab.give_up(i)
    world.venue.config = type(world.venue.config)(study_symbols=("BTCUSDT",))
    world.venue.on_universe(list(world.venue.universe))
    assert not lab.studies
    world.venue.prepare_lab("")
    assert [study.pinned for study in lab.studies.values()] == [True]
