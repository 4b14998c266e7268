"""What came is stored: the engine's own ids against the store's counts, and canaries that a lost row is noticed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from itertools import count, islice
from pathlib import Path

import pytest
import pytest_asyncio
import sqlalchemy as sa

from market_world import T0, World, serve
from sealing import seal_all, task_of
from tapewatch.config import StoreConfig, ThresholdsConfig, VenueConfig
from tapewatch.journal import JournalFile, files
from tapewatch.node import audit as audit_module
from tapewatch.node.accounts import examine_server
from tapewatch.node.audit import Account, Audit
from tapewatch.node.doctor import Verdict, _catalog
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.sealing import Sealing
from tapewatch.node.storage import Storage
from tapewatch.node.venue import VenueNode
from tapewatch.store import tables
from tapewatch.store.catalog import Catalog
from tapewatch.store.reader import Reader
from venue_words import ALL, NOW
from waiting import until


class Recorded:
    """A market that is recorded, sealed when a test says so, and compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = StoreConfig(path=str(folder), retention="forever")
        self.storage = Storage(self.config)
        self.world = World(folder)
        self.world.storage = self.storage
        self.venue = self.world.venue
        self.venue.venue_ms = lambda: T0 + 60_000  # type: ignore[method-assign]  # the market lives at its own time
        self.venue.recorder = self.storage.start(["binance"])["binance"]
        self.venue.recorder.instruments(list(self.venue.universe), T0 * 10**6)
        self.sealing = self.storage.sealing = Sealing(self.config)
        self.audit = self.storage.audit = Audit(
            {"binance": self.venue}, self.storage.journals, self.sealing, self.config
        )
        self.journal = self.storage.journals["binance"]
        self.was_sealed = False

    def trades(self, count: int, symbol: str = "BTCUSDT") -> None:
        for n in range(count):
            self.world.trade(n * 10, "42500.5", "7", symbol=symbol)

    async def compared(self, before: Callable[[], None] = lambda: None) -> Account:
        """Note what is held, let it be sealed (after `before`), compare."""
        noted = self.audit.note("binance", self.journal)
        await until(lambda: noted.mark.file is not None)
        self.was_sealed = self.audit._is_sealed(self.journal, noted.mark)
        last = noted.mark.file or 0
        self.journal.rotate()
        await until(lambda: all(file.closed or file.name.number > last for file in self.files()))
        before()
        self.sealing.status = seal_all(task_of(self.folder))
        assert self.audit._is_sealed(self.journal, noted.mark)
        return await self.audit.compare("binance", noted)

    def files(self) -> list[JournalFile]:
        return files(self.journal.folder)

    def lose_a_file(self) -> None:
        min(self.files(), key=lambda file: file.name.number).path.unlink()

    def change(self, statement: sa.Executable) -> None:
        catalog = Catalog.of_folder(self.folder)
        with catalog.write() as connection:
            connection.execute(statement)
        catalog.close()


@pytest_asyncio.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Recorded]:
    one = Recorded(tmp_path)
    yield one
    one.storage.close()


async def test_what_came_is_stored_and_said_so(recorded: Recorded) -> None:
    recorded.trades(100)
    recorded.world.lose_trades(130)  # a hole of 30 ids: missing, and so not held
    recorded.trades(50)
    recorded.trades(20, "ETHUSDT")
    account = await recorded.compared()
    assert (account.held, account.stored, account.unstored, account.balanced, account.detail) == (170, 170, 0, True, "")
    assert not recorded.was_sealed, "its file was still being written"
    assert account.by_symbol == {"BTCUSDT": (150, 150), "ETHUSDT": (20, 20)}
    assert account.day is not None
    assert (account.day.segments, account.day.candles, account.day.days) == (170, 170, 170)
    recorded.trades(10)  # held, and not yet asked for
    async with serve(recorded.world) as served:
        async with served.http.get(f"{served.url}/health") as answer:
            assert answer.status == 200
            told = json.loads(await answer.text())["storage"]["accounts"]["binance"]
        assert (told["held"], told["stored"], told["unstored"], told["balanced"]) == (170, 170, 0, True)
        async with served.http.get(f"{served.url}/api/coverage?symbol=ETHUSDT") as answer:
            stored = json.loads(await answer.text())["stored"]
        assert stored == {"checked_ts": account.checked_ms, "held": 20, "stored": 20}
        found = {finding.check: finding for finding in await examine_server(served.url)}
        assert found["binance store"].verdict is Verdict.OK
        assert found["binance store"].what == "170 of 170 trades held are stored"
    assert _catalog(recorded.config).what.endswith("agree: binance 170 trades of its newest day")


CANARIES: dict[str, tuple[sa.Executable, str]] = {
    "an id range": (
        sa.update(tables.id_ranges).where(tables.id_ranges.c.symbol == "ETHUSDT").values(last_id=17),
        "3 trades came and are not stored (ETHUSDT)",
    ),
    "a candle": (sa.delete(tables.candles), "the store contradicts itself: 120 trades in segments, 0 in candles"),
    "a segment": (sa.delete(tables.segments), "the store contradicts itself: 0 trades in segments, 120 in candles"),
    "a print of a day": (sa.update(tables.daily_stats).values(n=tables.daily_stats.c.n - 1), "118 in daily statistics"),
}


@pytest.mark.parametrize("what", CANARIES)
async def test_a_row_that_is_lost_in_the_store_is_noticed(recorded: Recorded, what: str) -> None:
    statement, sentence = CANARIES[what]
    recorded.trades(100)
    recorded.trades(20, "ETHUSDT")
    assert (await recorded.compared()).balanced
    recorded.change(statement)
    recorded.trades(0)
    account = await recorded.compared()
    assert not account.balanced
    assert sentence in account.detail
    async with serve(recorded.world) as served:
        async with served.http.get(f"{served.url}/health") as answer:
            assert answer.status == 503
            assert sentence in json.loads(await answer.text())["status"]
        found = {finding.check: finding for finding in await examine_server(served.url)}
        assert found["binance store"].verdict is Verdict.FAIL


async def test_a_lost_journal_file_is_a_gap_with_its_ids(recorded: Recorded) -> None:
    """Somebody removes a file before it is sealed: the ids are named once, in the catalog too."""
    recorded.trades(40)
    assert (await recorded.compared()).stored == 40
    recorded.trades(5)
    account = await recorded.compared(before=recorded.lose_a_file)
    assert (account.held, account.stored, account.unstored, account.excused) == (45, 40, 5, False)
    recorded.trades(2)
    account = await recorded.compared()
    assert (account.held, account.stored, account.unstored) == (47, 42, 5), "known already"
    reader = Reader(recorded.folder)
    (gap,) = reader.gaps("binance", 0, 1 << 60).to_pylist()
    reader.close()
    assert (gap["symbol"], gap["stream"], gap["first_id"], gap["last_id"]) == ("BTCUSDT", "aggregate", 41, 45)
    assert (gap["cause"], gap["fate"], gap["missing"]) == ("not_recorded", "open", 5)


async def test_reads_that_the_journal_dropped_are_no_defect_and_are_named_all_the_same(recorded: Recorded) -> None:
    recorded.trades(10)
    recorded.journal._queue_bytes = 0
    recorded.trades(3)
    recorded.journal._queue_bytes = 1 << 20
    recorded.trades(1)
    account = await recorded.compared()
    assert (account.held, account.stored, account.unstored, account.balanced) == (14, 11, 3, True)
    assert account.detail == "3 trades came and are not stored (BTCUSDT)"


async def test_the_task_compares_by_itself(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "EVERY_S", 0.05)
    monkeypatch.setattr(audit_module, "LOOK_S", 0.01)
    recorded.trades(30)
    running = asyncio.create_task(recorded.audit.run())
    sealing = asyncio.create_task(recorded.sealing.run())
    try:
        await until(lambda: recorded.journal.status.records >= 30)
        recorded.journal.rotate()
        await until(lambda: recorded.audit.accounts["binance"].stored == 30)
    finally:
        running.cancel()
        sealing.cancel()
        await asyncio.wait([running, sealing])


async def test_a_segment_that_is_damaged_on_disk_is_named(recorded: Recorded) -> None:
    recorded.trades(100)
    await recorded.compared()
    (segment,) = (recorded.folder / "segments").rglob("*.parquet")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    assert "bytes, " in _catalog(recorded.config).what
    segment.write_bytes(bytes(len(whole)))
    assert "cannot be read" in _catalog(recorded.config).what
    segment.unlink()
    finding = _catalog(recorded.config)
    assert (finding.verdict, finding.what.endswith("does not exist")) == (Verdict.FAIL, True)


@pytest.mark.parametrize("name", ["bybit", "okx", "binance-spot"])
async def test_every_venue_is_compared_however_its_trades_are_numbered(name: str, tmp_path: Path) -> None:
    """Where ids do not count, the trades of each minute do. A file that is lost is noticed everywhere, once."""
    words = next(one for one in ALL if one.name == name)
    config = StoreConfig(path=str(tmp_path), retention="forever")
    storage = Storage(config)
    node = VenueNode(words.product, VenueConfig(), ThresholdsConfig(), Quarantine(tmp_path / "quarantine"))
    node.venue_ms = lambda: NOW + 60_000  # type: ignore[method-assign]
    node.on_universe(list(words.universe()))
    node.recorder = storage.start([name])[name]
    node.recorder.instruments(list(node.universe), NOW * 10**6)
    sealing = storage.sealing = Sealing(config)
    audit = Audit({name: node}, storage.journals, sealing, config)
    audit._from_ms[name] = NOW - 60_000
    journal, numbers = storage.journals[name], count(100)

    async def compared(trades: int, before: Callable[[], None] = lambda: None) -> Account:
        for number in islice(numbers, trades):
            frame = words.trade(number, "100.0", "0.250", sell=number % 2 == 0, ms=NOW + number)
            node.on_frames(bytearray(frame), [len(frame)], (NOW + number) * 10**6)
        noted = audit.note(name, journal)
        await until(lambda: noted.mark.file is not None)
        journal.rotate()
        await until(lambda: all(f.closed or f.name.number > (noted.mark.file or 0) for f in files(journal.folder)))
        before()
        sealing.status = seal_all(task_of(tmp_path))
        return await audit.compare(name, noted)

    def lose_a_file() -> None:
        min(files(journal.folder), key=lambda file: file.name.number).path.unlink()

    account = await compared(40)
    assert (account.held, account.stored, account.balanced) == (40, 40, True)
    account = await compared(5, before=lose_a_file)
    assert (account.held, account.stored, account.unstored, account.balanced) == (45, 40, 5, False)
    account = await compared(3)
    assert (account.held, account.stored, account.unstored) == (48, 43, 5), "known already"
    reader = Reader(tmp_path)
    (gap,) = reader.gaps(name, 0, 1 << 60).to_pylist()
    reader.close()
    storage.close()
    assert (gap["symbol"], gap["cause"]) == (words.symbol, "not_recorded")
    assert gap["missing"] == (5 if name != "bybit" else 0), "ids of Bybit name none"
    assert gap["from_ms"] <= NOW + 140 <= gap["to_ms"]
