"""Archive files as their users downloaded them (CSV, or the zip around it): trades to the tape and to whole histories.

A file is read in blocks of whole lines. In `Archive.history` a thread a core takes one after the other, and compiled
code adds the lines up; `Archive.tapes` yields them as rows, in order of id and without repetitions, for whatever takes
a tape. A line the compiled reader leaves is read by the general one; what that refuses is kept by line number.

The increments of an instrument are those it is listed with, if it is, refined where the file holds finer numbers; of an
unlisted one they are the powers of ten that hold every number of the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..compiled import entry
from ..config import ThresholdsConfig
from ..flow.history import DISORDER, DONE, Adder, Cells, History, Part, continues, history
from ..model.errors import FrameError, OffGridError, UsageError
from ..model.instrument import Grid, Instrument, Universe, common_grid
from ..model.tape import LEVEL, ROW, Flag, Kind, Tape
from ..venues.binance_archive import (
    Product,
    counted,
    inferred_instrument,
    layout_of,
    read_trade,
    symbol_of,
)
from ..venues.binance_archive_form import new_form
from ..venues.binance_archive_kernel import LEFT, read_trades
from .archive_kernel import LEFT as NOT_READ
from .archive_kernel import add_lines
from .archive_source import Blocks, Source, block_buffer
from .stage import Stage

ROWS = 1 << 11
"""Rows read at a time: a quarter of a megabyte, which stays in a processor's cache until they are added up."""
TAPE_ROWS = 1 << 13
BYTES_A_CELL = 256
"""Of a busy instrument's file two or three times as much; room for cells is asked for by this."""
MOST_EXPECTED = 1 << 24
"""Cells for which there is room from the start: half a gigabyte that is not taken before it is written to."""
SAMPLE = 2000
"""Lines that increments are guessed from: cheap, and nearly always enough."""
WRONG_KEPT = 20
"""Wrong lines remembered with what is wrong with them; of others only the number is known."""

Progress = Callable[[int, int], None]

COLUMNS = np.dtype([(name, np.int64) for name in ("id", "first_id", "last_id", "ts_ms", "price", "qty", "flags")])
"""What of a row has to be kept when a file has to be sorted."""


@dataclass(frozen=True, slots=True)
class WrongLine:
    """A line that is none of what the file should hold; counted from 1, header included."""

    number: int
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"line {self.number:,}: {self.detail or self.reason}"


@dataclass(slots=True)
class Account:
    """What became of the lines: data = trades + duplicates + wrong."""

    lines: int = 0
    wrong: int = 0
    by_reason: dict[str, int] = field(default_factory=dict)
    first_wrong: list[WrongLine] = field(default_factory=list)
    sorted: bool = True

    def refuse(self, number: int, error: FrameError) -> None:
        self.wrong += 1
        self.by_reason[error.reason] = self.by_reason.get(error.reason, 0) + 1
        if len(self.first_wrong) < WRONG_KEPT:
            self.first_wrong.append(WrongLine(number, error.reason, str(error)))

    def join(self, other: Account) -> None:
        """Take in the account of the lines that follow."""
        room = WRONG_KEPT - len(self.first_wrong)
        self.first_wrong += [replace(line, number=line.number + self.lines) for line in other.first_wrong[:room]]
        self.lines += other.lines
        self.wrong += other.wrong
        for reason, n in other.by_reason.items():
            self.by_reason[reason] = self.by_reason.get(reason, 0) + n


class Archive:
    """One file of aggTrades or trades of one instrument."""

    def __init__(self, path: Path, listed: Iterable[Instrument] = ()) -> None:
        """Open a file. `listed` are instruments whose increments are known.

        Raise UsageError when it is no archive of trades, cannot be read, or its checksum is wrong.
        """
        self.source = Source(path)
        self.path = path
        try:
            self.layout = layout_of(*self.source.head)
            symbol = symbol_of(path.stem)
        except (UsageError, FrameError) as error:
            raise UsageError(f"{path} cannot be read as an archive: {error}") from error
        if not self.layout.product.has_trades:
            raise UsageError(f"{path} holds {self.layout.product}, no trades; `tapewatch import` takes it")
        known = {item.symbol: item for item in listed}.get(symbol)
        one = known or inferred_instrument(self.layout.venue, symbol, *self._increments())
        self.instrument = replace(one, index=0)
        self.account = Account()
        self._listed = known is not None
        self._history: History | None = None
        self._columns: NDArray[np.void] | None = None

    def _increments(self) -> tuple[Grid, Grid]:
        """Powers of ten that hold the numbers of the first lines. Where others are finer, reading begins anew."""
        tick = lot = Grid(1, 0)
        with self.source.open() as file:
            for line in islice(file, int(self.layout.header), SAMPLE):
                written = zip(line.split(b",", 3)[1:3], (tick, lot), strict=False)
                if all(_fraction_digits(number) <= grid.decimals for number, grid in written):
                    continue
                with suppress(FrameError):
                    trade = read_trade(line, self.layout.product)
                    tick, lot = (
                        common_grid(tick, _power_of_ten(trade.price)),
                        common_grid(lot, _power_of_ten(trade.qty)),
                    )
        return tick, lot

    def place(self, instrument: Instrument) -> None:
        """Count its rows in the increments of this instrument, which they are multiples of, under its index."""
        if (instrument.tick, instrument.lot) != (self.instrument.tick, self.instrument.lot):
            self._history = self._columns = None
        elif self._history is not None:
            self._history.instrument = instrument
        self.instrument = instrument

    def history(self, progress: Progress | None = None) -> History:
        """Read the whole file once: its candles and footprints, its account, and the instrument's increments.

        `progress(done, total)` is in bytes.
        """
        while self._history is None:
            try:
                self._history = self._read(progress)
            except OffGridError as error:
                self.instrument = _refined(self.instrument, error, listed=self._listed)
        return self._history

    def _read(self, progress: Progress | None) -> History:
        self.account = Account(lines=int(self.layout.header))
        parts: list[Part] = []
        in_order, cells = True, Cells(min(self.source.size // BYTES_A_CELL, MOST_EXPECTED), Lock())
        for piece in self._in_parallel(_Reader.add, cells, progress):
            self.account.join(piece.account)
            in_order = in_order and piece.part is not None
            if piece.part is not None:
                parts.append(piece.part)
        if in_order and continues(parts):
            return history(self.instrument, parts, cells)
        return self._sort(progress)

    def _sort(self, progress: Progress | None) -> History:
        """The long way for files that are not in order: keep all rows and sort them."""
        cells = Cells(0, Lock())
        columns = np.concatenate([piece.columns for piece in self._in_parallel(_Reader.keep, cells, progress)])
        self._columns = columns[np.argsort(columns["id"], kind="stable")]
        self.account.sorted = False
        adder = Adder(cells)
        for tape in _batches(self._columns, self.instrument.index):
            adder.add(tape.rows, len(tape))
        return history(self.instrument, [adder.part()], cells)

    def tapes(self) -> Iterator[Tape]:
        """Its trades in order of id, repetitions among them, in batches good until the next one is asked for."""
        self.history()
        if self._columns is not None:
            yield from _batches(self._columns, self.instrument.index)
            return
        unused = Cells(0, Lock())  # one's own: rows are taken as they are
        reader, buffer = _Reader(self.layout.product, self.instrument, TAPE_ROWS, unused), block_buffer()
        levels = np.zeros(0, LEVEL)
        with self.source.open() as file:
            blocks = Blocks(self.path, file, int(self.layout.header))
            while end := blocks.fill(buffer):
                for n in reader.read(buffer, 0, end):
                    yield Tape(reader.rows[:n], levels)

    def _in_parallel(
        self, work: Callable[[_Reader, bytearray, int, _Piece], None], cells: Cells, progress: Progress | None
    ) -> list[_Piece]:
        """Do `work` on every block, as many at a time as there are cores; the pieces are in order of the file.

        A thread reads each of its blocks itself, when it is its turn: then the lines are in its core's cache.
        """
        threads, turn = _cores(), Lock()
        total, done = self.source.size, 0
        pieces: list[_Piece] = []

        def go_through(blocks: Blocks) -> None:
            nonlocal done
            reader, buffer = _Reader(self.layout.product, self.instrument, ROWS, cells), block_buffer()
            while True:
                with turn:
                    end = blocks.fill(buffer)
                    if not end:
                        return
                    piece = _Piece()
                    pieces.append(piece)
                    done += end
                    if progress:
                        progress(min(done, total), total)
                work(reader, buffer, end, piece)

        with self.source.open() as file, ThreadPoolExecutor(threads, "archive") as pool:
            blocks = Blocks(self.path, file, int(self.layout.header))
            running = [pool.submit(go_through, blocks) for _ in range(threads)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                blocks.ended = True
            for future in running:
                future.result()
        return pieces


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(slots=True)
class _Piece:
    """What comes of one block; its part is None where ids go back."""

    account: Account = field(default_factory=Account)
    part: Part | None = None
    columns: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, COLUMNS))


class _Reader:
    """Reads blocks of one file, on one thread at a time."""

    def __init__(self, product: Product, instrument: Instrument, rows: int, cells: Cells) -> None:
        self.rows = np.zeros(rows, ROW)
        self.account = Account()
        self._product = product
        self._instrument = instrument
        self._form = new_form(instrument.tick, instrument.lot)
        self._adder = Adder(cells)
        self._aggregate = product is Product.AGG_TRADES
        empty = np.zeros(0, np.uint8)
        self._read = entry(read_trades, empty, 0, 0, self._aggregate, 0, self._form, self.rows)
        self._add = entry(add_lines, empty, 0, 0, self._aggregate, self._form, self._adder.work)

    def read(self, buffer: bytearray, start: int, end: int) -> Iterator[int]:
        """Read lines into `rows`; yields how many are there, again and again."""
        data = np.frombuffer(buffer, np.uint8)
        index = self._instrument.index
        while start < end:
            status, start, n = self._read(data, start, end, self._aggregate, index, self._form, self.rows)
            self.account.lines += n
            if n:
                yield n
            if status == LEFT:
                left, start = self._left(buffer, start)
                if left:
                    yield 1

    def _left(self, buffer: bytearray, start: int) -> tuple[bool, int]:
        """Read the line at `start` with the general reader: whether it is in the first row now, and where it ends."""
        end = buffer.index(b"\n", start) + 1
        return self._read_generally(bytes(buffer[start:end])), end

    def _read_generally(self, line: bytes) -> bool:
        """False when the line is blank or wrong."""
        self.account.lines += 1
        if not line.strip():
            return False
        try:
            trade = read_trade(line, self._product)
            ticks, lots = counted(trade, self._instrument.tick, self._instrument.lot)
        except OffGridError:
            raise
        except FrameError as error:
            self.account.refuse(self.account.lines, error)
            return False
        row = self.rows[0]
        row["kind"], row["instrument"] = Kind.TRADE, self._instrument.index
        row["flags"] = (Flag.SELL if trade.sell else 0) | (Flag.AGGREGATE if self._aggregate else 0)
        row["event_ms"] = row["ts_ms"] = trade.ts_ms
        row["id"], row["first_id"], row["last_id"] = trade.id, trade.first_id, trade.last_id
        row["price"], row["qty"], row["qty2"] = ticks, lots, lots
        return True

    def add(self, buffer: bytearray, end: int, piece: _Piece) -> None:
        """Add a block up."""
        self.account = piece.account
        data, at = np.frombuffer(buffer, np.uint8), 0
        adder, in_order = self._adder, True
        while at < end and in_order:
            outcome, at, n = self._add(data, at, end, self._aggregate, self._form, adder.work)
            self.account.lines += n
            if outcome == NOT_READ:
                left, at = self._left(buffer, at)
                in_order = not left or adder.add(self.rows, 1)
            elif outcome == DISORDER:
                in_order = False
            elif outcome != DONE:
                adder.grow(outcome)
        for _ in self.read(buffer, at, end):
            pass  # the lines behind are counted, and judged, all the same
        part = adder.part()
        piece.part = part if in_order else None

    def keep(self, buffer: bytearray, end: int, piece: _Piece) -> None:
        """Keep the block's rows as columns."""
        self.account = piece.account
        kept = [np.zeros(0, COLUMNS)]
        for n in self.read(buffer, 0, end):
            columns = np.zeros(n, COLUMNS)
            for name in COLUMNS.names or ():
                columns[name] = self.rows[name][:n]
            kept.append(columns)
        piece.columns = np.concatenate(kept)


def _batches(columns: NDArray[np.void], instrument: int) -> Iterator[Tape]:
    rows, levels = np.zeros(TAPE_ROWS, ROW), np.zeros(0, LEVEL)
    rows["kind"], rows["instrument"] = Kind.TRADE, instrument
    for at in range(0, len(columns), TAPE_ROWS):
        held = columns[at : at + TAPE_ROWS]
        batch = rows[: len(held)]
        for name in COLUMNS.names or ():
            batch[name] = held[name]
        batch["event_ms"], batch["qty2"] = held["ts_ms"], held["qty"]
        yield Tape(batch, levels)


def _refined(instrument: Instrument, error: OffGridError, *, listed: bool) -> Instrument:
    """The instrument with increments that `error.value` is a multiple of."""
    finer = Grid.parse(str(error.value.normalize())) if listed else _power_of_ten(error.value)
    if error.what == "price":
        return replace(instrument, tick=common_grid(instrument.tick, finer))
    return replace(instrument, lot=common_grid(instrument.lot, finer))


def _fraction_digits(number: bytes) -> int:
    return len(number.partition(b".")[2].rstrip(b"0"))


def _power_of_ten(value: Decimal) -> Grid:
    return Grid(1, max(0, -int(value.normalize().as_tuple().exponent)))


class Archives:
    """Archive files of one venue as one input, in order of time."""

    def __init__(
        self, paths: Sequence[Path], listed: Iterable[Instrument] = (), progress: Progress | None = None
    ) -> None:
        """Read all files once. Files of one instrument (days, months) join; `progress(done, total)` is in bytes."""
        if not paths:
            raise UsageError("no archive file given")
        listed = list(listed)
        self.files = [Archive(path, listed) for path in paths]
        venues = sorted({archive.layout.venue for archive in self.files})
        if len(venues) > 1:
            raise UsageError(f"these archive files are of {' and '.join(venues)}; replay one venue at a time")
        total, done = sum(archive.source.size for archive in self.files), 0

        def told(n: int, _: int) -> None:
            if progress:
                progress(done + n, total)

        for archive in self.files:
            archive.history(told)
            done += archive.source.size
        self.files.sort(key=lambda archive: archive.history().first_ms)
        self.universe = Universe(venues[0], sorted(self._joined(), key=lambda instrument: instrument.symbol))
        for archive in self.files:
            archive.place(self.universe.get(archive.instrument.symbol))

    def _joined(self) -> Iterable[Instrument]:
        """One instrument a symbol, on the increments that all of its files lie on."""
        found: dict[str, Instrument] = {}
        for archive in self.files:
            one = archive.instrument
            other = found.get(one.symbol, one)
            tick, lot = common_grid(one.tick, other.tick), common_grid(one.lot, other.lot)
            found[one.symbol] = replace(one, tick=tick, lot=lot)
        return found.values()

    @property
    def names(self) -> list[str]:
        return [str(archive.path) for archive in self.files]

    @property
    def first_ms(self) -> int:
        return min(archive.history().first_ms for archive in self.files)

    @property
    def last_ms(self) -> int:
        return max(archive.history().last_ms for archive in self.files)

    @property
    def raw_trade_symbols(self) -> set[str]:
        """Instruments that have a file of raw trades; aggregate trades of these count for nothing."""
        return {a.instrument.symbol for a in self.files if a.layout.product is Product.TRADES}

    @property
    def account(self) -> Account:
        """What became of the lines of all files."""
        whole = Account()
        for archive in self.files:
            whole.join(archive.account)
            whole.sorted = whole.sorted and archive.account.sorted
        return whole

    def stage(self, thresholds: ThresholdsConfig) -> Stage:
        """A fresh stage. Archives hold no books and no daily volumes."""
        stage = Stage.empty(self.universe, thresholds, self.last_ms - self.first_ms)
        for symbol in self.raw_trade_symbols:
            stage.engine.use_raw_trades(self.universe.get(symbol).index)
        return stage

    def play(self, stage: Stage) -> Iterator[Tape]:
        """All trades in order of time; lines that are none are counted when all have been played."""
        yield from self.tapes()
        read = sum(archive.history().trades + archive.history().duplicates for archive in self.files)
        stage.decoded += read
        stage.frames += read + self.account.wrong
        stage.by_reason.update(self.account.by_reason)

    def tapes(self) -> Iterator[Tape]:
        """All trades in order of time, those of an instrument in order of id."""
        by_symbol: dict[str, list[Archive]] = {}
        for archive in self.files:
            by_symbol.setdefault(archive.instrument.symbol, []).append(archive)
        chains = [chain.from_iterable(archive.tapes() for archive in files) for files in by_symbol.values()]
        yield from chains[0] if len(chains) == 1 else _merged(chains)


@dataclass(slots=True)
class _Head:
    """The rows of a source that are next."""

    source: Iterator[Tape]
    rows: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, ROW))

    def fill(self) -> bool:
        """Have rows; False when the source has none left."""
        while not len(self.rows):
            tape = next(self.source, None)
            if tape is None:
                return False
            self.rows = tape.rows
        return True

    def times(self) -> NDArray[np.int64]:
        """When each row is due: no earlier than those before it."""
        return np.maximum.accumulate(self.rows["ts_ms"])


def _merged(sources: Iterable[Iterator[Tape]]) -> Iterator[Tape]:
    """Batches of several instruments merged by time; rows of one instrument stay in their order."""
    heads = [_Head(source) for source in sources]
    while heads := [head for head in heads if head.fill()]:
        times = [head.times() for head in heads]
        horizon = min(int(due[-1]) for due in times)
        counts = [int(np.searchsorted(due, horizon, side="right")) for due in times]
        order = np.argsort(np.concatenate([due[:n] for due, n in zip(times, counts, strict=True)]), kind="stable")
        rows = np.concatenate([head.rows[:n] for head, n in zip(heads, counts, strict=True)])
        for head, n in zip(heads, counts, strict=True):
            head.rows = head.rows[n:]
        yield Tape(rows[order], np.zeros(0, LEVEL))
