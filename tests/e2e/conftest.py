"""A real browser on a real program: simulated venue, sockets, server, page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

import over_http
from chromium import ADVICE, find_chromium
from program import started
from screen import alone
from waiting import WITHIN_S, wait_until
from written_tape import write_tape

VIEWPORT = {"width": 1920, "height": 1080}
LATE = "WebSocket is closed before the connection is established"
"""The page gave up a handshake with a busy machine's server, and tries again: the browser notes it."""
expect.set_options(timeout=WITHIN_S * 1_000)  # a busy machine's page is late, not wrong


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for each file: its driver keeps an event loop in this thread, beside which no other test's could run."""
    path = find_chromium()
    if path is None:
        pytest.fail(ADVICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh browser profile; a test that uses it fails when the page said that anything is wrong.

    What a test provokes itself it names: `@pytest.mark.page_says("status of 503")`.
    """
    provoked = [LATE, *(words for marker in request.node.iter_markers("page_says") for words in marker.args)]
    context = alone(browser.new_context(viewport=VIEWPORT))  # type: ignore[arg-type]  # a TypedDict of two ints
    context.set_default_timeout(WITHIN_S * 1_000)
    page = context.new_page()
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(f"{message.type}: {message.text} ({message.location})")

    def on_failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the browser itself lets go of what a page that is left still loads
            complaints.append(f"failed: {request.url} {request.failure}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    page.on("requestfailed", on_failed)
    yield page
    context.close()
    assert [said for said in complaints if not any(words in said for words in provoked)] == []


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def taped(home: Path) -> Iterator[str]:
    """Address of a program that has shown the whole hand-written recording."""
    recording = write_tape(home / "tape.gz")
    with started(home, "replay", str(recording), "--serve", "--speed", "10", "--port", "0") as program:
        url = program.url()
        wait_until(lambda: over_http.get(f"{url}api/replay").json()["state"] == "ended", program.output.copy)
        yield url
        assert program.stop() == 0
