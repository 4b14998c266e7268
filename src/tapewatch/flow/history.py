"""Trades in bulk to one-minute candles with tick-level footprints: days at once instead of a print at a time.

The result is the store that live trades fill (`candles`), cell for cell, so that every timeframe, bin and window of it
is the same view. The road is shorter: rows come in order of id, so a minute's cells are added up in a window of ticks
around its first price and written out once, sorted, when the minute is over. A price outside the window, or a step back
in time, only ends the run early; runs of one minute are merged at the end. Parts of a file can therefore be added up
at the same time by different threads, each with its own `Adder`, into the same `Cells`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import entry, kernel, leaf
from ..model.instrument import Instrument
from ..model.tape import ROW, Flag
from ..model.views import CELL, Footprint
from .candles import BASE, MINUTE_MS, NO_BLOCK, SECOND_MS, Candles, mark_gap, new_candles
from .footprint import footprint

WINDOW = 1 << 14
"""Ticks in the window, half a megabyte: a calm minute of any instrument, in a processor's cache."""
DAY_MINUTES = 1440
FIRST_RUNS, FIRST_CELLS, FIRST_HOLES = 1 << 10, 1 << 16, 1 << 6

DONE, SKIP, MORE_RUNS, MORE_CELLS, MORE_HOLES, DISORDER = range(6)

_SELL = int(Flag.SELL)

HOLE = np.dtype([("first", np.int64), ("last", np.int64), ("from_ms", np.int64), ("to_ms", np.int64)])
"""Ids that are missing between two trades, and the times of these."""

ACCOUNT = np.dtype(
    [
        ("runs", np.int64),
        ("cells", np.int64),
        ("base", np.int64),
        ("from_ms", np.int64),
        ("to_ms", np.int64),
        ("trades", np.int64),
        ("first_id", np.int64),
        ("first_ms", np.int64),
        ("last_id", np.int64),
        ("last_ms", np.int64),
        ("duplicates", np.int64),
        ("holes", np.int64),
    ]
)
"""How far an adder is: used runs, cells and holes; the tick its window begins at and the minute that is open; trades
taken, and the ends of their id chain (`last_ms` is the newest time so far)."""


class Work(NamedTuple):
    """`runs` of trades of one minute, their sorted `cells`, the `window` of the open one (zeros elsewhere)."""

    runs: NDArray[np.void]
    cells: NDArray[np.void]
    holes: NDArray[np.void]
    window: NDArray[np.void]
    account: NDArray[np.void]


class Open(NamedTuple):
    """What every print of the open run is compared with or changes beside its cell.

    Values and not an array: a loop keeps them in registers. All else a run tells is in its cells when it ends.
    """

    base: int
    from_ms: int
    to_ms: int
    low: int
    high: int
    close: int
    last_id: int
    last_ms: int


@leaf
def opened(w: Work) -> Open:
    """The run that is open, to be given back with `put_away`."""
    a = w.account[0]
    run = w.runs[a.runs]
    return Open(a.base, a.from_ms, a.to_ms, run.low, run.high, run.close, a.last_id, a.last_ms)


@leaf
def put_away(w: Work, o: Open) -> None:
    a = w.account[0]
    run = w.runs[a.runs]
    run.low, run.high, run.close, run.close_id = o.low, o.high, o.close, o.last_id
    a.last_id, a.last_ms = o.last_id, o.last_ms


@leaf
def goes_on(o: Open, number: int, ts_ms: int, price: int) -> bool:
    """Whether a trade is the next one and falls into the open run; else `turn_to` has to be called before `add`."""
    return number - o.last_id == 1 and o.from_ms <= ts_ms < o.to_ms and 0 <= price - o.base < WINDOW


@leaf
def add(w: Work, o: Open, number: int, ts_ms: int, price: int, lots: int, sell: bool) -> Open:
    """Put a trade into its cell."""
    cell = w.window[np.uint64(price - o.base)]
    sold = lots if sell else 0  # sides are as good as random: no branch to mispredict
    cell.bid += sold
    cell.ask += lots - sold
    cell.n += 1
    last_ms = max(o.last_ms, ts_ms)
    return Open(o.base, o.from_ms, o.to_ms, min(o.low, price), max(o.high, price), price, number, last_ms)


@kernel
def turn_to(w: Work, number: int, ts_ms: int, price: int) -> int:
    """Make ready for a trade that does not go on: a hole is noted, another run is opened.

    DONE when it can be added now. SKIP when it repeats the one before; anything else says why it cannot be taken.
    """
    a = w.account[0]
    ahead = number - a.last_id
    if a.to_ms and ahead < 0:
        return DISORDER
    if a.to_ms and ahead == 0:
        a.duplicates += 1
        return SKIP
    if a.holes == len(w.holes):
        return MORE_HOLES
    if a.runs + 1 >= len(w.runs):
        return MORE_RUNS
    if a.cells + 2 * WINDOW > len(w.cells):  # the run that ends here and, whenever that is, the one it begins
        return MORE_CELLS
    if a.to_ms and ahead > 1:
        hole = w.holes[a.holes]
        hole.first, hole.last, hole.from_ms, hole.to_ms = a.last_id + 1, number - 1, a.last_ms, ts_ms
        a.holes += 1
    if not (a.from_ms <= ts_ms < a.to_ms and 0 <= price - a.base < WINDOW):
        _close_run(w)
        _open_run(w, number, ts_ms, price)
    return DONE


@kernel
def _add(rows: NDArray[np.void], start: int, n: int, w: Work) -> tuple[int, int]:
    """Add rows[start:n], in order of id; returns (status, row). That row has not been added unless all is DONE."""
    status, r, o = DONE, start, opened(w)
    while r < n:
        row = rows[r]
        if not goes_on(o, row.id, row.ts_ms, row.price):
            put_away(w, o)
            status = turn_to(w, row.id, row.ts_ms, row.price)
            o = opened(w)
            if status > SKIP:
                break
        if status == DONE:
            o = add(w, o, row.id, row.ts_ms, row.price, row.qty, (row.flags & _SELL) != 0)
        status = DONE
        r += 1
    put_away(w, o)
    return status, r


@leaf
def _open_run(w: Work, number: int, ts_ms: int, price: int) -> None:
    a = w.account[0]
    if a.runs == 0:
        a.first_id, a.first_ms = number, ts_ms
    minute = ts_ms // MINUTE_MS
    a.from_ms = minute * MINUTE_MS
    a.to_ms = a.from_ms + MINUTE_MS
    a.base = max(0, price - WINDOW // 2)
    run = w.runs[a.runs]
    run.number = minute
    run.open = run.high = run.low = run.close = price
    run.open_id = run.close_id = number
    run.bid = run.ask = run.bid_quote = run.ask_quote = 0
    run.n = 0
    run.gap = 0
    run.cell_at = a.cells
    run.cells = 0
    run.size_class = NO_BLOCK


@kernel
def _close_run(w: Work) -> None:
    """Write the window's cells behind the others, lowest price first, add them up, and clear the window."""
    a = w.account[0]
    if a.to_ms == 0:
        return
    run = w.runs[a.runs]
    for at in range(run.low - a.base, run.high - a.base + 1):
        held = w.window[at]
        if held.n == 0:
            continue
        price = a.base + at
        cell = w.cells[a.cells]
        cell.price = price
        cell.bid, cell.ask, cell.n = held.bid, held.ask, held.n
        run.bid += held.bid
        run.ask += held.ask
        run.bid_quote += price * held.bid
        run.ask_quote += price * held.ask
        run.n += held.n
        held.bid = held.ask = held.n = 0
        a.cells += 1
    run.cells = a.cells - run.cell_at
    a.trades += run.n
    a.runs += 1
    a.to_ms = 0


def _plain(records: NDArray[np.void]) -> NDArray[np.void]:
    """The same memory without fields: numpy copies such records whole, and others field by field."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def _joined(arrays: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """A copy of records of one kind, one array behind the other."""
    return np.concatenate([_plain(array) for array in arrays]).view(arrays[0].dtype)


def _picked(records: NDArray[np.void], at: NDArray[np.int64]) -> NDArray[np.void]:
    """A copy of some records, in this order."""
    return _plain(records)[at].view(records.dtype)


class Cells:
    """The cells of all parts in one array, in whatever order they come; threads put theirs there themselves.

    What has not been filled has never been touched and costs nothing. To move what each had gathered into one array in
    the end took up to a third as long as reading it all: the first touch of memory is what is slow.
    """

    def __init__(self, expected: int, turn: AbstractContextManager[object]) -> None:
        """Where several threads put cells, `turn` lets one of them in at a time."""
        self._held = np.empty(max(expected, FIRST_CELLS), CELL)
        self._used = 0
        self._turn = turn

    def put(self, cells: NDArray[np.void]) -> int:
        """Keep a copy of these; returns where it begins."""
        with self._turn:
            at, end = self._used, self._used + len(cells)
            if end > len(self._held):
                wider = np.empty(2 * end, CELL)
                _plain(wider)[:at] = _plain(self._held)[:at]
                self._held = wider
            _plain(self._held)[at:end] = _plain(cells)
            self._used = end
            return at

    @property
    def all(self) -> NDArray[np.void]:
        return self._held[: self._used]


@dataclass(slots=True)
class Part:
    """What one adder added up: runs, whose cells are among `Cells`, holes, and its account."""

    runs: NDArray[np.void]
    holes: NDArray[np.void]
    account: NDArray[np.void]

    @property
    def trades(self) -> int:
        return int(self.account["trades"])


class Adder:
    """Adds trades of one instrument up, in order of id. Its arrays grow and are used again for the next part."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self.work = Work(
            np.zeros(FIRST_RUNS, BASE),
            np.zeros(FIRST_CELLS, CELL),
            np.zeros(FIRST_HOLES, HOLE),
            np.zeros(WINDOW, CELL),
            np.zeros(1, ACCOUNT),
        )
        """What `add` changes, for whoever calls it for each trade."""
        self._add = entry(_add, np.zeros(0, ROW), 0, 0, self.work)
        self._close_run = entry(_close_run, self.work)

    def add(self, rows: NDArray[np.void], n: int) -> bool:
        """Add the first `n` TRADE rows; False, with the part so far of no use, where ids go back."""
        at = 0
        while True:
            status, at = self._add(rows, at, n, self.work)
            if status in (DONE, DISORDER):
                return bool(status == DONE)
            self.grow(status)

    def grow(self, status: int) -> None:
        """Make the room that `status` asks for."""
        name = {MORE_RUNS: "runs", MORE_CELLS: "cells", MORE_HOLES: "holes"}[status]
        held = getattr(self.work, name)
        wider = np.zeros(2 * len(held), held.dtype)
        _plain(wider)[: len(held)] = _plain(held)
        self.work = self.work._replace(**{name: wider})

    def part(self) -> Part:
        """What has been added since the last call."""
        self._close_run(self.work)
        account = self.work.account[0].copy()
        self.work.account[:] = 0
        runs = _joined([self.work.runs[: account["runs"]]])
        runs["cell_at"] += self._cells.put(self.work.cells[: account["cells"]])
        return Part(runs, _joined([self.work.holes[: account["holes"]]]), account)


@dataclass(slots=True)
class History:
    """All one-minute candles of one instrument, whatever time they span, and what its id chain lacks."""

    instrument: Instrument
    minutes: Candles
    trades: int
    duplicates: int
    holes: NDArray[np.void]
    """`HOLE` rows: ids that are missing, in order."""
    first_ms: int
    last_ms: int

    @property
    def missing(self) -> int:
        """Ids in the holes."""
        return int((self.holes["last"] - self.holes["first"] + 1).sum())

    def footprint(self, tf_ms: int, step_ticks: int, lookback: int | None = None) -> Footprint:
        """The last `lookback` candles, all when None, of whole minutes each; see `flow.footprint`."""
        seconds = new_candles(1, SECOND_MS, 1, 1)
        alone = replace(self.instrument, index=0)
        view = footprint(seconds, self.minutes, alone, tf_ms, step_ticks, lookback or len(self.minutes.ring))
        view.instrument = self.instrument
        return view


def continues(parts: Sequence[Part]) -> bool:
    """Whether the ids of the parts rise from one to the next."""
    chain = [part.account for part in parts if part.trades]
    return all(one["last_id"] < other["first_id"] for one, other in pairwise(chain))


def history(instrument: Instrument, parts: Sequence[Part], cells: Cells) -> History:
    """Join parts whose ids rise from one to the next, and whose cells are these."""
    parts = [part for part in parts if part.trades]
    runs = _merge_runs(_joined([np.zeros(0, BASE), *(part.runs for part in parts)]), cells)
    holes = _joined([np.zeros(0, HOLE), *(part.holes for part in parts), _holes_between(parts)])
    holes = holes[np.argsort(holes["first"])]
    store = _store(runs, cells.all)
    for hole in holes:
        mark_gap(store, 0, int(hole["from_ms"]), int(hole["to_ms"]), 1)
    return History(
        instrument=instrument,
        minutes=store,
        trades=sum(part.trades for part in parts),
        duplicates=sum(int(part.account["duplicates"]) for part in parts),
        holes=holes,
        first_ms=min((int(part.account["first_ms"]) for part in parts), default=0),
        last_ms=max((int(part.account["last_ms"]) for part in parts), default=0),
    )


def _holes_between(parts: Sequence[Part]) -> NDArray[np.void]:
    chain = np.array([part.account for part in parts], ACCOUNT)
    one, other = chain[:-1], chain[1:]
    holes = np.zeros(len(one), HOLE)
    holes["first"], holes["last"] = one["last_id"] + 1, other["first_id"] - 1
    holes["from_ms"], holes["to_ms"] = one["last_ms"], other["first_ms"]
    return holes[holes["first"] <= holes["last"]]


def _store(runs: NDArray[np.void], cells: NDArray[np.void]) -> Candles:
    """The store of candles that `runs`, one a minute in order of time, and their cells are.

    It reaches back to 00:00 UTC, so that the first candle of any timeframe is known to be whole.
    """
    span = int(runs["number"][-1] - runs["number"][0] // DAY_MINUTES * DAY_MINUTES) + 1 if len(runs) else 1
    slots = 1 << (span - 1).bit_length()
    store = new_candles(1, MINUTE_MS, slots, 1)
    if len(runs):
        _plain(store.ring)[runs["number"] & (slots - 1), 0] = _plain(runs)
        store.newest[0], store.oldest[0] = runs["number"][-1], runs["number"][0]
    store.meta[0] = len(cells)
    return store._replace(cells=cells)


def _merge_runs(runs: NDArray[np.void], cells: Cells) -> NDArray[np.void]:
    """Runs in order of time, one a minute; the cells of those made of several are put behind all others."""
    runs = _picked(runs, np.argsort(runs["number"], kind="stable"))
    first = np.flatnonzero(np.diff(runs["number"], prepend=-1))
    counts = np.diff(first, append=len(runs))
    many = np.flatnonzero(counts > 1)
    out = _picked(runs, first)
    if not len(many):
        return out
    pieces = np.flatnonzero(np.repeat(counts > 1, counts))
    pieces = pieces[np.lexsort((runs["open_id"][pieces], runs["number"][pieces]))]
    part = _picked(runs, pieces)
    starts = np.cumsum([0, *counts[many][:-1]])
    last = np.cumsum(counts[many]) - 1
    merged = out[many]
    for name in ("bid", "ask", "bid_quote", "ask_quote", "n"):
        merged[name] = np.add.reduceat(part[name], starts)
    merged["high"] = np.maximum.reduceat(part["high"], starts)
    merged["low"] = np.minimum.reduceat(part["low"], starts)
    merged["open"], merged["open_id"] = part["open"][starts], part["open_id"][starts]
    merged["close"], merged["close_id"] = part["close"][last], part["close_id"][last]
    before = np.cumsum(part["cells"]) - part["cells"]
    loose = _picked(cells.all, np.repeat(part["cell_at"] - before, part["cells"]) + np.arange(part["cells"].sum()))
    number = np.repeat(part["number"], part["cells"])
    order = np.lexsort((loose["price"], number))
    loose, number = _picked(loose, order), number[order]
    new = np.flatnonzero((np.diff(number, prepend=-1) != 0) | (np.diff(loose["price"], prepend=-1) != 0))
    added = _picked(loose, new)
    for name in ("bid", "ask", "n"):
        added[name] = np.add.reduceat(loose[name], new)
    begins = np.searchsorted(number[new], merged["number"])
    merged["cells"] = np.searchsorted(number[new], merged["number"], side="right") - begins
    merged["cell_at"] = begins + cells.put(added)
    out[many] = merged
    return out
