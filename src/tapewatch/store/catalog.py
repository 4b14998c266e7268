"""The SQL catalog: connections, migrations, instruments and their versions, gaps, layouts, settings.

One writer at a time, by the database's own lock: SQLite's write lock, an advisory lock on PostgreSQL. Readers see the
state of one commit and block nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from ..model.errors import TapewatchError, UsageError
from ..model.gaps import Fate
from ..model.instrument import Grid, Instrument, Universe, common_grid
from . import tables

MIGRATIONS = Path(__file__).parent / "migrations"
FILE_NAME = "catalog.sqlite"
BUSY_MS = 60_000
"""How long a writer waits for another one; a sealing transaction takes a second or two."""
CONNECT_S = 10
WRITERS_LOCK = 0x7461_7065
"""Key of the advisory lock that makes writers of one PostgreSQL catalog take turns ("tape")."""
CHUNK = 1_000
"""Values in one IN (…): both databases allow ten times as many."""


class StoreUnavailableError(TapewatchError):
    """The database does not answer now; what waits for it is tried again."""


class NewerCatalogError(TapewatchError):
    """The catalog was written by a newer version of the program."""


@dataclass(frozen=True, slots=True)
class GapRow:
    """A hole: ids `first_id`..`last_id` of one stream between two times of the venue.

    Where a chain of ids ended there are none to name: `last_id` is then below `first_id`.
    """

    venue: str
    symbol: str
    stream: str
    """``trade``, ``depth``, … ; what the ids count."""
    first_id: int
    last_id: int
    from_ms: int
    to_ms: int
    cause: str
    """How they were lost: a name of `model.gaps.Cause`, in lower case."""
    fate: str
    """Whether they are still asked for: a name of `model.gaps.Fate`, in lower case."""
    found_ms: int

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """What tells it from others (`GAP_KEY`)."""
        return self.venue, self.symbol, self.stream, self.first_id, self.from_ms


GAP_KEY = ("venue", "symbol", "stream", "first_id", "from_ms")


class Catalog:
    """One catalog database; safe to use from several threads and processes."""

    def __init__(self, url: str | URL) -> None:
        try:
            self.url = make_url(url)
            self.engine = _engine(self.url)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise UsageError(
                f"store.url {url!s} is no database address: sqlite:///PATH or postgresql+psycopg://…"
            ) from error
        self.sqlite = self.engine.dialect.name == "sqlite"

    @classmethod
    def of_folder(cls, folder: Path, url: str = "") -> Catalog:
        """The catalog at `url`; without one the SQLite catalog of a data folder."""
        return cls(url or URL.create("sqlite", database=str(folder / FILE_NAME)))

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one commit."""
        options = {} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
        with _speaking(), self.engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction; other writers wait. It commits at the end of the block or not at all."""
        options = {"tapewatch_writes": True}
        with _speaking(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            if not self.sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS_LOCK)))
            yield connection

    def migrate(self) -> None:
        """Bring the database to this version's tables; refuse one that a newer version wrote."""
        if self.sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with self.write() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            if current is not None and current not in known:
                raise NewerCatalogError(
                    f"the catalog {self.url.render_as_string()} was written by a newer tapewatch (revision {current}); "
                    "install that version or choose another store.path"
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def size(self) -> int:
        """Bytes that the database takes on its disk."""
        with self.read() as connection:
            if not self.sqlite:
                return int(connection.scalar(sa.select(sa.func.pg_database_size(sa.func.current_database()))) or 0)
            pages, free, each = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
                for name in ("page_count", "freelist_count", "page_size")
            )
            return (pages - free) * each

    # -- instruments --------------------------------------------------------------------------------------------

    def universe(self, venue: str) -> Universe:
        """Instruments of a venue as they are described now, each on a grid that holds all that is stored of it."""
        with self.read() as connection:
            versions = versions_of(connection, venue)
        return Universe(venue, [whole(rows) for rows in versions.values()])

    def put_instruments(self, venue: str, instruments: Sequence[Instrument], since_ms: int) -> int:
        """Note instruments as they are from `since_ms` on; returns how many new versions that made."""
        with self.read() as connection:
            known = versions_of(connection, venue)
        changed = [one for one in instruments if not _is_known(known, one)]
        if not changed:
            return 0
        with self.write() as connection:
            known = versions_of(connection, venue)
            return sum(add_version(connection, known, one, since_ms) for one in changed if not _is_known(known, one))

    # -- gaps ---------------------------------------------------------------------------------------------------

    def gaps(self, venue: str, since_ms: int) -> list[GapRow]:
        """Holes as they were noted: those that end at `since_ms` or later, and all that are open; in order of time."""
        table = tables.gaps
        wanted = sa.or_(table.c.to_ms >= since_ms, table.c.fate == Fate.OPEN.name.lower())
        query = sa.select(*(table.c[name] for name in GapRow.__slots__)).where(table.c.venue == venue, wanted)
        with self.read() as connection:
            return [GapRow(*row) for row in connection.execute(query.order_by(table.c.from_ms, table.c.id))]

    def put_gaps(self, gaps: Sequence[GapRow], closed: Sequence[GapRow] = ()) -> None:
        """Note holes; one that is known already (same stream, first id and begin) is replaced. Forget the `closed`."""
        with self.write() as connection:
            remove_gaps(connection, closed)
            write_gaps(connection, gaps)

    def consumed(self) -> frozenset[str]:
        """Names of all journal files that have been sealed."""
        with self.read() as connection:
            return frozenset(connection.scalars(sa.select(tables.journal_files.c.name)))

    # -- layouts and settings -----------------------------------------------------------------------------------

    def layouts(self) -> dict[str, str]:
        """Saved workspaces by name, as the JSON text that was saved."""
        with self.read() as connection:
            rows = connection.execute(sa.select(tables.layouts.c.name, tables.layouts.c.content))
            return dict(map(tuple, rows))

    def put_layout(self, name: str, content: str, now_ms: int) -> None:
        self._replace(tables.layouts, {"name": name}, {"content": content, "updated_ms": now_ms})

    def delete_layout(self, name: str) -> bool:
        with self.write() as connection:
            return connection.execute(sa.delete(tables.layouts).where(tables.layouts.c.name == name)).rowcount > 0

    def settings(self) -> dict[str, str]:
        """What the page remembers by section, as the JSON text that was saved."""
        with self.read() as connection:
            return dict(map(tuple, connection.execute(sa.select(tables.settings.c.key, tables.settings.c.value))))

    def put_settings(self, sections: Mapping[str, str]) -> None:
        """Keep sections whole, each in the place of the one that had its name."""
        with self.write() as connection:
            connection.execute(sa.delete(tables.settings).where(tables.settings.c.key.in_(sections)))
            connection.execute(sa.insert(tables.settings), [{"key": k, "value": v} for k, v in sections.items()])

    def _replace(self, table: sa.Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        with self.write() as connection:
            connection.execute(sa.delete(table).where(*(table.c[name] == value for name, value in key.items())))
            connection.execute(sa.insert(table).values({**key, **values}))


def write_gaps(connection: Connection, gaps: Sequence[GapRow]) -> None:
    """The same inside a transaction. What is told several times counts as it was told last."""
    remove_gaps(connection, gaps)
    last = {gap.key: gap for gap in gaps}
    if last:
        rows = [{name: getattr(gap, name) for name in GapRow.__slots__} for gap in last.values()]
        connection.execute(sa.insert(tables.gaps), rows)


def remove_gaps(connection: Connection, gaps: Sequence[GapRow]) -> None:
    """Forget holes, found by their keys."""
    if gaps:
        where = [tables.gaps.c[name] == sa.bindparam(f"old_{name}") for name in GAP_KEY]
        old = [{f"old_{name}": getattr(gap, name) for name in GAP_KEY} for gap in gaps]
        connection.execute(sa.delete(tables.gaps).where(*where), old)


# ---------------------------------------------------------------- connections


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
        return engine
    # Keepalives end a connection whose other end is gone without a word; a slow server is simply waited for.
    alive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    return sa.create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S, **alive})


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions by its own rules
    # FULL: a journal file is deleted after the commit, so the commit must survive a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("tapewatch_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _speaking() -> Iterator[None]:
    """A database that is away or full says so in a sentence; an error of ours stays what it is."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailableError(f"the catalog does not answer: {_first_line(error)}") from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreUnavailableError(f"the catalog closed the connection: {_first_line(error)}") from error


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__


# ---------------------------------------------------------------- instruments and their versions


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version of an instrument; rows that count its ticks and lots name `id`."""

    id: int
    number: int
    since_ms: int
    instrument: Instrument


Versions = dict[str, list[Version]]
"""By symbol, oldest first; symbols in the order in which they were first seen."""


def versions_of(connection: Connection, venue: str) -> Versions:
    """All versions of all instruments of a venue."""
    table = tables.instruments
    out: Versions = {}
    for row in connection.execute(sa.select(table).where(table.c.venue == venue).order_by(table.c.id)).mappings():
        instrument = Instrument(
            index=-1,
            tick=Grid(row["tick_units"], row["tick_decimals"]),
            lot=Grid(row["lot_units"], row["lot_decimals"]),
            **{name: row[name] for name in _SAME_NAME},
        )
        out.setdefault(instrument.symbol, []).append(Version(row["id"], row["version"], row["since_ms"], instrument))
    return out


_SAME_NAME = ("venue", "symbol", "base", "quote", "kind", "status", "onboard_ms", "delivery_ms")


def whole(versions: Sequence[Version]) -> Instrument:
    """An instrument as it is described now, on the coarsest grid that holds what was stored under any version."""
    grids = [version.instrument for version in versions]
    return replace(
        grids[-1],
        tick=reduce(common_grid, (one.tick for one in grids)),
        lot=reduce(common_grid, (one.lot for one in grids)),
    )


def add_version(connection: Connection, known: Versions, instrument: Instrument, since_ms: int) -> int:
    """Write a version that follows those known; `known` then has it too."""
    before = known.setdefault(instrument.symbol, [])
    row = {
        **{name: getattr(instrument, name) for name in _SAME_NAME},
        "version": len(before) + 1,
        "since_ms": since_ms,
        "tick_units": instrument.tick.units,
        "tick_decimals": instrument.tick.decimals,
        "lot_units": instrument.lot.units,
        "lot_decimals": instrument.lot.decimals,
    }
    result = connection.execute(sa.insert(tables.instruments).values(row).returning(tables.instruments.c.id))
    before.append(Version(result.scalar_one(), len(before) + 1, since_ms, replace(instrument, index=-1)))
    return 1


def version_for(connection: Connection, known: Versions, instrument: Instrument, since_ms: int) -> int:
    """The id under which rows in this instrument's ticks and lots are stored: the newest version on that grid."""
    for version in reversed(known.get(instrument.symbol, [])):
        if (version.instrument.tick, version.instrument.lot) == (instrument.tick, instrument.lot):
            return version.id
    add_version(connection, known, instrument, since_ms)
    return known[instrument.symbol][-1].id


def _is_known(known: Versions, instrument: Instrument) -> bool:
    versions = known.get(instrument.symbol)
    return versions is not None and versions[-1].instrument == replace(instrument, index=-1)


def chunks(values: Sequence[int], size: int = CHUNK) -> Iterator[Sequence[int]]:
    """Cut `values` to lengths that fit an IN (…)."""
    for at in range(0, len(values), size):
        yield values[at : at + size]
