"""Every message of the venue as text: stream payloads byte-like the captures of 2026, and REST bodies.

Key order, trailing zeros, `ps` and `st`, and the blanks inside a kline are the venue's own. Prices come in as wire
units (units of the last printed decimal), quantities as lots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np

from .layout import ADL, INSURANCE_FUND, MARKET
from .leveltext import levels_text
from .market import Book
from .universe import Listing

_CAUSES = {MARKET: "MARKET", INSURANCE_FUND: "INSURANCE_FUND", ADL: "ADL"}
_BOOL = ("false", "true")


def decimal_text(units: int, decimals: int) -> str:
    """`units` of 10**-decimals with all its decimals: 2581 of 3 is 2.581."""
    if units < 0:
        return "-" + decimal_text(-units, decimals)
    if not decimals:
        return str(units)
    digits = str(units).zfill(decimals + 1)
    return f"{digits[:-decimals]}.{digits[-decimals:]}"


# -- streams ----------------------------------------------------------------------------------------------------------


def agg_trade(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, public_qty, first, last, ts_ms, event_ms, sell = row
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"e":"aggTrade","E":{event_ms},"a":{number},"s":"{listing.symbol}","p":"{decimal_text(price, pd)}",'
        f'"q":"{decimal_text(qty, qd)}","nq":"{decimal_text(public_qty, qd)}","f":{first},"l":{last},"T":{ts_ms},'
        f'"m":{_BOOL[sell]},"st":1}}'
    )


def trade(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, ts_ms, sell, cause = row
    return (
        f'{{"e":"trade","E":{ts_ms},"T":{ts_ms},"s":"{listing.symbol}","t":{number},'
        f'"p":"{decimal_text(price, listing.price_decimals)}","q":"{decimal_text(qty, listing.qty_decimals)}",'
        f'"X":"{_CAUSES[cause]}","m":{_BOOL[sell]},"st":1}}'
    )


def book_ticker(listing: Listing, row: tuple[int, ...]) -> str:
    _, u, bid, bid_qty, ask, ask_qty, ts_ms = row
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"e":"bookTicker","u":{u},"s":"{listing.symbol}","ps":"{listing.pair}","b":"{decimal_text(bid, pd)}",'
        f'"B":"{decimal_text(bid_qty, qd)}","a":"{decimal_text(ask, pd)}","A":"{decimal_text(ask_qty, qd)}",'
        f'"T":{ts_ms},"E":{ts_ms + (u & 1)},"st":1}}'
    )


def depth(
    listing: Listing, event_ms: int, ts_ms: int, first: int, last: int, previous: int, bids: str, asks: str
) -> str:
    return (
        f'{{"e":"depthUpdate","E":{event_ms},"T":{ts_ms},"s":"{listing.symbol}","ps":"{listing.pair}","U":{first},'
        f'"u":{last},"pu":{previous},"b":[{bids}],"a":[{asks}],"st":1}}'
    )


def mark_price(
    symbol: str, event_ms: int, mark: float, index: float, rate: float | None, next_ms: int, settle: float, kind: int
) -> str:
    shown = "" if rate is None else f"{rate:.8f}"
    return (
        f'{{"e":"markPriceUpdate","E":{event_ms},"s":"{symbol}","p":"{mark:.8f}","ap":"{mark:.8f}","P":"{settle:.8f}",'
        f'"i":"{index:.8f}","r":"{shown}","T":{next_ms},"st":{kind}}}'
    )


def force_order(listing: Listing, row: tuple[int, ...], symbol: str = "", qty: int | None = None, kind: int = 1) -> str:
    """`ap` has the decimals of `p`; a CM row names its own `symbol` and counts contracts."""
    _, sell, lots, quote, last, limit, ts_ms, event_ms = row
    pd, qd = listing.price_decimals, listing.qty_decimals
    total = decimal_text(lots, qd) if qty is None else str(qty)
    part = decimal_text(last, qd) if qty is None else str(max(1, qty // 2))
    return (
        f'{{"e":"forceOrder","E":{event_ms},"o":{{"s":"{symbol or listing.symbol}","S":"{"SELL" if sell else "BUY"}",'
        f'"o":"LIMIT","f":"IOC","q":"{total}","p":"{decimal_text(limit, pd)}",'
        f'"ap":"{decimal_text(round(quote / lots), pd)}","X":"FILLED","l":"{part}","z":"{total}","T":{ts_ms},'
        f'"ps":"{(symbol or listing.symbol).partition("_")[0]}","st":{kind}}}}}'
    )


def kline(listing: Listing, event_ms: int, interval: str, bar: np.void, close_ms: int, *, closed: bool) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    o, h, lo, c = (decimal_text(int(bar[name]), pd) for name in ("open", "high", "low", "close"))
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{listing.symbol}","k":{{"t":{bar["open_ms"]}, "T":{close_ms}, '
        f'"s":"{listing.symbol}", "i":"{interval}", "f":{bar["first"]}, "L":{bar["last"]}, "o":"{o}", "c":"{c}", '
        f'"h":"{h}", "l":"{lo}", "v":"{decimal_text(int(bar["qty"]), qd)}", "n":{bar["trades"]}, "x":{_BOOL[closed]}, '
        f'"q":"{decimal_text(int(bar["quote"]), pd + qd)}", "V":"{decimal_text(int(bar["buy_qty"]), qd)}", '
        f'"Q":"{decimal_text(int(bar["buy_quote"]), pd + qd)}", "B":"0"}}}}'
    )


def ticker_24h(listing: Listing, event_ms: int, day: dict[str, int], symbol: str = "", kind: int = 1) -> str:
    """`day`: open, high, low, close, qty, quote, trades, first, last, last_qty, open_ms."""
    pd, qd = listing.price_decimals, listing.qty_decimals
    change, average = _change(day), day["quote"] // max(1, day["qty"])
    name = symbol or listing.symbol
    return (
        f'{{"e":"24hrTicker","E":{event_ms},"s":"{name}","ps":"{name.partition("_")[0]}",'
        f'"p":"{decimal_text(day["close"] - day["open"], pd)}","P":"{change:.3f}","w":"{decimal_text(average, pd)}",'
        f'"c":"{decimal_text(day["close"], pd)}","Q":"{decimal_text(day["last_qty"], qd)}",'
        f'"o":"{decimal_text(day["open"], pd)}","h":"{decimal_text(day["high"], pd)}",'
        f'"l":"{decimal_text(day["low"], pd)}",'
        f'"v":"{decimal_text(day["qty"], qd)}","q":"{decimal_text(day["quote"], pd + qd)}","O":{day["open_ms"]},'
        f'"C":{event_ms},"F":{day["first"]},"L":{day["last"]},"n":{day["trades"]},"st":{kind}}}'
    )


def mini_ticker(listing: Listing, event_ms: int, day: dict[str, int]) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"e":"24hrMiniTicker","E":{event_ms},"s":"{listing.symbol}","ps":"{listing.pair}",'
        f'"c":"{decimal_text(day["close"], pd)}","o":"{decimal_text(day["open"], pd)}",'
        f'"h":"{decimal_text(day["high"], pd)}","l":"{decimal_text(day["low"], pd)}",'
        f'"v":"{decimal_text(day["qty"], qd)}","q":"{decimal_text(day["quote"], pd + qd)}","st":1}}'
    )


def contract_info(listing: Listing, event_ms: int) -> str:
    return (
        f'{{"e":"contractInfo","E":{event_ms},"s":"{listing.symbol}","ct":"{listing.contract}","dt":{listing.delivery_ms},'
        f'"ot":{listing.onboard_ms},"cs":"{listing.status}",'
        f'"bks":[{{"bs":1,"bnf":0,"bnc":5000,"mmr":0.01,"cf":0,"mi":21,"ma":50}}],"st":1}}'
    )


# -- REST -------------------------------------------------------------------------------------------------------------


def error(code: int, message: str) -> str:
    return json.dumps({"code": code, "msg": message}, separators=(",", ":"), ensure_ascii=False)


def exchange_info(listings: Iterable[Listing], now_ms: int, weight_limit: int) -> str:
    symbols = ",".join(_symbol_info(listing) for listing in listings)
    return (
        f'{{"timezone":"UTC","serverTime":{now_ms},"futuresType":"U_MARGINED","rateLimits":['
        f'{{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":{weight_limit}}},'
        '{"rateLimitType":"ORDERS","interval":"MINUTE","intervalNum":1,"limit":1200},'
        '{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":300}],"exchangeFilters":[],'
        '"assets":[{"asset":"USDT","marginAvailable":true,"autoAssetExchange":"-10000"},'
        '{"asset":"USDC","marginAvailable":true,"autoAssetExchange":"-10000"}],'
        f'"symbols":[{symbols}]}}'
    )


def _symbol_info(listing: Listing) -> str:
    pd = listing.price_decimals
    largest = listing.tick_units * 10**7
    # `pricePrecision` and `quantityPrecision` do not say the increments, here as there.
    return (
        f'{{"symbol":"{listing.symbol}","pair":"{listing.pair}","contractType":"{listing.contract}",'
        f'"deliveryDate":{listing.delivery_ms},"onboardDate":{listing.onboard_ms},"status":"{listing.status}",'
        f'"maintMarginPercent":"2.5000","requiredMarginPercent":"5.0000","baseAsset":"{listing.base}",'
        f'"quoteAsset":"{listing.quote}","marginAsset":"{listing.quote}","pricePrecision":{pd},'
        f'"quantityPrecision":{listing.qty_decimals},"baseAssetPrecision":8,"quotePrecision":8,'
        f'"underlyingType":"{"EQUITY" if listing.tradfi else "COIN"}","underlyingSubType":[],"settlePlan":0,'
        f'"triggerProtect":"0.0500","liquidationFee":"0.012500","marketTakeBound":"0.05","maxMoveOrderLimit":10000,'
        f'"filters":[{{"filterType":"PRICE_FILTER","minPrice":"{listing.tick_size}",'
        f'"maxPrice":"{decimal_text(largest, pd)}","tickSize":"{listing.tick_size}"}},'
        f'{{"filterType":"LOT_SIZE","minQty":"{listing.step_size}","maxQty":"10000000","stepSize":"{listing.step_size}"}},'
        f'{{"filterType":"MARKET_LOT_SIZE","minQty":"{listing.step_size}","maxQty":"1000000",'
        f'"stepSize":"{listing.step_size}"}},{{"filterType":"MAX_NUM_ORDERS","limit":200}},'
        '{"filterType":"MIN_NOTIONAL","notional":"5"},{"filterType":"PERCENT_PRICE","multiplierUp":"1.0500",'
        '"multiplierDown":"0.9500","multiplierDecimal":"4"}],'
        '"orderTypes":["LIMIT","MARKET","STOP","STOP_MARKET","TAKE_PROFIT","TAKE_PROFIT_MARKET","TRAILING_STOP_MARKET"],'
        '"timeInForce":["GTC","IOC","FOK","GTX","GTD"]}'
    )


def depth_snapshot(listing: Listing, book: Book, event_ms: int) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"lastUpdateId":{book.last_update_id},"E":{event_ms},"T":{book.ts_ms},'
        f'"bids":[{levels_text(book.bids, pd, qd)}],"asks":[{levels_text(book.asks, pd, qd)}]}}'
    )


def agg_trade_row(listing: Listing, row: tuple[int, ...]) -> str:
    _, number, price, qty, public_qty, first, last, ts_ms, _, sell = row
    pd, qd = listing.price_decimals, listing.qty_decimals
    return (
        f'{{"a":{number},"p":"{decimal_text(price, pd)}","q":"{decimal_text(qty, qd)}",'
        f'"nq":"{decimal_text(public_qty, qd)}",'
        f'"f":{first},"l":{last},"T":{ts_ms},"m":{_BOOL[sell]}}}'
    )


def kline_row(listing: Listing, bar: np.void, close_ms: int) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    o, h, lo, c = (decimal_text(int(bar[name]), pd) for name in ("open", "high", "low", "close"))
    return (
        f'[{bar["open_ms"]},"{o}","{h}","{lo}","{c}","{decimal_text(int(bar["qty"]), qd)}",{close_ms},'
        f'"{decimal_text(int(bar["quote"]), pd + qd)}",{bar["trades"]},"{decimal_text(int(bar["buy_qty"]), qd)}",'
        f'"{decimal_text(int(bar["buy_quote"]), pd + qd)}","0"]'
    )


def ticker_24h_row(listing: Listing, now_ms: int, day: dict[str, int]) -> str:
    pd, qd = listing.price_decimals, listing.qty_decimals
    average = day["quote"] // max(1, day["qty"])
    return (
        f'{{"symbol":"{listing.symbol}","priceChange":"{decimal_text(day["close"] - day["open"], pd)}",'
        f'"priceChangePercent":"{_change(day):.3f}","weightedAvgPrice":"{decimal_text(average, pd)}",'
        f'"lastPrice":"{decimal_text(day["close"], pd)}","lastQty":"{decimal_text(day["last_qty"], qd)}",'
        f'"openPrice":"{decimal_text(day["open"], pd)}","highPrice":"{decimal_text(day["high"], pd)}",'
        f'"lowPrice":"{decimal_text(day["low"], pd)}","volume":"{decimal_text(day["qty"], qd)}",'
        f'"quoteVolume":"{decimal_text(day["quote"], pd + qd)}","openTime":{day["open_ms"]},"closeTime":{now_ms},'
        f'"firstId":{day["first"]},"lastId":{day["last"]},"count":{day["trades"]}}}'
    )


def _change(day: dict[str, int]) -> float:
    return 100.0 * (day["close"] / day["open"] - 1.0) if day["open"] else 0.0
