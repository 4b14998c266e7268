"""The first catalog. Frozen: later changes are later migrations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_CANDLE = (
    "open",
    "high",
    "low",
    "close",
    "open_id",
    "close_id",
    "bid",
    "ask",
    "bid_quote",
    "ask_quote",
    "n",
    "excluded",
)


def _big(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _instrument(table: str) -> tuple[sa.Column[int], sa.ForeignKeyConstraint]:
    column = sa.Column("instrument_id", sa.BigInteger, autoincrement=False, nullable=False)
    return column, sa.ForeignKeyConstraint(["instrument_id"], ["instruments.id"], f"fk_{table}_instrument_id")


def _by_time(table: str, time: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column(time, sa.BigInteger, autoincrement=False, nullable=False),
        *_instrument(table),
        *columns,
        sa.PrimaryKeyConstraint(time, "instrument_id", name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )


def upgrade() -> None:
    """Create all tables and the view."""
    op.create_table(
        "instruments",
        sa.Column("id", _SERIAL, nullable=False),
        *_text("venue", "symbol"),
        sa.Column("version", sa.Integer, nullable=False),
        *_big("since_ms"),
        *_text("base", "quote", "kind"),
        *_big("tick_units"),
        sa.Column("tick_decimals", sa.SmallInteger, nullable=False),
        *_big("lot_units"),
        sa.Column("lot_decimals", sa.SmallInteger, nullable=False),
        *_text("status"),
        *_big("onboard_ms", "delivery_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_instruments"),
        sa.UniqueConstraint("venue", "symbol", "version", name="uq_instruments_venue_symbol_version"),
    )
    op.create_table(
        "segments",
        sa.Column("id", _SERIAL, nullable=False),
        *_text("venue", "kind", "path"),
        *_big("rows", "bytes", "first_ms", "last_ms", "created_ms"),
        sa.Column("imported", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_segments"),
        sa.UniqueConstraint("path", name="uq_segments_path"),
    )
    op.create_index("ix_segments_venue_kind_first_ms", "segments", ["venue", "kind", "first_ms"])
    op.create_table(
        "journal_files",
        *_text("venue", "name"),
        *_big("consumed_ms", "records", "damaged", "rows", "duplicates", "rejected"),
        sa.PrimaryKeyConstraint("venue", "name", name="pk_journal_files"),
    )
    op.create_table(
        "id_ranges",
        *_text("venue", "symbol"),
        sa.Column("aggregate", sa.Boolean, nullable=False),
        *_big("first_id", "from_ms", "last_id", "to_ms"),
        sa.PrimaryKeyConstraint("venue", "symbol", "aggregate", "first_id", "from_ms", name="pk_id_ranges"),
        sa.CheckConstraint("first_id <= last_id", name=op.f("ck_id_ranges_order")),
    )
    op.create_index("ix_id_ranges_venue_to_ms", "id_ranges", ["venue", "to_ms"])
    op.create_table(
        "gaps",
        sa.Column("id", _SERIAL, nullable=False),
        *_text("venue", "symbol", "stream"),
        *_big("first_id", "last_id", "from_ms", "to_ms"),
        *_text("cause", "fate"),
        *_big("found_ms"),
        sa.PrimaryKeyConstraint("id", name="pk_gaps"),
        sa.UniqueConstraint(
            "venue", "symbol", "stream", "first_id", "from_ms", name="uq_gaps_venue_symbol_stream_first_id_from_ms"
        ),
    )
    op.create_index("ix_gaps_venue_to_ms", "gaps", ["venue", "to_ms"])
    _by_time("candles", "open_ms", *_big(*_CANDLE))
    _by_time("volume_profile", "open_ms", sa.Column("cells", sa.LargeBinary, nullable=False))
    _by_time("daily_stats", "day_ms", sa.Column("aggregate", sa.Boolean, nullable=False), *_big(*_CANDLE))
    op.create_table(
        "liquidations",
        *_big("ts_ms"),
        *_instrument("liquidations"),
        sa.Column("long", sa.Boolean, nullable=False),
        *_big("price_e8", "qty", "event_ms", "recv_ns"),
        sa.PrimaryKeyConstraint(
            "ts_ms", "instrument_id", "long", "price_e8", "qty", "event_ms", name="pk_liquidations"
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "layouts",
        *_text("name", "content"),
        *_big("updated_ms"),
        sa.PrimaryKeyConstraint("name", name="pk_layouts"),
    )
    op.create_table("settings", *_text("key", "value"), sa.PrimaryKeyConstraint("key", name="pk_settings"))
    op.execute(
        """
        CREATE VIEW order_imbalances AS
        SELECT open_ms, instrument_id, bid, ask,
               CASE WHEN bid + ask = 0 THEN 0.0 ELSE CAST(ask - bid AS DOUBLE PRECISION) / (bid + ask) END AS imbalance
        FROM candles
        """
    )
