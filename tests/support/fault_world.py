"""A venue, a line that fails and the program, in virtual time: minutes of trouble in a fraction of a second, by seed.

The venue is the simulated one, driven step by step, with its own faults. The program is the real one without sockets:
`VenueNode` (codec, engine, ledger), the plans of snapshots and backfill, the weight budget. Between them stands what
asyncio and aiohttp do otherwise: connections, latencies, answers that fail. Nothing sleeps and nothing reads a clock.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapewatch import ledger
from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.engine import Need
from tapewatch.feed.backoff import Backoff
from tapewatch.feed.budget import Priority, WeightBudget
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.feed.pages import Page, PagePlan, midnight
from tapewatch.feed.sink import NO_ID
from tapewatch.feed.snapshots import SnapshotQueue
from tapewatch.flow.trades import EMPTY
from tapewatch.model.errors import FrameError
from tapewatch.model.instrument import Instrument
from tapewatch.model.views import BookState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.sim import Faults
from tapewatch.sim.budget import RequestBudget
from tapewatch.sim.faults import injectors
from tapewatch.sim.layout import STEP_MS
from tapewatch.sim.rest import ApiError, weight
from tapewatch.sim.simulation import Simulation
from tapewatch.sim.streams import Frame
from tapewatch.venues.binance_usdm import DEPTH_WEIGHT, WEIGHT, parse_exchange_info
from tapewatch.venues.registry import PRODUCTS

T0 = 1_790_000_040_000
"""A whole minute, 14:14 UTC."""
SYMBOLS = 3
KEPT_BOOKS_MS = 2_500
"""How far back the venue can tell its books."""
CHECK_EVERY_MS = 1_000
ANSWER_MS = (15, 250)
RECONNECT_MS = (300, 4_000)
RESYNC_DEPTH = 1_000
ADDRESS = "us"

Call = Callable[[], None]


@dataclass
class Line:
    """One websocket: which channel it carries, and until when it is down."""

    channel: str
    stream: str
    down_until_ms: int = 0
    connected: bool = False


@dataclass
class World:
    """Venue and program. `run` lets time pass; `wrong` says what is not as it should be."""

    seed: int
    faults: str = ""
    state_dir: Path = Path("unused")
    symbols: int = SYMBOLS
    outages_ms: Sequence[tuple[int, int]] = ()
    """Times (since the start) at which every line goes down, and for how long."""
    connects_at_ms: int = 0
    failures: list[str] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    """Trade messages that reached the program, by symbol: frames, and rows of REST answers."""

    def __post_init__(self) -> None:
        chosen = Faults.parse(self.faults)
        self.random = Random(f"line {self.seed}")
        self.sim = Simulation(symbols=self.symbols, seed=self.seed, start_ms=T0, weight_limit=2_400, faults=chosen)
        self.market = self.sim.market
        self.chosen = chosen
        self.skew_ms = int(chosen.value("clock-skew"))
        self.line_faults = injectors(chosen, self.seed)
        self.node = VenueNode(
            PRODUCTS["binance"], VenueConfig(), ThresholdsConfig(), Quarantine(self.state_dir / "unused")
        )
        self.feed = VenueFeed(DIALECTS["binance"], VenueConfig(), self.node, random=Random(self.seed))
        self.queue = SnapshotQueue(Random(f"queue {self.seed}"))
        self.plan = PagePlan(PRODUCTS["binance"].trades, lambda _: True)
        self.budget = WeightBudget(2_400)
        self.venue_budget = RequestBudget(2_400)
        self.backoff = {kind: Backoff(0.5, 8.0, Random(f"{kind} {self.seed}")) for kind in ("hole", "tail", "history")}
        self.not_before_ms = dict.fromkeys(self.backoff, 0)
        self.under_way: set[str] = set()
        self.lines = [Line("trades", "aggTrade"), Line("depth", "depth@100ms")]
        self.calendar: list[tuple[int, int, Call]] = []
        self.order = count()
        self.steps_of_u: dict[str, dict[int, int]] = {}
        self.next_cut_ms = self._next_cut()
        self.sim.open("!contractInfo")
        self._read_universe()
        for at_ms, length_ms in self.outages_ms:
            self._at(T0 + at_ms, lambda length_ms=length_ms: self._cut(self.lines, length_ms))  # type: ignore[misc]

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.sim.now_ms

    def _at(self, when_ms: int, call: Call) -> None:
        heapq.heappush(self.calendar, (when_ms, next(self.order), call))

    def run(self, length_ms: int) -> None:
        """Let so much time pass, in the venue's steps."""
        until = self.now_ms + length_ms
        while self.now_ms < until:
            self._step()

    def settle(self, longest_ms: int = 90_000) -> None:
        """From now on nothing fails; let time pass until all that can be repaired is, or fail."""
        self.line_faults = []
        self.chosen = Faults()
        self.venue_budget = RequestBudget(2_400)
        self.budget.held_until_ms = 0
        self.next_cut_ms = 1 << 62
        until = self.now_ms + longest_ms
        while not all(line.connected for line in self.lines):
            self._step()
        self.run(2_000)  # long enough for every busy stream to have spoken since
        while self.now_ms < until and self._unfinished():
            self.run(1_000)

    def _unfinished(self) -> bool:
        live = self.node.engine.books_by_state()
        edges = self.node.history_edges()
        return bool(
            self.node.trade_holes()
            or live[BookState.LIVE] < live.total()
            or self.plan.progress(edges, self.now_ms).complete < len(edges)
        )

    def _step(self) -> None:
        (frames,) = self.sim.advance(self.now_ms + STEP_MS, congested=False)
        for listing in self.market.listings:
            u = int(self.market.state.symbols[self.market.index[listing.symbol]]["last_u"])
            self.steps_of_u.setdefault(listing.symbol, {})[u] = self.now_ms
        if self.now_ms >= self.next_cut_ms:
            self.next_cut_ms = self._next_cut()
            self._cut([self.random.choice(self.lines)], self.random.randint(*RECONNECT_MS))
        for inject in self.line_faults:
            frames = inject(frames, self.now_ms - T0)
        self._deliver([frame for frame in frames if self._is_up(frame[0])])
        while self.calendar and self.calendar[0][0] <= self.now_ms:
            heapq.heappop(self.calendar)[2]()
        self._ask()
        if self.now_ms % CHECK_EVERY_MS == 0:
            self.failures += self.wrong_books()
            self.failures += self.node.ledger.check(self.node.engine)

    def _next_cut(self) -> int:
        fault = self.chosen.find("disconnect")
        return T0 + int(fault.value * 1_000 * self.random.uniform(0.2, 1.5)) + self.now_ms - T0 if fault else 1 << 62

    # -- the line -----------------------------------------------------------------------------------------------------

    def _is_up(self, stream: str) -> bool:
        if stream.startswith("!"):
            return True
        return next(line for line in self.lines if stream.split("@", 1)[1] == line.stream).connected

    def _cut(self, lines: Sequence[Line], length_ms: int) -> None:
        for line in lines:
            line.down_until_ms = max(line.down_until_ms, self.now_ms + length_ms)
            line.connected = False
            self._want(self.node.on_disconnect(self._names(), line.channel))
            if line.channel == "depth":
                self.queue.interrupted(self._names())
            else:
                self.plan.interrupted(self._names())

    def _connect(self) -> None:
        for line in self.lines:
            if not line.connected and self.now_ms >= max(line.down_until_ms, T0 + self.connects_at_ms):
                line.connected = True
                for name in self._names():
                    self.sim.open(f"{name.lower()}@{line.stream}")
                if line.channel == "depth":
                    self.queue.streaming(self._names(), self.now_ms / 1_000)
                else:
                    self.plan.streaming(self._names(), self.now_ms / 1_000)

    def _names(self) -> list[str]:
        return [instrument.symbol for instrument in self.node.universe]

    def _deliver(self, frames: list[Frame]) -> None:
        """Hand frames to the program in one to three reads; the venue's streams are wrapped in their names."""
        self._connect()
        if not frames:
            return
        cuts = sorted(self.random.randint(0, len(frames)) for _ in range(self.random.randrange(3)))
        for start, stop in zip([0, *cuts], [*cuts, len(frames)], strict=True):
            buffer, ends = bytearray(), []
            for stream, payload in frames[start:stop]:
                buffer += f'{{"stream":"{stream}","data":{payload}}}'.encode()
                ends.append(len(buffer))
                symbol, _, channel = stream.partition("@")
                self.delivered[symbol.upper()] += channel == "aggTrade"
            self._want(self.node.on_frames(buffer, ends, self._recv_ns()))
        if any(stream.startswith("!contractInfo") for stream, _ in frames):
            self._at(self.now_ms + 1_500, self._read_universe)

    def _recv_ns(self) -> int:
        """Our clock, which need not be the venue's."""
        return (self.now_ms - self.skew_ms) * 1_000_000

    def _want(self, needs: Sequence[Need]) -> None:
        for need in needs:
            self.queue.want(self.node.universe[need.instrument].symbol, need.reason, self.now_ms / 1_000)

    # -- REST -------------------------------------------------------------------------------------------------------

    def _read_universe(self) -> None:
        if self.feed._take(parse_exchange_info(self.sim.rest("/fapi/v1/exchangeInfo", {}).encode())):
            self._want(self.node.on_universe(list(self.feed.universe)))
            for line in self.lines:  # new symbols are subscribed where the others are
                if line.connected:
                    for name in self._names():
                        self.sim.open(f"{name.lower()}@{line.stream}")
            self.queue.streaming(self._names(), self.now_ms / 1_000)

    def _ask(self) -> None:
        now_s = self.now_ms / 1_000
        while (symbol := self.queue.peek(now_s)) is not None:
            if self.budget.room(Priority.BOOK, self.now_ms) < DEPTH_WEIGHT[RESYNC_DEPTH]:
                break
            self.queue.take(symbol)
            self._get_book(symbol)
        for kind in self.backoff:
            if kind in self.under_way or self.now_ms < self.not_before_ms[kind]:
                continue
            page = self._next_page(kind)
            if page is not None:
                self.under_way.add(kind)
                self._get_page(kind, page)

    def _next_page(self, kind: str) -> Page | None:
        def room(priority: Priority) -> int:
            return self.budget.room(priority, self.now_ms)

        if kind == "hole":
            return self.plan.next_hole(self.node.trade_holes(), self.now_ms / 1_000, room)
        if kind == "tail":
            return self.plan.next_tail(self.node.trade_tails(), self.now_ms / 1_000, self.now_ms, room)
        return self.plan.next_history(self.node.history_edges(), self.now_ms, room)

    def _get_book(self, symbol: str) -> None:
        def arrived(body: str | None) -> None:
            needs: list[Need] | None = None
            try:
                if body is not None:
                    needs = self.node.on_snapshot(symbol, body.encode(), self._recv_ns(), RESYNC_DEPTH)
            except FrameError as error:
                self.failures.append(f"{symbol}: snapshot refused: {error}")
            mine = [need for need in needs or [] if self.node.universe[need.instrument].symbol == symbol]
            self.queue.answered(symbol, needs is not None and not mine, self.now_ms / 1_000)

        self._get("/fapi/v1/depth", {"symbol": symbol, "limit": str(RESYNC_DEPTH)}, Priority.BOOK, arrived)

    def _get_page(self, kind: str, page: Page) -> None:
        def arrived(body: str | None) -> None:
            self.under_way.discard(kind)
            if body is None:
                self.not_before_ms[kind] = self.now_ms + int(self.backoff[kind].next_s() * 1_000)
                return
            self.backoff[kind].reset()
            ids = [row["a"] for row in json.loads(body)]
            if page.takes(ids):
                self.delivered[page.symbol] += len(ids)
                self._want(self.node.on_trades(page.symbol, body.encode(), self._recv_ns()))
            if page.tail is not None:
                self.node.tail_told(page.symbol, whole=len(ids) < page.limit)
            for hole, fate in self.plan.judge(page, ids, self.node.trade_holes(), self.now_ms / 1_000, self.now_ms):
                self.node.give_up(hole, fate)

        query = {"symbol": page.symbol, "limit": str(page.limit)}
        if page.from_id != NO_ID:
            query["fromId"] = str(page.from_id)
        self._get("/fapi/v1/aggTrades", query, page.priority, arrived)

    def _get(self, path: str, query: dict[str, str], priority: Priority, arrived: Callable[[str | None], None]) -> None:
        """Ask the venue: the answer of a moment later, or None for any failure."""
        cost = DEPTH_WEIGHT[RESYNC_DEPTH] if path.endswith("depth") else WEIGHT["aggTrades"]
        grant = self.budget.take(cost, priority, self.now_ms)
        if grant is None:
            self._at(self.budget.next_chance_ms(self.now_ms), lambda: self._get(path, query, priority, arrived))
            return
        late = self.chosen.value("snapshot-late") if path.endswith("depth") else 0.0

        def answer() -> None:
            body, status, used = self._venue_answers(path, query)
            self.budget.answered(grant, self.now_ms, used)
            if status in {418, 429}:
                self.budget.refused(status, None, body.encode(), self.now_ms)
            arrived(body if status == 200 else None)

        self._at(self.now_ms + self.random.randint(*ANSWER_MS) + int(late), answer)

    def _venue_answers(self, path: str, query: dict[str, str]) -> tuple[str, int, int]:
        try:
            used = self.venue_budget.spend(ADDRESS, weight(path, query), self.now_ms)
            if self._hit("http-418"):
                self.venue_budget.ban(ADDRESS, self.now_ms)
                self.venue_budget.spend(ADDRESS, 0, self.now_ms)
            if self._hit("http-429"):
                refusal = self.venue_budget.too_many(ADDRESS)
            elif self._hit("http-5xx"):
                refusal = ApiError(-1008, "overloaded", 503)
            else:
                return self.sim.rest(path, query), 200, used
        except ApiError as refused:
            refusal = refused
        return refusal.body, refusal.status, self.venue_budget.used(ADDRESS, self.now_ms)

    def _hit(self, name: str) -> bool:
        fault = self.chosen.find(name)
        return fault is not None and self.random.random() < fault.value

    # -- the truth ----------------------------------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Everything that is not as the venue has it, or not accounted for."""
        return [
            *self.failures,
            *self.node.ledger.check(self.node.engine),
            *self.wrong_books(),
            *(text for instrument in self.node.universe for text in self._wrong_trades(instrument)),
        ]

    def wrong_books(self) -> Iterator[str]:
        """Books shown as live that are not the venue's book at the same update id."""
        for instrument in self.node.universe:
            shown = self.node.engine.book(instrument.index, 5_000)
            steps = self.steps_of_u.get(instrument.symbol, {})
            if shown.state is not BookState.LIVE:
                continue
            at_ms = steps.get(shown.last_update_id)
            if at_ms is None:
                yield f"{self.now_ms}: {instrument.symbol} is live at {shown.last_update_id}, where the venue never was"
                continue
            if self.now_ms - at_ms > KEPT_BOOKS_MS:
                continue
            truth = self.market.book(instrument.symbol, age_ms=self.now_ms - at_ms)
            best = int(shown.bids[0][0]) if len(shown.bids) else 0
            # The venue also streams a far level now and then that its own book does not list.
            low, high = max(shown.low, best * 9 // 10), min(shown.high, best * 11 // 10)
            for mine, theirs in ((shown.bids, truth.bids), (shown.asks, truth.asks)):
                ours, venues = _between(mine, low, high), _between(self._on_grid(theirs, instrument), low, high)
                if not np.array_equal(ours, venues):
                    left, right = ({tuple(level) for level in side.tolist()} for side in (ours, venues))
                    yield (
                        f"{self.now_ms}: live book of {instrument.symbol} at {shown.last_update_id} has "
                        f"{sorted(left - right)[:2]}, the venue {sorted(right - left)[:2]}"
                    )

    def _on_grid(self, side: NDArray[np.int64], on: Instrument) -> NDArray[np.int64]:
        """The venue's levels, in units of their last decimals, as ticks and lots of the instrument's grid."""
        listing = self.market.listings[self.market.index[on.symbol]]
        return np.column_stack((
            side[:, 0] * 10**on.tick.decimals // (10**listing.price_decimals * on.tick.units),
            side[:, 1] * 10**on.lot.decimals // (10**listing.qty_decimals * on.lot.units),
        ))  # fmt: skip

    def _wrong_trades(self, instrument: Instrument) -> Iterator[str]:
        """Footprint, candles and account of one symbol against the venue's own list, without the ids in gaps."""
        engine, symbol = self.node.engine, instrument.symbol
        row = engine.flow.trades[instrument.index]
        account = ledger.trade_account(engine, self.node.ledger, instrument.index)
        if account["received"] != self.delivered[symbol]:
            yield f"{symbol}: {self.delivered[symbol]} trades were delivered, {account['received']} received"
        if row["last_id"] == EMPTY:
            return
        missing = {
            number for gap in engine.gaps(instrument.index) for number in range(gap["first_id"], gap["last_id"] + 1)
        }
        listing = self.market.listings[self.market.index[symbol]]
        truth = Truth()
        for trade in self.market.trades(symbol, int(row["first_id"])):
            if row["first_id"] <= trade["id"] <= row["last_id"] and int(trade["id"]) not in missing:
                truth.add(trade, listing.price_decimals, listing.qty_decimals, instrument)
        if (shown := truth.shown(engine.footprint(instrument.index, 60_000, 1, 2_000))) != truth.candles:
            keys = [key for key in {*shown, *truth.candles} if shown.get(key) != truth.candles.get(key)]
            key = min(keys)
            yield f"{symbol}: candle {key} shows {shown.get(key)}, the venue traded {truth.candles.get(key)}"

    def complete(self) -> list[str]:
        """What is still missing although everything could have been had."""
        out = []
        for instrument in self.node.universe:
            row = self.node.engine.flow.trades[instrument.index]
            all_ids = self.market.trades(instrument.symbol)["id"]
            if row["last_id"] == EMPTY:
                continue
            held = range(int(row["first_id"]), int(row["last_id"]) + 1)
            first = int(all_ids[0])
            if row["absent"] or held.start != first or held.stop - 1 < int(all_ids[-1]) - 50:
                gaps = self.node.engine.gaps(instrument.index).tolist()[:3]
                out.append(f"{instrument.symbol}: holds {held}, the venue {first}..{all_ids[-1]}; gaps {gaps}")
            trading = self.market.listings[self.market.index[instrument.symbol]].status == "TRADING"
            if trading and self.node.engine.book_state(instrument.index) is not BookState.LIVE:
                out.append(f"{instrument.symbol}: book is {self.node.engine.book_state(instrument.index)}")
        return out


def _between(side: NDArray[np.int64], low: int, high: int) -> NDArray[np.int64]:
    return side[(side[:, 0] >= low) & (side[:, 0] <= high)]


@dataclass
class Truth:
    """Candles of one minute by plain addition: per open time OHLC, CVD so far, and cells of [sell, buy, trades]."""

    candles: dict[int, dict[str, Any]] = field(default_factory=dict)
    cvd: int = 0
    day_ms: int = 0

    def add(self, trade: np.void, price_decimals: int, qty_decimals: int, on: Instrument) -> None:
        """One of the venue's trades, in order of id."""
        price = int(trade["price"]) * 10**on.tick.decimals // (10**price_decimals * on.tick.units)
        lots = int(trade["qty"]) * 10**on.lot.decimals // (10**qty_decimals * on.lot.units)
        at = int(trade["ts_ms"]) // 60_000 * 60_000
        if midnight(at) != self.day_ms:
            self.day_ms, self.cvd = midnight(at), 0
        candle = self.candles.setdefault(at, {"ohlc": [price, price, price, price], "cells": {}})
        ohlc = candle["ohlc"]
        ohlc[1], ohlc[2], ohlc[3] = max(ohlc[1], price), min(ohlc[2], price), price
        cell = candle["cells"].setdefault(price, [0, 0, 0])
        cell[0 if trade["sell"] else 1] += lots
        cell[2] += 1
        self.cvd += -lots if trade["sell"] else lots
        candle["cvd"] = self.cvd

    @staticmethod
    def shown(view: Any) -> dict[int, dict[str, Any]]:
        """What the program shows, in the same form; candles without trades are left out."""
        out = {}
        for candle in view.candles:
            if candle["n"]:
                cells = view.cells[candle["cell_at"] : candle["cell_at"] + candle["cells"]]
                out[int(candle["open_ms"])] = {
                    "ohlc": [int(candle[name]) for name in ("open", "high", "low", "close")],
                    "cells": {int(c["price"]): [int(c["bid"]), int(c["ask"]), int(c["n"])] for c in cells},
                    "cvd": int(candle["cvd"]),
                }
        return out
