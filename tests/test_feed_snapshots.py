"""The snapshot queue: no duplicates, visible first, back-off, and nothing asked for before it can be of use."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.feed.snapshots import LONGEST_RETRY_S, SETTLE_S, STABLE_S, SnapshotQueue


def queue(*symbols: str) -> SnapshotQueue:
    q = SnapshotQueue(Random(1))
    q.streaming(symbols, -SETTLE_S)
    return q


def drain(q: SnapshotQueue, now: float) -> list[str]:
    taken = []
    while (symbol := q.peek(now)) is not None:
        q.take(symbol)
        taken.append(symbol)
    return taken


def test_visible_books_come_first_then_the_largest_markets() -> None:
    q = queue("A", "B", "C", "D")
    q.set_rank({"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0})
    for symbol in "ABCD":
        assert q.want(symbol, "start", 0.0)
    q.put_first(["B", "A"])
    assert drain(q, 0.0) == ["B", "A", "D", "C"]
    assert q.is_leader("D", 1)
    assert not q.is_leader("C", 1)


def test_needs_for_one_book_are_one_request_and_a_need_during_it_is_one_more() -> None:
    q = queue("A")
    assert q.want("A", "start", 0.0)
    assert not q.want("A", "gap", 0.0)
    assert drain(q, 0.0) == ["A"]
    assert not q.want("A", "gap", 0.1)
    assert not q.want("A", "gap", 0.1)
    assert len(q) == 1
    q.answered("A", True, 0.2)
    assert len(q) == 1
    assert drain(q, 10.0) == ["A"]
    q.answered("A", True, 10.1)
    assert len(q) == 0


def test_nothing_is_asked_for_while_diffs_do_not_come() -> None:
    q = SnapshotQueue(Random(1))
    q.want("A", "start", 0.0)
    assert drain(q, 1e6) == []
    assert q.next_at_s() == float("inf")
    q.streaming(["A"], 5.0)
    assert q.next_at_s() == 5.0 + SETTLE_S
    assert drain(q, 5.0) == []
    q.interrupted(["A"])
    assert drain(q, 100.0) == []
    q.streaming(["A"], 100.0)
    assert drain(q, 100.0 + SETTLE_S) == ["A"]


def test_failures_are_spaced_out_to_the_limit() -> None:
    q = queue("A")
    q.want("A", "start", 0.0)
    now, waits = 0.0, []
    for _ in range(12):
        assert drain(q, now) == ["A"]
        q.answered("A", False, now)
        waits.append(q.next_at_s() - now)
        now = q.next_at_s()
    assert waits[0] <= 0.5
    assert LONGEST_RETRY_S / 2 <= waits[-1] <= LONGEST_RETRY_S


def test_a_book_that_breaks_again_and_again_waits_ever_longer_and_a_stable_one_does_not() -> None:
    q = queue("A")
    now, waits = 0.0, []
    for _ in range(8):
        q.want("A", "gap", now)
        waits.append(max(0.0, q.next_at_s() - now))
        now = max(now, q.next_at_s())
        assert drain(q, now) == ["A"]
        q.answered("A", True, now)
    assert waits[0] == 0.0
    assert waits[-1] > 10
    now += STABLE_S
    q.want("A", "gap", now)
    assert q.next_at_s() <= now


def test_a_book_no_longer_followed_is_forgotten_even_while_it_is_asked_for() -> None:
    q = queue("A")
    q.want("A", "start", 0.0)
    assert drain(q, 0.0) == ["A"]
    q.forget("A")
    q.answered("A", False, 1.0)
    assert len(q) == 0
    assert q.peek(1e9) is None


@settings(deadline=None)
@given(st.data())
def test_every_wanted_book_is_served_in_the_end_and_one_request_at_a_time(data: st.DataObject) -> None:
    symbols = ["A", "B", "C", "D"]
    q = SnapshotQueue(Random(data.draw(st.integers(0, 99))))
    under_way: set[str] = set()
    now = 0.0
    for _ in range(data.draw(st.integers(0, 60))):
        symbol = data.draw(st.sampled_from(symbols))
        action = data.draw(st.sampled_from(["want", "stream", "lose", "take", "answer", "wait"]))
        if action == "want":
            q.want(symbol, "gap", now)
        elif action == "stream":
            q.streaming([symbol], now)
        elif action == "lose":
            q.interrupted([symbol])
        elif action == "take":
            chosen = q.peek(now)
            if chosen is not None:
                assert chosen not in under_way
                q.take(chosen)
                under_way.add(chosen)
        elif action == "answer" and symbol in under_way:
            under_way.discard(symbol)
            q.answered(symbol, data.draw(st.booleans()), now)
        else:
            now += data.draw(st.floats(0, 30))
    for symbol in under_way:
        q.answered(symbol, True, now)
    q.streaming(symbols, now)
    for _ in range(2 * len(symbols)):
        now += LONGEST_RETRY_S + SETTLE_S
        for symbol in drain(q, now):
            q.answered(symbol, True, now)
    assert len(q) == 0
