"""Named points at which the crash tests kill this process; without the variable they cost one comparison."""

from __future__ import annotations

import os
import signal

VARIABLE = "TAPEWATCH_CRASH_AT"
"""``name`` or ``name:k``: die, as by `kill -9`, the first or k-th time that the point is reached."""

_name, _, _count = os.environ.get(VARIABLE, "").partition(":")
_left = int(_count or 1) if _name else 0


def point(name: str) -> None:
    """Die here if the environment says so."""
    global _left  # noqa: PLW0603
    if _left and name == _name:
        _left -= 1
        if not _left:
            os.kill(os.getpid(), signal.SIGKILL)
