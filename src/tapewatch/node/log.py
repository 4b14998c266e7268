"""One line a log record: time, level, where, event and its key=value fields."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

QUIET = ("uvicorn.access", "uvicorn.error", "numba", "asyncio", "alembic")
"""Loggers whose informational lines say nothing about the market."""


class LineFormatter(logging.Formatter):
    """``2026-11-21T05:02:11.123Z info feed.binance_usdm socket_open shard=3``."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
        place = record.name.removeprefix("tapewatch.")
        line = f"{stamp}Z {record.levelname.lower()} {place} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line.replace("\r", "\\r")


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every log record of the process to one stream in one shape."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
