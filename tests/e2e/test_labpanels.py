"""The laboratory's panels in a real browser: what they print is what the API answers."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

import over_http
from screen import opened, shown
from waiting import wait_until


def asked(url: str, path: str, **params: str) -> Any:
    answer = over_http.get(f"{url}api/{path}", params=params)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


WALK = ("side", "size", "avg_price", "slippage_bps", "levels_consumed", "filled", "unfilled", "reason")


def wait_for_walk(page: Page, expected: dict[str, Any]) -> None:
    def walked() -> dict[str, Any]:
        raw = shown(page, "impact")["raw"] or {}
        return {name: raw.get(name) for name in WALK}

    wait_until(lambda: walked() == expected, lambda: f"shown: {walked()}\nexpected: {expected}")


def test_features_are_the_servers_second_by_second(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=features&symbol=BTCUSDT")
    told = asked(taped, "features", symbol="BTCUSDT")
    snapshot = shown(page, "features")
    instrument = next(one for one in asked(taped, "symbols")["symbols"] if one["symbol"] == "BTCUSDT")
    tick, lot = (units / 10**decimals for units, decimals in (instrument["tick_grid"], instrument["lot_grid"]))
    raw = snapshot["raw"]
    assert raw["ts_ms"] == [row["ts"] for row in told["features"]]
    for name, unit in (("mid_price", tick), ("spread", tick), ("ofi", lot), ("trade_flow", lot), ("imbalance_10", 1.0)):
        for value, row in zip(raw[name], told["features"], strict=True):
            assert math.isnan(value) == (row[name] is None), (name, row["ts"])
            assert math.isnan(value) or row[name] == pytest.approx(value * unit, abs=1e-9)
    last = told["features"][-1]
    assert {name: last["undefined"][name] for name, _ in snapshot["reasons"]} == dict(snapshot["reasons"])


def test_impact_prints_the_walk_of_the_api(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=impact&symbol=BTCUSDT")
    told: dict[str, Any] = {}
    for side, size in (("buy", "0.01"), ("sell", "0.5"), ("buy", "1000")):
        page.get_by_role("group", name="Side").get_by_role("button", name=side).click()
        page.get_by_label("Size", exact=True).fill(size)
        page.get_by_label("Size", exact=True).press("Enter")
        told = asked(taped, "impact", symbol="BTCUSDT", side=side, size=size)
        wait_for_walk(page, {name: told[name] for name in WALK})
    rows = {row[0]: row[1] for row in shown(page, "impact")["rows"]}
    assert told["unfilled"] > 0
    assert rows["levels consumed"] == str(told["levels_consumed"])
    assert rows["average price"] == f"{told['avg_price']:.3f}"
    expect(page.locator('[data-panel="impact"]')).to_have_attribute("data-state", "replay")


def test_detections_and_diagnostics_show_what_the_server_knows(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=detections,diagnostics&symbol=BTCUSDT")
    told = asked(taped, "detections", symbol="BTCUSDT")
    wait_until(lambda: shown(page, "detections")["cards"] is not None, lambda: shown(page, "detections"))
    snapshot = shown(page, "detections")
    assert snapshot["count"] == len(told["detections"])
    assert {kind: card["fired"] for kind, card in snapshot["cards"].items() if card["fired"] is not None} == snapshot[
        "fired"
    ]
    operations = asked(taped, "operations")
    counters = {one["symbol"]: (one["book"], one["resyncs"]) for one in operations["symbols"]}
    assert {one["symbol"]: (one["book"], one["resyncs"]) for one in shown(page, "diagnostics")["raw"]} == counters
