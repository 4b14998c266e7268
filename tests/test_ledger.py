"""The account of a venue: what is received is somewhere, what is missing has a reason, and whoever asks is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from market_world import T0, World, serve
from tapes import tape, trade, universe
from tapewatch import ledger
from tapewatch.engine import Engine
from tapewatch.ledger import Ledger
from tapewatch.model.errors import TapewatchError
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.instrument import Grid
from tapewatch.node.accounts import examine_server
from tapewatch.node.doctor import Verdict

HOUR = 3_600_000
RECV_NS = T0 * 1_000_000


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def read(world: World, *frames: dict[str, Any] | bytes) -> None:
    """One socket read of wrapped messages."""
    buffer, ends = bytearray(), []
    for frame in frames:
        buffer += frame if isinstance(frame, bytes) else json.dumps(frame, separators=(",", ":")).encode()
        ends.append(len(buffer))
    world.venue.on_frames(buffer, ends, RECV_NS)


def print_of(number: int, price: str = "42500.1", at_ms: int = 0) -> dict[str, Any]:
    at = T0 + at_ms
    body = {"e": "aggTrade", "E": at, "a": number, "s": "BTCUSDT", "p": price, "q": "1", "nq": "1"}
    return {"stream": "btcusdt@aggTrade", "data": body | {"f": number, "l": number, "T": at, "m": False, "st": 1}}


def test_a_frame_that_cannot_be_read_leaves_a_gap_that_says_so(world: World) -> None:
    """And only that one: the two that the venue dropped have another cause."""
    garbled = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTr'
    read(world, print_of(1), garbled, print_of(3), print_of(6))
    gaps = [(int(g["first_id"]), int(g["last_id"]), int(g["cause"])) for g in world.venue.engine.gaps(0)]
    assert gaps == [(2, 2, Cause.QUARANTINED), (4, 5, Cause.DROPPED)]
    account = ledger.trade_account(world.venue.engine, world.venue.ledger, 0)
    assert (account["received"], account["accepted"], account["quarantined"]) == (4, 3, 1)
    assert world.venue.ledger.check(world.venue.engine) == []


def test_prices_between_two_ticks_cost_neither_what_stands_before_nor_what_stands_behind(world: World) -> None:
    """One read across a tick change, twice: every print is there, on the finest grid."""
    prices = ["42500.1", "42500.15", "42500.1", "42500.125", "42500.2"]
    read(world, *(print_of(1 + k, price) for k, price in enumerate(prices)))
    engine, instrument = world.venue.engine, world.venue.universe.get("BTCUSDT")
    assert instrument.tick == Grid.parse("0.025")
    shown = engine.footprint(0, 60_000, 1, 1)
    assert [(instrument.tick.to_text(int(c["price"])), int(c["n"])) for c in shown.cells] == [
        ("42500.200", 1), ("42500.150", 1), ("42500.125", 1), ("42500.100", 2),
    ]  # fmt: skip
    assert world.venue.quarantine.total == 0
    assert world.venue.ledger.check(engine) == []


def test_a_price_that_no_sane_grid_holds_is_refused_alone(world: World) -> None:
    world.know_volume(10**12)
    read(world, print_of(1), print_of(2, "42500.10000001"), print_of(3))
    assert [int(g["first_id"]) for g in world.venue.engine.gaps(0)] == [2]
    assert world.venue.quarantine.by_reason == {"off_grid": 1}


def test_a_disconnect_is_the_cause_of_what_is_missing_behind_it(world: World) -> None:
    world.trade(0, "42500.1", "1")
    world.venue.on_disconnect(["BTCUSDT"], "trades")
    world.lose_trades(3)
    world.trade(9_000, "42500.1", "1")
    (gap,) = world.venue.engine.gaps(0)
    assert (gap["cause"], gap["first_id"], gap["last_id"]) == (Cause.DISCONNECTED, 2, 4)
    (hole,) = world.venue.trade_holes()
    world.venue.give_up(hole, Fate.BEYOND_HORIZON)
    assert world.venue.trade_holes() == []
    assert [int(g["fate"]) for g in world.venue.engine.gaps(0)] == [Fate.BEYOND_HORIZON]


def test_coverage_counts_ids_by_hour_and_spreads_a_gap_over_its_time() -> None:
    """Three hours: 100 ids lost between half past one and half past three, 25 50 25."""
    engine = Engine(universe())
    start = T0 - T0 % HOUR
    rows = [trade(n, start + n * 1_000, 100, 1) for n in range(1, 11)]
    rows += [trade(11, start + HOUR // 2, 100, 1), trade(112, start + HOUR * 5 // 2 - 1, 100, 1)]
    engine.apply(tape(rows))
    hours = ledger.coverage(engine, 0)
    assert [(h.hour_ms - start, h.present, h.missing, h.estimated) for h in hours] == [
        (0, 11, 25, True), (HOUR, 0, 50, True), (2 * HOUR, 1, 25, True),
    ]  # fmt: skip
    assert hours[0].share == 11 / 36
    assert ledger.coverage(Engine(universe()), 0) == []


def test_coverage_is_unknown_where_a_gap_is_marked_that_nobody_holds() -> None:
    """An earlier run noted it, or its chain has ended: the candles say so, and no list of ids does."""
    engine = Engine(universe())
    start = T0 - T0 % HOUR
    engine.apply(tape([trade(n, start + n * HOUR // 2, 100, 1) for n in (1, 2, 4, 5, 6)]))
    engine.note_gap(0, start + HOUR // 2, start + HOUR // 2 + 90_000)
    assert [h.share for h in ledger.coverage(engine, 0)] == [None, 1.0, 2 / 3, 1.0]
    engine.apply(tape([trade(1, start + 4 * HOUR, 100, 1)]))  # ids begin anew
    hours = ledger.coverage(engine, 0)
    assert [(h.hour_ms, h.share) for h in hours[3:]] == [(start + 3 * HOUR, None), (start + 4 * HOUR, None)]


@pytest.mark.parametrize(
    ("field", "said"), [("received", "trades received"), ("absent", "ids"), ("count", "trades received")]
)
def test_an_account_that_does_not_balance_is_named(field: str, said: str) -> None:
    engine, account = Engine(universe()), Ledger()
    engine.apply(tape([trade(1, T0, 100, 1), trade(5, T0, 100, 1)]))
    assert account.check(engine) == []
    engine.flow.trades[0][field] += 1
    assert said in account.check(engine)[0]
    assert account.violations[0].startswith("binance:BTCUSDT")


async def test_the_api_tells_the_account_the_gaps_and_the_hours(world: World) -> None:
    world.trade(0, "42500.1", "1")
    world.lose_trades(4)
    world.trade(70_000, "42500.2", "2")
    world.trade(70_100, "42500.2", "2", "sell")
    world.fill_hole(30_000, "42500.1", "1", 3)
    world.book([("42500.0", "1")], [("42500.2", "1")])
    world.diff([("42499.9", "1")], [])
    async with serve(world) as served:
        status, body = await served.get("/api/coverage?symbol=BTCUSDT")
        assert (status, body["since"], body["until"], body["balanced"]) == (200, T0, T0 + 70_100, True)
        trades = body["trades"]
        assert trades["received"] == trades["accepted"] + trades["duplicate"] + trades["excluded"] == 4
        assert (trades["backfilled"], trades["gaps_found"], trades["gaps_filled"], trades["missing"]) == (1, 4, 1, 3)
        depth = body["depth"]
        parts = ("snapshots", "applied", "dropped", "discarded", "ignored", "waiting", "quarantined")
        assert depth["received"] == sum(depth[part] for part in parts) == 3
        assert body["gaps"] == [
            {"from_ts": T0, "to_ts": T0 + 30_000, "first_id": 2, "last_id": 2, "cause": "dropped", "fate": "open"},
            {
                "from_ts": T0 + 30_000,
                "to_ts": T0 + 70_000,
                "first_id": 4,
                "last_id": 5,
                "cause": "dropped",
                "fate": "open",
            },
        ]
        assert [(h["present"], h["missing"], h["coverage"]) for h in body["hours"]] == [(4, 3, 0.571429)]
        status, body = await served.get("/api/footprint?symbol=BTCUSDT&step=0.1")
        assert body["cvd_since"] == T0
        status, body = await served.get("/api/coverage?symbol=NOPE")
        assert status == 404
        text = await served.text("/metrics")
        assert 'tapewatch_trade_ids_absent{venue="binance"} 3.0' in text
        assert 'tapewatch_ledger_violations{venue="binance"} 0.0' in text


async def test_doctor_asks_a_running_server_and_a_violation_is_loud(world: World) -> None:
    world.trade(0, "42500.1", "1")
    async with serve(world) as served:
        found = {finding.check: finding for finding in await examine_server(served.url)}
        assert found["binance account"].verdict is Verdict.OK
        assert found["binance account"].what == "1 trades received = 1 accepted"
        world.venue.engine.flow.trades[0]["received"] += 1
        world.venue.ledger.check(world.venue.engine)
        status, health = await served.get("/health")
        assert (status, health["status"]) == (503, "the account of binance does not balance")
        found = {finding.check: finding for finding in await examine_server(served.url)}
        assert found["binance account"].verdict is Verdict.FAIL
        with pytest.raises(TapewatchError, match="does not answer like tapewatch"):
            await examine_server(f"{served.url}/api/symbols?x=")
    with pytest.raises(TapewatchError, match="no tapewatch answers"):
        await examine_server(served.url)
