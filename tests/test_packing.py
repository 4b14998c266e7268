"""Packed minutes: every view is what it was, late prints and finer grids included, and days of them reach a ceiling."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import T0, examples, tape, trade, universe
from tapewatch import engine as engine_module
from tapewatch import memory
from tapewatch.engine import MINUTES_KEPT, OPEN_MINUTES, Engine
from tapewatch.flow import packing
from tapewatch.flow.candles import NO_BLOCK, PACKED_CLASSES, packed_class
from tapewatch.model.instrument import Grid, Universe
from tapewatch.model.tape import LEVEL, ROW, Flag, Kind, Tape
from tapewatch.model.views import TIMEFRAMES_MS

FREE_LEFT = packing.free_left
LOTS = (1, 90, 20_000, 1 << 28)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def same_views(one: Engine, other: Engine) -> None:
    for i in range(len(one.universe)):
        for tf_ms in TIMEFRAMES_MS.values():
            for step in (1, 7):
                a, b = (engine.footprint(i, tf_ms, step, 1440) for engine in (one, other))
                names = [name for name in a.candles.dtype.names or () if name != "cell_at"]
                assert np.array_equal(a.candles[names], b.candles[names])
                assert np.array_equal(a.cells, b.cells)
        a_traded, b_traded = (engine.traded(i, 60_000, 2_000) for engine in (one, other))
        assert np.array_equal(a_traded, b_traded)


def packed_candles(engine: Engine) -> int:
    return int((engine.flow.minutes.ring["packed"] > 0).sum())


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that packs nothing and frees nothing."""
    monkeypatch.setattr(engine_module, "OPEN_MINUTES", 1 << 30)
    monkeypatch.setattr(packing, "free_left", lambda *_: None)
    return Engine(two())


def two() -> Universe:
    return universe("BTCUSDT", "ETHUSDT")


def market(seed: int, hours: float) -> Tape:
    """Prints of two instruments, some of them minutes or hours late, with ids that fill what was missing."""
    rng = random.Random(seed)
    rows, n = [], int(hours * 200)
    for i in range(2):
        numbered = [(k, T0 + int(k * hours * HOUR / n)) for k in range(1, n)]
        late = [one for one in numbered[5:] if rng.random() < 0.05]
        on_time = [one for one in numbered if one not in late]
        order = [(ts, k, ts) for k, ts in on_time] + [(ts + rng.randrange(10 * HOUR), k, ts) for k, ts in late]
        rows += [
            (at, trade(k, ts, 60_000 + rng.randrange(2_000), rng.choice(LOTS), i=i, event_ms=at, sell=k % 3 == 0))
            for at, k, ts in sorted(order)
        ]
    return tape(row for _, row in sorted(rows, key=lambda one: one[0]))


@pytest.mark.parametrize("seed", [1, 2])
def test_views_of_packed_minutes_are_those_of_open_ones(seed: int, never: Engine) -> None:
    """Two engines see the same prints, some hours late; one of them packs."""
    shown = market(seed, 30)
    never.apply(shown)
    packs = Engine(two())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine_module, "OPEN_MINUTES", OPEN_MINUTES)
        patched.setattr(packing, "free_left", FREE_LEFT)
        for at in range(0, len(shown), 50):
            packs.apply(shown.slice(at, min(at + 50, len(shown))))
    assert packed_candles(packs) > 500
    assert packed_candles(never) == 0
    same_views(packs, never)
    with_block = packs.flow.minutes.ring[packs.flow.minutes.ring["packed"] > 0]["cells"] > 0
    assert with_block.any(), "prints came late for minutes that had been packed"


def test_a_finer_grid_reaches_packed_minutes(never: Engine) -> None:
    shown, packs = market(3, 12), Engine(two())
    never.apply(shown)
    packs.apply(shown)
    packs.flow = packs.flow._replace(minutes=packing.pack(packs.flow.minutes, 0, MINUTES_KEPT, 1 << 40))
    assert packed_candles(packs) > 500
    for engine in (packs, never):
        old = engine.universe[0]
        engine.update_instrument(replace(old, tick=Grid.parse("0.05"), lot=Grid.parse("0.0001")))
    same_views(packs, never)


@given(st.integers(1, 1 << 30))
@examples(200)
def test_a_size_class_holds_its_words_and_wastes_an_eighth_at_most(words: int) -> None:
    size_class, room = packed_class.py_func(words)  # type: ignore[attr-defined]
    assert 0 < size_class < PACKED_CLASSES
    assert words <= room <= max(words, words * 9 // 8)
    assert packed_class.py_func(room) == (size_class, room)  # type: ignore[attr-defined]


# -- days -------------------------------------------------------------------------------------------------------------

INSTRUMENTS, PRINTS = 24, 10


def one_hour(hour: int, rng: np.random.Generator) -> Tape:
    """Prints of every instrument in every minute: quiet hours, and busy ones with twenty times as many prices."""
    n = 60 * INSTRUMENTS * PRINTS
    rows = np.zeros(n, ROW)
    rows["kind"], rows["flags"] = Kind.TRADE, Flag.AGGREGATE
    rows["instrument"] = np.tile(np.arange(INSTRUMENTS), n // INSTRUMENTS)
    ids = hour * 60 * PRINTS + 1 + np.arange(n) // INSTRUMENTS
    rows["id"] = rows["first_id"] = rows["last_id"] = ids
    rows["ts_ms"] = rows["event_ms"] = T0 + hour * HOUR + np.arange(n) * HOUR // n
    rows["price"] = 60_000 + rng.integers(0, 2_000 if hour % 24 in (13, 14, 15) else 5, n)
    rows["qty"] = rng.integers(1, 5_000, n)
    return Tape(rows, np.zeros(0, LEVEL))


def many() -> Universe:
    one = universe()[0]
    names = [f"C{i}USDT" for i in range(INSTRUMENTS)]
    return Universe("binance", [replace(one, index=i, symbol=name, base=name[:-4]) for i, name in enumerate(names)])


def test_seconds_without_prints_keep_no_cells_of_those_a_ring_ago() -> None:
    """Prints come at random, so that it takes an hour to meet every second's slot again: cells go with their time."""
    engine, rng = Engine(many()), np.random.default_rng(5)
    used, each = [], 100
    for part in range(12):
        shown = one_hour(0, rng).slice(0, each * INSTRUMENTS)
        rows = shown.rows
        rows["id"] = rows["first_id"] = rows["last_id"] = part * each + np.arange(len(rows)) // INSTRUMENTS
        rows["ts_ms"] = rows["event_ms"] = T0 + np.sort(part + rng.random(len(rows))) * HOUR // 4
        engine.apply(shown)
        used.append(int(engine.flow.seconds.meta[0]))
    assert used[-1] <= used[1] * 1.1
    seconds, held = engine.flow.seconds, engine.flow.seconds.ring
    ago, traded = seconds.newest - held["number"], held["number"] > 0
    assert (ago[traded] > 4 * len(held)).any(), "some slots were not met again for long"
    with_cells = traded & (held["size_class"] != NO_BLOCK)
    assert (ago[with_cells] < len(held) + 120).mean() > 0.98
    assert ago[with_cells].max() < 2 * len(held) + 120, "who printed nothing for a minute is looked at a ring later"


@pytest.mark.parametrize("silent", [1, 20, 45, 3 * MINUTES_KEPT])
@pytest.mark.parametrize("shift", [0, 700])
def test_after_a_silence_no_old_minute_stays_open(silent: int, shift: int) -> None:
    """Whatever slots the look for what came late has come to: what a leap of the clock passed is packed at once."""
    engine, begin = Engine(two()), T0 // MINUTE + shift
    for number, minute in enumerate([*range(60), *range(59 + silent, 63 + silent)]):
        engine.apply(tape([trade(number + 1, (begin + minute) * MINUTE, 60_000, 5)]))
    held = engine.flow.minutes.ring[engine.flow.minutes.ring["cells"] > 0]
    assert (engine.clock_ms // MINUTE - held["number"] < memory.OPEN_AT_MOST).all()


def test_days_of_prints_reach_the_declared_ceiling_and_stay_there() -> None:
    """A week of event time: from the third day on neither arrays nor what is used of them grow any more."""
    engine, rng = Engine(many()), np.random.default_rng(7)
    used: list[dict[str, int]] = []
    sizes: list[int] = []
    for hour in range(7 * 24):
        engine.apply(one_hour(hour, rng))
        if hour % 24 == 23:
            told = memory.parts(engine)
            used.append({part.name: part.used for part in told})
            sizes.append(memory.array_bytes((*engine.flow, engine.quotes, engine.sync.ladders)))
    # Blocks come in sizes: how many of each are needed at once still varies a little from day to day.
    for name in used[-1]:
        assert used[-1][name] <= used[2][name] * 1.02
    assert sizes[2:] == [sizes[-1]] * 5
    full = {part.name: part.full for part in memory.parts(engine)}
    for name in ("second candles", "minute candles"):
        assert used[-1][name] == full[name]
    assert used[-1]["packed cells"] <= (full["packed cells"] or 0) * 1.05
    open_minutes = engine.flow.minutes.ring["cells"] > 0
    assert int(open_minutes.any(1).sum()) <= memory.OPEN_AT_MOST
    assert engine.flow.trades["count"][:INSTRUMENTS].sum() == 7 * 24 * 60 * INSTRUMENTS * PRINTS
