"""Alert rules, what fired and the outbox, in the catalog. A batch is one transaction: all of it is kept, or none.

Everything is written by its key, so that a batch written twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ..alerts.episode import Episode
from . import tables
from .catalog import CHUNK, Catalog

Outcome = Literal["delivered", "dead"]
EPISODES_LOADED = 2_000


@dataclass(frozen=True, slots=True)
class StoredRule:
    """One revision of a rule; `content` is JSON."""

    id: int
    revision: int
    content: str
    deleted: bool
    created_ms: int


@dataclass(slots=True)
class Delivery:
    """One message for one sink. `number` rises in the order of sending; `content` is JSON."""

    key: str
    sink: str
    number: int
    rule_id: int
    content: str
    created_ms: int
    due_ms: int
    attempts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A message that is no longer on its way."""

    key: str
    sink: str
    rule_id: int
    outcome: Outcome
    content: str
    attempts: int
    created_ms: int
    done_ms: int
    detail: str = ""


@dataclass(slots=True)
class Batch:
    """What is written together. `waiting` are new messages and those that were tried in vain."""

    rules: list[StoredRule] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rules) + len(self.episodes) + len(self.waiting) + len(self.settled)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What an earlier program left."""

    rules: list[StoredRule]
    """The newest revision of each that is not deleted."""
    next_id: int
    episodes: list[Episode]
    """The newest, and all that are open or wait for a summary; oldest first."""
    waiting: list[Delivery]
    """In their order."""
    dead: list[Settled]


class AlertStore:
    """The alerts of one catalog. Calls block: they belong in a thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def write(self, batch: Batch) -> None:
        """Keep a batch. A message that has been delivered before is not put into the outbox again."""
        with self._catalog.write() as connection:
            _replace(connection, tables.alert_rules, ("id", "revision"), map(asdict, batch.rules))
            _replace(connection, tables.alert_episodes, ("key",), map(asdict, batch.episodes))
            _replace(connection, tables.alert_deliveries, ("key", "sink"), map(asdict, batch.settled))
            _replace(connection, tables.alert_outbox, ("key", "sink"), map(asdict, batch.waiting))
            outbox = tables.alert_outbox
            gone = [{"a_key": one.key, "a_sink": one.sink} for one in batch.settled]
            if gone:
                where = outbox.c.key == sa.bindparam("a_key"), outbox.c.sink == sa.bindparam("a_sink")
                connection.execute(sa.delete(outbox).where(*where), gone)

    def load(self) -> Loaded:
        """Everything that a start goes on with."""
        rules, episodes, outbox = tables.alert_rules, tables.alert_episodes, tables.alert_outbox
        with self._catalog.read() as connection:
            every = [StoredRule(**row) for row in _rows(connection, sa.select(rules).order_by(rules.c.revision))]
            newest = {rule.id: rule for rule in every}
            recent = sa.select(episodes).order_by(episodes.c.fired_ms.desc(), episodes.c.key).limit(EPISODES_LOADED)
            found = {row["key"]: row for row in _rows(connection, recent)}
            unfinished = sa.or_(episodes.c.ended_ms.is_(None), episodes.c.told == "waiting")
            found |= {row["key"]: row for row in _rows(connection, sa.select(episodes).where(unfinished))}
            waiting = [Delivery(**row) for row in _rows(connection, sa.select(outbox).order_by(outbox.c.number))]
            under_way = {(one.key, one.sink) for one in waiting}
            dead = [one for one in _dead(connection) if (one.key, one.sink) not in under_way]
        return Loaded(
            [rule for rule in newest.values() if not rule.deleted],
            max(newest, default=0) + 1,
            sorted((Episode(**row) for row in found.values()), key=lambda one: one.fired_ms),
            waiting,
            dead,
        )

    def episodes(self, before_ms: int, limit: int, rule_id: int | None = None) -> list[Episode]:
        """The newest `limit` that fired before a time, newest first, and more where the last moment has more."""
        table = tables.alert_episodes
        query = sa.select(table).where(table.c.fired_ms < before_ms)
        if rule_id is not None:
            query = query.where(table.c.rule_id == rule_id)
        with self._catalog.read() as connection:
            rows = _rows(connection, query.order_by(table.c.fired_ms.desc(), table.c.key).limit(limit))
            if len(rows) == limit:
                last_ms = rows[-1]["fired_ms"]
                whole = _rows(connection, query.where(table.c.fired_ms == last_ms).order_by(table.c.key))
                rows = [row for row in rows if row["fired_ms"] > last_ms] + whole
        return [Episode(**row) for row in rows]

    def acknowledge(self, key: str, now_ms: int) -> Episode | None:
        """Note the first time that somebody has seen it; None where there is no such episode."""
        table = tables.alert_episodes
        with self._catalog.write() as connection:
            query = sa.update(table).where(table.c.key == key, table.c.acked_ms.is_(None)).values(acked_ms=now_ms)
            connection.execute(query)
            rows = _rows(connection, sa.select(table).where(table.c.key == key))
        return Episode(**rows[0]) if rows else None

    def forget(self, before_ms: int) -> int:
        """Delete ended episodes and settled messages from before a time; returns how many rows."""
        episodes, deliveries = tables.alert_episodes, tables.alert_deliveries
        with self._catalog.write() as connection:
            old = sa.delete(episodes).where(episodes.c.fired_ms < before_ms, episodes.c.ended_ms.is_not(None))
            return sum(
                connection.execute(query).rowcount
                for query in (old, sa.delete(deliveries).where(deliveries.c.done_ms < before_ms))
            )


def _rows(connection: Connection, query: sa.Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _dead(connection: Connection) -> list[Settled]:
    table = tables.alert_deliveries
    query = sa.select(table).where(table.c.outcome == "dead").order_by(table.c.done_ms.desc()).limit(CHUNK)
    return [Settled(**row) for row in _rows(connection, query)]


def _replace(connection: Connection, table: sa.Table, key: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write rows by their key, instead of what was there."""
    new = list(rows)
    if not new:
        return
    where = (table.c[name] == sa.bindparam(f"a_{name}") for name in key)
    connection.execute(sa.delete(table).where(*where), [{f"a_{name}": row[name] for name in key} for row in new])
    connection.execute(sa.insert(table), new)
