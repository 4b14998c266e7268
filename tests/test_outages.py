"""One venue down, slow, banned or speaking nonsense: the other three do not notice, and what is told of it says so.

All four products over real sockets against their simulated venues, which fall ill one at a time while data flows.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from four_venues import world
from tapewatch.model.views import FeedState
from tapewatch.node.warm import warm_up
from tapewatch.sim import SIMULATED

BANNED = {
    "binance": "has banned this address for too many requests (HTTP 418)",
    "binance-spot": "has banned this address for too many requests (HTTP 418)",
    "bybit": "(HTTP 403)",
    "okx": "says the rate limit is used up (HTTP 429)",
}
"""How each venue refuses who asked too much, as we say it."""


@pytest.fixture(params=list(SIMULATED))
def ill(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def _warm() -> None:
    warm_up(lab=False)


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_is_down(ill: str, tmp_path: Path) -> None:
    """Its books are not live, its rows are named as stale, CVD goes on without it, and one sentence says why."""
    async with world(tmp_path) as w:
        await w.go_down(ill)
        await w.until(lambda: w.feeds[ill].status.state is FeedState.DOWN)
        await w.nobody_else_notices(ill)
        assert w.live_books(ill) == 0
        await w.until(lambda: "refuses the connection" in w.sentence(ill))
        await w.until(lambda: w.derivs.stale(w.nodes) == [ill])
        here = "binance" if ill != "binance" else "bybit"
        view = w.derivs.cvd(here, w.nodes[here].universe.get("BTCUSDT"), "5m", "usd")
        assert ill not in {series.exchange for series in view.markets}
        left_out = [why for name, _, why in view.missing if name == ill]
        assert left_out
        assert all(re.fullmatch(r"its venue is \d+ s behind the others", why) for why in left_out)
        assert all(row["basis_bps"] is None and row["why"] for row in w.derivs.basis(ill))


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_is_slow(ill: str, tmp_path: Path) -> None:
    """What comes is whole and late: the venue is called delayed, and its flow is not compared with the present."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "slow:7000")
        await w.until(lambda: w.feeds[ill].status.state in {FeedState.DELAYED, FeedState.STALE})
        await w.until(lambda: w.derivs.stale(w.nodes) == [ill])
        await w.nobody_else_notices(ill)
        assert w.nodes[ill].engine.totals()["missing"] == 0


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_has_banned_us(ill: str, tmp_path: Path) -> None:
    """Nothing is asked of it until the ban ends; what it streams still counts."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "http-418:1")
        w.feeds[ill]._doorbell.set()  # the instruments are read anew, and refused
        await w.until(lambda: BANNED[ill] in w.sentence(ill))
        if ill != "okx":
            assert w.feeds[ill].status.held_for_ms > 0
        await w.nobody_else_notices(ill)
        before = w.nodes[ill].engine.totals()["count"]
        await w.until(lambda: w.nodes[ill].engine.totals()["count"] > before)
        assert w.all_live(ill)


@pytest.mark.usefixtures("_warm")
async def test_a_venue_that_speaks_nonsense(ill: str, tmp_path: Path) -> None:
    """Each frame of it is set aside with its reason; its clock, and with it everybody's present, stays."""
    async with world(tmp_path) as w:
        w.fall_ill(ill, "garble:1")
        node = w.nodes[ill]
        await w.until(lambda: node.quarantine.by_reason.total() > 50)
        await w.nobody_else_notices(ill)
        others = max(one.engine.clock_ms for name, one in w.nodes.items() if name != ill)
        assert node.engine.clock_ms < others + 5_000
        assert not set(w.derivs.stale(w.nodes)) - {ill}
