"""A day of minutes of basis, premium, funding rate and open interest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the two tables."""
    op.create_table(
        "minutes",
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("minute", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("figures", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("venue", "minute", name="pk_minutes"),
    )
    op.create_table(
        "minute_symbols",
        sa.Column("venue", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("symbols", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("venue", "since", name="pk_minute_symbols"),
    )
