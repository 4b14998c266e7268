"""The run of frames through a general decoder: each becomes rows, control messages or a rejection, whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..model.errors import FrameError, OffGridError
from ..model.instrument import Universe
from .batch import Decoded, Integers, Rejected, Rows


class GeneralCodec(ABC):
    """A codec without compiled help. Its product says in `_read` what one frame means."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self._memory: tuple[dict[str, Any], ...] = ()
        """What a product's decoder keeps from frame to frame. Its values are replaced, never changed."""

    def go_on_from(self, before: GeneralCodec) -> None:
        """Know what another codec of this product knew, behind whose last frame the next one comes."""
        for kept, was in zip(self._memory, before._memory, strict=True):
            kept.update(was)

    @abstractmethod
    def _read(self, frame: memoryview, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        """Append what a frame says; raise `FrameError` before anything of the codec's own state has changed."""

    def decode(self, buffer: bytes | bytearray, ends: Integers, recv_ns: int | Integers) -> Decoded:
        """Decode the websocket messages `buffer[ends[k-1]:ends[k]]`, received at `recv_ns` (one or one each).

        A frame that cannot be read is set aside whole with its reason and changes nothing. Where one lies off its
        instrument's grid the caller comes again with all of them: nothing is kept then.
        """
        before = [dict(kept) for kept in self._memory]
        rows = Rows()
        decoded = Decoded(rows.tape(), frames=len(ends))
        view = memoryview(buffer)
        start = 0
        for k, end in enumerate(ends):
            received = recv_ns if isinstance(recv_ns, int) else int(recv_ns[k])
            self._frame(view[start : int(end)], k, received, rows, decoded)
            start = int(end)
        decoded.tape = rows.tape()
        if decoded.off_grid:
            for kept, was in zip(self._memory, before, strict=True):
                kept.clear()
                kept.update(was)
        return decoded

    def _frame(self, frame: memoryview, k: int, recv_ns: int, rows: Rows, decoded: Decoded) -> None:
        rows_kept, levels_kept = len(rows.rows), len(rows.levels)
        control_kept, foreign = len(decoded.control), decoded.foreign
        try:
            self._read(frame, recv_ns, rows, decoded)
        except FrameError as error:
            del rows.rows[rows_kept:], rows.levels[levels_kept:], decoded.control[control_kept:]
            decoded.foreign = foreign
            if isinstance(error, OffGridError):
                # Its traceback would keep our view of the caller's buffer alive, and so forbid reusing the buffer.
                decoded.off_grid.append(error.with_traceback(None))
            decoded.rejected.append(Rejected(error.reason, str(error), bytes(frame), k, rows_kept))
