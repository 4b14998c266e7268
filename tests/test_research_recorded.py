"""Research figures of real recordings, against computations that share no code with ours and no trick."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from tapewatch.desk.mids import VenueMids
from tapewatch.replay.recording import Recording
from tapewatch.research import hawkes

BTC = "binance_usdm/usdm_btcusdt_20240718.gz"
Floats = NDArray[np.float64]


def events(path: Path) -> Iterator[dict[str, Any]]:
    """What the stream said, read by no code of ours."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            message = json.loads(line.partition(" ")[2])
            if "stream" in message:
                yield message["data"]


def test_mids_of_a_recording_are_its_best_quotes_second_by_second(data_dir: Path) -> None:
    """Of best quotes alone: the recording's snapshot is left out, so that its book never is one."""
    recording = Recording.load([data_dir / BTC])
    stage = recording.stage()
    codec = recording.product.codec(recording.universe)
    kept, count = VenueMids(stage.engine), 25_000
    for record in [one for one in recording.records if not one.url][:count]:
        stage.engine.apply(codec.decode(record.payload, [len(record.payload)], record.recv_ns).tape)
        kept.keep()

    clock, quoted, mid = 0, 0, 0.0
    seconds: dict[int, float] = {}
    minutes: dict[int, tuple[float, int]] = {}
    for k, event in enumerate(events(data_dir / BTC)):
        if k == count:
            break
        clock = max(clock, event["T"])
        if event["e"] == "bookTicker":
            quoted, mid = event["T"], (float(event["b"]) + float(event["a"])) / 2
        if quoted and clock - quoted <= 2_000:
            seconds[clock // 1_000] = mid
            minutes[clock // 60_000] = mid, 60 - clock // 1_000 % 60 - 1
    i = recording.universe.get("BTCUSDT").index
    found = kept.bars(i, "BTCUSDT", 1_000)
    assert found is not None
    assert len(found) > 100
    assert (found.open_ms // 1_000).tolist() == list(seconds)
    assert found.close == pytest.approx(list(seconds.values()), abs=1e-9)
    found = kept.bars(i, "BTCUSDT", 60_000)
    assert found is not None
    assert (found.open_ms // 60_000).tolist() == list(minutes)
    assert found.close == pytest.approx([price for price, _ in minutes.values()], abs=1e-9)
    assert found.gap.tolist() == [left > 5 for _, left in minutes.values()]


# -- arrivals ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrivals(data_dir: Path) -> tuple[Floats, Floats]:
    """Times, ms, of the first recorded trades that bought and of those that sold."""
    trades = [event for event in events(data_dir / BTC) if event["e"] == "trade" and event["X"] == "MARKET"][:2_500]
    buys, sells = (np.array([t["T"] for t in trades if t["m"] is sold], np.float64) for sold in (False, True))
    return buys, sells


def intensities(at: Floats, sides: list[Floats], logs: Floats) -> Floats:
    """``λ_i(t) = μ_i + Σ_j Σ_{t_k < t} α_ij exp(-β (t - t_k))`` at each time, by adding up all of its terms."""
    mu, alpha, beta = np.exp(logs[:2]), np.exp(logs[2:6]).reshape(2, 2), np.exp(logs[6])
    sums = []
    for side in sides:
        gap = at[:, None] - side
        sums.append(np.where(gap > 0, np.exp(-beta * np.maximum(gap, 0)), 0.0).sum(axis=1))
    found: Floats = mu[:, None] + alpha @ np.array(sums)
    return found


def log_likelihood(sides: list[Floats], logs: Floats) -> float:
    mu, alpha, beta = np.exp(logs[:2]), np.exp(logs[2:6]).reshape(2, 2), np.exp(logs[6])
    end = max(side[-1] for side in sides)
    total = 0.0
    for i, own in enumerate(sides):
        set_off = sum(alpha[i, j] / beta * (1 - np.exp(-beta * (end - sides[j]))).sum() for j in (0, 1))
        total += np.log(intensities(own, sides, logs)[i]).sum() - mu[i] * end - set_off
    return float(total)


def in_seconds(buys: Floats, sells: Floats) -> list[Floats]:
    """As the process sees them: seconds since the first, one event a moment and side."""
    first = min(buys[0], sells[0])
    return [np.unique(side - first) / 1_000 for side in (buys, sells)]


def logs_of(found: hawkes.Hawkes) -> Floats:
    logs: Floats = np.log(np.concatenate([found.mu, np.ravel(found.alpha), [found.beta]]))
    return logs


def test_arrivals_of_real_trades_have_the_likelihood_that_adding_up_gives(arrivals: tuple[Floats, Floats]) -> None:
    found, sides = hawkes.fit(*arrivals), in_seconds(*arrivals)
    assert (found.n_buys, found.n_sells) == tuple(map(len, sides))
    best = log_likelihood(sides, logs_of(found))
    assert found.log_likelihood == pytest.approx(best, abs=1e-4)
    poisson = sum(len(side) * np.log(len(side) / found.span_s) - len(side) for side in sides)
    assert found.log_likelihood_poisson == pytest.approx(poisson)
    for k in range(7):  # whichever way a parameter is moved, it fits no better
        for factor in (0.97, 1.03):
            moved = logs_of(found)
            moved[k] += np.log(factor)
            assert log_likelihood(sides, moved) <= best + 1e-6, (k, factor)


def test_another_search_finds_no_better_process(arrivals: tuple[Floats, Floats]) -> None:
    found, sides = hawkes.fit(*arrivals), in_seconds(*arrivals)
    rates = [len(side) / found.span_s for side in sides]
    for beta in (2.0, 20.0):
        begin = np.log([*rates, *[0.1 * beta] * 4, beta])
        other = optimize.minimize(lambda logs: -log_likelihood(sides, logs), begin, method="L-BFGS-B")
        assert -other.fun <= found.log_likelihood + 1e-2


def test_goodness_and_intensity_of_real_trades_are_those_of_the_integral(arrivals: tuple[Floats, Floats]) -> None:
    """Waits of each side in units of the intensity there was meanwhile: each by numerical integration."""
    found, sides = hawkes.fit(*arrivals), in_seconds(*arrivals)
    logs = logs_of(found)
    first_ms = min(arrivals[0][0], arrivals[1][0])
    for k in (0, 111, hawkes.CELLS - 1):
        at = np.array([(found.cell_ms[k] - first_ms) / 1_000 + 1e-9])
        told = intensities(at, sides, logs)[:, 0]
        assert [found.intensity[i][k] for i in (0, 1)] == pytest.approx(told, rel=0.01)  # cells are told in whole ms
    every = np.unique(np.concatenate(sides))
    for i, own in enumerate(sides):
        waits = []
        for begin, end in pairwise(own[:41]):
            breaks = [begin, *every[(every > begin) & (every < end)], end]
            waits.append(
                sum(
                    integrate.quad(lambda t, i=i: intensities(np.array([t]), sides, logs)[i, 0], a, b)[0]
                    for a, b in pairwise(breaks)
                )
            )
        at, side = _joined(sides)
        mine = hawkes._waits(at, side, np.array(found.mu), np.array(found.alpha), found.beta)[i]
        assert mine[:40] == pytest.approx(waits, rel=1e-6, abs=1e-9)
        assert found.goodness[i].p == pytest.approx(stats.kstest(mine, "expon").pvalue)


def test_buys_and_sells_of_one_moment_set_off_neither_the_other() -> None:
    """Exchanging the sides exchanges the answer, also where both act in one millisecond."""
    rng = np.random.default_rng(5)
    buys = np.sort(rng.integers(0, 200_000, 600)).astype(np.float64)
    sells = np.sort(np.concatenate([buys[:300], rng.integers(0, 200_000, 300)]))
    one, other = hawkes.fit(buys, sells), hawkes.fit(sells, buys)
    assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-9)
    assert one.mu == pytest.approx(other.mu[::-1], rel=1e-3)
    assert one.log_likelihood == pytest.approx(log_likelihood(in_seconds(buys, sells), logs_of(one)), rel=1e-9)


def _joined(sides: list[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    at = np.concatenate(sides)
    order = np.argsort(at, kind="stable")
    return at[order], (order >= len(sides[0])).astype(np.int64)
