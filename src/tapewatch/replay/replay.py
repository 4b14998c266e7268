"""The replay driver: records in, through the codec and engine that live sockets use, state out."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from ..engine import Engine
from ..model.thresholds import Thresholds
from ..venues.binance_usdm_codec import Codec
from .captures import Record
from .recording import Recording
from .report import build_report

BATCH = 256
"""Frames decoded together. Any number gives the same end state."""


class Replay:
    """One recording being played into one engine."""

    def __init__(self, recording: Recording, thresholds: Thresholds | None = None) -> None:
        self.recording = recording
        self.engine = Engine(recording.universe, thresholds)
        self.codec = Codec(recording.universe)
        self.frames = 0
        self.decoded = 0
        self.rejected: Counter[str] = Counter()
        for instrument in recording.universe:
            if instrument.symbol in recording.raw_trade_symbols:
                self.engine.use_raw_trades(instrument.index)
            if instrument.symbol in recording.book_symbols:
                self.engine.follow_book(instrument.index)

    def feed(self, records: list[Record]) -> None:
        """Play records (in order of receive time) into the engine."""
        for frames, answer in _runs(records):
            if frames:
                self._frames(frames)
            if answer is not None and answer.endpoint == "depth":
                self.engine.apply(self.codec.snapshot(answer.symbol, answer.payload, answer.recv_ns, answer.limit))

    def _frames(self, frames: list[Record]) -> None:
        payloads = [record.payload for record in frames]
        ends = list(accumulate(len(payload) for payload in payloads))
        recv_ns = [record.recv_ns for record in frames]
        decoded = self.codec.decode(b"".join(payloads), ends, recv_ns)
        self.frames += decoded.frames
        self.decoded += decoded.frames - len(decoded.rejected)
        self.rejected.update(rejected.reason for rejected in decoded.rejected)
        self.engine.apply(decoded.tape)

    def report(self) -> dict[str, Any]:
        """The end state as plain data; contract section 8."""
        integrity = {
            "frames": self.frames,
            "decoded": self.decoded,
            "quarantined": sum(self.rejected.values()),
            "by_reason": dict(sorted(self.rejected.items())),
        }
        return build_report(self.engine, [str(path) for path in self.recording.paths], integrity)


def _runs(records: list[Record]) -> Iterator[tuple[list[Record], Record | None]]:
    """Cut records into runs of at most BATCH frames, each followed by a REST answer or none."""
    run: list[Record] = []
    for record in records:
        if record.url:
            yield run, record
            run = []
        else:
            run.append(record)
            if len(run) == BATCH:
                yield run, None
                run = []
    yield run, None


def replay_files(
    paths: list[Path],
    *,
    speed: float | None = None,
    report: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Play whole recordings; write the report where asked. `progress(done, total)` in records.

    `speed` is a multiple of the recording's own pace; None is as fast as it goes. The end state is the same for any.
    """
    recording = Recording.load(paths)
    replay = Replay(recording)
    records = recording.records
    at_once = BATCH if speed else 16 * BATCH
    began = time.monotonic()
    for start in range(0, len(records), at_once):
        if speed:
            due_s = (records[start].recv_ns - records[0].recv_ns) / 1e9 / speed
            time.sleep(max(0.0, began + due_s - time.monotonic()))
        replay.feed(records[start : start + at_once])
        if progress:
            progress(min(start + at_once, len(records)), len(records))
    if report is not None:
        report.write_text(json.dumps(replay.report(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return replay
