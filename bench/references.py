"""What others do with the same bytes: decoders alone, and the classical book of a Python feed handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from .slices import Build
from .state import Level, Scale, State
from .workload import Read, Workload

MINUTE_MS = 60_000


class _Decoder:
    """A decoder of single frames that throws its result away."""

    def __init__(self, decode: Callable[[bytes], object]) -> None:
        self._decode = decode

    def run(self, reads: list[Read]) -> None:
        decode = self._decode
        for read in reads:
            for frame in read.frames:
                decode(frame)

    def state(self) -> State:
        return State()


def orjson_loads(_: Workload) -> _Decoder:
    return _Decoder(orjson.loads)


class _Event(msgspec.Struct, tag_field="e", gc=False):
    E: int
    T: int


class _Depth(_Event, tag="depthUpdate", gc=False):
    s: str
    U: int
    u: int
    pu: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _AggTrade(_Event, tag="aggTrade", gc=False):
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741  (the venue's name)
    m: bool


class _Trade(_Event, tag="trade", gc=False):
    s: str
    t: int
    p: str
    q: str
    m: bool


class _Quote(_Event, tag="bookTicker", gc=False):
    s: str
    u: int
    b: str
    B: str
    a: str
    A: str


class _Mark(_Event, tag="markPriceUpdate", gc=False):
    s: str
    p: str
    i: str
    r: str


class _Order(msgspec.Struct, gc=False):
    s: str
    S: str
    q: str
    ap: str
    T: int


class _Liquidation(msgspec.Struct, tag_field="e", tag="forceOrder", gc=False):
    E: int
    o: _Order


class _Frame(msgspec.Struct, gc=False):
    stream: str
    data: _Depth | _AggTrade | _Trade | _Quote | _Mark | _Liquidation | list[_Mark]


def msgspec_typed(_: Workload) -> _Decoder:
    """Typed structs with texts left as texts: the least that a typed decoder has to do."""
    return _Decoder(msgspec.json.Decoder(_Frame).decode)


def simdjson_parse(_: Workload) -> _Decoder:
    """Parsed into simdjson's own tape; no Python object is made of what is in it."""
    import simdjson  # noqa: PLC0415  (has no wheel everywhere)

    return _Decoder(simdjson.Parser().parse)


class SortedDictBooks:
    """orjson, one SortedDict a side keyed by float price, and dictionaries for trades and footprint."""

    def __init__(self, workload: Workload) -> None:
        self._scales = {symbol.name: Scale(symbol) for symbol in workload.symbols}
        self._raw_trades = workload.raw_trades
        self.books: dict[str, tuple[Any, Any]] = {}
        self._update_ids: dict[str, int] = {}
        self._trades: dict[str, list[Any]] = {}
        self._cells: dict[tuple[str, int, float], list[float]] = {}
        self._quotes: dict[str, tuple[float, ...]] = {}
        self._marks: dict[str, tuple[float, ...]] = {}
        self._liquidations: list[tuple[Any, ...]] = []
        for name, body in workload.snapshots.items():
            answer = orjson.loads(body)
            bids, asks = (SortedDict((float(p), float(q)) for p, q in answer[side]) for side in ("bids", "asks"))
            self.books[name] = bids, asks
            self._update_ids[name] = answer["lastUpdateId"]

    def run(self, reads: list[Read]) -> None:
        for read in reads:
            for frame in read.frames:
                data = orjson.loads(frame)["data"]
                for event in data if isinstance(data, list) else (data,):
                    self._event(event)

    def _event(self, d: dict[str, Any]) -> None:
        kind = d["e"]
        if kind == "depthUpdate":
            self._diff(d)
        elif kind == "aggTrade" or (kind == "trade" and d.get("X", "MARKET") == "MARKET"):
            if (kind == "trade") == self._raw_trades:
                self._trade(d, d["t"] if self._raw_trades else d["a"])
        elif kind == "bookTicker":
            self._quotes[d["s"]] = float(d["b"]), float(d["B"]), float(d["a"]), float(d["A"])
        elif kind == "markPriceUpdate":
            self._marks[d["s"]] = float(d["p"]), float(d["i"]), float(d["r"])
        elif kind == "forceOrder":
            order = d["o"]
            self._liquidations.append((order["s"], order["S"], float(order["ap"]), float(order["q"]), order["T"]))

    def _diff(self, d: dict[str, Any]) -> None:
        name = d["s"]
        held = self._update_ids[name]
        if d["pu"] != held and not d["U"] <= held <= d["u"]:
            raise RuntimeError(f"{name}: expected pu {held}, found {d['pu']}")
        self._update_ids[name] = d["u"]
        for book, levels in zip(self.books[name], (d["b"], d["a"]), strict=True):
            for price, qty in levels:
                size = float(qty)
                if size:
                    book[float(price)] = size
                else:
                    book.pop(float(price), None)

    def _trade(self, d: dict[str, Any], trade_id: int) -> None:
        name, price, qty = d["s"], float(d["p"]), float(d["q"])
        sums = self._trades.get(name)
        if sums is None:
            sums = self._trades[name] = [0, 0, 0.0, 0.0]
        sums[0] += 1
        sums[1] = trade_id
        key = name, d["T"] // MINUTE_MS, price
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = [0.0, 0.0]
        sold = d["m"]
        sums[3 if sold else 2] += qty
        cell[0 if sold else 1] += qty

    def state(self) -> State:
        scales = self._scales
        books: dict[str, tuple[list[Level], list[Level]]] = {
            name: (scales[name].side(bids.items()), scales[name].side(asks.items()))
            for name, (bids, asks) in self.books.items()
        }
        trades = {
            name: (n, last_id, scales[name].lots(bought), scales[name].lots(sold))
            for name, (n, last_id, bought, sold) in self._trades.items()
        }
        cells = {
            (name, minute, scales[name].price(price)): (scales[name].lots(bid), scales[name].lots(ask))
            for (name, minute, price), (bid, ask) in self._cells.items()
        }
        return State(books, trades, cells)


def available() -> tuple[dict[str, Build], list[str]]:
    """The references that can run here, and a sentence about each that cannot."""
    builds: dict[str, Build] = {"orjson.loads": orjson_loads, "msgspec typed": msgspec_typed}
    missing = []
    try:
        import simdjson  # noqa: F401, PLC0415
    except ImportError:
        missing.append("simdjson is left out: pysimdjson is not installed (pip install 'tapewatch[bench]')")
    else:
        builds["simdjson parse"] = simdjson_parse
    builds["SortedDict book"] = SortedDictBooks
    return builds, missing
