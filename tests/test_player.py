"""The player: whatever is asked of it on the way, the same rows end in the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from row_market import Market
from tapes import T0, Row, cuts, examples, quote, tape, trade, universe
from tapewatch.config import ThresholdsConfig
from tapewatch.flow.candles import BASE
from tapewatch.model.errors import NotFoundError, UsageError
from tapewatch.model.tape import Kind, Tape
from tapewatch.replay import Cursor, Player, Stage, State, Step, player
from tapewatch.replay.player import SLICE_ROWS, SPEEDS, parse_speed, speed_name
from tapewatch.replay.report import state_hash
from tapewatch.replay.stage import RING_BYTES, minutes_for

MINUTE = 60_000


@dataclass(frozen=True)
class Written:
    """An input whose rows are written down, cut into batches somehow."""

    rows: list[Row]
    batches: list[tuple[int, int]] | None = None
    names: tuple[str, ...] = ("written",)

    @property
    def times(self) -> list[int]:
        """Newest event time up to each row, by plain arithmetic."""
        newest, times = self.first_ms, []
        for row in self.rows:
            newest = max(newest, row.columns["event_ms"])
            times.append(newest)
        return times

    @property
    def first_ms(self) -> int:
        return min((row.columns["event_ms"] for row in self.rows), default=T0)

    @property
    def last_ms(self) -> int:
        return max((row.columns["event_ms"] for row in self.rows), default=T0)

    def stage(self, thresholds: ThresholdsConfig) -> Stage:
        stage = Stage.empty(universe("AUSDT", "BUSDT", "CUSDT"), thresholds, self.last_ms - self.first_ms)
        stage.engine.use_raw_trades(2)
        for i in (0, 1):
            stage.engine.follow_book(i)
        return stage

    def play(self, stage: Stage) -> Iterator[Tape]:
        stage.engine.set_adv(0, Decimal(2_000_000), 30)
        for start, stop in self.batches or [(0, len(self.rows))]:
            yield tape(self.rows[start:stop])
        stage.engine.set_adv(2, Decimal(1), 30)  # said after the last row: moves no row, and must not be lost either

    def after(self, count: int) -> str:
        """Hash of the state after so many rows, without any player."""
        stage = self.stage(ThresholdsConfig())
        stage.engine.set_adv(0, Decimal(2_000_000), 30)
        stage.engine.apply(tape(self.rows[:count]))
        return state_hash(stage.engine)


@st.composite
def inputs(draw: st.DrawFn) -> Written:
    rows = Market(draw).rows()
    return Written(rows, cuts(draw, len(rows)))


OPERATIONS = st.one_of(
    st.just(("play",)),
    st.just(("pause",)),
    st.tuples(st.just("speed"), st.sampled_from(SPEEDS)),
    st.tuples(st.just("seek"), st.floats(-0.1, 1.1)),
    st.tuples(st.just("step"), st.sampled_from(list(Step)), st.sampled_from([None, "AUSDT", "CUSDT"])),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.3, 5.0, 1_000.0])),
)


def settle(one: Player, now_s: float = 0.0) -> None:
    """Tick until nothing is left to do at this moment."""
    while one.tick(now_s):
        pass


@examples(120)
@given(inputs(), st.lists(OPERATIONS, max_size=12), st.integers(1, 40))
def test_however_it_is_played_it_ends_in_the_same_bytes(
    source: Written, operations: list[tuple[object, ...]], rows: int
) -> None:
    """Any speeds, pauses, steps and seeks back and forth, in slices of any size, then on to the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(player, "SLICE_ROWS", rows)
        one, now_s = Player(source), 0.0
        for name, *given_ in operations:
            match name, given_:
                case "speed", [float() as speed]:
                    one.set_speed(speed)
                case "seek", [float() as share]:
                    one.seek(source.first_ms + int(share * (source.last_ms - source.first_ms)))
                case "step", [Step() as kind, symbol]:
                    one.step(kind, symbol)  # type: ignore[arg-type]
                case "wait", [float() as seconds]:
                    now_s += seconds
                case _:
                    getattr(one, str(name))()
            one.tick(now_s)
        settle(one, now_s)
        one.set_speed(math.inf)
        if one.position.state is not State.ENDED:
            one.play()
        settle(one, now_s)
        assert (one.position.state, one.position.rows) == (State.ENDED, len(source.rows))
        assert one.state_hash() == source.after(len(source.rows))


@examples(60)
@given(inputs(), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_a_seek_arrives_at_what_had_happened_by_then(source: Written, shares: list[float]) -> None:
    """Forth and back: everything up to and at that time, nothing after it."""
    one = Player(source, playing=False)
    for share in shares:
        to_ms = source.first_ms + int(share * (source.last_ms - source.first_ms))
        one.seek(to_ms)
        assert one.position.state is State.SEEKING
        settle(one)
        played = sum(time <= to_ms for time in source.times)
        assert one.position.rows == played
        assert one.state_hash() == source.after(played)
        assert one.position.state in (State.PAUSED, State.ENDED)


@examples(60)
@given(inputs(), st.sampled_from([Step.EVENT, Step.TRADE]), st.sampled_from([None, 0, 2]))
def test_a_step_ends_with_the_next_row_of_its_kind(source: Written, kind: Step, instrument: int | None) -> None:
    """Every one of them in turn, then the end of the tape."""
    wanted = [
        k + 1
        for k, row in enumerate(source.rows)
        if (kind is Step.EVENT or row.kind is Kind.TRADE) and instrument in (None, row.columns["instrument"])
    ]
    cursor = Cursor(source, ThresholdsConfig())
    reached = []
    while not cursor.ended:
        while not cursor.step(kind, instrument, 3):
            pass
        reached.append(cursor.rows)
    assert reached == [*wanted, len(source.rows)]


@examples(60)
@given(inputs())
def test_a_step_to_big_flow_ends_where_an_episode_opened(source: Written) -> None:
    engine = source.stage(ThresholdsConfig()).engine
    engine.set_adv(0, Decimal(2_000_000), 30)
    wanted, opened = [], 0
    for k in range(len(source.rows)):
        engine.apply(tape(source.rows[k : k + 1]))
        if int(engine.flow.big.meta[0]) > opened:
            opened = int(engine.flow.big.meta[0])
            wanted.append(k + 1)
    cursor = Cursor(source, ThresholdsConfig())
    reached = []
    while not cursor.ended:
        while not cursor.step(Step.BIG_FLOW, None, 3):
            pass
        reached.append(cursor.rows)
    assert reached == [*wanted, len(source.rows)]


def minute_by_minute(count: int) -> Written:
    return Written([trade(k + 1, T0 + k * MINUTE, 100 + k, 1) for k in range(count)])


def test_the_pace_is_that_of_the_tape() -> None:
    one = Player(minute_by_minute(100), speed=10.0)
    settle(one, 5.0)
    assert (one.position.now_ms, one.position.rows) == (T0, 1)
    settle(one, 11.0)
    assert (one.position.now_ms, one.position.rows) == (T0 + MINUTE, 2)
    one.set_speed(60.0)
    settle(one, 11.0)
    settle(one, 13.5)
    assert (one.position.now_ms, one.position.rows) == (T0 + MINUTE + 150_000, 4)


def test_a_paused_player_stands_still_whatever_the_time() -> None:
    one = Player(minute_by_minute(100), speed=math.inf, playing=False)
    settle(one, 1e9)
    assert (one.position.state, one.position.rows) == (State.PAUSED, 0)
    one.play()
    settle(one, 1e9)
    assert one.position.state is State.ENDED


def test_a_pause_is_no_time_of_the_replay() -> None:
    one = Player(minute_by_minute(100), speed=60.0)
    settle(one, 0.0)
    one.pause()
    settle(one, 500.0)
    one.play()
    settle(one, 500.0)
    settle(one, 501.0)
    assert one.position.now_ms == T0 + MINUTE


def test_a_player_that_cannot_keep_up_does_not_race_afterwards() -> None:
    """Ten minutes asleep at 1x are not made up for: it goes on from where it is."""
    rows = [quote(k + 1, T0 + k // 100, 99, 1, 101, 1) for k in range(100 * 600)]
    one = Player(Written(rows), speed=1.0)
    settle(one, 0.0)
    while not one.tick(30.0):
        pass
    behind_ms = one.position.now_ms
    assert one.position.rows <= 100 + SLICE_ROWS
    one.tick(30.0)
    assert one.position.now_ms == behind_ms


def test_a_second_and_the_ends() -> None:
    one = Player(minute_by_minute(3), playing=False)
    one.step(Step.SECOND)
    settle(one)
    assert (one.position.now_ms, one.position.rows) == (T0 + 1_000, 1)
    one.seek(T0 + 10 * MINUTE)
    settle(one)
    assert (one.position.state, one.position.now_ms) == (State.ENDED, T0 + 2 * MINUTE)
    one.step(Step.TRADE)
    settle(one)
    assert one.position.state is State.ENDED
    epoch = one.position.epoch
    one.play()
    settle(one)
    assert (one.position.state, one.position.rows, one.position.epoch) == (State.PLAYING, 1, epoch + 1)


def test_moves_add_up_while_one_is_under_way() -> None:
    one = Player(minute_by_minute(100), playing=False)
    for _ in range(3):
        one.move(10 * MINUTE)
    one.move(-5 * MINUTE)
    settle(one)
    assert (one.position.now_ms, one.position.rows) == (T0 + 25 * MINUTE, 26)
    one.move(-MINUTE)
    one.move(-MINUTE)
    settle(one)
    assert (one.position.now_ms, one.position.rows) == (T0 + 23 * MINUTE, 24)


def test_studied_instruments_are_studied_from_the_beginning_and_after_going_back() -> None:
    one = Player(minute_by_minute(10), playing=False, studied=["AUSDT", "NONEUSDT"])

    def columns() -> list[int]:
        (study,) = one.stage.engine.lab.studies.values()
        ends: list[int] = study.columns()["ts_ms"].tolist()
        return ends

    one.seek(T0 + 5 * MINUTE)
    settle(one)
    before = columns()
    assert before[-1] == T0 + 5 * MINUTE
    one.seek(T0 + 9 * MINUTE)
    settle(one)
    one.seek(T0 + 5 * MINUTE)
    settle(one)
    assert columns() == before


def test_what_is_shown_changes_only_when_a_seek_back_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player, "SLICE_ROWS", 10)
    one = Player(minute_by_minute(100), speed=math.inf)
    settle(one)
    shown = one.stage
    one.seek(T0 + 49 * MINUTE)
    assert one.tick(0.0)
    position = one.position
    assert (position.state, position.rows, one.stage is shown) == (State.SEEKING, 100, True)
    assert position.progress is not None
    assert 0.1 < position.progress < 0.3
    settle(one)
    assert one.stage is not shown
    assert one.position.rows == 100  # it played on after arriving, as before
    assert one.position.epoch == 1


def test_wishes_that_cannot_be_are_refused_in_words() -> None:
    one = Player(minute_by_minute(3))
    with pytest.raises(UsageError, match=r"0\.5, 1, 2, 5, 10, 60, max"):
        one.set_speed(3.0)
    with pytest.raises(UsageError, match="allowed"):
        parse_speed("fast")
    with pytest.raises(NotFoundError):
        one.step(Step.TRADE, "NONEUSDT")
    assert [parse_speed(speed_name(speed)) for speed in SPEEDS] == list(SPEEDS)


def test_the_ring_of_minutes_is_as_long_as_the_input_where_memory_allows() -> None:
    assert minutes_for(0, 1) == minutes_for(2_046 * MINUTE, 1) == 2_048
    assert minutes_for(2_047 * MINUTE, 1) == 4_096
    assert minutes_for(365 * 1440 * MINUTE, 1) == 131_072  # 91 days
    assert minutes_for(365 * 1440 * MINUTE, 600) * 664 * BASE.itemsize <= RING_BYTES


def test_a_report_holds_every_minute_of_a_long_input() -> None:
    source = minute_by_minute(5_000)
    cursor = Cursor(source, ThresholdsConfig())
    while not cursor.advance(1 << 62, SLICE_ROWS):
        pass
    report = cursor.stage.report(source.names)
    candles = report["symbols"]["binance:AUSDT"]["candles_1m"]
    assert [candle["open_ts"] for candle in candles] == [T0 + k * MINUTE for k in range(5_000)]
    assert report["integrity"]["trades_without_candle"] == 0


def test_a_report_counts_what_no_candle_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapewatch.replay.stage.RING_BYTES", 1 << 20)
    source = minute_by_minute(5_000)
    cursor = Cursor(source, ThresholdsConfig())
    while not cursor.advance(1 << 62, SLICE_ROWS):
        pass
    report = cursor.stage.report(source.names)
    assert len(report["symbols"]["binance:AUSDT"]["candles_1m"]) == 2_048
    assert report["integrity"]["trades_without_candle"] == 5_000 - 2_048
