"""The live feed of one venue product: keeps instruments, websockets, books and averages current, for ever.

Nothing here reads prices. Frames go to the sink as they come; the driver knows streams, not markets. What is said in
which words, a `dialect.Dialect` knows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random

import msgspec

from ..config import VenueConfig
from ..model.channel import Channel
from ..model.errors import VenueError
from ..model.instrument import Instrument, Universe
from ..model.rules import TradeIds
from ..model.views import FeedState
from .adv import AdvLoader
from .backfill import TradeBackfill
from .backoff import Backoff
from .books import BookLoader
from .dialect import Dialect
from .gate import Gate
from .interest import InterestPoller
from .klines import KlineLoader
from .plan import Stream, plan
from .rebooks import Resubscriber
from .recent import RecentTrades
from .rest import RestError
from .sink import Sink
from .socket import LIFETIME_S, Socket
from .status import FeedStatus
from .taps import LiquidationsOnce
from .watchdog import Action, Remedy, Tap, Watchdog, worst

log = logging.getLogger(__name__)

REFRESH_S = 3600.0
"""Tick sizes change without a word on any stream: the instruments are read anew every hour."""
DOORBELL_S = 2.0
"""After a contract change on the stream: several come together, one reading serves them all."""
CLOCK_EVERY_S = 300.0
CLOCK_FIRST_SAMPLES, CLOCK_FIRST_EVERY_S = 6, 2.0
"""The first round trips share the line with everything that starts; one of a few is undisturbed."""
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
HANDSHAKES_AT_A_TIME = 4
DAY_S = 86_400.0
HOUR_MS = 3_600_000
SECOND = 1.0
LINGER_S = 30.0
"""An instrument followed on demand is let go so long after the last look at it."""
LATE_S = 0.5
"""A tick that comes later than this comes from a loop that is late: silence is not judged then."""
RECORDING_OFFSET_MS = DAY_S * 1000
"""A venue whose clock is further from ours than this plays a recording."""


class VenueFeed:
    """Everything that goes out to one product. `run` until cancelled; `status` at any time."""

    def __init__(
        self,
        dialect: Dialect,
        config: VenueConfig,
        sink: Sink,
        clock: Callable[[], int] = time.time_ns,
        *,
        adv_days: int = 30,
        refresh_s: float = REFRESH_S,
        socket_lifetime_s: float = LIFETIME_S,
        random: Random | None = None,
    ) -> None:
        self.product = dialect.product
        self.config = config
        self.universe = Universe(self.product.name)
        self.rest = dialect.rest(config.rest_url, clock, random)
        self.watchdog = Watchdog(dialect.wire.heading, tickers_testify=dialect.last_trade_ids is not None)
        self.sockets: dict[str, Socket] = {}
        self._dialect = dialect
        self._sink = sink
        self._clock = clock
        self._random = random or Random()  # noqa: S311  (jitter is no secret)
        self._refresh_s = refresh_s
        self._socket_lifetime_s = socket_lifetime_s
        self._books: BookLoader | Resubscriber = (
            Resubscriber(self.universe, self._subscribe_again, self._random)
            if self.product.book.in_stream
            else BookLoader(self.rest, sink, self.universe, config.book_depth, self._random, clock)
        )
        self._adv = AdvLoader(self.rest, sink, adv_days, self._random, self.product.daily_volume)
        read = self.product.interest
        self._interest = None if read is None else InterestPoller(self.rest, sink, read)
        lost = self.product, self.rest, sink, self._books.want, self._books.queue.is_first, self._random, clock
        self._backfill: TradeBackfill | RecentTrades = (
            RecentTrades(*lost)
            if self.product.trades.newest
            else TradeBackfill(*lost, is_busy=lambda: len(self._books.queue) > 0)
        )
        self._klines = KlineLoader(self.product, self.rest, sink, self._books.queue.is_first, self._random)
        self._taps: dict[Channel, Tap] = {Channel.INSTRUMENTS: self._on_contract_info}
        if dialect.last_trade_ids is not None:
            self._taps[Channel.TICKERS] = self._on_tickers
        if dialect.liquidation_mark is not None:
            self._taps[Channel.LIQUIDATIONS] = LiquidationsOnce(dialect.liquidation_mark)
        self._listed: dict[str, Instrument] = {}
        """Instruments that trade and are not followed: whoever asks for one gets it at once."""
        self._asked: dict[str, float] = {}
        """Instruments followed on demand, and when somebody last looked at them."""
        self._volume: dict[str, float] = {}
        self._trades_per_s: dict[str, float] = {}
        self._followed_books: set[str] = set()
        self._socket_tasks: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._gate = Gate(HANDSHAKES_AT_A_TIME, dialect.connect_every_s)
        self._unheard: set[str] = set()
        """Symbols whose trades fell silent: an acknowledgement proves nothing, only their next trade does."""
        self._doorbell = asyncio.Event()
        self._troubles: dict[str, str] = {}
        """What is wrong outside the sockets: one sentence for each thing that fails."""

    async def run(self) -> None:
        """Keep the feed going. What the venue does wrong is met with patience; a defect of ours ends it."""
        async with self.rest, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_clock())
            tasks.create_task(self._keep_universe())
            tasks.create_task(self._watch())
            tasks.create_task(self._books.run())
            tasks.create_task(self._adv.run())
            tasks.create_task(self._backfill.run())
            tasks.create_task(self._klines.run())
            if self._interest is not None:
                tasks.create_task(self._interest.run())

    def want_book_first(self, symbols: Iterable[str]) -> None:
        """These symbols are on somebody's screen, most important first; they replace the ones named before."""
        self._books.put_first(symbols)

    # -- on demand ----------------------------------------------------------------------------------------------

    def ask(self, symbol: str) -> None:
        """Follow an instrument that the configuration leaves out, if the venue lists it: somebody looks at it."""
        now = asyncio.get_running_loop().time()
        if symbol in self._asked:
            self._asked[symbol] = now
        elif symbol in self._listed or self._is_idle(symbol):
            log.info("followed_on_demand instrument=%s:%s", self.product.name, symbol)
            self._asked[symbol] = now
            told = self._listed.pop(symbol, None)
            if told is not None:
                self.universe.add(told)
                self._books.want(self._sink.on_universe(list(self.universe)))
            self._follow_asked()

    def in_sight(self, symbols: Iterable[str]) -> None:
        """These are being looked at. What was followed on demand and is not among them for a while is let go."""
        now = asyncio.get_running_loop().time()
        for symbol in symbols:
            self.ask(symbol)
        gone = [symbol for symbol, seen in self._asked.items() if now - seen > LINGER_S]
        for symbol in gone:
            log.info("no_longer_followed instrument=%s:%s", self.product.name, symbol)
            del self._asked[symbol]
        if gone:
            self._backfill.interrupted(gone)
            self._follow_asked()

    def _is_idle(self, symbol: str) -> bool:
        """Whether an instrument was followed on demand before and is not any more."""
        instrument = self.universe.find(symbol)
        return instrument is not None and instrument.trading and not self._is_followed(instrument)

    def _is_followed(self, instrument: Instrument) -> bool:
        wanted = self.config.symbols
        return instrument.trading and (
            wanted == "all" or instrument.symbol in wanted or instrument.symbol in self._asked
        )

    def _follow_asked(self) -> None:
        self._books.want(self._sink.on_followed(frozenset(self._asked)))
        self._replan()

    # -- instruments --------------------------------------------------------------------------------------------

    async def _keep_universe(self) -> None:
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random)
        while True:
            try:
                await self._refresh_universe()
            except VenueError as error:
                self._trouble("instruments", error)
                await asyncio.sleep(backoff.next_s())
                continue
            self._trouble("instruments", None)
            backoff.reset()
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        """Until the hour is over or a contract has changed."""
        try:
            async with asyncio.timeout(self._refresh_s):
                await self._doorbell.wait()
                await asyncio.sleep(DOORBELL_S)
        except TimeoutError:
            pass
        self._doorbell.clear()

    async def _refresh_universe(self) -> None:
        if self.rest.offset.ms is None:
            # Before the first frame: a venue that plays a recording lives at another time.
            await self.rest.synchronise()
        unreadable: list[str] = []
        listed: list[Instrument] = []
        for body in await self.rest.instruments():
            listed += await asyncio.to_thread(self.product.instruments, body, unreadable=unreadable)
        if unreadable:
            name, count = self.product.name, len(unreadable)
            log.warning("instruments_unreadable venue=%s count=%d first=%r", name, count, unreadable[0])
        if self._take(listed):
            if not self.sockets:
                await self._read_volumes()
            self._books.want(self._sink.on_universe(list(self.universe)))
            self._replan()
        if self.product.funding_intervals is not None:
            await self._read_funding_intervals(self.product.funding_intervals)

    async def _read_funding_intervals(self, read: Callable[[bytes], dict[str, int]]) -> None:
        """How often each perpetual pays, where the list of instruments does not say."""
        try:
            told = read(await self.rest.funding())
        except VenueError as error:
            # The panel says that it does not know.
            log.warning("funding_intervals_unknown venue=%s reason=%r", self.product.name, str(error))
            return
        usual_ms = (self.product.funding_hours or 0) * HOUR_MS
        changed = False
        for one in list(self.universe) if told else []:
            funding_ms = told.get(one.symbol, usual_ms) if one.kind != "future" else 0
            if funding_ms != one.funding_ms:
                self.universe.update(replace(one, funding_ms=funding_ms))
                changed = True
        if changed:
            self._books.want(self._sink.on_universe(list(self.universe)))

    def _take(self, listed: Sequence[Instrument]) -> bool:
        """Bring our universe up to what the venue lists; True when anything has changed."""
        wanted = self.config.symbols
        changed = False
        seen = {instrument.symbol for instrument in listed}
        for told in listed:
            if wanted != "all" and told.symbol not in wanted and told.symbol not in self.universe:
                if told.trading:
                    self._listed[told.symbol] = told
                continue
            known = self.universe.find(told.symbol)
            if known is None and told.trading:
                self.universe.add(told)
                changed = True
            elif known is not None and known != (
                placed := replace(told, index=known.index, funding_ms=told.funding_ms or known.funding_ms)
            ):
                self.universe.update(placed)
                changed = True
        for gone in [i for i in self.universe if i.trading and i.symbol not in seen]:
            self.universe.update(replace(gone, status="DELISTED"))
            changed = True
        unknown = [symbol for symbol in wanted if symbol not in self.universe] if wanted != "all" else []
        names = ", ".join(unknown)
        self._trouble("symbols", VenueError(f"{names}: not traded on {self.product.title}") if unknown else None)
        return changed

    async def _read_volumes(self) -> None:
        """24 h figures, so that heavy symbols are dealt to different sockets and large markets go first."""
        try:
            rows = self.product.volumes(await self.rest.volumes())
        except (RestError, msgspec.MsgspecError) as error:
            log.warning(
                "volumes_unknown venue=%s reason=%r", self.product.name, str(error)
            )  # only the order of things suffers
            return
        self._volume = {row.symbol: row.quote_volume for row in rows}
        self._trades_per_s = {row.symbol: row.trades / DAY_S for row in rows}
        self._books.queue.set_rank(self._volume)
        self._backfill.expect(self._trades_per_s)
        self._klines.rates = self._trades_per_s

    def _on_contract_info(self, _frame: bytes) -> bool:
        """A contract was listed, delisted or changed: what exactly, the venue's list says."""
        self._doorbell.set()
        return True

    # -- sockets ------------------------------------------------------------------------------------------------

    def _replan(self) -> None:
        """Open, change and close sockets so that they carry what is to be followed."""
        trading = [i.symbol for i in self.universe if self._is_followed(i)]
        books = self.config.book_symbols
        followed = [s for s in trading if s in self._asked or books == "all" or (books != "none" and s in books)]
        if not trading:
            planned = []
        else:
            example = self.product.example
            canary = example if example in trading else max(trading, key=lambda s: self._volume.get(s, 0.0))
            current = [socket.plan for socket in self.sockets.values()]
            planned = plan(self._dialect.offer, trading, followed, self._volume, current, canary)
        for name in self.sockets.keys() - {socket.name for socket in planned}:
            self._socket_tasks.pop(name).cancel()
            del self.sockets[name]
            self.watchdog.forget(name)
        for wanted in planned:
            watch = self.watchdog.follow(wanted, self._trades_per_s, self._taps)
            if wanted.name in self.sockets:
                self.sockets[wanted.name].follow(wanted)
            else:
                url = self.config.ws_url + self._dialect.path(wanted.route)
                self._open(Socket(
                    wanted, url, self._dialect.wire, watch, self.watchdog, self,
                    random=self._random, gate=self._gate, clock=self._clock, lifetime_s=self._socket_lifetime_s,
                ))  # fmt: skip
        self._adv.follow(trading, self._volume)
        if self._interest is not None:
            self._interest.follow(trading, self._volume)
        for symbol in self._followed_books - set(followed):
            self._books.queue.forget(symbol)
        for symbol in set(followed) - self._followed_books:
            self._books.start(symbol)
        self._followed_books = set(followed)

    def _subscribe_again(self, symbols: Sequence[str]) -> None:
        """Ask for the books of these anew: the venue answers with a snapshot in the stream."""
        wanted = set(symbols)
        for socket in self.sockets.values():
            streams = [s for s in socket.plan.streams if s.channel is Channel.DEPTH and s.symbol in wanted]
            if streams:
                socket.subscribe_again(streams)

    def _open(self, socket: Socket) -> None:
        if self._tasks is None:
            raise RuntimeError("the feed does not run")
        self.sockets[socket.plan.name] = socket
        self._socket_tasks[socket.plan.name] = self._tasks.create_task(socket.run())

    async def _watch(self) -> None:
        """Once a second: who is silent, and what is done about it."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SECOND
            await asyncio.sleep(SECOND)
            late_s = loop.time() - due
            for socket in self.sockets.values():
                socket.weigh(SECOND + late_s, late=late_s > LATE_S)
            for remedy in self._remedies(loop.time()):
                socket = self.sockets[remedy.socket]
                action = remedy.action
                log.warning(
                    "silence venue=%s socket=%s remedy=%s reason=%r",
                    self.product.name, remedy.socket, action.value, remedy.reason,
                )  # fmt: skip
                if self.product.trades.ids is TradeIds.RISING:
                    self._lost_in_silence(remedy.streams)
                if action is Action.RESUBSCRIBE:
                    socket.subscribe_again(remedy.streams)
                elif action is Action.REPLACE:
                    socket.replace()
                else:
                    socket.reconnect(remedy.reason)
            if self._unheard:
                heard = self._unheard & self.watchdog.delivering(Channel.TRADES)
                self._unheard -= heard
                self._backfill.streaming(heard)
            for socket in self.sockets.values():
                socket.tick(SECOND)

    def _lost_in_silence(self, streams: Sequence[Stream]) -> None:
        """Where ids do not tell that trades are missing, the silence itself is the gap, until a trade ends it.

        What is asked of the venue before that tells nothing of what is still to be missed.
        """
        symbols = [stream.symbol for stream in streams if stream.channel is Channel.TRADES]
        self._unheard.update(symbols)
        self._backfill.interrupted(symbols)
        self._books.want(self._sink.on_disconnect(symbols, Channel.TRADES.value))

    def _remedies(self, now_s: float) -> list[Remedy]:
        """What the watchdog prescribes; nothing to a recording, whose streams end where they end."""
        remedies = self.watchdog.tick(now_s)
        return [] if abs(self.rest.offset.ms or 0.0) > RECORDING_OFFSET_MS else remedies

    # -- what sockets tell --------------------------------------------------------------------------------------

    def on_read(self, buffer: bytearray, ends: array[int], recv_ns: int) -> None:
        """Messages of one socket read."""
        needs = self._sink.on_frames(buffer, ends, recv_ns)
        if needs:
            self._books.want(needs)

    def on_confirmed(self, streams: Sequence[Stream]) -> None:
        """Diffs of these books are being kept from now on: a snapshot makes sense. Trades tell what was missed."""
        self._books.streaming(stream.symbol for stream in streams if stream.channel is Channel.DEPTH)
        traded = {stream.symbol for stream in streams if stream.channel is Channel.TRADES}
        self._backfill.streaming(traded - self._unheard)

    def on_lost(self, socket: Socket) -> None:
        """The streams of a socket were interrupted."""
        for channel in (Channel.TRADES, Channel.DEPTH, Channel.QUOTES):
            symbols = [stream.symbol for stream in socket.plan.streams if stream.channel == channel]
            if not symbols:
                continue
            if channel == Channel.DEPTH:
                self._books.queue.interrupted(symbols)
            elif channel == Channel.TRADES:
                self._backfill.interrupted(symbols)
                self._unheard.difference_update(symbols)
            self._books.want(self._sink.on_disconnect(symbols, channel.value))

    def venue_ms(self) -> int:
        """The venue's clock."""
        return self.rest.venue_ms()

    def _on_tickers(self, frame: bytes) -> bool:
        if self._dialect.last_trade_ids is not None:
            self.watchdog.trade_ids(self._dialect.last_trade_ids(frame))
        return True

    # -- clock --------------------------------------------------------------------------------------------------

    async def _keep_clock(self) -> None:
        samples = 0
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S, self._random)
        while True:
            try:
                await self.rest.synchronise()
            except RestError as error:
                self._trouble("clock", error)
                await asyncio.sleep(backoff.next_s())
            else:
                self._trouble("clock", None)
                backoff.reset()
                samples += 1
                await asyncio.sleep(CLOCK_EVERY_S if samples >= CLOCK_FIRST_SAMPLES else CLOCK_FIRST_EVERY_S)

    # -- status -------------------------------------------------------------------------------------------------

    def _trouble(self, what: str, error: VenueError | None) -> None:
        """Keep the sentence of what fails; one log line when it begins and one when it is over."""
        if error is not None:
            if what not in self._troubles:
                log.warning("venue_trouble venue=%s what=%s reason=%r", self.product.name, what, str(error))
            self._troubles[what] = str(error)
        elif self._troubles.pop(what, None) is not None:
            log.info("venue_fine venue=%s what=%s", self.product.name, what)

    @property
    def status(self) -> FeedStatus:
        sockets = [socket.status() for socket in self.sockets.values()]
        state = worst([socket.state for socket in sockets])
        now_ms = self.rest.venue_ms()
        held_ms = max(0, self.rest.budget.held_until_ms - now_ms)
        if not sockets and (self._troubles or held_ms):
            state = FeedState.DOWN
        ages = [socket.data_age_ms for socket in sockets if socket.data_age_ms is not None]
        sentences = [*self._troubles.values(), *(f"{s.name}: {s.detail}" for s in sockets if s.detail)]
        if held_ms:
            sentences.insert(0, f"{self.rest.refusal}; nothing is asked for {held_ms / 1000:.0f} s")
        history = self._backfill.progress()
        klines_symbols, klines_loaded = self._klines.progress()
        return FeedStatus(
            venue=self.product.name,
            state=state,
            detail=sentences[0] if sentences else "",
            instruments=len(self.universe),
            sockets=sockets,
            channels=self.watchdog.channels(),
            silent=self.watchdog.silent(),
            connected=sum(socket.watch.connected for socket in self.sockets.values()),
            reconnects=sum(socket.reconnects for socket in sockets),
            data_age_ms=min(ages, default=None),
            clock_offset_ms=self.rest.offset.ms,
            weight_used=self.rest.budget.used(now_ms),
            weight_limit=self.rest.budget.limit,
            held_for_ms=held_ms,
            snapshots_queued=len(self._books.queue),
            snapshots_loaded=self._books.loaded,
            snapshots_failed=self._books.failed.total(),
            trades_backfilled=self._backfill.filled,
            trades_given_up=sum(self._backfill.given_up.values()),
            history_trades=self._backfill.loaded,
            history_symbols=history.symbols,
            history_complete=history.complete,
            history_share=history.share,
            klines_symbols=klines_symbols,
            klines_loaded=klines_loaded,
            adv_loaded=len(self._adv.loaded),
        )
