"""Every error tapewatch raises on purpose.

Each carries one sentence for the person who reads it (`str(error)`); the class says who is at fault and so
which exit code or HTTP status follows.
"""

from __future__ import annotations

from decimal import Decimal


class TapewatchError(Exception):
    """Base of all errors with a sentence meant for the user."""


class UsageError(TapewatchError):
    """The caller asked for something that cannot be: exit code 2, HTTP 4xx."""


class NotFoundError(UsageError):
    """The caller named an instrument, venue or resource we do not have: HTTP 404."""


class ConfigError(UsageError):
    """A configuration key is unknown or its value is out of range."""


class VenueError(TapewatchError):
    """A venue could not be reached, refused us, or answered nonsense."""


class FrameError(TapewatchError):
    """A frame is not what the venue's protocol promises; `reason` is a short counter name."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class OffGridError(FrameError):
    """A price or quantity lies between two increments: the venue's grid was coarser in the past, or is finer now."""

    def __init__(self, what: str, value: Decimal, increment: Decimal) -> None:
        super().__init__("off_grid", f"{what} {value} is not a multiple of {increment}")
        self.what = what
        self.value = value
        self.symbol = ""


class NotReadyError(TapewatchError):
    """The answer exists but not right now (a book is resynchronising): HTTP 503 with Retry-After."""
