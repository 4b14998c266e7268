"""Rules, alerts and the outbox in the catalog, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from postgres import Server
from tapes import T0
from tapewatch.alerts.episode import Episode
from tapewatch.config import StoreConfig
from tapewatch.node.alertstore import AlertWriter
from tapewatch.store.alerts import AlertStore, Batch, Delivery, Outcome, Settled, StoredRule
from tapewatch.store.catalog import Catalog
from tapewatch.store.reader import Reader
from tapewatch.transfer.exporting import What, Wish, export


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AlertStore]:
    server: Server | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    catalog = Catalog(server.new_database()) if server else Catalog.of_folder(tmp_path)
    catalog.migrate()
    yield AlertStore(catalog)
    catalog.close()


def episode(n: int, **fields: Any) -> Episode:
    made = Episode(
        key=f"1:1:binance:BTCUSDT:{T0 + n}", rule_id=1, revision=1, name="r", severity="warning", exchange="binance",
        symbol="BTCUSDT", start_ms=T0 + n, fired_ms=T0 + n, value=0.1 + n, price=None,
    )  # fmt: skip
    return replace(made, **fields)


def delivery(n: int, sink: str = "ops") -> Delivery:
    return Delivery(f"key{n}", sink, n, 1, "{}", T0, T0 + n)


def settled(one: Delivery, outcome: Outcome = "delivered") -> Settled:
    return Settled(one.key, one.sink, one.rule_id, outcome, one.content, 3, one.created_ms, T0 + 99, "why")


def test_the_newest_revision_counts_and_a_deleted_rule_is_gone_but_its_number_is_not_given_again(
    store: AlertStore,
) -> None:
    rules = [StoredRule(1, 1, "a", False, T0), StoredRule(1, 2, "b", False, T0), StoredRule(2, 1, "c", False, T0)]
    store.write(Batch(rules=rules))
    store.write(Batch(rules=[StoredRule(2, 2, "", True, T0)]))
    loaded = store.load()
    assert loaded.rules == [rules[1]]
    assert loaded.next_id == 3


def test_an_episode_is_what_it_was_written_as_last(store: AlertStore) -> None:
    store.write(Batch(episodes=[episode(0), episode(1)]))
    over = episode(0, ended_ms=T0 + 5, ended_by="cleared", price=99.5, after_1m=-0.25)
    store.write(Batch(episodes=[over]))
    assert store.load().episodes == [over, episode(1)]
    assert store.episodes(T0 + 1, 10) == [over]
    assert store.episodes(T0 + 9, 1) == [episode(1)]
    assert store.episodes(T0 + 9, 9, rule_id=2) == []


def test_the_same_batch_written_twice_is_written_once(store: AlertStore) -> None:
    batch = Batch(episodes=[episode(0)], waiting=[delivery(1)])
    store.write(batch)
    store.write(batch)
    loaded = store.load()
    assert (loaded.episodes, loaded.waiting) == ([episode(0)], [delivery(1)])


def test_a_message_waits_until_it_is_settled(store: AlertStore) -> None:
    store.write(Batch(waiting=[delivery(2), delivery(1), delivery(1, "other")]))
    store.write(Batch(settled=[settled(delivery(1)), settled(delivery(2), "dead")]))
    loaded = store.load()
    assert loaded.waiting == [delivery(1, "other")]
    assert loaded.dead == [settled(delivery(2), "dead")]


def test_what_was_laid_aside_and_is_tried_again_waits_and_is_not_laid_aside(store: AlertStore) -> None:
    store.write(Batch(waiting=[delivery(1)]))
    store.write(Batch(settled=[settled(delivery(1), "dead")]))
    store.write(Batch(waiting=[delivery(1)]))
    loaded = store.load()
    assert (loaded.waiting, loaded.dead) == ([delivery(1)], [])
    store.write(Batch(settled=[settled(delivery(1))]))
    assert (store.load().waiting, store.load().dead) == ([], [])


def test_acknowledging_keeps_the_first_time(store: AlertStore) -> None:
    store.write(Batch(episodes=[episode(0)]))
    key = episode(0).key
    assert store.acknowledge(key, 7) == episode(0, acked_ms=7)
    assert store.acknowledge(key, 8) == episode(0, acked_ms=7)
    assert store.acknowledge("no such key", 9) is None


def test_old_alerts_are_forgotten_and_open_ones_kept(store: AlertStore) -> None:
    store.write(Batch(episodes=[episode(0, ended_ms=T0, ended_by="cleared"), episode(1)], waiting=[delivery(1)]))
    store.write(Batch(settled=[settled(delivery(1))]))
    assert store.forget(T0 + 100) == 2
    assert store.load().episodes == [episode(1)]


def test_a_page_of_alerts_ends_with_a_whole_moment(store: AlertStore) -> None:
    burst = [episode(5, key=f"5:{k}") for k in range(4)]
    store.write(Batch(episodes=[episode(9), *burst, episode(1)]))
    page = store.episodes(T0 + 100, 2)
    assert [one.fired_ms - T0 for one in page] == [9, 5, 5, 5, 5]
    assert [one.fired_ms - T0 for one in store.episodes(page[-1].fired_ms, 2)] == [1]


def test_what_fired_is_exported(tmp_path: Path) -> None:
    with closing(Reader(tmp_path)) as reader:
        reader.catalog.migrate()
        store = AlertStore(reader.catalog)
        store.write(Batch(episodes=[episode(2, key="b", after_1m=0.5), episode(1), episode(3, symbol="*", key="c")]))
        every = export(reader, Wish(What.ALERTS, "binance"))
        rows = pa.concat_tables(every.batches).to_pylist()
        assert [(row["symbol"], row["fired_ms"] - T0, row["after_1m"]) for row in rows] == [
            ("BTCUSDT", 1, None), ("BTCUSDT", 2, 0.5), ("*", 3, None),
        ]  # fmt: skip
        assert rows[0]["value"] == 1.1
        later = export(reader, Wish(What.ALERTS, "binance", start_ms=T0 + 2, end_ms=T0 + 3))
        assert pa.concat_tables(later.batches)["key"].to_pylist() == ["b"]


async def test_rows_that_the_database_refuses_are_counted_and_cost_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = AlertWriter(StoreConfig(path=str(tmp_path)))
    await writer.load()
    running = asyncio.create_task(writer.run())
    await writer.put(Batch(waiting=[replace(delivery(1), error="\udcee")]))
    await writer.put(Batch(waiting=[delivery(2)]))
    assert await writer.read(lambda store: [one.key for one in store.load().waiting]) == ["key2"]
    assert (writer.unkept, running.done()) == (1, False)
    assert "alerts_refused_by_database rows=1" in caplog.text
    running.cancel()
    await writer.close()
