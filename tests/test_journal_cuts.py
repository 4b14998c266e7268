"""Journals cut off anywhere, several files of them at once: every record that is whole is read, and stored once.

Cuts fall at any byte: in the magic, the header, the list of instruments, a head, a body, between two records.
``TAPEWATCH_CUTS=2000`` tries more of them than 60.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from journals import numbered, read_all
from sealing import frame_of, seal_all, task_of
from tapes import T0, trade, universe
from tapewatch.journal import Content, Damage, Reason, Record, StreamClass, files, read, recover
from tapewatch.journal.format import HEAD, Entry, ends_of, instruments_entry
from tapewatch.journal.writer import Writer
from tapewatch.store.audit import day_counts
from tapewatch.store.catalog import Catalog
from tapewatch.store.reader import Reader

CUTS = int(os.environ.get("TAPEWATCH_CUTS", "60"))
SESSIONS, FILES, READS, TRADES = 3, 4, 12, 3
GRIDS = universe("BTCUSDT", "ETHUSDT")


def entry(read_number: int) -> Entry:
    """A read of three trades, whose ids say which read it is."""
    ids = trade_ids(read_number)
    frames = [frame_of(trade(n, T0 + 10 * n, 1000 + n % 7, n, i=0), GRIDS) for n in ids]
    ends = [sum(map(len, frames[: k + 1])) for k in range(len(frames))]
    recv_ns = (T0 + 10 * ids[-1]) * 10**6
    return Entry(Content.FRAMES, StreamClass.TRADES, recv_ns, b"".join(frames), ends_of(ends))


def trade_ids(read_number: int) -> range:
    return range(TRADES * read_number + 1, TRADES * read_number + 1 + TRADES)


def read_of(record: Record) -> int:
    """Which read a record is, over all sessions."""
    return (record.recv_ns // 10**6 - T0) // 10 // TRADES - 1


@dataclass
class Written:
    """A data folder with the journals of three programs, the last of which died."""

    folder: Path
    lies: dict[str, dict[int, int]]
    """By file (its name up to the first point) the end of each read in it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("whole")
    journal, reads = folder / "journal" / "binance", iter(range(SESSIONS * FILES * READS))
    for session in range(SESSIONS):
        writer = Writer(journal, "binance")
        writer.write([instruments_entry(list(GRIDS), T0 * 10**6)])
        for number in range(FILES):
            for _ in range(READS):
                writer.write([entry(next(reads))])
            if number < FILES - 1:
                writer.rotate(force=True)
        if session < SESSIONS - 1:
            writer.close()
        else:
            writer.sync()
    return Written(
        folder,
        {
            stem(file.path): {read_of(one): end_of(one) for one in numbered(list(read(file.path)))}
            for file in files(journal)
        },
    )


def stem(path: Path) -> str:
    return path.name.partition(".")[0]


def end_of(record: Record) -> int:
    return record.start + HEAD.size + len(ends_of(record.ends)) + len(record.payload)


@dataclass
class Cut:
    """A copy in which some files end early."""

    folder: Path
    kept: dict[str, set[int]]
    """By file, the reads that are whole in it."""
    short: set[str]
    """Files that have lost some."""

    @property
    def journal(self) -> Path:
        return self.folder / "journal" / "binance"

    @property
    def survive(self) -> list[int]:
        return sorted(n for several in self.kept.values() for n in several)


@pytest.fixture(params=range(CUTS))
def cut(request: pytest.FixtureRequest, whole: Written, tmp_path: Path) -> Iterator[Cut]:
    draw = Random(request.param)
    one = Cut(tmp_path / "data", {}, set())
    shutil.copytree(whole.folder, one.folder)
    found = files(one.journal)
    chosen = {file.path for file in draw.sample(found, draw.randint(1, 6))}
    for file in found:
        name, at = stem(file.path), file.size
        if file.path in chosen:
            at = draw.choice([draw.randrange(file.size), draw.randrange(2_000)])
            os.truncate(file.path, at)
        one.kept[name] = {n for n, end in whole.lies[name].items() if end <= at}
        if len(one.kept[name]) < READS:
            one.short.add(name)
    yield one
    shutil.rmtree(one.folder)


def test_every_whole_record_is_read_and_every_cut_is_told(cut: Cut) -> None:
    before = {stem(path): path.read_bytes() for path in cut.journal.iterdir()}
    recovered = recover(cut.journal)
    records, damages = read_all(cut.journal)
    assert sorted(read_of(record) for record in records) == cut.survive
    assert cut.short <= {stem(damage.path) for damage in damages}, "a file that has lost records says so"
    assert all(file.closed for file in files(cut.journal))
    (left,) = recovered.files
    assert recovered.records == len(cut.kept[stem(left)])
    assert {stem(path): path.read_bytes() for path in cut.journal.iterdir()} == before, "not a byte is changed"
    assert recover(cut.journal).files == []


def test_every_whole_record_is_stored_once(cut: Cut) -> None:
    """What cannot be sealed for want of instruments is, at the next start, when the catalog knows them."""
    recover(cut.journal)
    no_journals = {
        file.path for file in files(cut.journal)
        if any(isinstance(one, Damage) and one.reason is Reason.FOREIGN for one in read(file.path))
    }  # fmt: skip
    for _ in range(2):
        seal_all(task_of(cut.folder))
    assert {file.path for file in files(cut.journal)} == no_journals, "what is no journal is left where it is"
    expected = [number for n in cut.survive for number in trade_ids(n)]
    reader = Reader(cut.folder)
    stored = [int(number) for tape in reader.tapes("binance", 0, T0 * 2) for number in tape.rows["id"]]
    reader.close()
    assert stored == expected
    catalog = Catalog.of_folder(cut.folder)
    counts = day_counts(catalog, "binance", T0)
    with catalog.read() as connection:
        consumed = connection.exec_driver_sql("SELECT sum(records) FROM journal_files").scalar()
    catalog.close()
    assert (counts.agree, counts.candles, consumed) == (True, len(expected), len(cut.survive))
