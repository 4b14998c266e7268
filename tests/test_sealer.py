"""The sealer: journal files become segments and rows once, whatever dies in between."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from postgres import Server
from sealing import run_for, seal_all, sealer_that_dies, task_of, write_journal
from tapes import T0, Row, liquidation, tape, trade, universe
from tapewatch.api.health import sealing_health
from tapewatch.config import StoreConfig
from tapewatch.engine import Engine
from tapewatch.journal import Content, Journal, StreamClass, files
from tapewatch.journal.format import instruments_entry
from tapewatch.journal.journal import note
from tapewatch.node.sealing import Sealing
from tapewatch.replay.report import state_hash
from tapewatch.store import crash, heap, tables
from tapewatch.store.reader import Reader, concatenated
from tapewatch.store.sealer import Sealer, Status
from tapewatch.store.segments import distinct
from tapewatch.store.upkeep import expire
from tapewatch.store.writer import Store
from venue_words import ALL, NOW, Words, text
from waiting import WITHIN_S, wait_until

HOUR = 3_600_000
KILLS = int(os.environ.get("TAPEWATCH_KILLS", "30"))
POINTS = [
    "segment_written", "segment_synced", "segment_renamed", "before_commit", "after_commit", "before_removal",
    "before_exchange", "after_exchange", "segment_removed",
]  # fmt: skip


def rows_of(part: int) -> list[Row]:
    """A part of a market: three symbols, a trade every few seconds, some liquidations; parts overlap a little."""
    rows = []
    for i in range(3):
        for k in range(part * 90, part * 90 + 100):
            at = T0 + k * 7_000 + i
            rows.append(trade(1 + k, at, 500 + (k * 31 + i) % 40, 1 + k % 9, sell=k % 2 == 0, i=i))
    rows += [liquidation(T0 + part * 630_000 + k * 1_000, 10**11, k, long=k % 2 == 0, i=k % 3) for k in range(1, 8)]
    return sorted(rows, key=lambda row: row.columns["ts_ms"])


FREED = """
import re
from pathlib import Path
from tapewatch.store import heap

def anonymous():
    return int(re.search(r"^Anonymous: +([0-9]+) kB", Path("/proc/self/smaps_rollup").read_text(), re.M)[1])

begin = anonymous()
many = [(str(k), [k] * 100, bytes(1000)) for k in range(100_000)]
full = anonymous()
kept = many[::1000]
del many
heap.give_back()
print(full - begin, anonymous() - begin)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_sealer_frees_goes_back_though_some_of_it_is_kept() -> None:
    """A thousandth of what was made is kept, spread over all of it."""
    run = subprocess.run(
        [sys.executable, "-c", FREED],
        env={**os.environ, **heap.ENVIRONMENT},
        capture_output=True,
        check=True,
        text=True,
    )
    full, left = map(int, run.stdout.split())
    assert full > 150_000
    assert left < full / 20


def fill(folder: Path, parts: int) -> None:
    for part in range(parts):
        write_journal(folder, universe("BTCUSDT", "ETHUSDT", "XRPUSDT"), rows_of(part))


def journal_files(folder: Path) -> list[Path]:
    return sorted((folder / "journal" / "binance").glob("*.journal*"))


def all_rows(folder: Path, url: str = "") -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the catalog that follows from what was received, and every stored trade."""
    reader = Reader(folder, url)
    out: dict[str, list[tuple[Any, ...]]] = {}
    names = ("candles", "volume_profile", "daily_stats", "liquidations", "id_ranges")
    with reader.catalog.read() as connection:
        for name in names:
            out[name] = sorted(map(tuple, connection.execute(sa.select(tables.metadata.tables[name]))))
        paths = set(connection.scalars(sa.select(tables.segments.c.path)))
    trades = concatenated(list(reader.tapes("binance", 0, 1 << 60)))
    out["tape"] = [(int(r["ts_ms"]), int(r["id"]), int(r["instrument"]), int(r["qty"])) for r in trades.rows]
    on_disk = {path.relative_to(folder).as_posix() for path in (folder / "segments").rglob("*") if path.is_file()}
    assert on_disk == paths, "no strays, nothing missing"
    reader.close()
    return out


def test_sealed_files_give_what_the_engine_saw_live(tmp_path: Path) -> None:
    fill(tmp_path, 8)
    status = seal_all(task_of(tmp_path))
    assert journal_files(tmp_path) == []
    assert (status.files, status.rejected, status.damaged, status.caught_up) == (8, 0, 0, True)
    grids = universe("BTCUSDT", "ETHUSDT", "XRPUSDT")
    live, stored = Engine(grids), Engine(grids)
    live.apply(distinct(tape(row for part in range(8) for row in rows_of(part))))
    reader = Reader(tmp_path)
    for one in reader.tapes("binance", 0, 1 << 60, universe=grids):
        stored.apply(one)
    reader.close()
    assert state_hash(stored) == state_hash(live)
    assert status.rows == 3 * (7 * 90 + 100) + 8 * 7


def test_small_segments_of_an_hour_that_is_over_become_one(tmp_path: Path) -> None:
    fill(tmp_path, 15)  # two hours and a half
    seal_all(task_of(tmp_path))
    with Reader(tmp_path).catalog.read() as connection:
        table = tables.segments
        found = connection.execute(sa.select(table.c.first_ms, table.c.rows).order_by(table.c.first_ms)).all()
    hours = [row[0] // HOUR - T0 // HOUR for row in found]
    assert hours.count(0) == hours.count(1) == 1
    assert sum(row[1] for row in found) == 3 * (14 * 90 + 100)
    assert len(all_rows(tmp_path)["tape"]) == 3 * (14 * 90 + 100) + 15 * 7


def test_killed_at_every_point_and_at_random_moments_the_result_is_the_same(tmp_path: Path) -> None:
    """`kill -9` again and again on one data folder; then what a sealer left alone makes of the same files."""
    parts = max(24, KILLS)  # enough for each point to be reached while there is something to do
    fill(tmp_path / "calm", parts)
    seal_all(task_of(tmp_path / "calm"))
    killed = tmp_path / "killed"
    rng = random.Random(1)
    task = task_of(killed)
    written = at_points = 0
    for kill in range(KILLS):
        while written < parts and len(journal_files(killed)) < 2:  # the market goes on meanwhile
            write_journal(killed, universe("BTCUSDT", "ETHUSDT", "XRPUSDT"), rows_of(written))
            written += 1
        point = POINTS[kill % len(POINTS)] if kill % 4 else ""
        process = sealer_that_dies(task, point, rng.randint(1, 2))
        if not point:
            process.join(rng.uniform(0.0, 1.5))
            process.kill()
        process.join(WITHIN_S)
        assert process.exitcode in {0, -signal.SIGKILL}
        at_points += bool(point) and process.exitcode != 0
    for part in range(written, parts):
        write_journal(killed, universe("BTCUSDT", "ETHUSDT", "XRPUSDT"), rows_of(part))
    assert at_points >= KILLS // 3, "points were reached"
    seal_all(task)
    assert journal_files(killed) == []
    assert all_rows(killed) == all_rows(tmp_path / "calm")


def test_damaged_files_give_what_is_intact(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    path = journal_files(tmp_path)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    status = seal_all(task_of(tmp_path))
    assert status.damaged == 1
    assert 0 < status.rows < 307
    assert journal_files(tmp_path) == []


def test_a_file_that_says_nothing_of_its_instruments_waits_for_somebody(tmp_path: Path) -> None:
    fill(tmp_path, 1)
    path = journal_files(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'"tick":', b'"tock":'))
    status = seal_all(task_of(tmp_path))
    assert (status.files, status.rows) == (0, 0)
    assert journal_files(tmp_path) == [path]


def test_postgresql_that_stalls_and_dies_only_delays(tmp_path: Path, postgres: Server) -> None:
    """Stopped in the middle (SIGSTOP), then down and up again: files wait, then all of it is there, once."""
    url = postgres.new_database()
    fill(tmp_path, 3)
    sealer = Sealer(task_of(tmp_path, url))
    stop = threading.Event()
    thread, told = run_for(sealer, stop)
    try:
        wait_until(lambda: sealer.status.files == 3)
        for process in postgres.processes():
            os.kill(process, signal.SIGSTOP)
        for part in range(3, 6):
            write_journal(tmp_path, universe("BTCUSDT", "ETHUSDT", "XRPUSDT"), rows_of(part))
        for process in postgres.processes():
            os.kill(process, signal.SIGCONT)
        wait_until(lambda: sealer.status.files == 6)
        postgres.stop()
        write_journal(tmp_path, universe("BTCUSDT", "ETHUSDT", "XRPUSDT"), rows_of(6))
        wait_until(lambda: sealer.status.error != "")
        assert len(journal_files(tmp_path)) == 1
        postgres.start()
        wait_until(lambda: sealer.status.files == 7 and not journal_files(tmp_path))
    finally:
        stop.set()
        thread.join(WITHIN_S)
    assert any("does not answer" in status.error or "closed the connection" in status.error for status in told)
    fill(tmp_path / "calm", 7)
    seal_all(task_of(tmp_path / "calm"))
    assert all_rows(tmp_path, url)["tape"] == all_rows(tmp_path / "calm")["tape"]


def test_retention_takes_whole_days_and_leaves_what_was_imported(tmp_path: Path) -> None:
    grids = universe("BTCUSDT", "ETHUSDT", "XRPUSDT")
    day = 24 * HOUR
    for k in range(3):
        rows = [trade(1 + k * 10 + j, T0 + k * day + j * 1_000, 500, 1) for j in range(10)]
        write_journal(tmp_path, grids, rows)
    seal_all(task_of(tmp_path))
    store = Store(tmp_path).open()
    imported = [trade(1000 + j, T0 - 5 * day + j, 500, 1, i=1) for j in range(10)]
    store.write(grids, tape(imported), name="archive")
    now = T0 + 3 * day
    assert expire(store, now, 2 * 86_400.0, 0) == 1
    assert expire(store, now, 2 * 86_400.0, 0) == 0
    assert expire(store, now, 0.0, 1) == 1, "too much for one byte: the oldest day goes"
    reader = Reader(tmp_path)
    back = concatenated(list(reader.tapes("binance", 0, 1 << 60)))
    assert sorted(back.rows["id"].tolist()) == [*range(21, 31), *range(1000, 1010)]
    with store.catalog.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.daily_stats)) == 4
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.candles)) == 2
    reader.close()
    store.close()


def test_a_clock_that_jumps_ahead_deletes_nothing(tmp_path: Path) -> None:
    write_journal(tmp_path, universe(), [trade(1 + j, T0 + j * 1_000, 500, 1) for j in range(10)])
    seal_all(task_of(tmp_path))
    store = Store(tmp_path).open()
    for years in (1, 30):
        assert expire(store, T0 + years * 365 * 24 * HOUR, 30 * 86_400.0, 1 << 40) == 0
    store.close()


def test_the_process_seals_tells_and_ends_with_its_parent(tmp_path: Path) -> None:
    """The command that the node starts: its task on standard input, status lines on standard output."""
    fill(tmp_path, 2)
    process = subprocess.Popen(
        [sys.executable, "-m", "tapewatch", "seal"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(msgspec.json.encode(task_of(tmp_path)) + b"\n")
    process.stdin.flush()
    status = Status()
    while not status.caught_up:
        status = msgspec.json.decode(process.stdout.readline(), type=Status)
    assert (status.files, status.waiting_files) == (2, 0)
    process.stdin.close()
    assert process.wait(WITHIN_S) == 0


async def test_a_sealer_that_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, 3)
    monkeypatch.setenv(crash.VARIABLE, "after_commit:2")
    sealing = Sealing(StoreConfig(path=str(tmp_path), retention="forever"))
    running = asyncio.create_task(sealing.run())
    async with asyncio.timeout(WITHIN_S):
        await sealing.caught_up.wait()
    running.cancel()
    await asyncio.wait([running])
    assert sealing.restarts == 1
    assert journal_files(tmp_path) == []
    told = sealing_health(sealing)  # what /health says: counts since its last start
    assert told.pop("rows") + told.pop("duplicates") == 307
    assert told == {
        "files": 1, "rejected": 0, "damaged": 0, "refused": [], "waiting_files": 0, "waiting_bytes": 0,
        "caught_up": True, "error": "", "restarts": 1,
    }  # fmt: skip
    reader = Reader(tmp_path)
    stored = concatenated(list(reader.tapes("binance", 0, 1 << 60)))
    reader.close()
    assert len(stored) == 3 * (2 * 90 + 100) + 3 * 7


@pytest.mark.parametrize("venue", ["binance", "nobody-knows"])
def test_only_known_venues_are_sealed(tmp_path: Path, venue: str) -> None:
    grids = universe()
    rows = [trade(k, T0 + k, 500, 1) for k in range(1, 5)]
    write_journal(tmp_path, grids, rows)
    (tmp_path / "journal" / "binance").rename(tmp_path / "journal" / venue)
    assert seal_all(task_of(tmp_path)).files == (1 if venue == "binance" else 0)


def test_a_journal_file_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    first = journal_files(tmp_path)[0]
    first.write_bytes(b"not ours")
    status = seal_all(task_of(tmp_path))
    assert (status.files, journal_files(tmp_path)) == (1, [first])
    assert status.refused == [first.name]


def test_what_the_journal_could_not_take_is_a_hole_in_the_catalog(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal" / "binance", "binance")
    journal.start()
    journal.add(instruments_entry(list(universe("BTCUSDT")), T0 * 10**6))
    lost = {"from_ns": T0 * 10**6, "to_ns": (T0 + 900) * 10**6, "reads": 7, "frames": 9, "bytes": 500}
    journal.add(note("dropped", (T0 + 900) * 10**6, **lost, classes={"trades": 5, "liquidations": 2}))
    for event, to_ms in (("stopped", 950), ("stopped", 960), ("resumed", 970)):  # the same hole, as long as it lasts
        since = {"from_ns": (T0 + 950) * 10**6, "to_ns": (T0 + to_ms) * 10**6}
        journal.add(note(event, (T0 + to_ms) * 10**6, **since, classes=["depth"], reason="the disk is nearly full"))
    gone = {"from_ns": (T0 + 980) * 10**6, "to_ns": (T0 + 990) * 10**6, "file": "x", "frames": 1, "bytes": 9}
    journal.add(note("expired", (T0 + 999) * 10**6, **gone, classes={"trades": 1}))
    journal.close()
    seal_all(task_of(tmp_path))
    reader = Reader(tmp_path)
    holes = reader.gaps("binance", T0, T0 + 1_000).to_pylist()
    assert [(hole["stream"], hole["from_ms"], hole["to_ms"], hole["cause"], hole["missing"]) for hole in holes] == [
        ("trades", T0, T0 + 900, "not_recorded", 0),
        ("liquidations", T0, T0 + 900, "not_recorded", 0),
        ("depth", T0 + 950, T0 + 970, "not_recorded", 0),
        ("trades", T0 + 980, T0 + 990, "not_recorded", 0),
    ]


def _is_file_there(journal: Journal, number: int) -> bool:
    """Whether file `number`, from 0 on, has been closed."""
    return len(files(journal.folder, with_open=False)) > number


@pytest.mark.parametrize("words", [one for one in ALL if one.name in ("bybit", "okx")], ids=lambda one: one.name)
def test_what_a_message_says_against_others_of_the_file_before_is_understood(tmp_path: Path, words: Words) -> None:
    """Bybit tells of a ticker what has changed, OKX mark, index and funding apart; and a file ends anywhere."""
    first = words.mark("84000.1", "84001.2", "0.0001", NOW + HOUR)
    later = words.mark("84000.2", "84001.2", "0.0001", NOW + HOUR, NOW + 1_000)[-1]
    if words.name == "bybit":
        delta = {"symbol": "BTCUSDT", "markPrice": "84000.2"}
        later = text({"topic": "tickers.BTCUSDT", "type": "delta", "data": delta, "cs": 6, "ts": NOW + 1_000})
    journal = Journal(tmp_path / "journal" / words.name, words.name)
    journal.start()
    journal.add(instruments_entry(list(words.universe()), NOW * 10**6))
    for number, frames in enumerate((first, [later])):
        for frame in frames:
            journal.append(Content.FRAMES, StreamClass.MARKS, NOW * 10**6, frame, [len(frame)])
        journal.rotate()
        wait_until(partial(_is_file_there, journal, number))
    journal.close()
    seal_all(task_of(tmp_path))
    reader = Reader(tmp_path)
    rows = [row for tape in reader.tapes(words.name, 0, NOW * 2, universe=words.universe()) for row in tape.rows]
    reader.close()
    told = [tuple(int(row[name]) for name in ("price", "price2", "qty", "id")) for row in rows]
    prices = (8_400_010_000_000, 8_400_020_000_000)
    assert told == [(price, 8_400_120_000_000, 10_000, NOW + HOUR) for price in prices]
