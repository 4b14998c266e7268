"""The catalog's gaps are those that there are: kept over a death, closed when trades come after all."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from market_world import INSTRUMENTS, T0, World
from recent_market import Market
from sealing import seal_all, task_of
from tapes import tape, trade
from tapewatch.config import StoreConfig
from tapewatch.feed.pages import midnight
from tapewatch.model.errors import TapewatchError
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.instrument import Universe
from tapewatch.model.tape import Tape
from tapewatch.node import gapbook
from tapewatch.node.gapbook import GapBook
from tapewatch.node.rising import StoredTrades
from tapewatch.node.sealing import Sealing
from tapewatch.node.storage import Storage
from tapewatch.node.today import load_stored_day
from tapewatch.node.venue import VenueNode
from tapewatch.store.catalog import Catalog, GapRow
from tapewatch.store.reader import Reader
from tapewatch.store.writer import Store
from venue_words import NOW

MINUTE = 60_000
START = midnight(T0)

Told = tuple[str, str, int, int]
"""Cause, fate, and the first and last trade that lie outside of a gap."""


class Lives:
    """A program that hears some trades of a Bybit market and is ended without a word; each life finds what was left."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.market = Market(folder)
        self.config = StoreConfig(path=str(folder / "data"), retention="forever")
        self._patch = monkeypatch
        self.node = self.market.node
        self.begin()

    def begin(self) -> None:
        """Begin to record."""
        node, market = self.node, self.market
        self.storage = Storage(self.config)
        node.recorder = self.storage.start(["bybit"])["bybit"]
        node.recorder.instruments(list(node.universe), NOW * 10**6)
        self._patch.setattr(node, "venue_ms", lambda: market.ms(market.traded))
        node._born_ns = market.ms(market.traded) * 10**6 + 1
        self.sealing = Sealing(self.config)
        self.sealing.caught_up.set()
        self.book = GapBook({"bybit": node}, self.config, self.sealing)

    def die(self) -> None:
        """The journal has what came; everything else is gone."""
        self.storage.close()
        self.node = self.market.node = self.market.listener(self.market.node.quarantine.path.parent)
        self.begin()

    async def load(self) -> None:
        """What a start reads of what earlier lives have left."""
        seal_all(task_of(self.config.data_path))
        await load_stored_day({"bybit": self.node}, self.config, self.sealing, self.book)
        assert self.node.ledger.check(self.node.engine) == []

    async def noted(self) -> list[Told]:
        """The catalog's gaps after the book has been written."""
        seal_all(task_of(self.config.data_path))  # which makes the catalog
        await self.book.write("bybit")
        reader = Reader(self.config.data_path)
        rows = reader.gaps("bybit", 0, 1 << 60).to_pylist()
        reader.close()
        return sorted(
            ((row["cause"], row["fate"], *((row[at] - NOW) // 100 for at in ("from_ms", "to_ms"))) for row in rows),
            key=lambda told: told[2],
        )


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterable[Lives]:
    lives = Lives(tmp_path, monkeypatch)
    yield lives
    lives.storage.close()


@pytest.mark.parametrize("live_first", [False, True], ids=["nothing came yet", "live trades came before"])
async def test_a_gap_that_was_open_when_the_program_died_is_open_again(lives: Lives, *, live_first: bool) -> None:
    """Ids of Bybit tell nothing of it: without the catalog nobody would know that two hundred trades are missing."""
    market = lives.market
    market.trade(100)
    market.interrupt()
    market.trade(200, heard=False)
    market.trade(50)
    assert await lives.noted() == [("disconnected", "open", 99, 300)]
    lives.die()
    market.trade(30, heard=False)
    if live_first:
        market.trade(10)
    await lives.load()
    if not live_first:
        market.trade(10)
    opened = [(fate, *ends) for _, fate, *ends in market.gaps()]
    assert opened == [(Fate.OPEN, 99, 300), (Fate.OPEN, 349, 380)]
    assert await lives.noted() == [("disconnected", "open", 99, 300), ("process_down", "open", 349, 380)]
    assert market.wrong([*range(100, 300), *range(350, 380)]) == ""
    assert market.newest() == (230, 0)
    assert (market.gaps(), market.wrong()) == ([], "")
    assert await lives.noted() == []
    lives.die()
    await lives.load()
    market.trade(1)
    assert [(fate, *ends) for _, fate, *ends in market.gaps()] == [(Fate.OPEN, 389, 390)], "no time between two lives"
    assert market.newest() == (0, 0)
    assert (market.gaps(), market.wrong()) == ([], "")


async def test_several_gaps_of_one_day_and_of_several_lives_are_each_remembered(lives: Lives) -> None:
    market, missing = lives.market, list[int]()
    for _ in range(3):
        for _ in range(2):
            market.trade(10)
            market.interrupt()
            missing += range(market.traded, market.traded + 5)
            market.trade(5, heard=False)
        market.trade(1)
        await lives.noted()
        lives.die()
        missing += range(market.traded, market.traded + 2)
        market.trade(2, heard=False)
        await lives.load()
    market.trade(5)
    ends = [(10, 14), (25, 29), (31, 32), (43, 47), (58, 62), (64, 65), (76, 80), (91, 95), (97, 98)]
    assert [(first + 1, last - 1) for *_, first, last in market.gaps()] == ends
    assert market.wrong(missing) == ""
    assert len(await lives.noted()) == 9
    assert market.newest() == (len(missing), 0)
    assert (market.gaps(), market.wrong(), await lives.noted()) == ([], "", [])


async def test_what_was_refused_and_comes_after_all_is_a_gap_no_more(lives: Lives) -> None:
    market = lives.market
    market.trade(10)
    market.interrupt()
    market.trade(20, heard=False)
    market.trade(5)
    (hole,) = lives.node.trade_holes()
    lives.node.give_up(hole, Fate.REFUSED)
    assert await lives.noted() == [("disconnected", "refused", 9, 30)]
    lives.die()
    await lives.load()
    assert market.newest() == (20, 0)
    assert (market.gaps(), market.wrong(), await lives.noted()) == ([], "", [])


async def test_what_a_page_does_not_reach_is_told_with_its_fate(lives: Lives) -> None:
    market = lives.market
    market.trade(10)
    market.interrupt()
    market.trade(1_500, heard=False)
    market.trade(10)
    await lives.noted()
    lives.die()
    await lives.load()
    first = 1_520 - 1_000 + 1
    assert market.newest()[0] == 1_510 - first
    assert await lives.noted() == [("disconnected", "beyond_horizon", 9, first)]
    assert market.wrong(range(10, first)) == ""


async def test_a_trade_that_comes_while_the_day_is_read_leaves_no_gap_behind_it(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one follows it: that the program was down is a gap before it."""
    market = lives.market
    market.trade(10)
    lives.die()
    take = VenueNode.take_stored

    def live_meanwhile(node: VenueNode, rows: Tape, before: StoredTrades) -> None:
        market.trade(3, heard=False)
        market.trade(1)
        take(node, rows, before)

    monkeypatch.setattr(VenueNode, "take_stored", live_meanwhile)
    await lives.load()
    market.trade(5)
    assert market.gaps() == [(Cause.PROCESS_DOWN, Fate.OPEN, 9, 13)]
    assert market.wrong(range(10, 13)) == ""


# -- ids that count -------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(world.venue, "venue_ms", lambda: T0 + 10 * MINUTE)
    return world


@pytest.fixture
def config(tmp_path: Path) -> StoreConfig:
    """A data folder with trades 990 to 1199 of BTCUSDT, the last 200 of them of today."""
    config = StoreConfig(path=str(tmp_path / "data"))
    rows = [trade(1_000 + n, START + n * MINUTE, 425_000, 1) for n in range(-10, 200) if n not in range(40, 50)]
    store = Store(config.data_path).open()
    store.write(Universe("binance", INSTRUMENTS), tape(rows), name="part")
    store.close()
    return config


def book_of(world: World, config: StoreConfig) -> tuple[GapBook, Sealing]:
    sealing = Sealing(config)
    sealing.caught_up.set()
    return GapBook({"binance": world.venue}, config, sealing), sealing


def row(first: int, last: int, cause: str, fate: str, minute: int = 40) -> GapRow:
    at = START + minute * MINUTE
    return GapRow("binance", "BTCUSDT", "aggregate", first, last, at, at + 5 * MINUTE, cause, fate, at)


def left(config: StoreConfig) -> list[tuple[int, int, str, str]]:
    catalog = Catalog.of_folder(config.data_path)
    rows = catalog.gaps("binance", 0)
    catalog.close()
    return [(gap.first_id, gap.last_id, gap.cause, gap.fate) for gap in rows]


async def test_gaps_of_earlier_runs_are_what_the_chain_says_of_them(world: World, config: StoreConfig) -> None:
    """One is still missing, one was filled before the end, one is of yesterday, one has no ids."""
    noted = [
        row(1_040, 1_049, "quarantined", "open", 39),
        row(1_060, 1_061, "dropped", "refused", 60),
        row(900, 905, "dropped", "open", -30),
        row(991, 1_002, "disconnected", "open", -9),
        row(1_100, 1_099, "restarted", "unfillable", 100),
    ]
    catalog = Catalog.of_folder(config.data_path)
    catalog.put_gaps(noted)
    catalog.close()
    book, sealing = book_of(world, config)
    world.lose_trades(1_199)
    world.trade(0, "42500.5", "7")
    await load_stored_day({"binance": world.venue}, config, sealing, book)
    await book.write("binance")
    assert left(config) == [
        (900, 905, "dropped", "beyond_horizon"),
        (991, 1_002, "disconnected", "beyond_horizon"),
        (1_040, 1_049, "quarantined", "open"),
        (1_100, 1_099, "restarted", "unfillable"),
    ]
    for number in range(1_040, 1_050):
        world.fill_hole((number - 1_000) * MINUTE + START - T0, "42500.0", "1", number)
    await book.write("binance")
    assert [first for first, *_ in left(config)] == [900, 991, 1_100]


async def test_a_gap_is_noted_once_it_is_open_and_gone_once_it_is_filled(world: World, config: StoreConfig) -> None:
    book, _ = book_of(world, config)
    world.trade(0, "42500.5", "7")
    world.lose_trades(4)
    world.trade(MINUTE, "42500.5", "7")
    await book.write("binance")
    assert left(config) == [(2, 5, "dropped", "open")]
    world.fill_hole(30_000, "42500.5", "1", 2)
    await book.write("binance")
    assert left(config) == [(3, 5, "dropped", "open")]
    (hole,) = world.venue.trade_holes()
    world.venue.give_up(hole, Fate.BEYOND_HORIZON)
    await book.write("binance")
    assert left(config) == [(3, 5, "dropped", "beyond_horizon")]
    for number in (3, 4, 5):
        world.fill_hole(30_000, "42500.5", "1", number)
    await book.write("binance")
    assert left(config) == []


async def test_a_chain_that_ended_leaves_its_gap_for_ever(world: World, config: StoreConfig) -> None:
    book, _ = book_of(world, config)
    world.lose_trades(1_000)
    world.trade(0, "42500.5", "7")
    world.lose_trades(-1_000)
    world.trade(3 * MINUTE, "42500.5", "7")
    for _ in range(2):
        await book.write("binance")
    assert left(config) == [(1_002, 1_001, "restarted", "unfillable")]


async def test_gaps_wait_for_a_database_that_is_away_and_say_so_once(
    world: World, config: StoreConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book, _ = book_of(world, config)
    put = gapbook._put

    def away(*_: object) -> None:
        raise TapewatchError("nobody answers")

    monkeypatch.setattr(gapbook, "_put", away)
    caplog.set_level(logging.WARNING, "tapewatch.node.gapbook")
    world.lose_trades(1_000)
    world.trade(0, "42500.5", "7")
    world.lose_trades(-1_000)
    world.trade(3 * MINUTE, "42500.5", "7")  # a chain that ended: told once
    world.lose_trades(4)
    world.trade(4 * MINUTE, "42500.5", "7")
    for _ in range(3):
        await book.write("binance")
    monkeypatch.setattr(gapbook, "_put", put)
    for _ in range(2):
        await book.write("binance")
    assert left(config) == [(1_002, 1_001, "restarted", "unfillable"), (3, 6, "dropped", "open")]
    begun, over = caplog.messages
    assert begun == "gaps_not_stored venue=binance reason='nobody answers'"
    assert over.startswith("gaps_not_stored_no_more venue=binance after_s=")
    assert over.endswith("failures=3")


async def test_more_gaps_than_are_written_at_once_are_written_after_each_other(
    world: World, config: StoreConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gapbook, "AT_ONCE", 2)
    book, _ = book_of(world, config)
    world.trade(0, "42500.5", "7")
    for k in range(5):
        world.lose_trades(1)
        world.trade(k + 1, "42500.5", "7")
    counts = []
    for _ in range(4):
        await book.write("binance")
        counts.append(len(left(config)))
    assert counts == [2, 4, 5, 5]


def test_a_gap_that_is_told_twice_at_once_counts_as_told_last(config: StoreConfig) -> None:
    one = row(1, 5, "dropped", "open")
    catalog = Catalog.of_folder(config.data_path)
    catalog.put_gaps([one, replace(one, to_ms=one.to_ms + 1)])
    (kept,) = catalog.gaps("binance", 0)
    catalog.put_gaps([], [one])
    assert (kept.to_ms, catalog.gaps("binance", 0)) == (one.to_ms + 1, [])
    catalog.close()
