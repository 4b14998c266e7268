"""How much has arrived on a socket that we have not read: lateness of ours, which says nothing about the venue."""

from __future__ import annotations

import struct

try:
    import fcntl
    import termios
except ImportError:  # Windows: there nothing is known to wait, and only a late event loop counts as lateness of ours
    fcntl = None  # type: ignore[assignment]

_COUNT = struct.Struct("i")


def unread_bytes(fd: int) -> int:
    """Bytes in the kernel's receive buffer of an open socket (encrypted ones, where TLS lies over it)."""
    if fcntl is None:
        return 0
    answer = fcntl.ioctl(fd, termios.FIONREAD, _COUNT.pack(0))
    return int(_COUNT.unpack(answer)[0])
