"""The lab's answers over HTTP against arithmetic by hand: a book of ten levels, a diff, two prints, a sweep."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from market_world import T0, World, serve

BIDS = [(f"{42500.5 - k / 10:.1f}", f"{1 + k}") for k in range(10)]
ASKS = [(f"{42500.7 + k / 10:.1f}", "2") for k in range(10)]
MID = Fraction("42500.6")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    engine = world.venue.engine
    engine.lab.study(engine.universe.get("BTCUSDT"))
    world.book(BIDS, ASKS)
    return world


async def test_features_are_those_of_the_book_and_of_the_second_before(world: World) -> None:
    world.diff([("42500.5", "3")], [("42500.7", "0.5")])
    world.trade(400, "42500.7", "2.5")
    world.trade(500, "42500.5", "1", side="sell")
    world.trade(1_100, "42500.7", "9")  # the next second
    async with serve(world) as served:
        status, told = await served.get("/api/features")
    assert status == 200
    (row,) = told["features"]
    assert row["ts"] == T0 + 1_000
    bids = 2 + sum(Fraction(size) for _, size in BIDS)
    asks = sum(Fraction(size) for _, size in ASKS) - Fraction("1.5")
    by_hand = {
        "mid_price": MID,
        "spread": Fraction("0.2"),
        "microprice": (Fraction("42500.7") * 3 + Fraction("42500.5") / 2) / Fraction("3.5"),
        "total_bid_volume": bids,
        "total_ask_volume": asks,
        "imbalance": (bids - asks) / (bids + asks),
        "d_bid_volume": Fraction(2),
        "d_ask_volume": Fraction("-1.5"),
        "ofi": Fraction("3.5"),
        "trade_flow": Fraction("1.5"),
        "trade_flow_imbalance": Fraction("1.5") / Fraction("3.5"),
        "effective_spread_bps": 2 * Fraction("0.1") / MID * 10_000,
        "trades": Fraction(2),
    }
    assert {name: row[name] for name in by_hand} == pytest.approx({k: float(v) for k, v in by_hand.items()}, abs=6e-7)
    assert row["ofi_ckS"] is None
    assert "quote" in row["undefined"]["ofi_ckS"]


async def test_a_sweep_is_told_with_its_evidence(world: World) -> None:
    world.trade(39_000, "42500.7", "0.001")
    for k in range(5):
        world.trade(40_000 + k, f"{42500.7 + k / 10:.1f}", "2")
    world.trade(42_000, "42500.7", "0.001")
    async with serve(world) as served:
        _, told = await served.get("/api/detections?kind=sweep")
        _, none = await served.get("/api/detections?kind=wall")
    (event,) = told["detections"]
    assert none["detections"] == []
    assert (event["kind"], event["side"], event["direction"]) == ("sweep", "buy", 1)
    assert (event["low"], event["high"], event["quantity"]) == (42500.7, 42501.1, 10)
    assert (event["start_ts"], event["ts"]) == (T0 + 40_000, T0 + 40_004)
    evidence = event["evidence"]
    assert (evidence["levels"], evidence["duration_ms"], evidence["depth_share_pct"]) == (5, 4, 50)
    assert evidence["levels"] >= evidence["levels_limit"]
    assert 0.5 <= event["confidence"] < 1
    assert told["report_card"]["sweep"]["fired"] == 1


@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_a_walk_through_the_book_costs_what_its_levels_say(world: World, side: str) -> None:
    size, levels = Fraction(5), ASKS if side == "buy" else BIDS
    left, paid = size, Fraction(0)
    for price, quantity in levels:
        part = min(left, Fraction(quantity))
        left, paid = left - part, paid + part * Fraction(price)
    slippage = (paid / size - MID) * (1 if side == "buy" else -1)
    async with serve(world) as served:
        _, told = await served.get(f"/api/impact?side={side}&size=5")
    shown = [told[name] for name in ("avg_price", "slippage", "slippage_bps", "filled", "unfilled")]
    by_hand = [float(paid / size), float(slippage), float(slippage / MID * 10_000), 5.0, 0.0]
    assert shown == pytest.approx(by_hand, abs=1e-6)


async def test_the_square_root_band_is_the_law_of_the_last_minutes(world: World) -> None:
    """A minute in which nothing trades has a return of zero, not a share of the next one's."""
    closes: list[float] = []
    for minute in range(90):
        price = 42500.0 + 7 * (minute * minute % 11)
        if minute % 4 != 3:
            world.trade(minute * 60_000 + 1, f"{price:.1f}", "1")
            closes.append(price)
        else:
            closes.append(closes[-1])
    world.know_volume(10**9)
    async with serve(world) as served:
        _, told = await served.get("/api/impact?side=buy&size=5")
    returns = [math.log(b / a) for a, b in pairwise(closes)]
    mean = sum(returns) / len(returns)
    sigma = math.sqrt(sum((r - mean) ** 2 for r in returns) / len(returns)) * math.sqrt(1440)
    law = sigma * math.sqrt(5 * float(MID) / 10**9) * 10_000
    model = told["model"]
    assert [model[name] for name in ("low_bps", "high_bps", "sigma_day")] == pytest.approx(
        [law / 2, law, sigma], abs=1e-6
    )
