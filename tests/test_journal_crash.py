"""Programs killed without a word: what they had acknowledged is there, once, and the next start needs no help.

`TAPEWATCH_KILLS=100 pytest tests/test_journal_crash.py` kills more often than 30 times. All of them use one folder, so
that each start recovers what the one before left.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from journals import number, read_all
from tapewatch.journal import Reason

KILLS = int(os.environ.get("TAPEWATCH_KILLS", "30"))
CHILD = Path(__file__).parent / "support" / "journal_child.py"
LEFT_BY_THE_DEAD = {Reason.TORN, Reason.UNCLOSED}


@dataclass
class Killed:
    """Many short lives in one folder, and what each had acknowledged when it died."""

    folder: Path
    acknowledged: set[int] = field(default_factory=set)
    starts_ms: list[float] = field(default_factory=list)
    first: int = 0

    def live(self, *, after_lines: int = 0, point: str = "") -> None:
        """Start a program and kill it after so many lines, or let it die at a point of its own."""
        program = subprocess.Popen(
            [sys.executable, str(CHILD), str(self.folder), str(self.first), point],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert program.stdout is not None
        assert program.stderr is not None
        said: list[bytes] = []
        for line in program.stdout:
            said.append(line)
            if not point and len(said) == after_lines:
                program.kill()
        assert program.wait() == -9, program.stderr.read().decode()
        program.stdout.close()
        program.stderr.close()
        whole = [line.split() for line in said if line.endswith(b"\n")]
        assert whole[0][0] == b"ready"
        self.starts_ms.append(float(whole[0][1]))
        flushed = int(whole[-1][0]) if len(whole) > 1 else 0
        self.acknowledged |= set(range(self.first, self.first + flushed))
        self.first += len(whole) + 1  # it may have given one more than it said

    def check(self) -> int:
        """Nothing acknowledged is missing, nothing is there twice; returns how many records there are."""
        records, damages = read_all(self.folder)
        found = [number(record) for record in records]
        assert len(found) == len(set(found)), "a record came twice"
        assert self.acknowledged - set(found) == set(), "an acknowledged record is lost"
        assert {damage.reason for damage in damages} <= LEFT_BY_THE_DEAD
        return len(found)


@pytest.fixture
def killed(tmp_path: Path) -> Killed:
    return Killed(tmp_path / "journal")


def test_kill_at_any_moment_loses_nothing_that_was_acknowledged(
    killed: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    draw = random.Random(11)
    for _ in range(KILLS):
        killed.live(after_lines=draw.randrange(1, 400))
    records = killed.check()
    assert len(killed.acknowledged) > KILLS * 20
    with capsys.disabled():
        starts = sorted(killed.starts_ms)
        sys.stdout.write(
            f"\n{KILLS} kills: {len(killed.acknowledged)} records acknowledged, {records} found, 0 lost, 0 twice; "
            f"start to recording {starts[len(starts) // 2]:.0f} ms median, {starts[-1]:.0f} ms worst\n"
        )


POINTS = (
    "create:before:1", "create:after:1", "create:before:3", "create:after:3",
    "write:before:4", "write:middle:4", "write:after:4", "write:middle:1", "write:middle:2",
    "sync:before:1", "sync:after:1", "sync:before:3", "sync:after:3",
    "rename:before:1", "rename:after:1", "rename:before:2", "rename:after:2", "rename:before:3", "rename:after:3",
    "close:before:1", "close:after:1",
)  # fmt: skip
"""Mid-write, around each fsync and each rename of a beginning, a rotation and a closing."""


def test_kill_at_every_named_point_loses_nothing_that_was_acknowledged(killed: Killed) -> None:
    for point in POINTS:
        killed.live(point=point)
        killed.check()
    killed.live(after_lines=50)
    assert killed.check() > 100
