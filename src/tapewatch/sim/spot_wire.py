"""Every message of Binance spot as text, byte-like the captures of 2026: eight decimals whatever the increments are.

Diffs come from compiled code, which prints the increments' own decimals.
"""

from __future__ import annotations

from collections.abc import Iterable

from .leveltext import levels_text
from .market import Book
from .universe import Listing
from .wire import decimal_text

DECIMALS = 8
_BOOL = ("false", "true")


def padded(units: int, decimals: int) -> str:
    """A decimal with eight places or more."""
    text = decimal_text(units, decimals)
    if decimals == 0:
        return f"{text}.{'0' * DECIMALS}"
    return text + "0" * max(0, DECIMALS - decimals)


def agg_trade(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, _, first, last, ts_ms, event_ms, sell = row
    return (
        f'{{"e":"aggTrade","E":{event_ms},"s":"{listing.symbol}","a":{number},'
        f'"p":"{padded(price, listing.price_decimals)}","q":"{padded(qty, listing.qty_decimals)}",'
        f'"f":{first},"l":{last},"T":{ts_ms},"m":{_BOOL[sell]},"M":true}}'
    )


def trade(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, ts_ms, sell, _ = row
    return (
        f'{{"e":"trade","E":{ts_ms},"s":"{listing.symbol}","t":{number},'
        f'"p":"{padded(price, listing.price_decimals)}","q":"{padded(qty, listing.qty_decimals)}",'
        f'"T":{ts_ms},"m":{_BOOL[sell]},"M":true}}'
    )


def book_ticker(listing: Listing, row: tuple[int, ...]) -> str:
    """Without event name and times, as the venue sends it."""
    _, u, bid, bid_qty, ask, ask_qty, _ = row
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"u":{u},"s":"{listing.symbol}","b":"{padded(bid, pd)}","B":"{padded(bid_qty, qd)}",'
        f'"a":"{padded(ask, pd)}","A":"{padded(ask_qty, qd)}"}}'
    )


def depth(listing: Listing, event_ms: int, first: int, last: int, bids: str, asks: str) -> str:
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"s":"{listing.symbol}","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}'
    )


def snapshot(listing: Listing, book: Book) -> str:
    """A partial book on a stream and the answer of REST alike."""
    pd, qd = listing.price_decimals, listing.qty_decimals
    bids, asks = levels_text(book.bids, pd, qd), levels_text(book.asks, pd, qd)
    return f'{{"lastUpdateId":{book.last_update_id},"bids":[{bids}],"asks":[{asks}]}}'


def mini_ticker(listing: Listing, event_ms: int, day: dict[str, int]) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"e":"24hrMiniTicker","E":{event_ms},"s":"{listing.symbol}","c":"{padded(day["close"], pd)}",'
        f'"o":"{padded(day["open"], pd)}","h":"{padded(day["high"], pd)}","l":"{padded(day["low"], pd)}",'
        f'"v":"{padded(day["qty"], qd)}","q":"{padded(day["quote"], pd + qd)}"}}'
    )


def exchange_info(listings: Iterable[Listing], now_ms: int, weight_limit: int) -> str:
    symbols = ",".join(_symbol_info(listing) for listing in listings)
    return (
        f'{{"timezone":"UTC","serverTime":{now_ms},"rateLimits":['
        f'{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":{weight_limit}}},'
        '{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":300000}],'
        f'"exchangeFilters":[],"symbols":[{symbols}]}}'
    )


def _symbol_info(listing: Listing) -> str:
    status = "TRADING" if listing.status == "TRADING" else "BREAK"
    largest = decimal_text(listing.tick_units * 10**7, listing.price_decimals)
    return (
        f'{{"symbol":"{listing.symbol}","status":"{status}","baseAsset":"{listing.base}","baseAssetPrecision":8,'
        f'"quoteAsset":"{listing.quote}","quotePrecision":8,"quoteAssetPrecision":8,"orderTypes":["LIMIT","MARKET"],'
        '"icebergAllowed":true,"ocoAllowed":true,"isSpotTradingAllowed":true,"isMarginTradingAllowed":true,'
        f'"filters":[{{"filterType":"PRICE_FILTER","minPrice":"{padded(listing.tick_units, listing.price_decimals)}",'
        f'"maxPrice":"{largest}","tickSize":"{padded(listing.tick_units, listing.price_decimals)}"}},'
        f'{{"filterType":"LOT_SIZE","minQty":"{padded(1, listing.qty_decimals)}","maxQty":"9000.00000000",'
        f'"stepSize":"{padded(1, listing.qty_decimals)}"}},{{"filterType":"NOTIONAL","minNotional":"5.00000000"}}],'
        '"permissions":[],"defaultSelfTradePreventionMode":"EXPIRE_MAKER"}'
    )


def agg_trade_row(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, _, first, last, ts_ms, _, sell = row
    return (
        f'{{"a":{number},"p":"{padded(price, listing.price_decimals)}","q":"{padded(qty, listing.qty_decimals)}",'
        f'"f":{first},"l":{last},"T":{ts_ms},"m":{_BOOL[sell]},"M":true}}'
    )


def ticker_24h_row(listing: Listing, now_ms: int, day: dict[str, int], quote: tuple[int, ...]) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    _, _, bid, bid_qty, ask, ask_qty, _ = quote
    change = 100.0 * (day["close"] / day["open"] - 1.0) if day["open"] else 0.0
    average = day["quote"] // max(1, day["qty"])
    return (
        f'{{"symbol":"{listing.symbol}","priceChange":"{padded(day["close"] - day["open"], pd)}",'
        f'"priceChangePercent":"{change:.3f}","weightedAvgPrice":"{padded(average, pd)}",'
        f'"lastPrice":"{padded(day["close"], pd)}","lastQty":"{padded(day["last_qty"], qd)}",'
        f'"bidPrice":"{padded(bid, pd)}","bidQty":"{padded(bid_qty, qd)}","askPrice":"{padded(ask, pd)}",'
        f'"askQty":"{padded(ask_qty, qd)}","openPrice":"{padded(day["open"], pd)}",'
        f'"highPrice":"{padded(day["high"], pd)}","lowPrice":"{padded(day["low"], pd)}",'
        f'"volume":"{padded(day["qty"], qd)}","quoteVolume":"{padded(day["quote"], pd + qd)}",'
        f'"openTime":{day["open_ms"]},"closeTime":{now_ms},"firstId":{day["first"]},"lastId":{day["last"]},'
        f'"count":{day["trades"]}}}'
    )
