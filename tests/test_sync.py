"""Diff-depth synchronisation by the venue's numbered rules, and against a simulated venue that loses and repeats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tapes import T0, Level, Row, diff, examples, snapshot, tape, universe
from tapewatch.book import sync
from tapewatch.engine import Engine, Need
from tapewatch.model.views import BookState

BIDS, ASKS = [(100, 5), (99, 6)], [(102, 7), (103, 8)]


class Book:
    """One followed book, fed row by row."""

    def __init__(self) -> None:
        self.engine = Engine(universe())
        assert self.engine.follow_book(0) == [Need(0, "start")]

    def feed(self, *rows: Row) -> list[str]:
        """Reasons of the snapshots asked for."""
        return [need.reason for need in self.engine.apply(tape(rows))]

    @property
    def state(self) -> BookState:
        return self.engine.book_state(0)

    def count(self, name: str) -> int:
        return int(self.engine.sync.ladders.books[0][name])

    def sides(self) -> tuple[list[Level], list[Level]]:
        view = self.engine.book(0)
        return [tuple(level) for level in view.bids.tolist()], [tuple(level) for level in view.asks.tolist()]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def live() -> Book:
    """A book that is live at id 1000."""
    book = Book()
    assert book.feed(snapshot(1000, BIDS, ASKS), diff(951, 1000, 950)) == []
    assert book.state is BookState.LIVE
    return book


# -- the venue's rules, with lastUpdateId 1000 ------------------------------------------------------------------------

VECTORS = [diff(900, 950, 880, [(90, 1)]), diff(951, 1000, 950, [(91, 1)]), diff(1007, 1020, 1000, [(92, 1)])]


def test_rules_3_to_5_on_kept_diffs(book: Book) -> None:
    """Vectors 1-4: too early is dropped, the straddling one is the first applied, pu decides, a wrong pu is a gap."""
    assert book.feed(*VECTORS) == []
    assert book.feed(snapshot(1000, BIDS, ASKS)) == []
    assert (book.state, book.count("dropped"), book.count("applied")) == (BookState.LIVE, 1, 2)
    assert book.sides() == ([*BIDS, (92, 1), (91, 1)], ASKS)
    assert book.engine.book(0).last_update_id == 1020
    assert book.feed(diff(1021, 1030, 1019, [(93, 1)])) == ["gap"]
    assert (book.state, book.count("gaps"), book.count("resyncs")) == (BookState.STALE, 1, 1)


def test_rules_3_to_5_when_the_snapshot_comes_first(book: Book) -> None:
    """Rule 4, second half: no diff yet, so wait; then the same vectors one by one."""
    assert book.feed(snapshot(1000, BIDS, ASKS)) == []
    assert book.state is BookState.WAITING
    states = []
    for row in VECTORS:
        assert book.feed(row) == []
        states.append(book.state)
    assert states == [BookState.WAITING, BookState.LIVE, BookState.LIVE]
    assert book.sides() == ([*BIDS, (92, 1), (91, 1)], ASKS)
    assert (book.count("dropped"), book.count("applied")) == (1, 2)


@pytest.mark.parametrize("snapshot_first", [False, True])
def test_rule_4_a_diff_that_straddles_the_snapshot_is_applied(snapshot_first: bool, book: Book) -> None:
    rows = [diff(990, 1010, 985, [(100, 9)]), snapshot(1000, BIDS, ASKS)]
    assert book.feed(*(rows[::-1] if snapshot_first else rows)) == []
    assert book.state is BookState.LIVE
    assert book.sides()[0] == [(100, 9), (99, 6)]


@pytest.mark.parametrize("snapshot_first", [False, True])
def test_rule_4_a_snapshot_older_than_the_first_diff_is_fetched_again(snapshot_first: bool, book: Book) -> None:
    """The diffs are kept meanwhile, so the next snapshot finds them."""
    late = diff(1005, 1010, 1003, [(98, 4)])
    old = snapshot(1000, BIDS, ASKS)
    assert book.feed(*((old, late) if snapshot_first else (late, old))) == ["snapshot_too_old"]
    assert book.state is BookState.WAITING
    assert book.feed(diff(1011, 1015, 1010, [(97, 3)])) == []
    assert book.feed(snapshot(1007, BIDS, ASKS)) == []
    assert book.state is BookState.LIVE
    assert book.sides()[0] == [*BIDS, (98, 4), (97, 3)]


def test_rule_4_boundaries(book: Book) -> None:
    """u equal to lastUpdateId is not dropped; U equal to it straddles."""
    assert book.feed(diff(1000, 1004, 990), snapshot(1000, BIDS, ASKS)) == []
    assert (book.state, book.count("dropped"), book.count("applied")) == (BookState.LIVE, 0, 1)
    other = Book()
    assert other.feed(diff(1003, 1006, 1001), snapshot(1000, BIDS, ASKS)) == ["snapshot_too_old"]


@pytest.mark.parametrize("snapshot_first", [False, True])
def test_rule_4_a_quiet_symbol_continues_by_pu(snapshot_first: bool, book: Book) -> None:
    """Ids are global: U may lie above lastUpdateId although nothing of this symbol happened between."""
    rows = [diff(1007, 1009, 990, [(100, 9)]), snapshot(1000, BIDS, ASKS)]
    assert book.feed(*(rows[::-1] if snapshot_first else rows)) == []
    assert book.state is BookState.LIVE
    assert book.sides()[0] == [(100, 9), (99, 6)]


def test_rule_5_a_gap_among_kept_diffs_keeps_the_diff_that_shows_it(book: Book) -> None:
    """A newer snapshot inside that diff makes the book live without another fetch."""
    kept = [diff(951, 1000, 950), diff(1010, 1020, 1005, [(98, 1)]), diff(1021, 1030, 1020, [(97, 1)])]
    assert book.feed(*kept, snapshot(1000, BIDS, ASKS)) == ["gap"]
    assert (book.state, book.count("gaps")) == (BookState.STALE, 1)
    assert book.feed(snapshot(1015, BIDS, ASKS)) == []
    assert book.state is BookState.LIVE
    assert book.sides()[0] == [*BIDS, (98, 1), (97, 1)]


def test_rule_6_zero_deletes_and_unknown_deletions_are_normal(live: Book) -> None:
    assert live.feed(diff(1001, 1005, 1000, [(100, 0), (42, 0)], [(102, 0), (10**9, 0)])) == []
    assert live.sides() == ([(99, 6)], [(103, 8)])
    assert live.state is BookState.LIVE


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_gap_makes_the_book_stale_at_once_and_a_snapshot_mends_it(live: Book) -> None:
    """Rows of one batch: nothing behind the gap reaches the book until the snapshot; then all of it does."""
    assert live.feed(
        diff(1001, 1005, 1000, [(101, 1)]), diff(1011, 1015, 1010, [(98, 2)]), diff(1016, 1020, 1015, [(97, 3)])
    ) == ["gap"]
    assert live.state is BookState.STALE
    assert live.feed(snapshot(1012, [(101, 1), (100, 4)], ASKS)) == []
    assert live.state is BookState.LIVE
    assert live.sides() == ([(101, 1), (100, 4), (98, 2), (97, 3)], ASKS)


def test_other_books_are_untouched_by_a_gap() -> None:
    engine = Engine(universe("BTCUSDT", "ETHUSDT"))
    for i in (0, 1):
        engine.follow_book(i)
        engine.apply(tape([snapshot(1000, BIDS, ASKS, i=i), diff(951, 1000, 950, i=i)]))
    rows = [diff(1010, 1020, 1005, i=0), diff(1001, 1002, 1000, [(100, 1)], i=1)]
    assert engine.apply(tape(rows)) == [Need(0, "gap")]
    assert (engine.book_state(0), engine.book_state(1)) == (BookState.STALE, BookState.LIVE)
    assert engine.book(1).bids.tolist() == [[100, 1], [99, 6]]
    assert engine.books_by_state() == {BookState.STALE: 1, BookState.LIVE: 1}


def test_repeated_and_older_diffs_change_nothing(live: Book) -> None:
    """Overlapping sockets deliver everything twice."""
    rows = [diff(1001, 1005, 1000, [(100, 1)], ts_ms=T0 + 1), diff(1006, 1009, 1005, [(100, 2)], ts_ms=T0 + 2)]
    assert live.feed(rows[0], rows[0], rows[1], rows[0], rows[1]) == []
    assert live.sides()[0] == [(100, 2), (99, 6)]
    assert (live.count("applied"), live.count("dropped"), live.count("gaps")) == (3, 3, 0)


def test_reordered_diffs_are_a_gap(live: Book) -> None:
    first, second = diff(1001, 1005, 1000, [(100, 1)]), diff(1006, 1009, 1005, [(100, 2)])
    assert live.feed(second, first) == ["gap"]
    assert live.state is BookState.STALE


def test_an_absurd_update_id_cannot_freeze_a_live_book(live: Book) -> None:
    """Every later diff has a lower id: a repetition by its id, none by its time."""
    assert live.feed(diff(1001, 2**60, 1000, [(100, 1)], ts_ms=T0 + 100)) == []
    assert live.feed(diff(1006, 1009, 1005, [(100, 2)], ts_ms=T0 + 200)) == ["gap"]
    assert live.state is BookState.STALE
    assert live.feed(snapshot(1007, BIDS, ASKS)) == []
    assert live.state is BookState.LIVE


def test_a_crossed_book_is_resynchronised(live: Book) -> None:
    assert live.feed(diff(1001, 1005, 1000, [(102, 1)], [(101, 1)])) == ["crossed"]
    assert live.state is BookState.STALE
    assert live.feed(snapshot(1005, BIDS, ASKS), diff(1005, 1009, 1004)) == []
    assert (live.state, live.sides()) == (BookState.LIVE, (BIDS, ASKS))


@pytest.mark.parametrize("snapshot_first", [False, True])
def test_a_book_crossed_by_its_first_diff_never_goes_live(snapshot_first: bool, book: Book) -> None:
    rows = [diff(990, 1010, 985, [(104, 1)]), snapshot(1000, BIDS, ASKS)]
    assert book.feed(*(rows[::-1] if snapshot_first else rows)) == ["crossed"]
    assert book.state is BookState.STALE
    assert book.feed(diff(1011, 1020, 1010, [(104, 0)])) == []
    assert book.feed(snapshot(1015, BIDS, ASKS)) == []
    assert (book.state, book.sides()) == (BookState.LIVE, (BIDS, ASKS))


def test_an_empty_side_is_no_crossing(live: Book) -> None:
    assert live.feed(diff(1001, 1005, 1000, [], [(102, 0), (103, 0)])) == []
    assert live.state is BookState.LIVE
    assert live.sides() == (BIDS, [])


def test_a_snapshot_nobody_waits_for_is_ignored(live: Book) -> None:
    assert live.feed(diff(1001, 1005, 1000, [(100, 1)])) == []
    assert live.feed(snapshot(1003, [(1, 1)], [(2, 1)])) == []
    assert live.sides() == ([(100, 1), (99, 6)], ASKS)
    assert live.count("snapshot_id") == 1000


def test_a_disconnect_makes_the_book_stale_and_starts_over(live: Book) -> None:
    assert live.engine.book_lost(0) == [Need(0, "disconnect")]
    assert live.state is BookState.STALE
    assert live.feed(diff(1101, 1105, 1100, [(98, 2)]), snapshot(1103, BIDS, ASKS)) == []
    assert (live.state, live.sides()[0]) == (BookState.LIVE, [*BIDS, (98, 2)])


def test_a_book_that_is_not_followed_keeps_nothing(live: Book) -> None:
    live.engine.unfollow_book(0)
    assert live.state is BookState.OFF
    assert live.feed(diff(1001, 1005, 1000, [(100, 1)]), snapshot(1005, BIDS, ASKS)) == []
    assert (live.sides(), live.engine.book_lost(0)) == (([], []), [])
    assert live.engine.follow_book(0) == [Need(0, "start")]
    assert live.engine.follow_book(0) == []


def test_too_many_kept_diffs_drop_the_oldest(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a snapshot from before what is left is too old, and a newer one works."""
    monkeypatch.setattr(sync, "MAX_PENDING_DIFFS", 3)
    book.engine.unfollow_book(0)
    book.engine.follow_book(0)
    assert book.feed(*(diff(10 * k + 1, 10 * k + 10, 10 * k, [(90, k)]) for k in range(5))) == []
    assert book.count("dropped") == 2
    assert book.feed(snapshot(15, BIDS, ASKS)) == ["snapshot_too_old"]
    assert book.feed(snapshot(25, BIDS, ASKS)) == []
    assert (book.state, book.sides()[0]) == (BookState.LIVE, [*BIDS, (90, 4)])


# -- a snapshot that was cut somewhere --------------------------------------------------------------------------------

DEEP = [(tick, 1) for tick in range(100, 90, -1)]
HIGH = [(tick, 1) for tick in range(102, 112)]


@pytest.fixture
def cut() -> Book:
    """Live, and known from tick 91 to 111."""
    book = Book()
    assert book.feed(snapshot(1000, DEEP, HIGH, known=(91, 111)), diff(951, 1000, 950)) == []
    return book


def without(levels: list[Level], count: int) -> list[Level]:
    return [(tick, 0) for tick, _ in levels[:count]]


def test_a_market_near_the_edge_refreshes_the_book_without_ending_it(cut: Book) -> None:
    assert cut.feed(diff(1001, 1001, 1000, without(DEEP, 6))) == []
    assert cut.feed(diff(1002, 1002, 1001, without(DEEP, 7))) == ["coverage"]
    assert cut.feed(diff(1003, 1003, 1002, [(93, 5)])) == [], "asked for once"
    assert (cut.state, cut.sides()[0]) == (BookState.LIVE, [(93, 5), (92, 1), (91, 1)])
    further = [*((tick, 2) for tick in range(93, 83, -1))]
    assert cut.feed(snapshot(1002, further, HIGH, known=(84, 111))) == []
    assert (cut.state, cut.count("resyncs"), cut.count("gaps")) == (BookState.LIVE, 0, 0)
    assert cut.sides()[0] == [(93, 5), *further[1:]]
    assert cut.engine.book(0).last_update_id == 1003


@pytest.mark.parametrize(
    "row",
    [
        diff(1001, 1001, 1000, [*without(DEEP, 10), (80, 4)]),
        diff(1001, 1001, 1000, without(DEEP, 10)),
        diff(1001, 1001, 1000, [], [*without(HIGH, 10), (120, 4)]),
        diff(1001, 1001, 1000, [], without(HIGH, 10)),
    ],
    ids=["bids beyond", "no bids", "asks beyond", "no asks"],
)
@pytest.mark.parametrize("refreshing", [False, True])
def test_a_market_beyond_what_is_known_makes_the_book_stale(cut: Book, row: Row, refreshing: bool) -> None:
    """What stands there may be worse than a level we never heard of."""
    if refreshing:
        assert cut.feed(diff(990, 1000, 989), diff(1001, 1001, 1000, without(DEEP, 7), without(HIGH, 7))) == [
            "coverage"
        ]
        row = diff(1002, 1002, 1001, row.bids, row.asks)
    assert cut.feed(row) == ["coverage"]
    assert cut.state is BookState.STALE


def test_a_first_diff_beyond_what_is_known_never_goes_live(book: Book) -> None:
    assert book.feed(diff(999, 1001, 998, without(DEEP, 10)), snapshot(1000, DEEP, HIGH, known=(91, 111))) == [
        "coverage"
    ]
    assert book.state is BookState.STALE


def test_a_side_that_was_whole_may_become_empty(live: Book) -> None:
    assert live.feed(diff(1001, 1001, 1000, [(100, 0), (99, 0)], [(102, 0), (103, 0)])) == []
    assert (live.state, live.sides()) == (BookState.LIVE, ([], []))


def test_order_flow_of_the_top_levels_goes_on_through_a_refresh(cut: Book) -> None:
    """Diffs count before and while it is refreshed; a level that only the snapshot brings to light is no flow."""
    cut.engine.top10_ofi(0)
    cut.feed(diff(1001, 1001, 1000, without(DEEP, 7)), diff(1002, 1002, 1001, [(93, 5)]))
    assert cut.engine.top10_ofi(0) == -7 + 4
    cut.feed(snapshot(1002, [(93, 5), (92, 1), (91, 1), (90, 40)], HIGH, known=(90, 111)))
    cut.feed(diff(1003, 1003, 1002, [(92, 4)]))
    assert cut.state is BookState.LIVE
    assert cut.engine.top10_ofi(0) == -7 + 4 + 3


def test_needs_are_counted_by_reason(live: Book) -> None:
    live.feed(diff(1010, 1020, 1005))
    live.feed(snapshot(1000, BIDS, ASKS))
    assert live.engine.needs_by_reason == {"gap": 1, "snapshot_too_old": 1}


# -- a venue that loses, repeats, reorders and answers late -----------------------------------------------------------


@dataclass
class Truth:
    """The venue's book at one update id."""

    last_id: int
    bids: dict[int, int]
    asks: dict[int, int]

    def row(self, limit: int) -> Row:
        """The answer to a request for `limit` levels a side."""
        bids, asks = (side[:limit] for side in self.sides())
        known = (bids[-1][0] if len(bids) == limit else 0, asks[-1][0] if len(asks) == limit else 0)
        return snapshot(self.last_id, bids, asks, known=known)

    def sides(self) -> tuple[list[Level], list[Level]]:
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())


changes = st.lists(st.tuples(st.booleans(), st.integers(1, 25), st.integers(0, 3)), max_size=5)


class UnreliableVenue(RuleBasedStateMachine):
    """A true book with its chain of diffs; between it and us, a line that misbehaves."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine(universe())
        self.now = T0
        self.truth = Truth(100, {}, {})
        self.history = {100: self.truth}
        self.line: list[Row] = []
        self.wanted = 0
        self.answers: list[Row] = []

    @initialize()
    def follow(self) -> None:
        self._take(self.engine.follow_book(0))

    def _take(self, needs: Iterable[Need]) -> None:
        self.wanted += sum(1 for _ in needs)

    @rule(changes=changes, skipped=st.integers(1, 50))
    def the_book_changes(self, changes: list[tuple[bool, int, int]], skipped: int) -> None:
        """Bids stand below 1000, asks above; ids of other symbols lie between ours."""
        before = self.truth
        bids, asks = dict(before.bids), dict(before.asks)
        sent: tuple[list[Level], list[Level]] = ([], [])
        for is_bid, distance, lots in changes:
            side, tick = (bids, 1000 - distance) if is_bid else (asks, 1000 + distance)
            side[tick] = lots
            if not lots:
                del side[tick]
            sent[not is_bid].append((tick, lots))
        self.now += 100
        first = before.last_id + skipped
        self.truth = Truth(first + len(changes), bids, asks)
        self.history[self.truth.last_id] = self.truth
        self.line.append(diff(first, self.truth.last_id, before.last_id, *sent, ts_ms=self.now))

    @precondition(lambda self: self.line)
    @rule(count=st.integers(1, 4))
    def diffs_arrive(self, count: int) -> None:
        batch, self.line = self.line[:count], self.line[count:]
        self._take(self.engine.apply(tape(batch)))

    @precondition(lambda self: self.line)
    @rule(at=st.integers(0, 10))
    def a_diff_is_lost(self, at: int) -> None:
        del self.line[at % len(self.line)]

    @precondition(lambda self: self.line)
    @rule(at=st.integers(0, 10), later=st.integers(0, 10))
    def a_diff_is_repeated(self, at: int, later: int) -> None:
        at %= len(self.line)
        self.line.insert(at + 1 + later % (len(self.line) - at), self.line[at])

    @precondition(lambda self: len(self.line) > 1)
    @rule(at=st.integers(0, 10))
    def diffs_change_places(self, at: int) -> None:
        at %= len(self.line) - 1
        self.line[at : at + 2] = self.line[at + 1], self.line[at]

    @rule()
    def the_socket_breaks(self) -> None:
        self.line.clear()
        self._take(self.engine.book_lost(0))

    @precondition(lambda self: self.wanted)
    @rule(age=st.integers(0, 8), limit=st.sampled_from([2, 5, 1_000]))
    def the_venue_takes_a_snapshot(self, age: int, limit: int) -> None:
        """Of a state some diffs ago, cut to some levels: REST answers lag."""
        states = sorted(self.history)
        self.answers.append(self.history[states[-1 - age % len(states)]].row(limit))
        self.wanted -= 1

    @precondition(lambda self: self.answers)
    @rule(at=st.integers(0, 3))
    def a_snapshot_arrives(self, at: int) -> None:
        self._take(self.engine.apply(tape([self.answers.pop(at % len(self.answers))])))

    @invariant()
    def a_live_book_is_the_venues_book_at_its_last_id(self) -> None:
        """Between the ticks it knows, its best prices among them; what it shows beyond stands there too."""
        if self.engine.book_state(0) is not BookState.LIVE:
            return
        view = self.engine.book(0)
        for shown, true in zip((view.bids, view.asks), self.history[view.last_update_id].sides(), strict=True):
            levels = [tuple(level) for level in shown.tolist()]
            assert [x for x in levels if view.low <= x[0] <= view.high] == [
                x for x in true if view.low <= x[0] <= view.high
            ]
            assert set(levels) <= set(true)
            assert levels[:1] == true[:1]

    @invariant()
    def a_refresh_is_on_its_way(self) -> None:
        if self.engine.sync.ladders.books[0]["refreshing"]:
            assert self.wanted or self.answers or self.engine.sync._early

    @invariant()
    def a_book_that_is_not_live_is_on_its_way(self) -> None:
        """Somebody was asked for a snapshot, or one is loaded and waits for its diff."""
        if self.engine.book_state(0) is not BookState.LIVE:
            loaded = self.engine.sync.ladders.books[0]["state"] == sync.LOADED
            assert loaded or self.wanted or self.answers

    def teardown(self) -> None:
        """Whatever happened: a fresh start over a line that behaves ends live."""
        self.engine.book_lost(0)
        self.line.clear()
        self.the_book_changes([(True, 1, 1), (False, 1, 2)], 5)
        self.engine.apply(tape([*self.line, self.truth.row(1_000)]))
        assert self.engine.book_state(0) is BookState.LIVE
        self.a_live_book_is_the_venues_book_at_its_last_id()


TestUnreliableVenue = UnreliableVenue.TestCase
TestUnreliableVenue.settings = examples(80)
