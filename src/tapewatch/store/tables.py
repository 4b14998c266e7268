"""The catalog's tables, as docs/storage.md describes them; migrations bring a database to this shape."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

Int64 = BigInteger
SerialId = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the key is called INTEGER; it is 64 bits wide all the same."""


def _int(name: str, kind: type[TypeEngine[int]] = Int64) -> Column[int]:
    return Column(name, kind, nullable=False)


def _key(name: str) -> Column[int]:
    return Column(name, Int64, primary_key=True, autoincrement=False)


def _instrument() -> Column[int]:
    return Column("instrument_id", Int64, ForeignKey("instruments.id"), primary_key=True, autoincrement=False)


def _candle_columns() -> list[Column[int]]:
    """Prices in ticks, volumes in lots, quote sums in ticks x lots; ids decide which trade opens and closes."""
    names = ("open", "high", "low", "close", "open_id", "close_id", "bid", "ask", "bid_quote", "ask_quote", "n")
    return [_int(name) for name in (*names, "excluded")]


instruments = Table(
    "instruments",
    metadata,
    Column("id", SerialId, primary_key=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    _int("version", Integer),
    _int("since_ms"),
    Column("base", Text, nullable=False),
    Column("quote", Text, nullable=False),
    Column("kind", Text, nullable=False),
    _int("tick_units"),
    _int("tick_decimals", SmallInteger),
    _int("lot_units"),
    _int("lot_decimals", SmallInteger),
    Column("status", Text, nullable=False),
    _int("onboard_ms"),
    _int("delivery_ms"),
    UniqueConstraint("venue", "symbol", "version"),
)

segments = Table(
    "segments",
    metadata,
    Column("id", SerialId, primary_key=True),
    Column("venue", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("path", Text, nullable=False, unique=True),
    _int("rows"),
    _int("bytes"),
    _int("first_ms"),
    _int("last_ms"),
    _int("created_ms"),
    Column("imported", Boolean, nullable=False),
    Index(None, "venue", "kind", "first_ms"),
)

journal_files = Table(
    "journal_files",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    _int("consumed_ms"),
    _int("records"),
    _int("damaged"),
    _int("rows"),
    _int("duplicates"),
    _int("rejected"),
)

id_ranges = Table(
    "id_ranges",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("aggregate", Boolean, primary_key=True),
    _key("first_id"),
    _key("from_ms"),
    _int("last_id"),
    _int("to_ms"),
    CheckConstraint("first_id <= last_id", name="order"),
    Index(None, "venue", "to_ms"),
)

gaps = Table(
    "gaps",
    metadata,
    Column("id", SerialId, primary_key=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("stream", Text, nullable=False),
    _int("first_id"),
    _int("last_id"),
    _int("from_ms"),
    _int("to_ms"),
    Column("cause", Text, nullable=False),
    Column("fate", Text, nullable=False),
    _int("found_ms"),
    UniqueConstraint("venue", "symbol", "stream", "first_id", "from_ms"),
    Index(None, "venue", "to_ms"),
)

candles = Table(
    "candles",
    metadata,
    _key("open_ms"),
    _instrument(),
    *_candle_columns(),
    sqlite_with_rowid=False,
)

volume_profile = Table(
    "volume_profile",
    metadata,
    _key("open_ms"),
    _instrument(),
    Column("cells", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

daily_stats = Table(
    "daily_stats",
    metadata,
    _key("day_ms"),
    _instrument(),
    Column("aggregate", Boolean, nullable=False),
    *_candle_columns(),
    sqlite_with_rowid=False,
)

liquidations = Table(
    "liquidations",
    metadata,
    _key("ts_ms"),
    _instrument(),
    Column("long", Boolean, primary_key=True),
    _key("price_e8"),
    _key("qty"),
    _key("event_ms"),
    _int("recv_ns"),
    sqlite_with_rowid=False,
)

bars = Table(
    "bars",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    _key("tf_ms"),
    _key("open_ms"),
    *(Column(name, Text, nullable=False) for name in ("open", "high", "low", "close", "volume")),
    *(Column(name, Text) for name in ("quote_volume", "buy_volume", "buy_quote_volume")),
    Column("trades", Int64),
    sqlite_with_rowid=False,
)

metrics = Table(
    "metrics",
    metadata,
    Column("venue", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    _key("ts_ms"),
    *(
        Column(name, Text)
        for name in (
            "open_interest",
            "open_interest_value",
            "top_trader_account_ratio",
            "top_trader_position_ratio",
            "account_ratio",
            "taker_volume_ratio",
        )
    ),
    sqlite_with_rowid=False,
)

minutes = Table(
    "minutes",
    metadata,
    Column("venue", Text, primary_key=True),
    _key("minute"),
    Column("figures", LargeBinary, nullable=False),
)

minute_symbols = Table(
    "minute_symbols",
    metadata,
    Column("venue", Text, primary_key=True),
    _key("since"),
    Column("symbols", Text, nullable=False),
)

layouts = Table(
    "layouts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    _int("updated_ms"),
)

settings = Table(
    "settings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

alert_rules = Table(
    "alert_rules",
    metadata,
    Column("id", Int64, primary_key=True, autoincrement=False),
    Column("revision", Int64, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    _int("created_ms"),
)

alert_episodes = Table(
    "alert_episodes",
    metadata,
    Column("key", Text, primary_key=True),
    _int("rule_id"),
    _int("revision"),
    *(Column(name, Text, nullable=False) for name in ("name", "severity", "exchange", "symbol")),
    _int("start_ms"),
    _int("fired_ms"),
    Column("value", Double, nullable=False),
    Column("price", Double),
    Column("told", Text, nullable=False),
    Column("ended_ms", Int64),
    Column("ended_by", Text),
    Column("acked_ms", Int64),
    *(Column(name, Double) for name in ("after_1m", "after_5m", "after_15m")),
    Index(None, "fired_ms"),
)

alert_outbox = Table(
    "alert_outbox",
    metadata,
    Column("key", Text, primary_key=True),
    Column("sink", Text, primary_key=True),
    _int("number"),
    _int("rule_id"),
    Column("content", Text, nullable=False),
    _int("created_ms"),
    _int("due_ms"),
    _int("attempts", Integer),
    Column("error", Text, nullable=False),
)

alert_deliveries = Table(
    "alert_deliveries",
    metadata,
    Column("key", Text, primary_key=True),
    Column("sink", Text, primary_key=True),
    _int("rule_id"),
    Column("outcome", Text, nullable=False),
    Column("content", Text, nullable=False),
    _int("attempts", Integer),
    _int("created_ms"),
    _int("done_ms"),
    Column("detail", Text, nullable=False),
    Index(None, "done_ms"),
)
