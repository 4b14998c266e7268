"""Journals with trades in them, and sealers as processes that are killed."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Sequence
from copy import copy
from multiprocessing.process import BaseProcess
from pathlib import Path

from tapes import Row
from tapewatch.journal import Content, Journal, StreamClass
from tapewatch.journal.format import instruments_entry
from tapewatch.model.instrument import Universe
from tapewatch.model.tape import Flag, Kind
from tapewatch.store import crash
from tapewatch.store.sealer import Sealer, Status, Task

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tapewatch.store.sealer", "tapewatch.store.upkeep"])


def frame_of(row: Row, grids: Universe) -> bytes:
    """A trade or liquidation as Binance sends it."""
    c, one = row.columns, grids[row.columns["instrument"]]
    lots, sell = one.lot.to_text(c["qty"]), bool(c["flags"] & Flag.SELL)
    if row.kind is Kind.LIQUIDATION:
        side = "SELL" if c["flags"] & Flag.LONG else "BUY"
        price = f"{c['price'] / 10**8:.8f}"
        order = {"s": one.symbol, "S": side, "o": "LIMIT", "f": "IOC", "q": lots, "p": price, "ap": price,
                 "X": "FILLED", "l": lots, "z": lots, "T": c["ts_ms"]}  # fmt: skip
        return json.dumps(
            {"stream": "!forceOrder@arr", "data": {"e": "forceOrder", "E": c["event_ms"], "o": order}}
        ).encode()
    data = {"e": "aggTrade", "E": c["event_ms"], "a": c["id"], "s": one.symbol, "p": one.tick.to_text(c["price"]),
            "q": lots, "f": c["first_id"], "l": c["last_id"], "T": c["ts_ms"], "m": sell}  # fmt: skip
    return json.dumps({"stream": f"{one.symbol.lower()}@aggTrade", "data": data}).encode()


def write_journal(folder: Path, grids: Universe, rows: Sequence[Row], *, reads: int = 10) -> None:
    """One closed journal file with these rows, `reads` frames a record."""
    journal = Journal(folder / "journal" / grids.venue, grids.venue)
    journal.start()
    journal.add(instruments_entry(list(grids), rows[0].columns["ts_ms"] * 10**6))
    for at in range(0, len(rows), reads):
        frames = [frame_of(row, grids) for row in rows[at : at + reads]]
        ends = [sum(map(len, frames[: k + 1])) for k in range(len(frames))]
        stream = StreamClass.LIQUIDATIONS if rows[at].kind is Kind.LIQUIDATION else StreamClass.TRADES
        recv_ns = max(row.columns["event_ms"] for row in rows[at : at + reads]) * 10**6
        journal.append(Content.FRAMES, stream, recv_ns, b"".join(frames), ends)
    journal.close()


def task_of(folder: Path, url: str = "") -> Task:
    return Task(str(folder), url, 0.0, 0)


def seal_all(task: Task) -> Status:
    """Seal and compact until there is nothing to do, in this process."""
    sealer = Sealer(task)
    sealer.store.open()
    sealer.store.remove_strays()
    while sealer.step():
        pass
    sealer.store.close()
    return sealer.status


def _seal_and_die(task: Task, point: str, count: int) -> None:
    crash._name, crash._left = point, count
    seal_all(task)


def sealer_that_dies(task: Task, point: str, count: int) -> BaseProcess:
    """A sealer that kills itself the `count`-th time it reaches `point`; started."""
    process = _CONTEXT.Process(target=_seal_and_die, args=(task, point, count))
    process.start()
    return process


def run_for(sealer: Sealer, until: threading.Event) -> tuple[threading.Thread, list[Status]]:
    """The sealer's own loop in a thread, until the event; what it tells is gathered."""
    told: list[Status] = []
    thread = threading.Thread(target=sealer.run, args=(until, lambda status: told.append(copy(status))))
    thread.start()
    return thread, told
