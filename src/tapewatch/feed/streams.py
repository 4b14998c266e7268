"""Counts the frames of a socket read by stream, compiled: a venue's silence is judged stream by stream.

The stream's name is read from the head of each message (`wire.Heading`) and found in a hash table. What is not plainly
data of a counted stream (an answer to a command, a stream that somebody taps, a name in another spelling) is left to
the caller.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..compiled import entry, kernel
from ..venues.scan import FAIL, PADDING, Symbols, find_symbol, index_names, skip_string
from ..venues.words import WORD, word_at
from .wire import Heading

READ_PADDING = bytes(PADDING)
"""Zeros that have to stand behind the frames of a read, so that a scan cannot leave the buffer."""

_QUOTE = ord('"')


@kernel
def _count(
    buf: NDArray[np.uint8],
    ends: NDArray[np.int64],
    first: int,
    names: Symbols,
    counts: NDArray[np.int64],
    head: np.uint64,
    length: int,
    end: int,
) -> int:
    """Count frames from number `first`; returns the first that is not plainly of a counted stream, or len(ends).

    A frame begins with the word `head`, and its name at `length`; what stands between is not looked at, since no name
    would be found behind anything else.
    """
    for k in range(first, len(ends)):
        start = ends[k - 1] if k else np.int64(0)
        if word_at(buf, start) != head:
            return k
        name = start + length
        if end == _QUOTE:
            behind = skip_string(buf, name - 1, ends[k]) - 1
            if behind == FAIL - 1:
                return k
        else:
            behind = name
            while behind < ends[k] and buf[behind] != end:
                behind += 1
        stream = find_symbol(names, buf, name, behind)
        if stream < 0:
            return k
        counts[stream] += 1
    return len(ends)


class StreamCounter:
    """Frames of some streams since they were last taken."""

    def __init__(self, names: Sequence[bytes], heading: Heading) -> None:
        word = np.uint64(int.from_bytes(heading.prefix[:WORD], "little"))
        self._heading = word, len(heading.prefix), heading.end[0]
        self._names = list(names)
        self._index = index_names(self._names)
        self._counts = np.zeros(len(self._names), np.int64)
        none = np.zeros(0, np.int64)
        self._count = entry(_count, np.zeros(0, np.uint8), none, 0, self._index, none, *self._heading)

    def count(self, buffer: bytearray, ends: array[int], first: int) -> int:
        """Count frames `buffer[ends[k-1]:ends[k]]` from `first` on; returns the first left to the caller, or len(ends).

        `buffer` goes on with `READ_PADDING` behind the last frame; `ends` is an array of 64-bit integers.
        """
        octets, marks = np.frombuffer(buffer, np.uint8), np.frombuffer(ends, np.int64)
        return int(self._count(octets, marks, first, self._index, self._counts, *self._heading))

    def take(self) -> Iterator[tuple[bytes, int]]:
        """Streams with new frames and how many; their counts begin anew."""
        for slot in np.flatnonzero(self._counts).tolist():
            yield self._names[slot], int(self._counts[slot])
            self._counts[slot] = 0
