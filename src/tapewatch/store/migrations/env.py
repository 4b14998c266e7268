"""Run by Alembic inside `store.catalog.migrate`, on the connection and in the transaction that it was given."""

from __future__ import annotations

from alembic import context

from tapewatch.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
