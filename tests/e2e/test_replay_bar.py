"""The player's bar in a real Chromium: what it does to the numbers on screen, against the API and plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

import over_http
from program import started
from screen import candles_shown, opened, shown, wait_for_candles
from waiting import wait_until
from written_tape import LAST_MS, START_MS, TRADES, candles, write_tape

MINUTE_MS = 60_000


@pytest.fixture
def deck(tmp_path: Path) -> Iterator[str]:
    """Address of a replay of the hand-written recording that waits at its beginning."""
    recording = write_tape(tmp_path / "tape.gz")
    with started(tmp_path, "replay", str(recording), "--serve", "--paused", "--port", "0") as program:
        yield program.url()
        assert program.stop() == 0


def player(url: str, **command: Any) -> dict[str, Any]:
    """Press a button over HTTP, or only look."""
    address = f"{url}api/replay"
    answer = over_http.post(address, json=command) if command else over_http.get(address)
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


def footprint_of(url: str) -> list[tuple[Any, ...]]:
    answer = over_http.get(f"{url}api/footprint", params={"symbol": "BTCUSDT", "tf": "1m", "step": "1", "lookback": 60})
    rows = answer.raise_for_status().json()["candles"]
    return [(row["open_ts"], row["bid"], row["ask"], row["cvd"], row["levels"]) for row in rows if row["levels"]]


def footprint_on(page: Page) -> list[tuple[Any, ...]]:
    rows = candles_shown(page)
    return [(row["open_ts"], row["bid"], row["ask"], row["cvd"], row["levels"]) for row in rows]


def bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Replay")


def look(page: Page, url: str) -> None:
    opened(page, f"{url}?symbol=BTCUSDT&tf=1m&step=1")
    expect(bar(page)).to_be_visible()


def same_as_the_api(page: Page, url: str) -> None:
    wait_until(
        lambda: footprint_on(page) == footprint_of(url), lambda: f"{footprint_on(page)}\nAPI: {footprint_of(url)}"
    )


def test_seeking_back_and_forth_shows_the_numbers_of_that_time(deck: str, page: Page) -> None:
    look(page, deck)
    scrubber = page.get_by_label("Replayed time")
    counts = []
    for ms in (LAST_MS, 65_000, 31_000, 128_000, 1_000):
        scrubber.fill(str(START_MS + ms))
        wait_until(lambda ms=ms: player(deck)["ts"] == START_MS + ms, lambda: player(deck))  # type: ignore[misc]
        same_as_the_api(page, deck)
        counts.append(sum(candle["n"] for candle in candles_shown(page)))
    assert counts == [sum(at <= ms for at, *_ in TRADES["BTCUSDT"]) for ms in (LAST_MS, 65_000, 31_000, 128_000, 1_000)]
    expect(page.get_by_test_id("replayed")).to_have_text("2026-06-01 12:00:01.000 UTC")
    wait_until(lambda: shown(page, "liquidations")["rows"] == [], lambda: shown(page, "liquidations"))
    wait_until(lambda: shown(page, "big-flow")["rows"] == [], lambda: shown(page, "big-flow"))
    scrubber.fill(str(START_MS + LAST_MS))
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))


def test_a_pause_freezes_every_number_and_a_step_moves_them(deck: str, page: Page) -> None:
    look(page, deck)
    player(deck, action="seek", ts=START_MS + 500)
    bar(page).get_by_role("button", name="5×", exact=True).click()  # half a minute to the end
    bar(page).get_by_role("button", name="Play").click()
    wait_until(lambda: len(candles_shown(page)) > 0, lambda: player(deck))
    page.keyboard.press("Space")
    expect(bar(page)).to_have_attribute("data-state", "paused")
    expect(bar(page).get_by_role("button", name="Play")).to_be_visible()
    at = player(deck)
    same_as_the_api(page, deck)
    clock = f"{datetime.fromtimestamp(at['ts'] / 1_000, UTC):%F %T}.{at['ts'] % 1_000:03} UTC"
    expect(page.get_by_test_id("replayed")).to_have_text(clock)
    frozen = footprint_on(page)
    page.wait_for_timeout(1_500)
    assert (footprint_on(page), page.get_by_test_id("replayed").inner_text(), player(deck)) == (frozen, clock, at)
    left = [ms for ms, *_ in TRADES["BTCUSDT"] if START_MS + ms > at["ts"]]
    for ms in left[:2]:
        page.keyboard.press(">")
        wait_until(lambda ms=ms: player(deck)["ts"] == START_MS + ms, lambda: player(deck))  # type: ignore[misc]
        same_as_the_api(page, deck)
        played = sum(other <= ms for other, *_ in TRADES["BTCUSDT"])
        assert sum(candle["n"] for candle in candles_shown(page)) == played


def test_keys_and_buttons_move_time(deck: str, page: Page) -> None:
    look(page, deck)
    player(deck, action="seek", ts=START_MS + 61_500)

    def pressed(key: str, ms: int) -> None:
        page.keyboard.press(key)
        wait_until(lambda: player(deck)["ts"] == START_MS + ms, lambda: (key, ms, player(deck)))

    pressed("ArrowRight", 62_500)
    pressed("ArrowLeft", 61_500)
    pressed("Shift+ArrowLeft", 1_500)
    pressed("Shift+ArrowRight", 61_500)
    events = player(deck)["events"]
    bar(page).get_by_role("button", name="event").click()
    wait_until(lambda: player(deck)["events"] > events, lambda: player(deck))
    bar(page).get_by_role("button", name="big flow").click()
    wait_until(lambda: player(deck)["ts"] == START_MS + 125_000, lambda: player(deck))
    wait_until(lambda: len(shown(page, "big-flow")["rows"]) > 0, lambda: shown(page, "big-flow"))
    bar(page).get_by_role("button", name="To the beginning").click()
    wait_until(lambda: player(deck)["ts"] == player(deck)["first_ts"], lambda: player(deck))
    wait_until(lambda: shown(page, "big-flow")["rows"] == [], lambda: shown(page, "big-flow"))
    bar(page).get_by_role("button", name="max").click()
    page.keyboard.press("Space")
    expect(bar(page)).to_have_attribute("data-state", "ended")
    wait_for_candles(page, candles("BTCUSDT", MINUTE_MS, "1"))
