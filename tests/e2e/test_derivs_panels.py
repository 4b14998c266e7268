"""The derivatives panels in a real Chromium: rows are the API's digit by digit, and those of plain arithmetic."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import over_http
from screen import opened, shown
from waiting import wait_until
from written_tape import START_MS, TRADES


def api(url: str, path: str, **params: str) -> dict[str, Any]:
    told: dict[str, Any] = over_http.get(f"{url}api/{path}", params=params).raise_for_status().json()
    return told


def raw(page: Page, panel: str) -> list[dict[str, Any]]:
    """What stands behind the rows; those that only say a sentence, as while data are on their way, have nothing."""
    return [row for row in shown(page, panel)["raw"] if row is not None]


@pytest.mark.parametrize("panel", ["basis", "funding"])
def test_rows_of_the_market_are_the_apis(taped: str, page: Page, panel: str) -> None:
    opened(page, f"{taped}?panels={panel}&symbol=BTCUSDT")
    told = {row["symbol"]: row for row in api(taped, panel)["rows"]}
    wait_until(lambda: {row["symbol"]: row for row in raw(page, panel)} == told, lambda: (raw(page, panel), told))
    assert len(told) == 2


def test_basis_without_spot_says_why_and_shows_the_premium_by_its_name(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=basis&symbol=BTCUSDT")
    snapshot = shown(page, "basis")
    at = snapshot["columns"].index
    (row,) = (one for one in snapshot["rows"] if one[at("symbol")] == "BTCUSDT")
    assert row[at("basis")] == "—"
    assert row[at("state")] == "no spot market of BTC/USDT is at hand"
    assert row[at("premium")] == "0.00"


def test_funding_says_who_pays(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=funding&symbol=BTCUSDT")
    snapshot = shown(page, "funding")
    at = snapshot["columns"].index
    for row in snapshot["rows"]:
        assert row[at("payer")] == "LONGS PAY"
        assert row[at("own")] == "+0.0100 /?"  # a recording of minutes does not say how often they pay
        assert row[at("rate")] == "—"


def test_whales_are_the_large_orders_of_the_tape(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=whales&symbol=BTCUSDT")
    rows = api(taped, "whales")["rows"]
    wait_until(lambda: raw(page, "whales") == rows, lambda: (raw(page, "whales"), rows))
    assert [(row["symbol"], row["side"], row["tier"], row["notional"], row["trades"]) for row in rows] == [
        ("ETHUSDT", "sell", "symbol", 59_990, 1),
        ("BTCUSDT", "buy", "symbol", 180_030.3, 3),
    ]
    snapshot = shown(page, "whales")
    at = snapshot["columns"].index
    assert [(row[at("side")], row[at("notional")]) for row in snapshot["rows"]] == [
        ("▼ SELL", "60.0k"),
        ("▲ BUY", "180k"),
    ]
    page.get_by_role("button", name="linked").click()
    wait_until(lambda: [row["symbol"] for row in raw(page, "whales")] == ["BTCUSDT"], lambda: raw(page, "whales"))


def test_clusters_hold_the_reported_liquidations(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=clusters&symbol=BTCUSDT")
    told = {name: value for name, value in api(taped, "liquidations/clusters").items() if name != "server_ts"}
    wait_until(lambda: shown(page, "clusters")["told"] == told, lambda: (shown(page, "clusters"), told))
    assert [(row["price"], row["long_notional"], row["short_notional"]) for row in told["clusters"]] == [
        (60_000, 0, 600.2),
        (59_900, 8_998.5, 0),
    ]
    expect(page.get_by_text("Binance tells at most one liquidation a symbol and second, the largest.")).to_be_visible()


def test_cvd_is_the_running_sum_of_the_tape(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=cvd&symbol=BTCUSDT")
    told = api(taped, "cvd", span="15m", unit="usd")
    wait_until(lambda: shown(page, "cvd")["steps"] == told["ts"], lambda: shown(page, "cvd")["steps"][-5:])
    (series,) = shown(page, "cvd")["series"]
    (expected,) = told["series"]
    assert series["cvd"] == expected["cvd"]
    assert series["price"] == expected["price"]
    signed = [(1 if side == "buy" else -1) * Decimal(p) * Decimal(q) for _, side, p, q in TRADES["BTCUSDT"]]
    assert series["cvd"][-1] == pytest.approx(float(sum(signed)), abs=1e-6)
    assert told["ts"][0] == START_MS + 2_000  # the first second that is held whole ended then
    page.get_by_role("button", name="coin").click()
    coins = sum((1 if side == "buy" else -1) * Decimal(q) for _, side, _, q in TRADES["BTCUSDT"])
    wait_until(
        lambda: shown(page, "cvd")["meta"] is not None and shown(page, "cvd")["meta"]["unit"] == "BTC",
        lambda: shown(page, "cvd")["meta"],
    )
    assert shown(page, "cvd")["series"][0]["cvd"][-1] == pytest.approx(float(coins), abs=1e-9)


def test_a_market_can_be_switched_off(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=cvd&symbol=BTCUSDT")
    canvas = page.locator("[data-panel=cvd] canvas")
    mark = "window.__app.panel('cvd').snapshot().rows[0][0]"
    assert page.evaluate(mark) == "●"
    canvas.click(position={"x": 60, "y": 32})
    page.wait_for_function(f"{mark} === '○'")
    canvas.click(position={"x": 60, "y": 32})
    page.wait_for_function(f"{mark} === '●'")


def test_flow_shares_are_those_of_the_trades(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=flow&symbol=BTCUSDT")
    told = api(taped, "flow", symbols="BTCUSDT,ETHUSDT")["rows"]
    wait_until(lambda: raw(page, "flow") == told, lambda: (raw(page, "flow"), told))
    quantities = {side: sum(Decimal(q) for _, s, _, q in TRADES["BTCUSDT"] if s == side) for side in ("buy", "sell")}
    window = told[0]["windows"]["15m"]
    assert window["buy_pct"] == round(float(100 * quantities["buy"] / sum(quantities.values())), 2)
    assert window["held_s"] == 130


def test_the_derivatives_layout_opens_all_seven(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=flow")
    page.get_by_role("button", name="layout").click()
    page.get_by_text("Derivatives: CVD, basis, funding, clusters, whales").click()
    page.wait_for_function("window.__app.panels().length === 7 && window.__app.ready")
    assert sorted(page.evaluate("window.__app.panels()")) == [
        "basis",
        "clusters",
        "cvd",
        "flow",
        "funding",
        "interest",
        "whales",
    ]
