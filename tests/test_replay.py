"""Recordings replayed through codec and engine against plain-Python computations written from the definitions."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from book_ticker import play_beside_book_ticker
from tapewatch.config import ThresholdsConfig
from tapewatch.model.errors import UsageError
from tapewatch.model.views import TIMEFRAMES_MS, Footprint
from tapewatch.replay import Cursor, Recording, Stage, replay_files

RECORDINGS = {
    "btc2023": ["usdm_btcusdt_20230404.gz", "usdm_btcusdt_20230405.gz"],
    "btc2024": ["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"],
    "eth2024": ["usdm_ethusdt_20240718.gz", "usdm_ethusdt_20240719.gz"],
    "five2021": ["usdm_20210405_SAND_CHR_NEO_CTK_BAT.raw.gz"],
    "four2021": ["usdm_20210722_SUSHI_AKRO_KEEP_CTK.raw.gz"],
}
DIFFS = {"btc2023": 16_110, "btc2024": 9_017, "eth2024": 8_924, "five2021": 4_395, "four2021": 752}
"""Diffs applied from the snapshot on."""


@pytest.fixture(scope="module", params=sorted(RECORDINGS))
def recording(request: pytest.FixtureRequest, data_dir: Path) -> tuple[str, Recording]:
    return request.param, Recording.load([data_dir / "binance_usdm" / name for name in RECORDINGS[request.param]])


Cells = dict[tuple[str, int], dict[Decimal, list[Any]]]
"""[sold, bought, prints] by price, by symbol and minute."""


def frames_of(recording: Recording) -> list[dict[str, Any]]:
    """Every websocket event of a recording as parsed JSON."""
    return [json.loads(record.payload)["data"] for record in recording.records if not record.url]


@pytest.fixture(scope="module")
def replayed(recording: tuple[str, Recording]) -> Stage:
    cursor = Cursor(recording[1], ThresholdsConfig())
    while not cursor.advance(1 << 62, 1 << 20):
        pass
    return cursor.stage


def test_best_prices_equal_the_book_ticker_at_every_diff(recording: tuple[str, Recording]) -> None:
    name, tape = recording
    cursor, compared = play_beside_book_ticker(tape, (d for d in frames_of(tape) if d["e"] == "bookTicker"))
    books = cursor.stage.engine.sync.ladders.books
    assert (int(books["applied"].sum()), int(books["gaps"].sum())) == (DIFFS[name], 0)
    assert compared >= DIFFS[name] - 5 * len(tape.book_symbols)


def test_trades_and_footprint_equal_a_plain_count(recording: tuple[str, Recording], replayed: Stage) -> None:
    """Totals, minutes and tick-level cells are those of a dictionary filled from the frames."""
    _, tape = recording
    engine = replayed.engine
    cells: Cells = defaultdict(lambda: defaultdict(lambda: [Decimal(0), Decimal(0), 0]))
    totals: dict[str, list[Any]] = defaultdict(lambda: [0, Decimal(0), Decimal(0), Decimal(0), 0])
    for d in frames_of(tape):
        source = "trade" if d.get("s") in tape.raw_trade_symbols else "aggTrade"
        if d["e"] != source:
            continue
        total = totals[d["s"]]
        if d.get("X", "MARKET") != "MARKET":
            total[4] += 1
            continue
        price, qty = Decimal(d["p"]), Decimal(d["q"])
        cell = cells[d["s"], d["T"] // 60_000 * 60_000][price]
        cell[0 if d["m"] else 1] += qty
        cell[2] += 1
        total[0] += 1
        total[1 if d["m"] else 2] += qty
        total[3] += price * qty
    assert totals
    whole = replayed.report(tape.names)
    assert whole["integrity"]["trades_without_candle"] == 0
    for symbol, (count, sold, bought, quote, excluded) in totals.items():
        instrument = tape.universe.get(symbol)
        report = whole["symbols"][instrument.key]
        trades = report["trades"]
        assert (trades["count"], trades["excluded"], trades["duplicates"], trades["gaps"]) == (count, excluded, 0, 0)
        assert [Decimal(trades[name]) for name in ("sell", "buy", "quote_volume")] == [sold, bought, quote]
        for candle in report["candles_1m"]:
            expected = cells[symbol, candle["open_ts"]]
            levels = {Decimal(p): [Decimal(bid), Decimal(ask), n] for p, bid, ask, n in candle["levels"]}
            assert levels == expected
            assert list(levels) == sorted(levels, reverse=True)
        assert {c["open_ts"] for c in report["candles_1m"] if c["n"]} == {m for s, m in cells if s == symbol}
    assert engine.totals()["gaps"] == 0


def test_insurance_fund_print_enters_nothing(data_dir: Path) -> None:
    """The 2023 recording holds one print at 28,722 in a 28,150 market."""
    stage = replay_files([data_dir / "binance_usdm" / name for name in RECORDINGS["btc2023"]])
    report = stage.report([])["symbols"]["binance:BTCUSDT"]
    assert report["trades"]["excluded"] == 1
    assert report["trades"]["count"] == 12_934
    assert max(Decimal(c["high"]) for c in report["candles_1m"] if c["n"]) < 28_400


def test_best_level_ofi_equals_the_definition(recording: tuple[str, Recording], replayed: Stage) -> None:
    """Cont-Kukanov-Stoikov OFI per minute of T, computed from the recorded bookTicker stream."""
    _, tape = recording
    previous: dict[str, tuple[Any, ...]] = {}
    minutes: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for d in frames_of(tape):
        if d["e"] != "bookTicker":
            continue
        bid, bid_qty, ask, ask_qty = (Decimal(d[k]) for k in "bBaA")
        if d["s"] in previous:
            bid0, bid_qty0, ask0, ask_qty0, u0 = previous[d["s"]]
            if d["u"] <= u0:
                continue
            e = bid_qty * (bid >= bid0) - bid_qty0 * (bid <= bid0) - ask_qty * (ask <= ask0) + ask_qty0 * (ask >= ask0)
            minutes[d["s"], d["T"] // 60_000 * 60_000] += e
        previous[d["s"]] = (bid, bid_qty, ask, ask_qty, d["u"])
    report = replayed.report(tape.names)
    for symbol in previous:
        got = report["symbols"][f"binance:{symbol}"]["ofi_cks_1m"]
        assert {int(m): Decimal(v) for m, v in got.items()} == {m: v for (s, m), v in minutes.items() if s == symbol}


def test_every_timeframe_and_bin_sums_to_the_original(recording: tuple[str, Recording], replayed: Stage) -> None:
    """Coarser candles and bins are exact sums of the tick-level cells."""
    _, tape = recording
    engine = replayed.engine
    for instrument in tape.universe:
        original = engine.footprint(instrument.index, 60_000, 1, 2_000)
        if not len(original.candles):
            continue
        for tf in ("1m", "5m", "15m", "1h"):
            for step in (1, 3, 10, 250):
                view = engine.footprint(instrument.index, TIMEFRAMES_MS[tf], step, 2_000)
                assert cell_sums(view, TIMEFRAMES_MS[tf], step) == cell_sums(original, TIMEFRAMES_MS[tf], step)
                for name in ("bid", "ask", "n", "quote"):
                    assert view.candles[name].sum() == original.candles[name].sum()


def cell_sums(view: Footprint, tf_ms: int, step: int) -> dict[tuple[int, int], list[int]]:
    sums: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for candle in view.candles:
        for cell in view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]:
            total = sums[int(candle["open_ms"]) // tf_ms, int(cell["price"]) // step]
            for k, name in enumerate(("bid", "ask", "n")):
                total[k] += int(cell[name])
    return sums


def test_two_replays_end_in_the_same_bytes(data_dir: Path, tmp_path: Path) -> None:
    paths = [data_dir / "binance_usdm" / name for name in RECORDINGS["four2021"]]
    for name in ("a.json", "b.json"):
        replay_files(paths, report=tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_unreadable_recordings_are_refused_with_a_sentence(tmp_path: Path, data_dir: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"hello\n")
    (tmp_path / "torn").write_bytes(b'1721347020984480942 {"stream":"x"}\nnonsense\n')
    for name, sentence in {
        "empty": "is empty",
        "text": "is no capture",
        "torn": "line 2",
        "missing": "cannot read",
    }.items():
        with pytest.raises(UsageError, match=sentence):
            Recording.load([tmp_path / name])
    assert Recording.load([data_dir / "binance_spot" / "spot_btcusdt_20240808.gz"]).venue == "binance-spot"
