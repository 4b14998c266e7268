"""The page while one of four venues is down: what is old is not painted as the present, and the reason stands there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import over_http
from program import Program, started
from screen import READY_WITHIN_MS, shown
from waiting import wait_until

PANELS = ("footprint:binance:BTCUSDT", "footprint:okx:BTC-USDT-SWAP", "funding", "flow", "impact:okx:BTC-USDT-SWAP")


@pytest.mark.page_says("status of 503")  # what a market order would cost in a book that is not known is refused
@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)])
def test_a_venue_that_goes_down_is_told_in_words_and_the_others_go_on(
    tmp_path: Path, page: Page, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    simulated = ("--symbols", "3", "--port", "0", "--announce")
    with contextlib.ExitStack() as stack:
        okx = stack.enter_context(started(tmp_path, "venue", "--venues", "okx", *simulated))
        other = stack.enter_context(started(tmp_path, "venue", "--venues", "binance", *simulated))
        settings = addresses("BINANCE", other) | addresses("OKX", okx)
        url = stack.enter_context(started(tmp_path, "run", "--port", "0", "--no-store", **settings)).url()
        page.goto(f"{url}?panels={','.join(PANELS)}&exchange=binance&symbol=BTCUSDT&tf=1m")
        page.wait_for_function("window.__app?.ready", timeout=READY_WITHIN_MS)
        wait_for_words(page, "funding", "LIVE")
        # The workspace looks at another venue: the order is reckoned in this one's lots all the same.
        wait_until(lambda: shown(page, PANELS[4])["raw"] is not None, lambda: shown(page, PANELS[4]))
        assert shown(page, PANELS[4])["raw"]["exchange"] == "okx"
        assert okx.stop() == 0
        wait_for_words(page, PANELS[1], "STALE", "refuses the connection")
        wait_for_words(page, "funding", "PARTIAL okx: ")
        wait_for_words(page, "flow", "PARTIAL okx: ")
        wait_for_words(page, PANELS[0], "LIVE")
        wait_until(lambda: venue_cells(page) == {"binance", "okx down"}, lambda: venue_cells(page))
        wait_until(lambda: stale(url) == ["okx"], lambda: stale(url))
        before = last_candle(page)
        wait_until(lambda: last_candle(page) != before, lambda: "the footprint of the other venue stands still")
        page.goto("about:blank")  # what it asks while the program is stopped below would fail, and rightly


def wait_for_words(page: Page, panel: str, first: str, then: str = "") -> None:
    """Until the chip in the panel's head begins so, and says the other, too."""
    wait_until(lambda: words(page, panel).startswith(first) and then in words(page, panel), lambda: words(page, panel))


def addresses(venue: str, program: Program) -> dict[str, str]:
    told = program.wait_for(r'"rest_url":"(\S+?)","ws_url":"(\S+?)"')
    names = f"TAPEWATCH_VENUES__{venue}__"
    return {f"{names}ENABLED": "true", f"{names}REST_URL": told[1], f"{names}WS_URL": told[2]}


def words(page: Page, panel: str) -> str:
    """The chip in the panel's head."""
    said: str = page.evaluate("id => window.__app.panel(id).health.get().text", panel)
    return said


def venue_cells(page: Page) -> set[str]:
    snapshot = shown(page, "funding")
    at = snapshot["columns"].index("venue")
    return {row[at] for row in snapshot["rows"]}


def stale(url: str) -> list[str]:
    told: list[str] = over_http.get(f"{url}api/funding", params={"exchange": "all"}).raise_for_status().json()["stale"]
    return told


def last_candle(page: Page) -> Any:
    return shown(page, PANELS[0])["candles"][-1]
