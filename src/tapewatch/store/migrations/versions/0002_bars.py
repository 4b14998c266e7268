"""Candles and open interest that others drew: klines, metrics and OHLC that were imported."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "bars",
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("tf_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("open_ms", sa.BigInteger, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("open", "high", "low", "close", "volume")),
        *(sa.Column(name, sa.Text) for name in ("quote_volume", "buy_volume", "buy_quote_volume")),
        sa.Column("trades", sa.BigInteger),
        sa.PrimaryKeyConstraint("venue", "symbol", "tf_ms", "open_ms", name="pk_bars"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metrics",
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("ts_ms", sa.BigInteger, autoincrement=False, nullable=False),
        *(
            sa.Column(name, sa.Text)
            for name in (
                "open_interest",
                "open_interest_value",
                "top_trader_account_ratio",
                "top_trader_position_ratio",
                "account_ratio",
                "taker_volume_ratio",
            )
        ),
        sa.PrimaryKeyConstraint("venue", "symbol", "ts_ms", name="pk_metrics"),
        sqlite_with_rowid=False,
    )
