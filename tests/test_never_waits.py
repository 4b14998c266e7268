"""Recording never waits: not for who asks for stored data, and not for a database that has stopped answering."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import over_http
from journals import read_all
from market_world import INSTRUMENTS
from postgres import ADVICE, Server, find_postgres
from postgres import started as started_postgres
from program import Program, started
from tapes import tape, trade
from tapewatch.model.instrument import Universe
from tapewatch.node.aside import aside
from tapewatch.store.writer import Store
from waiting import WITHIN_S

DAY_MS = 86_400_000
TRADES = 60_000
LATE_S = 4.2
"""Reads later than this count as held up: far above what a busy machine does, far below how long is waited for here."""
WAITED_RECORDS = 200
"""Records that are to be written while somebody waits for stored data."""
QUESTION = "api/footprint?symbol=BTCUSDT&tf=1m&step=0.5&lookback=1440&before={before}"
READERS = 6


@pytest.fixture
def postgres() -> Iterator[Server]:
    programs = find_postgres()
    if programs is None:
        pytest.skip(ADVICE)
    with started_postgres(programs) as server:
        yield server


@dataclass
class Live:
    """A program that records a simulated market, with a day of older trades in its store."""

    program: Program
    url: str
    before: int

    def health(self) -> dict[str, Any]:
        content: dict[str, Any] = over_http.get(f"{self.url}health").json()
        return content

    def records(self) -> int:
        """On the disk."""
        return int(self.health()["storage"]["journals"]["binance"]["records_synced"])

    def reads(self) -> tuple[int, int]:
        """Socket reads timed from the exchange to the engine so far, and those of them that were later than LATE_S."""
        text = over_http.get(f"{self.url}metrics").text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        counts = {
            float(sample.labels["le"]): int(sample.value)
            for sample in families["tapewatch_lag_seconds"].samples
            if sample.name.endswith("_bucket")
        }
        every = counts[float("inf")]
        in_time = max(count for le, count in counts.items() if le <= LATE_S)
        return every, every - in_time

    def ask(self) -> int:
        """Ask for a day that only the store has; the status of the answer."""
        return over_http.get(self.url + QUESTION.format(before=self.before)).status_code

    def wait_for_records(self, more: int, unless: Future[int] | None = None) -> None:
        """Wait until so many more records are on the disk; fails if `unless` is done before."""
        wanted, deadline = self.records() + more, time.monotonic() + WITHIN_S
        while self.records() < wanted:
            assert unless is None or not unless.done(), "the question was answered before anything was shown"
            assert time.monotonic() < deadline, "".join(self.program.output)
            time.sleep(0.1)


@contextmanager
def recording(tmp_path: Path, url: str) -> Iterator[Live]:
    now_ms = time.time_ns() // 1_000_000
    before = now_ms // DAY_MS * DAY_MS - DAY_MS
    store = Store(tmp_path / "stored", url).open()
    first_ms, step_ms = before - DAY_MS, DAY_MS // TRADES
    old = (trade(k, first_ms + k * step_ms, 600_000 + k * 37 % 900, 1 + k % 50) for k in range(1, TRADES))
    store.write(Universe("binance", INSTRUMENTS), tape(old), name="before")
    store.close()
    with started(tmp_path, "venue", "--port", "0", "--symbols", "16", "--faults", "storm:3", "--announce") as venue:
        where = json.loads(venue.wait_for("rest_url").string)
        settings = {
            "TAPEWATCH_VENUES__BINANCE__REST_URL": where["rest_url"],
            "TAPEWATCH_VENUES__BINANCE__WS_URL": where["ws_url"],
            "TAPEWATCH_STORE__PATH": str(tmp_path / "stored"),
            "TAPEWATCH_STORE__URL": url,
        }
        with started(tmp_path, "run", "--port", "0", **settings) as program:
            live = Live(program, program.url(), before)
            deadline = time.monotonic() + WITHIN_S
            while not live.health()["storage"]["journals"]["binance"]["records_synced"]:
                assert time.monotonic() < deadline, "".join(program.output)
                time.sleep(0.2)
            yield live


def nothing_was_held_up(live: Live, reads_before: tuple[int, int]) -> None:
    """Since `reads_before`: hardly a read was late, nothing was dropped, no connection or trade was lost."""
    reads, late = (now - then for now, then in zip(live.reads(), reads_before, strict=True))
    assert reads > 100
    assert late <= reads // 100
    health = live.health()
    venue, journal = health["venues"]["binance"], health["storage"]["journals"]["binance"]
    assert (journal["state"], journal["dropped_reads"], journal["failures"]) == ("recording", 0, 0)
    assert (venue["reconnects"], venue["depth_gaps"], venue["ledger"]["balanced"]) == (0, 0, True)


def test_a_stalled_database_holds_up_who_asks_it_and_nobody_else(tmp_path: Path, postgres: Server) -> None:
    """PostgreSQL is stopped as a whole (SIGSTOP): connections stay open, and nothing answers."""
    with recording(tmp_path, postgres.new_database()) as live, ThreadPoolExecutor(1) as asking:
        assert live.ask() == 200
        before = live.reads()
        try:
            postgres.signal(signal.SIGSTOP)
            question = asking.submit(live.ask)
            live.wait_for_records(WAITED_RECORDS, unless=question)
            nothing_was_held_up(live, before)
            assert not question.done()  # all this happened while it waited
        finally:
            postgres.signal(signal.SIGCONT)
        assert question.result(WITHIN_S) in (200, 503)
        assert live.ask() == 200


def test_a_store_that_is_read_without_pause_holds_up_nobody(tmp_path: Path) -> None:
    """Several readers of a whole day, one after the other and again: the process that reads never rests."""
    with recording(tmp_path, "") as live, ThreadPoolExecutor(READERS) as asking:
        assert live.ask() == 200
        before, enough = live.reads(), threading.Event()

        def read_on() -> int:
            answers = 0
            while not enough.is_set():
                answers += live.ask() == 200
            return answers

        reading = [asking.submit(read_on) for _ in range(READERS)]
        try:
            live.wait_for_records(2 * WAITED_RECORDS)
        finally:
            enough.set()
        assert sum(one.result(WITHIN_S) for one in reading) >= READERS
        nothing_was_held_up(live, before)


def test_a_stalled_database_does_not_keep_the_program_from_ending(tmp_path: Path, postgres: Server) -> None:
    """It ends in its time with 0, and what was acknowledged before is in journal and store, once, at the next start."""
    url = postgres.new_database()
    with recording(tmp_path, url) as live:
        live.wait_for_records(WAITED_RECORDS)
        try:
            postgres.signal(signal.SIGSTOP)
            with ThreadPoolExecutor(1) as asking:
                question = asking.submit(live.ask)  # somebody waits, too
                live.wait_for_records(WAITED_RECORDS, unless=question)
                acknowledged = live.records()
                assert live.program.stop() == 0, "".join(live.program.output)
                assert question.exception(WITHIN_S) or question.result() >= 500  # whoever asked is told
        finally:
            postgres.signal(signal.SIGCONT)
    records, damage = read_all(tmp_path / "stored" / "journal" / "binance")
    assert not damage
    assert records[-1].sequence + 1 >= acknowledged


UNANSWERED = """
import asyncio, threading
from tapewatch.node.aside import aside

async def ask():
    async with asyncio.timeout(0.2):
        await aside(threading.Event().wait)

try:
    asyncio.run(ask())
except TimeoutError:
    print("gave up")
"""


def test_a_program_ends_although_something_it_asked_for_never_comes(tmp_path: Path) -> None:
    words = [sys.executable, "-c", UNANSWERED]
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=WITHIN_S, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "gave up\n")


async def test_what_is_done_aside_comes_back_as_it_was_returned_or_raised() -> None:
    assert await aside(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await aside(divmod, 7, 0)
