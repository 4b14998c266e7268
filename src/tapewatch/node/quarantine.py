"""Frames the codec refused: counted by reason, the newest kept in memory and in a bounded file for whoever asks why."""

from __future__ import annotations

import base64
import json
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path

KEPT_FRAMES = 256
KEPT_FRAME_BYTES = 4_096
"""Enough to recognise a frame; a venue gone mad does not fill memory with megabyte frames."""
FILE_BYTES = 8 << 20
"""The file is turned over at this size: one current, one previous."""


@dataclass(frozen=True, slots=True)
class Refused:
    recv_ns: int
    reason: str
    frame: bytes
    """At most `KEPT_FRAME_BYTES` of it."""
    size: int


class Quarantine:
    """Bounded keeping-place of refused frames; those that come faster than they are written are only counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.by_reason: Counter[str] = Counter()
        self.newest: deque[Refused] = deque(maxlen=KEPT_FRAMES)
        self.unwritten = 0
        """Frames that were counted but never reached the file: they came too fast, or it could not be written."""
        self._waiting: deque[Refused] = deque(maxlen=KEPT_FRAMES)

    @property
    def total(self) -> int:
        return self.by_reason.total()

    def add(self, recv_ns: int, reason: str, frame: bytes) -> None:
        refused = Refused(recv_ns, reason, frame[:KEPT_FRAME_BYTES], len(frame))
        self.by_reason[reason] += 1
        self.newest.append(refused)
        self.unwritten += len(self._waiting) == KEPT_FRAMES
        self._waiting.append(refused)

    def take(self) -> list[Refused]:
        """Hand over what is not yet in the file (call in the event loop; give the result to `write` in a thread)."""
        rows = list(self._waiting)
        self._waiting.clear()
        return rows

    def write(self, rows: list[Refused]) -> None:
        """Append rows to the file, one JSON object a line; blocking."""
        if not rows:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.path.exists() and self.path.stat().st_size > FILE_BYTES:
            self.path.replace(self.path.with_suffix(".previous.jsonl"))
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(_line(row) for row in rows)


def _line(row: Refused) -> str:
    fields = {"recv_ns": row.recv_ns, "reason": row.reason, "size": row.size}
    try:
        fields["frame"] = row.frame.decode("utf-8")
    except UnicodeDecodeError:
        fields["frame_base64"] = base64.b64encode(row.frame).decode("ascii")
    return json.dumps(fields, ensure_ascii=False) + "\n"
