"""Ranges of stored ids where one trade covers several, or where ids only rise."""

from __future__ import annotations

import numpy as np

from tapewatch.store.ranges import contained, joined, runs


def ints(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


def test_a_trade_of_several_fills_covers_their_ids() -> None:
    """OKX: 10..14, 15, 16..18 are one range; 20..21 begins behind a hole."""
    found = runs(ints(0, 0, 0, 0), ints(0, 0, 0, 0), ints(14, 15, 18, 21), ints(1, 2, 3, 4), ints(10, 15, 16, 20))
    assert found[["first_id", "last_id"]].tolist() == [(10, 18), (20, 21)]
    after = joined(np.concatenate([found, runs(ints(0), ints(0), ints(19), ints(3))]))
    assert after[["first_id", "last_id"]].tolist() == [(10, 21)]


def test_ids_that_only_rise_are_one_range_and_none_of_them_is_stored_twice() -> None:
    """Bybit: ids tell trades apart and in which order they came, not how many there were."""
    ids, symbols, zeros = ints(100, 7_000, 90_000, 5), ints(0, 0, 0, 1), ints(0, 0, 0, 0)
    found = runs(symbols, zeros, ids, ints(1, 2, 3, 1), counted=False)
    assert found[["symbol", "first_id", "last_id"]].tolist() == [(0, 100, 90_000), (1, 5, 5)]
    assert contained(found, symbols, zeros, ids, ints(1, 2, 3, 1)).all()
    assert not contained(found, ints(0), ints(0), ints(90_001), ints(4)).any()
