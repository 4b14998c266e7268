"""Our own program as a process of its own, as a user starts it."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from waiting import WITHIN_S

STOP_WITHIN_S = 60.0
"""It takes a second; whoever waits for a database that has stopped answering does not end."""
SMALL_DEMO = ("demo", "--port", "0", "--symbols", "4", "--venues", "binance")
"""Enough where the other venues are not the point: each costs its feed and its market."""


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An environment without the developer's settings; compiled kernels are shared, or each start took a minute."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAPEWATCH_")}
    names = {"XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_DATA_HOME": "data"}
    folders = {variable: str(home / name) for variable, name in names.items()}
    return {**kept, **folders, "COLUMNS": "200", **settings}


def run(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``tapewatch`` to its end in `home`."""
    return subprocess.run(
        [sys.executable, "-m", "tapewatch", *arguments],
        cwd=home,
        env=environment(home, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )


class Program:
    """A running ``tapewatch``; what it prints is kept."""

    def __init__(self, home: Path, *arguments: str, stdin: Any = subprocess.PIPE, **settings: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tapewatch", *arguments],
            cwd=home,
            env=environment(home, **settings),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self.process.stdout is not None:
            for line in self.process.stdout:
                self.output.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a printed line that matches; fails with all that was printed instead."""
        while True:
            try:
                line = self._lines.get(timeout=WITHIN_S)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"never printed {pattern!r}; printed:\n{''.join(self.output)}")
            if match := re.search(pattern, line):
                return match

    def url(self) -> str:
        """The address it prints when it serves."""
        return self.wait_for(r"serves (http://\S+/)")[1]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ask it to end as Ctrl+C does; returns its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(STOP_WITHIN_S)
        self._reader.join(STOP_WITHIN_S)
        return code


@contextmanager
def started(home: Path, *arguments: str, stdin: Any = subprocess.PIPE, **settings: str) -> Iterator[Program]:
    """A program for the length of a block, killed if it is still there afterwards."""
    program = Program(home, *arguments, stdin=stdin, **settings)
    try:
        yield program
    finally:
        if program.process.poll() is None:
            program.process.kill()
            program.process.wait()
