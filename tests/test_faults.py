"""Every fault of the contract, alone and together, by seed: what is shown is the truth, or a gap says what is not.

``TAPEWATCH_SEEDS=20000`` runs more of them, ``TAPEWATCH_SEED=17`` one alone. What is compared on which venue,
`fault_world` says.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from random import Random

import numpy as np
import pytest

from fault_truth import ended_gaps
from fault_world import World
from tapewatch import ledger
from tapewatch.model.channel import Channel
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.tape import Flag, Kind, Tape
from tapewatch.model.views import BookState
from tapewatch.node.warm import warm_up
from tapewatch.sim.simulation import warm_up as warm_up_venue

WITH_PAGES = ("binance", "binance-spot", "okx")
"""Venues that give trades back by id."""
VENUES = ("binance", "binance-spot", "bybit", "okx")
SEEDS = {name: int(os.environ.get("TAPEWATCH_SEEDS", "200" if name == "binance" else "60")) for name in VENUES}
ONLY = os.environ.get("TAPEWATCH_SEED")
TROUBLE_MS = 10_000

TRADES, BOOKS = "TRADES", "BOOKS"
STREAMS = {
    "binance": {TRADES: "*@aggTrade", BOOKS: "*@depth*"},
    "binance-spot": {TRADES: "*@aggTrade", BOOKS: "*@depth*"},
    "bybit": {TRADES: "publicTrade.*", BOOKS: "orderbook.*"},
    "okx": {TRADES: "trades:*", BOOKS: "books:*"},
}
FAULTS: dict[str, Callable[[Random], str]] = {
    "drop": lambda r: f"drop:{r.choice([0.002, 0.02, 0.2])}",
    "duplicate": lambda r: f"duplicate:{r.choice([0.01, 0.3])}",
    "reorder": lambda r: f"reorder:{r.choice([0.01, 0.2])}",
    "stall": lambda r: f"stall:{r.randint(2, 8)}:{r.choice([TRADES, BOOKS])}",
    "disconnect": lambda r: f"disconnect:{r.choice([2, 5])}",
    "slow": lambda r: f"slow:{r.choice([100, 700])}:{r.choice([TRADES, BOOKS, '*'])}",
    "garble": lambda r: f"garble:{r.choice([0.002, 0.05])}",
    "snapshot-late": lambda r: f"snapshot-late:{r.choice([300, 2500])}",
    "snapshot-stale": lambda r: f"snapshot-stale:{r.choice([700, 2000])}",
    "http-429": lambda _: "http-429:0.2",
    "http-418": lambda _: "http-418:0.02",
    "http-5xx": lambda _: "http-5xx:0.3",
    "clock-skew": lambda r: f"clock-skew:{r.choice([-1500, 4000])}",
    "symbol-listed": lambda r: f"symbol-listed:{r.randint(1, 4)}",
    "symbol-delisted": lambda r: f"symbol-delisted:{r.randint(2, 8)}",
    "tick-size-change": lambda r: f"tick-size-change:{r.randint(2, 8)}",
    "storm": lambda r: f"storm:{r.choice([3, 10])}",
    "restart": lambda r: f"restart:{r.randint(1, 8)}",
}
"""`restart` is Bybit's and OKX's; the notice of an upgrade is a matter of sockets (`test_conformance_live`)."""


def faults_of(seed: int, venue: str) -> str:
    """Each fault alone first, then all together, then any few."""
    random = Random(seed)
    names = [name for name in FAULTS if name != "restart" or venue in ("bybit", "okx")]
    if seed < len(names):
        chosen = [names[seed]]
    elif seed % 10 == 0:
        chosen = [name for name in names if name != "storm"]
    else:
        chosen = random.sample(names, random.randint(2, 6))
    text = ",".join(FAULTS[name](random) for name in chosen)
    for kind, pattern in STREAMS[venue].items():
        text = text.replace(kind, pattern)
    return text


@pytest.fixture(scope="module", autouse=True)
def _ready() -> Iterator[None]:
    warm_up()
    warm_up_venue()
    logging.disable(logging.WARNING)  # each seed breaks a thousand things, as it should
    yield
    logging.disable(logging.NOTSET)


def seeds(venue: str) -> Sequence[int]:
    return [int(ONLY)] if ONLY else range(SEEDS[venue])


@pytest.mark.parametrize(
    ("venue", "part", "parts"),
    [(name, k, n) for name in VENUES for n in (8 if name == "binance" else 3,) for k in range(n)],
)
def test_whatever_the_line_does_the_truth_is_shown_or_a_gap(venue: str, part: int, parts: int) -> None:
    """During the trouble and after it: footprints, candles, CVD, live books and the account, at every check."""
    for seed in seeds(venue)[part::parts]:
        world = World(seed, faults_of(seed, venue), venue)
        world.run(TROUBLE_MS)
        trouble = world.wrong()
        world.settle()
        wrong = trouble + world.wrong() + world.complete()
        assert wrong == [], f"TAPEWATCH_SEED={seed} venue {venue} faults {world.faults}"
        del world
        gc.collect()


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("length_s", [60, 600])
def test_after_an_outage_ids_are_contiguous_and_the_footprint_is_the_venues(length_s: int, venue: str) -> None:
    """Both lines down at once; CVD, candles and cells are compared to the last lot.

    Of Bybit, which tells the newest 1,000 trades of a symbol and none by id, what is older stays a gap.
    """
    world = World(7, venue=venue, outages_ms=[(5_000, length_s * 1_000)])
    world.run(5_000 + length_s * 1_000)
    assert world.node.engine.books_by_state()[BookState.LIVE] == 0, "no book is live without a line"
    world.run(1_000)
    causes = {
        int(g["cause"]) for i in world.node.engine.instruments_with_gaps() for g in world.node.engine.gaps(int(i))
    }
    assert causes <= {Cause.DISCONNECTED}
    world.settle()
    assert world.wrong() + world.complete() == []
    totals = world.node.engine.totals()
    if world.product.trades.page:
        assert totals["missing"] == totals["filled"] > 2 * length_s
    else:
        for one in world.node.universe:
            gaps, lost = (
                (*world.node.engine.gaps(one.index), *ended_gaps(world.node, one)),
                world.truth.lost(one.symbol),
            )
            assert len(gaps) == bool(lost)
            assert all(gap["fate"] in (Fate.BEYOND_HORIZON, Fate.UNFILLABLE) for gap in gaps)


@pytest.mark.parametrize("venue", WITH_PAGES)
@pytest.mark.parametrize("length_s", [20, 300])
def test_what_was_lost_behind_the_newest_trade_of_a_quiet_symbol_is_asked_for(length_s: int, venue: str) -> None:
    """The line comes back, and one symbol says nothing any more: its trades of the outage are there all the same.

    Five minutes are more than a page. Later the venue is asked again, now and then.
    """
    world = World(13, venue=venue, outages_ms=[(5_000, length_s * 1_000)])
    quiet = world.market.listings[0].symbol
    world.run(5_000)
    stream = world.stream(quiet, Channel.TRADES)
    world.line_faults = [lambda frames, _: [f for f in frames if f[0] != stream]]
    i = world.node.universe.get(quiet).index
    held = int(world.node.engine.flow.trades[i]["last_id"])
    world.run(length_s * 1_000 + 100)
    lost = world.prints(quiet)[-1][0]
    assert lost > held + (1_000 if length_s == 300 else 100)
    world.run(2_000)
    assert int(world.node.engine.flow.trades[i]["last_id"]) == held, "nothing has told it yet"
    world.run(18_000 if venue != "okx" else 120_000)  # whose pages are a hundred single fills
    assert int(world.node.engine.flow.trades[i]["last_id"]) >= lost
    assert not any(tail.doubtful for tail in world.node.trade_tails())
    assert world.wrong() == []
    told = int(world.node.engine.flow.trades[i]["last_id"])
    world.run(130_000)
    assert int(world.node.engine.flow.trades[i]["last_id"]) > told + 100
    assert world.wrong() == []


@pytest.mark.parametrize("venue", WITH_PAGES)
def test_history_of_before_the_start_is_loaded_and_counts(venue: str) -> None:
    """We come four minutes late; the venue's day began with its market."""
    world = World(11, venue=venue, connects_at_ms=240_000)
    world.run(241_000)
    world.settle()
    assert world.wrong() + world.complete() == []
    account = ledger.trade_account(world.node.engine, world.node.ledger, 0)
    assert account["backfilled"] > account["accepted"] // 2


def test_what_the_venue_no_longer_has_stays_a_gap_with_its_fate() -> None:
    """Its memory ends inside the outage: what is beyond is given up, the rest is filled, and coverage says how much."""
    world = World(5, outages_ms=[(5_000, 60_000)])
    forget: dict[str, int] = {}
    trades = world.market.trades

    def forgetful(
        symbol: str, first_id: int = 0, limit: int | None = None
    ) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        return trades(symbol, max(first_id, forget.get(symbol, 0)), limit)

    world.run(30_000)
    for listing in world.market.listings:
        forget[listing.symbol] = int(trades(listing.symbol)["id"].max(initial=0))
    world.market.trades = forgetful  # type: ignore[method-assign]
    world.run(36_000)
    world.settle(20_000)
    world.market.trades = trades  # type: ignore[method-assign]
    assert world.wrong() == []
    for i in (0, 1):
        (gap,) = world.node.engine.gaps(i)
        assert (gap["cause"], gap["fate"]) == (Cause.DISCONNECTED, Fate.REFUSED)
        (hour,) = ledger.coverage(world.node.engine, i)
        assert hour.missing == gap["last_id"] - gap["first_id"] + 1
        assert hour.share is not None
        assert 0 < hour.share < 1


@pytest.mark.parametrize("length_s", [5, 120])
def test_what_an_outage_hid_comes_back_as_far_as_the_newest_trades_reach(length_s: int) -> None:
    """Bybit: of five seconds everything, of two minutes what the busy symbols told last."""
    world = World(7, venue="bybit", outages_ms=[(5_000, length_s * 1_000)])
    world.run(5_000 + length_s * 1_000 + 3_000)
    world.settle()
    assert world.wrong() == []
    names = [one.symbol for one in world.node.universe]
    assert all(not world.truth.lost(name) for name in names) == (length_s == 5)
    assert world.node.engine.totals()["filled"] > 2 * length_s


# -- canaries: a rule broken on purpose has to be found by the same checks -----------------------------------------


def tampered(world: World, tamper: Callable[[Tape], None]) -> World:
    apply = world.node.engine.apply

    def broken(tape: Tape) -> object:
        tape = tape.copy()
        tamper(tape)
        return apply(tape)

    world.node.engine.apply = broken  # type: ignore[assignment,method-assign]
    return world


def accepts_any_diff(world: World) -> Callable[[Tape], None]:
    """The rule of every venue broken: whatever comes is taken for the continuation."""

    def tamper(tape: Tape) -> None:
        books, last = world.node.engine.sync.ladders.books, dict[int, int]()
        for k in np.flatnonzero((tape.rows["kind"] == Kind.DEPTH) & (tape.rows["flags"] & Flag.SNAPSHOT == 0)):
            i = int(tape.rows["instrument"][k])
            tape.rows["prev_id"][k] = last.get(i, int(books[i]["last_id"]))
            last[i] = int(tape.rows["last_id"][k])

    return tamper


def turns_backfilled_sides(_: World) -> Callable[[Tape], None]:
    def tamper(tape: Tape) -> None:
        tape.rows["flags"][tape.rows["flags"] & Flag.BACKFILLED != 0] ^= Flag.SELL

    return tamper


def forgets_a_hole(world: World) -> Callable[[Tape], None]:
    def tamper(_: Tape) -> None:
        chains = world.node.engine.flow.holes.chains
        for name in ("newest", "oldest", "cursor", "count"):
            chains[name] = 0

    return tamper


def loses_a_lot(_: World) -> Callable[[Tape], None]:
    """One lot less in one trade of a hundred."""

    def tamper(tape: Tape) -> None:
        tape.rows["qty"][(tape.rows["kind"] == Kind.TRADE) & (tape.rows["id"] % 100 == 0) & (tape.rows["qty"] > 1)] -= 1

    return tamper


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("break_rule", [accepts_any_diff, turns_backfilled_sides, forgets_a_hole, loses_a_lot])
def test_a_broken_rule_is_found(venue: str, break_rule: Callable[[World], Callable[[Tape], None]]) -> None:
    faults = "drop:0.05" if venue != "bybit" else "drop:0.05,disconnect:2"  # else nothing is known to be missing
    sound = World(3, faults, venue)
    sound.run(TROUBLE_MS)
    sound.settle()
    assert sound.wrong() == []
    broken = World(3, faults, venue)
    tampered(broken, break_rule(broken))
    broken.run(TROUBLE_MS)
    broken.settle(10_000)
    assert broken.wrong() != []
