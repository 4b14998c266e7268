"""The whole live path on real sockets against the simulated venue's own truth: trades, footprints, books."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.model.views import BookState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.node.warm import warm_up
from tapewatch.sim import Faults, Market, SimulatedBinanceUsdm, VenueOptions
from tapewatch.venues.registry import PRODUCTS
from venue_truth import StoppableClock, unheard, wrong_books, wrong_trades
from waiting import until

SYMBOLS = 24
RUN_S = 12.0


FAULTS = {
    "calm": "",
    "bad line": "drop:0.002,duplicate:0.01,reorder:0.002,garble:0.002",
    "bad venue": "disconnect:4,snapshot-stale:1500,http-5xx:0.1,clock-skew:1500",
    "everything": "drop:0.002,duplicate:0.01,reorder:0.002,garble:0.002,disconnect:5,snapshot-late:300,http-5xx:0.05",
}


@pytest.mark.parametrize("faults", sorted(FAULTS))
async def test_live_state_equals_the_venues_truth(faults: str, tmp_path: Path) -> None:
    """Whatever the line does, what is shown as complete is complete, and books shown as live are the venue's."""
    await asyncio.to_thread(warm_up)
    clock = StoppableClock()
    options = VenueOptions(seed=5, symbols=SYMBOLS, faults=Faults.parse(FAULTS[faults]), weight_limit=1_000_000)
    venue = SimulatedBinanceUsdm(options, clock)
    await venue.start()
    market: Market = venue.content.market  # type: ignore[attr-defined]
    node = VenueNode(
        PRODUCTS["binance"],
        VenueConfig(rest_url=venue.rest_url, ws_url=venue.ws_url),
        ThresholdsConfig(),
        Quarantine(tmp_path / "quarantine.jsonl"),
    )
    feed = VenueFeed(DIALECTS["binance"], node.config, node)
    feed.rest.budget.limit = 1_000_000  # the venue's clock will stop, and with it the minute of the weight
    running = asyncio.create_task(feed.run())
    try:
        await until(lambda: node.engine.books_by_state()[BookState.LIVE] >= SYMBOLS - 8, lambda: str(feed.status))
        await asyncio.wait({running}, timeout=RUN_S)
        assert not running.done(), running.exception()
        clock.stop()
        await until(lambda: not wrong_trades(node, market), lambda: str(wrong_trades(node, market)))
        if faults == "calm":
            assert node.quarantine.total == 0
            await until(lambda: not unheard(node, market), lambda: str(unheard(node, market)))
            await until(lambda: not wrong_books(node, market), lambda: str(wrong_books(node, market)))
            assert node.engine.totals()["gaps"] == node.engine.totals()["depth_gaps"] == 0
        else:
            live_and_wrong = [text for text in wrong_books(node, market) if "differ" in text]
            assert not live_and_wrong
            assert node.engine.totals()["missing"] == node.engine.totals()["filled"]
        assert node.engine.totals()["count"] > 200
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await venue.stop()
