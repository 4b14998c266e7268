"""What the state of one venue takes in memory, structure by structure: now, and when its rings have come around.

Everything that grows with time is a ring or a bounded list, so that after a day and a half nothing does. How much a
market's cells take depends on the market: they are told at the pace of what is held.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .book.ladder import PAGE
from .derivs.history import FIGURES, MINUTES
from .engine import MINUTES_KEPT, OPEN_MINUTES, SECONDS_KEPT, SPARE_INSTRUMENTS, Engine
from .flow.candles import BASE, PACKED_CLASSES, Candles
from .flow.holes import HOLE, USED
from .flow.packing import WORD
from .flow.quotes import OFI_MINUTE
from .lab.lab import MAX_STUDIED
from .model.views import CELL

OPEN_AT_MOST = OPEN_MINUTES + 1
"""Minutes whose cells are not packed yet."""
CELLS_A_MINUTE, CELLS_A_SECOND = 24, 4
"""Of one instrument with the blocks they stand in, for who has no market to look at: a generous market's mean."""
PACKED_BYTES, LOT_BYTES = 8, 8
"""Bytes of a packed cell, about."""
PAGES_OF_A_BOOK, KLINES_BYTES = 12, 30_000
STUDY_BYTES = 6 << 20


class Part(NamedTuple):
    """One structure: bytes that have been used, and bytes when it has been filled; None: not known yet."""

    name: str
    used: int
    full: int | None


def parts(engine: Engine) -> list[Part]:
    """Every structure of an engine that grows with time or with what is traded."""
    flow, ladders = engine.flow, engine.sync.ladders
    seconds, minutes = _held(flow.seconds), _held(flow.minutes)
    second_cells = int(flow.seconds.meta[0]) * CELL.itemsize
    open_cells = int(flow.minutes.meta[0]) * CELL.itemsize
    packed = int(flow.minutes.loose[PACKED_CLASSES]) * WORD
    studies = [array_bytes(study.state) for study in engine.lab.studies.values()]
    full_of_studies = max(studies, default=STUDY_BYTES) * MAX_STUDIED
    books = (len(ladders.free) - int(ladders.meta[0])) * PAGE * LOT_BYTES
    return [
        _ring("second candles", flow.seconds.ring, seconds),
        Part("second cells", second_cells, _at_pace(second_cells, seconds, len(flow.seconds.ring))),
        _ring("minute candles", flow.minutes.ring, minutes),
        Part("minute cells", open_cells, _at_pace(open_cells, min(minutes, OPEN_AT_MOST), OPEN_AT_MOST)),
        Part("packed cells", packed, _at_pace(packed, minutes - OPEN_MINUTES, len(flow.minutes.ring) - OPEN_MINUTES)),
        _ring("order flow by minute", engine.quotes.ofi, minutes),
        Part("klines of today", engine.klines.nbytes, None),
        Part("books", books, None),
        Part("gaps", int(flow.holes.meta[USED]) * HOLE.itemsize, None),
        Part("studies", sum(studies), full_of_studies),
    ]


def expected_bytes(instruments: int) -> int:
    """What the state of a venue of so many instruments takes when every ring is full, about."""
    fixed = SECONDS_KEPT * BASE.itemsize + MINUTES_KEPT * (BASE.itemsize + OFI_MINUTE.itemsize)
    compared = len(FIGURES) * MINUTES * np.dtype(np.float32).itemsize
    cells = (SECONDS_KEPT * CELLS_A_SECOND // 2 + OPEN_AT_MOST * CELLS_A_MINUTE) * CELL.itemsize
    packed = (MINUTES_KEPT - OPEN_MINUTES) * CELLS_A_MINUTE * PACKED_BYTES
    books = PAGES_OF_A_BOOK * PAGE * LOT_BYTES
    each = compared + cells + packed + books + KLINES_BYTES
    return fixed * (instruments + SPARE_INSTRUMENTS) + each * instruments + 2 * STUDY_BYTES


def array_bytes(nested: Iterable[Any]) -> int:
    """Bytes of the arrays in nested tuples."""
    return sum(part.nbytes if isinstance(part, np.ndarray) else array_bytes(part) for part in nested)


def _held(store: Candles) -> int:
    """Slots of the ring that have been used."""
    traded = store.newest >= 0
    if not traded.any():
        return 0
    newest = int(store.newest.max())
    return min(len(store.ring), newest - min(int(store.oldest[traded].min()), newest) + 1)


def _ring(name: str, ring: np.ndarray[Any, Any], held: int) -> Part:
    return Part(name, ring.nbytes * held // len(ring), ring.nbytes)


def _at_pace(used: int, held: int, at_most: int) -> int | None:
    """Bytes of `at_most` steps where `held` of them took `used`."""
    return None if held < 1 else used * at_most // held
