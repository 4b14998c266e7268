"""The whole program and its data folder: killed and started again, refused a second time, looked at by its commands."""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import over_http
from disks import small_disk
from journals import entry
from program import SMALL_DEMO, Program, run, started
from tapes import universe
from tapewatch.journal import Damage, Reason, Record, files, read
from tapewatch.journal.writer import Writer
from tapewatch.model.tape import Tape
from tapewatch.store.writer import Consumed, Store
from waiting import WITHIN_S

LIVES = 3


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A simulated venue that outlives the programs that watch it; the settings that lead to it."""
    with started(tmp_path, "venue", "--port", "0", "--symbols", "8", "--announce") as simulated:
        where = json.loads(simulated.wait_for("rest_url").string)
        yield {
            "TAPEWATCH_VENUES__BINANCE__REST_URL": where["rest_url"],
            "TAPEWATCH_VENUES__BINANCE__WS_URL": where["ws_url"],
            "TAPEWATCH_STORE__PATH": str(tmp_path / "stored"),
        }


def storage(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = over_http.get(f"{url}health").json()["storage"]
    return answer


def recording(program: Program, url: str) -> int:
    """Wait until something is on the disk; returns how many records the operating system has."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        told = storage(url)
        if told["journals"]["binance"]["records_synced"] > 0:
            return int(told["journals"]["binance"]["records"])
        assert time.monotonic() < deadline, "".join(program.output)
        time.sleep(0.02)


def test_a_killed_program_starts_again_by_itself_and_has_what_it_had(
    tmp_path: Path, venue: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "stored" / "journal" / "binance"
    draw = random.Random(3)
    sessions: dict[str, int] = {}
    began_s: list[float] = []
    for _ in range(LIVES):
        began = time.monotonic()
        with started(tmp_path, "run", "--port", "0", **venue) as program:
            url = program.url()
            acknowledged = recording(program, url)
            began_s.append(time.monotonic() - began)
            for _ in range(draw.randrange(1, 40)):
                acknowledged = storage(url)["journals"]["binance"]["records"]
            program.process.kill()
            program.process.wait()
        (left,) = (file for file in files(folder) if not file.closed)
        sessions[left.name.session] = acknowledged
    assert len(sessions) == LIVES

    found = dict.fromkeys(sessions, 0)
    with closing(sqlite3.connect(tmp_path / "stored" / "catalog.sqlite")) as catalog:
        sealed = dict(catalog.execute("SELECT name, records FROM journal_files").fetchall())
    for name, records in sealed.items():  # a later life has made these into segments
        found[name.split("-")[1]] += records
    for file in files(folder):
        for item in read(file.path) if file.path.name not in sealed else ():
            if isinstance(item, Damage):
                assert item.reason in {Reason.TORN, Reason.UNCLOSED}
            elif item.content.numbered:
                assert item.sequence == found[file.name.session]  # without a hole, and none twice
                found[file.name.session] += 1
    assert {session: found[session] >= count for session, count in sessions.items()} == dict.fromkeys(sessions, True)
    with capsys.disabled():
        sys.stdout.write(f"\nstart to recording, whole program: {', '.join(f'{s:.1f}' for s in began_s)} s\n")


def test_a_second_program_is_refused_and_the_first_goes_on(tmp_path: Path, venue: dict[str, str]) -> None:
    with started(tmp_path, "run", "--port", "0", **venue) as first:
        url = first.url()
        recording(first, url)
        second = run(tmp_path, "run", "--port", "0", **venue)
        assert second.returncode == 1
        assert second.stderr.splitlines()[-1].startswith(
            f"tapewatch: the data folder {tmp_path / 'stored'} is in use (process {first.process.pid}, since "
        )
        assert "Traceback" not in second.stderr
        assert f"in use by process {first.process.pid}" in run(tmp_path, "doctor", COLUMNS="300", **venue).stdout
        assert storage(url)["state"] == "recording"
        assert first.stop() == 0
    assert "not in use" in run(tmp_path, "doctor", COLUMNS="300", **venue).stdout
    (file,) = files(tmp_path / "stored" / "journal" / "binance")
    items = list(read(file.path))
    assert all(isinstance(item, Record) for item in items)
    assert file.closed
    metrics = run(tmp_path, "journal", COLUMNS="200", **venue)
    assert metrics.returncode == 0
    assert "1 files" in metrics.stdout
    assert "no damages" in metrics.stdout


def wait_for(url: str, program: Program, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask /health until it says what is wanted; fails with what was printed."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        told: dict[str, Any] = over_http.get(f"{url}health").json()
        if true(told):
            return told
        assert time.monotonic() < deadline, f"{told['storage']}\n{''.join(program.output)}"
        time.sleep(0.05)


def test_a_full_disk_stops_the_recording_and_nothing_else(tmp_path: Path, venue: dict[str, str]) -> None:
    with small_disk(tmp_path / "small", "8m"):
        venue["TAPEWATCH_STORE__PATH"] = str(tmp_path / "small" / "data")
        ballast = tmp_path / "small" / "ballast"
        with started(tmp_path, "run", "--port", "0", **venue) as program:
            url = program.url()
            recording(program, url)
            with suppress(OSError), ballast.open("wb") as filling:
                while True:
                    filling.write(bytes(4_096))
            told = wait_for(url, program, lambda told: told["storage"]["state"] == "stopped")
            assert "No space left on device" in told["storage"]["detail"]
            heard = told["venues"]["binance"]["frames"]
            told = wait_for(
                url,
                program,
                lambda told: (told["venues"]["binance"]["frames"] > heard + 200) and told["venues"]["binance"]["fresh"],
            )
            assert told["storage"]["state"] == "stopped"
            ballast.unlink()
            wait_for(url, program, lambda told: told["storage"]["state"] == "reduced")  # so small a disk has no room
            before = storage(url)["journals"]["binance"]
            assert before["dropped_reads"] == 0  # it all waited in the queue
            assert program.stop() == 0
        assert "journal_write_failed" in "".join(program.output)
        assert "journal_goes_on" in "".join(program.output)
        for file in files(tmp_path / "small" / "data" / "journal" / "binance"):
            assert [item for item in read(file.path) if isinstance(item, Damage)] == []


def test_without_a_store_nothing_is_written(tmp_path: Path, venue: dict[str, str]) -> None:
    with started(tmp_path, "run", "--no-store", "--port", "0", **venue) as program:
        url = program.url()
        assert storage(url) == {"state": "off", "detail": "nothing is stored (store.enabled, --no-store)"}
        assert program.stop() == 0
    assert not (tmp_path / "stored").exists()


def test_the_demo_leaves_nothing_behind_unless_told(tmp_path: Path) -> None:
    settings = {"TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    with started(tmp_path, *SMALL_DEMO, **settings) as demo:
        url = demo.url()
        recording(demo, url)
        folder = Path(storage(url)["path"])
        assert folder.parent == tmp_path / "tmp"
        assert demo.stop() == 0
    assert not folder.exists()
    with started(tmp_path, *SMALL_DEMO, "--data", "mine", **settings) as demo:
        recording(demo, demo.url())
        assert demo.stop() == 0
    assert len(files(tmp_path / "mine" / "journal" / "binance")) == 1


# -- tapewatch journal ------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "somewhere"
    writer = Writer(folder, "binance")
    for n in range(3):
        writer.write([entry(10 * n + k) for k in range(10)])
        writer.rotate(force=True)
    return folder


def test_sound_files_are_listed(tmp_path: Path, written: Path) -> None:
    told = run(tmp_path, "journal", str(written))
    assert told.returncode == 0
    assert told.stdout.count("sound") == 3
    assert "trades 10" in told.stdout
    assert told.stdout.endswith("3 files, 30 records, no damages\n")


def test_damage_is_named_with_its_bytes(tmp_path: Path, written: Path) -> None:
    first, second, third = (file.path for file in files(written))
    first.write_bytes(first.read_bytes()[:1_000] + b"#" + first.read_bytes()[1_001:])
    second.unlink()
    third.write_bytes(third.read_bytes()[:-7])
    told = run(tmp_path, "journal", str(written))
    assert told.returncode == 1
    assert f"{first.name}: checksum bytes " in told.stdout
    assert f"{third.name}: missing_file" in told.stdout
    assert f"{third.name}: torn bytes " in told.stdout
    assert told.stdout.endswith("2 files, 19 records, 3 damages\n")
    warned = run(tmp_path, "doctor", TAPEWATCH_VENUES__BINANCE__ENABLED="false", COLUMNS="300")
    assert "journal" not in warned.stdout  # another folder


def test_doctor_reads_the_journal(tmp_path: Path, written: Path) -> None:
    home = tmp_path / "home"
    (home / "journal").mkdir(parents=True)
    written.rename(home / "journal" / "binance")
    settings = {"TAPEWATCH_STORE__PATH": str(home), "TAPEWATCH_VENUES__BINANCE__ENABLED": "false", "COLUMNS": "300"}
    assert "3 files, 30 records, 0.0 MiB, all sound" in run(tmp_path, "doctor", **settings).stdout
    path = files(home / "journal" / "binance")[-1].path
    path.write_bytes(path.read_bytes()[:-7])
    told = run(tmp_path, "doctor", **settings).stdout
    assert "3 files, 30 records, 0.0 MiB, damages: 1" in told
    assert "tapewatch journal names them" in told


def test_a_file_between_two_others_that_was_sealed_is_not_called_missing(tmp_path: Path, written: Path) -> None:
    """The first cannot be sealed and stays; the second is sealed and gone."""
    home = tmp_path / "home"
    (home / "journal").mkdir(parents=True)
    written.rename(home / "journal" / "binance")
    first, second, _ = (file.path for file in files(home / "journal" / "binance"))
    store = Store(home).open()
    store.write(universe(), Tape.empty(), name=second.stem, consumed=Consumed(second.name))
    store.close()
    second.unlink()
    settings = {"TAPEWATCH_STORE__PATH": str(home), "TAPEWATCH_VENUES__BINANCE__ENABLED": "false", "COLUMNS": "300"}
    assert "2 files, 20 records, 0.0 MiB, all sound" in run(tmp_path, "doctor", **settings).stdout
    assert run(tmp_path, "journal", **settings).returncode == 0
    assert first.exists()


def test_no_such_journal_is_one_sentence(tmp_path: Path) -> None:
    told = run(tmp_path, "journal", "nowhere")
    assert (told.returncode, told.stderr) == (2, "tapewatch: no such file or folder: nowhere\n")


def test_a_file_that_is_no_journal_is_called_foreign(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk, bread")
    told = run(tmp_path, "journal", "notes.txt")
    assert told.returncode == 1
    assert "notes.txt: foreign bytes 0 to 11: no journal" in told.stdout
