"""Detectors against planted patterns, random flow and calm recordings; the same events however the tape is heard."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pattern_world import Listener, Score, Session, play, record, score
from tapes import T0, Row, diff, snapshot, tape, trade, universe
from tapewatch.detect.card import BASELINE
from tapewatch.detect.detectors import BASELINE_S
from tapewatch.engine import Engine
from tapewatch.lab.lab import Study
from tapewatch.model.detection import Detection, DetectionKind, confidence
from tapewatch.replay.recording import Recording
from tapewatch.sim.patterns import KINDS

SEEDS = range(3, 11)
SECONDS = 400
EVERY_MS = 12_000


@cache
def planted(seed: int) -> tuple[Session, Listener]:
    session = record(seed, SECONDS, plant=True, every_ms=EVERY_MS)
    return session, play(session)


def table() -> dict[str, Score]:
    """Recall and precision over all seeds; docs/lab.md shows it."""
    sums = {kind: [0, 0, 0, 0] for kind in KINDS}
    for seed in SEEDS:
        session, listener = planted(seed)
        for kind, one in score(session.labels, listener.events).items():
            sums[kind] = [a + b for a, b in zip(sums[kind], asdict(one).values(), strict=True)]
    return {kind: Score(*counts) for kind, counts in sums.items()}


def test_planted_patterns_are_found() -> None:
    for kind, found in table().items():
        assert found.planted >= 30, kind
        assert found.recall >= 0.9, (kind, found)
        assert found.precision >= 0.8, (kind, found)


def test_random_flow_brings_hardly_any_event() -> None:
    session = record(11, 300, plant=False)
    by_kind = dict.fromkeys(DetectionKind, 0)
    for event in play(session).events:
        by_kind[event.kind] += 1
    assert max(by_kind.values()) <= 5, by_kind  # one a minute


def test_events_do_not_depend_on_how_the_tape_is_cut() -> None:
    """Frame by frame as they come, or a second at once as a replay reads them: the same events to the last digit."""
    session, listener = planted(SEEDS[0])
    at_once = play(session, at_once=40)
    assert [asdict(event) for event in at_once.events] == [asdict(event) for event in listener.events]
    assert at_once.study.detectors.seq == listener.study.detectors.seq
    assert len(listener.events) > 40


@pytest.mark.parametrize("symbol", ["btcusdt", "ethusdt"])
def test_calm_recordings_bring_less_than_one_event_a_minute(data_dir: Path, symbol: str) -> None:
    recording = Recording.load(sorted((data_dir / "binance_usdm").glob(f"usdm_{symbol}_202407*")))
    stage = recording.stage()
    study = stage.engine.lab.study(stage.engine.universe[0])
    for batch in recording.play(stage):
        stage.engine.apply(batch)
    fired = study.detectors.card.fired
    assert sum(fired.values()) > 0
    for kind in DetectionKind:
        assert fired[kind] / 8 <= 1, fired


def test_every_event_tells_what_raised_it() -> None:
    _, listener = planted(SEEDS[0])
    for event in listener.events:
        assert 0.5 <= event.confidence <= 1
        assert event.start_ms <= event.ts_ms
        assert event.rows
        for name, limit in event.evidence.items():
            if name.endswith("_limit"):
                assert event.evidence[name.removesuffix("_limit")] is not None
                assert limit >= 0


def test_the_report_card_counts_and_measures_against_any_other_second() -> None:
    _, listener = planted(SEEDS[0])
    card = listener.study.detectors.card
    for kind in KINDS:
        assert card.fired[DetectionKind(kind)] == sum(event.kind == kind for event in listener.events)
    baseline = card.distribution(BASELINE, 1_000)
    assert baseline is not None
    assert baseline.n > SECONDS - 10
    assert abs(baseline.mean) < baseline.std


def test_confidence_grows_with_the_distance_from_the_thresholds() -> None:
    assert confidence(1) == 0.5
    assert confidence(2, 2) == 0.75
    assert confidence(1, 4) == 0.75
    assert confidence(0.5) == 0.5


# ---------------------------------------------------------------- a wall and its fate, by hand

BIDS = [(1_000 - k, 50 + k % 3) for k in range(40)]
ASKS = [(1_001 + k, 50 + k % 3) for k in range(40)]
PRICE, LOTS = 996, 4_000


class Wall:
    """A small book that stands for a minute; then a level grows to 4000 lots."""

    def __init__(self) -> None:
        self.engine = Engine(universe("BTCUSDT", tick="0.1", lot="1"))
        self.engine.follow_book(0)
        self.study: Study = self.engine.lab.study(self.engine.universe[0])
        self.at, self.u, self.trades = T0, 10, 0
        self.hear(snapshot(10, BIDS, ASKS), diff(9, 10, 8))
        for _ in range(60):
            self.pass_time(1_000)
        self.set(PRICE, LOTS)
        self.pass_time(6_000)

    def hear(self, *rows: Row) -> None:
        self.engine.apply(tape(rows))

    def set(self, tick: int, lots: int) -> None:
        self.u += 1
        self.hear(diff(self.u, self.u, self.u - 1, [(tick, lots)], [], ts_ms=self.at))

    def sell(self, tick: int, lots: int) -> None:
        self.trades += 1
        self.hear(trade(self.trades, self.at, tick, lots, sell=True))

    def pass_time(self, ms: int) -> None:
        for _ in range(max(1, ms // 250)):
            self.at += min(ms, 250)
            self.u += 1
            self.hear(diff(self.u, self.u, self.u - 1, ts_ms=self.at))

    @property
    def event(self) -> Detection:
        (event,) = [event for event in self.study.detectors.events if event.kind == DetectionKind.WALL]
        return event


def test_a_wall_is_told_after_five_seconds() -> None:
    wall = Wall()
    assert (wall.event.low, wall.event.lots, wall.event.side, wall.event.state) == (PRICE, LOTS, 1, "open")
    assert 5_000 <= wall.event.evidence["age_ms"] < 5_250
    assert wall.event.evidence["median_lots"] == 50.5


@pytest.mark.parametrize(("executed", "fate"), [(0, "pulled"), (400, "pulled"), (1_600, "mixed"), (3_200, "filled")])
def test_the_fate_of_a_wall_is_what_was_executed_of_its_drop(executed: int, fate: str) -> None:
    wall = Wall()
    wall.set(PRICE, 0)
    if executed:
        wall.sell(PRICE, executed)  # the print comes after the book has shown it
    wall.pass_time(1_000)
    assert wall.event.state == fate
    assert wall.event.evidence["executed_share"] == executed / LOTS


def test_a_wall_that_appears_elsewhere_has_moved() -> None:
    wall = Wall()
    wall.set(PRICE, 0)
    wall.set(PRICE + 1, LOTS - 100)
    wall.pass_time(1_000)
    assert wall.event.state == "moved"


def test_a_book_that_comes_back_from_a_resync_is_measured_on() -> None:
    study = Engine(universe()).lab.study(universe()[0])
    bids = np.array([[1_000 - k, 10] for k in range(20)], np.int64)
    asks = np.array([[1_001 + k, 10] for k in range(20)], np.int64)
    for second in range(BASELINE_S + 10):
        lost = second == BASELINE_S
        study.detectors.on_second(T0 + second * 1_000, bids[:0] if lost else bids, asks[:0] if lost else asks, 5, 5)
    assert study.detectors.levels.large[0] > 0


def test_a_study_that_fails_costs_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(universe())
    instrument = engine.universe[0]
    engine.follow_book(0)
    broken = engine.lab.study(instrument)
    monkeypatch.setattr(broken.detectors, "on_second", lambda *_: 1 / 0)
    engine.apply(tape([trade(1, T0, 1_000, 5), trade(2, T0 + 2_500, 1_000, 5)]))
    assert [i for i, _ in engine.lab.faults] == [0]
    assert not engine.lab.studies
    assert engine.totals()["count"] == 2
