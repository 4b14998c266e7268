"""The weight budget against a venue that counts as the real one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.feed.budget import BAN_WITHOUT_TERM_MS, SHARE, WINDOW_MS, Grant, Priority, WeightBudget
from tapewatch.feed.bybit import BybitRest
from tapewatch.venues.bybit_linear import REQUESTS, REQUESTS_WINDOW_MS

T0 = 1_791_391_080_000  # a full minute
LIMIT = 2400


class Venue:
    """Counts each request at some moment between its sending and its answer, in fixed minutes."""

    def __init__(self) -> None:
        self.by_minute: dict[int, int] = {}

    def count(self, weight: int, now_ms: int) -> int:
        minute = now_ms // WINDOW_MS
        self.by_minute[minute] = self.by_minute.get(minute, 0) + weight
        return self.by_minute[minute]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_minute_of_the_venue_ever_exceeds_the_limit(data: st.DataObject) -> None:
    """Random weights, priorities, delays, lost answers and lost headers: the venue never counts beyond the limit."""
    limit = data.draw(st.sampled_from([50, 200, 2400]))
    budget, venue = WeightBudget(limit), Venue()
    now = T0 + data.draw(st.integers(0, WINDOW_MS))
    under_way: list[tuple[Grant, int | None]] = []  # grant, header once the venue has counted it
    for _ in range(data.draw(st.integers(1, 120))):
        action = data.draw(st.sampled_from(["ask", "ask", "ask", "count", "answer", "wait", "minute"]))
        if action == "ask":
            grant = budget.take(data.draw(st.integers(1, 40)), data.draw(st.sampled_from(Priority)), now)
            if grant:
                under_way.append((grant, None))
        elif action == "count" and under_way:
            k = data.draw(st.integers(0, len(under_way) - 1))
            grant, header = under_way[k]
            if header is None:
                under_way[k] = (grant, venue.count(grant.weight, now))
        elif action == "answer" and under_way:
            grant, header = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            if header is None:
                header = venue.count(grant.weight, now)
            budget.answered(grant, now, header if data.draw(st.booleans()) else None)
        elif action == "wait":
            now += data.draw(st.integers(0, 5_000))
        elif action == "minute":
            now += data.draw(st.integers(WINDOW_MS // 2, WINDOW_MS))
        assert max(venue.by_minute.values(), default=0) <= limit


def test_header_is_the_arbiter_in_both_directions() -> None:
    budget = WeightBudget(LIMIT)
    grant = budget.take(20, Priority.BOOK, T0 + 10)
    assert grant
    budget.answered(grant, T0 + 50, 900)  # somebody else behind our address asks too
    assert budget.used(T0 + 51) == 900
    grant = budget.take(20, Priority.BOOK, T0 + 60)
    assert grant
    budget.answered(grant, T0 + 70, 5)  # the venue's minute began after ours
    assert budget.used(T0 + 71) == 5


def test_answers_out_of_order_do_not_lower_the_count() -> None:
    budget = WeightBudget(LIMIT)
    first, second = budget.take(20, Priority.BOOK, T0), budget.take(20, Priority.BOOK, T0 + 1)
    assert first
    assert second
    budget.answered(second, T0 + 30, 40)
    budget.answered(first, T0 + 31, 20)
    assert budget.used(T0 + 32) == 40


def test_a_count_told_late_is_not_taken_for_the_new_minutes() -> None:
    budget = WeightBudget(LIMIT)
    grant = budget.take(20, Priority.BOOK, T0 + WINDOW_MS - 5)
    assert grant
    budget.answered(grant, T0 + WINDOW_MS + 40, 2300)
    assert budget.used(T0 + WINDOW_MS + 41) == 20  # counted in either minute, so in ours


def test_weight_of_a_lost_answer_is_kept_until_a_later_request_has_told_a_count() -> None:
    budget = WeightBudget(LIMIT)
    early, lost = budget.take(10, Priority.BOOK, T0), budget.take(20, Priority.BOOK, T0 + 1)
    assert early
    assert lost
    budget.answered(lost, T0 + 20, None)
    budget.answered(early, T0 + 30, 10)  # asked before the other one ended: need not include it
    assert budget.used(T0 + 31) == 30
    later = budget.take(5, Priority.BOOK, T0 + 40)
    assert later
    budget.answered(later, T0 + 50, 35)
    assert budget.used(T0 + 51) == 35


def test_venue_whose_minute_turns_before_ours_is_not_forgotten_at_our_turn() -> None:
    budget = WeightBudget(LIMIT)
    for at, header in ((40_000, 2000), (57_000, 20), (58_000, 900)):
        grant = budget.take(20, Priority.GAP_FILL, T0 + at)
        assert grant
        budget.answered(grant, T0 + at + 100, header)
    assert budget.used(T0 + WINDOW_MS + 1) == 900


def test_urgent_requests_find_room_that_bulk_ones_may_not_take() -> None:
    budget = WeightBudget(LIMIT)
    while budget.take(20, Priority.BOOK, T0):
        pass
    assert budget.used(T0) == int(LIMIT * SHARE[Priority.BOOK])
    assert budget.take(20, Priority.BACKGROUND, T0) is None
    assert budget.take(20, Priority.VISIBLE_BOOK, T0)
    while budget.take(20, Priority.GAP_FILL, T0):
        pass
    assert budget.used(T0) == LIMIT
    assert budget.next_chance_ms(T0 + 5) == T0 + WINDOW_MS
    assert budget.take(20, Priority.BACKGROUND, T0 + WINDOW_MS) is None  # all of it is still unanswered


@pytest.mark.parametrize(
    ("status", "retry_after", "body", "until"),
    [
        (429, "7", b"", T0 + 5_000 + 7_000),
        (429, None, b'{"code":-1003,"msg":"Too many requests"}', T0 + WINDOW_MS),
        (
            418,
            None,
            b'{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1791391200000. P"}',
            1791391200000,
        ),
        (418, "30", b'{"msg":"banned until 1791391200000"}', T0 + 5_000 + 30_000),
        (418, None, b"", T0 + 5_000 + BAN_WITHOUT_TERM_MS),
        (418, "soon", b"<html>", T0 + 5_000 + BAN_WITHOUT_TERM_MS),
    ],
)
def test_a_refusal_holds_everything_for_the_stated_time(
    status: int, retry_after: str | None, body: bytes, until: int
) -> None:
    budget = WeightBudget(LIMIT)
    assert budget.refused(status, retry_after, body, T0 + 5_000) == until
    assert budget.take(1, Priority.GAP_FILL, until - 1) is None
    assert budget.next_chance_ms(T0 + 5_000) == until
    assert budget.take(1, Priority.GAP_FILL, until)


def test_a_ban_is_never_shortened_by_a_later_refusal() -> None:
    budget = WeightBudget(LIMIT)
    budget.refused(418, "600", b"", T0)
    budget.refused(429, "1", b"", T0)
    assert budget.held_until_ms == T0 + 600_000


def test_no_five_seconds_of_bybit_hold_more_than_it_allows_wherever_its_own_begin() -> None:
    budget = WeightBudget(BybitRest.weight_limit, BybitRest.window_ms)
    turn = (T0 // REQUESTS_WINDOW_MS + 1) * REQUESTS_WINDOW_MS
    asked = 0
    for now_ms in (turn - 1, turn, turn + REQUESTS_WINDOW_MS - 2):
        while (grant := budget.take(1, Priority.CONTROL, now_ms)) is not None:
            budget.answered(grant, now_ms, None)
            asked += 1
    assert 0 < asked <= REQUESTS


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    budget = WeightBudget(LIMIT)
    grant = budget.take(1900, Priority.CONTROL, T0 + 100)
    assert grant
    budget.answered(grant, T0 + 200, 1900)
    assert budget.used(T0 - 5) == 1900
    assert budget.used(T0 - 3_600_000) == 1900
