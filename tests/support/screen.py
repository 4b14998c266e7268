"""What is on the screen, and waiting until it is."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import BrowserContext, Page

from waiting import WITHIN_S, wait_until

READY_WITHIN_MS = WITHIN_S * 1_000


def opened(page: Page, url: str) -> Page:
    """Open the page and wait until every panel on it shows data."""
    page.goto(url)
    page.wait_for_function("window.__app?.ready", timeout=READY_WITHIN_MS)
    return page


def shown(page: Page, panel: str) -> dict[str, Any]:
    """What a panel shows, as plain data."""
    snapshot: dict[str, Any] = page.evaluate("id => window.__app.panel(id).snapshot()", panel)
    return snapshot


def wait_for_candles(page: Page, expected: list[dict[str, Any]]) -> None:
    """Wait until the footprint shows exactly these candles."""
    wait_until(lambda: candles_shown(page) == expected, lambda: f"shown: {candles_shown(page)}\nexpected: {expected}")


def candles_shown(page: Page) -> list[dict[str, Any]]:
    """The footprint's candles, without what only the engine's own tests need."""
    names = ("open_ts", "bid", "ask", "delta", "cvd", "n", "levels")
    return [{name: candle[name] for name in names} for candle in shown(page, "footprint")["candles"] if candle["n"]]


def alone(context: BrowserContext) -> BrowserContext:
    """A profile that other screens' settings do not follow: tests share a server, and each begins with the defaults."""
    context.route("**/api/settings", lambda route: route.fulfill(json={"kept": False, "settings": {}}))
    return context
