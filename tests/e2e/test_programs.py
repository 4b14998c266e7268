"""Whole programs as users start them: the demo, and a real recording played through live sockets."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

import over_http
from program import started
from screen import opened, shown, wait_for_candles
from waiting import wait_until

RECORDING = "binance_usdm/usdm_btcusdt_20240718.gz"
MINUTE_MS = 60_000


def test_the_demo_shows_four_living_panels(tmp_path: Path, page: Page) -> None:
    with started(tmp_path, "demo", "--port", "0") as program:
        url = program.url()
        opened(page, url)
        panels: list[str] = page.evaluate("window.__app.panels()")
        assert sorted(panels) == ["big-flow", "footprint", "imbalance", "liquidations"]
        for panel in panels:
            wait_until(lambda panel=panel: len(shown(page, panel)["rows"]) > 0, lambda panel=panel: shown(page, panel))  # type: ignore[misc]
        wait_until(lambda: len(shown(page, "imbalance")["rows"]) > 20, lambda: shown(page, "imbalance"))
        before = shown(page, "imbalance")["raw"]
        wait_until(lambda: shown(page, "imbalance")["raw"] != before, lambda: "the imbalance panel stands still")
        health = over_http.get(f"{url}health").json()  # beside other tests on every core
        quarterlies = 4
        assert (health["mode"], health["venues"]["binance"]["instruments"]) == ("demo", 600 + quarterlies)
        page.goto("about:blank")  # else the page would rightly complain that its server is gone
        assert program.stop() == 0
    assert "Traceback" not in "".join(program.output)


def test_a_real_recording_on_the_page_equals_plain_arithmetic_over_its_lines(
    tmp_path: Path, page: Page, data_dir: Path
) -> None:
    path = data_dir / RECORDING
    expected, last_book = plain_candles(path, Decimal(5))
    with started(tmp_path, "replay", str(path), "--serve", "--speed", "max", "--port", "0") as program:
        url = program.url()
        wait_until(lambda: newest_update(url) == last_book, lambda: "".join(program.output))
        opened(page, f"{url}?panels=footprint&symbol=BTCUSDT&tf=1m&step=5")
        wait_for_candles(page, expected)
        page.goto("about:blank")  # else the page would rightly complain that its server is gone
        assert program.stop() == 0


def newest_update(url: str) -> int:
    answer = over_http.get(f"{url}api/book", params={"exchange": "binance", "symbol": "BTCUSDT", "depth": 5})
    return int(answer.json().get("last_update_id", 0))


def plain_candles(path: Path, step: Decimal) -> tuple[list[dict[str, Any]], int]:
    """Minutes of the recorded market trades, and the last update id of the recorded diffs."""
    cells: dict[int, dict[Decimal, list[Any]]] = defaultdict(lambda: defaultdict(lambda: [Decimal(0), Decimal(0), 0]))
    last_update = 0
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            data = json.loads(line.partition(" ")[2]).get("data", {})
            if data.get("e") == "trade" and data.get("X", "MARKET") == "MARKET":
                cell = cells[data["T"] // MINUTE_MS * MINUTE_MS][Decimal(data["p"]) // step * step]
                cell[0 if data["m"] else 1] += Decimal(data["q"])
                cell[2] += 1
            elif data.get("e") == "depthUpdate":
                last_update = data["u"]
    rows, cvd = [], Decimal(0)
    for opened_ms, bins in sorted(cells.items()):
        bid, ask = sum(cell[0] for cell in bins.values()), sum(cell[1] for cell in bins.values())
        cvd += ask - bid
        levels = [
            {"p": float(p), "bid": float(b), "ask": float(a), "n": n} for p, (b, a, n) in sorted(bins.items())[::-1]
        ]
        rows.append({"open_ts": opened_ms, "bid": float(bid), "ask": float(ask), "delta": float(ask - bid),
                     "cvd": float(cvd), "n": sum(level["n"] for level in levels), "levels": levels})  # fmt: skip
    return rows, last_update
