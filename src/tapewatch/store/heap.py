"""How the sealer stays small: for a second every few minutes it needs half a gigabyte, and then nothing of it."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

OWN_MEMORY_BYTES = 256 << 10
"""Arrays from this size on are given memory of their own, which goes back when they do."""

ENVIRONMENT = {
    "MALLOC_MMAP_THRESHOLD_": str(OWN_MEMORY_BYTES),
    "PYTHONMALLOC": "malloc",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What glibc, Python and Arrow read when a process starts, so that all it frees lies in one heap that gives back.

Left to themselves glibc raises its threshold to the largest array it has seen freed and keeps all others between what
is not free, Python's pools stay for one object in each, and Arrow keeps a heap a thread: 60 to 220 MB more.
"""

_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None
_trim: Any = getattr(_libc, "malloc_trim", None)


def give_back() -> None:
    """Return what the heap holds free to the system, where that is glibc; others do it by themselves or not at all."""
    if _trim is not None:
        _trim(0)
