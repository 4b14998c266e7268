"""The replay without a page: an input played to its end, and the report of what it ends in."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .player import Player, Position, State
from .recording import Recording
from .stage import Stage

TICK_S = 0.01


def play_out(player: Player, watch: Callable[[Position], None] | None = None) -> Stage:
    """Play to the end at the player's pace; `watch` is told the position after every slice."""
    while True:
        more = player.tick(time.monotonic())
        position = player.position
        if watch is not None:
            watch(position)
        if position.state is State.ENDED:
            return player.stage
        if not more:
            time.sleep(TICK_S)


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write a report as JSON; equal states give equal bytes."""
    path.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def replay_files(paths: list[Path], *, speed: float = math.inf, report: Path | None = None) -> Stage:
    """Play whole recordings; write the report where asked."""
    recording = Recording.load(paths)
    stage = play_out(Player(recording, speed=speed))
    if report is not None:
        write_report(stage.report(recording.names), report)
    return stage
