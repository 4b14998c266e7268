"""A venue, a line that fails and the program, in virtual time: minutes of trouble in a fraction of a second, by seed.

The venue is one of the simulated ones, driven step by step, with its own faults. The program is the real one without
sockets: `VenueNode` (codec, engine, ledger), the plans of snapshots and backfill, the requests of its dialect, the
weight budget. Between them stands what asyncio and aiohttp do otherwise: connections, latencies, answers that fail.
Nothing sleeps and nothing reads a clock.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, cast

from fault_truth import Print, Truth
from tapewatch.config import Config, ThresholdsConfig
from tapewatch.engine import Need
from tapewatch.feed.backoff import Backoff
from tapewatch.feed.budget import Priority
from tapewatch.feed.dialects import DIALECTS
from tapewatch.feed.driver import VenueFeed
from tapewatch.feed.pages import Page, PagePlan
from tapewatch.feed.plan import Stream
from tapewatch.feed.rest import RestError, VenueRest
from tapewatch.feed.sink import NO_ID
from tapewatch.feed.snapshots import SnapshotQueue
from tapewatch.model.channel import Channel
from tapewatch.model.errors import FrameError
from tapewatch.model.views import BookState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.sim import SIMULATED, Faults, Market, VenueOptions
from tapewatch.sim.faults import injectors
from tapewatch.sim.layout import STEP_MS
from tapewatch.sim.okx_swap import key_of
from tapewatch.sim.rest import ApiError
from tapewatch.sim.streams import Frame
from tapewatch.sim.topics import TopicMarket
from tapewatch.venues.registry import PRODUCTS

T0 = 1_790_000_040_000
"""A whole minute, 14:14 UTC."""
SYMBOLS = 3
KEPT_BOOKS_MS = 2_500
"""How far back the venue can tell its books."""
CHECK_EVERY_MS = 1_000
ANSWER_MS = (15, 250)
RECONNECT_MS = (300, 4_000)
READ_UNIVERSE_MS = 6_000
"""What the program does every hour: not every venue announces what it lists and how it changes."""
RESYNC_DEPTH = 1_000
ADDRESS = "us"

Call = Callable[[], None]


@dataclass(frozen=True)
class Request:
    """What the program's own REST client would ask."""

    path: str
    weight: int
    priority: Priority
    query: dict[str, str]


class Asked(Exception):  # noqa: N818  (no error: it carries)
    """Carries a request out of the coroutine that made it."""

    def __init__(self, request: Request) -> None:
        self.request = request


def ran(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


@dataclass(eq=False)
class Line:
    """One websocket: the kind of stream it is there for, and until when it is down."""

    channel: Channel
    down_until_ms: int = 0
    connected: bool = False
    cuts: int = 0
    streams: dict[str, str] = field(default_factory=dict)
    """What is subscribed, with its symbol."""


@dataclass
class World:
    """Venue and program. `run` lets time pass; `wrong` says what is not as it should be."""

    seed: int
    faults: str = ""
    venue: str = "binance"
    symbols: int = SYMBOLS
    outages_ms: Sequence[tuple[int, int]] = ()
    """Times (since the start) at which every line goes down, and for how long."""
    connects_at_ms: int = 0
    failures: list[str] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    """Trades that reached the program, by symbol: rows of frames, frames that were refused, rows of REST answers."""

    def __post_init__(self) -> None:
        chosen = Faults.parse(self.faults)
        self.random = Random(f"line {self.seed}")
        self.chosen = chosen
        self.skew_ms = int(chosen.value("clock-skew"))
        self.line_faults = injectors(chosen, self.seed)
        self._build_venue()
        self._build_program()
        self.lines = [Line(Channel.TRADES), Line(Channel.DEPTH)]
        self.calendar: list[tuple[int, int, Call]] = []
        self.order = count()
        self.next_cut_ms = self._next_cut()
        self._read_universe()
        for at_ms, length_ms in self.outages_ms:
            self._at(T0 + at_ms, lambda length_ms=length_ms: self._cut(self.lines, length_ms))  # type: ignore[misc]

    def _build_venue(self) -> None:
        options = VenueOptions(symbols=self.symbols, seed=self.seed, faults=self.chosen)
        self.server = SIMULATED[self.venue](options, clock=lambda: 0.0)
        self.sim = cast("Any", self.server.build(T0))
        self.server.content = self.sim
        self.market: Market = self.sim.market
        self.forgiving = False
        """The venue no longer counts what it is asked."""
        self.truth = Truth(self.sim, PRODUCTS[self.venue])
        if self.venue == "binance":
            self.sim.open("!contractInfo")
        elif self.venue == "okx":
            self.sim.open("instruments:SWAP")

    def _build_program(self) -> None:
        product, config = PRODUCTS[self.venue], Config().venues.of(self.venue)
        world = self

        class Asking(DIALECTS[self.venue].rest):  # type: ignore[misc]
            async def get(self, path: str, weight: int, priority: Priority, **params: str | int) -> bytes:
                return world._asked(
                    Request(
                        path,
                        weight,
                        priority,
                        {key: str(params[key]) for key in params},
                    )
                )

        self.product = product
        self.node = VenueNode(product, config, ThresholdsConfig(), Quarantine(Path("unused")))
        self.feed = VenueFeed(DIALECTS[self.venue], config, self.node, random=Random(self.seed))
        self.rest = cast("VenueRest", Asking("http://venue", lambda: self.now_ms * 1_000_000))
        self.queue = SnapshotQueue(Random(f"queue {self.seed}"))
        self.plan = PagePlan(product.trades, lambda _: True)
        self.budget = self.rest.budget
        self.backoff = {kind: Backoff(0.5, 8.0, Random(f"{kind} {self.seed}")) for kind in ("hole", "tail", "history")}
        self.not_before_ms = dict.fromkeys(self.backoff, 0)
        self.under_way: set[str] = set()
        self.newest_at_ms = 0
        self.newest_asked_ms: dict[str, int] = {}
        self.muted: set[str] = set()
        """Streams that are being subscribed anew."""
        self.greetings: list[Frame] = []
        self.at_once = False
        self.universe_at_ms = 0

    # -- time -------------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return int(self.sim.now_ms)

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
        self.forgiving = True
        self.budget.held_until_ms = 0
        self.next_cut_ms = 1 << 62
        until = self.now_ms + longest_ms
        while not all(line.connected for line in self.lines):
            self._step()
        self.universe_at_ms = 0
        self.run(2_000)  # long enough for every busy stream to have spoken since
        while self.now_ms < until and self._unfinished():
            self.run(1_000)

    def _unfinished(self) -> bool:
        live = self.node.engine.books_by_state()
        edges = self.node.history_edges()
        return bool(
            self.node.trade_holes()
            or live[BookState.LIVE] < live.total()
            or self.plan.progress(edges, self.now_ms).complete < (len(edges) if self.product.trades.page else 0)
        )

    def _step(self) -> None:
        self._connect()
        if self.now_ms - self.universe_at_ms >= READ_UNIVERSE_MS:
            self._read_universe()
        (frames,) = self.sim.advance(self.now_ms + STEP_MS, congested=False)
        self.truth.remember_books()
        self.truth.remember_trades(frames)
        if self.now_ms >= self.next_cut_ms:
            self.next_cut_ms = self._next_cut()
            self._cut([self.random.choice(self.lines)], self.random.randint(*RECONNECT_MS))
        for inject in self.line_faults:
            frames = inject(frames, self.now_ms - T0)
        greetings, self.greetings = self.greetings, []
        arrived = [*greetings, *(frame for frame in frames if self._is_up(frame))]
        self._deliver(arrived)
        while self.calendar and self.calendar[0][0] <= self.now_ms:
            heapq.heappop(self.calendar)[2]()
        self._ask()
        if self.now_ms % CHECK_EVERY_MS == 0:
            self.failures += self.truth.wrong_books(self.node, self.now_ms)
            self.failures += self.node.ledger.check(self.node.engine)

    def _next_cut(self) -> int:
        fault = self.chosen.find("disconnect")
        return T0 + int(fault.value * 1_000 * self.random.uniform(0.2, 1.5)) + self.now_ms - T0 if fault else 1 << 62

    # -- the line -----------------------------------------------------------------------------------------------------

    def _offered(self, line: Line) -> dict[str, str]:
        """What a line shall carry, in the venue's words, with its symbol: of books the diffs alone."""
        offer = DIALECTS[self.venue].offer
        of_symbol = offer.trades if line.channel is Channel.TRADES else offer.books
        return {
            self._name(stream): symbol
            for symbol in self._names()
            for stream in of_symbol(symbol)
            if line.channel is Channel.TRADES or stream.channel is Channel.DEPTH
        }

    def stream(self, symbol: str, channel: Channel) -> str:
        """The stream of a symbol's trades, or of its book, in the venue's words."""
        line = self.lines[channel is Channel.DEPTH]
        return next(name for name, of in self._offered(line).items() if of == symbol)

    def _name(self, stream: Stream) -> str:
        return key_of(json.loads(f"{{{stream.name}}}")) if self.venue == "okx" else stream.name

    def _is_depth(self, stream: str) -> bool:
        return stream.startswith(("books:", "orderbook.")) or "@depth" in stream

    def _is_up(self, frame: Frame) -> bool:
        stream, payload = frame
        if stream.startswith(("!", "instruments:")):
            return True
        line = self.lines[self._is_depth(stream)]
        if not line.connected:
            self.truth.lose(payload)
        return line.connected and stream not in self.muted

    def _cut(self, lines: Sequence[Line], length_ms: int) -> None:
        for line in lines:
            line.down_until_ms = max(line.down_until_ms, self.now_ms + length_ms)
            line.connected = False
            line.cuts += 1
            line.streams.clear()
            self._want(self.node.on_disconnect(self._names(), line.channel.value))
            if line.channel is Channel.DEPTH:
                self.queue.interrupted(self._names())
                self.muted.clear()
            else:
                self.plan.interrupted(self._names())

    def _connect(self) -> None:
        for line in self.lines:
            if not line.connected and self.now_ms >= max(line.down_until_ms, T0 + self.connects_at_ms):
                line.connected = True
                self._subscribe(line, self._offered(line))

    def _subscribe(self, line: Line, streams: Mapping[str, str]) -> None:
        """Begin to read these: books that come in the stream begin with a snapshot."""
        for name in streams:
            if isinstance(self.sim, TopicMarket):
                if self._is_depth(name):
                    self.sim.close(name)
                self.sim.open(name)
                self.greetings += [(name, text) for text in self.sim.greeting(name)]
            else:
                self.sim.open(name)
        line.streams.update(streams)
        self.truth.remember_books()
        watched = self.queue if line.channel is Channel.DEPTH else self.plan
        watched.streaming(streams.values(), self.now_ms / 1_000)

    def _names(self) -> list[str]:
        return [instrument.symbol for instrument in self.node.universe]

    def _deliver(self, frames: list[Frame]) -> None:
        """Hand frames to the program in one to three reads."""
        if not frames:
            return
        cuts = sorted(self.random.randint(0, len(frames)) for _ in range(self.random.randrange(3)))
        for start, stop in zip([0, *cuts], [*cuts, len(frames)], strict=True):
            buffer, ends = bytearray(), []
            for stream, payload in frames[start:stop]:
                frame = self.server.wrapped(stream, payload).encode()
                buffer += frame
                ends.append(len(buffer))
                self._note_trades(payload, frame)
            self._want(self.node.on_frames(buffer, ends, self._recv_ns()))
        if any(stream.startswith(("!contractInfo", "instruments:")) for stream, _ in frames):
            self._at(self.now_ms + 1_500, self._read_universe)

    def _note_trades(self, payload: str, frame: bytes) -> None:
        """Keep account of trades that come: those of a message that was not damaged, or one refused message."""
        told = self.truth.take(payload)
        if told is not None:
            symbol, count = told
            self.delivered[symbol] += count
            return
        symbol, channel = self.product.stream_of(frame) or ("", None)
        if channel is Channel.TRADES:
            self.delivered[symbol] += 1

    def _recv_ns(self) -> int:
        """Our clock, which need not be the venue's."""
        return (self.now_ms - self.skew_ms) * 1_000_000

    def _want(self, needs: Sequence[Need]) -> None:
        for need in needs:
            if self.product.book.in_stream and need.reason in ("start", "disconnect"):
                continue  # the subscription brings it
            self.queue.want(
                self.node.universe[need.instrument].symbol,
                need.reason,
                self.now_ms / 1_000,
            )

    # -- REST -------------------------------------------------------------------------------------------------------

    def _asked(self, request: Request) -> bytes:
        """The program's client asks: answered in this moment, or carried out to be answered later."""
        if self.at_once:
            return str(ran(self.server.answer(request.path, request.query, self.now_ms))).encode()
        raise Asked(request)

    def _request(self, coroutine: Coroutine[Any, Any, bytes]) -> Request:
        try:
            ran(coroutine)
        except Asked as asked:
            return asked.request
        raise AssertionError("nothing was asked")

    def _read_universe(self) -> None:
        self.universe_at_ms = self.now_ms
        self.at_once = True
        listed = [one for body in ran(self.rest.instruments()) for one in self.product.instruments(body)]
        self.at_once = False
        if self.feed._take(listed):
            self._want(self.node.on_universe(list(self.feed.universe)))
            for line in self.lines:
                new = {name: symbol for name, symbol in self._offered(line).items() if name not in line.streams}
                if line.connected and new:
                    self._subscribe(line, new)
        if isinstance(self.sim, TopicMarket):
            for name in self._offered(self.lines[0]):
                self.sim.open(name)  # others listen, too: what is traded is remembered
            for i, kept in self.sim.fills.items():
                self.sim.fills[i] = deque(kept) if kept.maxlen else kept

    def _ask(self) -> None:
        now_s = self.now_ms / 1_000
        while (symbol := self.queue.peek(now_s)) is not None:
            if self.product.book.in_stream:
                self.queue.take(symbol)
                self.queue.answered(symbol, True, now_s)
                self._subscribe_again(symbol)
                continue
            if self.budget.room(Priority.BOOK, self.now_ms) < self.rest.depth_weight(RESYNC_DEPTH):
                break
            self.queue.take(symbol)
            self._get_book(symbol)
        if self.product.trades.newest:
            self._ask_newest()
        for kind in self.backoff if self.product.trades.page else ():
            if kind in self.under_way or self.now_ms < self.not_before_ms[kind]:
                continue
            page = self._next_page(kind)
            if page is not None:
                self.under_way.add(kind)
                self._get_page(kind, page)

    def _subscribe_again(self, symbol: str) -> None:
        """As `rebooks.Resubscriber` does."""
        self.queue.interrupted([symbol])
        line, stream = self.lines[1], self.stream(symbol, Channel.DEPTH)
        self.muted.add(stream)

        def acknowledged() -> None:
            if line.connected and stream in self.muted:
                self.muted.discard(stream)
                self._subscribe(line, {stream: symbol})

        self._at(self.now_ms + self.random.randint(*ANSWER_MS), acknowledged)

    def _next_page(self, kind: str) -> Page | None:
        def room(priority: Priority) -> int:
            return self.budget.room(priority, self.now_ms)

        if kind == "hole":
            return self.plan.next_hole(self.node.trade_holes(), self.now_ms / 1_000, room)
        if kind == "tail":
            return self.plan.next_tail(self.node.trade_tails(), self.now_ms / 1_000, self.now_ms, room)
        return self.plan.next_history(self.node.history_edges(), self.now_ms, room)

    def _get_book(self, symbol: str) -> None:
        def arrived(body: bytes | None) -> None:
            needs: list[Need] | None = None
            try:
                if body is not None:
                    needs = self.node.on_snapshot(symbol, body, self._recv_ns(), RESYNC_DEPTH)
            except FrameError as error:
                self.failures.append(f"{symbol}: snapshot refused: {error}")
            mine = [need for need in needs or [] if self.node.universe[need.instrument].symbol == symbol]
            self.queue.answered(symbol, needs is not None and not mine, self.now_ms / 1_000)

        request = self._request(self.rest.depth(symbol, RESYNC_DEPTH, Priority.BOOK))
        self._get(request, arrived, late_ms=int(self.chosen.value("snapshot-late")))

    def _get_page(self, kind: str, page: Page) -> None:
        def arrived(body: bytes | None) -> None:
            self.under_way.discard(kind)
            if body is None:
                self.not_before_ms[kind] = self.now_ms + int(self.backoff[kind].next_s() * 1_000)
                return
            self.backoff[kind].reset()
            told = self.product.trade_ids(body)
            ids = page.wanted(told)
            if page.takes(ids):
                self.delivered[page.symbol] += len(told)
                self._want(self.node.on_trades(page.symbol, body, self._recv_ns()))
            if page.tail is not None:
                self.node.tail_told(page.symbol, whole=len(ids) < page.limit or page.from_id == NO_ID)
            for hole, fate in self.plan.judge(page, ids, self.node.trade_holes(), self.now_ms / 1_000, self.now_ms):
                self.node.give_up(hole, fate)

        self._get(
            self._request(self.rest.trades(page.symbol, page.from_id, page.limit, page.priority)),
            arrived,
        )

    def _ask_newest(self) -> None:
        """As `recent.RecentTrades` does: of whom something may be missing, one symbol at a time."""
        line = self.lines[0]
        lost = {hole.symbol for hole in self.node.trade_holes()}
        lost |= {tail.symbol for tail in self.node.trade_tails() if tail.doubtful}
        if not lost or not line.connected or "newest" in self.under_way or self.now_ms < self.newest_at_ms:
            return
        symbol, cuts = min(lost, key=lambda name: self.newest_asked_ms.get(name, 0)), line.cuts
        self.newest_asked_ms[symbol] = self.now_ms
        self.under_way.add("newest")

        def arrived(body: bytes | None) -> None:
            self.under_way.discard("newest")
            self.newest_at_ms = self.now_ms + 500
            if body is None or line.cuts != cuts:
                return  # interrupted meanwhile: what comes next need not follow this answer
            told = self.product.trade_ids(body)
            self.delivered[symbol] += len(told)
            self.truth.tell_again(self.node, symbol, told)
            self._want(self.node.on_newest(symbol, body, self._recv_ns())[2])

        self._get(self._request(self.rest.newest_trades(symbol, Priority.GAP_FILL)), arrived)

    def _get(
        self,
        request: Request,
        arrived: Callable[[bytes | None], None],
        late_ms: int = 0,
    ) -> None:
        """Ask the venue: the answer of a moment later, or None for any failure."""
        grant = self.budget.take(request.weight, request.priority, self.now_ms)
        if grant is None:
            self._at(
                self.budget.next_chance_ms(self.now_ms),
                lambda: self._get(request, arrived, late_ms),
            )
            return

        def answer() -> None:
            status, body = self._venue_answers(request)
            headers = self.server.headers(ADDRESS, self.now_ms)
            self.budget.answered(grant, self.now_ms, self.rest._used_weight(headers))
            try:
                self.rest._judge(request.path, status, headers, body)
            except RestError:
                arrived(None)
            else:
                arrived(body)

        self._at(self.now_ms + self.random.randint(*ANSWER_MS) + late_ms, answer)

    def _venue_answers(self, request: Request) -> tuple[int, bytes]:
        try:
            if not self.forgiving:
                self.server.charge(ADDRESS, request.path, request.query, self.now_ms)
            if self._hit("http-418"):
                raise self.server.ban(ADDRESS, self.now_ms)
            if self._hit("http-429"):
                raise self.server.too_many(ADDRESS)
            if self._hit("http-5xx"):
                raise self.server.overloaded()
            return 200, str(ran(self.server.answer(request.path, request.query, self.now_ms))).encode()
        except ApiError as refused:
            return refused.status, refused.body.encode()

    def _hit(self, name: str) -> bool:
        fault = self.chosen.find(name)
        return fault is not None and self.random.random() < fault.value

    # -- the truth ----------------------------------------------------------------------------------------------------

    def prints(self, symbol: str) -> list[Print]:
        """The venue's own trades; see `Truth.prints`."""
        return self.truth.prints(symbol)

    def wrong(self) -> list[str]:
        """Everything that is not as the venue has it, or not accounted for."""
        return [
            *self.failures,
            *self.node.ledger.check(self.node.engine),
            *self.truth.wrong_books(self.node, self.now_ms),
            *self.truth.wrong_trades(self.node, self.delivered),
        ]

    def complete(self) -> list[str]:
        """What is still missing although everything could have been had."""
        return self.truth.missing(self.node)
