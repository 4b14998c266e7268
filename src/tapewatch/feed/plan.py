"""Which stream goes over which websocket: pure planning.

One socket serves one route. Sockets are kept small and their load even: a slow reader stalls on a socket with hundreds
of busy streams, and one socket lost should cost little. A plan changes as little as possible: a stream that has a
place keeps it for as long as it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..venues.binance_usdm import STREAMS_PER_SOCKET, Route

BOOKS_PER_SOCKET = 50


class Channel(StrEnum):
    """A kind of stream; the value is what /health and metrics call it."""

    AGG_TRADE = "aggTrade"
    DEPTH = "depth"
    BOOK_TICKER = "bookTicker"
    MARK_PRICE = "markPrice"
    TICKER = "ticker"
    FORCE_ORDER = "forceOrder"
    CONTRACT_INFO = "contractInfo"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Stream:
    """One subscription. `symbol` is empty for streams of the whole market."""

    name: str
    channel: Channel
    symbol: str = ""


MARK_PRICES = Stream("!markPrice@arr@1s", Channel.MARK_PRICE)
TICKERS = Stream("!ticker@arr", Channel.TICKER)
FORCE_ORDERS = Stream("!forceOrder@arr", Channel.FORCE_ORDER)
CONTRACTS = Stream("!contractInfo", Channel.CONTRACT_INFO)
WHOLE_MARKET_SOCKET = "market-all"
WHOLE_MARKET = (MARK_PRICES, FORCE_ORDERS, CONTRACTS, TICKERS)


def agg_trade(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@aggTrade", Channel.AGG_TRADE, symbol)


def depth(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@depth@100ms", Channel.DEPTH, symbol)


def book_ticker(symbol: str) -> Stream:
    return Stream(f"{symbol.lower()}@bookTicker", Channel.BOOK_TICKER, symbol)


def canary(symbol: str) -> Stream:
    """A stream that is never silent for more than a second, so that the silence of its socket means something."""
    return Stream(f"{symbol.lower()}@markPrice@1s", Channel.CANARY, symbol)


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What one websocket carries."""

    name: str
    route: Route
    streams: tuple[Stream, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(s.symbol for s in self.streams if s.symbol and s.channel != Channel.CANARY))


@dataclass(slots=True)
class _Shard:
    """A socket while it is being filled: symbols in order and the load they are expected to bring."""

    name: str
    symbols: list[str] = field(default_factory=list)
    load: float = 0.0


def plan(
    trades: Iterable[str],
    books: Iterable[str],
    load: Mapping[str, float] | None = None,
    current: Iterable[SocketPlan] = (),
    canary_symbol: str = "BTCUSDT",
) -> list[SocketPlan]:
    """Sockets that carry the trades of `trades` and the books of `books`.

    `load` is the expected traffic by symbol (24 h trade counts will do): heavy symbols are dealt to different sockets.
    Symbols already placed in `current` stay; sockets left without symbols disappear. `canary_symbol` must be one of
    the instruments watched.
    """
    loads = load or {}
    current = list(current)
    sockets = [SocketPlan(WHOLE_MARKET_SOCKET, "market", WHOLE_MARKET)]
    # One stream of each socket is its canary.
    for shard in _deal(trades, loads, STREAMS_PER_SOCKET - 1, "trades", current):
        streams = tuple(agg_trade(symbol) for symbol in shard.symbols)
        sockets.append(SocketPlan(shard.name, "market", (*streams, canary(canary_symbol))))
    for shard in _deal(books, loads, BOOKS_PER_SOCKET, "books", current):
        streams = tuple(make(symbol) for symbol in shard.symbols for make in (depth, book_ticker))
        sockets.append(SocketPlan(shard.name, "public", streams))
    return sockets


def _deal(
    wanted: Iterable[str], load: Mapping[str, float], room: int, kind: str, current: list[SocketPlan]
) -> list[_Shard]:
    """Distribute symbols over as few shards of at most `room` as hold them, heaviest first to the lightest shard."""
    missing = dict.fromkeys(wanted)
    shards = [_Shard(old.name) for old in current if old.name.startswith(kind)]
    for shard, old in zip(shards, (p for p in current if p.name.startswith(kind)), strict=True):
        for symbol in old.symbols:
            if symbol in missing:
                del missing[symbol]
                _place(shard, symbol, load)
    short = len(missing) - sum(room - len(shard.symbols) for shard in shards)
    taken = {shard.name for shard in shards}
    names = (name for number in range(1, 10_000) if (name := f"{kind}-{number}") not in taken)
    shards += [_Shard(next(names)) for _ in range(-(-short // room))]
    for symbol in sorted(missing, key=lambda s: (-load.get(s, 0.0), s)):
        _place(min((s for s in shards if len(s.symbols) < room), key=_fullness), symbol, load)
    return [shard for shard in shards if shard.symbols]


def _place(shard: _Shard, symbol: str, load: Mapping[str, float]) -> None:
    shard.symbols.append(symbol)
    shard.load += load.get(symbol, 0.0)


def _fullness(shard: _Shard) -> tuple[float, int]:
    return shard.load, len(shard.symbols)


@dataclass(frozen=True, slots=True)
class Change:
    """What must be done on one socket to follow a new plan."""

    subscribe: tuple[Stream, ...]
    unsubscribe: tuple[Stream, ...]


def changes(old: SocketPlan, new: SocketPlan) -> Change:
    """Streams to add to and to remove from a socket that goes from `old` to `new`."""
    before, after = set(old.streams), set(new.streams)
    return Change(
        tuple(s for s in new.streams if s not in before),
        tuple(s for s in old.streams if s not in after),
    )
