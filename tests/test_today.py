"""A start in the middle of a day: stored trades slip in under the live ones, and what lies between is a gap."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from market_world import INSTRUMENTS, STATUS, T0, World
from tapes import tape, trade
from tapewatch.api.health import venue_health
from tapewatch.config import StoreConfig
from tapewatch.feed.pages import midnight
from tapewatch.model.gaps import Cause
from tapewatch.model.instrument import Universe
from tapewatch.node.gapbook import GapBook
from tapewatch.node.sealing import Sealing
from tapewatch.node.today import load_stored_day
from tapewatch.store.writer import Store

MINUTE = 60_000
START = midnight(T0)


@dataclass
class Place:
    """A data folder with trades of BTCUSDT: the last ten minutes of yesterday, and today's first two hundred."""

    folder: Path
    config: StoreConfig = field(init=False)

    def __post_init__(self) -> None:
        self.config = StoreConfig(path=str(self.folder))
        rows = [
            trade(1_000 + n, START + n * MINUTE, 425_000 + n % 9, 1 + n % 3, sell=n % 2 == 0) for n in range(-10, 200)
        ]
        store = Store(self.folder).open()
        store.write(Universe("binance", INSTRUMENTS), tape(rows), name="part")
        store.close()

    async def load(self, world: World) -> None:
        sealing = Sealing(self.config)
        sealing.caught_up.set()
        venues = {"binance": world.venue}
        await load_stored_day(venues, self.config, sealing, GapBook(venues, self.config, sealing))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "data")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(world.venue, "venue_ms", lambda: T0)
    return world


async def test_stored_trades_of_today_count_once_under_the_live_ones(world: World, place: Place) -> None:
    world.lose_trades(1_250)  # ids 1200 to 1250 happened while we were down
    world.trade(0, "42500.5", "7")
    await place.load(world)
    engine = world.venue.engine
    (gap,) = engine.gaps(0)
    assert (gap["first_id"], gap["last_id"], gap["cause"]) == (1_200, 1_250, Cause.PROCESS_DOWN)
    assert (gap["from_ms"], gap["to_ms"]) == (START + 199 * MINUTE, T0)
    assert [hole.first_id for hole in world.venue.trade_holes()] == [1_200]
    totals = engine.totals()
    assert (totals["missing"], totals["filled"], totals["absent"]) == (51, 0, 51), "what was only read late was no gap"
    assert (engine.counted_since_ms(0), engine.totals()["count"]) == (START, 201)
    bought = sum((1 + n % 3) * (-1 if n % 2 == 0 else 1) for n in range(200)) + 7_000
    assert int(engine.footprint(0, MINUTE, 1, 1).candles["cvd"][-1]) == bought
    assert world.venue.ledger.check(engine) == []
    await place.load(world)
    assert engine.totals()["count"] == 201, "a second time changes nothing"


async def test_a_symbol_that_has_not_traded_yet_begins_with_what_is_stored(world: World, place: Place) -> None:
    await place.load(world)
    assert world.venue.engine.totals()["count"] == 200
    world.lose_trades(1_205)
    world.trade(0, "42500.5", "7")
    (gap,) = world.venue.engine.gaps(0)
    assert (gap["first_id"], gap["last_id"], gap["cause"]) == (1_200, 1_205, Cause.PROCESS_DOWN)


async def test_nothing_that_may_be_stored_is_asked_of_the_venue_meanwhile(world: World) -> None:
    world.trade(0, "42500.5", "7")
    world.venue.loading = True
    assert world.venue.history_edges() == []
    world.venue.loading = False
    assert [edge.symbol for edge in world.venue.history_edges()] == ["BTCUSDT"]


async def test_a_folder_that_cannot_be_read_costs_the_history_alone(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = StoreConfig(path=str(tmp_path / "file"))
    sealing = Sealing(config)
    sealing.caught_up.set()
    venues = {"binance": world.venue}
    await load_stored_day(venues, config, sealing, GapBook(venues, config, sealing))
    assert not world.venue.loading


def test_how_much_history_is_loaded_is_not_known_while_the_store_is_read(world: World) -> None:
    """Nothing is asked of the venue then, which looked like everything was there."""
    done = replace(STATUS, history_symbols=3, history_complete=3)
    world.venue.loading = True
    told = venue_health(world.venue, done, "live")["history"]
    assert (told["percent"], told["reading"]) == (None, True)
    world.venue.loading = False
    told = venue_health(world.venue, done, "live")["history"]
    assert (told["percent"], told["reading"]) == (100, False)
    assert venue_health(world.venue, STATUS, "live")["history"]["percent"] is None, "of no symbol"
