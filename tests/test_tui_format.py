"""Figures in the terminal are printed as on the page: the page's own code, run beside ours on the same numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from tapewatch.tui import format as terminal

FORMAT_TS = Path(__file__).parent.parent / "web" / "src" / "core" / "format.ts"
PAGE = """
import * as page from 'FORMAT';
import { readFileSync } from 'node:fs';
const numbers = JSON.parse(readFileSync(0, 'utf8'));
const told = numbers.map((x) => [
  page.quantity(x), page.quantity(x, 3), page.signed(x, 3), page.money(x), page.signedMoney(x), page.percent(x),
  page.percent(x, 4), page.percent(x, 1), page.share(Math.abs(x)), page.span(Math.abs(x)),
  page.price(x, 2),
]);
process.stdout.write(JSON.stringify(told));
"""
EDGES = [
    0.0, -0.0, 0.125, -0.125, 0.375, 2.5, 0.005, -0.004, 0.285, 1.005, 9.994, 9.995, 99.94, 99.95, 999.4, 999.5, 999.6,
    9994.9, 9995.0, 999_499.9, 999_500.0, 1e6, 9.9949e8, 1e9, 1e12, 3.2e15, 1e-9, 1.23e-4, 0.099_95, 9_949.9,
]  # fmt: skip


@pytest.fixture(scope="module")
def numbers() -> list[float]:
    random = Random(7)
    drawn = [random.choice((-1, 1)) * 10 ** random.uniform(-9, 13) for _ in range(2_000)]
    ties = [random.randrange(-4_000, 4_000) / 8 for _ in range(500)]
    short = [float(f"{random.uniform(-1_000, 1_000):.{random.randrange(7)}f}") for _ in range(1_500)]
    return [*EDGES, *drawn, *ties, *short]


def bundled(folder: Path) -> Path | None:
    """The page's module as JavaScript, made by the page's own build tool; None where that is not installed."""
    bundler = FORMAT_TS.parents[2] / "node_modules" / ".bin" / "rolldown"
    if not bundler.exists() or shutil.which("node") is None:
        return None
    out = folder / "format.mjs"
    subprocess.run([str(bundler), str(FORMAT_TS), "-o", str(out)], check=True, capture_output=True)
    return out


def test_the_terminal_prints_what_the_page_prints(numbers: list[float], tmp_path: Path) -> None:
    module = bundled(tmp_path)
    if module is None:
        pytest.skip("the page's tools are not installed here (npm ci in web/)")
    script = tmp_path / "page.mjs"
    script.write_text(PAGE.replace("FORMAT", str(module)), encoding="utf-8")
    done = subprocess.run(["node", str(script)], input=json.dumps(numbers), capture_output=True, text=True, check=True)
    for x, told in zip(numbers, json.loads(done.stdout), strict=True):
        ours = [
            terminal.quantity(x), terminal.quantity(x, 3), terminal.signed(x, 3), terminal.money(x),
            terminal.signed_money(x), terminal.percent(x), terminal.percent(x, 4), terminal.percent(x, 1),
            terminal.share(abs(x)), terminal.span(abs(x)), terminal.price(x, 2),
        ]  # fmt: skip
        assert ours == told, x


def test_what_is_missing_is_no_number() -> None:
    for rule in (terminal.quantity, terminal.signed, terminal.money, terminal.percent, terminal.share, terminal.span):
        assert rule(None) == rule(float("nan")) == "—"
    assert terminal.countdown(None) == terminal.clock(None) == terminal.price(None, 1) == "—"


def test_prices_keep_their_digits() -> None:
    assert terminal.price(Decimal("84500.5"), 2) == "84500.50"
    assert terminal.price(84500, 1) == "84500.0"
    assert terminal.price(Decimal("1E-7"), 7) == "0.0000001"
    assert terminal.price(84551.1234, 2) == "84551.12"
    assert (terminal.countdown(28_799_000), terminal.countdown(724_400)) == ("7:59:59", "12:04")
