"""Segments and catalog, on SQLite and on a real PostgreSQL: what goes in comes out, once, exactly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from postgres import Server
from tapes import T0, Row, diff, examples, liquidation, mark, quote, snapshot, tape, trade, universe
from tapewatch.engine import MINUTES_KEPT, Engine
from tapewatch.model.errors import OffGridError, UsageError
from tapewatch.model.instrument import Grid, Universe
from tapewatch.model.tape import Flag, Kind, Tape
from tapewatch.model.views import TIMEFRAMES_MS, Footprint
from tapewatch.replay.report import state_hash
from tapewatch.store import tables
from tapewatch.store.catalog import Catalog, GapRow, NewerCatalogError, StoreUnavailableError
from tapewatch.store.cells import pack, unpack
from tapewatch.store.reader import Reader, concatenated
from tapewatch.store.writer import Consumed, Store, Written

ALWAYS = (0, 1 << 60)
MINUTE = 60_000
NewStore = Callable[[], Store]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewStore]:
    """Makes empty stores, on each of the two databases."""
    server: Server | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made: list[Store] = []

    def make() -> Store:
        made.append(Store(tmp_path / str(len(made)), server.new_database() if server else "").open())
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def store(new_store: NewStore) -> Store:
    return new_store()


def reader_of(store: Store) -> Reader:
    return Reader(store.folder, store.catalog.url.render_as_string(hide_password=False))


def read_back(store: Store, *kinds: Kind, grids: Universe | None = None) -> Tape:
    reader = reader_of(store)
    try:
        return concatenated(list(reader.tapes("binance", *ALWAYS, kinds=kinds or None, universe=grids)))
    finally:
        reader.close()


def prints(count: int, *, first: int = 1, i: int = 0, at: int = T0, every_ms: int = 700) -> list[Row]:
    """Trades with ids in a row that wander over a few prices and change sides."""
    return [
        trade(first + k, at + k * every_ms, 1000 + (k * 7 + i) % 13, 1 + k % 5, sell=k % 3 == 0, i=i)
        for k in range(count)
    ]


# ---------------------------------------------------------------- catalog


def test_migrations_lead_to_the_tables_that_the_program_uses(store: Store) -> None:
    with store.catalog.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
        assert connection.execute(sa.text("SELECT * FROM order_imbalances")).all() == []
    store.open()  # again: nothing to do


def test_a_catalog_of_a_newer_version_is_refused(store: Store) -> None:
    with store.catalog.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerCatalogError, match="newer tapewatch"):
        store.open()


def test_an_address_that_is_none_and_a_database_that_is_away_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database address"):
        Catalog("bogus")
    away = Catalog(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        away.migrate()


def test_layouts_and_settings_are_kept(store: Store) -> None:
    catalog = store.catalog
    catalog.put_layout("desk", '{"a": 1}', 5)
    catalog.put_layout("desk", '{"a": 2}', 6)
    catalog.put_layout("'; DROP TABLE layouts; --", "{}", 7)
    assert catalog.layouts() == {"desk": '{"a": 2}', "'; DROP TABLE layouts; --": "{}"}
    assert catalog.delete_layout("desk")
    assert not catalog.delete_layout("desk")
    catalog.put_settings({"theme": "dark", "depth": "{}"})
    catalog.put_settings({"theme": "light"})
    assert catalog.settings() == {"theme": "light", "depth": "{}"}


def test_instruments_have_versions(store: Store) -> None:
    grids = universe("BTCUSDT", "ETHUSDT")
    assert store.catalog.put_instruments("binance", list(grids), T0) == 2
    assert store.catalog.put_instruments("binance", list(grids), T0 + 1) == 0
    halted = replace(grids[0], status="SETTLING", tick=Grid.parse("0.25"))
    assert store.catalog.put_instruments("binance", [halted, grids[1]], T0 + 2) == 1
    now = store.catalog.universe("binance")
    assert [(one.symbol, one.status) for one in now] == [("BTCUSDT", "SETTLING"), ("ETHUSDT", "TRADING")]
    assert now[0].tick == Grid.parse("0.05"), "a grid on which prices of both versions lie"
    with store.catalog.read() as connection:
        rows = connection.execute(sa.select(tables.instruments.c.symbol, tables.instruments.c.version)).all()
    assert sorted(map(tuple, rows)) == [("BTCUSDT", 1), ("BTCUSDT", 2), ("ETHUSDT", 1)]


# ---------------------------------------------------------------- what goes in comes out


def test_every_kind_of_row_comes_back_as_it_was(store: Store) -> None:
    grids = universe("BTCUSDT", "ETHUSDT")
    rows = [
        snapshot(10, [(999, 5)], [(1001, 6)], known=(990, 1010), ts_ms=T0),
        diff(11, 12, 10, [(999, 0), (998, 3)], [(1002, 4)], ts_ms=T0 + 5),
        diff(13, 13, 12, [], [(1003, 4)], ts_ms=T0 + 6, i=1),
        trade(7, T0 + 10, 1001, 2),
        trade(8, T0 + 11, 999, 2, sell=True, off_book=True, aggregate=False, i=1),
        quote(14, T0 + 12, 999, 4, 1001, 5),
        mark(T0 + 13, 10**11, 10**11 + 1, -5, T0 + 10**6),
        liquidation(T0 + 14, 99_950_000_000, 3, long=True),
    ]
    given_tape = tape(rows)
    given_tape.rows["recv_ns"] = np.arange(len(rows)) + 10**18
    written = store.write(grids, given_tape, name="all")
    assert (written.rows, written.duplicates) == (len(rows), 0)
    back = read_back(store, grids=grids)
    fields = [name for name in back.rows.dtype.names or () if name not in {"level_at", "id", "first_id", "last_id"}]
    for name in fields:
        assert back.rows[name].tolist() == given_tape.rows[name].tolist(), name
    for mine, theirs in zip(back.rows, given_tape.rows, strict=True):
        levels = [t.levels[r["level_at"] : r["level_at"] + r["bids"] + r["asks"]].tolist()
                  for t, r in ((back, mine), (given_tape, theirs))]  # fmt: skip
        assert levels[0] == levels[1]
        if mine["kind"] in {Kind.TRADE, Kind.DEPTH}:
            assert (mine["first_id"], mine["last_id"]) == (theirs["first_id"], theirs["last_id"])


@st.composite
def market(draw: st.DrawFn) -> tuple[Universe, list[Row]]:
    """Trades of three instruments over two hours of two days, ids in a row, some of them no market trades."""
    grids = universe("BTCUSDT", "ETHUSDT", "XRPUSDT")
    rows = []
    for i in range(3):
        at = T0 + 23 * 3_600_000 + draw(st.integers(0, 3_000_000))
        for k in range(draw(st.integers(0, 60))):
            at += draw(st.sampled_from([0, 1, 400, 30_000, 400_000]))
            price, lots = draw(st.integers(1, 40)), draw(st.integers(1, 10**9))
            kinds = {"sell": draw(st.booleans()), "off_book": draw(st.integers(0, 9)) == 0}
            rows.append(trade(1000 + k, at, price, lots, i=i, **kinds))
    return grids, sorted(rows, key=lambda row: row.columns["ts_ms"])


@given(st.data())
@examples(15)
def test_in_any_parts_in_any_order_any_number_of_times_the_result_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Candles, cells, days and trades are those of one live engine that saw every trade once."""
    check_parts(Store(tmp_path_factory.mktemp("store")).open(), data)


@given(st.data())
@examples(3)
def test_the_same_on_postgresql(
    tmp_path_factory: pytest.TempPathFactory, postgres: Server, data: st.DataObject
) -> None:
    check_parts(Store(tmp_path_factory.mktemp("store"), postgres.new_database()).open(), data)


def check_parts(store: Store, data: st.DataObject) -> None:
    grids, rows = data.draw(market())
    parts = data.draw(st.lists(st.tuples(st.integers(0, len(rows)), st.integers(0, len(rows))), max_size=6))
    total = Written()
    for k, (start, stop) in enumerate([*parts, (0, len(rows))]):
        some = data.draw(st.permutations(rows[min(start, stop) : max(start, stop)]))
        total.add(store.write(grids, tape(some), name=f"part{k}"))
    assert total.rows == len(rows)
    engine = Engine(grids)
    engine.apply(tape(rows))
    back = read_back(store, grids=grids)
    again = Engine(grids)
    again.apply(back)
    assert len(back) == len(rows)
    assert state_hash(again) == state_hash(engine)
    reader = reader_of(store)
    for i, instrument in enumerate(grids):
        live = engine.footprint(i, MINUTE, 1, MINUTES_KEPT)
        if not len(live.candles):
            continue
        for tf in ("1m", "5m", "1h", "1d"):
            for step in (1, 7):
                live = engine.footprint(i, TIMEFRAMES_MS[tf], step, MINUTES_KEPT)
                same(reader.footprint("binance", instrument.symbol, TIMEFRAMES_MS[tf], step, *span(live)), live)
        live = engine.footprint(i, MINUTE, 1, MINUTES_KEPT)
        deltas = reader.deltas("binance", *span(live))
        place = [one.symbol for one in deltas.instruments].index(instrument.symbol)
        assert deltas.open_ms.tolist() == live.candles["open_ms"].tolist()
        assert deltas.lots[place].tolist() == (live.candles["ask"] - live.candles["bid"]).tolist()
    check_days(store, rows)
    reader.close()
    store.close()


def span(shown: Footprint) -> tuple[int, int]:
    return int(shown.candles["open_ms"][0]), int(shown.candles["open_ms"][-1]) + shown.tf_ms


def same(one: Footprint, other: Footprint) -> None:
    """Equal in every candle and cell; gaps are counted elsewhere."""
    for name in (name for name in one.candles.dtype.names or () if name != "gap"):
        assert one.candles[name].tolist() == other.candles[name].tolist(), name
    assert one.cells.tolist() == other.cells.tolist()


def check_days(store: Store, rows: list[Row]) -> None:
    """Daily statistics against a plain count."""
    expected: dict[tuple[int, int], list[dict[str, int]]] = {}
    for row in rows:
        expected.setdefault((row.columns["ts_ms"] // 86_400_000, row.columns["instrument"]), []).append(row.columns)
    with store.catalog.read() as connection:
        found = connection.execute(
            sa.select(tables.daily_stats, tables.instruments.c.symbol).join(tables.instruments)
        ).mappings()
        stats = {(one["day_ms"] // 86_400_000, one["symbol"]): one for one in found}
    assert len(stats) == len(expected)
    for (day, i), columns in expected.items():
        stat = stats[day, ("BTCUSDT", "ETHUSDT", "XRPUSDT")[i]]
        traded = [one for one in columns if not one["flags"] & Flag.OFF_BOOK]
        assert (stat["n"], stat["excluded"]) == (len(traded), len(columns) - len(traded))
        if traded:
            ends = (min(traded, key=lambda one: one["id"]), max(traded, key=lambda one: one["id"]))
            assert (stat["open"], stat["close"]) == (ends[0]["price"], ends[1]["price"])
            prices = [one["price"] for one in traded]
            assert (stat["high"], stat["low"]) == (max(prices), min(prices))
            assert stat["ask"] == sum(one["qty"] for one in traded if not one["flags"] & Flag.SELL)


def test_seconds_are_folded_from_the_trades(store: Store) -> None:
    grids = universe()
    rows = prints(400, at=T0 + 3_600_000)
    store.write(grids, tape(rows), name="one")
    engine = Engine(grids)
    engine.apply(tape(rows))
    live = engine.footprint(0, 1_000, 3, 200)
    reader = reader_of(store)
    same(reader.footprint("binance", "BTCUSDT", 1_000, 3, *span(live)), live)
    with pytest.raises(UsageError, match="too long"):
        reader.footprint("binance", "BTCUSDT", 1_000, 3, T0, T0 + 10**8)
    with pytest.raises(UsageError, match="nothing is stored of binance:DOGEUSDT"):
        reader.footprint("binance", "DOGEUSDT", MINUTE, 3, T0, T0 + MINUTE)
    reader.close()


def test_a_finer_tick_joins_what_was_stored_before_it_exactly(store: Store) -> None:
    """One minute, traded on two grids: one candle on the grid that holds both."""
    coarse, fine = universe(tick="0.5", lot="0.01"), universe(tick="0.1", lot="0.001")
    store.write(coarse, tape([trade(1, T0, 20, 3), trade(2, T0 + 1, 21, 4, sell=True)]), name="a")
    store.write(fine, tape([trade(3, T0 + 2, 101, 5), trade(4, T0 + 3, 100, 6)]), name="b")
    engine = Engine(fine)
    moved = [trade(1, T0, 100, 30), trade(2, T0 + 1, 105, 40, sell=True)]
    engine.apply(tape([*moved, trade(3, T0 + 2, 101, 5), trade(4, T0 + 3, 100, 6)]))
    reader = reader_of(store)
    same(reader.footprint("binance", "BTCUSDT", MINUTE, 1, T0, T0 + MINUTE), engine.footprint(0, MINUTE, 1, 1))
    assert reader.deltas("binance", T0, T0 + 2 * MINUTE).lots.tolist() == [[30 - 40 + 5 + 6, 0]]
    minutes = reader.minutes("binance", T0, T0 + 2 * MINUTE, ["BTCUSDT", "NOPEUSDT"])
    assert [one.symbol for one in minutes.instruments] == ["BTCUSDT"]
    assert (minutes.first_ms, minutes.stored.tolist(), int(minutes.close[0, 0])) == (T0, [True, False], 100)
    assert [minutes.bid[0, 0], minutes.ask[0, 0], minutes.ask[1, 0]] == [40, 41, 0]
    assert [minutes.bid_quote[0, 0], minutes.ask_quote[0, 0]] == [105 * 40, 100 * 30 + 101 * 5 + 100 * 6]
    with pytest.raises(UsageError, match="up to a week"):
        reader.deltas("binance", *ALWAYS)
    reader.close()
    with pytest.raises(OffGridError, match="not a multiple"):
        read_back(store, grids=coarse)


def test_cells_are_as_the_document_says() -> None:
    """The reader printed in docs/storage.md reads what we write."""
    text = (Path(__file__).parent.parent / "docs" / "storage.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(def cells.*?)```", text, re.DOTALL)
    assert code is not None
    scope: dict[str, Any] = {}
    exec(code[1], scope)  # noqa: S102
    values = [(5, 1, 0, 1), (6, 0, 2**62, 130), (2**40, 127, 128, 3)]
    given_cells = np.array([*values, (9, 9, 9, 9)], [(name, np.int64) for name in ("price", "bid", "ask", "n")])
    blobs = pack(given_cells, np.array([3, 0, 1]))
    assert [list(scope["cells"](blob)) for blob in blobs] == [values, [], [(9, 9, 9, 9)]]
    back, counts = unpack(blobs)
    assert (back.tolist(), counts.tolist()) == (given_cells.tolist(), [3, 0, 1])
    with pytest.raises(ValueError, match="damaged"):
        unpack([blobs[0][:-1]])


def test_segments_are_read_by_others(store: Store) -> None:
    """DuckDB gives the money that the documented columns mean."""
    grids = universe("BTCUSDT", "ETHUSDT")
    store.write(grids, tape([*prints(50), *prints(70, i=1)]), name="one")
    pattern = str(store.folder / "segments" / "binance" / "trade" / "*" / "*.parquet")
    query = """
        SELECT symbol, count(*), sum(price * tick::DECIMAL(18, 6) * qty * lot::DECIMAL(12, 6))
        FROM read_parquet($pattern) GROUP BY symbol ORDER BY symbol
    """
    found = duckdb.execute(query, {"pattern": pattern}).fetchall()
    expected = [sum(r.columns["price"] * r.columns["qty"] for r in prints(n, i=i)) for n, i in ((50, 0), (70, 1))]
    assert [(row[0], row[1]) for row in found] == [("BTCUSDT", 50), ("ETHUSDT", 70)]
    assert [float(row[2]) for row in found] == [pytest.approx(total / 10_000) for total in expected]


# ---------------------------------------------------------------- once


def test_a_journal_file_is_consumed_once(store: Store) -> None:
    grids = universe()
    rows = tape([*prints(20), quote(1, T0, 1, 2, 3, 4)])
    first = store.write(grids, rows, name="j1", consumed=Consumed("j1.journal", records=4))
    second = store.write(grids, rows, name="j1", consumed=Consumed("j1.journal", records=4))
    assert (first.rows, first.already, second.rows, second.already) == (21, False, 0, True)
    assert len(read_back(store)) == 21


def test_ids_begun_anew_are_other_trades(store: Store) -> None:
    grids = universe()
    store.write(grids, tape(prints(10)), name="a")
    later = store.write(grids, tape(prints(10, at=T0 + 3_600_000)), name="b")
    again = store.write(grids, tape([*prints(10), *prints(10, at=T0 + 3_600_000)]), name="c")
    assert (later.rows, again.rows, again.duplicates) == (10, 0, 20)


def test_a_day_is_counted_from_one_source(store: Store) -> None:
    """Raw trades of a day that is counted from aggregates are set aside and counted; another day may differ."""
    grids = universe()
    raw = [trade(k, T0 + k, 100, 1, aggregate=False) for k in range(1, 6)]
    store.write(grids, tape(prints(3)), name="a")
    written = store.write(grids, tape([*raw, *prints(5)]), name="b")
    assert (written.rows, written.duplicates, written.other_source) == (2, 3, 5)
    tomorrow = [trade(k, T0 + 86_400_000 + k, 100, 1, aggregate=False) for k in range(1, 6)]
    assert store.write(grids, tape(tomorrow), name="c").rows == 5


def test_liquidations_are_kept_once(store: Store) -> None:
    grids = universe("BTCUSDT", "ETHUSDT")
    rows = [liquidation(T0 + k, 10**11, 1 + k % 2, long=bool(k % 3), i=k % 2) for k in range(10)]
    assert store.write(grids, tape(rows[:7]), name="a").rows == 7
    assert store.write(grids, tape(rows), name="b").rows == 3
    reader = reader_of(store)
    newest = reader.liquidations("binance", *ALWAYS, newest=4)
    assert newest["ts_ms"].tolist() == [T0 + k for k in range(6, 10)]
    assert len(reader.liquidations("binance", *ALWAYS, ["ETHUSDT"])) == 5
    reader.close()


def test_id_ranges_stay_few(store: Store) -> None:
    grids = universe()
    rows = prints(100)
    for start in range(0, 100, 20):
        store.write(grids, tape([*rows[start : start + 10]]), name=str(start))
    assert ranges(store) == [(1 + start, 10 + start) for start in range(0, 100, 20)]
    store.write(grids, tape(rows), name="rest")
    assert ranges(store) == [(1, 100)]


def ranges(store: Store) -> list[tuple[int, int]]:
    with store.catalog.read() as connection:
        table = tables.id_ranges
        found = connection.execute(sa.select(table.c.first_id, table.c.last_id).order_by(table.c.first_id))
        return [(row[0], row[1]) for row in found]


def test_trades_brought_back_are_looked_for_in_their_own_time_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest trades of a quiet symbol reach back for a day: that of a busy one is not read for it."""
    grids = Universe("bybit", [replace(one, venue="bybit") for one in universe("BTCUSDT", "XYZUSDT")])

    def rows(i: int, numbers: Iterable[int], at: int, *, back: bool = False) -> list[Row]:
        made = [trade(n << 20, at + n * 1_000, 1000, 1, i=i, aggregate=False) for n in numbers]
        return [replace(one, columns=one.columns | {"flags": int(Flag.BACKFILLED)}) for one in made] if back else made

    busy, quiet = rows(0, range(1, 80_000), T0), rows(1, (1, 40_000, 79_999), T0)
    for part, several in enumerate((busy[:40_000], busy[40_000:79_900] + busy[79_950:] + quiet)):
        store.write(grids, tape(several), name=str(part))
    read: list[int] = []
    read_table = pq.read_table

    def counted(*args: Any, **named: Any) -> Any:
        read.append(len(found := read_table(*args, **named)))
        return found

    monkeypatch.setattr(pq, "read_table", counted)
    told = rows(0, range(79_800, 80_000), T0, back=True) + rows(1, (1, 2, 40_000, 79_999), T0, back=True)
    written = store.write(grids, tape(told), name="back")
    assert (written.rows, written.duplicates) == (50 + 1, 150 + 3)
    assert sum(read) == 150 + 3, "what is kept of the segments is what was looked for"
    assert store.write(grids, tape(told), name="again").rows == 0


# ---------------------------------------------------------------- holes


def test_a_gap_shrinks_as_its_trades_arrive(store: Store) -> None:
    grids = universe()
    rows = prints(30)
    store.write(grids, tape(rows[:10] + rows[25:]), name="a")
    gap = GapRow("binance", "BTCUSDT", "aggregate", 11, 25, T0, T0 + 20_000, "dropped", "open", T0 + 30_000)
    ended = GapRow("binance", "BTCUSDT", "aggregate", 50, 49, T0, T0 + 20_000, "restarted", "unfillable", T0)
    store.catalog.put_gaps([gap, ended])
    store.catalog.put_gaps([gap])
    reader = reader_of(store)

    def left() -> list[tuple[int, int, int]]:
        found = reader.gaps("binance", *ALWAYS).to_pylist()
        return sorted((row["first_id"], row["last_id"], row["missing"]) for row in found)

    assert left() == [(11, 25, 15), (50, 49, 0)]
    assert reader.coverage("binance", *ALWAYS).to_pylist() == [
        {"symbol": "BTCUSDT", "hour_ms": T0, "present": 15, "missing": 15}
    ]
    store.write(grids, tape(rows[13:18]), name="b")
    assert left() == [(11, 13, 3), (19, 25, 7), (50, 49, 0)]
    store.write(grids, tape(rows), name="c")
    assert left() == [(50, 49, 0)]
    reader.close()


# ---------------------------------------------------------------- files


def test_strays_are_removed_and_nothing_else(store: Store) -> None:
    store.write(universe(), tape(prints(10)), name="a")
    folder = next((store.folder / "segments" / "binance" / "trade").iterdir())
    (folder / "08-dead.parquet").write_bytes(b"x")
    (folder / "08-dead.parquet.tmp").write_bytes(b"x")
    assert len(store.remove_strays()) == 2
    assert store.remove_strays() == []
    assert len(read_back(store)) == 10


def test_names_never_leave_the_folder(store: Store) -> None:
    grids = Universe("../../evil", [replace(universe()[0], venue="../../evil")])
    written = store.write(grids, tape(prints(3)), name="../../../etc/passwd")
    assert all((store.folder / path).resolve().is_relative_to(store.folder / "segments") for path in written.segments)
    again = store.write(grids, tape(prints(3, first=4)), name="../../../etc/passwd")
    assert set(again.segments).isdisjoint(written.segments)


def test_reading_in_pieces_gives_every_row_once_in_order(store: Store) -> None:
    """Segments that overlap in time, some of them exchanged for others while they are being read."""
    grids = universe("BTCUSDT", "ETHUSDT")
    for k in range(6):
        start = T0 + k * 3_000_000
        rows = [*prints(3000, first=1 + k * 3000, at=start), *prints(2000, first=1 + k * 2000, at=start + 99, i=1)]
        store.write(grids, tape(rows), name=f"part{k}")
    times: list[NDArray[np.int64]] = [one.rows["ts_ms"] for one in reader_of(store).tapes("binance", *ALWAYS)]
    joined = np.concatenate(times)
    assert len(joined) == 30_000
    assert (np.diff(joined) >= 0).all()
    one = concatenated(list(reader_of(store).tapes("binance", T0 + 10**6, T0 + 10**7, ["ETHUSDT"])))
    whole = read_back(store)
    mine = whole.rows[(whole.rows["instrument"] == 1) & (whole.rows["ts_ms"] >= T0 + 10**6)]
    assert one.rows["id"].tolist() == mine[mine["ts_ms"] < T0 + 10**7]["id"].tolist()
