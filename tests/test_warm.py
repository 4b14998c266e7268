"""The first start: what is compiled when, and what is said while it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from market_world import T0, World, serve
from program import environment
from tapewatch.hub.wire import decode
from waiting import WITHIN_S

PREPARING = "features are being prepared"

FIRST_RUN = Path(__file__).parent / "support" / "first_run.py"


def test_after_doctor_warm_a_first_run_compiles_nothing(tmp_path: Path) -> None:
    """Of any venue, in any of its processes: a compile in the event loop would stop every socket for seconds."""
    command = [sys.executable, str(FIRST_RUN), str(tmp_path)]
    home = {**environment(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(command, env=home, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    assert "kernels ready in" in said.stdout
    assert [line for line in said.stdout.splitlines() if line.startswith("compiled:")] == []


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
        async with asyncio.timeout(WITHIN_S):
            while await _next_topic(ws) != "heatmap":
                world.trade(T0 % 1000 + 900, "42500.5", "1")


async def _next_topic(ws: object) -> str:
    while True:
        message = await ws.receive(timeout=WITHIN_S)  # type: ignore[attr-defined]
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
