"""A stored range played back: the state is that of the rows it was stored from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from program import run
from tapes import T0, liquidation, tape, trade, universe
from tapewatch.config import ThresholdsConfig
from tapewatch.engine import Engine
from tapewatch.model.errors import NotFoundError, UsageError
from tapewatch.model.tape import Tape
from tapewatch.replay import Cursor, Player
from tapewatch.replay.report import state_hash
from tapewatch.replay.stored import StoredRange, parse_utc
from tapewatch.store.reader import Reader
from tapewatch.store.writer import Store

HOUR, MINUTE = 3_600_000, 60_000
NAMES = ("AUSDT", "BUSDT")


def rows() -> Tape:
    """Three hours of two instruments and a few liquidations, in order of time."""
    return tape(
        row
        for k in range(3 * 60)
        for row in (
            trade(k + 1, T0 + k * MINUTE, 1000 + k % 7, 1 + k % 5, sell=k % 3 == 0),
            trade(k + 1, T0 + k * MINUTE + 10, 500 + k % 3, 2, i=1),
            *([liquidation(T0 + k * MINUTE + 20, 10**10, 3, long=True)] if k % 20 == 0 else []),
        )
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    store = Store(folder).open()
    for start in range(0, len(rows()), 100):
        store.write(universe(*NAMES), rows().slice(start, start + 100), name=f"part{start}")
    store.close()
    return folder


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    reader = Reader(folder)
    yield reader
    reader.close()


def settle(player: Player) -> None:
    while player.tick(0.0):
        pass


def test_a_stored_range_ends_in_the_state_of_its_rows(reader: Reader) -> None:
    """Rows at and after the start, before the end; played straight, and by a seek back."""
    source = StoredRange.open(reader, "binance", T0 + HOUR, T0 + 2 * HOUR)
    engine = Engine(universe(*NAMES), ThresholdsConfig())
    inside = (rows().rows["ts_ms"] >= T0 + HOUR) & (rows().rows["ts_ms"] < T0 + 2 * HOUR)
    engine.apply(Tape(rows().rows[inside], rows().levels))
    player = Player(source, playing=False)
    player.seek(T0 + 2 * HOUR)
    settle(player)
    assert player.position.rows == int(inside.sum())
    for i in range(2):
        assert player.stage.engine.flow.trades[i] == engine.flow.trades[i]
    ended = player.state_hash()
    player.seek(T0 + HOUR)
    player.seek(T0 + 90 * MINUTE)
    settle(player)
    assert player.position.now_ms == T0 + 90 * MINUTE
    player.seek(T0 + 2 * HOUR)
    settle(player)
    assert player.state_hash() == ended
    assert ended == state_hash(player.stage.engine)


def test_only_the_chosen_instruments_are_played(reader: Reader) -> None:
    source = StoredRange.open(reader, "binance", T0, T0 + 3 * HOUR, ["BUSDT"])
    cursor = Cursor(source, ThresholdsConfig())
    while not cursor.advance(1 << 62, 1 << 20):
        pass
    assert [one.symbol for one in cursor.stage.engine.universe] == ["BUSDT"]
    assert cursor.stage.engine.totals()["count"] == 180
    with pytest.raises(NotFoundError):
        StoredRange.open(reader, "binance", T0, T0 + HOUR, ["NONEUSDT"])


def test_the_range_shown_is_what_there_is_of_it(reader: Reader) -> None:
    source = StoredRange.open(reader, "binance", T0 - HOUR, T0 + 9 * HOUR)
    assert (source.first_ms, source.last_ms) == (T0, T0 + 179 * MINUTE + 10)
    assert source.names == ["binance 2026-01-01 00:00:00 to 2026-01-01 02:59:00 UTC"]
    with pytest.raises(UsageError, match="stored is: 2026-01-01 00:00:00 to 2026-01-01 02:59:00 UTC"):
        StoredRange.open(reader, "binance", T0 - 2 * HOUR, T0 - HOUR)


def test_times_are_read_as_utc() -> None:
    assert parse_utc("2026-01-01") == parse_utc("2026-01-01T00:00") == parse_utc("2026-01-01T01:00+01:00") == T0
    with pytest.raises(UsageError, match="is no time"):
        parse_utc("yesterday")


def test_the_command_plays_a_stored_range_twice_to_the_same_hash(folder: Path, tmp_path: Path) -> None:
    arguments = ("replay", "--data", str(folder), "--from", "2026-01-01T00:30", "--to", "2026-01-01T02:00")
    first, second = run(tmp_path, *arguments), run(tmp_path, *arguments, "--symbols", "AUSDT,BUSDT")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    assert first.stdout.startswith("184 events, state ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give recordings to play, or --from and --to"),
        (("--from", "2026-01-02", "--to", "2026-01-01"), "--from 2026-01-02 must be before --to 2026-01-01"),
        (("--from", "2030-01-01", "--to", "2031-01-01"), "nothing is stored of binance from 2030-01-01"),
    ],
)
def test_a_range_that_cannot_be_is_refused_in_words(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    told = run(tmp_path, "replay", "--data", str(folder), *arguments)
    assert told.returncode == 2
    assert sentence in told.stderr
