"""The player's buttons on a terminal's keyboard."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from .cursor import Step
from .player import SPEEDS, Player, State

HELP = "space play/pause · . event · s second · t trade · b big flow · ← → 10 s · + − speed"
TEN_SECONDS_MS = 10_000


class Keyboard(Protocol):
    """Gives the keys that have been pressed."""

    def pressed(self) -> str:
        """The next key without waiting, "" when there is none; an arrow is its escape sequence."""


def press(player: Player, key: str) -> None:
    """Do what a key stands for; other keys do nothing."""
    at = player.position
    match key:
        case " ":
            player.pause() if at.state is State.PLAYING else player.play()
        case ".":
            player.step(Step.EVENT)
        case "s":
            player.step(Step.SECOND)
        case "t":
            player.step(Step.TRADE)
        case "b":
            player.step(Step.BIG_FLOW)
        case "\x1b[C":
            player.move(TEN_SECONDS_MS)
        case "\x1b[D":
            player.move(-TEN_SECONDS_MS)
        case "+" | "-":
            k = SPEEDS.index(at.speed) + (1 if key == "+" else -1)
            player.set_speed(SPEEDS[min(max(k, 0), len(SPEEDS) - 1)])


if sys.platform == "win32":
    import msvcrt

    ARROWS = {"M": "\x1b[C", "K": "\x1b[D"}
    """The console writes an arrow as a prefix and a letter."""

    class _Console:
        def pressed(self) -> str:
            if not msvcrt.kbhit():
                return ""
            key = msvcrt.getwch()
            return ARROWS.get(msvcrt.getwch(), "") if key in "\x00\xe0" else key

    @contextmanager
    def keyboard() -> Iterator[Keyboard]:
        """The keys of the console, one by one and unechoed."""
        yield _Console()

else:
    import select
    import termios
    import tty

    class _Terminal:
        def __init__(self, fd: int) -> None:
            self._fd = fd
            self._waiting = ""

        def pressed(self) -> str:
            if select.select([self._fd], [], [], 0)[0]:
                self._waiting += os.read(self._fd, 64).decode(errors="ignore")
            length = 3 if self._waiting.startswith("\x1b[") else 1
            key, self._waiting = self._waiting[:length], self._waiting[length:]
            return key

    @contextmanager
    def keyboard() -> Iterator[Keyboard]:
        """The keys of the terminal that standard input is, one by one and unechoed; it is as before in the end."""
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        tty.setcbreak(fd)  # Ctrl+C stays Ctrl+C
        try:
            yield _Terminal(fd)
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
