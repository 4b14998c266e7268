"""The page around its panels: what it remembers, how hands and keys work it, what it says when it is alone."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, WebSocketRoute, expect

import over_http
from screen import READY_WITHIN_MS, opened, shown
from tapewatch.client import Frame, Stream
from waiting import WITHIN_S, wait_until

THEMES = ("Dark", "Dark, colour-safe", "Light", "Light, colour-safe")
READABLE = 4.5
"""WCAG AA for text."""


class Line:
    """The page's websocket, to be cut by the test."""

    def __init__(self, page: Page) -> None:
        self.cut = False
        self._open: list[WebSocketRoute] = []
        page.route_web_socket(re.compile("/ws/stream"), self._on_socket)

    def _on_socket(self, socket: WebSocketRoute) -> None:
        if self.cut:
            socket.close()
            return
        socket.connect_to_server()
        self._open.append(socket)

    def lose(self) -> None:
        self.cut = True
        for socket in self._open:
            socket.close()
        self._open.clear()


def panel(page: Page, name: str) -> Locator:
    return page.locator(f'[data-panel="{name}"]')


def centre(page: Page, name: str) -> tuple[float, float]:
    """The middle of a panel's picture."""
    box = panel(page, name).locator("canvas").first.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def choose(page: Page, button: str, item: str) -> None:
    page.get_by_role("button", name=button).click()
    page.get_by_role("menuitem").filter(has_text=item).first.click()


def open_panels(page: Page) -> list[str]:
    return sorted(page.evaluate("window.__app.panels()"))


def test_a_lost_connection_is_said_moves_nothing_and_is_made_again(taped: str, page: Page) -> None:
    line = Line(page)
    opened(page, taped)
    before = panel(page, "footprint").bounding_box()
    line.lose()
    expect(page.get_by_text("Disconnected from the server.")).to_be_visible()
    expect(panel(page, "footprint")).to_have_attribute("data-state", "disconnected")
    assert panel(page, "footprint").bounding_box() == before
    page.get_by_role("button", name="Try now").click()  # while it is of no use: else the page might be faster than we
    expect(page.get_by_text("Disconnected from the server.")).to_be_visible()
    line.cut = False
    expect(page.get_by_text("Disconnected from the server.")).to_be_hidden(timeout=READY_WITHIN_MS)
    expect(panel(page, "footprint")).to_have_attribute("data-state", "replay")


def test_a_layout_is_kept_under_a_name_and_the_one_before_comes_back(taped: str, page: Page) -> None:
    opened(page, taped)
    four = open_panels(page)
    panel(page, "imbalance").get_by_role("button", name="Menu of").click()
    page.get_by_role("menuitem", name="Close").click()
    three = open_panels(page)
    assert three == [name for name in four if name != "imbalance"]
    page.get_by_role("button", name="layout").click()
    page.get_by_label("Name to keep this layout under").fill("mine")
    page.get_by_label("Name to keep this layout under").press("Enter")
    expect(page.get_by_text("Layout kept as “mine”.")).to_be_visible()
    choose(page, "layout", "Flow: no chart")
    assert open_panels(page) == ["big-flow", "imbalance", "liquidations"]
    choose(page, "layout", "Back to the layout before")
    assert open_panels(page) == three
    choose(page, "layout", "Workspace")
    assert open_panels(page) == four
    page.reload()
    page.wait_for_function("window.__app?.ready")
    choose(page, "layout", "mine")
    assert open_panels(page) == three
    page.get_by_role("button", name="layout").click()
    page.get_by_role("menuitem", name="Remove mine").click()
    expect(page.get_by_role("menuitem", name="Remove mine")).to_be_hidden()
    wait_until(lambda: over_http.get(f"{taped}api/layouts").json()["layouts"] == [], lambda: "it is still kept")


def test_a_layout_kept_on_one_screen_is_had_on_another(taped: str, page: Page, browser: Browser) -> None:
    opened(page, f"{taped}?panels=cvd,basis")
    page.get_by_role("button", name="layout").click()
    page.get_by_label("Name to keep this layout under").fill("theirs")
    page.get_by_label("Name to keep this layout under").press("Enter")
    expect(page.get_by_text("Layout kept as “theirs”.")).to_be_visible()
    other = browser.new_context().new_page()
    opened(other, taped)
    choose(other, "layout", "theirs")
    assert open_panels(other) == ["basis", "cvd"]
    other.get_by_role("button", name="layout").click()
    other.get_by_role("menuitem", name="Remove theirs").click()
    expect(other.get_by_role("menuitem", name="Remove theirs")).to_be_hidden()
    other.context.close()


def test_settings_follow_to_the_next_screen(taped: str, browser: Browser) -> None:
    """And the symbol that a screen looks at does not."""
    one, other = browser.new_context(), browser.new_context()
    page = one.new_page()
    opened(page, f"{taped}?panels=depth&symbol=ETHUSDT")
    with page.expect_response("**/api/settings"):
        page.get_by_role("button", name="50", exact=True).click()
    elsewhere = other.new_page()
    opened(elsewhere, taped + "?panels=depth")
    expect(elsewhere.get_by_role("button", name="50", exact=True)).to_have_attribute("aria-pressed", "true")
    assert shown(elsewhere, "depth")["symbol"] == "BTCUSDT"
    with elsewhere.expect_response("**/api/settings"):
        elsewhere.get_by_role("button", name="10", exact=True).click()
    page.reload()
    expect(page.get_by_role("button", name="10", exact=True)).to_have_attribute("aria-pressed", "true")
    one.close()
    other.close()


@pytest.mark.parametrize("width", [1920, 700])
def test_what_a_narrow_head_has_no_room_for_is_in_the_panels_menu(taped: str, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 768})
    opened(page, f"{taped}?panels=footprint&symbol=BTCUSDT")
    in_head = panel(page, "footprint").locator("header > .switch").filter(has_text="session")
    page.get_by_role("button", name="Menu of Footprint").click()
    in_menu = page.get_by_role("menu").get_by_role("button", name="session")
    if width > 1000:
        expect(in_head).to_be_visible()
        expect(in_menu).to_be_hidden()
        return
    expect(in_head).to_be_hidden()
    in_menu.click()
    expect(in_menu).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu of Footprint")).to_be_focused()


def test_the_second_button_opens_the_panels_menu_where_it_is_pressed(taped: str, page: Page) -> None:
    opened(page, taped)
    x, y = centre(page, "liquidations")
    page.mouse.click(x, y, button="right")
    sheet = page.get_by_role("menu")
    box = sheet.bounding_box()
    assert box is not None
    assert box["x"] <= x <= box["x"] + box["width"] + 5
    page.get_by_role("menuitem", name="Maximise or restore").click()
    wait_until(lambda: width_of(page, "liquidations") > 1900, lambda: width_of(page, "liquidations"))


def width_of(page: Page, name: str) -> float:
    box = panel(page, name).bounding_box()
    return box["width"] if box else 0


def test_what_one_panel_points_at_all_others_show(taped: str, page: Page) -> None:
    opened(page, f"{taped}?panels=heatmap,features,ladder,depth&symbol=BTCUSDT")
    assert shown(page, "features")["pointed"] is None
    x, y = centre(page, "heatmap")
    page.mouse.move(x, y)
    wait_until(lambda: shown(page, "features")["pointed"] is not None, lambda: shown(page, "features")["pointed"])
    view = shown(page, "heatmap")["view"]
    second: float = shown(page, "features")["pointed"]
    assert view["from"] < second < view["to"]
    for name in ("ladder", "depth"):
        wait_until(partial(drawn, page, name), lambda name=name: name)  # type: ignore[misc]
    page.mouse.move(*centre(page, "ladder"))
    wait_until(lambda: shown(page, "features")["pointed"] is None, lambda: shown(page, "features")["pointed"])


def drawn(page: Page, name: str) -> int:
    """Pixels on the layer over a panel's picture."""
    count: int = page.evaluate(
        """name => {
          const layer = document.querySelector(`[data-panel="${name}"] canvas.overlay`);
          const probe = new OffscreenCanvas(layer.width, layer.height).getContext('2d', {willReadFrequently: true});
          probe.drawImage(layer, 0, 0);
          const {data} = probe.getImageData(0, 0, layer.width, layer.height);
          return data.filter((value, k) => k % 4 === 3 && value > 0).length;
        }""",
        name,
    )
    return count


def test_each_theme_is_readable_and_is_remembered(taped: str, page: Page) -> None:
    opened(page, taped)
    for theme in THEMES:
        page.get_by_title("Colours of the page").click()
        page.get_by_role("menuitemradio", name=theme, exact=True).click()
        names = ("bg", "chrome", "sheet", "text", "muted", "buy", "sell", "neutral", "accent")
        colours: dict[str, str] = page.evaluate(
            "names => Object.fromEntries(names.map((n) => "
            "[n, getComputedStyle(document.documentElement).getPropertyValue('--' + n).trim()]))",
            list(names),
        )
        for ink in names[3:]:
            for ground in names[:3]:
                assert contrast(colours[ink], colours[ground]) >= READABLE, (theme, ink, ground)
        wait_until(partial(is_painted, page, colours["bg"]), partial(corner, page))
    page.reload()
    page.wait_for_function("window.__app?.ready")
    assert page.evaluate("document.documentElement.dataset.theme") == "light-safe"


def is_painted(page: Page, colour: str) -> bool:
    return corner(page) == [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


def corner(page: Page) -> list[int]:
    """The colour of the footprint's empty ground."""
    pixel: list[int] = page.evaluate(
        """() => {
          const canvas = document.querySelector('[data-panel="footprint"] canvas');
          const probe = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
          probe.drawImage(canvas, -1, 3 - canvas.height);
          return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
        }"""
    )
    return pixel


def contrast(one: str, other: str) -> float:
    """WCAG contrast of two `#rrggbb`."""

    def luminance(colour: str) -> float:
        values = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_the_focus_stays_in_a_dialog_and_comes_back(taped: str, page: Page) -> None:
    opened(page, taped)
    symbol = page.get_by_title("Search a symbol (Ctrl+K, or just type)")
    symbol.focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Help")
    expect(sheet).to_be_visible()
    for _ in range(3):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(symbol).to_be_focused()


def test_the_first_line_is_shown_until_it_is_closed(taped: str, page: Page) -> None:
    opened(page, taped)
    hint = page.get_by_text("Hatched is not known.")
    expect(hint).to_be_visible()
    page.get_by_role("button", name="Never show this line again").click()
    expect(hint).to_be_hidden()
    page.reload()
    page.wait_for_function("window.__app?.ready")
    expect(hint).to_be_hidden()


def test_the_heat_scale_is_the_percentiles_of_what_is_on_screen(taped: str, page: Page) -> None:
    """Counted here from the stream's own columns, one standing size after the other."""
    opened(page, f"{taped}?panels=heatmap&symbol=BTCUSDT")
    heat = shown(page, "heatmap")
    with ThreadPoolExecutor(1) as apart:  # Playwright has this thread's event loop
        frame = apart.submit(asyncio.run, first_frame(taped, "heatmap", symbol="BTCUSDT")).result(WITHIN_S)
    sizes = sorted(visible_sizes(frame, heat["view"]))
    assert len(sizes) > 100
    for end, rank in (("low", 0.40), ("high", 0.99)):
        size = heat["scale"][end]
        below = sum(one < size * (1 - 1e-6) for one in sizes) / len(sizes)
        up_to = sum(one <= size * (1 + 1e-6) for one in sizes) / len(sizes)
        # Where nearly all sizes are the same, the upper end is lifted to one and a half times the lower.
        lifted = end == "high" and size == pytest.approx(heat["scale"]["low"] * 1.5) and below > rank
        assert lifted or below - 0.01 <= rank <= up_to + 0.01, (end, heat["scale"], below, up_to)


async def first_frame(url: str, topic: str, **params: str) -> Frame:
    async with Stream(url) as stream, aclosing(aiter(stream)) as deliveries:
        await stream.subscribe(topic, exchange="binance", **params)
        async for _, frame in deliveries:
            return frame
    raise AssertionError("the stream ended")


def visible_sizes(frame: Frame, view: dict[str, Any]) -> Iterator[float]:
    """Every size that stands in a bin and a column of which a part is on screen."""
    meta, columns = frame.meta, frame.columns
    tick, lot = (units / 10**decimals for units, decimals in (meta["tick"], meta["lot"]))
    rows = columns["lots"].reshape(-1, meta["bins"])
    for ts, base, step, lots in zip(columns["ts_ms"], columns["base"], columns["step"], rows, strict=True):
        if step <= 0 or ts + meta["column_ms"] <= view["from"] or ts > view["to"]:
            continue
        for k, size in enumerate(lots):
            lower = (base + k * step) * tick
            inside = lower <= view["top"] and lower + step * tick > view["bottom"]
            if inside and math.isfinite(size) and size:
                yield abs(size) * lot
