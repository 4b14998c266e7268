"""Into the store and out again: the same rows, or a sentence that names the wrong ones and a store as it was."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet
import pytest
from msgspec import structs

from archives import HEADER, market, write, zipped
from market_world import World, serve
from program import run
from tapes import T0, diff, liquidation, quote, snapshot, tape, trade, universe
from tapewatch.config import Config, StoreConfig
from tapewatch.engine import Engine
from tapewatch.model.errors import UsageError
from tapewatch.model.instrument import Grid, Universe
from tapewatch.model.tape import Flag, Kind, Tape
from tapewatch.store.reader import Reader, concatenated
from tapewatch.store.writer import Store
from tapewatch.transfer import files, importing
from tapewatch.transfer.exporting import FOREVER_MS, What, Wish, export, time_of
from tapewatch.transfer.features import of_memory
from tapewatch.transfer.files import SIDECAR, Table, about_of, guarded, save, unguarded
from tapewatch.transfer.importing import Imported, Importer

DAY_MS = 86_400_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    one = Store(tmp_path / "data").open()
    yield one
    one.close()


@pytest.fixture
def full(store: Store) -> Store:
    """A store of two instruments on different grids: trades of three hours, liquidations, one hole."""
    two = Universe("binance", [replace(one, lot=Grid(1, k)) for k, one in enumerate(universe("AUSDT", "BUSDT"))])
    rows = [
        trade(k, T0 + 1_100 * k, 1000 + (k * 7 + i) % 13, 1 + k % 5, sell=k % 3 == 0, i=i)
        for k in range(1, 9_000)
        for i in (0, 1)
        if not 500 <= k < 520
    ]
    rows += [liquidation(T0 + 5_000 * k, 123_456_789_012 + k, 3 + k, long=k % 2 == 0, i=k % 2) for k in range(1, 40)]
    batch = tape(rows)
    batch.rows["recv_ns"] = 7
    batch.rows["flags"][10] |= Flag.OFF_BOOK
    store.write(two, batch, name="test")
    return store


def stored(store: Store) -> Tape:
    reader = Reader(store.folder)
    try:
        return concatenated(list(reader.tapes("binance", 0, FOREVER_MS)))
    finally:
        reader.close()


def exported(store: Store, path: Path, **wish: Any) -> Path:
    reader = Reader(store.folder)
    try:
        save(export(reader, Wish(**{"what": What.TRADES, "venue": "binance", **wish})), path)
    finally:
        reader.close()
    return path


def imported(store: Store, path: Path, **of: str) -> Imported:
    return Importer(store).file(path, **of)


def lines_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def query(sql: str) -> list[Any]:
    """Answered by another's tool."""
    return duckdb.connect().execute(sql).fetchall()


# ---------------------------------------------------------------- out and in again


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_export_and_import_give_the_same_rows(full: Store, tmp_path: Path, suffix: str) -> None:
    other = Store(tmp_path / "other").open()
    for what in (What.TRADES, What.LIQUIDATIONS):
        done = imported(other, exported(full, tmp_path / f"{what}.{suffix}", what=what))
        assert (done.rows, done.duplicates) == (len(stored(full).rows[stored(full).rows["kind"] == _KINDS[what]]), 0)
    before, after = stored(full), stored(other)
    assert before.rows.tolist() == after.rows.tolist()
    for symbol in ("AUSDT", "BUSDT"):
        one, two = (_footprint(store, symbol) for store in (full, other))
        assert one == two
    assert imported(other, tmp_path / f"trades.{suffix}").rows == 0  # a second time: all there
    other.close()


def test_a_range_of_centuries_is_read_where_something_is_stored(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds from 1970 to 2100 would be a million questions about each instrument."""
    asked, footprint = [], Reader.footprint

    def noted(reader: Reader, *about: Any) -> Any:
        asked.append(about)
        return footprint(reader, *about)

    monkeypatch.setattr(Reader, "footprint", noted)
    wide = exported(full, tmp_path / "wide.csv", what=What.CANDLES, tf="1s", start_ms=1, end_ms=FOREVER_MS - 1)
    assert len(asked) <= 2 * 4
    near = exported(full, tmp_path / "near.csv", what=What.CANDLES, tf="1s", start_ms=T0, end_ms=T0 + DAY_MS)
    assert lines_of(wide) == lines_of(near)
    assert len(lines_of(wide)) > 9_000


_KINDS = {What.TRADES: Kind.TRADE, What.LIQUIDATIONS: Kind.LIQUIDATION}


def _footprint(store: Store, symbol: str) -> tuple[Any, Any]:
    reader = Reader(store.folder)
    try:
        view = reader.footprint("binance", symbol, 60_000, 1, T0, T0 + DAY_MS)
        return view.candles.tolist(), view.cells.tolist()
    finally:
        reader.close()


def test_other_tools_read_what_was_exported(full: Store, tmp_path: Path) -> None:
    reader = Reader(full.folder)
    symbol = reader.universe("binance")[0].symbol
    view = reader.footprint("binance", symbol, 300_000, 5, T0, T0 + DAY_MS)
    tick, lot = view.instrument.tick, view.instrument.lot
    reader.close()
    wish = {"symbols": (symbol,), "tf": "5m", "step": f"{tick.value * 5:f}"}
    cells = exported(full, tmp_path / "cells.parquet", what=What.FOOTPRINTS, **wish)
    found = query(f"SELECT open_ms, price, bid, ask, trades FROM '{cells}' ORDER BY open_ms, price DESC")
    expected = [
        (int(c["open_ms"]), tick.to_decimal(p), lot.to_decimal(bid), lot.to_decimal(ask), n)
        for c in view.candles
        for p, bid, ask, n in view.cells[c["cell_at"] : c["cell_at"] + c["cells"]].tolist()
    ]
    assert found == expected
    candles = exported(full, tmp_path / "candles.csv", what=What.CANDLES, **wish)
    closes = query(f"SELECT close, cvd, gaps FROM read_csv('{candles}', all_varchar = true)")
    assert [Decimal(row[0]) for row in closes] == [tick.to_decimal(c) for c in view.candles["close"]]
    assert [Decimal(row[1]) for row in closes] == [lot.to_decimal(c) for c in view.candles["cvd"]]
    balance = json.loads(exported(full, tmp_path / "b.json", what=What.IMBALANCES, **wish).read_text(encoding="utf-8"))
    assert len(balance["rows"]) == len(view.candles) == balance["about"]["rows"]
    assert all(-1 <= row["imbalance"] <= 1 for row in balance["rows"])


def test_every_file_says_what_it_is(full: Store, tmp_path: Path) -> None:
    for suffix in ("csv", "json", "parquet"):
        path = exported(full, tmp_path / f"t.{suffix}")
        about = about_of(path)
        assert about is not None
        assert (about["what"], about["venue"], about["rows"]) == ("trades", "binance", 2 * (8_999 - 20))
        assert {one["lot"] for one in about["instruments"].values()} == {"1", "0.1"}
    assert (tmp_path / f"t.csv{SIDECAR}").is_file()
    assert pyarrow.parquet.read_metadata(tmp_path / "t.parquet").num_rows == 2 * (8_999 - 20)
    book = openpyxl.load_workbook(exported(full, tmp_path / "l.xlsx", what=What.LIQUIDATIONS))
    assert book["rows"].max_row == 40
    assert {row[0].value: row[1].value for row in book["about"]}["venue"] == "binance"
    assert not list(tmp_path.glob("*.part"))


def test_no_text_becomes_a_formula(full: Store, tmp_path: Path) -> None:
    for text in ("=1+1", "+A1", "-2", "@SUM(A1)", "\t=1", "BTCUSDT", "'quoted"):
        assert unguarded(guarded(text)) == text
        assert not guarded(text).startswith(("=", "+", "-", "@", "\t"))
    evil = Universe("binance", [replace(universe()[0], symbol='=HYPERLINK("x")')])
    full.write(evil, tape([trade(1, T0, 1000, 1)]), name="evil")
    path = exported(full, tmp_path / "e.csv", symbols=('=HYPERLINK("x")',))
    assert "\"'=HYPERLINK" in path.read_text(encoding="utf-8")
    book = openpyxl.load_workbook(exported(full, tmp_path / "e.xlsx", symbols=('=HYPERLINK("x")',)))
    assert book["rows"]["A2"].data_type == "s"
    other = Store(tmp_path / "other").open()
    assert imported(other, path).symbols == ['=HYPERLINK("x")']
    other.close()


def test_what_cannot_be_exported_or_read_back_is_said(full: Store, tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, Any]]] = [
        ("tf '7m' is unknown", {"tf": "7m"}),
        ("unknown symbol", {"symbols": ("NOPE",)}),
        ("not a multiple of the tick", {"what": What.CANDLES, "step": "0.00001"}),
        ("the range is empty", {"start_ms": 5, "end_ms": 5}),
    ]
    for sentence, wish in cases:
        with pytest.raises(UsageError, match=sentence):
            exported(full, tmp_path / "x.csv", **wish)
    with pytest.raises(UsageError, match="does not say its format"):
        exported(full, tmp_path / "x.doc")
    assert not list(tmp_path.glob("x.*"))
    with pytest.raises(UsageError, match="made from trades"):
        imported(full, exported(full, tmp_path / "c.parquet", what=What.CANDLES))
    assert time_of("2026-06-01") == time_of("2026-06-01T00:00:00+00:00") == 1_780_272_000_000
    with pytest.raises(UsageError, match="is no time"):
        time_of("yesterday")


# ---------------------------------------------------------------- archive files


@pytest.mark.parametrize("product", ["aggTrades", "trades"])
def test_an_archive_file_ends_in_the_store(store: Store, tmp_path: Path, product: str) -> None:
    prints = [p for p in market(4_000) if not 1_500 <= p.id < 1_510]
    lines = [p.aggregate() if product == "aggTrades" else p.raw() for p in prints]
    path = zipped(write(tmp_path, lines, f"BTCUSDT-{product}-2026-06-01"))
    done = imported(store, path)
    assert (done.what, done.symbols, done.rows, done.missing) == (product, ["BTCUSDT"], 3_990, 10)
    rows = stored(store).rows
    assert rows["id"].tolist() == [p.id for p in prints]
    assert [bool(flags & Flag.AGGREGATE) for flags in rows["flags"][:1]] == [product == "aggTrades"]
    reader = Reader(store.folder)
    gaps = reader.gaps("binance", 0, FOREVER_MS).to_pylist()
    reader.close()
    assert [(gap["first_id"], gap["last_id"], gap["fate"]) for gap in gaps] == [(1_500, 1_509, "refused")]
    again = imported(store, path)
    assert (again.rows, again.duplicates) == (0, 3_990)


def test_an_archive_file_with_wrong_rows_changes_nothing(store: Store, tmp_path: Path) -> None:
    lines = [p.aggregate() for p in market(3_000)]
    lines[2_500] = lines[2_500].replace(",", ";")
    lines[2_999] = "1,2\n"
    with pytest.raises(UsageError, match=r"nothing was stored: line 2,502: .*; line 3,001: "):
        imported(store, write(tmp_path, lines))
    assert not len(stored(store))
    assert not len(store.catalog.universe("binance"))


def test_an_import_that_is_interrupted_between_two_batches_changes_nothing(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows go in some at a time, and in one transaction: trades, candles, segments and gaps are all there or none."""
    path = exported(full, tmp_path / "trades.parquet")
    other = Store(tmp_path / "other").open()
    monkeypatch.setattr(importing, "ROWS_AT_ONCE", 1_000)
    monkeypatch.setattr(files, "BATCH_ROWS", 1_000)
    stored_rows: list[int] = []

    def stop(what: str, done: int, _total: int) -> None:
        if what == "storing" and done > 5_000:
            stored_rows.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Importer(other, progress=stop).file(path)
    assert stored_rows == [6_000]
    assert list((tmp_path / "other" / "segments").rglob("*.parquet")) == []
    with other.catalog.read() as connection:
        for table in ("candles", "volume_profile", "daily_stats", "id_ranges", "segments", "gaps"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0
    assert imported(other, path).rows == len(stored(full).rows[stored(full).rows["kind"] == Kind.TRADE])
    other.close()


def test_klines_and_metrics_are_kept_as_they_were_drawn(store: Store, tmp_path: Path) -> None:
    klines = [
        f"{T0 + k * 60_000},10.5,11.25,10,10.75,5.5,{T0 + k * 60_000 + 59_999},57.75,9,2.5,26,0\n" for k in range(30)
    ]
    done = imported(store, zipped(write(tmp_path, [*klines, klines[3]], "BTCUSDT-1m-2026-06", header="open_time\n")))
    assert (done.what, done.rows, done.duplicates) == ("klines", 30, 1)
    metrics = [f"2026-06-01 00:{5 * k:02}:00,BTCUSDT,1000.5,99,,1.1,1.2,0.9\n" for k in range(12)]
    done = imported(store, write(tmp_path, metrics, "BTCUSDT-metrics-2026-06-01", header="create_time,symbol\n"))
    assert (done.what, done.rows) == ("metrics", 12)
    bad = [klines[0].replace("11.25", "10.60")]
    with pytest.raises(UsageError, match="line 1: not_a_candle"):
        imported(store, write(tmp_path, bad, "BTCUSDT-1m-2026-07", header=""))
    path = exported(store, tmp_path / "bars.csv", what=What.OHLC, symbols=("BTCUSDT",))
    assert lines_of(path)[1][:9] == ["BTCUSDT", "60000", str(T0), "10.5", "11.25", "10", "10.75", "5.5", "57.75"]


# ---------------------------------------------------------------- OHLC


@pytest.mark.parametrize(
    "text",
    [
        "timestamp,open,high,low,close,volume\n2026-06-01T00:00,1,2,0.5,1.5,10\n2026-06-01T00:05,1.5,2,1,1,0\n",
        "1780272000,1,2,0.5,1.5,10\n1780272300,1.5,2,1,1,0\n",
        "Volume,Date,Close,Open,High,Low\n10,1780272000000,1.5,1,2,.5\n0,1780272300000,1,1.5,2,1\n",
        '[[1780272000000000,1,2,0.5,1.5,10],["1780272300000000","1.5","2","1","1","0"]]',
        '[{"t":1780272300,"o":1.5,"h":2,"l":1,"c":1,"v":0},{"time":"2026-06-01","open":1,"high":2,"low":0.5,"close":1.5,"volume":10}]'.replace(
            '"t"', '"timestamp"'
        ),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ohlc_comes_in_many_spellings_and_leaves_in_one(store: Store, tmp_path: Path, text: str, suffix: str) -> None:
    upload = tmp_path / "mine.txt"
    upload.write_text(text, encoding="utf-8")
    assert imported(store, upload, symbol="MINE").rows == 2
    path = exported(store, tmp_path / f"out.{suffix}", what=What.OHLC, symbols=("MINE",))
    other = Store(tmp_path / "other").open()
    imported(other, path)
    again = exported(other, tmp_path / "again.csv", what=What.OHLC, symbols=("MINE",))
    rows = [line[:8] for line in lines_of(again)[1:]]
    expected = [["1780272000000", "1", "2", "0.5", "1.5", "10"], ["1780272300000", "1.5", "2", "1", "1", "0"]]
    assert rows == [["MINE", "300000", *row] for row in expected]
    other.close()


def test_a_bad_upload_of_a_million_rows_changes_nothing(store: Store) -> None:
    """The first wrong rows are named, and how many more there are."""
    good = "".join(f"{1_600_000_000 + 60 * k},1,2,1,2,3\n" for k in range(1_000_000)).encode()
    lines = good.splitlines(keepends=True)
    lines[17] = b"1600001020,1,0.5,1,2,3\n"
    lines[400_000] = b"soon,1,2,1,2,3\n"
    lines[999_999:] = [b"1,2\n"] + [b"x,1,2,1,2,3\n"] * 30
    with pytest.raises(UsageError) as caught:
        Importer(store).ohlc(b"".join(lines), "upload", venue="binance", symbol="MINE")
    sentence = str(caught.value)
    for part in ("line 18: not_a_candle", "line 400,001: time", "line 1,000,000: columns", "and 13 more"):
        assert part in sentence
    with store.catalog.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM bars").scalar() == 0


def test_uploads_that_make_no_sense_are_refused_with_a_sentence(store: Store) -> None:
    cases = {
        b"": "holds no rows",
        b"timestamp,open\n1,2\n": "has no column high, low, close, volume",
        b"\xff\xfe": "is no UTF-8",
        b"[1": "is no JSON list",
        b"1780272000,1,2,1,2,3\n": "cannot be told",
        b"1780272000,1,2,1,2,3\n1780272000,1,2,1,2,3\n": "line 2: repeated",
        b"1780272000,1e999999,2,1,2,3\n": "contradict",
        b"1780272000,nan,2,1,2,3\n": "is no number",
        b"5,1,2,1,2,3\n": "lies outside",
    }
    for data, sentence in cases.items():
        with pytest.raises(UsageError, match=sentence):
            Importer(store).ohlc(data, "upload", venue="binance", symbol="MINE")
    with pytest.raises(UsageError, match="give a symbol"):
        Importer(store).ohlc(b"1780272000,1,2,1,2,3\n", "upload", venue="binance", symbol="")
    assert HEADER.startswith("agg_trade_id")


# ---------------------------------------------------------------- over HTTP and from the command line


async def test_downloads_and_uploads_over_http(full: Store, tmp_path: Path) -> None:
    settings = structs.replace(Config(), store=StoreConfig(path=str(full.folder)))
    async with serve(World(tmp_path, settings)) as served:
        url = f"{served.url}/api/export?what=trades&format=json&symbol=AUSDT&to={T0 + 60_000}"
        async with served.http.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert "binance-trades.json" in answer.headers["content-disposition"]
            told = json.loads(await answer.text())
        assert told["about"]["rows"] == len(told["rows"]) == 54
        assert told["rows"][0]["symbol"] == "AUSDT"
        upload = f"{served.url}/api/ohlc?symbol=MINE&tf=1m"
        good = "".join(f"{1_780_272_000 + 60 * k},1,2,1,2,3\n" for k in range(5_000))  # more than other bodies may have
        async with served.http.post(upload, data=good) as answer:
            assert json.loads(await answer.text()) == {"exchange": "binance", "symbol": "MINE", "rows": 5_000}
        for rows, put_in_order in ((good, False), ("1780272060,1,2,1,2,3\n1780272000,1,2,1,2,3\n", True)):
            async with served.http.post(f"{upload}&check=true", data=rows) as answer:
                read = json.loads(await answer.text())
                assert (read["sorted"], read["from"]) == (put_in_order, 1_780_272_000_000)
        cases = {
            ("POST", upload, "1,2\n"): "nothing was stored: line 1: columns",
            ("POST", upload, "1780272020,1,2,1,2,3\n"): "a candle of 1m cannot open at 2026-06-01 00:00:20 UTC",
            (
                "POST",
                upload.replace("&tf=1m", ""),
                "1780272020,1,2,1,2,3\n1780272320,1,2,1,2,3\n",
            ): "a candle of 5m cannot",
            ("POST", upload.replace("1m", "7y"), "1780272000,1,2,1,2,3\n"): "is no length of candles",
            ("GET", f"{served.url}/api/export?what=trades&symbol=NOPE", ""): "unknown symbol",
            ("GET", f"{served.url}/api/export?what=everything", ""): "what = 'everything' is refused",
            ("GET", f"{served.url}/api/export?what=trades&fmt=csv", ""): "unknown parameter 'fmt'",
        }
        for (method, address, data), sentence in cases.items():
            async with served.http.request(method, address, data=data or None) as answer:
                assert answer.status in {404, 422}
                assert sentence in json.loads(await answer.text())["detail"]


async def test_an_upload_of_200_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    settings = structs.replace(Config(), store=StoreConfig(path=str(tmp_path / "data")))
    async with serve(World(tmp_path, settings)) as served:
        host, port = served.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /api/ohlc?symbol=MINE HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {200 << 20}\r\n\r\n"
        writer.write(head.encode() + b"1780272000,1,2,1,2,3\n")
        answer = await reader.readuntil(b"}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"a request may have 128 MiB at most" in answer
    assert not (tmp_path / "data").exists()


async def test_a_table_that_is_shown_becomes_a_file_of_every_format(tmp_path: Path) -> None:
    shown = {
        "name": "pairs-2026",
        "columns": ["pair, y on x", "p", "bars", "=SUM(A1)"],
        "rows": [["=cmd|' /C calc'!A0", 0.25, 1440, True], ["@b", None, 7, None]],
        "about": {"symbol": "BTCUSDT", "window": 20},
    }
    async with serve(World(tmp_path)) as served:
        url = f"{served.url}/api/export/table?format="

        async def sent(form: str, table: object = shown) -> tuple[int, bytes]:
            async with served.http.post(url + form, data=json.dumps(table)) as answer:
                return answer.status, await answer.read()

        status, body = await sent("csv")
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            rows = list(csv.reader(io.StringIO(archive.read("pairs-2026.csv").decode())))
            about = json.loads(archive.read("pairs-2026.csv.about.json"))
        assert rows == [
            ["pair, y on x", "p", "bars", "'=SUM(A1)"],
            ["'=cmd|' /C calc'!A0", "0.25", "1440", "true"],
            ["'@b", "", "7", ""],
        ]
        assert (about["symbol"], about["window"], about["rows"]) == ("BTCUSDT", 20, 2)
        told = json.loads((await sent("json"))[1])
        assert list(told["rows"][0].values()) == shown["rows"][0]  # type: ignore[index]
        (tmp_path / "t.parquet").write_bytes((await sent("parquet"))[1])
        found = duckdb.connect().execute(f"SELECT p, bars FROM '{tmp_path / 't.parquet'}'").fetchall()
        assert found == [(0.25, 1440), (None, 7)]
        (tmp_path / "t.xlsx").write_bytes((await sent("xlsx"))[1])
        sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["rows"]
        assert sheet["A2"].data_type == "s"
        cases: list[tuple[object, str]] = [
            ({**shown, "rows": [[1, 2, 3]]}, "row 1 holds 3 cells for 4 columns"),
            ({**shown, "columns": ["a", "a", "b", "c"]}, "two columns have one name"),
            ({**shown, "name": "../x"}, "this is no table"),
            ({**shown, "rows": [[1, 2, 3, {}]]}, "this is no table"),
        ]
        for table, sentence in cases:
            status, body = await sent("csv", table)
            assert (status, sentence in json.loads(body)["detail"]) == (422, True)


async def test_an_export_tells_how_far_it_is_and_ends_when_nobody_waits(full: Store, tmp_path: Path) -> None:
    settings = structs.replace(Config(), store=StoreConfig(path=str(full.folder)))
    async with serve(World(tmp_path, settings)) as served:

        async def progress(method: str = "GET") -> Any:
            path = "/api/export/progress" if method == "GET" else "/api/export"
            async with served.http.request(method, f"{served.url}{path}?job=mine") as answer:
                return json.loads(await answer.text())

        assert await progress() == {"job": "mine", "done": None, "total": None}
        url = (
            f"{served.url}/api/export?what=footprints&job=mine&tf=1s&from=2000-01-01&to=2026-06-01"  # hours of nothing
        )
        asking = asyncio.create_task(served.http.get(url))
        while not (told := await progress())["total"]:
            assert not asking.done()
        assert 0 <= told["done"] <= told["total"]
        await progress("DELETE")
        async with await asking as answer:
            assert answer.status == 422
            assert json.loads(await answer.text())["detail"] == "the export was cancelled"
        assert (await progress())["total"] is None
        async with served.http.get(f"{served.url}/api/stored") as answer:
            told = json.loads(await answer.text())
        assert (told["from"], told["to"]) == (T0 + 1_100, T0 + 1_100 * 8_999)


# ---------------------------------------------------------------- features


def books() -> Tape:
    """A book that lives for twenty seconds: a snapshot, then a diff, a quote and a trade each second."""
    bids, asks = [(500 - k, 10 + k) for k in range(12)], [(501 + k, 20 + k) for k in range(12)]
    rows = [snapshot(100, bids, asks, ts_ms=T0), quote(100, T0 + 1, 500, 10, 501, 20)]
    for k in range(1, 21):
        at = T0 + k * 1_000
        rows.append(diff(100 + k, 100 + k, 99 + k, [(500, 10 + k)], [(501, 20 + k % 4)], ts_ms=at))
        rows.append(quote(100 + k, at + 1, 500, 10 + k, 501, 20 + k % 4))
        rows.append(trade(k, at + 2, 500 + k % 2, k, sell=k % 2 == 0))
    return tape(rows)


def test_features_are_made_again_from_stored_books(store: Store, tmp_path: Path) -> None:
    store.write(universe("AUSDT"), books(), name="test")
    live = Engine(universe("AUSDT"))
    live.follow_book(0)
    study = live.lab.study(live.universe[0])
    live.apply(books())
    memory = save_and_read(of_memory(live, live.universe[0]), tmp_path / "live.parquet")
    stored_rows = exported_rows(store, tmp_path / "stored.parquet")
    assert len(stored_rows) == len(study.samples()) >= 19
    assert stored_rows == memory
    assert [row["mid_price"] for row in stored_rows] == [None, *[50.05] * (len(stored_rows) - 1)]
    assert [row["trade_flow"] for row in stored_rows[1:4]] == [0.001, -0.002, 0.003]
    assert stored_rows[0]["realised_spread_bps"] is None, "undefined is empty, never zero"
    book = openpyxl.load_workbook(exported(store, tmp_path / "f.xlsx", what=What.FEATURES, symbols=("AUSDT",)))
    assert book["about"]["B2"].value == "features"
    assert len(list(book["rows"].iter_rows())) == len(stored_rows) + 1


def save_and_read(table: Table, path: Path) -> list[dict[str, Any]]:
    save(table, path)
    return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]


def exported_rows(store: Store, path: Path) -> list[dict[str, Any]]:
    exported(store, path, what=What.FEATURES, symbols=("AUSDT",))
    return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]


def test_features_without_books_are_refused_with_advice(full: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"add depth and quotes to store\.record"):
        exported(full, tmp_path / "f.csv", what=What.FEATURES, symbols=("AUSDT",))
    with pytest.raises(UsageError, match="give one symbol"):
        exported(full, tmp_path / "f.csv", what=What.FEATURES)


def test_import_and_export_from_the_command_line(tmp_path: Path) -> None:
    path = zipped(write(tmp_path, [p.aggregate() for p in market(500)]))
    told = run(tmp_path, "import", str(path), "--data", "store")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"{path.name}: aggTrades of BTCUSDT, 500 stored\n"
    told = run(tmp_path, "export", "candles", "c.csv", "--data", "store", "--tf", "5m")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == f"{len(lines_of(tmp_path / 'c.csv')) - 1} rows written to c.csv\n"
    bad = run(tmp_path, "import", str(write(tmp_path, ["1,2,3\n"], "odd")), "--data", "store", "--symbol", "ODD")
    assert bad.returncode == 2
    assert bad.stderr.count("\n") == 1
    assert "nothing was stored" in bad.stderr
