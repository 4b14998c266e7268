"""What a first `tapewatch run` meets after `tapewatch doctor --warm`: ``python first_run.py FOLDER``.

Both happen in this process, and each kernel is printed that only the second needed. So nothing that other programs have
left in the cache can hide that `doctor` leaves one out.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from four_venues import world
from market_world import INSTRUMENTS, T0, World
from sealing import seal_all, task_of, write_journal
from tapes import liquidation, trade
from tapewatch import compiled
from tapewatch.book import ladder
from tapewatch.book.stacking import in_window
from tapewatch.cli.upkeep import doctor
from tapewatch.desk.questions import arrivals
from tapewatch.model.instrument import Grid, Universe
from tapewatch.store.reader import Reader

MINUTE = 60_000
Compiled = set[tuple[str, str, object]]


def compiled_now() -> Compiled:
    """Module, name and signature of every kernel this process has."""
    functions = [one for one in gc.get_objects() if isinstance(one, compiled._Function)]
    return {(one.__module__, one.py_func.__qualname__, signature) for one in functions for signature in one.overloads}


def one_market(folder: Path) -> None:
    """Binance by hand: a book, trades, a hole and what fills it, a gap of the book, every view."""
    world = World(folder)
    engine = world.venue.engine
    world.know_volume(1_000_000)
    engine.lab.study(world.venue.universe.get("BTCUSDT"))
    world.book([("42500.4", "1.5"), ("42500.3", "2")], [("42500.6", "0.5"), ("42500.7", "3")])
    for k in range(200):
        world.trade(k * 500, "42500.5", "0.100", "sell" if k % 3 else "buy")
        world.diff([("42500.4", str(k))], [])
    world.lose_trades(2)
    world.trade(100_100, "42500.5", "0.1")
    world.fill_hole(100_050, "42500.5", "0.1", 201)
    world.liquidate(100_200, "long", "42000.05", "0.5")
    engine.imbalance(), engine.top10_ofi(0), engine.gaps(0), engine.totals(), engine.big_flow(), engine.liquidations()
    world.diff([("42500.4", "7")], [])
    world.diff([], [], gap=3)
    for tf_ms in (1_000, MINUTE, 5 * MINUTE, 60 * MINUTE):
        engine.footprint(0, tf_ms, 7, 60)
    world.trade(400_000, "42500.5", "0.1")  # minutes later
    engine.traded(0, 424_000, 2_000)
    in_window(engine.lab.studies[0].state.stack, 425_000, 20, engine.clock_ms)
    world.diff([("42500.4", "9")], [])
    engine.sync.ladders = ladder.grow(engine.sync.ladders, 40_000)
    engine.update_instrument(replace(engine.universe[0], tick=Grid.parse("0.05")))
    engine.use_raw_trades(0)


async def four_markets(folder: Path) -> None:
    """Every venue's decoder, subscription and book, over real sockets."""
    async with world(folder) as w:
        await w.until(lambda: all(node.engine.totals()["count"] > 50 for node in w.nodes.values()))
        for node in w.nodes.values():
            node.engine.footprint(0, MINUTE, 5, 30)
            node.engine.imbalance()


def stored_market(folder: Path) -> None:
    """What the processes beside it do: sealing, answering about the past, the research desk."""
    rows = [trade(1 + k, T0 + k * 1_000, 425_000 + k % 9, 5) for k in range(300)]
    rows += [liquidation(T0 + 290_000, 10**11, 5, long=True)]
    write_journal(folder, Universe("binance", INSTRUMENTS), rows)
    seal_all(task_of(folder))
    reader = Reader(folder)
    for tf_ms in (MINUTE, 60 * MINUTE):
        reader.footprint("binance", "BTCUSDT", tf_ms, 5, T0, T0 + 10 * MINUTE)
    reader.deltas("binance", T0, T0 + 10 * MINUTE)
    reader.minutes("binance", T0, T0 + 10 * MINUTE)
    reader.close()
    times = T0 + np.sort(np.random.default_rng(1).integers(0, 10 * MINUTE, (2, 300)))
    arrivals(*times)


def main(folder: Path) -> None:
    doctor(warm=True)
    before = compiled_now()
    one_market(folder / "one")
    asyncio.run(four_markets(folder / "four"))
    stored_market(folder / "stored")
    for module, name, signature in sorted(compiled_now() - before, key=str):
        print("compiled:", module, name, signature)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
