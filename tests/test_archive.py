"""Archive files against a plain count of the lines that were written into them."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from archives import HEADER, T0, Print, market, write, zipped
from program import run
from tapewatch.engine import Engine
from tapewatch.model.errors import UsageError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import Flag
from tapewatch.model.views import Footprint
from tapewatch.replay import Player
from tapewatch.replay import archive_source as room
from tapewatch.replay.archive import Archive, Archives


def through_engine(archive: Archive) -> Engine:
    """The rows of an archive by the path of live trades."""
    engine = Engine(Universe(archive.instrument.venue, [archive.instrument]))
    for tape in archive.tapes():
        if not tape.rows["flags"][0] & Flag.AGGREGATE:
            engine.use_raw_trades(0)
        engine.apply(tape)
    return engine


def assert_same(one: Footprint, other: Footprint) -> None:
    assert one.candles.tolist() == other.candles.tolist()
    assert one.cells.tolist() == other.cells.tolist()


def assert_is(view: Footprint, prints: Iterable[Print]) -> None:
    """The view holds exactly these prints, counted in decimals."""
    cells: dict[tuple[int, Decimal], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0), Decimal(0)])
    candles: dict[int, list[Print]] = defaultdict(list)
    for p in prints:
        cell = cells[p.ts_ms // 60_000 * 60_000, p.p]
        cell[0 if p.sell else 1] += p.q
        cell[2] += 1
        candles[p.ts_ms // 60_000 * 60_000].append(p)
    tick, lot = view.instrument.tick.to_decimal, view.instrument.lot.to_decimal
    found = {}
    for candle in view.candles:
        held = view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]
        for cell in held:
            key = int(candle["open_ms"]), tick(cell["price"])
            found[key] = [lot(cell["bid"]), lot(cell["ask"]), Decimal(int(cell["n"]))]
        if candle["n"]:
            inside = sorted(candles[int(candle["open_ms"])], key=lambda p: p.id)
            prices = [p.p for p in inside]
            expected = [prices[0], max(prices), min(prices), prices[-1]]
            assert [tick(candle[name]) for name in ("open", "high", "low", "close")] == expected
    assert found == cells
    assert {int(c["open_ms"]) for c in view.candles if c["n"]} == set(candles)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks even of small files."""
    monkeypatch.setattr(room, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(room, "MAX_LINE", 400)


@pytest.mark.parametrize("product", ["aggTrades", "trades"])
@pytest.mark.parametrize("spot", [False, True])
@pytest.mark.parametrize("zip_it", [False, True])
def test_a_file_becomes_candles_and_footprints(tmp_path: Path, product: str, spot: bool, zip_it: bool) -> None:
    """Header or none, ms or us, one column more: the same state as the plain count and as the engine's."""
    prints = market(6_000)
    lines = [p.aggregate(spot=spot) if product == "aggTrades" else p.raw(spot=spot) for p in prints]
    path = write(tmp_path, lines, f"BTCUSDT-{product}-2026-06", header="" if spot else HEADER)
    archive = Archive(zipped(path) if zip_it else path)
    history = archive.history()
    assert archive.layout.venue == ("binance-spot" if spot else "binance")
    assert (history.trades, history.duplicates, history.missing, archive.account.wrong) == (6_000, 0, 0, 0)
    assert archive.account.lines == 6_000 + (not spot)
    view = history.footprint(60_000, 1)
    assert_is(view, prints)
    engine = through_engine(archive)
    for tf_ms, step in ((60_000, 1), (60_000, 25), (900_000, 10), (3_600_000, 1)):
        assert_same(history.footprint(tf_ms, step, 2_000), engine.footprint(0, tf_ms, step, 2_000))


def test_unsorted_and_repeated_rows_are_counted_and_change_nothing(tmp_path: Path) -> None:
    prints = market(4_000)
    shuffled = [*prints, *prints[100:300]]
    np.random.default_rng(3).shuffle(shuffled)
    archive = Archive(write(tmp_path, (p.aggregate() for p in shuffled)))
    history = archive.history()
    assert (history.trades, history.duplicates, archive.account.sorted) == (4_000, 200, False)
    assert_is(history.footprint(60_000, 1), prints)
    engine = through_engine(archive)
    assert_same(history.footprint(60_000, 1, 2_000), engine.footprint(0, 60_000, 1, 2_000))
    assert engine.totals()["duplicates"] == 200


def test_repeated_rows_side_by_side_need_no_sorting(tmp_path: Path) -> None:
    prints = market(300)
    archive = Archive(write(tmp_path, (p.aggregate() for p in [*prints[:50], prints[49], *prints[50:]])))
    assert (archive.history().duplicates, archive.account.sorted) == (1, True)
    assert_is(archive.history().footprint(60_000, 1), prints)


def test_a_quiet_market_fills_one_block_with_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute or a hole a trade: more of either than there is room for at first."""
    monkeypatch.setattr(room, "BLOCK_BYTES", 1 << 20)
    prints = [replace(p, id=1_000 + 2 * k, ts_ms=T0 + k * 60_000) for k, p in enumerate(market(2_500))]
    archive = Archive(write(tmp_path, (p.aggregate() for p in prints)))
    history = archive.history()
    assert (history.trades, history.missing) == (2_500, 2_499)
    assert_is(history.footprint(60_000, 1), prints)


def test_missing_ids_are_gaps_of_the_candles_they_touch(tmp_path: Path) -> None:
    prints = [p for p in market(5_000) if not (1_200 <= p.id < 1_210 or 3_000 <= p.id < 4_500)]
    archive = Archive(write(tmp_path, (p.aggregate() for p in prints)))
    history = archive.history()
    assert history.missing == 1_510
    assert [(int(h["first"]), int(h["last"])) for h in history.holes] == [(1_200, 1_209), (3_000, 4_499)]
    view = history.footprint(60_000, 1, 2_000)
    assert view.candles["gap"].sum() > 2
    assert_same(view, through_engine(archive).footprint(0, 60_000, 1, 2_000))


def test_wrong_rows_are_named_by_line_and_left_out(tmp_path: Path) -> None:
    prints = market(3_000)
    lines = [p.aggregate() for p in prints]
    wrong = {
        5: "1004,abc,1,1,2,1780000000000,true\n",
        700: "1699,600.5,1,1,2,1780000000,true\n",
        701: "1700,600.5,0,1,2,1780000000000,true\n",
        2_999: "2998,600.5,1,1,2,1780000000000,maybe\n",
    }
    for k, line in wrong.items():
        lines[k - 1] = line
    archive = Archive(write(tmp_path, lines))
    assert archive.history().trades == 2_996
    assert [w.number for w in archive.account.first_wrong] == [k + 1 for k in wrong]
    assert archive.account.by_reason == {"not_a_number": 1, "time_range": 1, "not_positive": 1, "flag": 1}
    assert "'abc'" in str(archive.account.first_wrong[0])


def test_unusual_spelling_is_read_by_the_general_reader(tmp_path: Path) -> None:
    prints = market(50)
    lines = [p.aggregate() for p in prints]
    p = prints[20]
    lines[20] = f'"{p.id}", {p.price}E-1 ,{p.q}000000,{2 * p.id},{2 * p.id + 1},{p.ts_ms},{str(p.sell).upper()}\r\n'
    lines[30] = lines[30].rstrip() + "\r\n"
    lines.append("\n")
    archive = Archive(write(tmp_path, lines))
    assert_is(archive.history().footprint(60_000, 1), prints)
    assert archive.account.wrong == 0


@pytest.mark.parametrize("zip_it", [False, True])
@pytest.mark.parametrize("header", ["", HEADER])
def test_the_mark_that_spreadsheets_put_at_the_beginning_belongs_to_no_line(
    tmp_path: Path, header: str, *, zip_it: bool
) -> None:
    prints = market(300)
    path = write(tmp_path, (p.aggregate() for p in prints), header=f"\ufeff{header}")
    archive = Archive(zipped(path) if zip_it else path)
    assert_is(archive.history().footprint(60_000, 1), prints)
    assert archive.account.wrong == 0


def test_increments_are_those_of_the_finest_number_or_those_listed(tmp_path: Path) -> None:
    prints = market(4_000)
    late = replace(prints[-1], id=prints[-1].id + 1)
    line = late.aggregate().split(",")
    line[1:3] = ["601.2345", "0.00001"]
    path = write(tmp_path, [*(p.aggregate() for p in prints), ",".join(line)])
    archive = Archive(path)
    archive.history()
    assert (archive.instrument.tick, archive.instrument.lot) == (Grid(1, 4), Grid(1, 5))
    listed = Instrument(-1, "binance", "BTCUSDT", "BTC", "USDT", "perp", Grid(5, 2), Grid(1, 3))
    archive = Archive(write(tmp_path, [p.aggregate() for p in prints]), [listed])
    assert archive.history().trades == 4_000
    assert (archive.instrument.tick, archive.instrument.lot) == (Grid(5, 2), Grid(1, 3))


def test_checksum_beside_the_file_is_verified(tmp_path: Path) -> None:
    path = zipped(write(tmp_path, (p.aggregate() for p in market(100))))
    said = path.with_name(path.name + ".CHECKSUM")
    said.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n", encoding="ascii")
    assert Archive(path).source.checked
    said.write_text(f"{'0' * 64}  {path.name}\n", encoding="ascii")
    with pytest.raises(UsageError, match="download it again"):
        Archive(path)


def test_files_that_are_no_archives_are_refused_with_a_sentence(tmp_path: Path) -> None:
    good = write(tmp_path, (p.aggregate() for p in market(2_000)))
    torn = tmp_path / "BTCUSDT-aggTrades-torn.zip"
    torn.write_bytes(zipped(good).read_bytes()[:-3_000])
    damaged = tmp_path / "BTCUSDT-aggTrades-damaged.zip"
    data = bytearray(zipped(good).read_bytes())
    data[5_000:5_100] = bytes(100)
    damaged.write_bytes(data)
    two = tmp_path / "BTCUSDT-aggTrades-two.zip"
    with zipfile.ZipFile(two, "w") as out:
        out.writestr("a.csv", "1")
        out.writestr("b.csv", "1")
    cases = {
        write(tmp_path, ["1,2,3\n"], "BTCUSDT-odd"): "none of aggTrades",
        write(tmp_path, [market(1)[0].aggregate()], "unnamed"): "does not begin with a symbol",
        write(tmp_path, [], "BTCUSDT-empty", header=""): "is empty",
        write(tmp_path, ["1" * 50_000 + "\n"], "BTCUSDT-long", header=market(1)[0].aggregate()): "a line of more than",
        two: "holds 2 CSV files",
        torn: "damaged|cannot be read",
        damaged: "is damaged",
        tmp_path / "BTCUSDT-missing.csv": "cannot read",
    }
    for path, sentence in cases.items():
        with pytest.raises(UsageError, match=sentence):
            Archive(path).history()


def test_a_zip_may_store_its_file_as_it_is(tmp_path: Path) -> None:
    prints = market(500)
    path = write(tmp_path, (p.aggregate() for p in prints))
    with zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_STORED) as out:
        out.write(path, path.name)
    assert_is(Archive(path.with_suffix(".zip")).history().footprint(60_000, 1), prints)


@pytest.mark.parametrize("what", ["CRC", "file_size"])
def test_a_zip_that_holds_something_else_than_was_put_into_it_is_refused(tmp_path: Path, what: str) -> None:
    path = zipped(write(tmp_path, (p.aggregate() for p in market(2_000))))
    with zipfile.ZipFile(path) as archive:
        said = getattr(archive.infolist()[0], what).to_bytes(4, "little")
    data = bytearray(path.read_bytes())
    at = data.rindex(said)  # the directory at the end counts, not the header before the data
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match="is damaged"):
        Archive(path).history()


def test_days_and_instruments_join_in_order_of_time(tmp_path: Path) -> None:
    btc = market(3_000)
    eth = [replace(p, price=p.price // 20) for p in market(2_500, 2, first_id=9_000, t0=T0 + 77_777)]
    paths = [
        write(tmp_path, (p.aggregate() for p in btc[1_500:]), "BTCUSDT-aggTrades-2"),
        write(tmp_path, (p.aggregate() for p in eth), "ETHUSDT-aggTrades-1"),
        write(tmp_path, (p.aggregate() for p in btc[:1_500]), "BTCUSDT-aggTrades-1"),
    ]
    archives = Archives(paths)
    times = np.concatenate([tape.rows["ts_ms"].copy() for tape in archives.tapes()])
    assert len(times) == 5_500
    assert (np.diff(times) >= 0).all()
    assert (archives.first_ms, archives.last_ms) == (btc[0].ts_ms, max(btc[-1].ts_ms, eth[-1].ts_ms))
    write(tmp_path, (p.aggregate() for p in btc[:1_600]), "BTCUSDT-aggTrades-1")  # now they overlap
    archives = Archives(paths)
    engine = Engine(archives.universe)
    for tape in archives.tapes():
        engine.apply(tape)
    for prints, symbol in ((btc, "BTCUSDT"), (eth, "ETHUSDT")):
        i = archives.universe.get(symbol).index
        assert_is(engine.footprint(i, 60_000, 1, 2_000), prints)
        assert int(engine.flow.trades[i]["gaps"]) == 0
    assert engine.totals()["duplicates"] == 100


def test_archives_are_played_like_any_recording(tmp_path: Path) -> None:
    """Days of two instruments: paused, sought back and played on, the state is that of one straight run."""
    btc, eth = market(3_000), market(2_000, seed=2, first_id=1)
    paths = [
        write(tmp_path, (p.aggregate() for p in eth), "ETHUSDT-aggTrades-1"),
        zipped(write(tmp_path, [*(p.aggregate() for p in btc), "nonsense\n"], "BTCUSDT-aggTrades-1")),
    ]
    source = Archives(paths)
    straight = Player(source, speed=math.inf)
    while straight.tick(0.0):
        pass
    other = Player(source, playing=False)
    for share in (0.8, 0.2, 1.0):
        other.seek(source.first_ms + int(share * (source.last_ms - source.first_ms)))
        while other.tick(0.0):
            pass
        played = [p for p in (*btc, *eth) if p.ts_ms <= other.position.now_ms]
        assert other.position.rows == len(played)
    assert other.state_hash() == straight.state_hash()
    report = straight.stage.report(source.names)
    assert report["integrity"] == {
        "frames": 5_001,
        "decoded": 5_000,
        "quarantined": 1,
        "by_reason": report["integrity"]["by_reason"],
        "trades_without_candle": 0,
    }
    told = run(tmp_path, "replay", *map(str, paths))
    assert told.stdout == f"5000 events, state {straight.state_hash()}\n"
