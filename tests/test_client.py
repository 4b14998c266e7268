"""The Python client against a real server: every digit as the API prints it, long ranges page by page, typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import pytest
from aiohttp import web
from pydantic import BaseModel

from market_world import INSTRUMENTS, T0, Served, World, lively, serve
from stored_day import HOUR, MIDNIGHT, rows
from tapes import Row, liquidation, tape, trade
from tapewatch.api import coverage, derivs_schemas, lab_schemas, schemas
from tapewatch.client import (
    AccessError,
    Client,
    ForeignServerError,
    NotYetError,
    RequestError,
    UnknownNameError,
    UnreachableError,
    client,
    tables,
)
from tapewatch.config import Config, StoreConfig
from tapewatch.model.errors import NotFoundError, NotReadyError, UsageError
from tapewatch.model.instrument import Universe
from tapewatch.model.tape import Kind
from tapewatch.node.desk import Desk
from tapewatch.node.queries import Queries
from tapewatch.store.writer import Store

T = TypeVar("T")
TOKEN = "open-sesame"  # noqa: S105 - of a test's own server


async def ask(served: Served, question: Callable[[Client], T], **options: Any) -> T:
    """Put a question from a thread of its own, as a program beside the server would."""

    def work() -> T:
        with Client(served.url, **options) as one:
            return question(one)

    return await asyncio.to_thread(work)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    lively(world)
    world.trade(62_000, "42500.6", "20")
    return world


# -- every digit ------------------------------------------------------------------------------------------------------


def plain(value: Any, kind: Any) -> Any:
    """A value of an answer as the column's own type has it."""
    if value is None or isinstance(value, list):
        return value
    if kind is tables.EXACT:
        return Decimal(value)
    if kind is tables.TIME:
        return datetime.fromtimestamp(value / 1000, UTC)
    return float(value) if kind is tables.FLOAT else value


TABLES: list[tuple[str, str, tables.Schema, Callable[[Client], pl.DataFrame]]] = [
    ("/api/symbols", "symbols", tables.SYMBOLS, lambda c: c.symbols()),
    ("/api/candles", "candles", tables.BARS, lambda c: c.bars("BTCUSDT")),
    ("/api/screener?limit=500", "events", tables.SCREENER, lambda c: c.screener()),
    ("/api/imbalance?window=5m", "rows", tables.IMBALANCE, lambda c: c.imbalances("5m")),
    ("/api/imbalance/history", "points", tables.IMBALANCE_HISTORY, lambda c: c.imbalance_history("BTCUSDT")),
    ("/api/basis", "rows", tables.BASIS, lambda c: c.basis("binance")),
    ("/api/funding", "rows", tables.FUNDING, lambda c: c.funding()),
    ("/api/interest", "rows", tables.INTEREST, lambda c: c.interest()),
    ("/api/whales", "rows", tables.WHALES, lambda c: c.whales()),
    ("/api/liquidations/clusters", "clusters", tables.CLUSTERS, lambda c: c.clusters("BTCUSDT").levels),
]


@pytest.mark.parametrize(("path", "key", "schema", "question"), TABLES, ids=[one[0] for one in TABLES])
async def test_a_frame_holds_the_answer_digit_by_digit(
    world: World, path: str, key: str, schema: tables.Schema, question: Callable[[Client], pl.DataFrame]
) -> None:
    async with serve(world) as served:
        told = (await ask(served, lambda one: one.get(path)))[key]
        found = await ask(served, question)
    assert told
    assert found.to_dicts() == [{name: plain(row[name], kind) for name, kind in schema.items()} for row in told]
    assert {name for name, kind in found.schema.items() if isinstance(kind, pl.Decimal)} == {
        name for name, kind in schema.items() if kind is tables.EXACT
    }


@pytest.mark.parametrize(
    ("model", "schema", "elsewhere"),
    [
        (schemas.Symbol, tables.SYMBOLS, ()),
        (schemas.Bar, tables.BARS, ()),
        (schemas.Candle, tables.PROFILED_BARS, ("levels",)),
        (schemas.Level, tables.CELLS, ()),
        (schemas.BigFlowEvent, tables.SCREENER, ()),
        (schemas.ImbalanceRow, tables.IMBALANCE, ()),
        (schemas.ImbalancePoint, tables.IMBALANCE_HISTORY, ()),
        (schemas.Liquidation, tables.LIQUIDATIONS, ()),
        (lab_schemas.Detection, tables.DETECTIONS, ("rows",)),
        (derivs_schemas.BasisRow, tables.BASIS, ()),
        (derivs_schemas.FundingRow, tables.FUNDING, ()),
        (derivs_schemas.InterestRow, tables.INTEREST, ()),
        (derivs_schemas.MinutePoint, tables.MINUTES, ()),
        (derivs_schemas.Whale, tables.WHALES, ()),
        (derivs_schemas.FlowRow, tables.FLOW, ("windows",)),
        (derivs_schemas.FlowWindow, tables.FLOW, ()),
        (derivs_schemas.Cluster, tables.CLUSTERS, ()),
        (derivs_schemas.Divergence, tables.DIVERGENCES, ()),
        (derivs_schemas.Split, tables.DIVERGENCES, ()),
        (coverage.Gap, tables.GAPS, ()),
        (coverage.Hour, tables.HOURS, ()),
    ],
)
def test_no_field_of_the_api_is_left_out(
    model: type[BaseModel], schema: tables.Schema, elsewhere: tuple[str, ...]
) -> None:
    assert set(model.model_fields) - set(elsewhere) <= set(schema)


async def test_footprints_have_a_row_a_price_and_bars_with_a_step_their_profile(world: World) -> None:
    async with serve(world) as served:
        cells = await ask(served, lambda one: one.footprints("BTCUSDT", step="0.5"))
        ticks = await ask(served, lambda one: one.footprints("BTCUSDT"))
        bars = await ask(served, lambda one: one.bars("BTCUSDT", step="0.5"))
    assert cells.select("p", "bid", "ask", "n").rows() == [
        (Decimal("42500.5"), Decimal(0), Decimal("1.000"), 2),
        (Decimal("42500.5"), Decimal(0), Decimal("20.000"), 1),
        (Decimal("42499.5"), Decimal("0.300"), Decimal(0), 1),
    ]
    assert ticks["p"].to_list()[:2] == [Decimal("42500.6"), Decimal("42500.5")]
    assert bars["poc"].to_list() == [Decimal("42500.5")] * 2
    assert bars["delta"].sum() == Decimal("20.700")


async def test_features_detections_book_and_impact(world: World) -> None:
    async with serve(world) as served:
        await ask(served, lambda one: one.features("BTCUSDT"))  # it is studied from now on
        for k in range(5):
            world.trade(70_000 + k * 1_000, "42500.5", "0.5")
            world.diff([("42500.4", f"1.{k}")], [])
            world.hear(quote(70_200 + k * 1_000, k))
        features = await ask(served, lambda one: one.features("BTCUSDT"))
        raw = (await ask(served, lambda one: one.get("/api/features")))["features"]
        detections = await ask(served, lambda one: one.detections("BTCUSDT"))
        book = await ask(served, lambda one: one.book("BTCUSDT", depth=2))
        impact = await ask(served, lambda one: one.impact("BTCUSDT", 0.6))
    assert features["ts"].to_list() == [datetime.fromtimestamp(row["ts"] / 1000, UTC) for row in raw]
    assert len(features) >= 4
    for name in ("mid_price", "spread", "total_bid_volume", "cumulative_bid_5bps", "ofi", "trade_flow"):
        assert isinstance(features.schema[name], pl.Decimal), name
        assert features[name].to_list() == [row[name] for row in raw]
    for name in ("microprice", "imbalance", "imbalance_5bps", "slope", "effective_spread_bps", "trade_flow_imbalance"):
        assert features.schema[name] == pl.Float64, name
    assert features["ofi_level_1"].to_list() == [row["ofi_levels"][0] for row in raw]
    assert set(raw[0]) - {"ofi_levels", "undefined"} <= set(features.columns)
    assert set(detections.columns) >= {"kind", "evidence", "rows", "confidence"}
    assert book.levels.rows()[0] == ("bid", Decimal("42500.4"), Decimal("1.4"))
    assert impact["filled"] == Decimal("0.600")


def quote(at_ms: int, k: int) -> dict[str, Any]:
    u = 10_000 + k
    fields = {"e": "bookTicker", "u": u, "s": "BTCUSDT", "b": "42500.4", "B": "1.5", "a": "42500.6", "A": "0.5"}
    return fields | {"T": T0 + at_ms, "E": T0 + at_ms}


async def test_detections_carry_their_evidence(world: World) -> None:
    async with serve(world) as served:
        await ask(served, lambda one: one.detections("BTCUSDT"))
        for k in range(12):  # one order through many prices
            world.trade(90_000, f"{42500.6 + k / 10:.1f}", "1.5")
        world.trade(95_000, "42502", "0.1")
        found = await ask(served, lambda one: one.detections("BTCUSDT", "sweep"))
        raw = (await ask(served, lambda one: one.get("/api/detections", kind="sweep")))["detections"]
    for row, told in zip(found.to_dicts(), raw, strict=True):
        assert {one["name"]: one["value"] for one in row["evidence"]} == {
            name: float(value) for name, value in told["evidence"].items()
        }
        assert [(one["price"], one["quantity"]) for one in row["rows"]] == [
            (one["price"], one["quantity"]) for one in told["rows"]
        ]


async def test_flow_and_cvd_come_as_long_tables(world: World) -> None:
    async with serve(world) as served:
        flow = await ask(served, lambda one: one.flow(["BTCUSDT", "ETHUSDT"]))
        cvd = await ask(served, lambda one: one.cvd("BTCUSDT", "5m"))
        raw = await ask(served, lambda one: one.get("/api/cvd", span="5m"))
    assert flow["window"].to_list() == ["10s", "1m", "5m", "15m"] * 2
    (minute,) = flow.filter(pl.col("symbol") == "BTCUSDT", pl.col("window") == "1m").to_dicts()
    assert minute["last"] == Decimal("42500.6")
    assert cvd.unit == "USDT"
    assert cvd.series["cvd"].to_list() == [float(value) for value in raw["series"][0]["cvd"]]
    assert cvd.divergences["of"].to_list() == ["market"] * 4 + ["group"] * 4
    assert cvd.divergences["why"].to_list()[:4] == [one["why"] for one in raw["divergences"]["markets"][0]["windows"]]


# -- long ranges ------------------------------------------------------------------------------------------------------


@dataclass
class Past:
    world: World
    history: Queries


@pytest.fixture
async def past(tmp_path: Path) -> AsyncIterator[Past]:
    """Eight hours: all of them stored, the last two in memory, too."""
    store = Store(tmp_path / "data").open()
    store.write(Universe("binance", INSTRUMENTS), tape(rows()), name="all")
    store.close()
    where = StoreConfig(path=str(tmp_path / "data"))
    history = Queries(where)
    world = World(tmp_path, history=history, config=Config(store=where))
    world.venue.engine.apply(tape(row for row in rows() if row.columns["ts_ms"] >= MIDNIGHT))
    yield Past(world, history)
    await history.close()


START, END = MIDNIGHT - 5 * HOUR, MIDNIGHT + 90 * 60_000


async def test_bars_and_footprints_are_the_same_however_they_are_cut(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(past.world) as served:
        for what in (
            lambda one: one.bars("BTCUSDT", "1m", START, END),
            lambda one: one.bars("BTCUSDT", "5m", START, END, step="1"),
            lambda one: one.footprints("BTCUSDT", "5m", START, END),
        ):
            monkeypatch.setattr(client, "BARS_A_PAGE", 1_440)
            monkeypatch.setattr(client, "FOOTPRINTS_A_PAGE", 1_440)
            whole = await ask(served, what)
            monkeypatch.setattr(client, "BARS_A_PAGE", 37)
            monkeypatch.setattr(client, "FOOTPRINTS_A_PAGE", 7)
            assert (await ask(served, what)).equals(whole)
            assert whole["open_ts"].min() == datetime.fromtimestamp(START / 1000, UTC)
            assert len(whole) > 70
        open_ended = await ask(served, lambda one: one.bars("BTCUSDT", "1h", START))
        assert open_ended["n"].sum() == sum(1 for row in rows() if is_trade(row) and row.columns["ts_ms"] >= START)


def is_trade(row: Row) -> bool:
    return row.kind is Kind.TRADE


async def test_trades_come_once_each_across_pages(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TRADES_PAGE_MS", HOUR)
    wanted = [row for row in rows() if is_trade(row)]
    async with serve(past.world) as served:
        every = await ask(served, lambda one: one.trades("BTCUSDT"))
        some = await ask(served, lambda one: one.trades("BTCUSDT", START, "2026-09-21T01:00"))
        with pytest.raises(RequestError, match="its start is not before its end"):
            await ask(served, lambda one: one.trades("BTCUSDT", END, START))
    assert every["id"].to_list() == [row.columns["id"] for row in wanted]
    assert every["price"].sum() == sum(Decimal(row.columns["price"]) / 10 for row in wanted)
    assert isinstance(every.schema["quantity"], pl.Decimal)
    assert (some["ts"].min(), some["ts"].max()) == (
        every["ts"].filter(every["ts"] >= datetime.fromtimestamp(START / 1000, UTC)).min(),
        every["ts"].filter(every["ts"] < datetime(2026, 9, 21, 1, tzinfo=UTC)).max(),
    )


async def test_liquidations_of_one_moment_are_never_lost_between_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ROWS_A_PAGE", 4)
    world = World(tmp_path)
    times = [0, 10, 10, 10, 20, 20, 30, 40, 40, 50, 60]
    world.venue.engine.apply(
        tape(liquidation(T0 + at, 10**12 + k, 5 + k, long=k % 2 == 0) for k, at in enumerate(times))
    )
    async with serve(world) as served:
        found = await ask(served, lambda one: one.liquidations("BTCUSDT", T0 + 10, T0 + 60))
        newest = await ask(served, lambda one: one.liquidations())
    assert found["quantity"].to_list() == [Decimal(5 + k) / 1000 for k in range(1, 10)]
    assert found["side"].to_list() == ["short", "long"] * 4 + ["short"]
    assert len(newest) == 4


def test_times_may_be_said_in_four_ways() -> None:
    ms = 1_780_272_000_000
    assert {client._ms(one) for one in (ms, "2026-06-01", date(2026, 6, 1), datetime(2026, 6, 1, tzinfo=UTC))} == {ms}
    with pytest.raises(RequestError, match="'soon' is no time"):
        client._ms("soon")


# -- analytics --------------------------------------------------------------------------------------------------------


async def test_analytics_and_a_scan(tmp_path: Path) -> None:
    world = World(tmp_path)
    for i in (0, 1):
        world.venue.engine.apply(
            tape(trade(k + 1, T0 + k * 60_000, 425_000 + (k * 7 + i) % 60, 3, i=i) for k in range(300))
        )
    Store(tmp_path / "data").open().close()
    desk = world.desk = Desk(world.venues, StoreConfig(path=str(tmp_path / "data")))
    try:
        async with serve(world) as served:
            stats = await ask(served, lambda one: one.analytics("stats", symbol="BTCUSDT", bars=100))
            found = await ask(served, lambda one: one.scan(bars=250, symbols=2, keep=2))
            with pytest.raises(RequestError, match="bars = '3' is refused"):
                await ask(served, lambda one: one.analytics("ols", x="BTCUSDT", y="BTCUSDT", bars=3))
    finally:
        await desk.close()
    assert stats["sample"]["n"] == 100
    assert isinstance(stats["close"]["mean"], float)
    assert found["symbols"]


async def test_candles_of_ones_own_are_uploaded_and_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, Config(store=StoreConfig(path=str(tmp_path / "data"))))
    desk = world.desk = Desk(world.venues, world.config.store)
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    price = [100 + k % 7 for k in range(60)]
    mine = pl.DataFrame(
        {"timestamp": [begin + timedelta(minutes=k) for k in range(60)], "volume": [1.5] * 60}
        | dict.fromkeys(("open", "high", "low", "close"), price)
    )
    try:
        async with serve(world) as served:
            name = await ask(served, lambda one: one.upload("MINE", mine, exchange="study"))
            bars = await ask(served, lambda one: one.analytics("bars", symbol=name, bars=60))
            wrong = mine.with_columns(pl.when(pl.col("timestamp") == begin).then(9).otherwise("high").alias("high"))
            (tmp_path / "wrong.csv").write_text(wrong.write_csv())
            with pytest.raises(RequestError, match="line 2"):
                await ask(served, lambda one: one.upload("OTHER", tmp_path / "wrong.csv", exchange="study"))
    finally:
        await desk.close()
    assert name == "upload:study:MINE"
    assert (bars["close"], bars["open_ms"][0]) == (price, begin.timestamp() * 1000)


# -- errors -----------------------------------------------------------------------------------------------------------


async def test_the_servers_own_sentence_comes_with_every_refusal(world: World) -> None:
    async with serve(world) as served:
        with pytest.raises(UnknownNameError, match="unknown exchange 'nowhere'; running here: binance") as missing:
            await ask(served, lambda one: one.symbols("nowhere"))
        with pytest.raises(RequestError, match=r"step 0\.05 is not a multiple of the tick size") as refused:
            await ask(served, lambda one: one.footprints("BTCUSDT", step="0.05"))
        with pytest.raises(UnknownNameError, match="XYZ"):
            await ask(served, lambda one: one.footprints("XYZ"))
        with pytest.raises(NotYetError, match="being resynchronised") as early:
            await ask(served, lambda one: one.book("ETHUSDT"), patience_s=0)
    assert (missing.value.status, refused.value.status, early.value.status) == (404, 422, 503)
    assert early.value.retry_after_s == 2
    for error, kind in ((missing.value, NotFoundError), (refused.value, UsageError), (early.value, NotReadyError)):
        assert isinstance(error, kind)


async def test_what_is_not_ready_is_asked_for_again() -> None:
    asked = 0

    async def later(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.json_response({"detail": "not now"}, status=503, headers={"Retry-After": "1"})
        return web.json_response({"symbols": []})

    async with stranger("/api/symbols", later) as url:
        with closing(Client(url)) as one:
            assert len(await asyncio.to_thread(one.symbols)) == 0
    assert asked == 2


async def test_a_token_is_wanted_and_taken_from_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(world, TOKEN) as served:
        with pytest.raises(AccessError, match="the access token is missing or wrong") as refused:
            await ask(served, lambda one: one.symbols())
        assert refused.value.status == 401
        assert len(await ask(served, lambda one: one.symbols(), token=TOKEN)) == 3
        monkeypatch.setenv("TAPEWATCH_SERVER__TOKEN", TOKEN)
        assert len(await ask(served, lambda one: one.symbols())) == 3
        assert await ask(served, lambda one: one.exchanges()) == ["binance"]


def test_nobody_at_home_is_said_with_the_mend() -> None:
    with (
        closing(Client("http://127.0.0.1:9")) as one,
        pytest.raises(UnreachableError, match=r"no tapewatch server answers at http://127\.0\.0\.1:9; start it with"),
    ):
        one.symbols()
    for wrong in ("127.0.0.1:8000", "http://", "http://a:b", "http://a/?x=1"):
        with pytest.raises(RequestError, match="is no address of a server"):
            Client(wrong)


async def test_a_stranger_is_recognised() -> None:
    async def nonsense(_: web.Request) -> web.Response:
        return web.Response(text="<html>welcome</html>")

    async with stranger("/health", nonsense) as url:
        with closing(Client(url)) as one:
            with pytest.raises(ForeignServerError, match="cannot be read"):
                await asyncio.to_thread(one.health)
            with pytest.raises(UnknownNameError, match="answered 404 Not Found, not like tapewatch"):
                await asyncio.to_thread(one.symbols)


@asynccontextmanager
async def stranger(path: str, handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that is none of ours."""
    app = web.Application()
    app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
