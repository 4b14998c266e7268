"""The page in a real Chromium, on a recording whose every number is known (written_tape.py)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from screen import candles_shown, opened, shown, wait_for_candles
from waiting import wait_until
from written_tape import START_MS, candles

MINUTE_MS = 60_000
FOUR = ["big-flow", "footprint", "imbalance", "liquidations"]


def test_the_footprint_shows_the_recorded_trades(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint&exchange=binance&symbol=BTCUSDT&tf=1m&step=1")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))
    snapshot = shown(page, "footprint")
    assert (snapshot["symbol"], snapshot["tf_ms"], snapshot["step"]) == ("BTCUSDT", MINUTE_MS, 1)
    assert snapshot["rows"] == [
        # time, open, high, low, close, bid, ask, delta, CVD, trades
        ["12:00:00", "60000.1", "60000.1", "59999.9", "59999.9", "0.30", "0.50", "0.20", "0.20", "3"],
        ["12:01:00", "60000.1", "60005.0", "60000.1", "60005.0", "0.00", "0.55", "0.55", "0.75", "2"],
        ["12:02:00", "60010.0", "60010.2", "60010.0", "60010.2", "0.00", "3.00", "3.00", "3.75", "3"],
    ]
    assert [candle["poc"] for candle in snapshot["candles"]] == [60000, 60000, 60010]


@pytest.mark.parametrize(
    ("tf", "minutes", "step"), [("1m", 1, "0.1"), ("5m", 5, "7.5"), ("15m", 15, "100"), ("1h", 60, "1")]
)
def test_any_bin_and_timeframe_is_a_view_of_the_trades(
    taped: str, page: Page, tf: str, minutes: int, step: str
) -> None:
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT&tf={tf}&step={step}")
    wait_for_candles(page, candles("BTCUSDT", minutes * MINUTE_MS, step))


def test_bins_and_timeframes_can_be_changed_and_changed_back(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT&tf=1m&step=1")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))
    choose_bin(page, "×50")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "5"))
    page.get_by_role("group", name="Timeframe").get_by_role("button", name="5m", exact=True).click()
    wait_for_candles(page, candles("BTCUSDT", 5 * MINUTE_MS, "5"))
    page.get_by_role("group", name="Timeframe").get_by_role("button", name="1m", exact=True).click()
    choose_bin(page, "×10")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))


def test_a_bin_that_is_no_multiple_of_the_tick_is_refused_in_words(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT&tf=1m&step=1")
    page.get_by_test_id("bin").click()
    page.get_by_label("Custom bin").fill("0.25")
    page.get_by_label("Custom bin").press("Enter")
    expect(page.get_by_text("Not a multiple of the tick 0.1")).to_be_visible()
    assert candles_shown(page) == candles("BTCUSDT", MINUTE_MS, "1")


def choose_bin(page: Page, multiple: str) -> None:
    page.get_by_test_id("bin").click()
    page.get_by_role("menuitem").filter(has=page.get_by_text(multiple, exact=True)).click()


def test_big_flow_names_side_price_size_and_share_of_the_day(taped: str, page: Page) -> None:
    opened(page, taped)
    wait_until(lambda: is_named(page, "big-flow"), lambda: shown(page, "big-flow"))
    snapshot = shown(page, "big-flow")
    rows = [dict(zip(snapshot["columns"], row, strict=True)) for row in snapshot["rows"]]
    parents = [row for row in rows if row["rule"] == "parent"]
    assert [(row["time"], row["symbol"], row["side"], row["price"], row["quantity"]) for row in parents] == [
        ("12:02:06.000", "ETHUSDT", "▼ SELL", "2999.5", "20"),
        ("12:02:05.000", "BTCUSDT", "▲ BUY", "60010.1", "3.00"),
    ]
    assert [(row["notional"], row["adv"], row["levels"], row["trades"]) for row in parents] == [
        ("60.0k", "0.60", "1", "1"),
        ("180k", "1.80", "3", "3"),
    ]
    raw = [row for row in snapshot["raw"] if row["symbol"] == "BTCUSDT" and row["rule"] == "parent"]
    assert [(row["notional"], round(row["pct_of_adv"], 6), row["open"]) for row in raw] == [(180030.3, 1.800303, False)]
    assert {row["rule"] for row in rows if row["symbol"] == "BTCUSDT"} == {"parent", "flow_10s", "flow_1m", "flow_5m"}


def is_named(page: Page, panel: str) -> bool:
    """Whether names are there: they come with the list of instruments, which may be behind the first rows."""
    snapshot = shown(page, panel)
    return all(row[snapshot["columns"].index("symbol")] != "—" for row in snapshot["rows"])


def test_imbalance_shows_every_symbol_between_minus_and_plus_one(taped: str, page: Page) -> None:
    opened(page, taped)
    snapshot = shown(page, "imbalance")
    rows = {row[0]: dict(zip(snapshot["columns"], row, strict=True)) for row in snapshot["rows"]}
    windows = ("10s", "1m", "5m", "15m", "book")
    assert [rows["BTCUSDT"][name] for name in windows] == ["+1.00", "+1.00", "+0.86", "+0.86", "+0.20"]
    assert [rows["ETHUSDT"][name] for name in windows] == ["-1.00", "-1.00", "-1.00", "-1.00", "-0.50"]
    assert [rows[symbol]["last"] for symbol in ("BTCUSDT", "ETHUSDT")] == ["60010.2", "2999.5"]
    raw = {row["symbol"]: row for row in snapshot["raw"]}
    assert raw["BTCUSDT"]["15m"] == pytest.approx((4.05 - 0.3) / (4.05 + 0.3), abs=1e-12)


def test_liquidations_tell_long_from_short(taped: str, page: Page) -> None:
    opened(page, taped)
    wait_until(lambda: is_named(page, "liquidations"), lambda: shown(page, "liquidations"))
    snapshot = shown(page, "liquidations")
    assert snapshot["rows"] == [
        ["12:02:07.000", "BTCUSDT", "▲ SHORT", "60020.0", "0.01", "600"],
        ["12:00:41.000", "ETHUSDT", "▲ SHORT", "3010.0", "4", "12.0k"],
        ["12:00:40.000", "BTCUSDT", "▼ LONG", "59990.0", "0.15", "9.00k"],
    ]
    assert snapshot["minutes"] == [
        {"ms": START_MS, "longNotional": 8998.5, "shortNotional": 12040, "longs": 1, "shorts": 1},
        {"ms": START_MS + 2 * MINUTE_MS, "longNotional": 0, "shortNotional": 600.2, "longs": 0, "shorts": 1},
    ]


def test_one_click_on_a_symbol_moves_the_whole_workspace(taped: str, page: Page) -> None:
    opened(page, f"{taped}?tf=1m&step=1")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))
    click_row(page, "imbalance", "ETHUSDT")
    expect(page.get_by_test_id("symbol")).to_have_text("ETHUSDT")
    wait_until(lambda: shown(page, "footprint")["symbol"] == "ETHUSDT", lambda: shown(page, "footprint"))
    totals = totals_of(candles("ETHUSDT", MINUTE_MS, "1"))
    wait_until(lambda: totals_of(candles_shown(page)) == totals, lambda: candles_shown(page))
    wait_until(
        lambda: shown(page, "imbalance")["history"]["symbol"] == "ETHUSDT", lambda: shown(page, "imbalance")["history"]
    )


def totals_of(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(candle["bid"], candle["ask"], candle["n"]) for candle in rows]


def click_row(page: Page, panel: str, symbol: str) -> None:
    """Click the row of a symbol on a panel's canvas: rows have one height, below a header of its own."""
    rows = shown(page, panel)["rows"]
    at = next(k for k, row in enumerate(rows) if symbol in row)
    box = page.locator(f'[data-panel="{panel}"] canvas').first.bounding_box()
    assert box is not None
    grid = "window.__app.panel(id).grid"
    header, height = page.evaluate(f"id => [{grid}.headerHeight, {grid}.rowHeight]", panel)
    page.mouse.click(box["x"] + 40, box["y"] + header + (at + 0.5) * height)


def test_a_reload_keeps_the_layout_and_the_symbol(taped: str, page: Page) -> None:
    opened(page, taped)
    assert sorted(page.evaluate("window.__app.panels()")) == FOUR
    page.locator(".dv-tab", has_text="Liquidations").locator(".dv-default-tab-action").click()
    click_row(page, "imbalance", "ETHUSDT")
    expect(page.get_by_test_id("symbol")).to_have_text("ETHUSDT")
    wait_until(lambda: "liquidations" not in stored_layout(page), lambda: stored_layout(page))
    page.reload()
    page.wait_for_function("window.__app?.ready")
    assert sorted(page.evaluate("window.__app.panels()")) == ["big-flow", "footprint", "imbalance"]
    expect(page.get_by_test_id("symbol")).to_have_text("ETHUSDT")


def stored_layout(page: Page) -> str:
    return str(page.evaluate("localStorage.getItem('tapewatch.layout')"))


def test_a_replay_is_never_taken_for_the_market(taped: str, page: Page) -> None:
    opened(page, taped)
    expect(page.locator(".page")).to_have_attribute("data-mode", "replay")
    expect(page.get_by_text("REPLAY").first).to_be_visible()


def test_panels_held_on_two_symbols_stay_while_the_workspace_moves_on(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=footprint:BTCUSDT,footprint:ETHUSDT,imbalance&symbol=BTCUSDT&tf=1m")
    both = ["footprint:BTCUSDT", "footprint:ETHUSDT"]
    wait_until(lambda: shown(page, "imbalance")["rows"], lambda: shown(page, "imbalance"))
    assert [shown(page, panel)["symbol"] for panel in both] == ["BTCUSDT", "ETHUSDT"]
    click_row(page, "imbalance", "ETHUSDT")
    expect(page.get_by_test_id("symbol")).to_have_text("ETHUSDT")
    assert [shown(page, panel)["symbol"] for panel in both] == ["BTCUSDT", "ETHUSDT"]
    # Let the first go: it follows the workspace, and can be held again on what it shows.
    page.locator('[data-instance="footprint:BTCUSDT"] .hold').click()
    wait_until(lambda: shown(page, "footprint")["symbol"] == "ETHUSDT", lambda: shown(page, "footprint"))
    for panel, held in (("footprint", "false"), ("footprint:ETHUSDT", "true")):
        expect(page.locator(f'[data-instance="{panel}"] .hold')).to_have_attribute("aria-pressed", held)
    click_row(page, "imbalance", "BTCUSDT")
    wait_until(lambda: shown(page, "footprint")["symbol"] == "BTCUSDT", lambda: shown(page, "footprint"))
    page.locator('[data-instance="footprint"] .hold').click()
    page.wait_for_selector('[data-instance="footprint:binance:BTCUSDT"]')
