"""No frame, however truncated or hostile, makes the compiled decoder read past the padding behind it.

The frame and its padding end where a page of memory begins that may not be read: one byte further, and the operating
system ends the process. So this runs in a process of its own (`python test_frame_bounds.py`).
"""

from __future__ import annotations

import ctypes
import mmap
import signal
import subprocess
import sys
from array import array
from typing import cast

import numpy as np
import pytest

from tapewatch.feed.binance_usdm import DIALECT
from tapewatch.feed.streams import StreamCounter
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.node.warm import FRAMES, NOW_MS
from tapewatch.venues.binance_usdm_codec import Codec
from tapewatch.venues.scan import PADDING, skip_string

ROOM = 4 * mmap.PAGESIZE
ENDINGS = (
    b"",
    b"9",
    b'"',
    b"\\",
    b"0" * 20,
    b"9" * 20,
    b",",
    b'["',
    b"\xf0",
    b"\xe1\x80",
    b"tru",
    b'{"stream":"',
    b'"x":"',
)
"""What may stand where a frame was cut off: whatever makes a scan go on."""


class Guarded:
    """Memory that ends at a page that must not be touched."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, ROOM + mmap.PAGESIZE)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        no_access = 0
        if libc.mprotect(ctypes.c_void_p(self._address + ROOM), mmap.PAGESIZE, no_access):
            raise OSError(ctypes.get_errno(), "mprotect")

    def holding(self, data: bytes) -> bytearray:
        """The last bytes before the guard, set to `data`: a view that is as good as the feed's own buffer."""
        view = memoryview(self._map)[ROOM - len(data) : ROOM]
        view[:] = data
        return cast("bytearray", view)


def _decode_everything() -> None:
    grid = Grid.parse("0.1"), Grid.parse("1")
    universe = Universe("binance", [Instrument(0, "binance", "WUSDT", "W", "USDT", "perp", *grid)])
    guarded, codec, counter = Guarded(), Codec(universe), StreamCounter([b"wusdt@aggTrade"], DIALECT.wire.heading)
    for frame in FRAMES:
        for length in range(len(frame) + 1):
            for ending in ENDINGS:
                cut = frame[:length] + ending
                buffer = guarded.holding(cut + bytes(PADDING))
                codec.decode(buffer, array("q", [len(cut)]), NOW_MS * 1_000_000)
                counter.count(buffer, array("q", [len(cut)]), 0)


def _read_too_far() -> None:
    unpadded = Guarded().holding(b'"' + b"x" * 15)
    skip_string(np.frombuffer(unpadded, np.uint8), 0, 10_000)


def _run(what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, __file__, what], capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded with Linux's mprotect")
def test_no_frame_is_read_past_its_padding() -> None:
    done = _run("frames")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded with Linux's mprotect")
def test_the_guard_ends_whoever_reads_too_far() -> None:
    assert _run("too far").returncode == -signal.SIGSEGV


if __name__ == "__main__":
    {"frames": _decode_everything, "too far": _read_too_far}[sys.argv[1]]()
