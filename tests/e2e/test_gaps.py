"""A hole in the trades in a real Chromium: the candles it touches are hatched and say so, and no others."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from program import started
from screen import opened, shown
from waiting import wait_until
from written_tape import START_MS, TRADES, write_tape

LOST = 3
"""Between a trade of the first minute and one of the second."""
AMBER = """() => {
  const canvas = document.querySelector('[data-panel="footprint"] canvas');
  const { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, width, height).data;
  const columns = new Set();
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at] === 0xf0 && pixels[at + 1] === 0xb9 && pixels[at + 2] === 0x0b) columns.add((at / 4) % width);
  }
  return [...columns].sort((a, b) => a - b);
}"""
"""Columns of pixels in which something has the colour of what is missing."""


def test_candles_that_lack_trades_are_hatched_at_their_edge_and_say_what_is_missing(page: Page, tmp_path: Path) -> None:
    recording = write_tape(tmp_path / "tape.gz", lost=LOST)
    with started(tmp_path, "replay", str(recording), "--serve", "--speed", "60", "--port", "0") as program:
        url = program.url()
        opened(page, f"{url}?panels=footprint&symbol=BTCUSDT&tf=1m&step=1")
        wait_until(lambda: len(shown(page, "footprint")["candles"]) == 3, lambda: shown(page, "footprint"))
        candles = shown(page, "footprint")["candles"]
        assert [candle["gap"] for candle in candles] == [1, 1, 0]
        wait_until(lambda: bool(page.evaluate(AMBER)), lambda: "nothing is hatched")
        columns: list[int] = page.evaluate(AMBER)
        edges = [column for k, column in enumerate(columns) if k == 0 or column - columns[k - 1] > 8]
        assert len(edges) == 2, columns  # one strip for each of the two candles
        assert max(columns) - min(columns) < page.viewport_size["width"] // 2  # type: ignore[index]
        answer = page.request.get(f"{url}api/coverage?symbol=BTCUSDT").json()
        (gap,) = answer["gaps"]
        assert (gap["first_id"], gap["last_id"]) == (7_000 + LOST, 7_000 + LOST)
        lost_ms = [START_MS + TRADES["BTCUSDT"][k][0] for k in (LOST - 1, LOST + 1)]
        assert [gap["from_ts"], gap["to_ts"]] == lost_ms
        page.goto("about:blank")  # a page whose program has ended complains
        assert program.stop() == 0
