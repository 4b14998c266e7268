"""Dry runs: exact episodes on hand-made minutes, the same as a live rule's on the same trades, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alert_world import AlertWorld
from deriv_world import PERPS
from tapes import T0, Row, liquidation, tape, trade
from tapewatch.alerts.dryrun import Minutes, dry_run
from tapewatch.alerts.rows import rounded
from tapewatch.alerts.rule import rule_of
from tapewatch.desk.dryrun import tried
from tapewatch.model.errors import NotFoundError, UsageError
from tapewatch.model.instrument import Universe
from tapewatch.store.catalog import GapRow
from tapewatch.store.reader import Reader
from tapewatch.store.writer import Store

MINUTE = 60_000
HOURS = 4
NAN = float("nan")


def rule(**fields: Any) -> Any:
    return rule_of({"name": "test", "metric": "price", "threshold": 100.0} | fields)


def minutes(*closes: float, unknown: tuple[int, ...] = ()) -> Minutes:
    """Minutes of one instrument; NaN: nothing traded."""
    shape = len(closes), 1
    known = np.ones(shape, np.bool_)
    known[list(unknown)] = False
    none, nothing = np.zeros(shape, np.int64), np.zeros(shape)
    return Minutes(T0, PERPS[:1], known, np.array(closes)[:, None], none, none, none, none, nothing, nothing)


def played(of: Minutes, **fields: Any) -> list[tuple[Any, ...]]:
    """Minutes in which each episode began to hold, fired and ended, oldest first."""
    told = dry_run(rule(**fields), of, T0, T0 + len(of.close) * MINUTE)
    names = ("start_ts", "fired_ts", "ended_ts")
    found = [[None if one[name] is None else (one[name] - T0) // MINUTE for name in names] for one in told["episodes"]]
    return [(start, fired, ended) for start, fired, ended in found[::-1]]


@pytest.mark.parametrize(
    ("fields", "closes", "expected"),
    [
        ({}, [99, 100, 101, 99, 102], [(1, 1, 3), (4, 4, None)]),
        ({"for_s": 120}, [99, 100, 100, 100, 100, 99, 100, 100, 99], [(1, 3, 5)]),
        ({"for_s": 30}, [99, 100, 99, 100, 100, 99], [(3, 4, 5)]),  # it looks once a minute
        ({"clear": 95.0}, [100, 96, 95, 94.9, 100], [(0, 0, 3), (4, 4, None)]),
        ({"cooldown_s": 300}, [100, 99, 100, 99, 100, 100, 100, 99], [(0, 0, 1), (4, 5, 7)]),
        ({"compare": "crosses_above"}, [101, 102, 99, 100, 99], [(3, 3, 4)]),
        ({"for_s": 60}, [100, NAN, 99], [(0, 1, 2)]),  # who does not trade keeps the price
        ({"metric": "price_change", "window": "1m", "threshold": 10}, [100, 110, 110, 121], [(1, 1, 2), (3, 3, None)]),
    ],
)
def test_episodes_are_those_of_the_rule(
    fields: dict[str, Any], closes: list[float], expected: list[tuple[int, int, int | None]]
) -> None:
    assert played(minutes(*closes), **fields) == expected


def test_what_is_not_known_breaks_a_duration_and_ends_nothing() -> None:
    assert played(minutes(100, NAN, 100, 100, 99, unknown=(1,)), for_s=60) == [(2, 3, 4)]
    assert played(minutes(100, NAN, NAN, 99, unknown=(1,))) == [(0, 0, 3)]
    told = dry_run(rule(), minutes(100, 100, NAN, NAN, 100, unknown=(2,)), T0, T0 + 5 * MINUTE)
    assert (told["looks"], told["looks_known"], told["minutes_unknown"]) == (5, 3, 1)


def test_what_followed_stands_beside_any_minute_of_the_range() -> None:
    told = dry_run(rule(), minutes(50, 100, 110, 99, 50, 100, 100), T0, T0 + 6 * MINUTE)
    after_1m = told["followed"][0]
    assert [one["after_1m_pct"] for one in told["episodes"]] == [0.0, 10.0]  # the newest first
    assert (after_1m["n"], after_1m["mean_pct"], after_1m["median_pct"]) == (2, 5.0, 5.0)
    every = np.array([100, 10, -10, (50 / 99 - 1) * 100, 100, 0])
    assert after_1m["baseline"]["n"] == 6
    assert after_1m["baseline"]["mean_pct"] == pytest.approx(every.mean())
    assert after_1m["baseline"]["median_pct"] == pytest.approx(np.median(every))
    assert told["followed"][2] == {"minutes": 15} | (none := {"n": 0, "mean_pct": None, "median_pct": None}) | {
        "baseline": none
    }
    assert (told["count"], told["per_day"], told["open"]) == (2, None, 1)  # six minutes say nothing of a day


# ---------------------------------------------------------------- what is stored


def prints() -> list[list[Row]]:
    """Minute by minute, trades of three instruments, the third half of the time, and liquidations of the first."""
    rng = np.random.default_rng(7)
    level, number, out = [10_000, 2_000, 500], 0, []
    for minute in range(HOURS * 60):
        rows = []
        for i, often in enumerate((1.0, 0.9, 0.5)):
            times: list[int] = np.sort(rng.integers(0, MINUTE, 3)).tolist() if rng.random() < often else []
            if i == 0:
                times = [0, *times, MINUTE - 1]
            for at in times:
                level[i] = max(level[i] + int(rng.integers(-level[i] // 200, level[i] // 200 + 1)), 10)
                number += 1
                lots, sell = int(rng.integers(1, 900)), bool(rng.random() < 0.5)
                rows.append(trade(number, T0 + minute * MINUTE + at, level[i], lots, sell=sell, i=i))
        if rng.random() < 0.2:
            price, lots = level[0] * 10**7, int(rng.integers(1, 900))
            at = T0 + minute * MINUTE + int(rng.integers(0, 50_000))
            rows.append(liquidation(at, price, lots, long=bool(rng.random() < 0.5), i=0))
        out.append(sorted(rows, key=lambda row: row.columns["ts_ms"]))
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("data")).open()
    store.write(Universe("binance", PERPS), tape([row for rows in prints() for row in rows]), name="first")
    store.close()
    return store.folder


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    one = Reader(folder)
    yield one
    one.close()


THREE = {"symbols": ("BTCUSDT", "ETHUSDT", "1000PEPEUSDT")}
PAIR = {"metric": "pair_z", "window": "5m", "compare": "outside", "bars": 6, "symbols": ("BTCUSDT",)} | {
    "against": "binance:ETHUSDT",
    "beta": 0.7,
}


@pytest.mark.parametrize(
    "fields",
    [
        {"threshold": 995.0, "clear": 985.0, "for_s": 60, "cooldown_s": 600},
        {"metric": "price_change", "window": "5m", "compare": "outside", "threshold": 0.8, "clear": 0.3, **THREE},
        {"metric": "price_change", "window": "1h", "compare": "crosses_below", "threshold": -0.5, **THREE},
        {"metric": "trade_imbalance", "window": "1m", "threshold": 0.5, "cooldown_s": 180},
        {"metric": "net_flow", "window": "15m", "compare": "below", "threshold": -500.0, "for_s": 90, **THREE},
        {"metric": "volume", "window": "5m", "threshold": 12_000.0},
        {"metric": "liquidations", "window": "15m", "threshold": 1_500.0, "symbols": ("BTCUSDT",)},
        {"metric": "liquidations_long", "window": "1h", "threshold": 2_500.0},
        PAIR | {"threshold": 1.5, "clear": 0.5},
    ],
    ids=lambda fields: f"{fields.get('metric', 'price')} {fields.get('window', '')}",
)
def test_it_fires_as_the_live_rule_does_on_the_same_trades(reader: Reader, fields: dict[str, Any]) -> None:
    """A live rule that is looked at in each minute's last millisecond, and knows an hour before it is made."""
    world, known = AlertWorld(), 75
    world.rule(2, symbols=("ETHUSDT",), threshold=1e9)  # windows are held from the first look on
    for minute, rows in enumerate(prints()):
        if minute == known:
            world.rule(**fields)
        world.hear(rows)
        world.at(T0 + (minute + 1) * MINUTE - 1)
        world.look()
    told = tried(reader, rule(**fields), T0 + known * MINUTE, 0)
    live = sorted(world.episodes.values(), key=lambda one: (one.fired_ms, one.symbol))
    dry = sorted(told["episodes"], key=lambda one: (one["fired_ts"], one["symbol"]))
    assert told["count"] == len(live) > 1
    newest = (
        live[-len(dry) :] if told["count"] == len(dry) else [one for one in live if one.fired_ms > dry[0]["fired_ts"]]
    )
    by_key = {(one["symbol"], one["fired_ts"]): one for one in dry}
    for one in newest:
        found = by_key[one.symbol, one.fired_ms]
        assert (found["start_ts"], found["ended_ts"]) == (one.start_ms, one.ended_ms)
        assert found["value"] == pytest.approx(one.value, rel=1e-9)
        assert found["price"] == rounded(one.price)
        for name in ("after_1m", "after_5m", "after_15m"):
            if getattr(one, name) is not None:
                assert found[f"{name}_pct"] == pytest.approx(getattr(one, name), abs=1e-4)
    assert sum(one.after_5m is not None for one in newest) > 1
    assert told["cooling"] == world.alerts.watches[1].counts.cooling


def test_the_range_is_what_is_stored_and_whole_minutes(reader: Reader) -> None:
    told = tried(reader, rule(), 0, 0)
    assert (told["from_ts"], told["to_ts"], told["minutes"]) == (T0, T0 + HOURS * 60 * MINUTE, HOURS * 60)
    assert told["per_day"] == pytest.approx(told["count"] * 24 / HOURS)
    part = tried(reader, rule(), T0 + 61 * MINUTE + 1, T0 + 90 * MINUTE + 59_999)
    assert (part["from_ts"], part["to_ts"]) == (T0 + 61 * MINUTE, T0 + 90 * MINUTE)


def test_minutes_in_which_trades_are_missing_are_not_known(tmp_path: Path) -> None:
    store = Store(tmp_path / "data").open()
    rows = [trade(k + 1, T0 + k * MINUTE, 1_100, 1) for k in range(10) if k not in (4, 7)]
    rows += [trade(k + 1, T0 + k * MINUTE, 900, 1, i=1) for k in range(11) if k != 7]
    store.write(Universe("binance", PERPS), tape(rows), name="first")
    store.catalog.put_gaps(
        [GapRow("binance", "BTCUSDT", "aggregate", 5, 5, T0 + 3 * MINUTE, T0 + 4 * MINUTE, "dropped", "open", T0)]
    )
    store.close()
    reader = Reader(store.folder)
    told = tried(reader, rule(symbols=("BTCUSDT",), for_s=120), 0, 0)
    # Known are minutes 0 to 2, 5, 6, 8 and 9: of 3 and 4 trades are missing, of 7 nothing of the venue is stored.
    assert [(one["start_ts"] - T0) // MINUTE for one in told["episodes"]] == [0]
    assert (told["looks"], told["looks_known"], told["minutes_unknown"]) == (10, 7, 3)
    both = tried(reader, rule(symbols=("BTCUSDT", "ETHUSDT", "NOPEUSDT")), 0, 0)
    assert (both["instruments"], both["not_stored"]) == (2, ["NOPEUSDT"])
    assert (both["minutes_unknown"], both["looks_in_gaps"], both["symbols"]) == (
        1,
        2,
        [{"symbol": "BTCUSDT", "count": 1}],
    )
    reader.close()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"metric": "spread"}, "it is read from book, else best quote as it happens, and no history of it is stored"),
        ({"metric": "funding"}, "figures with a stored history: price, price_change, trade_imbalance"),
        ({"metric": "data_age"}, "no history of it is stored"),
        ({"metric": "volume", "window": "10s"}, "minutes are stored; windows: 1m, 5m, 15m"),
        ({"exchange": "okx"}, "nothing is stored of okx yet"),
        ({"symbols": ("NOPEUSDT",)}, "nothing is stored of NOPEUSDT on binance"),
        ({"metric": "liquidations", "window": "5m", "symbols": ("ETHUSDT",)}, "or none were recorded, is not known"),
    ],
)
def test_what_has_no_history_is_refused_with_a_sentence(reader: Reader, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises((UsageError, NotFoundError)) as refused:
        tried(reader, rule(**fields), 0, 0)
    assert sentence in str(refused.value)


def test_ranges_without_minutes_and_too_long_ones_are_refused(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        NotFoundError, match="no whole minute of binance is stored in this range; stored are 2026-01-01T00"
    ):
        tried(reader, rule(), 1, T0)
    monkeypatch.setattr("tapewatch.desk.dryrun.MOST_CELLS", 600)
    with pytest.raises(
        UsageError, match=r"3 instruments can be tried on 0\.1 days at most: name fewer, or ask for less"
    ):
        tried(reader, rule(), 0, 0)
    empty = Store(tmp_path / "data").open()
    empty.close()
    for nothing in (None, other := Reader(empty.folder)):
        with pytest.raises(NotFoundError, match="nothing is stored of binance yet"):
            tried(nothing, rule(), 0, 0)
    other.close()
