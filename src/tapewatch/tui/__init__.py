"""The terminal dashboard: six panels of a running server's API and stream (docs/tui.md)."""

from __future__ import annotations

from .run import open_dashboard, print_once

__all__ = ["open_dashboard", "print_once"]
