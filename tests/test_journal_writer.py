"""The writer: what it acknowledges is there, once, whatever the disk does."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from disks import FaultyDisk
from journals import entry, number, read_all
from tapewatch.journal import Content, Damage, NewerFormatError, Reason, Record, Rotation, files, header, read, recover
from tapewatch.journal import writer as writing
from tapewatch.journal.format import FORMAT, MAGIC
from tapewatch.journal.writer import Writer


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


def numbers(folder: Path) -> list[int]:
    """What is in a folder; nothing may be wrong with it."""
    records, damages = read_all(folder)
    assert damages == []
    return [number(record) for record in records]


def test_files_follow_each_other_without_a_hole(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance", rotation=Rotation(after_bytes=3_000))
    for n in range(30):
        writer.write([entry(n)])
    writer.close()
    found = files(tmp_path)
    assert len(found) > 2
    assert [file.name.number for file in found] == list(range(1, len(found) + 1))
    assert all(file.closed for file in found)
    assert {header(file.path).session for file in found if header(file.path)} == {writer.session}  # type: ignore[union-attr]
    assert numbers(tmp_path) == list(range(30))
    assert {stat.S_IMODE(file.path.stat().st_mode) for file in found} == {0o600}


def test_a_file_without_records_is_not_rotated(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance", rotation=Rotation(after_s=0))
    writer.rotate()
    assert files(tmp_path) == []
    writer.write([entry(0)])
    writer.rotate()
    writer.rotate()
    assert [file.closed for file in files(tmp_path)] == [True]
    writer.close()


def test_what_is_flushed_is_readable_while_the_file_is_open(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    writer.write([entry(0), entry(1)])
    assert writer.flushed == 2
    assert writer.synced == 0
    assert numbers(tmp_path) == [0, 1]
    assert [file.closed for file in files(tmp_path)] == [False]
    writer.sync()
    assert writer.synced == 2
    writer.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("torn", [0, 1, 17, 300, 1_500])
def test_a_failed_write_loses_nothing_and_is_said(tmp_path: Path, disk: FaultyDisk, code: int, torn: int) -> None:
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(0), entry(1)])
    disk.fail, disk.torn = {"write": code, "create": code}, torn
    writer.write([entry(n) for n in range(2, 8)])
    assert writer.trouble == f"write: {os.strerror(code)}"
    assert writer.flushed == 2
    writer.write([entry(8)])
    assert writer.failures == 2
    disk.fail = {}
    writer.write()
    assert writer.trouble == ""
    assert writer.flushed == 9
    writer.close()
    assert numbers(tmp_path) == list(range(9))


@pytest.mark.parametrize(("torn", "whole"), [(0, 0), (17, 0), (300, 1), (1_500, 5)])
def test_whoever_reads_between_a_failed_write_and_the_next_file_sees_each_record_once(
    tmp_path: Path, disk: FaultyDisk, torn: int, whole: int
) -> None:
    """The program is killed while its disk is full: what had been written by then is there."""
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(0), entry(1)])
    disk.fail, disk.torn = {"write": errno.ENOSPC, "create": errno.ENOSPC}, torn
    writer.write([entry(n) for n in range(2, 8)])
    recover(tmp_path)
    records, damages = read_all(tmp_path)
    assert [number(record) for record in records] == list(range(2 + whole))
    assert {damage.reason for damage in damages} <= {Reason.TORN, Reason.UNCLOSED}


def test_a_failed_fsync_ends_the_file_and_is_not_asked_again(tmp_path: Path, disk: FaultyDisk) -> None:
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(0)])
    writer.sync()
    writer.write([entry(1), entry(2)])
    before = disk.calls["sync"]
    disk.fail = {"sync": errno.EIO}
    writer.sync()
    assert disk.calls["sync"] == before + 1
    assert writer.synced == 1
    assert writer.trouble.startswith("fsync: ")
    disk.fail = {}
    writer.write([entry(3)])
    writer.sync()
    assert writer.synced == 4
    assert writer.files == 2
    writer.close()
    first, second = (list(read(file.path)) for file in files(tmp_path))
    assert [number(item) for item in first if isinstance(item, Record) and item.content.numbered] == [0]
    assert [number(item) for item in second if isinstance(item, Record) and item.content.numbered] == [1, 2, 3]
    assert numbers(tmp_path) == [0, 1, 2, 3]


def test_records_whose_fsync_failed_survive_a_power_cut_once_they_are_written_again(
    tmp_path: Path, disk: FaultyDisk
) -> None:
    """The kernel may drop pages whose writing failed, and the next fsync would call that a success."""
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(0), entry(1)])
    disk.fail = {"sync": errno.EIO}
    writer.sync()
    disk.fail = {}
    writer.write()
    writer.sync()
    disk.forget_unsynced()
    recover(tmp_path)
    assert [number(record) for record in read_all(tmp_path)[0]] == [0, 1]


@pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "close"])
@pytest.mark.parametrize("moment", ["begin", "rotate", "end"])
def test_a_fault_of_any_operation_at_any_turn_loses_nothing(
    tmp_path: Path, disk: FaultyDisk, operation: str, moment: str
) -> None:
    writer = Writer(tmp_path, "binance", disk=disk)
    fault = {operation: errno.EIO}
    disk.fail = fault if moment == "begin" else {}
    writer.write([entry(0), entry(1)])
    disk.fail = fault if moment == "rotate" else {}
    writer.rotate(force=True)
    disk.fail = {}
    writer.write([entry(2)])
    disk.fail = fault if moment == "end" else {}
    writer.close()
    disk.fail = {}
    writer.close()
    recover(tmp_path, disk)
    records, damages = read_all(tmp_path)
    assert [number(record) for record in records] == [0, 1, 2]
    assert [damage for damage in damages if damage.reason is not Reason.UNCLOSED] == []
    assert list(tmp_path.glob("*.new")) == []


def test_a_large_batch_is_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: FaultyDisk) -> None:
    monkeypatch.setattr(writing, "BATCH_BYTES", 1_000)
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(n) for n in range(20)])
    assert disk.calls["write"] > 3
    writer.close()
    assert numbers(tmp_path) == list(range(20))


# -- recovery ---------------------------------------------------------------------------------------------------------


def test_recovery_closes_what_a_dead_program_left_and_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    writer.write([entry(0), entry(1)])
    (tmp_path / f"20260101T000000Z-{writer.session}-000002.journal.new").write_bytes(b"\x89TW")
    left = files(tmp_path)[0]
    before = left.path.read_bytes()
    found = recover(tmp_path)
    assert (len(found.files), found.records, found.strays) == (1, 2, 1)
    assert [damage.reason for damage in found.damages] == [Reason.UNCLOSED]
    assert found.files[0].read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [found.files[0].name]
    again = recover(tmp_path)
    assert (again.files, again.records, again.strays) == ([], 0, 0)


def test_recovery_leaves_a_torn_tail_as_it_is_and_reports_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    writer.write([entry(0), entry(1)])
    left = files(tmp_path)[0].path
    os.truncate(left, left.stat().st_size - 5)
    found = recover(tmp_path)
    assert found.records == 1
    assert [damage.reason for damage in found.damages] == [Reason.TORN]
    assert [number(record) for record in read_all(tmp_path)[0]] == [0]


def test_a_folder_with_files_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    writer.write([entry(0)])
    newer = tmp_path / "20270101T000000Z-00000000000000aa-000001.journal"
    newer.write_bytes(MAGIC[:-1] + bytes([FORMAT + 1]) + b"who knows")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(NewerFormatError, match="use that version, or move the file away"):
        recover(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_sessions_follow_each_other(tmp_path: Path) -> None:
    for session in range(3):
        recover(tmp_path)
        writer = Writer(tmp_path, "binance")
        writer.write([entry(10 * session + n) for n in range(3)])
    # In the order in which they began, or by chance where several began in one second: whole in any case.
    records = [number(record) for record in read_all(tmp_path)[0]]
    assert sorted(records) == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert all(records[at + 1] == records[at] + 1 for at in range(9) if at % 3 < 2)


# -- all of it, in any order ------------------------------------------------------------------------------------------


class WriterMachine(RuleBasedStateMachine):
    """A program that writes, and a disk and a machine that fail: nothing acknowledged is lost, nothing comes twice."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tapewatch-journal-"))
        self.disk = FaultyDisk()
        self.given = 0
        """Entries given to this session's writer."""
        self.sure: list[int] = []
        """Entries that earlier sessions had acknowledged when they died."""
        self.maybe: list[int] = []
        """Entries that they had not: there or not."""
        self.first = 0
        self.start()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def start(self) -> None:
        self.disk.fail, self.disk.budget = {}, None
        recover(self.folder, self.disk)
        self.writer = Writer(self.folder, "binance", disk=self.disk, rotation=Rotation(after_bytes=4_000))
        self.first += self.given
        self.given = 0

    @rule(count=st.integers(1, 6), size=st.integers(0, 900))
    def write(self, count: int, size: int) -> None:
        entries = [entry(self.first + self.given + n, size) for n in range(count)]
        self.given += count
        self.writer.write(entries)

    @rule()
    def write_again(self) -> None:
        self.writer.write()

    @rule()
    def sync(self) -> None:
        self.writer.sync()

    @rule()
    def begin_sync(self) -> None:
        self.writer.begin_sync()

    @rule(wait=st.booleans())
    def end_sync(self, wait: bool) -> None:
        self.writer.end_sync(wait=wait)

    @rule()
    def rotate(self) -> None:
        self.writer.rotate(force=True)

    @rule(
        operation=st.sampled_from(["create", "write", "sync", "rename", "close"]),
        code=st.sampled_from([errno.EIO, errno.ENOSPC]),
        torn=st.integers(0, 600),
    )
    def break_disk(self, operation: str, code: int, torn: int) -> None:
        self.disk.fail, self.disk.torn = {operation: code}, torn

    @rule(left=st.integers(0, 3_000))
    def fill_disk(self, left: int) -> None:
        self.disk.budget = left

    @precondition(lambda self: self.disk.fail or self.disk.budget is not None)
    @rule()
    def mend_disk(self) -> None:
        self.disk.fail, self.disk.budget = {}, None

    @rule()
    def kill(self) -> None:
        """What the operating system has survives the process."""
        self.die(self.writer.flushed)

    @rule()
    def cut_power(self) -> None:
        """What the disk has confirmed survives the machine."""
        if self.writer._syncing is not None:
            self.writer._syncing.thread.join()
        self.disk.forget_unsynced()
        self.die(self.writer.synced)

    @rule()
    def stop_in_order(self) -> None:
        self.disk.fail, self.disk.budget = {}, None
        self.writer.close()
        assert self.writer.synced == self.given
        self.die(self.given)

    def die(self, acknowledged: int) -> None:
        if self.writer._syncing is not None:
            self.writer._syncing.thread.join()  # it dies with the process, after its call or before
        self.sure += range(self.first, self.first + acknowledged)
        self.maybe += range(self.first + acknowledged, self.first + self.given)
        self.start()

    @invariant()
    def nothing_acknowledged_is_lost_and_nothing_comes_twice(self) -> None:
        records, damages = read_all(self.folder)
        found = [number(record) for record in records]
        assert len(found) == len(set(found))
        sure = {*self.sure, *range(self.first, self.first + self.writer.flushed)}
        assert sure <= set(found)
        assert set(found) <= sure | set(self.maybe) | set(range(self.first, self.first + self.given))
        assert {damage.reason for damage in damages} <= {Reason.TORN, Reason.UNCLOSED, Reason.MISSING_RECORDS}


TestWriterMachine = WriterMachine.TestCase
TestWriterMachine.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_the_machine_would_notice_a_writer_that_forgets(tmp_path: Path, disk: FaultyDisk) -> None:
    """A canary: without the copies in memory a failed fsync and a power cut lose what was acknowledged later."""
    writer = Writer(tmp_path, "binance", disk=disk)
    writer.write([entry(0)])
    disk.fail = {"sync": errno.EIO}
    writer.sync()
    disk.fail = {}
    writer._unwritten.clear()
    writer.write([entry(1)])
    writer.sync()
    disk.forget_unsynced()
    recover(tmp_path)
    items = [item for file in files(tmp_path) for item in read(file.path)]
    assert [number(item) for item in items if isinstance(item, Record) and item.content is Content.FRAMES] == [1]
    assert [item.reason for item in items if isinstance(item, Damage)] == [Reason.MISSING_RECORDS, Reason.UNCLOSED]
