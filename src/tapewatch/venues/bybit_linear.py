"""Bybit v5 linear contracts: the facts of the venue, read like a data sheet. State of November 2026.

Books (``orderbook.200``):

1. Subscribe. The first message is a snapshot, in the stream itself; there is none to fetch.
2. Every delta has ``u`` one above the last; otherwise the book is stale: unsubscribe and subscribe again. (The venue
   writes this rule down for its full book only; its archive and our recording obey it here.)
3. A later snapshot replaces the book, whatever came before it; ``u`` 1 says that the venue's service was restarted.
4. Quantities are absolute; zero deletes. A level that falls out of the best 200 is deleted, and sent again when it
   comes back: beyond the worst level nothing is known.

Trades: ids are random. ``seq`` rises with every event of an instrument but does not count its trades, so repetitions
show and losses do not: an interruption is a gap of unknown size. REST gives the newest 1000 trades and no older one:
as far as they reach, what an interruption has hidden comes back.

Tickers: a snapshot, then deltas in which an absent field is unchanged.

Liquidations: all of them, in batches of 500 ms. ``S`` is the side of the *position*: Buy was a long. The price is the
one of bankruptcy, not of a fill.

Open interest counts longs and shorts together; ``singleOpenInterest`` (since June 2026) counts them once.

Messages are parsed in `bybit_linear_codec`, answers of REST in `bybit_linear_rest`.
"""

from __future__ import annotations

import re

from ..model.channel import Channel
from ..model.instrument import Grid, Instrument
from ..model.rules import BookRule, TradeIds, TradeRule
from .bybit_linear_codec import Codec, trade_ids
from .bybit_linear_rest import RECENT_TRADES, VENUE, average_daily_volume, parse_instruments, parse_volumes
from .product import Lacks, Product, Sample
from .sheet import Heads

REQUESTS, REQUESTS_WINDOW_MS = 600, 5_000
"""REST requests an address may make in such a time, over all hosts; beyond it 403 "access too frequent"."""
BANNED_MS = 600_000
"""After a 403 every session has to stop for so long."""
TOO_MANY_VISITS = 10006
"""`retCode` of a limit of one endpoint."""
INSTRUMENTS_PAGE = 1000
KLINES_PAGE = 1000

WS_PATH = "/v5/public/linear"
PING = b'{"op":"ping"}'
PING_EVERY_S = 20.0
IDLE_S = 600.0
"""A connection without ping and data is closed after so long."""
ARGS_CHARACTERS = 21_000
"""All subscriptions of one connection together, as they are written in commands."""
CONNECTIONS_PER_5_MIN = 500

BOOK_EVERY_MS = {1: 10, 50: 20, 200: 100, 1000: 200}
"""Depths of the book streams and their rhythm; 500 was removed in September 2025."""
BOOK_LEVELS = 200
"""Ours: the rhythm of the other venues."""

_HEADS = Heads(
    prefix=b'{"topic":"',
    stop=b".",
    channels={
        "publicTrade": Channel.TRADES,
        "orderbook": Channel.DEPTH,
        "tickers": Channel.MARKS,
        "allLiquidation": Channel.LIQUIDATIONS,
    },
    named=re.compile(rb'"topic"\s*:\s*"([A-Za-z]+)\.(?:[0-9]+\.)?([^"]{1,60})"'),
)

_SAMPLE = Sample(
    Instrument(0, VENUE, "WUSDT", "W", "USDT", "perp", tick=Grid.parse("0.1"), lot=Grid.parse("0.001")),
    1_791_565_600_000_000_000,
    (
        (
            b'{"topic":"orderbook.200.WUSDT","type":"delta","ts":1791565600000,"data":{"s":"WUSDT","b":[["100.1","1.000"]],'
            b'"a":[],"u":2,"seq":2},"cts":1791565600000}'
        ),
    ),
)

PRODUCT = Product(
    name=VENUE,
    title="Bybit linear",
    kind="perp",
    rest_url="https://api.bybit.com",
    ws_url="wss://stream.bybit.com",
    example="BTCUSDT",
    codec=Codec,
    book=BookRule("stream", window=BOOK_LEVELS),
    trades=TradeRule(ids=TradeIds.RISING, raw=True, newest=RECENT_TRADES),
    instruments=parse_instruments,
    volumes=parse_volumes,
    daily_volume=average_daily_volume,
    channel_of=_HEADS.channel_of,
    stream_of=_HEADS.stream_of,
    trade_ids=trade_ids,
    liquidations="Every liquidation, in batches of half a second; the price is that of bankruptcy, not of a fill.",
    funding_hours=None,
    sample=_SAMPLE,
    lacks=Lacks(
        backfill=(
            "Bybit tells the newest 1,000 trades of a symbol: what an interruption hid before them stays a gap. "
            "Its trade ids do not count: trades lost without an interruption do not show."
        ),
    ),
)
