"""What a codec gives back, and the arrays it gathers rows in."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..compiled import entry
from ..model.errors import OffGridError
from ..model.tape import LEVEL, ROW, Kind, Tape
from .scan import PADDING, Symbols

Integers = Sequence[int] | NDArray[np.int64]

ROWS, LEVELS, FOREIGN = range(3)
"""Columns of the counters that a kernel keeps while it fills `Scratch`."""
_ZEROS = bytes(PADDING)
SHORTEST_EVENT = 40
SHORTEST_LEVEL = 10
"""Fewest bytes of an event object and of a level with its comma: how much room a run of frames can ever need."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A frame that is not what the protocol promises, kept as it came."""

    reason: str
    detail: str
    frame: bytes
    number: int = 0
    """Which frame of its run it was, from 0."""
    rows: int = 0
    """Rows that the frames before it gave."""


class Decoded(msgspec.Struct):
    """What a run of frames says: rows in order, control messages, frames set aside.

    `foreign` counts events of instruments that are not ours (COIN-M, dated, not configured) in all-symbol streams.
    """

    tape: Tape
    frames: int = 0
    control: list[msgspec.Struct] = []
    """Messages that are no market events, in the venue's own types."""
    rejected: list[Rejected] = []
    foreign: int = 0
    off_grid: list[OffGridError] = []
    """Instruments whose grid has to be refined before frames like these (also in `rejected`) can be read."""


class Rows:
    """Rows and levels being gathered."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.levels: list[tuple[int, int]] = []

    def add(self, kind: Kind, flags: int, i: int, recv_ns: int, **columns: int) -> None:
        values = {"kind": kind, "flags": flags, "instrument": i, "recv_ns": recv_ns, **columns}
        self.rows.append(tuple(values.get(name, 0) for name in ROW.names or ()))

    def tape(self) -> Tape:
        return Tape(np.array(self.rows, ROW), np.array(self.levels, LEVEL))


class Scratch:
    """Arrays that decoding writes into, large enough for whatever the loaded frames can hold."""

    def __init__(self, decode: Callable[..., int], symbols: Symbols) -> None:
        self._own_bytes = self._bytes = np.zeros(1 << 16, np.uint8)
        self.rows = np.zeros(1 << 10, ROW)
        self.levels = np.zeros(1 << 13, LEVEL)
        self.counts = np.zeros(3, np.int64)
        self._ends = np.zeros(0, np.int64)
        self._own_recv_ns = self._recv_ns = np.zeros(1, np.int64)
        arrays = self.rows, self.levels, self.counts
        self._decode = entry(decode, self._bytes, self._ends, self._recv_ns, 0, symbols, *arrays)

    def load(self, buffer: bytes | bytearray, ends: Integers, recv_ns: int | Integers) -> None:
        """Take frames to decode. A buffer without `PADDING` zero bytes behind them is copied to where they are."""
        frames = len(ends)
        size = int(ends[-1]) if frames else 0
        if buffer[size : size + PADDING] == _ZEROS:
            self._bytes = np.frombuffer(buffer, np.uint8)
        else:
            if len(self._own_bytes) < size + PADDING:
                self._own_bytes = np.zeros(2 * (size + PADDING), np.uint8)
            self._bytes = self._own_bytes
            self._bytes[:size] = np.frombuffer(buffer, np.uint8, count=size)
            self._bytes[size : size + PADDING] = 0
        if isinstance(ends, array) and ends.typecode == "q":  # a socket read: seen as it lies
            self._ends = np.ndarray(frames, np.int64, ends)
        else:
            self._ends = np.asarray(ends, np.int64)
        if isinstance(recv_ns, int):
            self._recv_ns = self._own_recv_ns
            self._recv_ns[0] = recv_ns
        else:
            self._recv_ns = np.asarray(recv_ns, np.int64)
        self._reserve(size // SHORTEST_EVENT + frames + 1, size // SHORTEST_LEVEL + 1)
        self.counts.fill(0)

    def recv_ns(self, k: int) -> int:
        """When frame `k` was received."""
        return int(self._recv_ns[min(k, len(self._recv_ns) - 1)])

    def _reserve(self, rows: int, levels: int) -> None:
        if len(self.rows) < rows:
            self.rows = np.concatenate([self.rows, np.zeros(2 * rows - len(self.rows), ROW)])
        if len(self.levels) < levels:
            self.levels = np.concatenate([self.levels, np.zeros(2 * levels - len(self.levels), LEVEL)])

    def run(self, first: int, symbols: Symbols) -> int:
        """Let the kernel decode from frame `first`; returns the frame it does not understand, or how many there are."""
        return self._decode(self._bytes, self._ends, self._recv_ns, first, symbols, self.rows, self.levels, self.counts)  # type: ignore[no-any-return]

    def append(self, general: Rows) -> None:
        """Put rows of the general decoder behind those already there."""
        if not general.rows:
            return
        tape = general.tape()
        row, level = int(self.counts[ROWS]), int(self.counts[LEVELS])
        self._reserve(
            row + len(tape.rows) + len(self._ends), level + len(tape.levels) + int(self._ends[-1]) // SHORTEST_LEVEL
        )
        tape.rows["level_at"][tape.rows["kind"] == Kind.DEPTH] += level
        self.rows[row : row + len(tape.rows)] = tape.rows
        self.levels[level : level + len(tape.levels)] = tape.levels
        self.counts[ROWS] += len(tape.rows)
        self.counts[LEVELS] += len(tape.levels)

    def take(self) -> tuple[Tape, int]:
        """What was decoded, and how many events were foreign; the caller's buffer is let go."""
        self._bytes = self._own_bytes
        rows, levels, foreign = self.counts.tolist()
        return Tape(self.rows[:rows], self.levels[:levels]), foreign
