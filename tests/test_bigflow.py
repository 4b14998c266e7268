"""Big flow against a plain reading of its rules: which episodes, how large, when they open, grow and end."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import T0, Row, diff, examples, quote, snapshot, tape, trade, universe
from tapewatch.engine import Engine
from tapewatch.flow.bigflow import EVENTS, FLOW_WINDOWS_S, MAX_DISTINCT_PRICES
from tapewatch.model.thresholds import Thresholds
from tapewatch.model.views import Rule

UNITS = 10_000
"""Ticks x lots of one unit of quote currency on the grid of these tests."""


FIRED = ["flow_10s", "flow_1m", "flow_5m", "parent"]
"""What one large print sets off, in order."""


def armed(*advs: int, thresholds: Thresholds | None = None) -> Engine:
    """An engine with an instrument for each average daily volume given (0: not known)."""
    engine = Engine(universe(*(f"S{k}USDT" for k in range(len(advs)))), thresholds)
    for i, adv in enumerate(advs):
        if adv:
            engine.set_adv(i, Decimal(adv), 30)
    return engine


def rows_of(engine: Engine, rule: Rule | None = None) -> list[dict[str, float]]:
    found = engine.big_flow(limit=EVENTS)
    rows = [dict(zip(found.dtype.names or (), row, strict=True)) for row in found.tolist()]
    return sorted((r for r in rows if rule is None or r["rule"] == rule), key=lambda r: r["id"])


def labels(engine: Engine) -> list[str]:
    return [Rule(int(row["rule"])).label for row in rows_of(engine)]


# -- when it fires ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("adv", "limit"), [(10_000_000, 50_000), (1_000_000, 25_000), (5_000_000, 25_000)])
def test_only_more_than_the_threshold_fires(adv: int, limit: int) -> None:
    """Half a percent of average daily volume, never less than the floor: exactly that is not enough."""
    exactly = limit * UNITS // 10_000
    engine = armed(adv)
    engine.apply(tape([trade(1, T0, 10_000, exactly)]))
    assert rows_of(engine) == []
    engine = armed(adv)
    engine.apply(tape([trade(1, T0, 10_000, exactly + 1)]))
    assert labels(engine) == FIRED
    for row in rows_of(engine):
        assert row["quote"] == 10_000 * (exactly + 1)
        assert row["pct_of_adv"] == pytest.approx(100 * (limit + 1) / adv)


def test_thresholds_are_taken_exactly() -> None:
    """0.1 percent has no exact binary fraction; neither has a tick of 0.1."""
    engine = armed(30_000_000, thresholds=Thresholds(adv_percent=0.1, min_notional=0.3))
    engine.apply(tape([trade(1, T0, 3, 100_000_000)]))
    assert rows_of(engine) == []
    engine.apply(tape([trade(2, T0, 1, 1)]))
    assert labels(engine) == FIRED


def test_without_average_daily_volume_nothing_fires() -> None:
    engine = armed(0)
    engine.apply(tape([trade(1, T0, 10**6, 10**9)]))
    assert rows_of(engine) == []
    engine.set_adv(0, Decimal(0), 0)
    engine.apply(tape([trade(2, T0, 10**6, 10**9)]))
    assert rows_of(engine) == []


def test_a_symbol_may_have_thresholds_of_its_own() -> None:
    engine = armed(10_000_000, 10_000_000)
    engine.override("S1USDT", Thresholds(adv_percent=2, min_notional=0))
    engine.apply(tape([trade(1, T0, 10_000, 60_000, i=i) for i in (0, 1)]))
    assert {row["instrument"] for row in rows_of(engine)} == {0}
    engine.apply(tape([trade(2, T0, 10_000, 150_000, i=1)]))
    assert {row["instrument"] for row in rows_of(engine)} == {0, 1}


# -- parent orders ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("aggregate", "gap_ms", "parents"), [(False, 10, 1), (False, 11, 2), (True, 100, 1), (True, 101, 2)]
)
def test_prints_within_the_cluster_time_are_one_parent_order(aggregate: bool, gap_ms: int, parents: int) -> None:
    engine = armed(1_000_000)
    if not aggregate:
        engine.use_raw_trades(0)
    engine.apply(tape([trade(k, T0 + k * gap_ms, 10_000, 30_000, aggregate=aggregate) for k in (1, 2)]))
    rows = rows_of(engine, Rule.PARENT)
    assert [row["trades"] for row in rows] == ([2] if parents == 1 else [1, 1])
    assert [row["open"] for row in rows] == [0] * (parents - 1) + [1]


def test_the_cluster_time_can_be_set() -> None:
    engine = armed(1_000_000, thresholds=Thresholds(cluster_ms_aggregate=0))
    engine.apply(tape([trade(1, T0, 10_000, 30_000), trade(2, T0, 10_000, 1), trade(3, T0 + 1, 10_000, 30_000)]))
    assert [row["trades"] for row in rows_of(engine, Rule.PARENT)] == [2, 1]


def test_a_parent_order_has_vwap_range_and_levels() -> None:
    engine = armed(1_000_000)
    prints = [(10_000, 20_000), (10_002, 10_000), (10_001, 10_000), (10_002, 5_000)]
    engine.apply(tape([trade(k, T0 + k, p, q, sell=True) for k, (p, q) in enumerate(prints, 1)]))
    (row,) = rows_of(engine, Rule.PARENT)
    quote_units = sum(p * q for p, q in prints)
    assert [row[name] for name in ("sell", "trades", "levels", "low", "high", "open")] == [1, 4, 3, 10_000, 10_002, 1]
    assert (row["qty"], row["quote"], row["start_ms"], row["ts_ms"]) == (45_000, quote_units, T0 + 1, T0 + 4)
    assert row["vwap"] == pytest.approx(quote_units / 45_000)
    assert row["pct_of_adv"] == pytest.approx(quote_units / UNITS / 10_000)


def test_the_other_side_ends_a_parent_order() -> None:
    engine = armed(1_000_000)
    sides = [False, False, True, False]
    engine.apply(tape([trade(k, T0 + k, 10_000, 30_000, sell=sell) for k, sell in enumerate(sides, 1)]))
    assert [(r["sell"], r["trades"], r["open"]) for r in rows_of(engine, Rule.PARENT)] == [
        (0, 2, 0),
        (1, 1, 0),
        (0, 1, 1),
    ]


def test_one_order_in_a_hundred_prints_is_one_row_that_grows() -> None:
    engine = armed(1_000_000)
    seen = 0
    for k in range(1, 101):
        engine.apply(tape([trade(k, T0 + k, 10_000 + k, 1_000)]))
        changed = [row for row in engine.big_flow(since_seq=seen) if row["rule"] == Rule.PARENT]
        seen = max([seen, *(int(row["seq"]) for row in engine.big_flow())])
        assert len(changed) == (k >= 25), "the row changes with every print from the one that crosses the floor"
    (row,) = rows_of(engine, Rule.PARENT)
    assert (row["trades"], row["start_ms"], row["levels"]) == (100, T0 + 1, MAX_DISTINCT_PRICES)
    assert len(rows_of(engine)) == 4


def test_interleaved_symbols_keep_their_own_orders() -> None:
    engine = armed(1_000_000, 1_000_000)
    rows = []
    for k in range(1, 11):
        rows += [trade(k, T0 + k, 10_000, 3_000, i=0), trade(k, T0 + k, 10_000, 6_000, sell=True, i=1)]
    engine.apply(tape(rows))
    found = {int(r["instrument"]): (r["trades"], r["sell"], r["qty"]) for r in rows_of(engine, Rule.PARENT)}
    assert found == {0: (10, 0, 30_000), 1: (10, 1, 60_000)}


def test_a_parent_order_ends_when_time_passes_without_it() -> None:
    """Time is the newest event of any instrument."""
    engine = armed(1_000_000, 0)
    engine.apply(tape([trade(1, T0, 10_000, 30_000), quote(1, T0 + 1_000, 1, 1, 2, 1, i=1)]))
    assert rows_of(engine, Rule.PARENT)[0]["open"] == 1
    engine.apply(tape([quote(2, T0 + 2_000, 1, 1, 2, 1, i=1)]))
    assert rows_of(engine, Rule.PARENT)[0]["open"] == 0


def test_off_book_and_repeated_prints_are_no_flow() -> None:
    engine = armed(1_000_000)
    engine.apply(tape([trade(1, T0, 10_000, 20_000), trade(1, T0, 10_000, 20_000)]))
    engine.apply(tape([trade(2, T0, 10_000, 90_000, off_book=True)]))
    assert rows_of(engine) == []


# -- one-sided flow ---------------------------------------------------------------------------------------------------


def test_flow_is_net_of_the_other_side() -> None:
    engine = armed(1_000_000)
    rows = [
        trade(1, T0, 10_000, 20_000),
        trade(2, T0 + 500, 10_000, 20_000, sell=True),
        trade(3, T0 + 900, 10_000, 24_000),
    ]
    engine.apply(tape(rows))
    assert rows_of(engine) == []
    engine.apply(tape([trade(4, T0 + 1_500, 10_010, 2_000)]))
    assert labels(engine) == ["flow_10s", "flow_1m", "flow_5m"]
    (row, *_) = rows_of(engine)
    bought = 10_000 * 44_000 + 10_010 * 2_000
    assert (row["qty"], row["quote"]) == (26_000, bought - 10_000 * 20_000)
    assert row["vwap"] == pytest.approx(bought / 46_000), "of the prints of the side that prevails"
    assert [row[name] for name in ("sell", "levels", "trades", "low", "high")] == [0, 0, 4, 10_000, 10_010]


@examples(60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 200, 900, 3_000, 12_000]),
            st.integers(9_990, 10_010),
            st.sampled_from([1_000, 9_000, 40_000]),
            st.booleans(),
            st.sampled_from([0, 0, 0, 4_000]),
        ),
        max_size=40,
    )
)
def test_a_row_that_grows_tells_every_print_of_its_window(prints: list[tuple[int, int, int, bool, int]]) -> None:
    """Also of prints that come late, and after the window has moved on."""
    engine, now, before = armed(1_000_000), T0 + 7, dict[int, float]()
    seen: list[tuple[int, int]] = []
    for number, (wait, price, lots, sell, late) in enumerate(prints, 1):
        now += wait
        ts = now - late
        engine.apply(tape([trade(number, ts, price, lots, sell=sell)]))
        seen.append((ts // 1000, price))
        head = max(second for second, _ in seen)
        for row in rows_of(engine):
            assert row["ts_ms"] >= row["start_ms"]
            grew = row["quote"] != before.get(int(row["id"]))
            before[int(row["id"])] = row["quote"]
            if row["rule"] != Rule.PARENT and grew:
                length = FLOW_WINDOWS_S[int(row["rule"]) - 1]
                window = [p for second, p in seen if head - length < second <= head]
                assert (row["trades"], row["low"], row["high"]) == (len(window), min(window), max(window))


def test_each_window_fires_for_what_it_sees() -> None:
    """A steady seller, too slow for ten seconds, is found by the minute and the five minutes."""
    engine = armed(1_000_000)
    engine.apply(tape([trade(k, T0 + k * 5_000, 10_000, 3_000, sell=True) for k in range(1, 31)]))
    assert labels(engine) == ["flow_1m", "flow_5m"]
    minute, five = rows_of(engine)
    assert (minute["qty"], five["qty"]) == (36_000, 90_000)
    assert (minute["start_ms"], five["start_ms"]) == (T0 + 45_000, T0 + 45_000)


def test_flow_hovering_at_the_threshold_is_one_episode() -> None:
    """It ends below half of it, not at the first dip."""
    engine = armed(1_000_000)
    for number, second in enumerate(range(40), 1):
        sell = second >= 6 and second % 2 == 1
        engine.apply(tape([trade(number, T0 + second * 1_000, 10_000, 5_000, sell=sell)]))
    ten = rows_of(engine, Rule.FLOW_10S)
    assert [(row["qty"], row["open"]) for row in ten] == [(35_000, 0)]
    assert ten[0]["ts_ms"] == T0 + 6_000


def test_a_flow_episode_ends_as_its_prints_leave_the_window() -> None:
    engine = armed(1_000_000, 0)
    engine.apply(tape([trade(1, T0, 10_000, 30_000)]))
    states = []
    for second in (9, 10, 59, 60, 299, 300):
        engine.apply(tape([quote(second, T0 + second * 1_000, 1, 1, 2, 1, i=1)]))
        states.append(tuple(int(row["open"]) for row in rows_of(engine)[:3]))
    assert states == [(1, 1, 1), (0, 1, 1), (0, 1, 1), (0, 0, 1), (0, 0, 1), (0, 0, 0)]


def test_a_leap_of_time_ends_every_episode() -> None:
    """Also a ten-second one whose five-minute window never fired."""
    engine = armed(1_000_000, 0)
    rows = [trade(1, T0, 10_000, 24_000, sell=True), trade(2, T0 + 20_000, 10_000, 26_000)]
    engine.apply(tape(rows))
    assert [(label, row["open"]) for label, row in zip(labels(engine), rows_of(engine), strict=True)] == [
        ("flow_10s", 1), ("parent", 1),
    ]  # fmt: skip
    engine.apply(tape([quote(1, T0 + 4_000_000, 1, 1, 2, 1, i=1)]))
    assert [row["open"] for row in rows_of(engine)] == [0, 0]


def test_flow_that_turns_is_another_episode() -> None:
    engine = armed(1_000_000)
    engine.apply(tape([trade(1, T0, 10_000, 30_000), trade(2, T0 + 2_000, 10_000, 60_000, sell=True)]))
    ten = rows_of(engine, Rule.FLOW_10S)
    assert [(row["sell"], row["qty"], row["open"]) for row in ten] == [(0, 30_000, 0), (1, 30_000, 1)]


# -- what the book held -----------------------------------------------------------------------------------------------

BOOK = [
    snapshot(1000, [(10_000, 1), (9_995, 2), (9_989, 50)], [(10_001, 3), (10_011, 4), (10_012, 70)]),
    diff(999, 1000, 998),
]


@pytest.mark.parametrize(("sell", "depth"), [(False, 10_001 * 3 + 10_011 * 4), (True, 10_000 + 9_995 * 2)])
def test_rows_say_what_the_opposite_side_held_within_ten_basis_points(sell: bool, depth: int) -> None:
    engine = armed(1_000_000)
    engine.follow_book(0)
    engine.apply(tape([*BOOK, trade(1, T0, 10_000, 30_000, sell=sell)]))
    assert [row["depth_quote"] for row in rows_of(engine)] == [depth] * 4
    engine.apply(tape([diff(1001, 1002, 1000, [], [(10_001, 0)]), trade(2, T0 + 1, 10_000, 1, sell=sell)]))
    assert [row["depth_quote"] for row in rows_of(engine)] == [depth] * 4, "when it fired, not later"


def test_depth_of_a_book_that_is_not_live_is_unknown() -> None:
    engine = armed(1_000_000, 1_000_000)
    engine.follow_book(0)
    engine.apply(tape([*BOOK, diff(2000, 2001, 1999), trade(1, T0, 10_000, 30_000), trade(1, T0, 10_000, 30_000, i=1)]))
    assert {row["depth_quote"] for row in rows_of(engine)} == {-1}


# -- the list ---------------------------------------------------------------------------------------------------------


def test_changes_are_listed_in_order_and_once() -> None:
    engine = armed(1_000_000)
    engine.apply(tape([trade(1, T0, 10_000, 30_000)]))
    first = engine.big_flow()
    assert first["seq"].tolist() == sorted(first["seq"].tolist())
    newest = int(first["seq"][-1])
    assert len(engine.big_flow(since_seq=newest)) == 0
    engine.apply(tape([trade(2, T0 + 1, 10_000, 1)]))
    assert set(engine.big_flow(since_seq=newest)["id"].tolist()) == set(first["id"].tolist())
    assert len(engine.big_flow(limit=2)) == 2
    assert len(engine.big_flow(limit=0)) == 0


def test_newer_rows_replace_the_oldest_and_nobody_writes_into_them() -> None:
    """An episode whose row has been overwritten goes on without one."""
    engine = armed(1_000_000, 1_000_000)
    engine.apply(tape([trade(1, T0, 10_000, 30_000, i=0)]))
    flips = [trade(k, T0 + k, 10_000, 30_000, sell=k % 2 == 0, i=1) for k in range(1, EVENTS + 50)]
    engine.apply(tape(flips))
    rows = rows_of(engine)
    assert len(rows) == EVENTS
    assert [r["id"] for r in rows] == list(range(int(rows[0]["id"]), int(rows[0]["id"]) + EVENTS))
    assert {row["instrument"] for row in rows} == {1}
    engine.apply(tape([trade(2, T0 + EVENTS + 60, 10_000, 500, i=0)]))
    assert [r for r in rows_of(engine) if r["instrument"] == 1] == rows


# -- the plain reading ------------------------------------------------------------------------------------------------


@dataclass
class Print:
    i: int
    ts_ms: int
    event_ms: int
    price: int
    lots: int
    sell: bool

    @property
    def units(self) -> int:
        return self.price * self.lots


@dataclass
class Episode:
    rule: int
    i: int
    sell: bool
    start_ms: int
    figures: dict[str, float] = field(default_factory=dict)
    open: bool = True


class PlainReading:
    """The contract's two rules over the list of all prints, nothing kept but the episodes."""

    def __init__(self, advs: list[int]) -> None:
        self.limit = [max(adv * UNITS // 200, 25_000 * UNITS) for adv in advs]
        self.adv = advs
        self.prints: list[Print] = []
        self.clusters: list[list[Print]] = [[] for _ in advs]
        self.episodes: list[Episode] = []
        self.current: dict[tuple[int, int], Episode] = {}
        self.second = 0

    def end(self, key: tuple[int, int]) -> None:
        if episode := self.current.pop(key, None):
            episode.open = False

    def begin(self, rule: int, i: int, sell: bool, start_ms: int) -> Episode:
        episode = Episode(rule, i, sell, start_ms)
        self.current[rule, i] = episode
        self.episodes.append(episode)
        return episode

    def feed(self, p: Print) -> None:
        if p.event_ms // 1000 > self.second:
            self.second = p.event_ms // 1000
            for i in range(len(self.adv)):
                cluster = self.clusters[i]
                if cluster and self.second * 1000 - cluster[-1].ts_ms > 1_100:
                    cluster.clear()
                    self.end((0, i))
                for w, seconds in enumerate(FLOW_WINDOWS_S, 1):
                    if (w, i) in self.current:
                        self.judge_flow(w, seconds, i, self.second, self.second * 1000)
        self.prints.append(p)
        until = max(self.second, p.ts_ms // 1000)
        for w, seconds in enumerate(FLOW_WINDOWS_S, 1):
            if p.ts_ms // 1000 > until - seconds:
                self.judge_flow(w, seconds, p.i, until, p.ts_ms)
        self.judge_parent(p)

    def judge_parent(self, p: Print) -> None:
        cluster = self.clusters[p.i]
        if cluster and (cluster[-1].sell != p.sell or p.ts_ms - cluster[-1].ts_ms > 100):
            cluster.clear()
            self.end((0, p.i))
        cluster.append(p)
        units = sum(q.units for q in cluster)
        if units > self.limit[p.i]:
            episode = self.current.get((0, p.i)) or self.begin(0, p.i, p.sell, cluster[0].ts_ms)
            episode.figures = self.figures(cluster, units, sum(q.lots for q in cluster), p)
            episode.figures["levels"] = len({q.price for q in cluster})

    def judge_flow(self, w: int, seconds: int, i: int, until: int, now_ms: int) -> None:
        inside = [q for q in self.prints if q.i == i and until - seconds < q.ts_ms // 1000 <= until]
        net = sum(-q.units if q.sell else q.units for q in inside)
        sell = net < 0
        episode = self.current.get((w, i))
        if episode and (episode.sell != sell or 2 * abs(net) <= self.limit[i]):
            self.end((w, i))
            episode = None
        if episode is None and abs(net) > self.limit[i]:
            episode = self.begin(w, i, sell, now_ms)
        if episode and abs(net) > episode.figures.get("quote", 0):
            lots = abs(sum(-q.lots if q.sell else q.lots for q in inside))
            side = [q for q in inside if q.sell == sell]
            last = Print(i, max(now_ms, int(episode.figures.get("ts_ms", 0))), 0, 0, 0, sell)
            episode.figures = {**self.figures(inside, abs(net), lots, last), "levels": 0}
            episode.figures["vwap"] = sum(q.units for q in side) / sum(q.lots for q in side)

    def figures(self, prints: list[Print], units: int, lots: int, last: Print) -> dict[str, float]:
        return {
            "quote": units,
            "qty": lots,
            "trades": len(prints),
            "low": min(q.price for q in prints),
            "high": max(q.price for q in prints),
            "ts_ms": last.ts_ms,
            "vwap": sum(q.units for q in prints) / sum(q.lots for q in prints),
            "pct_of_adv": 100 * units / (self.adv[last.i] * UNITS),
        }

    def rows(self) -> list[dict[str, float]]:
        return [
            {
                "rule": e.rule,
                "instrument": e.i,
                "sell": int(e.sell),
                "start_ms": e.start_ms,
                "open": int(e.open),
                **e.figures,
            }
            for e in self.episodes
        ]


@st.composite
def busy_markets(draw: st.DrawFn) -> list[Print]:
    """Two instruments with runs of one side, pauses around every boundary, and event times behind trade times."""
    now, price = T0, 10_000
    out = []
    side = False
    for _ in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0, 0, 1, 100, 101, 900, 1_000, 1_101, 2_500, 9_000, 10_000, 59_000, 301_000]))
        price += draw(st.integers(-2, 2))
        side ^= draw(st.sampled_from([False, False, False, True]))
        lots = draw(st.sampled_from([1, 900, 5_000, 12_500, 25_000, 25_001, 60_000]))
        out.append(Print(draw(st.integers(0, 1)), now, now + draw(st.sampled_from([0, 150])), price, lots, side))
    return out


@examples(250)
@given(busy_markets())
def test_episodes_are_those_of_the_plain_reading(prints: list[Print]) -> None:
    advs = [1_000_000, 8_000_000]
    engine, plain = armed(*advs), PlainReading(advs)
    ids = [0, 0]
    rows: list[Row] = []
    for p in prints:
        ids[p.i] += 1
        rows.append(trade(ids[p.i], p.ts_ms, p.price, p.lots, sell=p.sell, i=p.i, event_ms=p.event_ms))
        plain.feed(p)
    engine.apply(tape(rows))
    names = list(plain.rows()[0]) if plain.episodes else []
    shown = [{name: row[name] for name in names} for row in rows_of(engine)]
    assert shown == [
        {**row, "vwap": pytest.approx(row["vwap"]), "pct_of_adv": pytest.approx(row["pct_of_adv"])}
        for row in plain.rows()
    ]
