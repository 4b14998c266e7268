"""Sealed segments and the SQL catalog: what is kept, written once and read back exactly. See docs/storage.md."""
