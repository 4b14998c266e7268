"""Alerts: revisions of rules, what fired, and messages on their way and delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, autoincrement=False, nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "alert_rules",
        _int("id"),
        _int("revision"),
        _text("content"),
        sa.Column("deleted", sa.Boolean, nullable=False),
        _int("created_ms"),
        sa.PrimaryKeyConstraint("id", "revision", name="pk_alert_rules"),
    )
    op.create_table(
        "alert_episodes",
        _text("key"),
        _int("rule_id"),
        _int("revision"),
        *map(_text, ("name", "severity", "exchange", "symbol")),
        _int("start_ms"),
        _int("fired_ms"),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("price", sa.Double),
        _text("told"),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("ended_by", sa.Text),
        sa.Column("acked_ms", sa.BigInteger),
        *(sa.Column(name, sa.Double) for name in ("after_1m", "after_5m", "after_15m")),
        sa.PrimaryKeyConstraint("key", name="pk_alert_episodes"),
    )
    op.create_index("ix_alert_episodes_fired_ms", "alert_episodes", ["fired_ms"])
    op.create_table(
        "alert_outbox",
        _text("key"),
        _text("sink"),
        _int("number"),
        _int("rule_id"),
        _text("content"),
        _int("created_ms"),
        _int("due_ms"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _text("error"),
        sa.PrimaryKeyConstraint("key", "sink", name="pk_alert_outbox"),
    )
    op.create_table(
        "alert_deliveries",
        _text("key"),
        _text("sink"),
        _int("rule_id"),
        _text("outcome"),
        _text("content"),
        sa.Column("attempts", sa.Integer, nullable=False),
        _int("created_ms"),
        _int("done_ms"),
        _text("detail"),
        sa.PrimaryKeyConstraint("key", "sink", name="pk_alert_deliveries"),
    )
    op.create_index("ix_alert_deliveries_done_ms", "alert_deliveries", ["done_ms"])
