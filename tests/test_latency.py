"""Histograms of durations: percentiles within the width of a bucket, whatever the scale, in a fixed size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapewatch.model.latency import RECENT, Histogram

durations = st.floats(0.001, 130_000)
WIDTH = 0.07
"""Half a bucket and the rounding to three digits."""


@given(st.lists(durations, min_size=1, max_size=200))
def test_percentiles_are_those_of_the_samples_to_a_buckets_width(took_ms: list[float]) -> None:
    histogram = Histogram()
    for ms in took_ms:
        histogram.add(ms)
    exact = np.percentile(took_ms, (50, 99), method="inverted_cdf")
    assert histogram.percentiles() == pytest.approx(tuple(exact), rel=WIDTH)
    assert histogram.count == len(took_ms)
    assert histogram.sum_ms == pytest.approx(sum(took_ms))


@given(st.lists(durations, max_size=100))
def test_cumulative_buckets_count_what_is_below_their_bound(took_ms: list[float]) -> None:
    histogram = Histogram()
    for ms in took_ms:
        histogram.add(ms)
    *rows, last = histogram.cumulative()
    assert last == ("+Inf", len(took_ms))
    bounds = [float(bound) for bound, _ in rows]
    assert bounds == sorted(bounds)
    for bound, count in rows:
        inside = sum(ms / 1000 < float(bound) for ms in took_ms)
        on_the_edge = sum(ms / 1000 == pytest.approx(float(bound), rel=1e-5) for ms in took_ms)
        assert abs(count - inside) <= on_the_edge


@pytest.mark.parametrize("ms", [-5.0, 0.0, 1e-9, 1e12])
def test_what_is_out_of_range_is_counted_at_the_edge(ms: float) -> None:
    histogram = Histogram()
    histogram.add(ms)
    assert histogram.cumulative()[-1] == ("+Inf", 1)
    p50, _ = histogram.percentiles()
    assert p50 is not None
    assert p50 < 0.01 if ms < 1 else p50 > 100_000


def test_percentiles_forget_and_metrics_do_not() -> None:
    histogram = Histogram()
    assert histogram.percentiles() == (None, None)
    for _ in range(RECENT):
        histogram.add(1_000.0)
    for _ in range(20 * RECENT):
        histogram.add(1.0)
    assert histogram.percentiles() == pytest.approx((1.0, 1.0), rel=WIDTH)
    assert histogram.count == histogram.cumulative()[-1][1] == 21 * RECENT
