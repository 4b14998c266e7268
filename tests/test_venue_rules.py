"""How venues number diffs and trades, as data: the vectors of each rule, and what a chain makes of spans and jumps."""

from __future__ import annotations

import pytest

from tapes import T0, Row, diff, snapshot, tape, trade, universe
from tapewatch.book import sync
from tapewatch.engine import Engine
from tapewatch.ledger import Ledger, coverage
from tapewatch.model.gaps import Cause, Fate
from tapewatch.model.rules import BookRule, TradeIds, TradeRule
from tapewatch.model.views import BookState

SPOT = BookRule("rest", overlap=True)
IN_STREAM = BookRule("stream")
BIDS, ASKS = [(100, 5)], [(102, 7)]


class Book:
    """One followed book under a rule, fed row by row."""

    def __init__(self, rule: BookRule) -> None:
        self.engine = Engine(universe(), book=rule)
        self.engine.follow_book(0)

    def feed(self, *rows: Row) -> list[str]:
        """Reasons of the snapshots asked for; the account of the rows always balances."""
        reasons = [need.reason for need in self.engine.apply(tape(rows))]
        assert Ledger().check(self.engine) == []
        return reasons

    @property
    def state(self) -> BookState:
        return self.engine.book_state(0)

    @property
    def last_id(self) -> int:
        return int(self.engine.sync.ladders.books[0]["last_id"])

    def bids(self) -> list[tuple[int, ...]]:
        return [tuple(level) for level in self.engine.book(0).bids.tolist()]


def spot_diff(first: int, last: int, price: int) -> Row:
    return diff(first, last, first - 1, [(price, 1)])


def test_spot_vectors() -> None:
    """Snapshot 1000: 995-1000 holds nothing new, 998-1003 is the first applied, the next begins at 1004 at most."""
    book = Book(SPOT)
    assert book.feed(spot_diff(995, 999, 90), spot_diff(998, 1003, 91)) == []
    assert book.feed(snapshot(1000, BIDS, ASKS)) == []
    assert (book.state, book.last_id) == (BookState.LIVE, 1003)
    assert book.feed(spot_diff(1002, 1006, 92)) == []  # begins before the end: what it repeats is absolute
    assert (book.state, book.last_id) == (BookState.LIVE, 1006)
    assert book.feed(spot_diff(1001, 1005, 93)) == []  # ends before ours: a repetition
    assert book.bids() == [(100, 5), (92, 1), (91, 1)]
    assert book.feed(spot_diff(1010, 1012, 94)) == ["gap"]
    assert book.state is BookState.STALE


def test_spot_gap_among_kept_diffs() -> None:
    book = Book(SPOT)
    book.feed(spot_diff(998, 1003, 91), spot_diff(1010, 1012, 94))
    assert book.feed(snapshot(1000, BIDS, ASKS)) == ["gap"]
    assert book.feed(snapshot(1011, BIDS, ASKS)) == []  # the diff that showed the gap was kept
    assert (book.state, book.last_id) == (BookState.LIVE, 1012)


def test_bybit_vectors() -> None:
    """Snapshot u=77: 78 continues, 80 does not; a snapshot with u=1 replaces whatever was."""
    book = Book(IN_STREAM)
    assert book.feed(diff(76, 76, 75)) == []  # before the snapshot: of no use
    assert book.feed(snapshot(77, BIDS, ASKS)) == []
    assert book.state is BookState.LIVE
    assert book.feed(diff(78, 78, 77, [(99, 3)])) == []
    assert book.feed(diff(80, 80, 79)) == ["gap"]
    assert (book.state, book.last_id) == (BookState.STALE, 78)
    assert book.feed(diff(81, 81, 80)) == []
    later = T0 + 60_000
    assert book.feed(snapshot(1, [(50, 1)], [(60, 1)], ts_ms=later)) == []
    assert (book.state, book.bids()) == (BookState.LIVE, [(50, 1)])
    assert book.feed(diff(2, 2, 1, [(51, 1)], ts_ms=later)) == []
    assert book.bids() == [(51, 1), (50, 1)]


def test_a_restart_replaces_a_live_book_and_an_old_snapshot_does_not() -> None:
    book = Book(IN_STREAM)
    book.feed(snapshot(77, BIDS, ASKS), diff(78, 78, 77, [(99, 3)]))
    assert book.feed(snapshot(77, BIDS, ASKS)) == []  # a second connection brings what we had before
    assert (book.last_id, len(book.bids())) == (78, 2)
    assert book.feed(snapshot(1, [(50, 1)], [(60, 1)], ts_ms=T0 + 60_000)) == []
    assert (book.state, book.last_id) == (BookState.LIVE, 1)


def test_okx_vectors() -> None:
    """Snapshot 10; 10-15; a heartbeat 15-15; a reset 15-3, from which the chain goes on; 9 does not continue 3."""
    book = Book(IN_STREAM)
    book.feed(snapshot(10, BIDS, ASKS))
    ids = []
    for row in (diff(15, 15, 10, [(99, 1)]), diff(15, 15, 15), diff(3, 3, 15, [(98, 1)])):
        assert book.feed(row) == []
        ids.append(book.last_id)
    assert (ids, book.state) == ([15, 15, 3], BookState.LIVE)
    assert book.feed(diff(20, 20, 9)) == ["gap"]
    assert book.state is BookState.STALE


def test_a_subscription_without_a_snapshot_is_asked_for_again() -> None:
    book = Book(IN_STREAM)
    rows = [diff(n, n, n - 1) for n in range(1, 2 * sync.SNAPSHOT_WITHIN_DIFFS + 1)]
    assert book.feed(*rows) == ["no_snapshot", "no_snapshot"]
    assert book.state is BookState.WAITING


# -- trades -------------------------------------------------------------------------------------------------------


def span(first: int, last: int, ts_ms: int) -> Row:
    """One message of several fills, such as OKX sends: its id is the last one's."""
    row = trade(last, ts_ms, 1000, 1, aggregate=False)
    row.columns["first_id"] = first
    return row


class Trades:
    """One instrument's trades under a rule; after every row each id is held or in a gap."""

    def __init__(self, ids: TradeIds) -> None:
        self.engine = Engine(universe(), trades=TradeRule(ids=ids, raw=True))
        self.ledger = Ledger()

    def feed(self, *rows: Row) -> None:
        self.engine.apply(tape(rows))
        assert self.ledger.check(self.engine) == []

    def count(self, name: str) -> int:
        return int(self.engine.flow.trades[0][name])

    def gaps(self) -> list[tuple[int, int]]:
        return [(int(gap["first_id"]), int(gap["last_id"])) for gap in self.engine.gaps(0)]

    def marked(self) -> int:
        """Minutes that say something is missing in them."""
        return int((self.engine.flow.minutes.ring["gap"][:, 0] > 0).sum())


def test_spans_continue_where_the_last_one_ended() -> None:
    trades = Trades(TradeIds.SPANNED)
    trades.feed(span(100, 104, T0), span(105, 105, T0 + 1), span(106, 120, T0 + 2))
    assert (trades.count("count"), trades.gaps()) == (3, [])
    trades.feed(span(125, 130, T0 + 3))
    assert (trades.gaps(), trades.count("missing")) == ([(121, 124)], 4)
    trades.feed(span(121, 124, T0 + 2))  # comes late, whole
    assert (trades.gaps(), trades.count("filled")) == ([], 4)
    trades.feed(span(106, 120, T0 + 2), span(121, 124, T0 + 2))
    assert (trades.count("duplicates"), trades.count("count")) == (2, 5)


def test_a_span_of_which_a_part_is_held_is_not_counted_twice() -> None:
    trades = Trades(TradeIds.SPANNED)
    trades.feed(span(100, 100, T0), span(110, 110, T0 + 5))
    for number in (101, 102, 103):
        trades.feed(span(number, number, T0 + 1))  # single fills, as REST gives them
    trades.feed(span(103, 106, T0 + 2))
    assert (trades.count("duplicates"), trades.gaps()) == (1, [(104, 109)])
    trades.feed(span(90, 99, T0 - 5))  # before the first
    assert (trades.count("first_id"), trades.count("count")) == (90, 6)


def test_a_chain_of_spans_that_begins_anew() -> None:
    trades = Trades(TradeIds.SPANNED)
    trades.feed(span(1_000, 1_010, T0), span(5, 9, T0 + 60_000), span(10, 10, T0 + 60_001))
    assert (trades.count("count"), trades.count("first_id"), trades.count("last_id")) == (3, 5, 10)
    (gap,) = trades.ledger.take_ended()
    assert (gap["cause"], gap["fate"]) == (Cause.RESTARTED, Fate.UNFILLABLE)


def test_rising_ids_tell_repetitions_and_no_losses() -> None:
    trades = Trades(TradeIds.RISING)
    trades.feed(*(trade(n, T0 + k, 1000, 1, aggregate=False) for k, n in enumerate((10, 17, 4_000, 1 << 50))))
    assert (trades.count("count"), trades.gaps(), trades.marked()) == (4, [], 0)
    trades.feed(trade(4_000, T0 + 2, 1000, 1, aggregate=False))
    assert (trades.count("duplicates"), trades.count("count")) == (1, 4)


def print_(number: int, ts_ms: int) -> Row:
    return trade(number, ts_ms, 1000, 1, aggregate=False)


def told(number: int, ts_ms: int) -> Row:
    """A trade that an answer of REST tells in one piece with the one before it."""
    row = print_(number, ts_ms)
    row.columns["first_id"] = 0
    return row


def interrupted() -> Trades:
    """Trades 10, then 99 and 100 two minutes later."""
    trades = Trades(TradeIds.RISING)
    trades.feed(print_(10, T0))
    trades.engine.expect_gap(0, Cause.DISCONNECTED)
    trades.feed(print_(99, T0 + 120_000), print_(100, T0 + 120_001))
    return trades


def test_an_interruption_of_rising_ids_is_a_gap_of_unknown_size() -> None:
    trades = interrupted()
    (gap,) = trades.engine.gaps(0)
    assert (gap["cause"], gap["fate"], gap["last_id"] - gap["first_id"]) == (Cause.DISCONNECTED, Fate.OPEN, -1)
    assert (gap["from_ms"], gap["to_ms"]) == (T0, T0 + 120_000)
    assert (trades.marked(), trades.count("count"), trades.count("gaps"), trades.count("missing")) == (3, 3, 1, 0)
    (hour,) = coverage(trades.engine, 0)
    assert (hour.share, hour.unknown) == (None, True), "nobody knows how much is there"


def test_what_it_hid_comes_back_and_closes_it() -> None:
    trades = interrupted()
    trades.feed(told(10, T0), told(40, T0 + 50_000), told(60, T0 + 70_000))
    assert (trades.count("count"), trades.count("filled"), trades.marked()) == (5, 2, 2), "it begins at 70 s now"
    trades.feed(told(99, T0 + 120_000), told(100, T0 + 120_001))
    assert (trades.gaps(), trades.marked(), trades.count("duplicates")) == ([], 0, 3)
    assert (trades.count("missing"), trades.count("filled"), trades.count("count")) == (2, 2, 5)
    trades.feed(print_(101, T0 + 120_002), told(60, T0 + 70_000))
    assert (trades.gaps(), trades.count("count"), trades.count("duplicates")) == ([], 6, 4)


def test_what_an_answer_does_not_reach_stays_a_gap() -> None:
    trades = interrupted()
    trades.feed(print_(60, T0 + 70_000), told(80, T0 + 100_000), told(99, T0 + 120_000))
    (gap,) = trades.engine.gaps(0)
    assert (gap["from_ms"], gap["to_ms"], trades.marked()) == (T0, T0 + 70_000, 2)
    (given_up,) = trades.engine.give_up(0, int(gap["first_id"]), int(gap["last_id"]), Fate.BEYOND_HORIZON)
    assert (given_up["fate"], given_up["last_id"] < given_up["first_id"]) == (Fate.BEYOND_HORIZON, True)
    trades.feed(print_(30, T0 + 20_000))  # late, on another connection
    assert (len(trades.gaps()), trades.count("count")) == (2, 6)


def test_stored_trades_of_rising_ids_go_before_the_live_ones() -> None:
    """In any order of reading and trading; between the last stored and the first live one we were not there."""
    trades = Trades(TradeIds.RISING)
    trades.feed(print_(500, T0 + 300_000))
    trades.engine.apply_stored(tape([told(10, T0), told(20, T0 + 10_000)]))
    trades.feed(print_(501, T0 + 300_001))
    trades.engine.apply_stored(tape([told(30, T0 + 20_000)]))
    trades.engine.history_loaded()
    (gap,) = trades.engine.gaps(0)
    assert (gap["cause"], gap["from_ms"], gap["to_ms"]) == (Cause.PROCESS_DOWN, T0 + 20_000, T0 + 300_000)
    assert (trades.count("count"), trades.count("first_id"), trades.count("filled")) == (5, 10, 0)
    assert trades.ledger.check(trades.engine) == []


def test_a_live_trade_between_two_parts_of_what_is_stored_does_not_shut_the_later_part_out() -> None:
    trades = Trades(TradeIds.RISING)
    trades.engine.apply_stored(tape([told(10, T0), told(20, T0 + 10_000)]))
    trades.feed(print_(500, T0 + 300_000))
    trades.engine.apply_stored(tape([told(30, T0 + 20_000), told(40, T0 + 30_000)]))
    trades.engine.history_loaded()
    (gap,) = trades.engine.gaps(0)
    assert (gap["cause"], gap["from_ms"], trades.count("count")) == (Cause.PROCESS_DOWN, T0 + 30_000, 5)
    assert trades.ledger.check(trades.engine) == []


@pytest.mark.parametrize("ids", list(TradeIds))
def test_any_cut_gives_the_same_state(ids: TradeIds) -> None:
    rows = [span(n, n + 2, T0 + n) for n in (100, 103, 110, 106, 113, 103, 120)]
    whole, cut = Trades(ids), Trades(ids)
    whole.feed(*rows)
    for row in rows:
        cut.feed(row)
    assert whole.engine.flow.trades.tobytes() == cut.engine.flow.trades.tobytes()
