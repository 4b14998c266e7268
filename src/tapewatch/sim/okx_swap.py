"""An OKX v5 venue on loopback: arguments answered one by one, text pings, contracts, books that begin in the stream."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import groupby

from aiohttp import web

from .limits import WindowedLimit
from .rest import ApiError, Query
from .server import Client, Content, Place, SimulatedVenue, websocket_frame
from .simulation import warm_up
from .topics import BOOK_STEPS, SECOND_STEPS, Fill, Topic, TopicMarket
from .universe import Listing, build_universe
from .windows import Window
from .wire import decimal_text

IDLE_S = 30.0
HEARTBEAT_MS = 60_000
COMMANDS_PER_HOUR = 480
NOTICE_S = 60.0
"""Between the notice of a service upgrade and the end of the connections."""
NOTICE = (
    '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. '
    'Please reconnect.","connId":"simulated"}'
)
LOTS_PER_CONTRACT = 10
_MULTIPLES = {"1000": 1_000, "10000": 10_000, "1M": 1_000_000}
_LIMITS_2_S = {
    "public/time": 10, "public/instruments": 20, "public/funding-rate": 10, "market/tickers": 20, "market/candles": 40,
    "market/history-trades": 20, "market/trades": 100,
}  # fmt: skip
_BARS = {"1m": "1m", "5m": "5m", "15m": "15m", "1H": "1h", "4H": "4h", "1Dutc": "1d"}
_KINDS = {
    "trades": ("trades", 0),
    "books": ("book", BOOK_STEPS),
    "tickers": ("ticker", BOOK_STEPS),
    "mark-price": ("mark", SECOND_STEPS),
    "index-tickers": ("index", SECOND_STEPS),
    "open-interest": ("interest", 3 * SECOND_STEPS),
    "funding-rate": ("funding", 60 * SECOND_STEPS),
}
"""What each channel tells, and its rhythm."""
_OF_ALL = {"liquidation-orders": "liquidations", "instruments": "instruments"}
_STATE = {"TRADING": "live", "PENDING_TRADING": "preopen", "SETTLING": "suspend"}


class SimulatedOkxSwap(SimulatedVenue):
    """See `server.SimulatedVenue`."""

    rest_paths = "api/v5/.*"
    weight_limit = 0
    ping_s = float("inf")
    commands_per_s = 500
    streams_per_connection = 10_000
    content: OkxMarket

    def build(self, start_ms: int) -> Content:
        warm_up()
        options = self.options
        self._limits = WindowedLimit(0, 2_000)
        self._commands: dict[int, int] = {}
        self._told_at: dict[int, float] = {}
        self._leaving: dict[int, float] = {}
        """When connections end that were told so, by number."""
        lead = self.lead
        listed = build_universe(options.symbols, options.seed) if lead is None else lead.listings
        crypto = (one for one in listed if one.status == "TRADING" and one.contract == "PERPETUAL")
        listings = [renamed(one) for one in crypto][: options.symbols]
        content = OkxMarket(listings, seed=options.seed + 3, start_ms=start_ms, faults=options.faults, lead=lead)
        for _ in content.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return content

    def place(self, request: web.Request) -> Place | None:
        return Place(combined=False) if request.match_info["path"] == "ws/v5/public" else None

    def wrapped(self, stream: str, payload: str) -> str:
        del stream
        return payload

    def replies(self, client: Client, text: str) -> Iterable[str]:
        """Each argument of a command is answered by itself."""
        if text == "ping":
            return ["pong"]
        try:
            command = json.loads(text)
            number, op, args = command.get("id", ""), command["op"], command["args"]
            named = [(arg, key_of(arg)) for arg in args]
        except (ValueError, KeyError, AttributeError, TypeError):
            return [_error("", "60012", f"Invalid request: {text[:80]}")]
        if op not in ("subscribe", "unsubscribe"):
            return [_error(number, "60012", f"Invalid request: {text[:80]}")]
        self._commands[client.number] = self._commands.get(client.number, 0) + 1
        if self._commands[client.number] > COMMANDS_PER_HOUR:
            return [_error(number, "60014", "Requests too frequent")]
        return [self._one(client, number, op, arg, key) for arg, key in named]

    def _one(self, client: Client, number: str, op: str, arg: Mapping[str, str], key: str) -> str:
        if self.content.parse(key) is None:
            about = ",".join(f"{name}:{value}" for name, value in arg.items())
            words = f"Wrong URL or {about} doesn't exist. Please use the correct URL, channel and parameters."
            return _error(number, "60018", words)
        (self.subscribe if op == "subscribe" else self.unsubscribe)(client, [key])
        told = {"id": number, "event": op, "arg": arg, "connId": "simulated"}
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)

    def greeting(self, client: Client, name: str) -> Iterable[str]:
        del client
        return self.content.greeting(name)

    def _flush(self, client: Client) -> None:
        self._told_at[client.number] = asyncio.get_running_loop().time()
        super()._flush(client)

    def _look_after(self, now: float) -> None:
        """Close what is silent; announce a service upgrade when it is time, and part from its connections later."""
        super()._look_after(now)
        for client in list(self._clients):
            said_at = client.arrivals[-1] if client.arrivals else client.since
            silent_s = now - max(said_at, self._told_at.get(client.number, client.since))
            if silent_s > IDLE_S or now > self._leaving.get(client.number, math.inf):
                client.transport.close()
        if self.content.notice:
            self.content.notice = False
            for client in self._clients:
                self._leaving[client.number] = now + NOTICE_S
                client.pending.append(websocket_frame(NOTICE))

    def charge(self, address: str, path: str, query: Query, wall_ms: int) -> None:
        del query
        name = path.removeprefix("/api/v5/")
        if not self._limits.spend(f"{address} {name}", wall_ms, _LIMITS_2_S.get(name, 20)):
            raise self.too_many(address)

    def too_many(self, address: str) -> ApiError:
        del address
        return refusal("50011", "Rate limit reached. Please refer to API documentation and throttle accordingly", 429)

    def ban(self, address: str, wall_ms: int) -> ApiError:
        del wall_ms
        return self.too_many(address)

    def overloaded(self) -> ApiError:
        return refusal("50001", "Service temporarily unavailable. Please try again later", 503)

    async def answer(self, path: str, query: Query, wall_ms: int) -> str:
        if path == "/api/v5/public/time":
            return envelope(f'{{"ts":"{wall_ms}"}}')
        return await self.content.answer(path, query)


def renamed(listing: Listing) -> Listing:
    """The swap of this venue that follows a perpetual of Binance; 1000PEPEUSDT there is PEPE-USDT-SWAP here."""
    prefix = max((name for name in _MULTIPLES if _has_prefix(listing.base, name)), key=len, default="")
    units = _MULTIPLES.get(prefix, 1)
    zeros = len(str(units)) - 1
    base = listing.base.removeprefix(prefix)
    return replace(
        listing,
        symbol=f"{base}-{listing.quote}-SWAP",
        base=base,
        price=listing.price / units,
        price_decimals=listing.price_decimals + zeros,
        qty_decimals=listing.qty_decimals - zeros,
        adv=listing.adv * 0.3,
        follows=listing.symbol,
        multiple=1.0 / units,
    )


def _has_prefix(base: str, prefix: str) -> bool:
    return base.startswith(prefix) and base[len(prefix) : len(prefix) + 1].isalpha()


def contract_value(listing: Listing) -> Decimal:
    """Coins in one contract; a tenth of it is the smallest size."""
    return Decimal(LOTS_PER_CONTRACT).scaleb(-listing.qty_decimals)


def contracts(lots: int) -> str:
    return decimal_text(lots, 1).removesuffix(".0")


class OkxMarket(TopicMarket):
    """See `topics.TopicMarket`."""

    levels = 400
    notice = False
    """A service upgrade is to be announced."""

    def happenings(self, target: str) -> dict[str, Callable[[], None]]:
        return {**super().happenings(target), "notice": self._announce_upgrade}

    def _announce_upgrade(self) -> None:
        self.notice = True

    def parse(self, name: str) -> Topic | None:
        channel, _, symbol = name.partition(":")
        if channel in _OF_ALL:
            return Topic(name, _OF_ALL[channel]) if symbol == "SWAP" else None
        i = self.market.index.get(f"{symbol}-SWAP" if channel == "index-tickers" else symbol)
        if channel not in _KINDS or i is None:
            return None
        kind, every = _KINDS[channel]
        return Topic(name, kind, i, every)

    def size_decimals(self, listing: Listing) -> int:
        del listing
        return 1

    def next_id(self, window: Window, symbol: int) -> int:
        """Ids jump; a topic that begins has a past, and one that was restarted counts anew."""
        return window.number + 1 + self.now_ms // 100 % 7 if window.number else self.now_ms // 5 + symbol

    def book_changes(self, topic: Topic) -> str:
        """An update, or after a minute without a change an empty one whose ids are equal.

        After a restart of the service one update has a `seqId` below its `prevSeqId`, and continues the chain.
        """
        window = self.windows[topic.symbol]
        bids, asks = window.advance()
        changed = len(bids) > 0 or len(asks) > 0
        if not changed and not window.restarted and self.now_ms - window.told_ms < HEARTBEAT_MS:
            return ""
        before = window.number
        if window.restarted:
            window.number, window.restarted = 3, False
        elif changed:
            window.number = self.next_id(window, topic.symbol)
        window.told_ms = self.now_ms
        return self.book(topic, bids, asks, (before, window.number), whole=False)

    def book_text(self, topic: Topic, bids: str, asks: str, ids: tuple[int, int], *, whole: bool) -> str:
        action = "snapshot" if whole else "update"
        return (
            f'{{{_head(topic)},"action":"{action}","data":[{{"asks":[{_four(asks)}],"bids":[{_four(bids)}],'
            f'"ts":"{self.now_ms}","checksum":0,"prevSeqId":{ids[0]},"seqId":{ids[1]}}}]}}'
        )

    def trades_text(self, topic: Topic, fills: list[Fill]) -> Iterator[str]:
        """Fills of one taker order at one price are one message, under the id of the last."""
        listing = self.market.listings[topic.symbol]
        for (price, ts_ms, sell), group in groupby(fills, key=lambda fill: (fill[2], fill[4], fill[5])):
            merged = list(group)
            yield (
                f'{{{_head(topic)},"data":[{{"instId":"{listing.symbol}","tradeId":"{merged[-1][1]}",'
                f'"px":"{decimal_text(price, listing.price_decimals)}","sz":"{contracts(sum(f[3] for f in merged))}",'
                f'"side":"{"sell" if sell else "buy"}","ts":"{ts_ms}","count":"{len(merged)}","source":"0",'
                f'"seqId":{self.market.state.symbols[topic.symbol]["last_u"]}}}]}}'
            )

    def liquidations_text(self, topic: Topic, rows: list[tuple[int, ...]]) -> str:
        """`posSide` is who was liquidated; a sell order closes a long."""
        data = []
        for i, sell, lots, _, _, limit, ts_ms, _ in rows:
            listing = self.market.listings[i]
            data.append(
                f'{{"details":[{{"bkLoss":"0","bkPx":"{decimal_text(limit, listing.price_decimals)}","ccy":"",'
                f'"posSide":"{"long" if sell else "short"}","side":"{"sell" if sell else "buy"}",'
                f'"sz":"{contracts(lots)}",'
                f'"ts":"{ts_ms}"}}],"instFamily":"{listing.symbol.removesuffix("-SWAP")}","instId":"{listing.symbol}",'
                f'"instType":"SWAP","uly":"{listing.symbol.removesuffix("-SWAP")}"}}'
            )
        return f'{{{_head(topic)},"data":[{",".join(data)}]}}'

    def figures(self, topic: Topic, *, first: bool) -> str:
        row = self._figure(topic.kind, topic.symbol, first=first)
        return (
            f'{{{_head(topic)},"data":[{json.dumps(row, ensure_ascii=False, separators=(",", ":"))}]}}' if row else ""
        )

    def _figure(self, kind: str, i: int, *, first: bool) -> dict[str, str] | None:
        market, listing, ts = self.market, self.market.listings[i], str(self.now_ms)
        named = {"instType": "SWAP", "instId": listing.symbol}
        pd = listing.price_decimals
        if kind == "mark":
            return {**named, "markPx": f"{market.marks.mark[i]:.{pd}f}", "ts": ts}
        if kind == "index":
            return {
                "instId": listing.symbol.removesuffix("-SWAP"),
                "idxPx": f"{market.marks.index[i]:.{pd}f}",
                "ts": ts,
            }
        if kind == "interest":
            lots = round(float(market.marks.open_interest_lots[i]))
            coins = contract_value(listing) * lots / LOTS_PER_CONTRACT
            return {**named, "oi": contracts(lots), "oiCcy": f"{coins:f}", "ts": ts}
        if kind == "funding":
            return self._funding(i)
        quote = market.quote(i)
        if not first and self.touches.get(i) == quote[2:6]:
            return None
        if not first:
            self.touches[i] = quote[2:6]
        return {**named, **self._ticker(i)}

    def _funding(self, i: int) -> dict[str, str]:
        rate, next_ms = self.market.funding(i)
        after_ms = next_ms + self.market.listings[i].funding_hours * 3_600_000
        return {
            "instType": "SWAP", "instId": self.market.listings[i].symbol, "method": "current_period",
            "fundingRate": f"{rate or 0.0:.10f}", "fundingTime": str(next_ms), "nextFundingRate": "",
            "nextFundingTime": str(after_ms), "settState": "settled", "ts": str(self.now_ms),
        }  # fmt: skip

    def _ticker(self, i: int) -> dict[str, str]:
        listing, day = self.market.listings[i], self.market.ticker(i)
        pd = listing.price_decimals
        _, _, bid, bid_lots, ask, ask_lots, _ = self.market.quote(i)
        coins = contract_value(listing) * day["qty"] / LOTS_PER_CONTRACT
        return {
            "last": decimal_text(day["close"], pd), "lastSz": contracts(day["last_qty"]),
            "askPx": decimal_text(ask, pd), "askSz": contracts(ask_lots), "bidPx": decimal_text(bid, pd),
            "bidSz": contracts(bid_lots), "open24h": decimal_text(day["open"], pd),
            "high24h": decimal_text(day["high"], pd), "low24h": decimal_text(day["low"], pd),
            "volCcy24h": f"{coins:f}", "vol24h": contracts(day["qty"]), "ts": str(self.now_ms),
        }  # fmt: skip

    def announcement(self, topic: Topic, listings: list[Listing]) -> str:
        return f'{{{_head(topic)},"data":[{",".join(map(_instrument, listings))}]}}'

    def rename(self, listing: Listing) -> Listing:
        return renamed(listing)

    # -- REST ---------------------------------------------------------------------------------------------------------

    def routes(self) -> Mapping[str, Callable[[Query], str]]:
        return {
            "/api/v5/public/instruments": lambda _: envelope(",".join(map(_instrument, self.market.listings))),
            "/api/v5/public/funding-rate": lambda _: self._rows(self._funding),
            "/api/v5/market/tickers": lambda _: self._rows(
                lambda i: {"instType": "SWAP", "instId": self.market.listings[i].symbol, **self._ticker(i)}
            ),
            "/api/v5/market/candles": self._candles,
            "/api/v5/market/history-trades": self._history,
            "/api/v5/market/trades": self._history,
        }

    def unknown_path(self, path: str) -> ApiError:
        return refusal("404", f"{path} not found", 404)

    def _find(self, query: Query) -> int:
        i = self.market.index.get(query.get("instId", ""))
        if i is None:
            raise refusal("51001", "Instrument ID or Spread ID doesn't exist.", 200)
        return i

    def _rows(self, row: Callable[[int], dict[str, str]]) -> str:
        trading = (i for i, one in enumerate(self.market.listings) if one.status == "TRADING")
        return envelope(",".join(json.dumps(row(i), ensure_ascii=False) for i in trading))

    def _candles(self, query: Query) -> str:
        """Newest first; volume in contracts, coins and quote currency."""
        listing, interval = self.market.listings[self._find(query)], _BARS.get(query.get("bar", "1m"))
        if interval is None:
            raise refusal("51000", "Parameter bar error", 200)
        bars = self.market.klines(listing.symbol, interval, None, None, min(300, int(query.get("limit", "100"))))
        rows = []
        for k, bar in enumerate(bars[::-1]):
            prices = [decimal_text(int(bar[n]), listing.price_decimals) for n in ("open", "high", "low", "close")]
            coins = contract_value(listing) * int(bar["qty"]) / LOTS_PER_CONTRACT
            quote = Decimal(int(bar["quote"])).scaleb(-listing.price_decimals - listing.qty_decimals)
            volumes = [contracts(int(bar["qty"])), f"{coins:f}", f"{quote:f}"]
            rows.append(json.dumps([str(bar["open_ms"]), *prices, *volumes, "0" if k == 0 else "1"]))
        return envelope(",".join(rows))

    def _history(self, query: Query) -> str:
        """Single fills older than an id, newest first."""
        i = self._find(query)
        listing, limit = self.market.listings[i], min(100, int(query.get("limit", "100")))
        before = int(query.get("after") or 1 << 62)
        fills = [fill for fill in self.fills.get(i, ()) if fill[1] < before]
        rows = (
            f'{{"instId":"{listing.symbol}","tradeId":"{number}","px":"{decimal_text(price, listing.price_decimals)}",'
            f'"sz":"{contracts(lots)}","side":"{"sell" if sell else "buy"}","source":"0","ts":"{ts_ms}"}}'
            for _, number, price, lots, ts_ms, sell, _ in fills[::-1][:limit]
        )
        return envelope(",".join(rows))


def key_of(arg: dict[str, str]) -> str:
    """An argument as topics are named here: its channel and what it is about."""
    return f"{arg['channel']}:{arg.get('instId') or arg.get('instType') or ''}"


def _head(topic: Topic) -> str:
    channel, _, about = topic.name.partition(":")
    what = "instType" if topic.symbol < 0 else "instId"
    return f'"arg":{{"channel":"{channel}","{what}":"{about}"}}'


def _four(levels: str) -> str:
    """Levels of this venue have a deprecated zero and a number of orders behind price and size."""
    return levels.replace('"]', '","0","1"]')


def _instrument(listing: Listing) -> str:
    family = listing.symbol.removesuffix("-SWAP")
    return (
        f'{{"instType":"SWAP","instId":"{listing.symbol}","uly":"{family}","instFamily":"{family}",'
        f'"settleCcy":"{listing.quote}","ctVal":"{contract_value(listing):f}","ctMult":"1","ctValCcy":"{listing.base}",'
        f'"ctType":"linear","tickSz":"{listing.tick_size}","lotSz":"0.1","minSz":"0.1","listTime":"{listing.onboard_ms}",'
        f'"expTime":"","lever":"100","state":"{_STATE[listing.status]}","ruleType":"normal","instCategory":"1","upcChg":[]}}'
    )


def envelope(rows: str) -> str:
    return f'{{"code":"0","msg":"","data":[{rows}]}}'


def refusal(code: str, words: str, status: int) -> ApiError:
    error = ApiError(0, words, status)
    error.body = json.dumps({"code": code, "msg": words, "data": []}, separators=(",", ":"))
    return error


def _error(number: str, code: str, words: str) -> str:
    """It names the argument it is about in its words alone."""
    told = {"id": number, "event": "error", "code": code, "msg": words, "connId": "simulated"}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)
