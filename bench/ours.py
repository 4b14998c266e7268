"""Our path: the codec alone, and the codec with the engine behind it, fed one call a socket read as the feed does."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from tapewatch.engine import Engine
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.venues.binance_usdm_codec import Codec

from .state import Level, State
from .workload import Read, Workload

MINUTE_MS = 60_000
EVERYTHING = 1 << 20


def universe_of(workload: Workload) -> Universe:
    universe = Universe("binance")
    for s in workload.symbols:
        tick = Grid.parse(str(Decimal(s.tick).scaleb(-s.price_decimals)))
        lot = Grid(1, s.lot_decimals)
        universe.add(Instrument(0, "binance", s.name, s.name[:-4], s.name[-4:], "perp", tick, lot))
    return universe


class ParseOnly:
    """Frames to tape rows, and no further: what the rest can at best cost nothing on top of."""

    def __init__(self, workload: Workload) -> None:
        self._codec = Codec(universe_of(workload))
        self._recv_ns = workload.recv_ns

    def run(self, reads: list[Read]) -> None:
        for read in reads:
            self._codec.decode(read.buffer, read.ends, self._recv_ns)

    def state(self) -> State:
        return State()


class Pipeline:
    """Frames to books, tick-level footprints, CVD, imbalance windows, big flow, quotes, marks and liquidations."""

    def __init__(self, workload: Workload) -> None:
        self.universe = universe_of(workload)
        self.codec, self.engine = Codec(self.universe), Engine(self.universe)
        self._workload = workload
        for instrument, traded in zip(self.universe, workload.symbols, strict=True):
            self.engine.set_adv(instrument.index, Decimal(traded.daily_volume), days=30)
            if workload.raw_trades:
                self.engine.use_raw_trades(instrument.index)
            if instrument.symbol in workload.snapshots:
                self.engine.follow_book(instrument.index)
        for symbol, body in workload.snapshots.items():
            self.engine.apply(self.codec.snapshot(symbol, body, workload.recv_ns))

    def run(self, reads: list[Read]) -> None:
        for read in reads:
            self.engine.apply(self.codec.decode(read.buffer, read.ends, self._workload.recv_ns).tape)

    def state(self) -> State:
        """What the public views show, after a check that nothing was lost on the way to them."""
        totals = self.engine.totals()
        if totals["gaps"] or totals["depth_gaps"] or totals["depth_resyncs"]:
            raise RuntimeError(f"our own path lost events of {self._workload.name}: {totals}")
        books, trades, cells = {}, {}, {}
        for i, symbol in enumerate(self._workload.symbols):
            if symbol.name in self._workload.snapshots:
                books[symbol.name] = self._book(i, symbol.tick)
            sums = self.engine.flow.trades[i]
            trades[symbol.name] = int(sums["count"]), int(sums["last_id"]), int(sums["buy"]), int(sums["sell"])
            for minute, price, bid, ask in self._cells(i):
                cells[symbol.name, minute, price * symbol.tick] = bid, ask
        return State(books, trades, cells)

    def _book(self, i: int, tick: int) -> tuple[list[Level], list[Level]]:
        view = self.engine.book(i, EVERYTHING)
        bids, asks = ([(price * tick, lots) for price, lots in side.tolist()] for side in (view.bids, view.asks))
        return bids, asks

    def _cells(self, i: int) -> Iterator[tuple[int, int, int, int]]:
        view = self.engine.footprint(i, MINUTE_MS, 1, EVERYTHING)
        for candle in view.candles:
            for price, bid, ask, _ in view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]].tolist():
                yield int(candle["open_ms"]) // MINUTE_MS, price, bid, ask
