"""One market at rest, looked at from the page and from the terminal: the printed figures are the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from program import run
from screen import opened, shown
from waiting import wait_until

WIDTH, HEIGHT = 300, 90
"""Wide enough for every column of every panel."""
PLACES = {"flow": 0, "cvd": 1, "clusters": 0, "whales": 1}
COMPARED = {
    "flow": ("buy", "sell", "net", "trend", "10s", "5m", "15m"),
    "cvd": ("net", "60s", "5m", "15m"),
    "clusters": ("long", "short", "share", "upper", "depth", "last"),
    "whales": ("side", "notional", "price", "adv", "depth", "trades"),
}


@pytest.fixture(scope="module")
def terminal(taped: str, home: Path) -> list[str]:
    size = {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT)}
    done = run(home, "tui", "--url", taped.rstrip("/"), "--symbols", "BTC,ETH", "--once", **size)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def rows_of(lines: list[str], panel: str) -> list[str]:
    """Lines of the column in which a panel stands."""
    half = (WIDTH - 3 + 1) // 2
    return [line[1 : 1 + half] if PLACES[panel] == 0 else line[2 + half : WIDTH - 1] for line in lines]


@pytest.mark.parametrize("panel", sorted(COMPARED))
def test_page_and_terminal_print_the_same_figures(taped: str, page: Page, terminal: list[str], panel: str) -> None:
    opened(page, f"{taped}?panels={panel}&symbol=BTCUSDT")
    wait_until(lambda: bool(shown(page, panel)["rows"]), lambda: shown(page, panel))
    snapshot = shown(page, panel)
    at = snapshot["columns"].index
    lines = rows_of(terminal, panel)
    compared = 0
    for row in snapshot["rows"]:
        wanted = {name: row[at(name)] for name in COMPARED[panel] if row[at(name)]}
        if not any(character.isdigit() for character in "".join(wanted.values())):
            continue  # the mid price's own line, and notes
        assert any(all(stands(name, cell, line) for name, cell in wanted.items()) for line in lines), (wanted, lines)
        compared += 1
    assert compared


def stands(name: str, cell: str, line: str) -> bool:
    """Whether a line of the terminal has a cell of the page; prices there are filled up with zeros to the tick's."""
    zeros = "0*" if name == "price" else ""
    return re.search(f" {re.escape(cell)}{zeros} ", f" {line} ") is not None


@pytest.mark.parametrize("panel", ["basis", "funding", "whales", "clusters"])
def test_page_and_script_have_the_same_rows(taped: str, page: Page, home: Path, panel: str) -> None:
    done = run(home, "tui", "--url", taped.rstrip("/"), "--symbols", "BTC,ETH", "--once", "--json")
    told: dict[str, Any] = json.loads(done.stdout)["panels"][panel]
    opened(page, f"{taped}?panels={panel}&symbol=BTCUSDT")
    if panel == "clusters":
        wait_until(lambda: bool(shown(page, panel)["told"]), lambda: shown(page, panel))
        page_tells = shown(page, panel)["told"]
        markets = {one["exchange"]: one for one in told["markets"]}
        here = markets[page_tells["exchange"]]
        assert {name: here[name] for name in page_tells} == page_tells
    else:
        by_name = {(row["exchange"], row["symbol"], row.get("id")): row for row in told["rows"]}
        wait_until(
            lambda: (
                {(row["exchange"], row["symbol"], row.get("id")): row for row in shown(page, panel)["raw"]} == by_name
            ),
            lambda: (shown(page, panel)["raw"], told["rows"]),
        )
        assert len(by_name) == 2
