"""REST of the simulated venue: parameters, their refusals, weights and bodies."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import numpy as np

from . import wire
from .market import INTERVALS_MS, Market
from .universe import Listing

HOUR_MS = 3_600_000
AGG_TRADES_HORIZON_MS = 48 * HOUR_MS
DEPTH_WEIGHT = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
SNAPSHOT_AGE_MS = (50, 500)
"""The venue's REST books come from a moment ago: a client meets snapshots that are too old and diffs to drop."""

Query = Mapping[str, str]


class ApiError(Exception):
    """A refusal as the venue words it."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.body = wire.error(code, message)


def weight(path: str, query: Query) -> int:
    """What a call costs of the budget of its minute."""
    every = "symbol" not in query
    match path:
        case "/fapi/v1/depth":
            return DEPTH_WEIGHT.get(_number(query, "limit", 500), 2)
        case "/fapi/v1/aggTrades":
            return 20
        case "/fapi/v1/klines":
            limit = _number(query, "limit", 500)
            return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10
        case "/fapi/v1/ticker/24hr":
            return 40 if every else 1
        case "/fapi/v1/premiumIndex":
            return 10 if every else 1
        case "/fapi/v1/ticker/bookTicker":
            return 5 if every else 2
        case "/fapi/v2/ticker/price" | "/fapi/v1/ticker/price":
            return 2 if every else 1
        case "/fapi/v1/fundingInfo" | "/fapi/v1/fundingRate":
            return 0
        case _:
            return 1


def _number(query: Query, name: str, otherwise: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else otherwise


def required(query: Query, name: str) -> str:
    value = query.get(name, "")
    if not value:
        raise ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def integer(query: Query, name: str) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def limit_of(query: Query, otherwise: int, most: int) -> int:
    limit = integer(query, "limit")
    if limit is None:
        return otherwise
    if limit == 0:
        raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(limit, most)


def depth_limit(query: Query) -> int:
    limit = integer(query, "limit") or 500
    if limit not in DEPTH_WEIGHT:
        raise ApiError(-4021, f"'{limit}' is not valid depth limit.")
    return limit


class MarketRest:
    """Answers from a market. `age_ms` says how old the next REST book shall be."""

    def __init__(self, market: Market, weight_limit: int, age_ms: Callable[[], int] | None = None) -> None:
        ages = random.Random(f"snapshot ages {market.seed}")
        self.market = market
        self.weight_limit = weight_limit
        self.age_ms = age_ms or (lambda: ages.randint(*SNAPSHOT_AGE_MS))
        self._routes: dict[str, Callable[[Query], str]] = {
            "/fapi/v1/ping": lambda _: "{}",
            "/fapi/v1/time": lambda _: f'{{"serverTime":{market.now_ms}}}',
            "/fapi/v1/exchangeInfo": lambda _: wire.exchange_info(market.listings, market.now_ms, weight_limit),
            "/fapi/v1/depth": self._depth,
            "/fapi/v1/aggTrades": self._agg_trades,
            "/fapi/v1/klines": self._klines,
            "/fapi/v1/ticker/24hr": lambda query: self._rows(query, self._ticker),
            "/fapi/v1/ticker/price": lambda query: self._rows(query, self._price),
            "/fapi/v2/ticker/price": lambda query: self._rows(query, self._price),
            "/fapi/v1/ticker/bookTicker": lambda query: self._rows(query, self._quote),
            "/fapi/v1/premiumIndex": lambda query: self._rows(query, self._premium),
            "/fapi/v1/fundingInfo": self._funding_info,
            "/fapi/v1/fundingRate": self._funding_rates,
            "/fapi/v1/openInterest": self._open_interest,
        }

    def __call__(self, path: str, query: Query) -> str:
        """Body of a GET; raises ApiError."""
        route = self._routes.get(path)
        if route is None:
            raise ApiError(-5000, f"Path {path}, Method GET is invalid", 404)
        return route(query)

    def _listing(self, query: Query) -> tuple[int, Listing]:
        index = self.market.index.get(required(query, "symbol"))
        if index is None:
            raise ApiError(-1121, "Invalid symbol.")
        return index, self.market.listings[index]

    def _rows(self, query: Query, row: Callable[[int, Listing], str]) -> str:
        """One row for one symbol, an array of all that trade without."""
        if "symbol" in query:
            return row(*self._listing(query))
        rows = (row(i, listing) for i, listing in enumerate(self.market.listings) if listing.status == "TRADING")
        return f"[{','.join(rows)}]"

    def _depth(self, query: Query) -> str:
        limit, (_, listing) = depth_limit(query), self._listing(query)
        if listing.status == "SETTLING":
            raise ApiError(-1121, "Invalid symbol.")
        age_ms = self.age_ms()
        book = self.market.book(listing.symbol, age_ms=age_ms, limit=limit)
        return wire.depth_snapshot(listing, book, self.market.now_ms - age_ms)

    def _agg_trades(self, query: Query) -> str:
        _, listing = self._listing(query)
        limit = limit_of(query, 500, 1000)
        first, start, end = integer(query, "fromId"), integer(query, "startTime"), integer(query, "endTime")
        if first is not None and (start is not None or end is not None):
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if start is not None and end is not None and end - start >= HOUR_MS:
            raise ApiError(-1127, "More than 1 hours between startTime and endTime.")
        if first is not None:
            rows = self.market.trades(listing.symbol, first, limit)
        else:
            rows = self.market.trades(listing.symbol)
            oldest = self.market.now_ms - AGG_TRADES_HORIZON_MS
            since = max(oldest, start if start is not None else (end - HOUR_MS if end is not None else oldest))
            rows = rows[(rows["ts_ms"] >= since) & (rows["ts_ms"] <= (self.market.now_ms if end is None else end))]
            rows = rows[-limit:] if start is None else rows[:limit]
        return f"[{','.join(wire.agg_trade_row(listing, row) for row in rows.tolist())}]"

    def _klines(self, query: Query) -> str:
        _, listing = self._listing(query)
        interval = required(query, "interval")
        if interval not in INTERVALS_MS:
            raise ApiError(-1120, "Invalid interval.")
        limit = limit_of(query, 500, 1500)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        bars = self.market.klines(listing.symbol, interval, start, end, limit)
        width = INTERVALS_MS[interval]
        return f"[{','.join(wire.kline_row(listing, bar, int(bar['open_ms']) + width - 1) for bar in bars)}]"

    def _ticker(self, i: int, listing: Listing) -> str:
        return wire.ticker_24h_row(listing, self.market.now_ms, self.market.ticker(i))

    def _price(self, i: int, listing: Listing) -> str:
        price = wire.decimal_text(self.market.ticker(i)["close"], listing.price_decimals)
        return f'{{"symbol":"{listing.symbol}","price":"{price}","time":{self.market.now_ms}}}'

    def _quote(self, i: int, listing: Listing) -> str:
        _, _, bid, bid_qty, ask, ask_qty, ts_ms = self.market.quote(i)
        pd, qd = listing.price_decimals, listing.qty_decimals
        return (
            f'{{"symbol":"{listing.symbol}","bidPrice":"{wire.decimal_text(bid, pd)}",'
            f'"bidQty":"{wire.decimal_text(bid_qty, qd)}","askPrice":"{wire.decimal_text(ask, pd)}",'
            f'"askQty":"{wire.decimal_text(ask_qty, qd)}","time":{ts_ms}}}'
        )

    def _premium(self, i: int, listing: Listing) -> str:
        rate, next_ms = self.market.funding(i)
        mark, index = float(self.market.marks.mark[i]), float(self.market.marks.index[i])
        return (
            f'{{"symbol":"{listing.symbol}","markPrice":"{mark:.8f}","indexPrice":"{index:.8f}",'
            f'"estimatedSettlePrice":"{(mark + index) / 2:.8f}","lastFundingRate":"{rate or 0.0:.8f}",'
            f'"interestRate":"0.00010000","nextFundingTime":{next_ms},"time":{self.market.now_ms}}}'
        )

    def _funding_info(self, _: Query) -> str:
        """Caps, floors and intervals that were adjusted, if only to the usual 8 h: all but the first market's."""
        rows = (
            f'{{"symbol":"{listing.symbol}","adjustedFundingRateCap":"0.02000000",'
            f'"adjustedFundingRateFloor":"-0.02000000","fundingIntervalHours":{listing.funding_hours},"disclaimer":false}}'
            for i, listing in enumerate(self.market.listings)
            if listing.status == "TRADING" and (i > 0 or listing.funding_hours != 8)
        )
        return f"[{','.join(rows)}]"

    def _funding_rates(self, query: Query) -> str:
        """Settled rates, ascending: around the running estimate, the same whenever they are asked for."""
        i, listing = self._listing(query)
        limit = limit_of(query, 100, 1000)
        rate, next_ms = self.market.funding(i)
        if rate is None:
            return "[]"
        width = listing.funding_hours * HOUR_MS
        newest = min(next_ms - width, integer(query, "endTime") or next_ms)
        oldest = integer(query, "startTime") or newest - (limit - 1) * width
        times = range(-(-oldest // width) * width, newest + 1, width)[-limit:]
        rows = []
        for time_ms in times:
            settled = rate + random.Random(f"{self.market.seed} {listing.symbol} {time_ms}").gauss(0.0, 0.00004)
            mark = float(self.market.marks.mark[i])
            rows.append(
                f'{{"symbol":"{listing.symbol}","fundingTime":{time_ms},"fundingRate":"{settled:.8f}",'
                f'"markPrice":"{mark:.8f}","rateType":"Regular"}}'
            )
        return f"[{','.join(rows)}]"

    def _open_interest(self, query: Query) -> str:
        i, listing = self._listing(query)
        lots = int(np.rint(self.market.marks.open_interest_lots[i]))
        return (
            f'{{"symbol":"{listing.symbol}","openInterest":"{wire.decimal_text(lots, listing.qty_decimals)}",'
            f'"time":{self.market.now_ms}}}'
        )
