"""Paged ladders against a plain dictionary book."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import Level, examples
from tapewatch.book import ladder
from tapewatch.book.ladder import NO_PAGE, NO_PRICE, PAGE, Ladders
from tapewatch.model.tape import LEVEL

BID, ASK = 1, -1
FAR = PAGE * 64
"""Further than the walk over neighbouring pages reaches."""


class Books:
    """Ladders driven as the engine drives them: room is made before levels are set."""

    def __init__(self, instruments: int = 1, pages: int = 4) -> None:
        self.state: Ladders = ladder.new_ladders(instruments, pages)

    def set(self, i: int, side: int, levels: list[Level]) -> None:
        self.state = ladder.grow(self.state, len(levels))
        bids, asks = (len(levels), 0) if side == BID else (0, len(levels))
        ladder.set_levels(self.state, i, np.array(levels, LEVEL), 0, bids, asks)

    def side(self, i: int, side: int, depth: int = 10_000) -> list[Level]:
        out = np.zeros((2, depth, 2), np.int64)
        bids, asks, *_ = ladder.read_book(self.state, i, out)
        found = out[0, :bids] if side == BID else out[1, :asks]
        return [(int(tick), int(lots)) for tick, lots in found]

    def pages_used(self) -> int:
        return len(self.state.free) - int(self.state.meta[0])


class DictBook:
    """The same book as a dictionary from tick to signed lots (bids positive)."""

    def __init__(self) -> None:
        self.lots: dict[int, int] = {}

    def set(self, side: int, levels: list[Level]) -> None:
        for tick, lots in levels:
            if lots:
                self.lots[tick] = lots * side
            elif self.lots.get(tick, 0) * side > 0:
                del self.lots[tick]

    def side(self, side: int) -> list[Level]:
        standing = [(tick, abs(lots)) for tick, lots in self.lots.items() if lots * side > 0]
        return sorted(standing, reverse=side == BID)


def assert_same(books: Books, models: list[DictBook]) -> None:
    for i, model in enumerate(models):
        state = books.state.books[i]
        for side, best, count in ((BID, "best_bid", "bids"), (ASK, "best_ask", "asks")):
            expected = model.side(side)
            assert books.side(i, side) == expected
            assert state[best] == (expected[0][0] if expected else NO_PRICE)
            assert state[count] == len(expected)
    pages = {(i, tick // PAGE) for i, model in enumerate(models) for tick in model.lots}
    assert books.pages_used() == len(pages), "pages are held exactly where levels stand"


near = st.integers(4 * PAGE - 6, 4 * PAGE + 6) | st.integers(990, 1_010)
ticks = st.one_of(
    near, near, st.sampled_from([1, PAGE - 1, PAGE, FAR + 900, 3 * FAR, 10**9, 2**40]), st.integers(0, 5 * FAR)
)
levels_of = st.lists(st.tuples(ticks, st.sampled_from([0, 0, 1, 5, 10**12])), max_size=8)
operations = st.lists(
    st.tuples(st.just("set"), st.integers(0, 2), st.sampled_from([BID, ASK]), levels_of)
    | st.tuples(st.just("clear"), st.integers(0, 2), st.just(0), st.just([])),
    max_size=25,
)


@examples(150)
@given(operations)
def test_any_sets_and_deletes_leave_what_a_dictionary_holds(
    operations: list[tuple[str, int, int, list[Level]]],
) -> None:
    """Three books in one pool of pages: levels, counts, best prices and pages held."""
    books, models = Books(3), [DictBook() for _ in range(3)]
    for name, i, side, levels in operations:
        if name == "clear":
            ladder.clear(books.state, i)
            models[i].lots.clear()
        else:
            books.set(i, side, levels)
            models[i].set(side, levels)
        assert_same(books, models)


@examples(80)
@given(
    st.lists(st.tuples(ticks.filter(bool), st.integers(1, 1_000)), max_size=30),
    st.integers(1, 12),
    st.integers(1, 2_000),
)
def test_sums_over_the_top_of_a_side(levels: list[Level], depth: int, bps: int) -> None:
    for side in (BID, ASK):
        books, model = Books(), DictBook()
        books.set(0, side, levels)
        model.set(side, levels)
        standing = model.side(side)
        assert ladder.top_lots(books.state, 0, side, depth) == sum(lots for _, lots in standing[:depth])
        best = standing[0][0] if standing else 0
        within = [tick * lots for tick, lots in standing if abs(tick - best) * 10_000 <= best * bps]
        assert ladder.depth_quote(books.state, 0, side, bps) == sum(within)
        assert books.side(0, side, depth) == standing[:depth]


def test_ten_basis_points_include_their_edge() -> None:
    books = Books()
    books.set(0, BID, [(10_000, 1), (9_990, 1), (9_989, 1)])
    books.set(0, ASK, [(20_000, 2), (20_020, 2), (20_021, 2)])
    assert ladder.depth_quote(books.state, 0, BID, 10) == 10_000 + 9_990
    assert ladder.depth_quote(books.state, 0, ASK, 10) == 2 * (20_000 + 20_020)


def test_an_empty_book_has_no_best_price_and_no_depth() -> None:
    books = Books()
    assert (books.side(0, BID), books.side(0, ASK)) == ([], [])
    assert ladder.depth_quote(books.state, 0, BID, 10) == 0
    assert ladder.top_lots(books.state, 0, ASK, 10) == 0
    books.set(0, BID, [(100, 0), (7, 0)])
    assert books.pages_used() == 0, "deleting a level nobody has takes no page"


def test_deleting_the_best_finds_the_next_at_any_distance() -> None:
    """Next tick, next page, past the walk limit, at the far end of the price range."""
    for gap in (1, PAGE, FAR + PAGE, 10**9):
        books = Books()
        books.set(0, BID, [(2 * 10**9, 1), (2 * 10**9 - gap, 2)])
        books.set(0, ASK, [(3 * 10**9, 3), (3 * 10**9 + gap, 4)])
        books.set(0, BID, [(2 * 10**9, 0)])
        books.set(0, ASK, [(3 * 10**9, 0)])
        assert books.side(0, BID) == [(2 * 10**9 - gap, 2)]
        assert books.side(0, ASK) == [(3 * 10**9 + gap, 4)]


def test_deleting_on_one_side_leaves_the_other_side_of_that_price_alone() -> None:
    """A price crosses over in one diff: the new bid comes before the deletion of the old ask."""
    books = Books()
    books.set(0, ASK, [(100, 5), (101, 6)])
    books.set(0, BID, [(100, 7)])
    books.set(0, ASK, [(100, 0)])
    assert books.side(0, BID) == [(100, 7)]
    assert books.side(0, ASK) == [(101, 6)]
    books.set(0, ASK, [(100, 2)])
    assert books.side(0, BID) == []
    assert books.state.books[0]["best_bid"] == NO_PRICE
    assert books.side(0, ASK) == [(100, 2), (101, 6)]


def test_emptied_pages_go_back_to_the_pool() -> None:
    books = Books(pages=8)
    for start in range(0, 50 * PAGE, PAGE):
        books.set(0, BID, [(start + 1, 1), (start + 2, 1)])
        books.set(0, BID, [(start + 1, 0), (start + 2, 0)])
    assert books.pages_used() == 0
    assert len(books.state.free) == 8, "the pool never had to grow"


def test_growing_the_pool_keeps_every_level() -> None:
    books, model = Books(pages=2), DictBook()
    for k in range(200):
        levels = [(k * PAGE * 3 + 1, k + 1)]
        books.set(0, ASK, levels)
        model.set(ASK, levels)
    assert_same(books, [model])
    assert len(books.state.free) >= 200


def test_more_instruments_get_books_of_their_own() -> None:
    books = Books(1)
    books.set(0, BID, [(10, 1)])
    books.state = ladder.grow_books(books.state, 3)
    books.set(2, ASK, [(10, 9)])
    assert (books.side(0, BID), books.side(1, BID), books.side(2, ASK)) == ([(10, 1)], [], [(10, 9)])
    assert books.state.books[1]["best_ask"] == NO_PRICE


def test_clearing_one_book_leaves_its_neighbours() -> None:
    books = Books(2)
    for i in (0, 1):
        books.set(i, BID, [(10, 1), (10**9, 1)])
    ladder.clear(books.state, 0)
    assert (books.side(0, BID), books.side(1, BID)) == ([], [(10**9, 1), (10, 1)])


@pytest.mark.parametrize("seed", range(3))
def test_a_long_random_walk_of_one_market(seed: int) -> None:
    """Thousands of diffs around a moving price with far levels left behind, compared at the end and on the way."""
    rng = np.random.default_rng(seed)
    books, models = Books(2, pages=16), [DictBook(), DictBook()]
    middle = 50_000
    for step in range(1_500):
        middle += int(rng.integers(-40, 41))
        for i in (0, 1):
            for side in (BID, ASK):
                away = rng.geometric(0.05, 6) * rng.choice([1, 1, 1, 300])
                levels = [(max(1, int(middle - side * d)), int(rng.integers(0, 4))) for d in away]
                books.set(i, side, levels)
                models[i].set(side, levels)
        if step % 250 == 0:
            assert_same(books, models)
    assert_same(books, models)
    held = books.state.table[books.state.table["key"] != NO_PAGE]
    assert all(
        used == np.count_nonzero(books.state.lots[page * PAGE : (page + 1) * PAGE])
        for page, used in held[["page", "used"]].tolist()
    )
