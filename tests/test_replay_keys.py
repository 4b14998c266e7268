"""The player on a real terminal: keys pause, step and speed it up, and it ends in the same state."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from program import environment, run
from tapewatch.replay import Player, Recording
from tapewatch.replay.keys import press
from waiting import WITHIN_S
from written_tape import START_MS, TRADES, write_tape

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def settle(player: Player) -> None:
    while player.tick(0.0):
        pass


def test_each_key_does_what_it_says(tmp_path: Path) -> None:
    player = Player(Recording.load([write_tape(tmp_path / "tape.gz")]))
    press(player, " ")
    assert player.position.state == "paused"
    for key, ms in (
        ("t", TRADES["BTCUSDT"][0][0]),
        ("s", 2_000),
        ("\x1b[C", 12_000),
        ("\x1b[D", 2_000),
        ("b", 125_000),
    ):
        press(player, key)
        settle(player)
        assert (key, player.position.now_ms) == (key, START_MS + ms)
    rows = player.position.rows
    press(player, ".")
    settle(player)
    assert player.position.rows == rows + 1
    for key, speed in (("-", 0.5), ("-", 0.5), ("+", 1.0), ("+", 2.0)):
        press(player, key)
        assert player.position.speed == speed
    press(player, "x")
    press(player, " ")
    assert player.position.state == "playing"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals on Windows")
def test_a_terminal_pauses_it_and_plays_it_to_the_same_end(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    recording = write_tape(tmp_path / "tape.gz")
    expected = run(tmp_path, "replay", str(recording)).stdout
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "tapewatch", "replay", str(recording), "--speed", "1"],
        cwd=tmp_path, env=environment(tmp_path, TERM="xterm"), stdin=theirs, stderr=theirs, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    os.close(theirs)
    try:
        _read_until(ours, "playing")
        os.write(ours, b" ")
        _read_until(ours, "paused")
        os.write(ours, b"t")
        _read_until(ours, "12:00:")
        os.write(ours, b"++++++ ")
        assert program.stdout is not None
        assert program.stdout.read() == expected
        assert program.wait() == 0
    finally:
        program.kill()
        program.wait()
        os.close(ours)


def _read_until(fd: int, words: str) -> None:
    deadline, seen = time.monotonic() + WITHIN_S, ""
    while words not in seen:
        assert time.monotonic() < deadline, seen[-2_000:]
        seen += ESCAPES.sub("", os.read(fd, 4096).decode(errors="replace"))
