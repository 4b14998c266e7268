"""CVD that begins at 00:00 UTC with the venue's one-minute klines, and the trades that take their place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from random import Random
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from aiohttp import web
from numpy.typing import NDArray

from fault_world import T0 as WORLD_T0
from fault_world import World
from feed_api import Api, Clock, client, used
from feed_sink import Taker, running
from tapes import T0, Row, tape, trade, universe
from tapewatch.engine import MINUTES_KEPT, Engine
from tapewatch.feed import klines as klines_module
from tapewatch.feed.klines import SETTLED_MS, KlineLoader
from tapewatch.feed.pages import midnight
from tapewatch.feed.sink import HistoryEdge
from tapewatch.flow.klines import UNPACKED, lead
from tapewatch.hub.topics import cells_of, changed_candles
from tapewatch.model.errors import FrameError, OffGridError
from tapewatch.model.views import KLINE, TIMEFRAMES_MS
from tapewatch.venues.registry import PRODUCTS
from waiting import until

MINUTE, DAY = 60_000, 86_400_000
VENUE = PRODUCTS["binance"]
Rows = NDArray[np.void]


def prints(seed: int = 1, minutes: int = 300) -> list[Row]:
    """A day that began quietly: some minutes without a trade, others with several."""
    random = Random(seed)
    rows, number = [], 500
    for minute in range(minutes):
        for at in sorted(random.choices(range(MINUTE), k=random.choice([0, 0, 1, 3, 7]))):
            number += 1
            price = 600_000 + random.randint(-900, 900)
            rows.append(
                trade(number, T0 + minute * MINUTE + at, price, random.randint(1, 99), sell=random.random() < 0.5)
            )
    return rows


def minute_of(row: Row) -> int:
    return row.columns["ts_ms"] // MINUTE


def klines_of(rows: list[Row], minutes: int) -> Rows:
    """What the venue would tell of the first `minutes`: by plain addition."""
    out = np.zeros(minutes, KLINE)
    out["open_ms"] = T0 + MINUTE * np.arange(minutes)
    last = 600_000
    for k in range(minutes):
        inside = [row.columns for row in rows if row.columns["ts_ms"] // MINUTE == T0 // MINUTE + k]
        told = [row["price"] for row in inside] or [last]
        out[k]["open"], out[k]["high"], out[k]["low"], out[k]["close"] = told[0], max(told), min(told), told[-1]
        last, out[k]["n"] = told[-1], len(inside)
        for row in inside:
            side = "bid" if row["flags"] & 1 else "ask"
            out[k][side] += row["qty"]
            out[k][f"{side}_quote"] += row["qty"] * row["price"]
    return out


def views(engine: Engine, lookback: int = 400) -> dict[str, list[tuple[object, ...]]]:
    """What every timeframe shows, without cells, value area and where it comes from."""
    names = ["open_ms", "open", "high", "low", "close", "bid", "ask", "n", "quote", "cvd"]
    return {
        tf: engine.footprint(0, tf_ms, 10, lookback).candles[names].tolist()
        for tf, tf_ms in TIMEFRAMES_MS.items()
        if tf_ms >= MINUTE
    }


def engine_from(rows: list[Row], late: int) -> Engine:
    engine = Engine(universe())
    engine.apply(tape(rows[late:]))
    return engine


def test_candles_and_cvd_are_those_of_all_trades_and_older_trades_take_their_place() -> None:
    rows = prints()
    whole, late = engine_from(rows, 0), len(rows) * 2 // 3
    engine = engine_from(rows, late)
    assert minute_of(rows[late]) != minute_of(rows[late - 1]), "the minute of the oldest trade is whole"
    first_ms = rows[late].columns["ts_ms"] // MINUTE * MINUTE
    engine.set_klines(0, klines_of(rows, 299))
    assert engine.cvd_since_ms(0) == T0
    assert views(engine) == views(whole)
    candles = engine.footprint(0, MINUTE, 10, 400).candles
    told = (candles["klines"] > 0).tolist()
    assert told == [bool(ms < first_ms) for ms in candles["open_ms"]]
    assert (candles["poc"][told] == -1).all()
    assert candles["cells"][: told.count(True)].sum() == 0
    for page in range(late - 40, -40, -40):  # history comes backwards
        engine.apply(tape(rows[max(0, page) : page + 40]))
        assert views(engine) == views(whole)
    assert engine.footprint(0, MINUTE, 10, 400).candles["klines"].sum() == 0


def test_a_minute_without_trades_between_minutes_that_have_some_is_all_its_kline() -> None:
    """As after a restart, when trades of the session before are held and those of the pause are not."""
    rows = [one for one in prints(seed=7) if one.columns["ts_ms"] >= T0 + 10 * MINUTE]
    paused = next(
        at for at in range(20, 300) if sum(one.columns["ts_ms"] // MINUTE == T0 // MINUTE + at for one in rows)
    )
    held = [one for one in rows if one.columns["ts_ms"] // MINUTE != T0 // MINUTE + paused]
    engine, klines = engine_from(held, 0), klines_of(rows, paused + 1)
    view = engine.footprint(0, MINUTE, 10, 400)
    shown = lead(view, klines, engine.flow.minutes, 400)
    names = ["open_ms", "open", "high", "low", "close", "n"]
    (found,) = shown.candles[shown.candles["open_ms"] == T0 + paused * MINUTE][names].tolist()
    assert found == tuple(klines[-1][name] for name in names)


@pytest.mark.parametrize("tf", ["1m", "5m"])
def test_who_follows_the_changes_of_candles_has_every_cell(tf: str) -> None:
    """Klines have told a candle's totals before its trades come: then nothing but cells may change."""
    random, rows = Random(9), list[Row]()
    for ms in sorted(random.choices(range(20 * MINUTE), k=800)):
        rows.append(trade(500 + len(rows), T0 + ms, 600_000 + random.randint(-9, 9), 1, sell=random.random() < 0.5))
    engine = engine_from(rows, 600)
    engine.set_klines(0, klines_of(rows, 20))
    before = engine.footprint(0, TIMEFRAMES_MS[tf], 10, 400)
    held = {int(ms): cells_of(before, k).tolist() for k, ms in enumerate(before.candles["open_ms"])}
    for page in range(575, -1, -25):
        engine.apply(tape(rows[page : page + 25]))
        now = engine.footprint(0, TIMEFRAMES_MS[tf], 10, 400)
        held |= {int(now.candles["open_ms"][k]): cells_of(now, k).tolist() for k in changed_candles(before, now)}
        assert held == {int(ms): cells_of(now, k).tolist() for k, ms in enumerate(now.candles["open_ms"])}
        before = now


@pytest.mark.parametrize("lookback", [1, 2, 7, 60])
def test_a_short_view_has_the_cvd_of_the_whole_day(lookback: int) -> None:
    rows = prints(seed=2)
    whole, engine = engine_from(rows, 0), engine_from(rows, len(rows) - 20)
    engine.set_klines(0, klines_of(rows, 299))
    assert views(engine, lookback) == views(whole, lookback)
    seconds = [one.footprint(0, 1_000, 10, lookback).candles["cvd"].tolist() for one in (engine, whole)]
    assert seconds[0][-1] == seconds[1][-1]


def test_klines_that_end_before_the_oldest_trade_are_not_used() -> None:
    """The minutes between are not known: nothing is bridged."""
    rows = prints(seed=3)
    engine = engine_from(rows, len(rows) - 20)
    before = views(engine)
    first_ms = rows[-20].columns["ts_ms"]
    engine.set_klines(0, klines_of(rows, (first_ms - T0) // MINUTE))
    assert views(engine) == before
    assert engine.cvd_since_ms(0) == first_ms


def test_yesterdays_klines_say_nothing_of_today_and_a_finer_grid_moves_them() -> None:
    rows = prints(seed=4)
    whole, engine = engine_from(rows, 0), engine_from(rows, len(rows) // 2)
    klines = klines_of(rows, 299)
    yesterday = klines.copy()
    yesterday["open_ms"] -= DAY
    engine.set_klines(0, yesterday)
    assert engine.cvd_since_ms(0) == rows[len(rows) // 2].columns["ts_ms"]
    engine.set_klines(0, klines)
    finer = universe(tick="0.01", lot="0.0001")[0]
    for one in (engine, whole):
        one.update_instrument(finer)
    assert views(engine) == views(whole)


def test_minutes_whose_trades_are_held_keep_their_cells_where_the_chain_of_ids_began_anew() -> None:
    rows = prints(seed=6)
    whole = engine_from(rows, 0)
    half = next(k for k in range(300, 500) if minute_of(rows[k]) != minute_of(rows[k - 1]))
    for row in rows[half:]:
        row.columns["id"] -= 400  # ids begin anew
    engine = engine_from(rows, 0)
    first_ms = rows[half].columns["ts_ms"]
    assert engine.counted_since_ms(0) == first_ms
    engine.set_klines(0, klines_of(rows, 299))
    assert views(engine) == views(whole)
    ours, truth = (one.footprint(0, MINUTE, 10, 400) for one in (engine, whole))
    for name in ("poc", "vah", "val", "cells"):
        assert ours.candles[name].tolist() == truth.candles[name].tolist()
    assert ours.candles["klines"].sum() == (truth.candles["n"] == 0)[truth.candles["open_ms"] < first_ms].sum()


def test_klines_are_kept_packed_and_come_back_as_they_were() -> None:
    engine = Engine(universe())
    told = {i: klines_of(prints(seed=i), 299) for i in range(UNPACKED + 4)}
    for i, rows in told.items():
        engine.klines.put(i, rows)
    for _ in range(2):
        for i, rows in told.items():
            assert engine.klines.leading(i, T0 + 100 * MINUTE).tolist() == rows[:101].tolist()
    assert len(engine.klines._seen) == UNPACKED
    assert sum(len(packed) for _, _, packed in engine.klines._packed.values()) < 0.5 * sum(map(len, told.values())) * 80


def test_minutes_told_by_both_are_compared() -> None:
    rows = prints(seed=5)
    engine = engine_from(rows, len(rows) // 2)
    klines = klines_of(rows, 299)
    first = (rows[len(rows) // 2].columns["ts_ms"] - T0) // MINUTE
    engine.set_klines(0, klines)
    assert engine.compare_klines(0) == (298 - first, 0)
    klines["ask"][-1] += 1
    engine.set_klines(0, klines)
    assert engine.compare_klines(0) == (298 - first, 1)


def test_cvd_goes_on_from_midnight_when_the_mornings_candles_have_left_the_ring() -> None:
    """The ring holds 34 hours: of yesterday a part has left it, whose delta is still known."""
    engine = Engine(universe(), minutes=64)
    total = 0
    for minute in range(100):
        lots = 1 + minute % 7
        total += lots if minute % 3 else -lots
        engine.apply(tape([trade(10 + minute, T0 + minute * MINUTE, 600_000, lots, sell=minute % 3 == 0)]))
    assert MINUTES_KEPT > 64
    assert int(engine.footprint(0, MINUTE, 10, 400).candles["cvd"][-1]) == total
    engine.apply(tape([trade(200, T0 + DAY, 600_000, 5)]))
    assert int(engine.footprint(0, MINUTE, 10, 1).candles["cvd"][-1]) == 5


# -- the venue's answers ----------------------------------------------------------------------------------------------


def row(open_ms: int, volume: str = "3.5", bought: str = "1.25", price: str = "60000.1") -> list[object]:
    money = [f"{float(price) * float(amount):.4f}" for amount in (volume, bought)]
    return [open_ms, price, price, price, price, volume, open_ms + MINUTE - 1, money[0], 9, bought, money[1], "0"]


def test_an_answer_is_read_exactly() -> None:
    one = universe()[0]
    assert VENUE.minute_klines is not None
    (told,) = VENUE.minute_klines([json.dumps([row(T0)]).encode()], one).tolist()
    assert told == (T0, *[600_001] * 4, 2_250, 1_250, 600_001 * 2_250, 600_001 * 1_250, 9)


@pytest.mark.parametrize(
    "rows",
    [
        [row(T0, "1", "2")],
        [row(T0 + 1)],
        [row(T0), row(T0)],
        [row(T0), row(T0 + 2 * MINUTE)],
        [[T0, "1"]],
        [row(T0, "NaN", "0")],
        [[*row(T0)[:8], 2**63, *row(T0)[9:]]],
        [[*row(T0)[:8], -1, *row(T0)[9:]]],
        [[*row(T0)[:7], "1e999999", *row(T0)[8:]]],
        [[2**64 - 2**64 % MINUTE, *row(T0)[1:]]],
        {"code": -1121},
    ],
)
def test_an_answer_that_cannot_be_is_refused_whole(rows: object) -> None:
    assert VENUE.minute_klines is not None
    with pytest.raises(FrameError):
        VENUE.minute_klines([json.dumps(rows).encode()], universe()[0])


def test_a_price_between_the_ticks_asks_for_a_finer_grid() -> None:
    assert VENUE.minute_klines is not None
    with pytest.raises(OffGridError) as told:
        VENUE.minute_klines([json.dumps([row(T0, price="60000.15")]).encode()], universe()[0])
    assert told.value.symbol == "BTCUSDT"


# -- asking for them --------------------------------------------------------------------------------------------------


class KlineTaker(Taker):
    """Notes whose klines came; the oldest trades are where the test says."""

    def __init__(self, oldest: dict[str, int]) -> None:
        super().__init__()
        self.oldest = oldest
        self.came: list[tuple[str, int]] = []

    def on_klines(self, symbol: str, bodies: Sequence[bytes]) -> int:
        rows = [row for body in bodies for row in json.loads(body)]
        self.came.append((symbol, len(rows)))
        return rows[-1][0] + MINUTE if rows else 0

    def history_edges(self) -> list[HistoryEdge]:
        return [HistoryEdge(symbol, 1, ms, ms + 9) for symbol, ms in self.oldest.items()]


def klines_api(failing: str = "") -> Api:
    """Answers with the minutes asked for; a symbol it does not know is refused."""

    def answer(request: web.Request) -> web.Response:
        query = request.query
        if query["symbol"] == failing:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        start, stop = int(query["startTime"]), int(query["endTime"])
        assert (stop + 1 - start) // MINUTE == int(query["limit"]) <= 1_500
        return used(10, json.dumps([row(ms) for ms in range(start, stop, MINUTE)]))

    return Api(answer)


async def test_each_symbol_is_asked_for_once_those_in_sight_first_then_the_busiest() -> None:
    clock = Clock()
    today = midnight(clock.ns // 1_000_000)
    clock.ns = (today + 700 * MINUTE + 30_000) * 1_000_000
    oldest = dict.fromkeys(("CALM", "BUSY", "SEEN", "GONE"), today + 650 * MINUTE)
    oldest["WHOLE"] = today - 1
    oldest["FRESH"] = today + 700 * MINUTE  # its minute is not over
    taker, api = KlineTaker(oldest), klines_api(failing="GONE")
    async with client(api, clock) as rest:
        loader = KlineLoader(VENUE, rest, taker, lambda symbol: symbol == "SEEN", Random(1))
        loader.rates = {"BUSY": 9.0, "CALM": 0.1, "GONE": 0.01}
        async with running(loader.run()):
            await until(lambda: len(taker.came) == 3)
            assert taker.came == [("SEEN", 700), ("BUSY", 700), ("CALM", 700)]
            assert loader.progress() == (5, 3)
            clock.ns += (30_000 + SETTLED_MS) * 1_000_000
            await until(lambda: len(taker.came) == 4)
    assert taker.came[-1] == ("FRESH", 701)
    asked = [parse_qs(urlsplit(request).query)["symbol"][0] for request in api.requests]
    assert asked == ["SEEN", "BUSY", "CALM", "GONE", "FRESH"]


async def test_others_wait_while_the_minute_is_half_used_up_and_those_in_sight_do_not() -> None:
    clock = Clock()
    today = midnight(clock.ns // 1_000_000)
    clock.ns = (today + 700 * MINUTE + 30_000) * 1_000_000
    taker = KlineTaker(dict.fromkeys(("SEEN", "OTHER"), today + MINUTE))
    async with client(klines_api(), clock) as rest:
        rest.budget.take(rest.budget.limit * 6 // 10, 0, rest.venue_ms())  # type: ignore[arg-type]
        loader = KlineLoader(VENUE, rest, taker, lambda symbol: symbol == "SEEN", Random(1))
        async with running(loader.run()):
            await until(lambda: len(taker.came) == 1)
            await asyncio.sleep(0)
    assert taker.came == [("SEEN", 700)]


async def test_klines_that_end_too_early_are_asked_for_again_and_so_are_those_of_a_chain_that_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The venue may be late with the newest minute; an answer without it leads nothing."""
    for name in ("FIRST_RETRY_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(klines_module, name, 0.005)
    clock = Clock()
    today = midnight(clock.ns // 1_000_000)
    clock.ns = (today + 700 * MINUTE + 30_000) * 1_000_000
    taker = KlineTaker({"SEEN": today + 699 * MINUTE})
    late = used(10, json.dumps([row(today + k * MINUTE) for k in range(699)]))
    whole = klines_api().answers[0]
    async with client(Api(late, used(10, "[]"), whole), clock) as rest:
        loader = KlineLoader(VENUE, rest, taker, lambda _: True, Random(1))
        async with running(loader.run()):
            await until(lambda: loader.progress() == (1, 1))
            assert taker.came == [("SEEN", 699), ("SEEN", 0), ("SEEN", 700)]
            taker.oldest["SEEN"] = today + 705 * MINUTE
            assert loader.progress() == (1, 0)
            clock.ns = (today + 706 * MINUTE + SETTLED_MS) * 1_000_000
            await until(lambda: loader.progress() == (1, 1))
    assert taker.came[-1] == ("SEEN", 706)


async def test_who_was_refused_is_asked_for_again_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_RETRY_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(klines_module, name, 0.005)
    clock = Clock()
    today = midnight(clock.ns // 1_000_000)
    clock.ns = (today + 700 * MINUTE + 30_000) * 1_000_000
    taker, api = KlineTaker({"GONE": today + 650 * MINUTE}), klines_api(failing="GONE")
    async with client(api, clock) as rest:
        loader = KlineLoader(VENUE, rest, taker, lambda _: True, Random(1))
        async with running(loader.run()):
            await until(lambda: len(api.requests) == 1)
            await asyncio.sleep(0.1)
            assert len(api.requests) == 1, "refused is refused, for now"
            clock.ns += 3_600_000 * 1_000_000
            await until(lambda: len(api.requests) == 2)


async def test_a_venue_whose_klines_do_not_tell_who_bought_is_not_asked() -> None:
    async with client(klines_api()) as rest:
        loader = KlineLoader(PRODUCTS["bybit"], rest, KlineTaker({"BTCUSDT": 1}), lambda _: True, Random(1))
        await loader.run()
        assert loader.progress() == (0, 0)


# -- against the simulated venue --------------------------------------------------------------------------------------


def test_the_simulated_venues_klines_are_its_trades() -> None:
    """Minutes after the start: a program that came late shows the CVD of one that was there from the first trade on."""
    late, early = (World(seed=7, connects_at_ms=ms) for ms in (190_000, 0))
    for world in (late, early):
        world.plan.is_first = lambda _: False
        world.run(420_000)
    start = midnight(WORLD_T0)
    end = WORLD_T0 + 6 * MINUTE
    query = {"interval": "1m", "startTime": str(start), "endTime": str(end - 1), "limit": "1500"}
    for one in late.node.universe:
        body = late.sim.rest("/fapi/v1/klines", query | {"symbol": one.symbol})
        for world in (late, early):
            world.node.on_klines(one.symbol, [body.encode()])
        shown = [world.node.engine.footprint(one.index, MINUTE, 1, 1_000).candles for world in (late, early)]
        for name in ("open_ms", "bid", "ask", "cvd"):
            assert shown[0][name].tolist() == shown[1][name].tolist()
        assert late.node.engine.compare_klines(one.index)[1] == 0
        assert early.node.engine.compare_klines(one.index)[1] == 0
