"""What is fed: websocket frames and REST snapshots of one set, in memory or in a folder.

Standard library only, because every peer's own environment imports it.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path

READ_BYTES = 1 << 16
"""Frames of one socket read travel together; this is what a busy socket gives at once."""
PADDING = 64
"""Zero bytes that the feed puts behind the last frame of a read."""
SLICE_READS = 64
"""Reads in a timed slice, 4 MB or some milliseconds of our path: long enough that what the others left in the
processor's caches is soon gone, short enough that a slow phase of the machine hits everybody."""
FEWEST_SLICES = 10
"""Small sets are cut finer."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """An instrument: prices are `tick` points of 10**-price_decimals, quantities lots of 10**-lot_decimals."""

    name: str
    price_decimals: int
    tick: int
    lot_decimals: int
    daily_volume: int = 10**9
    """Average daily volume in quote currency: what the screener of big flow compares with."""


@dataclass(frozen=True, slots=True)
class Read:
    """The frames of one socket read, one by one and as they stand in the receive buffer of our feed."""

    frames: list[bytes]
    buffer: bytes
    ends: array[int]

    @classmethod
    def of(cls, frames: list[bytes]) -> Read:
        return cls(frames, b"".join(frames) + bytes(PADDING), array("q", accumulate(map(len, frames))))


@dataclass(frozen=True, slots=True)
class Workload:
    """One set: the books' REST snapshots and every frame behind them, in order of arrival."""

    name: str
    symbols: list[Symbol]
    snapshots: dict[str, bytes]
    frames: list[bytes]
    recv_ns: int
    raw_trades: bool = False
    """Trades are raw `trade` events, not `aggTrade`."""

    @property
    def size(self) -> int:
        return sum(map(len, self.frames))

    def slices(self) -> list[list[Read]]:
        """The whole set as slices of socket reads."""
        reads = list(_reads(self.frames))
        size = max(1, min(SLICE_READS, len(reads) // FEWEST_SLICES))
        return [reads[at : at + size] for at in range(0, len(reads), size)]

    def head(self, frames: int) -> Workload:
        """The same set cut off after `frames` frames."""
        return Workload(self.name, self.symbols, self.snapshots, self.frames[:frames], self.recv_ns, self.raw_trades)

    def without(self, mark: bytes) -> Workload:
        """The same set without the frames whose first bytes hold `mark`."""
        frames = [frame for frame in self.frames if mark not in frame[:80]]
        return Workload(self.name, self.symbols, self.snapshots, frames, self.recv_ns, self.raw_trades)

    def only(self, mark: bytes) -> Workload:
        """The same set with only the frames whose first bytes hold `mark`."""
        frames = [frame for frame in self.frames if mark in frame[:80]]
        return Workload(self.name, self.symbols, self.snapshots, frames, self.recv_ns, self.raw_trades)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "frames.bin").write_bytes(b"".join(self.frames))
        (folder / "ends.bin").write_bytes(array("q", accumulate(map(len, self.frames))).tobytes())
        head = {
            "name": self.name,
            "symbols": [asdict(symbol) for symbol in self.symbols],
            "snapshots": {name: body.decode() for name, body in self.snapshots.items()},
            "recv_ns": self.recv_ns,
            "raw_trades": self.raw_trades,
        }
        (folder / "head.json").write_text(json.dumps(head), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Workload:
        head = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        ends = array("q")
        ends.frombytes((folder / "ends.bin").read_bytes())
        data = (folder / "frames.bin").read_bytes()
        frames = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        symbols = [Symbol(**symbol) for symbol in head["symbols"]]
        snapshots = {name: body.encode() for name, body in head["snapshots"].items()}
        return cls(head["name"], symbols, snapshots, frames, head["recv_ns"], head["raw_trades"])


def _reads(frames: list[bytes]) -> Iterator[Read]:
    held: list[bytes] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += len(frame)
        if size >= READ_BYTES:
            yield Read.of(held)
            held, size = [], 0
    if held:
        yield Read.of(held)
