"""The research desk over a real server and its real process: live, stored and uploaded bars, and every refusal."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from market_world import INSTRUMENTS, T0, Served, World, serve
from tapes import quote, tape, trade
from tapewatch.api.analytics import Figures, ScanState
from tapewatch.config import StoreConfig
from tapewatch.model.instrument import Universe
from tapewatch.node.desk import Desk
from tapewatch.store.writer import Store
from tapewatch.transfer.importing import Importer
from waiting import until

MINUTE = 60_000
START = T0 // MINUTE * MINUTE - 120 * MINUTE
PRICES = 425_000 + np.cumsum(np.random.default_rng(1).integers(-40, 41, 180))
"""One trade a minute of BTCUSDT, in ticks of 0.1; the first hour is on disk only, the rest in memory."""


@dataclass
class Room:
    world: World
    desk: Desk


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    store = Store(folder).open()
    rows = [trade(k + 1, START + k * MINUTE, int(PRICES[k]), 3, sell=k % 3 == 0) for k in range(90)]
    store.write(Universe("binance", INSTRUMENTS), tape(rows), name="first")
    store.close()
    return folder


@pytest.fixture
async def room(stored: Path, tmp_path: Path) -> AsyncIterator[Room]:
    world = World(tmp_path)
    rows = [trade(k + 1, START + k * MINUTE, int(PRICES[k]), 3, sell=k % 3 == 0) for k in range(60, 180)]
    world.venue.engine.apply(tape(rows))
    desk = Desk(world.venues, StoreConfig(path=str(stored)))
    world.desk = desk
    yield Room(world, desk)
    await desk.close()


async def figures(served: Served, path: str) -> Any:
    status, answer = await served.get(f"/api/analytics/{path}")
    assert status == 200, answer
    Figures.model_validate(answer)
    return answer["result"]


async def test_bars_join_what_is_stored_and_what_is_live(room: Room) -> None:
    """179 complete minutes; the one that is still growing is no bar yet."""
    async with serve(room.world) as served:
        found = await figures(served, "stats?bars=500")
    closes = PRICES[:179] / 10
    assert found["sample"]["n"] == 179
    assert found["sample"]["first_ms"] == START
    assert found["close"]["mean"] == pytest.approx(closes.mean())
    assert found["close"]["std"] == pytest.approx(closes.std(ddof=1))
    assert found["log_return"]["mean"] == pytest.approx(np.diff(np.log(closes)).mean())
    assert (found["trades"], found["volume"]) == (179, pytest.approx(0.537))
    assert found["sample"]["basis"] == "trades"


async def test_longer_bars_and_an_end_in_the_past(room: Room) -> None:
    end = START + 100 * MINUTE
    async with serve(room.world) as served:
        found = await figures(served, f"stats?tf=5m&bars=20&end={end}")
    last = end // (5 * MINUTE) * 5 * MINUTE - 5 * MINUTE
    assert found["sample"]["last_ms"] == last
    assert found["close"]["max"] == pytest.approx(
        max(PRICES[k] / 10 for k in range(100) if (START + k * MINUTE) // MINUTE % 5 == 4 and START + k * MINUTE < end)
    )


async def test_seconds_of_the_past_are_made_from_stored_trades(room: Room) -> None:
    async with serve(room.world) as served:
        found = await figures(served, f"bars?tf=1s&bars=3000&end={START + 80 * MINUTE}")
    assert found["open_ms"] == [START + k * MINUTE for k in range(30, 80)]
    assert found["close"] == pytest.approx((PRICES[30:80] / 10).tolist())


async def test_what_is_not_known_is_said(room: Room) -> None:
    async with serve(room.world) as served:
        for path, status, words in (
            ("stats?symbol=NOPE", 404, "NOPE"),
            ("stats?exchange=mtgox", 404, "mtgox"),
            ("stats?symbol=ETHUSDT", 422, "there are no bars of binance:ETHUSDT, neither live nor stored"),
            ("stats?symbol=upload:binance:MINE", 404, "no bars of binance:MINE were uploaded"),
            ("ols?x=BTCUSDT", 422, "the parameter y is missing"),
            ("ols?x=BTCUSDT&y=ETHUSDT&method=magic", 422, "method"),
            ("zscore?window=3", 422, "window"),
            ("zscore?window=150", 422, "must be 5 to 100 bars"),
            ("stats?bars=5", 422, "bars"),
            ("stats?lookback=5", 422, "unknown parameter 'lookback'"),
            ("hawkes?symbol=ETHUSDT", 422, "no trades of binance:ETHUSDT are stored"),
            ("hawkes", 422, "each side needs 100"),
            ("cointegration?x=BTCUSDT&y=BTCUSDT", 422, "the same but for a factor"),
        ):
            found, problem = await served.get(f"/api/analytics/{path}")
            assert (found, words in problem["detail"]) == (status, True), problem


async def test_bars_and_ticks_and_what_they_are_of(room: Room) -> None:
    async with serve(room.world) as served:
        found = await figures(served, "bars?bars=30")
        assert [round(close, 1) for close in found["close"]] == (PRICES[149:179] / 10).tolist()
        assert len(found["open_ms"]) == len(found["gap"]) == found["sample"]["n"] == 30
        status, problem = await served.get("/api/analytics/bars?prices=mids")
        assert (status, "there are no bars of binance:BTCUSDT on mids" in problem["detail"]) == (422, True)
        assert (problem["have"], problem["need"]) == (0, 20)
        found = await figures(served, "ticks?x=BTCUSDT&y=BTCUSDT&bars=90")
        assert (found["x_of"], found["without_grid"]["r"]) == ("trades", pytest.approx(1.0))


async def test_bars_on_mids_of_what_is_live(tmp_path: Path) -> None:
    """A book of BTCUSDT whose mid rises by a tick a second; ETHUSDT has none."""
    world = World(tmp_path)
    world.desk = desk = Desk(world.venues, None)
    world.book([("42500.0", "1")], [("42501.0", "1")])
    for second in range(150):
        world.diff([("42500.0", "1")], [(f"{42501 + second / 10:.1f}", "1"), (f"{42501 + (second - 1) / 10:.1f}", "0")])
        world.trade(1_000 * second, "42500.5", "0.001")
        desk.observe()
    async with serve(world) as served:
        found = await figures(served, "bars?prices=mids&tf=1s&bars=100")
        assert (found["sample"]["basis"], found["sample"]["n"], found["sample"]["missing"]) == ("mids", 100, 0)
        assert found["close"][-1] == pytest.approx((42500.0 + 42501 + 148 / 10) / 2)
        assert np.allclose(np.diff(found["close"]), 0.05)
        found = await figures(served, "bars?prices=mids&bars=20")
        assert [round(close, 2) for close in found["close"]] == [42503.45, 42506.45]
        assert found["open_ms"] == [T0, T0 + MINUTE]
        assert found["gap"] == [False, False]
        found = await figures(served, "stats?prices=mids&tf=1s&bars=100")
        assert (found["volume"], found["trades"]) == (None, None)
        status, problem = await served.get("/api/analytics/bars?symbol=ETHUSDT&prices=mids")
        assert (status, problem["detail"]) == (
            422,
            "there are no bars of binance:ETHUSDT on mids yet; nothing is stored here",
        )
    await desk.close()


async def test_bars_on_mids_of_stored_quotes(tmp_path: Path) -> None:
    store = Store(tmp_path / "data").open()
    rows = [trade(1, START, 425_000, 1)]  # what was never traded has no grid in the store
    rows += [quote(k + 1, START + 7_000 * k, 425_000 + k, 1, 425_010 + k, 1) for k in range(200)]
    store.write(Universe("binance", INSTRUMENTS), tape(rows), name="quotes")
    store.close()
    world = World(tmp_path)
    world.desk = desk = Desk(world.venues, StoreConfig(path=str(tmp_path / "data")))
    async with serve(world) as served:
        found = await figures(served, "bars?prices=mids&bars=20")
    last = {START + 7_000 * k - (START + 7_000 * k) % MINUTE: k for k in range(200)}
    wanted = {open_ms: (850_010 + 2 * k) / 20 for open_ms, k in last.items()}
    assert found["open_ms"] == list(wanted)[-21:-1]
    assert found["close"] == pytest.approx(list(wanted.values())[-21:-1])
    late = [open_ms + MINUTE - (START + 7_000 * last[open_ms]) > 5_000 for open_ms in found["open_ms"]]
    assert found["gap"] == late
    await desk.close()


async def test_the_process_is_there_before_anybody_asks_and_again_after_it_died(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch.node.desk.READY_AFTER_S", 0.0)
    monkeypatch.setattr("tapewatch.node.desk.READY_EVERY_S", 0.02)
    child = room.desk._child

    async def another_than(known: int | None) -> int:
        while child._process is None or not child.running or child._process.pid == known:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return child._process.pid

    keeping = asyncio.create_task(room.desk.keep_ready())
    first = await another_than(None)
    os.kill(first, signal.SIGKILL)
    second = await another_than(first)
    async with serve(room.world) as served:
        assert (await figures(served, "stats?bars=30"))["sample"]["n"] == 30
    assert await another_than(first) == second  # which had been got ready, and answered
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_what_is_studied_counts_as_looked_at_for_a_while(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(room.world) as served:
        await figures(served, "stats")
        await served.get("/api/analytics/pair?x=BTCUSDT&y=ETHUSDT")
    assert room.desk.wanted("binance") == ["BTCUSDT", "ETHUSDT"]
    assert room.desk.wanted("okx") == []
    monkeypatch.setattr("tapewatch.node.desk.WANTED_S", 0.0)
    assert room.desk.wanted("binance") == []


async def test_without_a_desk_nothing_is_computed(tmp_path: Path) -> None:
    async with serve(World(tmp_path)) as served:
        status, problem = await served.get("/api/analytics/stats")
        assert (status, problem["detail"]) == (503, "the research desk is not running here")
        status, told = await served.get("/api/analytics/scan")
        assert (status, told["state"], told["result"]) == (200, "none", None)


# -- the five real series ------------------------------------------------------------------------------------------

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")


@pytest.fixture(scope="module")
def uploads(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The newest 2,000 candles of each, uploaded as a user's file, and the same as plain arrays."""
    folder, closes = tmp_path_factory.mktemp("uploads"), {}
    store = Store(folder).open()
    for name in NAMES:
        path = data_dir / "klines" / f"usdm_{name}_1m_2025-05-25_2025-06-24.ohlcv.csv.gz"
        header, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        rows = lines[-2_000:]
        Importer(store).ohlc("\n".join([header, *rows]).encode(), name, venue="mine", symbol=name, tf="1m")
        closes[name] = {int(row.split(",")[0]): float(row.split(",")[4]) for row in rows}
    store.close()
    return folder, closes


@pytest.fixture
async def library(uploads: tuple[Path, dict[str, Any]], tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    desk = Desk(world.venues, StoreConfig(path=str(uploads[0])))
    world.desk = desk
    yield world
    await desk.close()


async def test_a_pair_of_uploads_in_one_answer(library: World, uploads: tuple[Path, dict[str, Any]]) -> None:
    of_x, of_y = (dict(list(uploads[1][name].items())[-1440:]) for name in ("BTCUSDT", "ETHUSDT"))
    times = sorted(of_x.keys() & of_y.keys())  # one of the files ends a minute earlier
    x, y = (np.log([closes[at] for at in times]) for closes in (of_x, of_y))
    async with serve(library) as served:
        found = await figures(served, "pair?x=upload:mine:BTCUSDT&y=upload:mine:ETHUSDT&bars=1440")
    assert found["sample"] == {
        "n": len(times),
        "tf_ms": MINUTE,
        "first_ms": times[0],
        "last_ms": times[-1],
        "missing": 0,
        "gaps": 0,
        "basis": "upload",
    }
    wanted = sm.OLS(y, sm.add_constant(x)).fit()
    line = found["lines"][0]
    assert (line["method"], line["y"]) == ("ols", "upload:mine:ETHUSDT")
    assert line["beta"] == pytest.approx(wanted.params[1])
    assert line["beta_se"] == pytest.approx(wanted.bse[1])
    assert line["r2"] == pytest.approx(wanted.rsquared)
    assert found["correlation"]["r"] == pytest.approx(np.corrcoef(np.diff(x), np.diff(y))[0, 1])
    assert found["cointegration"]["y_on_x"]["critical"]["5%"] == pytest.approx(-3.34, abs=0.01)
    assert found["spread"]["calibrated"] == round(0.7 * len(times))
    assert len(found["spread"]["z"]["values"]) == len(times)
    assert len(found["kalman"]["beta"]) == len(times)


async def test_what_was_uploaded_is_listed_and_scanned(library: World) -> None:
    async with serve(library) as served:
        _, told = await served.get("/api/analytics/series")
        assert [one["symbol"] for one in told["uploads"]] == sorted(NAMES)
        assert {(one["exchange"], one["tf_ms"], one["bars"]) for one in told["uploads"]} == {("mine", MINUTE, 2_000)}
        state = await scanned(served, "exchange=mine&uploads=true&bars=1440")
        assert (state["state"], state["result"]["symbols"], state["result"]["pairs"]) == ("done", 5, 10)
        status, problem = await served.get("/api/analytics/pair?x=upload:mine:BTCUSDT&y=upload:mine:ETHUSDT&bars=1440")
        assert status == 200
        found = problem["result"]
        assert found["spread"]["unhedged"][-1] == pytest.approx(np.log(found["y_close"][-1] / found["x_close"][-1]))
        assert found["x_statistics"]["close"]["n"] == 1440
        assert found["y_adf"]["level"]["critical"]["5%"] == pytest.approx(-2.86, abs=0.01)
        assert all(isinstance(doubt, str) for doubt in found["doubts"])
        found = await figures(served, "ticks?x=upload:mine:BTCUSDT&y=upload:mine:ETHUSDT&bars=1440")
        assert (found["x_of"], found["without_grid"]["n_x"]) == ("closes of 60000 ms", 1439)


async def test_a_pair_is_answered_while_a_scan_goes_on(library: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scans = library.desk._scans  # type: ignore[union-attr]
    start, pids = scans._start, list[int]()

    async def stopped() -> asyncio.subprocess.Process:
        """The longest of all scans."""
        process: asyncio.subprocess.Process = await start()
        process.send_signal(signal.SIGSTOP)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(scans, "_start", stopped)
    async with serve(library) as served:
        begun = await begin_scan(served, "exchange=mine&uploads=true&bars=1440")
        await until(lambda: pids)
        found = await figures(served, "pair?x=upload:mine:BTCUSDT&y=upload:mine:ETHUSDT&bars=1440")
        assert found["sample"]["n"] == 1439  # one of the files ends a minute earlier
        assert (await served.get("/api/analytics/scan"))[1]["state"] == "running"
        os.kill(pids[0], signal.SIGCONT)
        assert (await scan_ended(served, begun))["result"]["pairs"] == 10
        assert not scans.running  # a process of nothing but idle libraries


async def begin_scan(served: Served, query: str) -> Any:
    async with served.http.post(served.url + f"/api/analytics/scan?{query}") as answer:
        state = await answer.json()
        assert answer.status == 202, state
    return state


async def scanned(served: Served, query: str) -> Any:
    return await scan_ended(served, await begin_scan(served, query))


async def scan_ended(served: Served, state: Any) -> Any:
    while state["state"] == "running":
        ScanState.model_validate(state)
        await asyncio.sleep(0.02)  # a person who looks again; the answer decides, not the time
        _, state = await served.get("/api/analytics/scan")
    ScanState.model_validate(state)
    return state


async def test_a_scan_of_live_symbols(tmp_path: Path) -> None:
    """ETHUSDT follows BTCUSDT; the third walks by itself."""
    world = World(tmp_path)
    rng = np.random.default_rng(5)
    rest = np.zeros(300)
    for t, noise in enumerate(rng.normal(0, 20, 299)):
        rest[t + 1] = 0.6 * rest[t] + noise
    leader = 425_000 + np.cumsum(rng.integers(-300, 301, 300))
    walks = [leader, 10 * leader + rest, 500_000 + np.cumsum(rng.integers(-300, 301, 300))]
    for i, prices in enumerate(walks):
        rows = [trade(k + 1, START + k * MINUTE, int(prices[k]), 3, i=i) for k in range(300)]
        world.venue.engine.apply(tape(rows))
    world.desk = desk = Desk(world.venues, None)
    async with serve(world) as served:
        state = await scanned(served, "bars=300")
        assert (state["state"], state["done"], state["of"]) == ("done", 6, 6)
        found = state["result"]
        assert (found["symbols"], found["pairs"], found["bars"]) == (3, 3, 299)
        best = found["candidates"][0]
        assert {best["x"], best["y"]} == {"binance:BTCUSDT", "binance:ETHUSDT"}
        assert best["p_corrected"] < 0.01
        state = await scanned(served, "bars=50")
        assert state["state"] == "failed"
        assert "a scan needs 2 series with 200 bars at common times" in state["detail"]
    await desk.close()
