"""The footprint as a table, its session and its marks, against plain arithmetic over the recorded trades."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from screen import opened, shown
from waiting import wait_until
from written_tape import candles

MINUTE_MS, DAY_MS = 60_000, 86_400_000
NAMES = ("open_ts", "bid", "ask", "delta", "cvd", "n", "levels")
URL = "?panels=candles&exchange=binance&symbol=BTCUSDT&tf=1m&step=1"


def rows(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(page, "candles")["raw"]
    return found


def test_a_row_a_candle_from_the_newest_back_below_the_session(taped: str, page: Page) -> None:
    opened(page, taped + URL)
    expected = [*candles("BTCUSDT", DAY_MS, "1"), *reversed(candles("BTCUSDT", MINUTE_MS, "1"))]
    wait_until(lambda: [{k: r[k] for k in NAMES} for r in rows(page)] == expected, lambda: (rows(page), expected))
    assert [row["kind"] for row in rows(page)] == ["session", "candle", "candle", "candle"]
    snapshot = shown(page, "candles")
    at = snapshot["columns"].index
    printed = [[row[at(name)] for name in ("time", "bid", "ask", "delta", "cvd", "levels")] for row in snapshot["rows"]]
    assert printed == [
        ["▸ session", "0.30", "4.05", "+3.75", "+3.75", "4"],
        ["▸ 12:02", "0", "3.00", "+3.00", "+3.75", "1"],
        ["▸ 12:01", "0", "0.55", "+0.55", "+0.75", "2"],
        ["▸ 12:00", "0.30", "0.50", "+0.20", "+0.20", "2"],
    ]


def test_three_to_one_is_told_of_the_candles_that_are(taped: str, page: Page) -> None:
    opened(page, taped + URL)
    wait_until(lambda: len(rows(page)) == 4, lambda: rows(page))
    uneven = [row["ask"] >= 3 * row["bid"] for row in rows(page)]
    assert [row["dominant"] == "buy" for row in rows(page)] == uneven == [True, True, True, False]
    snapshot = shown(page, "candles")
    marks = [row[snapshot["columns"].index("marks")] for row in snapshot["rows"]]
    assert [mark.startswith("buy 3:1") for mark in marks] == uneven


def test_a_click_opens_the_price_levels_of_a_candle_and_closes_them(taped: str, page: Page) -> None:
    opened(page, taped + URL)
    wait_until(lambda: len(rows(page)) == 4, lambda: rows(page))
    canvas = page.locator("[data-panel=candles] canvas")
    canvas.click(position={"x": 60, "y": 22 + 3 * 20 + 10})
    wait_until(lambda: len(rows(page)) == 6, lambda: rows(page))
    told = [{name: row[name] for name in ("p", "bid", "ask", "n")} for row in rows(page)[4:]]
    assert told == candles("BTCUSDT", MINUTE_MS, "1")[0]["levels"]
    canvas.click(position={"x": 60, "y": 22 + 3 * 20 + 10})
    wait_until(lambda: len(rows(page)) == 4, lambda: rows(page))


def test_the_chart_shows_the_profile_of_the_session(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT&tf=1m&step=1")
    (day,) = candles("BTCUSDT", DAY_MS, "1")
    wait_until(lambda: shown(page, "footprint")["session"] is not None, lambda: shown(page, "footprint"))
    session = shown(page, "footprint")["session"]
    assert {name: session[name] for name in NAMES} == day
    # 3 of 4.35 traded at 60010: it is the point of control, and 69 % of the volume; the nearer pair of bins ends it.
    assert session["poc"] == 60_010
    page.get_by_role("button", name="session").click()
    wait_until(lambda: shown(page, "footprint")["session"] is None, lambda: shown(page, "footprint"))


def test_a_panel_shows_another_symbol_from_its_own_head(taped: str, page: Page) -> None:
    opened(page, taped + URL)
    page.locator("[data-panel=candles] button.context").click()
    page.get_by_placeholder("Symbol on binance").fill("ETH")
    page.get_by_placeholder("Symbol on binance").press("Enter")
    page.wait_for_function("window.__app.panels().includes('candles:binance:ETHUSDT') && window.__app.ready")
    wait_until(lambda: rows(page)[0]["bid"] == 22, lambda: rows(page))
    assert "symbol=BTCUSDT" in page.url


def test_symbols_are_compared_side_by_side(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT&tf=1m")
    page.get_by_role("button", name="layout").click()
    page.get_by_text("Compare: BTCUSDT and the most traded").click()
    page.wait_for_function("window.__app.panels().length === 5 && window.__app.ready")
    assert sorted(page.evaluate("window.__app.panels()")) == [
        "candles:binance:BTCUSDT",
        "candles:binance:ETHUSDT",
        "cvd",
        "footprint:binance:BTCUSDT",
        "footprint:binance:ETHUSDT",
    ]
    for symbol in ("BTCUSDT", "ETHUSDT"):
        snapshot = shown(page, f"footprint:binance:{symbol}")
        expected = candles(symbol, MINUTE_MS, str(snapshot["step"]))
        traded = [{name: c[name] for name in NAMES} for c in snapshot["candles"] if c["n"]]
        assert traded == expected
