"""Features as a table: of the seconds in memory, or of any stored range with order books, by playing it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .. import __version__
from ..engine import Engine
from ..lab.lab import Study
from ..lab.table import Column, Unit, columns_of, unit_of
from ..model.errors import UsageError
from ..model.instrument import Instrument, Universe
from ..model.tape import Kind
from ..store.reader import Reader
from .files import About, Table

KINDS = (Kind.TRADE, Kind.QUOTE, Kind.DEPTH)
SLICE_MS = 60_000
"""Played at a time: the buffer of a study holds three minutes."""
LONGEST_MS = 86_400_000
"""Of one export from stored books: an hour of a busy book takes about a minute."""

Progress = Callable[[int, int], None]


def of_memory(engine: Engine, instrument: Instrument) -> Table:
    """The seconds that an engine holds of a studied instrument; one that nobody has studied yet is from now on."""
    study = engine.lab.study(instrument)
    samples = study.samples()
    columns = columns_of(samples, _quotes_heard(study))
    about = _about(instrument, "memory: the last 180 s of the venue's time")
    table = _table(instrument, samples, columns)
    return Table(about, table.schema, iter([table]))


def of_store(
    reader: Reader, venue: str, symbol: str, start_ms: int, end_ms: int, progress: Progress | None = None
) -> Table:
    """What the features were in a stored range, second by second; raise UsageError where no book is stored."""
    stored = reader.universe(venue).get(symbol)
    span = reader.span(venue, start_ms, end_ms, Kind.DEPTH)
    if span is None:
        raise UsageError(
            f"no order books are stored of {venue} in that range: add depth and quotes to store.record; "
            "the last 180 s of a running server are in GET /api/export?what=features"
        )
    start_ms, end_ms = max(start_ms, span[0]), min(end_ms, span[1] + 1)
    if end_ms - start_ms > LONGEST_MS:
        raise UsageError("features are made of up to a day of stored books at a time; give a shorter range")
    universe = Universe(venue, [stored])
    about = _about(stored, "stored order books, quotes and trades, played again")
    none = Engine(universe).lab.study(universe[0]).samples()
    schema = _table(stored, none, columns_of(none, quotes_heard=True)).schema
    return Table(about, schema, _played(reader, universe, start_ms, end_ms, progress))


def _played(
    reader: Reader, universe: Universe, start_ms: int, end_ms: int, progress: Progress | None
) -> Iterator[pa.Table]:
    engine = Engine(universe)
    engine.follow_book(0)
    study = engine.lab.study(universe[0], pinned=True)
    newest = 0
    for tape in reader.tapes(universe.venue, start_ms, end_ms, [universe[0].symbol], KINDS, universe):
        times = tape.rows["ts_ms"]
        edges = np.flatnonzero(np.diff(times // SLICE_MS)) + 1
        for at, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(tape)], strict=True):
            engine.apply(tape.slice(at, stop))
            samples = study.samples()
            fresh = samples["ts_ms"] > newest
            if fresh.any():
                newest = int(samples["ts_ms"][-1])
                # Figures that need earlier seconds see the whole buffer; only the new ones are given out.
                columns = columns_of(samples, _quotes_heard(study))
                yield _table(universe[0], samples, columns).filter(pa.array(fresh))
        if progress and len(times):
            progress(int(times[-1]) - start_ms, end_ms - start_ms)


def _quotes_heard(study: Study) -> bool:
    return bool(study.state.base[0]["quotes"])


def _table(instrument: Instrument, samples: NDArray[np.void], columns: dict[str, Column]) -> pa.Table:
    """One row a second; null where a figure is undefined."""
    tick, lot = instrument.tick, instrument.lot
    scales = {
        Unit.TICKS: (tick.units, 10**tick.decimals),
        Unit.LOTS: (lot.units, 10**lot.decimals),
        Unit.QUOTE: (tick.units * lot.units, 10 ** (tick.decimals + lot.decimals)),
        Unit.NUMBER: (1, 1),
    }
    made: dict[str, pa.Array] = {
        "symbol": pa.array([instrument.symbol] * len(samples), pa.string()),
        "ts_ms": pa.array(np.ascontiguousarray(samples["ts_ms"]), pa.int64()),
    }
    for name, values in columns.items():
        units, divisor = scales[unit_of(name)]  # rounded once: 500.5 ticks of 0.1 are 50.05
        made[name] = pa.array(np.asarray(values, np.float64) * units / divisor, pa.float64(), from_pandas=True)
    return pa.table(made)


def _about(instrument: Instrument, source: str) -> About:
    return {
        "tapewatch": __version__,
        "what": "features",
        "venue": instrument.venue,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": source,
        "instruments": {
            instrument.symbol: {
                "tick": f"{instrument.tick.value:f}", "lot": f"{instrument.lot.value:f}", "quote": instrument.quote,
            }
        },
        "units": "floating point; prices in quote currency, volumes in base units, …_quote in quote currency, "
        "times in ms since the epoch, UTC; empty where a figure is undefined",
    }  # fmt: skip
