"""The journal as the event loop sees it: a copy and no waiting, bounds that hold, holes that are written down."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from disks import FaultyDisk, small_disk
from journals import entry, number, read_all
from tapewatch.journal import Content, DataLock, Journal, Limits, Record, Rotation, StreamClass, files, read, recover
from tapewatch.journal.guard import ALL_BUT_TRADES, BOOKS, Guard, expirable
from tapewatch.model.errors import TapewatchError
from waiting import wait_until

GIB = 1 << 30


def notes(folder: Path) -> list[dict[str, object]]:
    return [json.loads(record.payload) for record in read_all(folder)[0] if record.content is Content.NOTE]


def numbers(folder: Path) -> list[int]:
    return [number(record) for record in read_all(folder)[0] if record.content is Content.FRAMES]


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


def journal_on(folder: Path, disk: FaultyDisk | None = None, **options: object) -> Journal:
    recover(folder)
    journal = Journal(folder, "binance", disk=disk, **options)  # type: ignore[arg-type]
    journal.start()
    return journal


def test_what_is_appended_is_on_the_disk_within_its_time(tmp_path: Path) -> None:
    journal = journal_on(tmp_path)
    for n in range(500):
        assert journal.add(entry(n))
    wait_until(lambda: journal.status.synced == 500 and not journal.status.queue_bytes)
    status = journal.status
    assert (status.state, status.records, status.queue_bytes, status.dropped_reads) == ("recording", 500, 0, 0)
    assert status.sync_age_s == 0.0
    assert numbers(tmp_path) == list(range(500))
    journal.close()
    assert journal.status.state == "closed"
    assert not journal.add(entry(500))  # nobody would write it: counted, not kept
    assert journal.status.dropped_reads == 1


def test_appending_copies(tmp_path: Path) -> None:
    journal = journal_on(tmp_path)
    buffer, ends = bytearray(b"{1}{22}"), [3, 7]
    journal.append(Content.FRAMES, StreamClass.TRADES, 5, buffer, ends)
    buffer[:] = b"#######"
    ends[:] = [0, 0]
    journal.close()
    (record,) = read_all(tmp_path)[0]
    assert (record.recv_ns, list(record.frames())) == (5, [b"{1}", b"{22}"])


def test_a_full_queue_drops_the_newest_and_notes_the_hole_where_it_is(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = journal_on(tmp_path, disk, queue_bytes=20_000)
    journal.add(entry(0))
    wait_until(lambda: journal.status.synced == 1 and not journal.status.queue_bytes)
    disk.flowing.clear()
    taken = [n for n in range(1, 200) if journal.add(entry(n))]
    assert taken == list(range(1, len(taken) + 1))
    status = journal.status
    assert status.queue_bytes <= status.queue_high_bytes <= 20_000
    assert (status.dropped_reads, status.dropped_frames) == (199 - len(taken), 199 - len(taken))
    disk.flowing.set()
    wait_until(lambda: journal.status.queue_bytes == 0)
    assert journal.add(entry(1_000))
    journal.close()
    records, damages = read_all(tmp_path)
    assert damages == []
    assert [record.content for record in records] == [Content.FRAMES] * (1 + len(taken)) + [
        Content.NOTE, Content.FRAMES,
    ]  # fmt: skip
    assert numbers(tmp_path) == [0, *taken, 1_000]
    first, last = entry(taken[-1] + 1), entry(199)
    assert notes(tmp_path) == [
        {
            "event": "dropped",
            "from_ns": first.recv_ns,
            "to_ns": last.recv_ns,
            "reads": 199 - len(taken),
            "frames": 199 - len(taken),
            "bytes": sum(len(entry(n).payload) for n in range(taken[-1] + 1, 200)),
            "classes": {"trades": 199 - len(taken)},
        }
    ]


async def test_recording_never_waits_for_a_stalled_disk(
    tmp_path: Path, disk: FaultyDisk, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk answers again only after all is appended: an event loop that waited for it would never get there."""
    journal = journal_on(tmp_path, disk, queue_bytes=4_000_000)
    turns_ms: dict[str, list[float]] = {"answers": [], "hangs": []}
    for state, turns in turns_ms.items():
        if state == "hangs":
            disk.flowing.clear()
        for n in range(2_000):
            assert journal.add(entry(n))
            if n % 10 == 0:
                began = time.perf_counter()
                await asyncio.sleep(0)
                turns.append((time.perf_counter() - began) * 1_000)
    assert journal.status.records < 4_000  # the second half is stuck
    disk.flowing.set()
    await asyncio.to_thread(journal.close)
    assert numbers(tmp_path) == [*range(2_000), *range(2_000)]
    with capsys.disabled():
        for state, turns in turns_ms.items():
            turns.sort()
            middle, late, worst = turns[len(turns) // 2], turns[len(turns) * 99 // 100], turns[-1]
            sys.stdout.write(f"\ndisk {state}: loop turns p50 {middle:.3f} p99 {late:.3f} max {worst:.3f} ms")


def test_writing_goes_on_while_an_fsync_takes_its_time(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = journal_on(tmp_path, disk)
    journal.add(entry(0))
    wait_until(lambda: journal.status.synced == 1)
    disk.confirming.clear()
    for n in range(1, 100):
        journal.add(entry(n))
        wait_until(lambda n=n: journal.status.records == n + 1)  # type: ignore[misc]
    assert journal.status.synced == 1
    assert numbers(tmp_path) == list(range(100))
    assert journal.status.queue_bytes == sum(entry(n).size for n in range(1, 100))  # bounded until it is safe
    disk.confirming.set()
    wait_until(lambda: journal.status.synced == 100)
    journal.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_recording_stops_loudly_and_resumes_when_the_disk_is_back(
    tmp_path: Path, disk: FaultyDisk, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal = journal_on(tmp_path, disk)
    journal.add(entry(0))
    wait_until(lambda: journal.status.synced == 1)
    disk.fail = {"write": code, "create": code}
    journal.add(entry(1))
    wait_until(lambda: journal.status.state == "stopped")
    assert os.strerror(code) in journal.status.detail
    assert journal.add(entry(2))  # waits in the queue
    assert journal.status.sync_age_s > 0
    disk.fail = {}
    wait_until(lambda: journal.status.synced == 3)
    assert journal.status.state == "recording"
    journal.close()
    assert numbers(tmp_path) == [0, 1, 2]
    told = [record.getMessage().split()[0] for record in caplog.records]
    assert told.count("journal_write_failed") == 1  # once an episode, not once a second
    assert told.count("journal_goes_on") == 1


@pytest.fixture
def megabyte(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    with small_disk(tmp_path / "small", "1m"):
        yield tmp_path / "small"


def test_a_disk_that_is_really_full(megabyte: Path) -> None:
    ballast = megabyte / "ballast"
    ballast.write_bytes(bytes(600_000))
    folder = megabyte / "journal"
    journal = journal_on(folder)
    n = 0

    def settled() -> bool:
        return journal.status.records == n or journal.status.state == "stopped"

    while journal.status.state == "recording":
        journal.add(entry(n, 2_000))
        n += 1
        wait_until(settled)
    assert "No space left on device" in journal.status.detail
    acknowledged = journal.status.records
    for _ in range(50):
        assert journal.add(entry(n, 2_000))
        n += 1
    assert acknowledged <= len(numbers(folder)) < n
    ballast.unlink()
    wait_until(lambda: journal.status.synced == n)
    journal.close()
    records, damages = read_all(folder)
    assert damages == []
    assert [number(record) for record in records] == list(range(n))


def test_a_data_folder_that_somebody_removes_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tapewatch.journal.journal.GUARD_S", 0.01)
    monkeypatch.setattr("tapewatch.journal.journal.RETRY_S", 0.01)
    journal = journal_on(tmp_path / "journal")
    journal.add(entry(0))
    wait_until(lambda: journal.status.synced == 1)
    shutil.rmtree(tmp_path / "journal")
    wait_until(lambda: journal.status.failures == 1)
    journal.add(entry(1))
    wait_until(lambda: journal.status.synced == 2)
    assert journal.status.state == "recording"
    journal.close()
    assert numbers(tmp_path / "journal") == [1]
    assert {"journal_look_failed", "journal_removed"} <= {record.getMessage().split()[0] for record in caplog.records}


def test_a_defect_in_the_thread_is_not_silent(tmp_path: Path) -> None:
    journal = journal_on(tmp_path)
    journal._queue.append("no entry")  # type: ignore[arg-type]
    wait_until(lambda: journal.fault is not None)
    assert isinstance(journal.fault, AttributeError)
    assert journal.status.state == "stopped"


def test_a_hung_disk_does_not_keep_the_program_from_ending(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch.journal.journal.STOP_WITHIN_S", 0.2)
    journal = journal_on(tmp_path, disk)
    disk.flowing.clear()
    journal.add(entry(0))
    wait_until(lambda: disk.calls["create"] == 1)
    journal.close()
    disk.flowing.set()
    wait_until(lambda: numbers(tmp_path) == [0])


# -- the disk guard and what is kept ----------------------------------------------------------------------------------


def test_the_guard_gives_up_books_first_then_marks_and_never_trades() -> None:
    guard = Guard(Limits(min_free_bytes=2 * GIB, max_bytes=10 * GIB))
    steps = [
        (5 * GIB, 0, frozenset()),
        (2 * GIB - 1, 0, BOOKS),
        (GIB - 1, 0, ALL_BUT_TRADES),
        (int(1.05 * GIB), 0, ALL_BUT_TRADES),  # not at once: it would flutter
        (int(1.2 * GIB), 0, BOOKS),
        (int(2.1 * GIB), 0, BOOKS),
        (int(2.3 * GIB), 0, frozenset()),
        (5 * GIB, 11 * GIB, BOOKS),
        (5 * GIB, int(9.5 * GIB), BOOKS),
        (5 * GIB, 9 * GIB, frozenset()),
        (0, 0, ALL_BUT_TRADES),
    ]
    assert [guard.look(free, used)[0] for free, used, _ in steps] == [expected for _, _, expected in steps]
    assert not {StreamClass.TRADES, StreamClass.LIQUIDATIONS} & ALL_BUT_TRADES
    assert guard.look(GIB, 0)[1] == "1,073,741,824 bytes free, 2,147,483,648 wanted (store.min_free_bytes)"


def test_without_bounds_the_guard_sleeps() -> None:
    assert Guard(Limits()).look(0, 1 << 60)[0] == frozenset()


def test_what_the_guard_stops_is_noted_in_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Filling(FaultyDisk):
        free = 5 * GIB

        def free_bytes(self, folder: Path) -> int:  # noqa: ARG002
            return self.free

    monkeypatch.setattr("tapewatch.journal.journal.GUARD_S", 0.01)
    filling = Filling()
    journal = journal_on(tmp_path, filling, limits=Limits(min_free_bytes=2 * GIB))
    wait_until(lambda: journal.status.disk_free_bytes == 5 * GIB)
    assert journal.guarded == frozenset()
    filling.free = GIB
    wait_until(lambda: journal.guarded == BOOKS)
    assert journal.status.guarded == ("depth", "quotes")
    assert journal.status.state == "recording"
    filling.free = 3 * GIB
    wait_until(lambda: journal.guarded == frozenset())
    journal.close()
    told = notes(tmp_path)
    assert [(one["event"], one["classes"]) for one in told] == [
        ("stopped", ["depth", "quotes"]),
        ("resumed", ["depth", "quotes"]),
    ]
    since = told[0]["from_ns"]
    assert [one["from_ns"] for one in told] == [since, since]
    assert [one["to_ns"] == since for one in told] == [True, False]


def test_the_guard_gives_up_only_what_is_recorded_and_says_again_that_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(FaultyDisk):
        def free_bytes(self, folder: Path) -> int:  # noqa: ARG002
            return GIB

    monkeypatch.setattr("tapewatch.journal.journal.GUARD_S", 0.01)
    monkeypatch.setattr("tapewatch.journal.journal.GUARD_NOTE_S", 0.02)
    recorded = (StreamClass.TRADES, StreamClass.DEPTH)
    journal = journal_on(tmp_path, Full(), limits=Limits(min_free_bytes=2 * GIB), classes=recorded)
    wait_until(lambda: len(notes(tmp_path)) >= 3)
    journal.close()
    told = notes(tmp_path)
    assert {(one["event"], tuple(one["classes"]), one["from_ns"]) for one in told} == {  # type: ignore[arg-type]
        ("stopped", ("depth",), told[0]["from_ns"])
    }
    assert [one["to_ns"] for one in told] == sorted({one["to_ns"] for one in told})  # type: ignore[type-var]


def closed_files(folder: Path, count: int) -> list[Path]:
    journal = journal_on(folder, rotation=Rotation(after_bytes=1))
    for n in range(count):
        journal.add(entry(n))
        wait_until(lambda n=n: len(files(folder)) == n + 1)  # type: ignore[misc]
    journal.close()
    return [file.path for file in files(folder)]


def kept_within(folder: Path, limits: Limits, expired: int, disk: FaultyDisk | None = None) -> Journal:
    """A journal that has looked at what it may keep."""
    journal = journal_on(folder, disk, limits=limits)
    wait_until(lambda: journal.status.expired_files == expired)
    journal.close()
    return journal


def test_closed_files_that_are_too_old_are_deleted_and_their_loss_is_noted(tmp_path: Path) -> None:
    """Files wait for the sealer; those that wait too long are lost, and what was in them is said before they go."""
    made = closed_files(tmp_path, 4)
    for path in made[:2]:
        os.utime(path, (0, time.time() - 7_200))
    size = sum(path.stat().st_size for path in made[:2])
    status = kept_within(tmp_path, Limits(keep_s=3_600), 2).status
    assert (status.expired_files, status.expired_bytes) == (2, size)
    assert numbers(tmp_path) == [2, 3]
    told = notes(tmp_path)
    assert [(one["event"], one["file"], one["classes"], one["frames"]) for one in told] == [
        ("expired", path.name, {"trades": 1}, 1) for path in made[:2]
    ]
    assert [one["from_ns"] for one in told] == [one["to_ns"] for one in told] == [entry(n).recv_ns for n in (0, 1)]


def test_beyond_its_size_the_journal_loses_its_oldest_files_and_never_their_notes(tmp_path: Path) -> None:
    made = closed_files(tmp_path, 4)
    size = made[0].stat().st_size
    kept_within(tmp_path, Limits(max_bytes=3 * size), 1)
    assert [path.exists() for path in made] == [False, True, True, True]
    # The file that holds the note goes too: the note is handed on.
    for path in [file.path for file in files(tmp_path)]:
        os.utime(path, (0, time.time() - 7_200))
    kept_within(tmp_path, Limits(keep_s=3_600), 3)
    assert {one["file"] for one in notes(tmp_path)} == {path.name for path in made}
    assert len(notes(tmp_path)) == 4
    assert numbers(tmp_path) == []


def test_nothing_is_deleted_while_the_disk_does_not_take_the_note(tmp_path: Path, disk: FaultyDisk) -> None:
    made = closed_files(tmp_path, 2)
    disk.fail["create"] = errno.ENOSPC
    journal = journal_on(tmp_path, disk, limits=Limits(max_bytes=1))
    wait_until(lambda: journal.status.state == "stopped")
    assert all(path.exists() for path in made)
    assert journal.status.expired_files == 0
    journal.close()


def test_a_file_that_is_being_written_is_never_deleted(tmp_path: Path) -> None:
    journal = journal_on(tmp_path)
    journal.add(entry(0))
    wait_until(lambda: journal.status.synced == 1)
    assert expirable(tmp_path, Limits(max_bytes=1, keep_s=1e-9))[0] == []
    assert numbers(tmp_path) == [0]
    journal.close()


# -- one program a data folder ----------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from tapewatch.journal import DataLock
lock = DataLock(Path(sys.argv[1]))
lock.acquire("then")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds the data folder."""
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    yield program
    program.kill()
    program.wait()
    program.stdout.close()


def test_a_second_program_is_refused_by_name(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = DataLock(tmp_path)
    with pytest.raises(TapewatchError) as refused:
        lock.acquire("now")
    assert str(refused.value) == (
        f"the data folder {tmp_path} is in use (process {holder.pid}, since then); stop that one, or choose another "
        "folder with --data"
    )
    held = lock.held_by()
    assert held is not None
    assert held.pid == holder.pid


def test_the_lock_of_a_killed_program_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    lock = DataLock(tmp_path)
    assert lock.held_by() is None
    lock.acquire("now")
    held = lock.holder()
    assert held is not None
    assert held.pid == os.getpid()
    lock.release()
    lock.acquire("again")
    lock.release()


def test_a_lock_file_that_says_nothing_locks_all_the_same(tmp_path: Path) -> None:
    one, other = DataLock(tmp_path), DataLock(tmp_path)
    one.acquire("now")
    one.path.write_bytes(b"")  # a full disk could not hold its words
    with pytest.raises(TapewatchError, match=r"is in use \(another tapewatch\)"):
        other.acquire("now")
    one.release()


def test_reading_goes_on_while_files_are_closed(tmp_path: Path) -> None:
    """A reader that lists a folder meets files that get their final name, and successors, meanwhile."""
    journal = journal_on(tmp_path, rotation=Rotation(after_bytes=2_000))
    n = seen = 0
    while seen < 2_000:
        journal.add(entry(n))
        n += 1
        if n % 10 == 0:
            for file in files(tmp_path, with_open=False):
                items = list(read(file.path))
                assert all(isinstance(item, Record) for item in items)
                seen += len(items)
    journal.close()
    assert numbers(tmp_path) == list(range(n))
