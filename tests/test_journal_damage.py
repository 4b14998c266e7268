"""The corruption table: for each kind of damage, how many records survive it and what the reader says about it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from journals import entry, number, numbered, read_all
from tapewatch.journal import Damage, NewerFormatError, Reason, Record, files, missing, read
from tapewatch.journal.format import HEAD, MAGIC
from tapewatch.journal.writer import Writer
from tapewatch.model.errors import UsageError

RECORDS = 40
PAGE = 4096


@dataclass
class Sound:
    """An undamaged file of 40 records of about 1 KiB: 0 is the header, 1 to 40 are numbered 0 to 39, 41 closes it."""

    path: Path
    data: bytes
    records: list[Record]

    @classmethod
    def write(cls, folder: Path) -> Sound:
        writer = Writer(folder, "binance")
        writer.write([entry(n, 1_000) for n in range(RECORDS)])
        writer.close()
        path = files(folder)[0].path
        items = list(read(path))
        assert all(isinstance(item, Record) for item in items)
        return cls(path, path.read_bytes(), [item for item in items if isinstance(item, Record)])

    def start(self, n: int) -> int:
        """Offset of record n."""
        return self.records[n].start if n < len(self.records) else len(self.data)

    def start_of(self, sequence: int) -> int:
        return self.start(sequence + 1)


@pytest.fixture
def sound(tmp_path: Path) -> Sound:
    return Sound.write(tmp_path)


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def put(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + other + data[at + len(other) :]


def flip(data: bytes, at: int, bit: int = 3) -> bytes:
    return put(data, at, bytes([data[at] ^ 1 << bit]))


def page_after(at: int) -> int:
    return -(-at // PAGE) * PAGE


Damager = Callable[[Sound], bytes]
Table = dict[str, tuple[Damager, set[int], list[tuple[Reason, int | None, int | None]]]]

TABLE: Table = {
    # damage: what is done, numbers of the records that are lost, what is reported: (reason, first and last record hurt)
    "nothing": (lambda s: s.data, set(), []),
    "last record torn in its body": (
        lambda s: cut(s.data, s.start_of(39) + 300), {39}, [(Reason.TORN, 39, None)],
    ),
    "last record torn in its head": (
        lambda s: cut(s.data, s.start_of(39) + 17), {39}, [(Reason.TORN, 39, None)],
    ),
    "cut at the end of a record": (
        lambda s: cut(s.data, s.start_of(39)), {39}, [(Reason.UNCLOSED, 39, None)],
    ),
    "closing record cut off": (lambda s: cut(s.data, s.start(41)), set(), [(Reason.UNCLOSED, 40, None)]),
    "bit flipped in a payload": (
        lambda s: flip(s.data, s.start_of(7) + 500), {7}, [(Reason.CHECKSUM, 7, 8)],
    ),
    "bit flipped in the checksum of a body": (
        lambda s: flip(s.data, s.start_of(7) + 9), {7}, [(Reason.GARBAGE, 7, 8)],
    ),
    "bit flipped in a length": (
        lambda s: flip(s.data, s.start_of(7) + 13), {7}, [(Reason.GARBAGE, 7, 8)],
    ),
    "bit flipped in a marker": (
        lambda s: flip(s.data, s.start_of(7)), {7}, [(Reason.GARBAGE, 7, 8)],
    ),
    "bit flipped in the header": (
        lambda s: flip(s.data, s.start(0) + 60), set(), [(Reason.CHECKSUM, -1, 0)],
    ),
    "bit flipped in the magic": (lambda s: flip(s.data, 2), set(), [(Reason.GARBAGE, None, -1)]),
    "version byte flipped": (lambda s: flip(s.data, 7), set(), [(Reason.GARBAGE, None, -1)]),
    "two records far apart": (
        lambda s: flip(flip(s.data, s.start_of(3) + 99), s.start_of(30) + 99), {3, 30},
        [(Reason.CHECKSUM, 3, 4), (Reason.CHECKSUM, 30, 31)],
    ),
    "ten records overwritten": (
        lambda s: put(s.data, s.start_of(10), b"#" * (s.start_of(20) - s.start_of(10))), set(range(10, 20)),
        [(Reason.GARBAGE, 10, 20)],
    ),
    "zeroes at the end, as after a power cut": (
        lambda s: cut(s.data, s.start_of(38)) + bytes(2 * PAGE), {38, 39}, [(Reason.ZEROED, 38, None)],
    ),
    "the whole file zeroed": (lambda s: bytes(len(s.data)), set(range(RECORDS)), [(Reason.FOREIGN, None, None)]),
    "records cut out without a trace": (
        lambda s: s.data[: s.start_of(12)] + s.data[s.start_of(15) :], {12, 13, 14},
        [(Reason.MISSING_RECORDS, 12, 12)],
    ),
    "something pasted in between": (
        lambda s: s.data[: s.start_of(12)] + b"milk, bread" + s.data[s.start_of(12) :], set(),
        [(Reason.GARBAGE, 12, None)],
    ),
    "bytes cut out of a body": (
        lambda s: s.data[: s.start_of(12) + 200] + s.data[s.start_of(12) + 300 :], {12}, [(Reason.GARBAGE, 12, None)],
    ),
    "bytes cut out of the last body": (
        lambda s: cut(s.data, s.start_of(39) + 200) + s.data[s.start_of(39) + 300 :], {39},
        [(Reason.GARBAGE, 39, None)],
    ),
    "empty": (lambda _: b"", set(range(RECORDS)), [(Reason.FOREIGN, None, None)]),
    "magic alone": (lambda _: MAGIC, set(range(RECORDS)), [(Reason.UNCLOSED, -1, None)]),
    "another program's file": (
        lambda _: b"PAR1" + bytes(range(256)) * 9, set(range(RECORDS)), [(Reason.FOREIGN, None, None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_every_intact_record_survives_and_every_hole_is_reported(sound: Sound, name: str) -> None:
    damage, lost, told = TABLE[name]
    data = damage(sound)
    sound.path.write_bytes(data)
    items = list(read(sound.path))
    assert [number(record) for record in numbered(items)] == [n for n in range(RECORDS) if n not in lost]
    damages = [item for item in items if isinstance(item, Damage)]
    assert [item.reason for item in damages] == [reason for reason, _, _ in told]
    for item, (_, first, end) in zip(damages, told, strict=True):
        assert item.start == (0 if first is None else sound.start_of(first))
        if end is not None:
            assert item.end == sound.start_of(end)
        assert 0 <= item.start <= item.end <= len(data)


def test_a_zeroed_page_costs_the_records_it_touches(sound: Sound) -> None:
    at = page_after(sound.start_of(10))
    sound.path.write_bytes(put(sound.data, at, bytes(PAGE)))
    lost = {n for n in range(RECORDS) if sound.start_of(n) < at + PAGE and sound.start_of(n + 1) > at}
    assert len(lost) in {4, 5}
    items = list(read(sound.path))
    assert {number(record) for record in numbered(items)} == set(range(RECORDS)) - lost
    (damage,) = (item for item in items if isinstance(item, Damage))
    assert damage.reason is Reason.ZEROED
    assert (damage.start, damage.end) == (sound.start_of(min(lost)), sound.start_of(max(lost) + 1))
    assert damage.detail == f"records {min(lost)} to {max(lost)}"


def test_any_flipped_bit_costs_at_most_its_own_record_and_is_never_silent(sound: Sound) -> None:
    draw = random.Random(9)
    for _ in range(400):
        at = draw.randrange(len(sound.data))
        hit = max(n for n in range(-1, RECORDS + 1) if n == -1 or sound.start_of(n) <= at)
        sound.path.write_bytes(flip(sound.data, at, draw.randrange(8)))
        items = list(read(sound.path))
        assert [number(record) for record in numbered(items)] == [n for n in range(RECORDS) if n != hit]
        assert any(isinstance(item, Damage) and item.start <= at < max(item.end, at + 1) for item in items)


def test_any_cut_leaves_all_records_before_it(sound: Sound) -> None:
    for at in range(len(MAGIC), len(sound.data), 97):
        sound.path.write_bytes(sound.data[:at])
        items = list(read(sound.path))
        assert [number(record) for record in numbered(items)] == [
            n for n in range(RECORDS) if sound.start_of(n + 1) <= at
        ]
        assert isinstance(items[-1], Damage)
        assert items[-1].end == at


def test_a_missing_file_in_the_sequence_is_named(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    for n in range(5):
        writer.write([entry(n)])
        writer.rotate(force=True)
    found = files(tmp_path)
    found[2].path.unlink()
    records, damages = read_all(tmp_path)
    assert [number(record) for record in records] == [0, 1, 3, 4]
    assert [damage.reason for damage in damages] == [Reason.MISSING_FILE]
    assert damages[0].path == found[3].path
    assert "files 3 to 3" in damages[0].detail
    assert missing(files(tmp_path), [found[2].path.name]) == []  # it was sealed: nobody misses it
    found[0].path.unlink()  # consumed in order: the oldest go first, and nobody misses them
    assert [damage.reason for damage in read_all(tmp_path)[1]] == [Reason.MISSING_FILE]


def test_a_file_that_is_closed_while_the_folder_is_listed_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(tmp_path, "binance")
    listed: list[str] = []
    glob = Path.glob

    def slow(folder: Path, pattern: str) -> list[Path]:
        """Between the two looks at the folder the file that was open is closed, and the next one begun."""
        found = list(glob(folder, pattern))
        if not listed:
            writer.rotate(force=True)
            writer.write([entry(len(files_before) + 1)])
        listed.append(pattern)
        return found

    writer.write([entry(0)])
    writer.rotate(force=True)
    writer.write([entry(1)])
    files_before = files(tmp_path)
    monkeypatch.setattr(Path, "glob", slow)
    found = files(tmp_path)
    assert [file.name.number for file in found] == [1, 2]
    assert missing(found) == []


def test_a_file_cut_short_is_told_by_the_one_after_it(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "binance")
    writer.write([entry(0), entry(1)])
    writer.rotate(force=True)
    writer.write([entry(2)])
    first = files(tmp_path)[0].path
    items = [item for item in read(first) if isinstance(item, Record)]
    first.write_bytes(first.read_bytes()[: items[2].start])
    records, damages = read_all(tmp_path)
    assert [number(record) for record in records] == [0, 2]
    assert [(damage.reason, damage.detail) for damage in damages] == [(Reason.MISSING_RECORDS, "records 1 to 1")]


def test_foreign_files_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    sound = Sound.write(tmp_path)
    (tmp_path / "notes.txt").write_text("milk")
    (tmp_path / "old.journal").write_bytes(b"not ours")
    assert [file.path for file in files(tmp_path)] == [sound.path]
    assert [item.reason for item in read(tmp_path / "old.journal") if isinstance(item, Damage)] == [Reason.FOREIGN]


def test_a_file_of_a_newer_format_is_refused_with_advice(sound: Sound) -> None:
    head = HEAD.unpack_from(sound.data, len(MAGIC))
    begin = len(MAGIC) + HEAD.size
    body = sound.data[begin : begin + head[3]].replace(b'"format":1', b'"format":2')
    checked = zlib.crc32(body).to_bytes(4, "little") + sound.data[len(MAGIC) + 12 : begin]
    record = head[0] + zlib.crc32(checked).to_bytes(4, "little") + checked + body
    sound.path.write_bytes(MAGIC[:-1] + b"\2" + record + sound.data[begin + head[3] :])
    with pytest.raises(NewerFormatError, match=r"newer version of tapewatch \(journal format 2; this one reads 1\)"):
        list(read(sound.path))


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        list(read(tmp_path / "gone.journal"))


def test_a_folder_in_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.journal").mkdir()
    assert [item.reason for item in read(tmp_path / "x.journal") if isinstance(item, Damage)] == [Reason.UNREADABLE]
