"""The binary frame of the stream: a JSON header and numpy columns that a browser reads without parsing a number.

    u32 H, little endian | header: H bytes of JSON, padded with spaces | columns

4 + H is a multiple of 8 and every column begins at a multiple of 8 from the start of the frame, so that a typed array
can lie directly on the received buffer. The header says where each column is:
``"cols":[{"name":"buy_10s","dtype":"f8","at":128,"n":600}, …]``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.errors import FrameError

Column = tuple[str, NDArray[Any]]

_LENGTH = struct.Struct("<I")
_ALIGN = 8
_DTYPES: dict[str, np.dtype[Any]] = {
    "f8": np.dtype("<f8"),
    "i4": np.dtype("<i4"),
    "u2": np.dtype("<u2"),
    "u1": np.dtype("u1"),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class _Col(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    at: int
    n: int


class _Cols(msgspec.Struct, frozen=True):
    cols: list[_Col]


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame; the columns are read-only views of its bytes."""

    header: dict[str, Any]
    columns: dict[str, NDArray[Any]]


def encode(header: Mapping[str, Any], columns: Sequence[Column]) -> bytes:
    """Build a frame. Columns must be one-dimensional and of a dtype the wire has: f8, i4, u2, u1."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    cols: list[_Col] = []
    at = 0
    for name, values in columns:
        if values.ndim != 1 or values.dtype not in _NAMES:
            raise TypeError(f"column {name} cannot be sent: {values.dtype}, {values.ndim} dimensions")
        cols.append(_Col(name, _NAMES[values.dtype], at, len(values)))
        at += _aligned(values.nbytes)
    # Where columns begin depends on the header's length, which depends on how many digits say where they begin.
    base = _ALIGN
    while True:
        placed = [msgspec.structs.replace(col, at=base + col.at) for col in cols]
        text = encoder.encode({**header, "cols": placed})
        needed = _aligned(_LENGTH.size + len(text))
        if needed <= base:
            break
        base = needed
    frame = bytearray(base + at)
    _LENGTH.pack_into(frame, 0, base - _LENGTH.size)
    frame[_LENGTH.size : base] = text.ljust(base - _LENGTH.size)
    for col, (_, values) in zip(placed, columns, strict=True):
        frame[col.at : col.at + values.nbytes] = values.tobytes()
    return bytes(frame)


def decode(frame: bytes) -> Frame:
    """Read a frame; raises `FrameError` when it is not one."""
    if len(frame) < _ALIGN:
        raise FrameError("bad_frame", f"{len(frame)} bytes are too short for a frame")
    base = _LENGTH.size + _LENGTH.unpack_from(frame)[0]
    if base > len(frame) or base % _ALIGN:
        raise FrameError("bad_frame", f"a header of {base - _LENGTH.size} bytes does not fit the frame")
    try:
        text = frame[_LENGTH.size : base]
        header = msgspec.json.decode(text, type=dict[str, Any])
        cols = msgspec.json.decode(text, type=_Cols).cols
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError("bad_frame", f"the header cannot be read: {error}") from error
    return Frame(header, {col.name: _column(frame, base, col) for col in cols})


def _column(frame: bytes, base: int, col: _Col) -> NDArray[Any]:
    dtype = _DTYPES.get(col.dtype)
    if dtype is None:
        raise FrameError("bad_frame", f"column {col.name} has the unknown dtype {col.dtype}")
    inside = base <= col.at and 0 <= col.n <= (len(frame) - col.at) // dtype.itemsize
    if not inside or col.at % _ALIGN:
        raise FrameError("bad_frame", f"column {col.name} does not lie within the frame")
    return np.frombuffer(frame, dtype, col.n, col.at)


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN
