"""A quarter of an hour of three venues, the same every time, for the terminal dashboard; and its pictures as text.

``python tests/tui_world.py`` writes tests/fixtures/tui anew.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from deriv_world import HOUR_MS, PERPS, SPOTS, instrument
from market_world import STATUS, Feed, Served, World, serve
from tapes import T0, Row, diff, liquidation, mark, snapshot, tape, trade
from tapewatch.client import Client, Stream
from tapewatch.model.views import FeedState
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.tui.board import View, screen, text_of
from tapewatch.tui.choice import PANELS
from tapewatch.tui.freshness import Health
from tapewatch.tui.market import Shown
from tapewatch.tui.run import one_moment
from tapewatch.venues.registry import PRODUCTS

FIXTURES = Path(__file__).parent.parent / "fixtures" / "tui"
SIZES = ((80, 24), (120, 40), (200, 60))
COINS = ("BTC", "ETH", "SOL")
MINUTES = 15
NOW = T0 + MINUTES * 60_000
SWAPS = [
    instrument("okx", "BTC-USDT-SWAP", "BTC", funding_ms=8 * HOUR_MS),
    instrument("okx", "ETH-USDT-SWAP", "ETH", funding_ms=8 * HOUR_MS),
]
PRICES = {"BTC": 847_000, "ETH": 26_700, "PEPE": 120}
"""In ticks of 0.1."""


def session(path: Path) -> World:
    """Binance futures and spot and OKX, served as a replay: their own time is the only one, and it stands."""
    world = World(path, mode="replay", instruments=PERPS)
    for name, listed in (("binance-spot", SPOTS), ("okx", SWAPS)):
        node = VenueNode(
            PRODUCTS[name], world.config.venues.of(name), world.config.thresholds, Quarantine(path / f"{name}.jsonl")
        )
        node.on_universe([replace(one, index=i) for i, one in enumerate(listed)])
        world.venues[name] = node
        world.feeds = {**world.feeds, name: Feed(replace(STATUS, venue=name))}
    for at, (name, node) in enumerate(world.venues.items()):
        node.engine.adv[:] = 5_000_000_000.0
        node.engine.apply(tape(sorted(_rows(name, at), key=lambda row: row.columns["ts_ms"])))
        for i, one in enumerate(node.engine.universe):
            if one.kind != "tradfi-perp":
                _book(node, i, one.coin, at)
    return world


def _book(node: VenueNode, i: int, coin: str, at: int) -> None:
    """Forty levels a side around where the market went, as of the last moment."""
    node.engine.follow_book(i)
    middle = PRICES[coin] + 40 - 12 * at
    bids = [(middle - 1 - 3 * k, 900 + 100 * k) for k in range(40)]
    asks = [(middle + 1 + 3 * k, 800 + 100 * k) for k in range(40)]
    rows = [diff(999, 1001, 998, i=i, ts_ms=NOW), snapshot(1000, bids, asks, i=i, ts_ms=NOW)]
    node.engine.apply(tape(rows))


def _rows(venue: str, at: int) -> list[Row]:
    """Trades every two seconds, a mark a minute, whales and liquidations."""
    listed = {"binance": PERPS, "binance-spot": SPOTS, "okx": SWAPS}[venue]
    rows: list[Row] = []
    for i, one in enumerate(listed):
        if one.coin not in PRICES:
            continue
        for k in range(MINUTES * 30):
            wave = (k * k * 3 + k * 7 + i * 5 + at * 11) % 31
            late = k >= MINUTES * 30 - 30  # the last minute: prices fall, and Binance's buyers buy
            lots = 40 + wave * 3 + (260 if late and at == 0 and k % 3 else 0)
            price = PRICES[one.coin] + k // 10 - 12 * at - (k - MINUTES * 30 + 30 if late else 0)
            sell = wave > (6 if late and at == 0 else 15 - at)
            rows.append(trade(k + 1, T0 + k * 2_000 + 1_000, price, lots, sell=sell, i=i, aggregate=venue != "okx"))
        if one.kind != "spot":
            rate = (i + 1) * (3_000 if at else 9_000) * (-1 if at else 1)
            rows += [
                mark(T0 + m * 60_000 + 999, PRICES[one.coin] * 10**7 + 10**7 * m, PRICES[one.coin] * 10**7,
                     rate + 40 * m, NOW + 3 * HOUR_MS + 754_000, i=i)
                for m in range(MINUTES)
            ]  # fmt: skip
    big = MINUTES * 30 + 1
    rows += [
        trade(big, NOW - 9_000, PRICES["BTC"] + 40, 70_000 - 30_000 * at, i=0, aggregate=venue != "okx"),
        trade(big + 1, NOW - 5_000 - at, PRICES["BTC"] + 41, 9_000, sell=True, i=0, aggregate=venue != "okx"),
    ]
    if venue != "binance-spot":
        rows += [
            liquidation(T0 + 30_000 * k, (PRICES["BTC"] + (k * 911) % 4_000 - 2_000) * 10**7, 300 + 170 * k,
                        long=k % 3 != 0, i=0)
            for k in range(1, 20)
        ]  # fmt: skip
    return rows


def fell_ill(world: World, venue: str, state: FeedState, detail: str) -> None:
    """A venue whose feed stands otherwise from now on."""
    feed = world.feeds[venue]
    assert isinstance(feed, Feed)
    feed.status = replace(feed.status, state=state, detail=detail, connected=0, data_age_ms=12_000.0)


async def moment(served: Served) -> Shown:
    """What the dashboard shows of a session, with its ages and address as of every time."""
    with Client(served.url) as client:
        shown = await one_moment(client, Stream(served.url), COINS)
    health = {panel: Health("replay", "REPLAY 0.3 s", 300.0) for panel in PANELS}
    return replace(shown, url="http://127.0.0.1:8000", health=health)


def pictures(shown: Shown) -> Mapping[str, str]:
    """Text of the screen at every size, and of each panel enlarged."""
    told = {f"{width}x{height}": text_of(screen(shown, View(), width, height)) for width, height in SIZES}
    return told | {panel: text_of(screen(shown, View(focus=panel, zoomed=True), 120, 40)) for panel in PANELS}


async def _write() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with serve(session(Path(folder))) as served:
            for name, text in pictures(await moment(served)).items():
                (FIXTURES / f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(_write())
