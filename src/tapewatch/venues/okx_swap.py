"""OKX v5 perpetual swaps: the facts of the venue, read like a data sheet. State of November 2026.

Units: everything is counted in contracts, which may be fractions. ``ctVal`` x ``ctMult`` is what one contract is worth,
in the base coin for linear contracts: quantity = contracts x ctVal x ctMult, applied once, by the codec. Inverse swaps
(BTC-USD-SWAP) are worth a number of dollars, and what that is in coins changes with every price: they are not followed
live. Where a recording holds them their quantity is in dollars and their kind says ``inverse``.

Books (``books``, 400 levels, 100 ms):

1. Subscribe. The first message is a snapshot (``prevSeqId`` -1), in the stream itself.
2. Every update has ``prevSeqId`` equal to the last ``seqId``; otherwise the book is stale: unsubscribe, subscribe.
3. Without a change an empty update comes about every 60 s, with ``seqId`` equal to ``prevSeqId``.
4. At maintenance the ids may begin anew: one update has ``seqId`` below ``prevSeqId``, and continues the chain.
5. Quantities are absolute; zero deletes.
6. ``checksum`` is deprecated since June 2026 and always 0: it is not looked at. Recordings of 2022 have it, and no ids;
   their books are checked against it in `tests/test_conformance_recordings.py`.

Trades (``trades``): fills of one taker order at one price, merged. ``tradeId`` is the id of the last of them and
``count`` their number, so ids before ``tradeId`` - ``count`` + 1 belong to the message before. REST gives single fills
by id, three months back.

Liquidations: sampled, not all, and sometimes minutes late. ``posSide`` is the side that was liquidated; in ``net`` mode
the order's side tells: sell closed a long. ``bkPx`` is the price of bankruptcy.

Messages are parsed in `okx_swap_codec`, answers of REST in `okx_swap_rest`.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ..model.channel import Channel
from ..model.instrument import Grid, Instrument
from ..model.rules import BookRule, TradeIds, TradeRule
from .okx_swap_codec import Codec, trade_ids
from .okx_swap_rest import VENUE, average_daily_volume, funding_intervals, parse_instruments, parse_volumes
from .product import Product, Sample
from .sheet import Heads

REQUESTS_PER_2_S = {
    "public/time": 10, "public/instruments": 20, "public/funding-rate": 10, "market/tickers": 20,
    "market/candles": 40, "market/history-trades": 20,
}  # fmt: skip
"""Each endpoint by itself, per address."""
RATE_LIMITED = 50011
HISTORY_TRADES_PAGE = 100
TRADES_HORIZON_MS = 90 * 86_400_000

WS_PATH = "/ws/v5/public"
"""On the port of https: 8443 was retired on 2026-10-31."""
PING = b"ping"
PONG = b"pong"
PING_EVERY_S = 20.0
"""The server closes what is silent for 30 s: quiet instruments, and connections without a subscription."""
COMMANDS_PER_HOUR = 480
"""Subscriptions, unsubscriptions and logins of one connection; a command with many arguments counts once."""
CONNECTIONS_PER_S = 3
ARGS_BYTES = 64 << 10
"""Of one command."""
BOOKS_PER_SOCKET = 30

BOOK_LEVELS = 400
SERVICE_UPGRADE = "64008"
"""Code of the notice that a connection will be closed in about 60 s."""

_HEADS = Heads(
    prefix=b'{"arg":{"channel":"',
    stop=b'"',
    channels={
        "trades": Channel.TRADES,
        "trades-all": Channel.TRADES,
        "books": Channel.DEPTH,
        "tickers": Channel.QUOTES,
        "mark-price": Channel.MARKS,
        "index-tickers": Channel.MARKS,
        "funding-rate": Channel.MARKS,
        "open-interest": Channel.MARKS,
        "liquidation-orders": Channel.LIQUIDATIONS,
        "instruments": Channel.INSTRUMENTS,
    },
    named=re.compile(rb'"channel"\s*:\s*"([a-z0-9-]+)"\s*,\s*"inst(?:Id|Type|Family)"\s*:\s*"([^"]{1,60})"'),
)

_SAMPLE = Sample(
    Instrument(
        0, VENUE, "W-USDT-SWAP", "W", "USDT", "perp", tick=Grid.parse("0.1"), lot=Grid.parse("0.001"),
        contract=Decimal("0.01"),
    ),
    1_791_565_600_000_000_000,
    (
        (b'{"arg":{"channel":"books","instId":"W-USDT-SWAP"},"action":"update","data":[{"asks":[],"bids":[["100.1","1.5",'
        b'"0","1"]],"ts":"1791565600000","checksum":0,"prevSeqId":1,"seqId":2}]}'),
    ),
)  # fmt: skip

PRODUCT = Product(
    name=VENUE,
    title="OKX swaps",
    kind="perp",
    rest_url="https://openapi.okx.com",
    ws_url="wss://ws.okx.com",
    example="BTC-USDT-SWAP",
    codec=Codec,
    book=BookRule("stream", window=BOOK_LEVELS),
    trades=TradeRule(
        ids=TradeIds.SPANNED, raw=True, page=HISTORY_TRADES_PAGE, page_weight=2, horizon_ms=TRADES_HORIZON_MS
    ),
    instruments=parse_instruments,
    volumes=parse_volumes,
    daily_volume=average_daily_volume,
    channel_of=_HEADS.channel_of,
    stream_of=_HEADS.stream_of,
    trade_ids=trade_ids,
    liquidations="A sample of liquidations, some of them minutes late: totals are an undercount. "
    "The price is that of bankruptcy.",
    funding_hours=None,
    funding_intervals=funding_intervals,
    sample=_SAMPLE,
)
