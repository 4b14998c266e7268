"""The research workspace in a real Chromium: five real series uploaded by hand, every figure held against the API."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pyarrow.parquet
import pytest
from playwright.sync_api import Browser, Page, expect

import over_http
from program import SMALL_DEMO, started
from screen import alone, opened, shown
from tapes import tape, trade, universe
from tapewatch.store.writer import Store
from waiting import wait_until

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT")
BARS = 2_000
ARRIVALS = 3_000
"""Stored trades of BTCUSDT, over half an hour."""
PAIR = {"x": "upload:binance:BTCUSDT", "y": "upload:binance:ETHUSDT"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("research")
    store = Store(home / "stored").open()
    rng, begin_ms = (
        np.random.default_rng(3),
        time.time_ns() // 1_000_000 - 32 * 60_000,
    )  # all within an hour, to the last test
    times = begin_ms + np.sort(rng.integers(0, 30 * 60_000, ARRIVALS))
    rows = [trade(k + 1, int(ms), 425_000, 1, sell=bool(rng.integers(2))) for k, ms in enumerate(times)]
    store.write(universe("BTCUSDT"), tape(rows), name="first")
    store.close()
    settings = {"TAPEWATCH_STORE__RECORD": "", "TAPEWATCH_STORE__RETENTION": "forever"}
    with started(home, *SMALL_DEMO, "--data", "stored", **settings) as program:
        yield program.url()
        assert program.stop() == 0


@pytest.fixture(scope="module")
def files(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The newest candles of each, as a user has them: a CSV with a header."""
    folder = tmp_path_factory.mktemp("files")
    out = {}
    for name in NAMES:
        packed = data_dir / "klines" / f"usdm_{name}_1m_2025-05-25_2025-06-24.ohlcv.csv.gz"
        header, *lines = gzip.decompress(packed.read_bytes()).decode().splitlines()
        out[name] = folder / f"{name}.csv"
        out[name].write_text("\n".join([header, *lines[-BARS:]]), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def library(desk: str, files: dict[str, Path], browser: Browser) -> str:
    """The five series, each uploaded through the dialog."""
    page = browser.new_page(viewport={"width": 1366, "height": 768})
    for name, path in files.items():
        opened(page, f"{desk}?symbol=BTCUSDT&tf=1m&panels=footprint")
        page.get_by_role("button", name="data…").click()
        sheet = page.get_by_role("dialog", name="Export and upload")
        sheet.get_by_role("tab", name="Upload OHLC").click()
        sheet.get_by_label("symbol", exact=True).fill(name)
        sheet.get_by_label("File of candles").set_input_files(path)
        expect(sheet.locator("[data-preview]")).to_contain_text(f"{BARS:,} candles of 1m")
        sheet.get_by_role("button", name=f"Store {BARS:,} candles").click()
        expect(sheet.locator("[data-outcome]")).to_contain_text(f"{BARS:,} candles of {name} are stored")
    page.close()
    return desk


@pytest.fixture
def lenient(browser: Browser) -> Iterator[Page]:
    """A page on which requests are refused, which the browser notes in its console."""
    context = alone(browser.new_context(viewport={"width": 1366, "height": 768}))
    yield context.new_page()
    context.close()


def research(page: Page, url: str, panels: str = "analytics,spread,regression,correlation", **wish: object) -> Page:
    """Open these panels with a wish as the page would remember it."""
    chosen = {"version": 1, "research": {**PAIR, **wish}, "scanner": {"uploads": True}}
    remembered = json.dumps(json.dumps(chosen))
    page.add_init_script(f"localStorage['tapewatch.settings'] ??= {remembered}")
    return opened(page, f"{url}?panels={panels}&symbol=BTCUSDT")


def asked(url: str, kind: str = "pair", **query: Any) -> Any:
    params: dict[str, Any] = {**PAIR, "bars": 1440, **query}
    answer = over_http.get(f"{url}api/analytics/{kind}", params=params)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()["result"]


def rows_of(page: Page) -> dict[str, list[str]]:
    """Printed rows by label."""
    return {row[1]: row[2:-1] for row in shown(page, "analytics")["rows"] if row[0] == "row"}


def test_every_figure_of_a_pair_is_the_apis(page: Page, library: str) -> None:
    research(page, library)
    told = asked(library)
    wait_until(lambda: shown(page, "analytics")["ticks"] is not None, lambda: shown(page, "analytics"))
    panel = shown(page, "analytics")
    assert panel["raw"] == told
    assert panel["ticks"] == asked(library, "ticks")
    rows = rows_of(page)
    ols = next(line for line in told["lines"] if line["method"] == "ols" and line["y"] == PAIR["y"])
    assert float(rows["OLS, ETHUSDT on BTCUSDT"][0]) == pytest.approx(ols["beta"], rel=1e-3)
    assert rows["OLS, ETHUSDT on BTCUSDT"][3] == f"{ols['r2']:.4f}"
    assert rows["z now"][0] == f"{told['spread']['z']['newest']:.2f}"
    granger = told["cointegration"]["y_on_x"]
    assert rows["EG ETHUSDT on BTCUSDT"] == [
        f"{granger['statistic']:.2f}",
        "<0.0001" if granger["p"] < 0.0001 else f"{granger['p']:.4f}",
        "-3.90",
        "-3.34",
        "-3.05",
        str(granger["lags"]),
    ]
    assert rows["ADF ETHUSDT"][3] == "-2.86"
    assert rows["n"] == ["1,440", "1,439", "1,440", "1,439"]
    assert rows["ticks, Hayashi–Yoshida"][0] == f"{panel['ticks']['without_grid']['r']:.3f}"
    sample = told["sample"]
    for name in ("analytics", "spread", "regression", "correlation"):
        foot = shown(page, name)["foot"]
        for part in (f"n {sample['n']:,}", "1m closes of uploads", "missing 0", "gaps 0"):
            assert part in foot, (name, foot)
    lines = {line["name"]: line["beta"] for line in shown(page, "regression")["lines"]}
    assert lines["OLS y|x"] == ols["beta"]
    back = next(line for line in told["lines"] if line["method"] == "ols" and line["y"] == PAIR["x"])
    assert lines["OLS x|y"] == pytest.approx(1 / back["beta"])


def test_charts_draw_what_the_api_says_and_are_zoomed_moved_and_pointed_at(page: Page, library: str) -> None:
    research(page, library, panels="spread,correlation,regression")
    told = asked(library)
    panes = shown(page, "spread")["panes"]
    assert [next(iter(pane["traces"].values())) for pane in panes[1:]] == [
        told["spread"]["values"],
        told["spread"]["unhedged"],
        told["spread"]["z"]["values"],
    ]
    assert panes[0]["traces"]["ETHUSDT"][-1] == pytest.approx(100 * (told["y_close"][-1] / told["y_close"][0] - 1))
    assert panes[3]["levels"] == [2, 0, -2]
    rolling, kalman = shown(page, "correlation")["panes"]
    assert rolling["traces"]["r"][1:] == told["correlation"]["rolling"]
    assert kalman["traces"]["Kalman"] == told["kalman"]["beta"]
    view = shown(page, "spread")["view"]
    assert (view["zoomed"], view["to"]) == (False, told["open_ms"][-1] + 60_000)
    box = page.locator("[data-panel=spread] canvas").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    cursor = shown(page, "spread")["cursor"]
    assert cursor in shown(page, "spread")["times"]
    assert shown(page, "correlation")["cursor"] == shown(page, "regression")["cursor"] == cursor
    page.mouse.wheel(0, -300)
    wait_until(lambda: shown(page, "spread")["view"]["zoomed"], lambda: shown(page, "spread")["view"])
    near = shown(page, "spread")["view"]
    assert near["to"] - near["from"] < view["to"] - view["from"]
    page.mouse.down()
    page.mouse.move(middle[0] + 80, middle[1], steps=4)
    page.mouse.up()
    moved = shown(page, "spread")["view"]
    assert moved["from"] < near["from"]
    assert moved["to"] - moved["from"] == pytest.approx(near["to"] - near["from"])
    page.mouse.dblclick(*middle)
    wait_until(lambda: shown(page, "spread")["view"] == view, lambda: shown(page, "spread")["view"])
    plane = page.locator("[data-panel=regression] canvas").bounding_box()
    assert plane is not None
    page.mouse.move(plane["x"] + plane["width"] / 2, plane["y"] + plane["height"] / 2)
    before = shown(page, "regression")["range"]
    page.mouse.wheel(0, -200)
    wait_until(lambda: shown(page, "regression")["range"] != before, lambda: before)
    after = shown(page, "regression")["range"]
    assert after["right"] - after["left"] < before["right"] - before["left"]
    assert after["high"] - after["low"] < before["high"] - before["low"]


def test_the_form_asks_anew_and_says_what_is_refused(lenient: Page, library: str) -> None:
    research(lenient, library)
    form = lenient.locator("[data-form=study]")
    form.get_by_label("Window of z").fill("50")
    form.get_by_label("Window of z").press("Enter")
    form.get_by_role("button", name="robust").click()
    form.get_by_label("Line").select_option("huber")
    told = asked(library, window=50, center="median", method="huber")
    wait_until(lambda: shown(lenient, "analytics")["raw"] == told, lambda: shown(lenient, "analytics")["wish"])
    assert "z of the hedged spread, 50 bars, median and MAD" in [
        pane["title"] for pane in shown(lenient, "spread")["panes"]
    ]
    form.get_by_role("button", name="Exchange x and y").click()
    wait_until(
        lambda: (shown(lenient, "analytics")["raw"] or {}).get("x") == PAIR["y"], lambda: shown(lenient, "analytics")
    )
    form.get_by_label("Bars", exact=True).fill("30")
    form.get_by_label("Bars", exact=True).press("Enter")
    cut = "bars cannot be cut into"
    wait_until(lambda: cut in shown(lenient, "spread")["panes"][1]["empty"], lambda: shown(lenient, "spread")["panes"])
    assert shown(lenient, "spread")["panes"][0]["empty"] == ""  # prices are there all the same
    form.get_by_label("y, explained").fill("upload:binance:NOPE")
    form.get_by_label("y, explained").press("Enter")
    why = "no bars of binance:NOPE were uploaded"
    wait_until(lambda: why in shown(lenient, "spread")["why"], lambda: shown(lenient, "spread"))
    assert shown(lenient, "analytics")["rows"] == []


def test_a_pair_that_has_too_few_bars_yet_says_how_far_it_is(lenient: Page, library: str) -> None:
    """Of mids there is no history to load: a minute is a bar when it has been lived through."""
    research(lenient, library, panels="analytics,spread", x="binance:BTCUSDT", y="binance:ETHUSDT", prices="mids")
    wait_until(lambda: bool(shown(lenient, "spread")["waiting"]), lambda: shown(lenient, "spread"))
    panel = shown(lenient, "spread")
    assert re.fullmatch(r"\d+ of 20 bars of 1m that both have", panel["waiting"][0])
    wait_until(lambda: shown(lenient, "spread")["state"] == "waiting", lambda: shown(lenient, "spread"))
    expect(lenient.locator("[data-panel=spread]")).to_contain_text(re.compile(r"WAITING ?\d+ of 20 bars"))
    lenient.locator("[data-form=study]").get_by_label("Bars of").select_option("1s")
    wait_until(lambda: shown(lenient, "analytics")["raw"] is not None, lambda: shown(lenient, "analytics"))
    assert shown(lenient, "spread")["waiting"] == []
    assert "1s closes of mids" in shown(lenient, "spread")["foot"]


def test_a_scan_of_what_was_uploaded_is_followed_and_its_pairs_are_opened(page: Page, library: str) -> None:
    research(page, library, panels="scanner,analytics")
    page.get_by_role("button", name="Scan", exact=True).click()
    wait_until(
        lambda: (shown(page, "scanner")["scan"]["state"] or {}).get("state") == "done", lambda: shown(page, "scanner")
    )
    told = over_http.get(f"{library}api/analytics/scan").json()["result"]
    assert (told["symbols"], told["pairs"]) == (5, 10)
    panel = shown(page, "scanner")
    assert panel["raw"] == sorted(told["candidates"], key=lambda one: (one["p_corrected"], one["p"]))
    best = panel["raw"][0]
    columns = dict(zip(panel["columns"], panel["rows"][0], strict=True))
    assert columns["y"] == best["y"].rpartition(":")[2]
    assert columns["p_corrected"] == ("<0.0001" if best["p_corrected"] < 0.0001 else f"{best['p_corrected']:.4f}")
    assert columns["half_life"] == f"{best['half_life']['bars']:.1f}"
    assert "431 held out" in panel["foot"]
    page.locator("[data-panel=scanner] canvas").click(position={"x": 60, "y": 34})
    wait_until(
        lambda: (shown(page, "analytics")["raw"] or {}).get("y") == best["y"], lambda: shown(page, "analytics")["wish"]
    )
    assert shown(page, "analytics")["raw"]["x"] == best["x"]


def test_arrivals_are_shown_as_the_api_tells_them(page: Page, library: str) -> None:
    opened(page, f"{library}?panels=hawkes&symbol=BTCUSDT")

    def told() -> dict[str, Any]:
        answer = over_http.get(f"{library}api/analytics/hawkes", params={"symbol": "BTCUSDT", "bars": 60})
        found: dict[str, Any] = answer.json()["result"]
        return found

    wait_until(lambda: shown(page, "hawkes")["raw"] == told(), lambda: shown(page, "hawkes"))
    panel = shown(page, "hawkes")
    raw, rows = panel["raw"], dict(panel["rows"])
    assert raw["n_buys"] + raw["n_sells"] + raw["tied"] >= ARRIVALS
    assert rows["events"] == f"{raw['n_buys']:,} buys, {raw['n_sells']:,} sells"
    (buy_by_buy, buy_by_sell), (sell_by_buy, sell_by_sell) = raw["branching"]
    assert rows["buy sets off"] == f"{buy_by_buy:.2f} buys, {sell_by_buy:.2f} sells"
    assert rows["sell sets off"] == f"{buy_by_sell:.2f} buys, {sell_by_sell:.2f} sells"
    assert rows["branching"] == f"{raw['spectral_radius']:.2f}"
    assert rows["KS p buys"].endswith(f"n {raw['goodness'][0]['n']:,}")


def saved(page: Page, panel: str, item: str) -> tuple[str, bytes]:
    page.get_by_role("button", name=f"Menu of {panel}").click()
    with page.expect_download() as waiting:
        page.get_by_role("menuitem", name=item).click()
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


def test_rows_of_charts_and_tables_are_saved_with_what_they_are_about(page: Page, library: str, tmp_path: Path) -> None:
    research(page, library, panels="spread,analytics")
    told = asked(library)
    name, body = saved(page, "Spread", "Rows as CSV")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        table = next(one for one in archive.namelist() if one.endswith(".csv"))
        rows = list(csv.reader(io.StringIO(archive.read(table).decode())))
        about = json.loads(archive.read(f"{table}.about.json"))
    assert name == f"{table}.zip"
    assert [int(row[0]) for row in rows[1:]] == [ms + 60_000 for ms in told["open_ms"]]
    z = rows[0].index(next(column for column in rows[0] if column.startswith("z of")))
    assert [float(row[z]) if row[z] else None for row in rows[1:]] == pytest.approx(told["spread"]["z"]["values"])
    assert (about["x"], about["window"], about["rows"]) == (PAIR["x"], "20", len(told["open_ms"]))
    assert about["sample"].startswith("n 1,4")
    (tmp_path / "t.parquet").write_bytes(saved(page, "Spread", "Rows as Parquet")[1])
    assert pyarrow.parquet.read_table(tmp_path / "t.parquet").num_rows == len(told["open_ms"])
    (tmp_path / "t.xlsx").write_bytes(saved(page, "Pair", "Rows as Excel")[1])
    figures = [row[1].value for row in openpyxl.load_workbook(tmp_path / "t.xlsx")["rows"].iter_rows(min_row=2)]
    assert "OLS, ETHUSDT on BTCUSDT" in figures
    found = json.loads(saved(page, "Pair", "Rows as JSON")[1])
    assert found["about"]["method"] == "ols"


def test_a_journal_entry_says_in_itself_what_it_shows(page: Page, library: str) -> None:
    research(page, library, panels="spread,footprint")
    page.get_by_role("button", name="Menu of Spread").click()
    page.get_by_role("menuitem", name="Journal entry…").click()
    dialog = page.get_by_role("dialog", name="Journal entry")
    dialog.get_by_label("Note").fill("Stretched; waiting for −2.\nSmall size.")
    with page.expect_download() as waiting:
        dialog.get_by_role("button", name="Save PNG").click()
    assert waiting.value.suggested_filename.startswith("tapewatch-2")
    texts, width, height = read_png(Path(waiting.value.path()).read_bytes())
    assert texts["Comment"] == "Stretched; waiting for −2.\nSmall size."
    assert texts["Title"] == "Spread ETHUSDT on BTCUSDT"
    assert "x upload:binance:BTCUSDT · y upload:binance:ETHUSDT · tf 1m" in texts["Description"]
    assert texts["Creation Time"].endswith("Z")
    box = page.locator("[data-panel=spread] canvas").bounding_box()
    assert box is not None
    assert width == math.floor(box["width"])
    assert height > box["height"] + 60  # its name above, parameters and note below
    expect(dialog).not_to_be_visible()


def read_png(data: bytes) -> tuple[dict[str, str], int, int]:
    """Its texts, width and height; every checksum is looked at."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, texts, size = 8, {}, (0, 0)
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack(">I", data[at + 8 + length : at + 12 + length])
        assert checksum == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        elif kind == b"iTXt":
            keyword, _, rest = body.partition(b"\0")
            texts[keyword.decode()] = rest[4:].decode()
        at += 12 + length
    return texts, *size


def test_a_constant_series_and_series_of_other_lengths_say_why_in_the_place_of_the_chart(
    lenient: Page, library: str
) -> None:
    flat = "".join(f"{1_750_000_020 + 60 * k},5,5,5,5,1\n" for k in range(300))
    walk = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-3, 300)))
    moving = "".join(f"{1_750_000_020 + 60 * k},{p:.4f},{p:.4f},{p:.4f},{p:.4f},1\n" for k, p in enumerate(walk))
    for name, body in (("FLAT", flat), ("MOVING", moving)):
        url = f"{library}api/ohlc?exchange=binance&symbol={name}&tf=1m"
        assert over_http.post(url, content=body).status_code == httpx.codes.OK
    research(lenient, library, panels="regression,spread,analytics", x="upload:binance:FLAT", y="upload:binance:MOVING")
    panes = shown(lenient, "spread")["panes"]
    assert "upload:binance:FLAT is constant (" in panes[1]["empty"]
    assert shown(lenient, "regression")["lines"] == []
    notes = [row[1] for row in shown(lenient, "analytics")["rows"] if row[0] == "note"]
    assert any("is constant" in note for note in notes)
