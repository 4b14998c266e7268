"""What panels compare with an hour and a day ago outlives the program: minutes in the catalog, and back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deriv_world import HOUR_MS, PERPS
from postgres import Server
from tapes import T0, mark, tape
from tapewatch.config import Config, StoreConfig, ThresholdsConfig
from tapewatch.derivs.derivs import Derivs
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.instrument import Instrument
from tapewatch.model.interest import OpenInterest
from tapewatch.node import minutes as module
from tapewatch.node.minutes import keep_minutes
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.store.catalog import Catalog
from tapewatch.store.minutes import forget_minutes, minutes, put_minutes
from tapewatch.venues.registry import PRODUCTS
from waiting import until

MINUTE_MS = 60_000
FIRST = T0 // MINUTE_MS


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    server: Server | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    catalog = Catalog(server.new_database()) if server else Catalog.of_folder(tmp_path)
    catalog.migrate()
    yield catalog
    catalog.close()


def figures(seed: int, width: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    out = np.arange(4 * width, dtype=np.float32).reshape(4, width) * 0.1 + seed
    out[1, 0] = np.nan
    return out


def test_minutes_come_back_bit_by_bit_with_the_instruments_of_their_time(catalog: Catalog) -> None:
    put_minutes(catalog, "binance", ["A", "B"], [(FIRST, figures(1, 2)), (FIRST + 1, figures(2, 2))])
    put_minutes(catalog, "binance", ["A", "B", "币"], [(FIRST + 2, figures(3, 3))])
    put_minutes(catalog, "okx", ["A"], [(FIRST + 2, figures(9, 1))])
    put_minutes(catalog, "binance", ["A", "B", "币"], [(FIRST + 2, figures(4, 3))])  # written twice: the newer counts
    found = list(minutes(catalog, "binance", FIRST + 1))
    assert [(symbols, number) for symbols, (number, _) in found] == [
        (["A", "B"], FIRST + 1), (["A", "B", "币"], FIRST + 2)]  # fmt: skip
    for (_, (_, told)), wanted in zip(found, (figures(2, 2), figures(4, 3)), strict=True):
        assert told.tobytes() == wanted.tobytes()
    forget_minutes(catalog, "binance", FIRST + 2)
    ((symbols, (number, _)),) = minutes(catalog, "binance", 0)
    assert (symbols, number) == (["A", "B", "币"], FIRST + 2)
    assert len(list(minutes(catalog, "okx", 0))) == 1


def node_of(folder: Path, listed: list[Instrument]) -> VenueNode:
    config = Config().venues.of("binance")
    node = VenueNode(PRODUCTS["binance"], config, ThresholdsConfig(), Quarantine(folder / "refused"))
    node.on_universe([replace(one, index=i) for i, one in enumerate(listed)])
    return node


def live(node: VenueNode, derivs: Derivs, from_minute: int, to_minute: int) -> None:
    """A mark and an open interest a minute, each minute another."""
    for minute in range(from_minute, to_minute):
        at = T0 + minute * MINUTE_MS + 1_000
        for one in node.universe:
            told = mark(at, 84_000 * 10**8 + minute * 10**7, 84_000 * 10**8, 1_000 + 7 * minute, T0 + 90 * HOUR_MS,
                        i=one.index)  # fmt: skip
            node.engine.apply(tape([told]))
            node.on_interest(OpenInterest(one.symbol, Decimal(1_000 + minute), at))
        derivs.observe()


@contextlib.asynccontextmanager
async def keeping(node: VenueNode, derivs: Derivs, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    config = StoreConfig(path=str(folder))
    monkeypatch.setattr(module, "EVERY_S", 0.01)
    node.clock_offset_ms = lambda: 0.0
    monkeypatch.setattr(node, "venue_ms", lambda: node.engine.clock_ms or T0 + 61 * MINUTE_MS)
    task = asyncio.create_task(keep_minutes({"binance": node}, derivs, config))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def compared(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what counts the minutes that were seen."""
    return {name: value for name, value in row.items() if not name.startswith(("slope", "percentile", "extreme"))}


async def test_after_a_restart_an_hour_ago_is_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows, whatever order the venue lists its instruments in now; a minute nobody saw stays unknown."""
    catalog = Catalog.of_folder(tmp_path)
    catalog.migrate()
    before = node_of(tmp_path, PERPS[:2])
    told = Derivs({"binance": before}, lambda _: DerivsThresholds())
    async with keeping(before, told, tmp_path, monkeypatch):
        live(before, told, 0, 61)
        await until(lambda: len(list(minutes(catalog, "binance", 0))) == 60)
    after = node_of(tmp_path, [PERPS[1], PERPS[0]])
    anew = Derivs({"binance": after}, lambda _: DerivsThresholds())
    async with keeping(after, anew, tmp_path, monkeypatch):
        await until(lambda: anew.since_ms("binance") is not None)
        live(before, told, 63, 65)
        live(after, anew, 63, 65)
    for read in (Derivs.basis, Derivs.funding, Derivs.interest):
        ours, theirs = ({row["symbol"]: compared(row) for row in read(one, "binance")} for one in (anew, told))
        assert ours == theirs
    (row,) = anew.funding("binance", "BTCUSDT")
    assert row["rate_8h_pct_1h_ago"] is not None
    assert row["percentile_minutes"] == 62  # 60 stored and two new; the one in which the program died is lost
    assert anew.interest("binance", "ETHUSDT")[0]["change_1h_pct"] == round(((1_064) / 1_004 - 1) * 100, 2)
    catalog.close()
