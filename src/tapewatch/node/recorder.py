"""Hands what the feed of a venue brings to its journal: which reads of a socket are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..journal import Content, Journal, StreamClass
from ..journal.format import instruments_entry
from ..model.channel import Channel
from ..model.instrument import Instrument

_TRADES, _DEPTH, _QUOTES = StreamClass.TRADES, StreamClass.DEPTH, StreamClass.QUOTES

CLASSES = {
    Channel.TRADES: StreamClass.TRADES,
    Channel.LIQUIDATIONS: StreamClass.LIQUIDATIONS,
    Channel.MARKS: StreamClass.MARKS,
    Channel.DEPTH: StreamClass.DEPTH,
    Channel.QUOTES: StreamClass.QUOTES,
    Channel.TICKERS: None,
}
"""Class of each channel. Tickers are sums over what is recorded, and no rows of the tape: they are left out. What is
none of these (answers to commands, contract changes, garbled messages) is rare, and recorded as `OTHER`."""
ChannelOf = Callable[[bytes | bytearray, int, int], tuple[Channel | None, bool]]


class VenueRecorder:
    """Chooses what of one venue goes into its journal. Every call costs the event loop a copy at most."""

    def __init__(self, journal: Journal, record: Iterable[str], channel_of: ChannelOf) -> None:
        self.journal = journal
        self._channel_of = channel_of
        self._record = frozenset(StreamClass[name.upper()] for name in record) | {StreamClass.OTHER}
        self._guarded: frozenset[StreamClass] = frozenset()
        self._wanted = self._record

    def wanted(self) -> frozenset[StreamClass]:
        """Classes that are recorded now: those asked for, without those that the disk guard has stopped."""
        if self._guarded is not self.journal.guarded:
            self._guarded = self.journal.guarded
            self._wanted = self._record - self._guarded
        return self._wanted

    def instruments(self, instruments: Sequence[Instrument], recv_ns: int) -> None:
        """Say what the records from here on are about."""
        self.journal.add(instruments_entry(instruments, recv_ns))

    def frames(self, buffer: bytes | bytearray, ends: Sequence[int], recv_ns: int) -> None:
        """Record a socket read.

        One socket carries either trades (with a mark price a second), or diffs and quotes, or streams of the whole
        market: for the first two the first message decides about the whole read.
        """
        channel, whole_market = self._channel_of(buffer, 0, ends[0])
        wanted = self.wanted()
        if not whole_market:
            first = CLASSES.get(channel) if channel is not None else None
            if first is _TRADES and _TRADES in wanted:
                self._append(_TRADES, buffer, 0, ends, recv_ns)
                return
            if first is _DEPTH or first is _QUOTES:
                if _DEPTH in wanted and _QUOTES in wanted:
                    self._append(_DEPTH, buffer, 0, ends, recv_ns)
                    return
                if _DEPTH not in wanted and _QUOTES not in wanted:
                    return
        self._sift(buffer, ends, recv_ns, wanted)

    def _sift(
        self, buffer: bytes | bytearray, ends: Sequence[int], recv_ns: int, wanted: frozenset[StreamClass]
    ) -> None:
        """Record runs of messages of one class out of a read that has several."""
        run, run_from, start = None, 0, 0
        for k, end in enumerate(ends):
            channel = self._channel_of(buffer, start, end)[0]
            found = CLASSES.get(channel, StreamClass.OTHER) if channel is not None else StreamClass.OTHER
            start = end
            stream = found if found in wanted else None
            if stream is not run:
                self._run(run, buffer, ends, run_from, k, recv_ns)
                run, run_from = stream, k
        self._run(run, buffer, ends, run_from, len(ends), recv_ns)

    def _run(
        self, stream: StreamClass | None, buffer: bytes | bytearray, ends: Sequence[int], first: int, end: int,
        recv_ns: int,
    ) -> None:  # fmt: skip
        if stream is None or first == end:
            return
        begin = ends[first - 1] if first else 0
        self._append(stream, buffer, begin, [at - begin for at in ends[first:end]], recv_ns)

    def _append(
        self, stream: StreamClass, buffer: bytes | bytearray, begin: int, ends: Sequence[int], recv_ns: int
    ) -> None:
        # The buffer goes on behind the last message: room for scanners.
        payload = memoryview(buffer)[begin : begin + ends[-1]]
        self.journal.append(Content.FRAMES, stream, recv_ns, payload, ends)

    def trades(self, symbol: str, body: bytes, recv_ns: int) -> None:
        """Record a REST answer with trades that a hole had hidden."""
        if _TRADES in self.wanted():
            self.journal.append(Content.TRADES, _TRADES, recv_ns, body, symbol=symbol)

    def snapshot(self, symbol: str, body: bytes, recv_ns: int) -> None:
        """Record a book snapshot where diffs are recorded: without it they could not be replayed."""
        if _DEPTH in self.wanted():
            self.journal.append(Content.SNAPSHOT, _DEPTH, recv_ns, body, symbol=symbol)
