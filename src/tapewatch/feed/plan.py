"""Which stream goes over which websocket: pure planning.

One socket serves one route. Sockets are kept small and their load even: a slow reader stalls on a socket with hundreds
of busy streams, and one socket lost should cost little. A plan changes as little as possible: a stream that has a
place keeps it for as long as it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..model.channel import Channel

ALL_SOCKET = "market-all"
"""The socket of the streams that are about the whole market."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One subscription. `symbol` is empty for streams of the whole market."""

    name: str
    """As the venue writes it in commands and at the head of every message."""
    channel: Channel
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """Which streams a product has, grouped by the sockets that carry them."""

    trades: Callable[[str], tuple[Stream, ...]]
    """Streams of a symbol that every instrument followed gets: its trades and what else the venue tells a symbol."""
    books: Callable[[str], tuple[Stream, ...]]
    """Streams of a symbol whose book is kept."""
    whole_market: tuple[Stream, ...] = ()
    canary: Callable[[str], Stream] | None = None
    """Of a busy symbol; None where the trades' sockets are never silent, or nothing is certain to speak."""
    routes: tuple[str, str, str] = ("", "", "")
    """Routes of `whole_market`, `trades` and `books`; see `dialect.Dialect.path`."""
    streams_per_socket: int = 200
    books_per_socket: int = 50


@dataclass(frozen=True, slots=True)
class SocketPlan:
    """What one websocket carries."""

    name: str
    route: str
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
    offer: Offer,
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
    market_route, trades_route, books_route = offer.routes
    sockets = [SocketPlan(ALL_SOCKET, market_route, offer.whole_market)] if offer.whole_market else []
    canary = (offer.canary(canary_symbol),) if offer.canary is not None else ()
    room = (offer.streams_per_socket - len(canary)) // len(offer.trades(canary_symbol))
    for shard in _deal(trades, loads, room, "trades", current):
        streams = tuple(stream for symbol in shard.symbols for stream in offer.trades(symbol))
        sockets.append(SocketPlan(shard.name, trades_route, (*streams, *canary)))
    for shard in _deal(books, loads, offer.books_per_socket, "books", current):
        streams = tuple(stream for symbol in shard.symbols for stream in offer.books(symbol))
        sockets.append(SocketPlan(shard.name, books_route, streams))
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
