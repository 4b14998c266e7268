"""A Bybit v5 linear venue on loopback: one path, topics, pings as messages, books that begin in the stream."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from aiohttp import web

from .layout import MARKET, STEP_MS
from .limits import WindowedLimit
from .rest import ApiError, Query
from .server import Client, Content, Place, SimulatedVenue
from .simulation import warm_up
from .topics import BOOK_STEPS, Fill, Topic, TopicMarket
from .universe import Listing, build_universe
from .windows import Window
from .wire import decimal_text

ARGS_CHARACTERS = 21_000
IDLE_S = 600.0
TRADES_PER_MESSAGE = 1024
_INTERVALS = {"1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "240": "4h", "D": "1d", "W": "1w"}
_KINDS = {"publicTrade": ("trades", 0), "tickers": ("ticker", BOOK_STEPS), "allLiquidation": ("liquidations", 0)}
_STATUS = {"TRADING": "Trading", "PENDING_TRADING": "PreLaunch", "SETTLING": "Closed"}
_BOOL = ("false", "true")


class SimulatedBybitLinear(SimulatedVenue):
    """See `server.SimulatedVenue`."""

    rest_paths = "v5/market/.*"
    weight_limit = 600
    ping_s = float("inf")
    commands_per_s = 500
    streams_per_connection = 10_000
    content: BybitMarket

    def build(self, start_ms: int) -> Content:
        warm_up()
        options = self.options
        self._limits = WindowedLimit(self._limit, 5_000)
        lead = self.lead
        listed = build_universe(options.symbols, options.seed) if lead is None else lead.listings
        listings = [renamed(one) for one in listed if one.status == "TRADING" and not one.dated][: options.symbols]
        content = BybitMarket(listings, seed=options.seed + 2, start_ms=start_ms, faults=options.faults, lead=lead)
        for _ in content.advance(int(self._clock() * 1000), congested=False):
            pass  # what happened while the market was being built, nobody saw
        return content

    def place(self, request: web.Request) -> Place | None:
        return Place(combined=False) if request.match_info["path"] == "v5/public/linear" else None

    def wrapped(self, stream: str, payload: str) -> str:
        del stream
        return payload

    def replies(self, client: Client, text: str) -> Iterable[str]:
        """A command succeeds or fails as a whole."""
        try:
            command = json.loads(text)
            number, op, args = command.get("req_id", ""), command["op"], command.get("args", [])
        except (ValueError, KeyError, AttributeError):
            return [_told(False, "error:invalid op", "", "")]
        if op == "ping":
            return [_told(True, "pong", number, op)]
        if op not in ("subscribe", "unsubscribe") or not all(isinstance(name, str) for name in args):
            return [_told(False, "error:invalid op", number, op)]
        unknown = next((name for name in args if self.content.parse(name) is None), None)
        if unknown is not None:
            return [_told(False, f"error:handler not found,topic:{unknown}", number, op)]
        if op == "unsubscribe":
            self.unsubscribe(client, args)
        elif sum(map(len, (*client.streams, *args))) > ARGS_CHARACTERS:
            return [_told(False, "error:args size is too large", number, op)]
        else:
            self.subscribe(client, args)
        return [_told(True, "", number, op)]

    def _look_after(self, now: float) -> None:
        super()._look_after(now)
        for client in list(self._clients):
            if now - (client.arrivals[-1] if client.arrivals else client.since) > IDLE_S:
                client.transport.close()

    def greeting(self, client: Client, name: str) -> Iterable[str]:
        del client
        return self.content.greeting(name)

    def charge(self, address: str, path: str, query: Query, wall_ms: int) -> None:
        del path, query
        if not self._limits.spend(address, wall_ms):
            raise self.ban(address, wall_ms)

    def too_many(self, address: str) -> ApiError:
        del address
        return refusal(10006, "Too many visits!", 200)

    def ban(self, address: str, wall_ms: int) -> ApiError:
        self._limits.ban(address, wall_ms + 600_000)
        return refusal(403, "access too frequent", 403)

    def overloaded(self) -> ApiError:
        return refusal(10016, "Internal server error", 503)

    async def answer(self, path: str, query: Query, wall_ms: int) -> str:
        if path == "/v5/market/time":
            return envelope(f'{{"timeSecond":"{wall_ms // 1000}","timeNano":"{wall_ms}000000"}}', wall_ms)
        return await self.content.answer(path, query)


def renamed(listing: Listing) -> Listing:
    """The perpetual of this venue that follows one of Binance: BTCPERP is margined in USDC, SHIB1000USDT a multiple."""
    symbol = listing.symbol.replace("1000SHIB", "SHIB1000")
    if listing.quote == "USDC":
        symbol = symbol.removesuffix("USDC") + "PERP"
    base = listing.base.replace("1000SHIB", "SHIB1000")
    return replace(listing, symbol=symbol, base=base, adv=listing.adv * 0.4, follows=listing.symbol)


class BybitMarket(TopicMarket):
    """See `topics.TopicMarket`."""

    levels = 200

    def parse(self, name: str) -> Topic | None:
        kind, _, rest = name.partition(".")
        depth, _, symbol = rest.rpartition(".")
        i = self.market.index.get(symbol)
        if i is None:
            return None
        if kind == "orderbook" and depth == "200":
            return Topic(name, "book", i, BOOK_STEPS)
        if depth or kind not in _KINDS:
            return None
        return Topic(name, _KINDS[kind][0], i, _KINDS[kind][1])

    def size_decimals(self, listing: Listing) -> int:
        return listing.qty_decimals

    def next_id(self, window: Window, symbol: int) -> int:
        """One more each time. The venue goes on counting when nobody reads: a topic that begins anew is further on."""
        return window.number + 1 if window.number else self.now_ms // (STEP_MS * BOOK_STEPS) + symbol

    def book_text(self, topic: Topic, bids: str, asks: str, ids: tuple[int, int], *, whole: bool) -> str:
        """The order of keys differs between messages of the venue."""
        record = self.market.state.symbols[topic.symbol]
        symbol = self.market.listings[topic.symbol].symbol
        kind = "snapshot" if whole else "delta"
        head = f'"type":"{kind}","ts":{self.now_ms}' if ids[1] % 2 else f'"ts":{self.now_ms},"type":"{kind}"'
        return (
            f'{{"topic":"{topic.name}",{head},"data":{{"s":"{symbol}","b":[{bids}],"a":[{asks}],"u":{ids[1]},'
            f'"seq":{record["last_u"]}}},"cts":{int(record["last_us"]) // 1000}}}'
        )

    def trades_text(self, topic: Topic, fills: list[Fill]) -> Iterator[str]:
        listing = self.market.listings[topic.symbol]
        rows = [
            f'{{"T":{ts_ms},"s":"{listing.symbol}","S":"{"Sell" if sell else "Buy"}",'
            f'"v":"{decimal_text(lots, listing.qty_decimals)}","p":"{decimal_text(price, listing.price_decimals)}",'
            f'"L":"PlusTick","i":"{uuid.UUID(int=number << 32 | symbol)}","BT":false,"RPI":false,"seq":{seq}}}'
            for seq, (symbol, number, price, lots, ts_ms, sell, _) in _with_seq(fills)
        ]
        for at in range(0, len(rows), TRADES_PER_MESSAGE):
            part = ",".join(rows[at : at + TRADES_PER_MESSAGE])
            yield f'{{"topic":"{topic.name}","type":"snapshot","ts":{self.now_ms},"data":[{part}]}}'

    def liquidations_text(self, topic: Topic, rows: list[tuple[int, ...]]) -> str:
        """`S` is the side of the position: a sell order closed a long, Buy."""
        listing = self.market.listings[topic.symbol]
        data = ",".join(
            f'{{"T":{ts_ms},"s":"{listing.symbol}","S":"{"Buy" if sell else "Sell"}",'
            f'"v":"{decimal_text(lots, listing.qty_decimals)}","p":"{decimal_text(limit, listing.price_decimals)}"}}'
            for _, sell, lots, _, _, limit, ts_ms, _ in rows
        )
        return f'{{"topic":"{topic.name}","type":"snapshot","ts":{self.now_ms},"data":[{data}]}}'

    def figures(self, topic: Topic, *, first: bool) -> str:
        """The touch when it has changed; once a second what moves slowly. Absent fields are unchanged."""
        i = topic.symbol
        listing, market = self.market.listings[i], self.market
        quote = market.quote(i)
        fields: dict[str, str] = {}
        if first or self.touches.get(i) != quote[2:6]:
            _, _, bid, bid_lots, ask, ask_lots, _ = quote
            if not first:
                self.touches[i] = quote[2:6]
            pd, qd = listing.price_decimals, listing.qty_decimals
            fields |= {"bid1Price": decimal_text(bid, pd), "bid1Size": decimal_text(bid_lots, qd)}
            fields |= {"ask1Price": decimal_text(ask, pd), "ask1Size": decimal_text(ask_lots, qd)}
        if first or self.now_ms // 100 % 10 == i % 10:
            fields |= self._slow(i)
        if not fields:
            return ""
        data = ",".join(f'"{name}":"{value}"' for name, value in fields.items())
        kind = "snapshot" if first else "delta"
        return (
            f'{{"topic":"{topic.name}","type":"{kind}","data":{{"symbol":"{listing.symbol}",{data}}},'
            f'"cs":{market.state.symbols[i]["last_u"]},"ts":{self.now_ms}}}'
        )

    def _slow(self, i: int) -> dict[str, str]:
        listing, market, day = self.market.listings[i], self.market, self.market.ticker(i)
        pd, qd = listing.price_decimals, listing.qty_decimals
        rate, next_ms = market.funding(i)
        interest = round(float(market.marks.open_interest_lots[i]))
        change = day["close"] / day["open"] - 1.0 if day["open"] else 0.0
        return {
            "price24hPcnt": f"{change:.6f}", "lastPrice": decimal_text(day["close"], pd),
            "highPrice24h": decimal_text(day["high"], pd), "lowPrice24h": decimal_text(day["low"], pd),
            "markPrice": f"{market.marks.mark[i]:.{pd}f}", "indexPrice": f"{market.marks.index[i]:.{pd}f}",
            "openInterest": decimal_text(2 * interest, qd), "singleOpenInterest": decimal_text(interest, qd),
            "turnover24h": decimal_text(day["quote"], pd + qd), "volume24h": decimal_text(day["qty"], qd),
            "fundingIntervalHour": str(listing.funding_hours), "nextFundingTime": str(next_ms),
            "fundingRate": f"{rate or 0.0:.8f}",
        }  # fmt: skip

    def announcement(self, topic: Topic, listings: list[Listing]) -> str:
        raise NotImplementedError("Bybit announces no changes: they show in its list")

    # -- REST ---------------------------------------------------------------------------------------------------------

    def routes(self) -> Mapping[str, Callable[[Query], str]]:
        return {
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/tickers": self._tickers,
            "/v5/market/kline": self._klines,
            "/v5/market/recent-trade": self._recent,
        }

    def unknown_path(self, path: str) -> ApiError:
        return refusal(10001, f"path {path} not found", 404)

    def _find(self, query: Query) -> int:
        i = self.market.index.get(query.get("symbol", ""))
        if i is None:
            raise refusal(10001, "params error: symbol invalid", 200)
        return i

    def _instruments(self, query: Query) -> str:
        """In pages; only what trades, unless a status is asked for."""
        limit, start = min(1000, int(query.get("limit", "500"))), int(query.get("cursor") or "0")
        shown = [one for one in self.market.listings if one.status == "TRADING"]
        rows = ",".join(_instrument(one) for one in shown[start : start + limit])
        cursor = str(start + limit) if start + limit < len(shown) else ""
        return envelope(f'{{"category":"linear","list":[{rows}],"nextPageCursor":"{cursor}"}}', self.now_ms)

    def _tickers(self, query: Query) -> str:
        wanted = [self._find(query)] if "symbol" in query else range(len(self.market.listings))
        rows = ",".join(
            json.dumps({"symbol": self.market.listings[i].symbol, **self._slow(i)}, ensure_ascii=False)
            for i in wanted
            if self.market.listings[i].status == "TRADING"
        )
        return envelope(f'{{"category":"linear","list":[{rows}]}}', self.now_ms)

    def _klines(self, query: Query) -> str:
        """Newest first, without the takers' side."""
        listing = self.market.listings[self._find(query)]
        interval = _INTERVALS.get(query.get("interval", ""))
        if interval is None:
            raise refusal(10001, "params error: interval invalid", 200)
        limit = min(1000, int(query.get("limit", "200")))
        bars = self.market.klines(listing.symbol, interval, None, None, limit)
        pd, qd = listing.price_decimals, listing.qty_decimals
        rows = ",".join(
            json.dumps([
                str(bar["open_ms"]), *(decimal_text(int(bar[n]), pd) for n in ("open", "high", "low", "close")),
                decimal_text(int(bar["qty"]), qd), decimal_text(int(bar["quote"]), pd + qd),
            ])
            for bar in bars[::-1]
        )  # fmt: skip
        return envelope(f'{{"category":"linear","symbol":"{listing.symbol}","list":[{rows}]}}', self.now_ms)

    def _recent(self, query: Query) -> str:
        i = self._find(query)
        listing, limit = self.market.listings[i], min(1000, int(query.get("limit", "500")))
        rows = [
            f'{{"execId":"{uuid.UUID(int=number << 32 | symbol)}","symbol":"{listing.symbol}",'
            f'"price":"{decimal_text(price, listing.price_decimals)}",'
            f'"size":"{decimal_text(lots, listing.qty_decimals)}",'
            f'"side":"{"Sell" if sell else "Buy"}","time":"{ts_ms}","isBlockTrade":false,"seq":"{seq}"}}'
            for seq, (symbol, number, price, lots, ts_ms, sell, _) in _with_seq(list(self.fills.get(i, ())))
        ]
        return envelope(f'{{"category":"linear","list":[{",".join(rows[::-1][:limit])}]}}', self.now_ms)


def _with_seq(fills: list[Fill]) -> Iterator[tuple[int, Fill]]:
    """Fills of one taker order share the cross sequence; forced ones that met no order are not told."""
    market = (fill for fill in fills if fill[6] == MARKET)
    for _, order in groupby(market, key=lambda fill: (fill[4], fill[5])):
        told = list(order)
        yield from ((told[0][1], fill) for fill in told)


def _instrument(listing: Listing) -> str:
    kind = "stock" if listing.tradfi else ""
    return (
        f'{{"symbol":"{listing.symbol}","contractType":"LinearPerpetual","status":"{_STATUS[listing.status]}",'
        f'"baseCoin":"{listing.base}","quoteCoin":"{listing.quote}","launchTime":"{listing.onboard_ms}",'
        f'"deliveryTime":"0","priceScale":"{listing.price_decimals}","priceFilter":{{"minPrice":"{listing.tick_size}",'
        f'"maxPrice":"1999999.80","tickSize":"{listing.tick_size}"}},"lotSizeFilter":{{"maxOrderQty":"1190.000",'
        f'"minOrderQty":"{listing.step_size}","qtyStep":"{listing.step_size}"}},"unifiedMarginTrade":true,'
        f'"fundingInterval":{listing.funding_hours * 60},"settleCoin":"{listing.quote}","symbolType":"{kind}"}}'
    )


def envelope(result: str, now_ms: int) -> str:
    return f'{{"retCode":0,"retMsg":"OK","result":{result},"retExtInfo":{{}},"time":{now_ms}}}'


def refusal(code: int, words: str, status: int) -> ApiError:
    """Most refusals of this venue come with status 200."""
    error = ApiError(code, words, status)
    error.body = json.dumps({"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}}, separators=(",", ":"))
    return error


def _told(success: bool, words: str, number: str, op: str) -> str:
    return (
        f'{{"success":{_BOOL[success]},"ret_msg":{json.dumps(words)},"conn_id":"simulated",'
        f'"req_id":{json.dumps(number)},"op":{json.dumps(op)}}}'
    )
