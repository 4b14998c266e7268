"""The connection planner: every stream once, within limits, on the right route, and still where it was."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.feed.binance_usdm import OFFER, agg_trade, book_ticker, depth
from tapewatch.feed.plan import SocketPlan, Stream, changes, plan
from tapewatch.model.channel import Channel
from tapewatch.venues.binance_usdm import STREAMS_PER_SOCKET

ROUTES = {
    Channel.TRADES: "market",
    Channel.CANARY: "market",
    Channel.MARKS: "market",
    Channel.TICKERS: "market",
    Channel.LIQUIDATIONS: "market",
    Channel.INSTRUMENTS: "market",
    Channel.DEPTH: "public",
    Channel.QUOTES: "public",
}

symbol_sets = st.sets(st.integers(0, 900), max_size=800).map(lambda numbers: [f"S{n}USDT" for n in numbers])


def carried(sockets: list[SocketPlan]) -> list[Stream]:
    return [s for socket in sockets for s in socket.streams if s.channel != Channel.CANARY]


def check(sockets: list[SocketPlan], trades: list[str], books: list[str]) -> None:
    wanted = [*OFFER.whole_market, *map(agg_trade, trades), *map(depth, books), *map(book_ticker, books)]
    assert sorted(carried(sockets), key=str) == sorted(wanted, key=str)
    assert len({socket.name for socket in sockets}) == len(sockets)
    for socket in sockets:
        assert 0 < len(socket.streams) <= STREAMS_PER_SOCKET
        assert all(ROUTES[stream.channel] == socket.route for stream in socket.streams)
        if socket.name.startswith("books"):
            assert len(socket.symbols) <= OFFER.books_per_socket
        if socket.name.startswith("trades"):
            assert sum(s.channel == Channel.CANARY for s in socket.streams) == 1


@settings(deadline=None)
@given(symbol_sets, symbol_sets, st.integers(0, 2**32))
def test_every_stream_has_exactly_one_place_on_its_route(trades: list[str], books: list[str], seed: int) -> None:
    random = Random(seed)
    load = {symbol: random.paretovariate(0.5) for symbol in trades}
    check(plan(OFFER, trades, books, load), trades, books)


@settings(deadline=None)
@given(symbol_sets, symbol_sets, symbol_sets, symbol_sets)
def test_a_new_plan_moves_nothing_that_is_still_wanted(
    trades: list[str], books: list[str], later_trades: list[str], later_books: list[str]
) -> None:
    before = plan(OFFER, trades, books)
    after = plan(OFFER, later_trades, later_books, current=before)
    check(after, later_trades, later_books)
    place = {s.name: socket.name for socket in before for s in socket.streams if s.channel != Channel.CANARY}
    for socket in after:
        for stream in socket.streams:
            if stream.channel != Channel.CANARY and stream.name in place:
                assert place[stream.name] == socket.name


def test_as_few_sockets_as_hold_the_whole_market() -> None:
    symbols = [f"S{n}USDT" for n in range(740)]
    sockets = plan(OFFER, symbols, symbols)
    assert sum(socket.name.startswith("trades") for socket in sockets) == 4
    assert sum(socket.name.startswith("books") for socket in sockets) == 15


def test_heavy_symbols_are_dealt_to_different_sockets() -> None:
    symbols = [f"S{n}USDT" for n in range(400)]
    load = {symbol: 1_000_000 / (n + 1) for n, symbol in enumerate(symbols)}
    shards = [socket for socket in plan(OFFER, symbols, [], load) if socket.name.startswith("trades")]
    assert len(shards) == 3
    assert len({next(s.name for s in shards if hot in s.symbols) for hot in symbols[:3]}) == 3


def test_one_overwhelming_symbol_does_not_overfill_the_other_socket() -> None:
    symbols = [f"S{n}USDT" for n in range(2 * (STREAMS_PER_SOCKET - 1))]
    check(plan(OFFER, symbols, symbols[:100], {"S7USDT": 1e9}), symbols, symbols[:100])


def test_names_are_the_venues_own_lower_case_and_keep_other_scripts() -> None:
    assert agg_trade("币安人生USDT").name == "币安人生usdt@aggTrade"
    assert depth("1000PEPEUSDT").name == "1000pepeusdt@depth@100ms"


def test_a_listing_is_one_subscription_more_and_a_delisting_one_less() -> None:
    before = plan(OFFER, ["AUSDT", "BUSDT"], ["AUSDT"])
    after = plan(OFFER, ["BUSDT", "CUSDT"], ["AUSDT"], current=before)
    old, new = (next(s for s in sockets if s.name == "trades-1") for sockets in (before, after))
    change = changes(old, new)
    assert change.subscribe == (agg_trade("CUSDT"),)
    assert change.unsubscribe == (agg_trade("AUSDT"),)
