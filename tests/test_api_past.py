"""Times before memory: what the API answers from stored data equals what memory would say."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from market_world import INSTRUMENTS, World, serve
from stored_day import DAY, HOUR, MIDNIGHT, rows
from tapes import tape, trade
from tapewatch.config import StoreConfig
from tapewatch.engine import MINUTES_KEPT
from tapewatch.model.errors import NotReadyError, UsageError
from tapewatch.model.instrument import Universe
from tapewatch.model.tape import Flag, Kind
from tapewatch.node import child
from tapewatch.node.queries import Queries
from tapewatch.store.writer import Store
from waiting import WITHIN_S, until


@dataclass
class Past:
    """One market twice: all of it in memory, and what was before midnight only on disk."""

    whole: World
    late: World
    history: Queries


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    store = Store(folder).open()
    before = [row for row in rows() if row.columns["ts_ms"] < MIDNIGHT + HOUR]
    store.write(Universe("binance", INSTRUMENTS), tape(before), name="before")
    store.close()
    return folder


@pytest.fixture
async def past(data: Path, tmp_path: Path) -> AsyncIterator[Past]:
    history = Queries(StoreConfig(path=str(data)))
    whole, late = World(tmp_path / "whole"), World(tmp_path / "late", history=history)
    whole.venue.engine.apply(tape(rows()))
    late.venue.engine.apply(tape(row for row in rows() if row.columns["ts_ms"] >= MIDNIGHT))
    yield Past(whole, late, history)
    await history.close()


@pytest.mark.parametrize("before", [MIDNIGHT - 2 * HOUR, MIDNIGHT, MIDNIGHT + HOUR + 90_000])
@pytest.mark.parametrize("tf", ["1m", "5m", "1h"])
async def test_footprints_before_a_time(past: Past, tf: str, before: int) -> None:
    query = f"/api/footprint?tf={tf}&step=0.5&lookback=150&before={before}"
    wanted, got = await both(past, query)
    assert len(wanted["candles"]) >= 4
    assert got["candles"] == wanted["candles"][-len(got["candles"]) :]
    assert len(wanted["candles"]) - len(got["candles"]) <= 1, "the first minute of memory may be one of two days"


@pytest.mark.parametrize("wrapped", [False, True], ids=["came then", "older minutes have left"])
@pytest.mark.parametrize("tf", ["1m", "5m", "1h"])
async def test_cvd_goes_on_where_memory_begins_in_the_middle_of_a_day(
    data: Path, tmp_path: Path, tf: str, *, wrapped: bool
) -> None:
    """Half an hour past midnight on, trades are in memory: the sum of the day is that of the day all the same."""
    history = Queries(StoreConfig(path=str(data)))
    whole, late = World(tmp_path / "whole"), World(tmp_path / "late", history=history)
    whole.venue.engine.apply(tape(rows()))
    began = MIDNIGHT + HOUR // 2
    if wrapped:
        newest = max(row.columns["id"] for row in rows() if row.kind is Kind.TRADE and not row.columns["instrument"])
        much_later = trade(newest + 1, began + (MINUTES_KEPT - 1) * 60_000, 425_000, 1)
        late.venue.engine.apply(tape([*rows(), much_later]))
    else:
        late.venue.engine.apply(tape(row for row in rows() if row.columns["ts_ms"] >= began))
    try:
        query = f"/api/footprint?tf={tf}&step=0.5&lookback=150&before={MIDNIGHT + 50 * 60_000}"
        wanted, got = await both(Past(whole, late, history), query)
        query = f"/api/candles?tf={tf}&start={MIDNIGHT - HOUR}&end={MIDNIGHT + HOUR}"
        bars, bars_got = await both(Past(whole, late, history), query)
    finally:
        await history.close()
    cvd = {candle["open_ts"]: candle["cvd"] for candle in wanted["candles"] + bars["candles"]}
    for candle in got["candles"] + bars_got["candles"]:
        assert candle["cvd"] == cvd[candle["open_ts"]]
    assert any(candle["open_ts"] + 3_600_000 > began for candle in got["candles"])
    # The candle in which memory begins is not whole; all others are the same.
    length = {"1m": 60_000, "5m": 300_000, "1h": HOUR}[tf]
    odd = began // length * length
    assert [one for one in bars_got["candles"] if one["open_ts"] != odd] == [
        one for one in bars["candles"] if one["open_ts"] != odd
    ]


async def test_candles_of_a_range(past: Past) -> None:
    start, end = MIDNIGHT - 90 * 60_000, MIDNIGHT + 90 * 60_000
    wanted, got = await both(past, f"/api/candles?tf=5m&start={start}&end={end}")
    assert got["candles"] == wanted["candles"]
    assert (got["candles"][0]["open_ts"], got["candles"][-1]["open_ts"]) == (start, end - 300_000)
    _, iso = await both(past, "/api/candles?tf=5m&start=2026-09-20T22:30&end=2026-09-21T01:30Z")
    assert iso["candles"] == got["candles"]
    async with serve(past.late) as served:
        for query, sentence in (
            ("start=2026-01-02&end=2026-01-01", "the range is empty"),
            ("start=2026-01-01", "ask in parts"),
        ):
            status, told = await served.get(f"/api/candles?{query}")
            assert status == 422
            assert sentence in told["detail"]


@pytest.mark.parametrize(("window", "length_ms"), [("10s", 10_000), ("15m", 900_000)])
async def test_imbalance_history_before_a_time(past: Past, window: str, length_ms: int) -> None:
    """Against a plain count of the trades in each window."""
    async with serve(past.late) as served:
        _, got = await served.get(f"/api/imbalance/history?window={window}&before={MIDNIGHT - HOUR}")
    trades = [row.columns for row in rows() if row.kind is Kind.TRADE]
    assert len(got["points"]) >= 200
    assert MIDNIGHT - HOUR - 60_000 < got["points"][-1]["ts"] <= MIDNIGHT - HOUR
    for point in got["points"][::7]:
        inside = [one for one in trades if point["ts"] - length_ms <= one["ts_ms"] < point["ts"]]
        bought = sum(one["qty"] for one in inside if not one["flags"] & Flag.SELL)
        sold = sum(one["qty"] for one in inside if one["flags"] & Flag.SELL)
        assert (point["buy"], point["sell"]) == (bought / 1000, sold / 1000)


async def test_liquidations_before_a_time(past: Past) -> None:
    for limit in (1, 100):
        wanted, got = await both(past, f"/api/liquidations?limit={limit}&before={MIDNIGHT + 2 * HOUR}")
        assert got["liquidations"] == wanted["liquidations"]
        assert len(got["liquidations"]) == min(limit, 8)
    _, got = await both(past, f"/api/liquidations?symbol=ETHUSDT&before={MIDNIGHT}")
    assert got["liquidations"] == []


async def both(past: Past, query: str) -> tuple[Any, Any]:
    answers = []
    for world in (past.whole, past.late):
        async with serve(world) as served:
            status, answer = await served.get(query)
            assert status == 200, answer
            answers.append(answer)
    return answers[0], answers[1]


async def test_what_is_not_stored_is_empty_and_what_is_wrong_is_refused(past: Past) -> None:
    async with serve(past.late) as served:
        status, answer = await served.get(f"/api/footprint?symbol=ETHUSDT&step=0.01&before={MIDNIGHT}")
        assert (status, answer["candles"]) == (200, [])
        status, answer = await served.get("/api/footprint?before=0")
        assert status == 422
    with pytest.raises(UsageError, match="too long"):
        await past.history.footprint("binance", "BTCUSDT", 1_000, "0.5", MIDNIGHT - DAY, MIDNIGHT)


async def test_a_question_that_takes_too_long_ends_its_process_and_nothing_else(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past.history._child, "_within_s", 0.001)
    with pytest.raises(NotReadyError, match="did not answer within"):
        await past.history.liquidations("binance", None, MIDNIGHT, 5)
    monkeypatch.setattr(past.history._child, "_within_s", WITHIN_S)
    _, found = await past.history.liquidations("binance", None, MIDNIGHT, 5)
    assert len(found) == 5


async def test_who_waits_for_an_answer_when_the_program_stops_is_told_so(past: Past) -> None:
    """The one that is being answered, and the one behind it; no connection is cut without a word."""
    async with serve(past.late) as served:
        await past.history.liquidations("binance", None, MIDNIGHT, 5)
        process = past.history._child._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        waiting = [asyncio.create_task(served.get(f"/api/liquidations?before={MIDNIGHT + n}")) for n in range(2)]
        await until(lambda: past.history._child._waiting == 2)
        await past.history.close()
        for status, answer in await asyncio.gather(*waiting):
            assert (status, answer["detail"]) == (503, child.STOPPING)


async def test_too_many_questions_are_refused(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MAX_WAITING", 0)
    async with serve(past.late) as served:
        status, answer = await served.get(f"/api/liquidations?before={MIDNIGHT}")
    assert status == 503
    assert "waiting already" in answer["detail"]
