"""Export and upload from the page, in a real Chromium: the files that arrive, and what the server then has."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl  # type: ignore[import-untyped]
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import over_http
from program import SMALL_DEMO, started
from screen import alone, opened
from tapes import tape, trade, universe
from tapewatch.store.writer import Store
from waiting import wait_until

DAY_MS = 86_400_000
START_MS = 1_790_000_040_000
TRADES = [(1 + k, START_MS + 7_000 * k, 1000 + k % 5, 1 + k % 3, k % 4 == 0) for k in range(60)]
"""Id, time, ticks of 0.1, lots of 0.001, sold: seven minutes."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with these trades of BTCUSDT, and nothing else."""
    folder = tmp_path_factory.mktemp("data")
    store = Store(folder / "stored").open()
    rows = [trade(number, at, price, lots, sell=sold) for number, at, price, lots, sold in TRADES]
    store.write(universe("BTCUSDT"), tape(rows), name="test")
    store.close()
    return folder


@pytest.fixture(scope="module")
def demo(home: Path) -> Iterator[str]:
    settings = {"TAPEWATCH_STORE__RECORD": "", "TAPEWATCH_STORE__RETENTION": "forever"}
    with started(home, *SMALL_DEMO, "--data", "stored", **settings) as program:
        yield program.url()
        assert program.stop() == 0


@pytest.fixture
def refused(browser: Browser) -> Iterator[Page]:
    """A page on which requests are refused, which the browser notes in its console."""
    context = alone(browser.new_context(viewport={"width": 1366, "height": 768}))
    yield context.new_page()
    context.close()


def dialog(page: Page, url: str, tab: str) -> Locator:
    opened(page, f"{url}?symbol=BTCUSDT&tf=1m")
    page.get_by_role("button", name="data…").click()
    sheet = page.get_by_role("dialog", name="Export and upload")
    sheet.get_by_role("tab", name=tab).click()
    return sheet


def exported(page: Page, sheet: Locator) -> bytes:
    with page.expect_download() as waiting:
        sheet.get_by_role("button", name="Export", exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def minutes() -> dict[int, list[Decimal]]:
    """Open time, then sold and bought of each minute, by plain addition."""
    out: dict[int, list[Decimal]] = {}
    for _, at, _, lots, sold in TRADES:
        out.setdefault(at // 60_000 * 60_000, [Decimal(0), Decimal(0)])[not sold] += lots * Decimal("0.001")
    return out


def test_exports_of_every_format_hold_what_is_stored(page: Page, demo: str, tmp_path: Path) -> None:
    sheet = dialog(page, demo, "Export")
    expect(sheet.get_by_text("stored: 2026-09-21 14:14 to 2026-09-21 14:20:53")).to_be_visible()
    body = exported(page, sheet)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.namelist() == ["binance-candles.csv", "binance-candles.csv.about.json"]
        rows = list(csv.DictReader(io.StringIO(archive.read("binance-candles.csv").decode())))
        about = json.loads(archive.read("binance-candles.csv.about.json"))
    assert {int(row["open_ms"]): [Decimal(row["bid"]), Decimal(row["ask"])] for row in rows} == minutes()
    assert (about["what"], about["rows"], about["instruments"]["BTCUSDT"]["tick"]) == ("candles", 7, "0.1")
    expect(sheet.locator("[data-outcome]")).to_contain_text("binance-candles.csv.zip, ")

    sheet.get_by_label("rows", exact=True).select_option("trades")
    sheet.get_by_label("From", exact=True).fill("2026-09-21 14:15")
    sheet.get_by_label("To, not included").fill("2026-09-21 14:16")
    wanted = [one for one in TRADES if START_MS + 60_000 <= one[1] < START_MS + 120_000]
    sheet.get_by_role("button", name="JSON").click()
    told = json.loads(exported(page, sheet))
    assert [(row["id"], row["ts_ms"], row["side"]) for row in told["rows"]] == [
        (number, at, "sell" if sold else "buy") for number, at, _, _, sold in wanted
    ]
    sheet.get_by_role("button", name="Parquet").click()
    path = tmp_path / "trades.parquet"
    path.write_bytes(exported(page, sheet))
    assert duckdb.connect().execute(f"SELECT id, price, quantity FROM '{path}' ORDER BY id").fetchall() == [
        (number, Decimal(ticks) / 10, Decimal(lots) / 1000) for number, _, ticks, lots, _ in wanted
    ]
    sheet.get_by_role("button", name="Excel").click()
    path = tmp_path / "trades.xlsx"
    path.write_bytes(exported(page, sheet))
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["rows", "about"]
    assert [row[2] for row in book["rows"].iter_rows(min_row=2, values_only=True)] == [one[0] for one in wanted]
    page.goto("about:blank")


CHARTS = {
    "footprint": ["open_ms", "price", "bid", "ask", "trades"],
    "heatmap": ["ts_ms", "side", "price", "size"],
    "depth": ["side", "price", "size", "cumulative"],
    "surface": ["ts_ms", "price", "size"],
}


def test_charts_of_the_book_have_rows_to_save(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels={','.join([*CHARTS, 'ladder', 'features'])}&symbol=BTCUSDT")
    for panel, columns in CHARTS.items():
        table = f"window.__app.panel('{panel}').table()"
        wait_until(lambda table=table: page.evaluate(f"({table})?.rows.length > 3"), lambda panel=panel: panel)  # type: ignore[misc]
        assert page.evaluate(f"{table}.columns") == columns
    told = page.evaluate("[window.__app.panel('footprint').snapshot(), window.__app.panel('footprint').table()]")
    wanted = [[one["open_ts"], p["p"], p["bid"], p["ask"], p["n"]] for one in told[0]["candles"] for p in one["levels"]]
    assert told[1]["rows"] == wanted
    heat, table = page.evaluate("((of) => [of.snapshot(), of.table()])(window.__app.panel('heatmap'))")
    newest = {tuple(row) for ts, *row in table["rows"] if ts == heat["ts"]}
    levels = [(one["p"], one["size"]) for one in heat["raw"] if one["size"]]
    assert newest == {("bid" if size > 0 else "ask", price, abs(size)) for price, size in levels}
    assert {side for side, *_ in newest} == {"bid", "ask"}
    seconds = page.evaluate("window.__app.panel('features').table()")
    assert seconds["columns"][:2] == ["ts_ms", "mid_price"]
    rows = page.evaluate("window.__app.panel('ladder').table()")
    assert all(len(row) == len(rows["columns"]) for row in rows["rows"])


def test_what_cannot_be_exported_is_said_in_the_dialog(refused: Page, demo: str) -> None:
    sheet = dialog(refused, demo, "Export")
    for symbol, start, sentence in (
        ("NOPEUSDT", "", "unknown symbol"),
        ("BTCUSDT", "yesterday", "'yesterday' is no time"),
    ):
        sheet.get_by_label("symbol", exact=True).fill(symbol)
        sheet.get_by_label("From", exact=True).fill(start)
        sheet.get_by_role("button", name="Export", exact=True).click()
        expect(sheet.get_by_role("alert")).to_contain_text(sentence)


def test_candles_are_looked_at_before_they_are_stored(page: Page, demo: str, tmp_path: Path) -> None:
    upload = tmp_path / "mine.csv"
    rows = "".join(f"{START_MS // 1000 + 300 * k - 240},1.5,2.25,1,2.0,{k}\n" for k in range(1_200))
    upload.write_text(f"time,open,high,low,close,volume\n{rows}", encoding="utf-8")
    sheet = dialog(page, demo, "Upload OHLC")
    sheet.get_by_label("symbol", exact=True).fill("MINE")
    sheet.get_by_label("File of candles").set_input_files(upload)
    preview = sheet.locator("[data-preview]")
    expect(preview).to_contain_text("1,200 candles of 5m, 2026-09-21 14:10 to 2026-09-25 18:05")
    assert preview.locator("tbody tr").first.inner_text().split("\t") == [
        "2026-09-21 14:10",
        "1.5",
        "2.25",
        "1",
        "2",
        "0",
    ]
    assert stored_ohlc(demo) == []
    sheet.get_by_role("button", name="Store 1,200 candles").click()
    expect(sheet.locator("[data-outcome]")).to_contain_text("1,200 candles of MINE are stored")
    kept = stored_ohlc(demo)
    assert len(kept) == 1_200
    assert (kept[7]["open"], kept[7]["close"], kept[7]["volume"]) == ("1.5", "2.0", "7")
    page.goto("about:blank")


def test_wrong_rows_are_named_by_their_lines_and_nothing_is_stored(refused: Page, demo: str, tmp_path: Path) -> None:
    upload = tmp_path / "bad.csv"
    lines = [f"{START_MS // 1000 + 60 * k},1,2,1,2,3" for k in range(100)]
    lines[17], lines[60] = "1790001060,1,0.5,1,2,3", "soon,1,2,1,2,3"
    upload.write_text("\n".join(lines), encoding="utf-8")
    before = stored_ohlc(demo)
    sheet = dialog(refused, demo, "Upload OHLC")
    sheet.get_by_label("File of candles").set_input_files(upload)
    wait_until(lambda: sheet.get_by_role("alert").is_visible(), sheet.inner_text)
    assert sheet.get_by_role("alert").locator("p").inner_text() == "the upload is refused, nothing was stored."
    reasons = sheet.get_by_role("alert").locator("li").all_inner_texts()
    assert [reason.split(":")[:2] for reason in reasons] == [["line 18", " not_a_candle"], ["line 61", " time"]]
    expect(sheet.get_by_role("button", name="Store", exact=True)).to_be_disabled()
    assert stored_ohlc(demo) == before


def stored_ohlc(url: str) -> list[dict[str, str]]:
    answer = over_http.get(f"{url}api/export", params={"what": "ohlc", "format": "json"})
    rows: list[dict[str, str]] = answer.raise_for_status().json()["rows"]
    return rows
