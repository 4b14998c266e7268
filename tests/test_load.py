"""Overload by declared tiers: quick to ease, slow to come back, and not one trade the less."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
from msgspec import structs

from tapewatch.api import create_app
from tapewatch.config import Config
from tapewatch.hub import pace
from tapewatch.hub.pace import Governor, Tier
from tapewatch.model.views import BookState
from tapewatch.node.node import Node
from tapewatch.node.server import Server, bind
from tapewatch.node.warm import warm_up
from tapewatch.sim import Faults, Market, SimulatedBinanceUsdm, VenueOptions
from venue_truth import StoppableClock, wrong_trades
from waiting import WITHIN_S, until

STRAINED, CALM, BETWEEN = (0.95, 10.0), (0.3, 5.0), (0.75, 5.0)


def seconds(governor: Governor, measured: tuple[float, float], count: int) -> list[Tier]:
    """The tier after each second."""
    tiers = []
    for _ in range(count):
        governor.observe(*measured)
        tiers.append(governor.tier)
    return tiers


def test_two_strained_seconds_cost_a_tier_and_one_costs_nothing() -> None:
    governor = Governor()
    for _ in range(5):
        seconds(governor, STRAINED, 1)
        seconds(governor, BETWEEN, 1)
    assert (governor.tier, governor.steps) == (Tier.FULL, 0)
    assert seconds(governor, STRAINED, 8) == [
        Tier.FULL, Tier.EASED, Tier.EASED, Tier.SLOW, Tier.SLOW, Tier.SPARSE, Tier.SPARSE, Tier.SPARSE,
    ]  # fmt: skip


def test_a_late_loop_is_strained_however_little_it_works() -> None:
    """Another program has the processor."""
    governor = Governor()
    assert seconds(governor, (0.1, 1_200.0), 2)[-1] is Tier.EASED


def test_a_tier_is_given_back_after_calm_seconds_in_a_row() -> None:
    governor = Governor(tier=Tier.SLOW)
    seconds(governor, CALM, pace.STEP_DOWN_AFTER_S - 1)
    seconds(governor, BETWEEN, 1)  # calm, but for a moment
    assert seconds(governor, CALM, pace.STEP_DOWN_AFTER_S)[-2:] == [Tier.SLOW, Tier.EASED]
    assert seconds(governor, CALM, pace.STEP_DOWN_AFTER_S)[-1] is Tier.FULL


def test_a_load_that_returns_with_every_tier_given_back_is_not_tried_again_and_again() -> None:
    governor = Governor()
    for _ in range(600):  # a load that only the eased tier can carry
        seconds(governor, STRAINED if governor.tier is Tier.FULL else CALM, 1)
    assert governor.steps <= 14  # not a hundred
    quiet = Governor()
    for _ in range(600):  # two loads ten minutes apart know nothing of each other
        quiet.observe(*CALM)
    seconds(quiet, STRAINED, 2)
    assert seconds(quiet, CALM, pace.STEP_DOWN_AFTER_S)[-1] is Tier.FULL


async def test_a_storm_slows_views_and_loses_no_trade(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Real sockets, the venue's storm, and a machine for which that is too much."""
    await asyncio.to_thread(warm_up)
    monkeypatch.setattr(pace, "STRAINED_BUSY", 0.0)
    clock = StoppableClock()
    storm = VenueOptions(seed=5, symbols=24, faults=Faults.parse("storm:10"), weight_limit=1_000_000)
    venue = SimulatedBinanceUsdm(storm, clock)
    await venue.start()
    market: Market = venue.content.market  # type: ignore[attr-defined]
    config = Config()
    at = structs.replace(config.venues.binance, rest_url=venue.rest_url, ws_url=venue.ws_url)
    config = structs.replace(
        config,
        venues=structs.replace(config.venues, binance=at),
        store=structs.replace(config.store, enabled=False),
        node=structs.replace(config.node, state_dir=str(tmp_path)),
    )
    node = Node(config)
    listener = bind("127.0.0.1", 0)
    server = Server(create_app(node, hub=node.hub), config.limits)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    running = asyncio.create_task(node.run())
    mine = node.venues["binance"]
    try:
        await until(lambda: mine.engine.books_by_state()[BookState.LIVE] >= 16, lambda: "books")
        await until(lambda: node.hub.governor.tier is Tier.SPARSE, lambda: str(node.hub.governor))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{url}/health") as answer:
                health = await answer.json()
            assert health["load"]["name"] == "sparse"
            assert "views at 1/30 of their pace, trades and books complete" in health["status"]
            async with http.ws_connect(f"{url}/ws/orderflow?emit_ms=100") as ws:
                stamps = list[int]()
                while len(stamps) < 3:
                    told = json.loads((await ws.receive(timeout=WITHIN_S)).data)
                    if not told.get("final"):  # a minute that ends meanwhile is told beside the next
                        stamps.append(told["server_ts"])
        assert stamps[2] - stamps[0] >= 3_000  # on the beat: the one between may have come late
        assert caplog.text.count("load_tier tier=") == 3
        clock.stop()
        await until(lambda: not wrong_trades(mine, market), lambda: str(wrong_trades(mine, market)))
        totals = mine.engine.totals()
        assert totals["missing"] == totals["filled"]
        assert (totals["depth_gaps"], mine.quarantine.total) == (0, 0)
        for name, value in (
            ("STRAINED_BUSY", 2.0),
            ("STRAINED_LATE_MS", 1e9),
            ("CALM_BUSY", 2.0),
            ("CALM_LATE_MS", 1e9),
        ):
            monkeypatch.setattr(pace, name, value)
        node.hub.governor._hold_s = 1
        await until(lambda: node.hub.governor.tier is Tier.FULL, lambda: str(node.hub.governor))
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.stop()
        await serving
        listener.close()
        await venue.stop()
