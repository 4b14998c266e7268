"""The panels of the book in a real Chromium, against the program's own answers about the same recording."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page

import over_http
from screen import opened, shown
from waiting import wait_until
from written_tape import candles

SYMBOLS = ("BTCUSDT", "ETHUSDT")
DAY_MS = 86_400_000
AUTO_STEP = {"BTCUSDT": 1, "ETHUSDT": 0.1}
"""Height of a row where nobody chose one: eight basis points are some 48 rows, and one is a tick at least."""


def book(url: str, symbol: str) -> dict[str, Any]:
    answer = over_http.get(f"{url}api/book", params={"exchange": "binance", "symbol": symbol, "depth": 100})
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    assert told["in_sync"]
    return told


def binned(levels: list[list[float]], step: float) -> dict[float, float]:
    """Sizes by lower edge of bins of `step`."""
    sums: defaultdict[float, float] = defaultdict(float)
    for price, size in levels:
        sums[round(int(round(price / step * 1e6) // 1e6) * step, 6)] += size
    return {edge: round(size, 6) for edge, size in sums.items()}


def both(kind: str) -> str:
    return ",".join(f"{kind}:{symbol}" for symbol in SYMBOLS)


def test_the_depth_curves_are_the_books(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels={both('depth')}")
    for symbol in SYMBOLS:
        told, curve = book(taped, symbol), shown(page, f"depth:{symbol}")
        assert curve["symbol"] == symbol
        assert curve["mid"] == (told["bids"][0][0] + told["asks"][0][0]) / 2
        for side in ("bids", "asks"):
            assert [[level["p"], level["size"]] for level in curve[side]] == told[side]
            assert curve[side][-1]["sum"] == pytest.approx(sum(size for _, size in told[side]), abs=1e-9)


def has_step(page: Page, symbol: str, step: float) -> bool:
    return bool(shown(page, f"ladder:{symbol}")["step"] == step)


def test_the_ladders_hold_the_book_and_the_days_trades(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels={both('ladder')}")
    for symbol in SYMBOLS:
        told = book(taped, symbol)
        step = AUTO_STEP[symbol]
        wait_until(partial(has_step, page, symbol, step), partial(shown, page, f"ladder:{symbol}"))
        ladder = shown(page, f"ladder:{symbol}")
        assert (ladder["bid"], ladder["ask"]) == (told["bids"][0][0], told["asks"][0][0])
        for side in ("bid", "ask"):
            rows = {row["p"]: row[side] for row in ladder["raw"]}
            expected = binned(told[f"{side}s"], step)
            assert {p: size for p, size in rows.items() if size} == {p: s for p, s in expected.items() if p in rows}
        levels = [level for candle in candles(symbol, DAY_MS, f"{step:g}") for level in candle["levels"]]
        for name, side in (("sold", "bid"), ("bought", "ask")):
            traded = {
                level["p"]: level[side] for level in levels if level[side] and level["p"] in rows_of(page, symbol)
            }
            wait_until(partial(has_traded, page, symbol, name, traded), partial(shown, page, f"ladder:{symbol}"))


def rows_of(page: Page, symbol: str) -> dict[float, dict[str, float]]:
    """Rows of a ladder by price."""
    return {row["p"]: row for row in shown(page, f"ladder:{symbol}")["raw"]}


def has_traded(page: Page, symbol: str, name: str, traded: dict[float, float]) -> bool:
    """Whether the ladder's prints are there, which come by a way of their own."""
    return {p: row[name] for p, row in rows_of(page, symbol).items() if row[name]} == traded


def test_the_ladder_stays_where_a_hand_has_put_it_until_it_is_centred(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=ladder:BTCUSDT")
    wait_until(partial(has_step, page, "BTCUSDT", AUTO_STEP["BTCUSDT"]), partial(shown, page, "ladder"))
    before = shown(page, "ladder")["raw"][0]["p"]
    box = page.locator('[data-panel="ladder"] canvas').first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 50, box["y"] + 100)
    page.mouse.wheel(0, -320)
    wait_until(lambda: not shown(page, "ladder")["centred"], lambda: shown(page, "ladder")["centred"])
    assert shown(page, "ladder")["raw"][0]["p"] > before
    page.keyboard.press("d")
    wait_until(lambda: shown(page, "ladder")["centred"], lambda: shown(page, "ladder")["raw"][0])
    ladder = shown(page, "ladder")
    middle = ladder["raw"][len(ladder["raw"]) // 2]["p"]
    assert abs(middle - ladder["bid"]) <= 3 * AUTO_STEP["BTCUSDT"], (before, ladder["raw"][0]["p"], len(ladder["raw"]))


def test_the_heatmaps_newest_column_is_the_book_and_the_rest_is_unknown(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels={both('heatmap')}")
    for symbol in SYMBOLS:
        told, heat = book(taped, symbol), shown(page, f"heatmap:{symbol}")
        assert (heat["symbol"], heat["bid"], heat["ask"]) == (symbol, told["bids"][0][0], told["asks"][0][0])
        standing = {level["p"]: level["size"] for level in heat["raw"] if level["size"]}
        bids, asks = binned(told["bids"], heat["step"]), binned(told["asks"], heat["step"])
        reach = {level["p"] for level in heat["raw"]}
        expected = {p: q for p, q in bids.items() if p in reach} | {p: -q for p, q in asks.items() if p in reach}
        assert standing == pytest.approx(expected)
        assert heat["columns"] > heat["unknown_columns"]


def test_the_heatmaps_scale_can_be_taken_by_its_handles_and_let_go(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=heatmap&symbol=BTCUSDT")
    free = shown(page, "heatmap")["scale"]
    assert not free["locked"]
    box = page.locator('[data-panel="heatmap"] canvas').first.bounding_box()
    assert box is not None
    # The legend's strip begins 20 px from the left; its high end stands at the root of a half of it.
    x, y = box["x"] + 20 + 150 * 0.5**0.5, box["y"] + 26
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=4)
    page.mouse.up()
    wait_until(lambda: shown(page, "heatmap")["scale"]["locked"], lambda: shown(page, "heatmap")["scale"])
    assert shown(page, "heatmap")["scale"]["high"] > free["high"]
    page.keyboard.press("l")
    wait_until(lambda: not shown(page, "heatmap")["scale"]["locked"], lambda: shown(page, "heatmap")["scale"])


def test_the_surface_ends_at_the_book(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=surface,heatmap&symbol=BTCUSDT")
    surface, heat = shown(page, "surface"), shown(page, "heatmap")
    newest = surface["raw"][-1]
    expected: dict[float, float] = {}
    for level in heat["raw"]:
        if level["size"] is not None:
            cell = int((level["p"] - surface["low"]) / surface["step"] + 1e-6)
            expected[cell] = max(expected.get(cell, 0), abs(level["size"]))
    inside = {cell: size for cell, size in expected.items() if 0 <= cell < len(newest)}
    assert {cell: newest[cell] for cell in inside} == inside
    assert max(inside.values()) > 0


def test_the_liquidity_lab_opens_for_two_symbols_at_once(taped: str, page: Page) -> None:
    opened(page, taped)
    page.get_by_role("button", name="layout").click()
    page.get_by_role("menuitem").filter(has_text="Liquidity lab").click()
    page.wait_for_function("window.__app.ready && window.__app.panels().includes('heatmap:ETHUSDT')")
    for kind in ("heatmap", "footprint", "ladder", "depth", "surface"):
        for symbol in SYMBOLS:
            panel = page.locator(f'[data-instance="{kind}:{symbol}"]')
            box = panel.bounding_box()
            assert box is not None, panel
            assert box["width"] > 150, panel
            assert box["height"] > 150, panel
            assert shown(page, f"{kind}:{symbol}")["symbol"] == symbol
