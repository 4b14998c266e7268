"""What is loaded over REST: book snapshots, average daily volumes, trades that a gap hid."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from random import Random

import pytest
from aiohttp import web

from feed_api import MINUTE_NS, Api, Clock, client, used
from feed_sink import DAY, Taker, running
from tapewatch.engine import Need
from tapewatch.feed import adv as adv_module
from tapewatch.feed import backfill as backfill_module
from tapewatch.feed import interest as interest_module
from tapewatch.feed import pages as pages_module
from tapewatch.feed import snapshots as snapshots_module
from tapewatch.feed.adv import DAY_MS, AdvLoader
from tapewatch.feed.backfill import TradeBackfill
from tapewatch.feed.binance_usdm import BinanceUsdmRest
from tapewatch.feed.books import LEADERS, TAIL_DEPTH, BookLoader
from tapewatch.feed.budget import Priority
from tapewatch.feed.interest import InterestPoller
from tapewatch.feed.pages import PagePlan
from tapewatch.feed.sink import NO_ID, HistoryEdge, TradeHole, TradeTail
from tapewatch.model.errors import FrameError
from tapewatch.model.gaps import Fate
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.venues.registry import PRODUCTS
from waiting import until

RULE = PRODUCTS["binance"].trades


def universe(*symbols: str) -> Universe:
    grid = Grid(1, 2)
    return Universe("binance", [Instrument(-1, "binance", s, s, "USDT", "perp", grid, grid) for s in symbols])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots_module, "SETTLE_S", 0.0)
    monkeypatch.setattr(snapshots_module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(backfill_module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(backfill_module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(pages_module, "SETTLE_S", 0.01)
    monkeypatch.setattr(adv_module, "FIRST_RETRY_S", 0.01)


# -- books ------------------------------------------------------------------------------------------------------


def asked(api: Api) -> list[tuple[str, int]]:
    """Symbol and limit of each depth request."""
    queries = [dict(part.split("=") for part in r.split("?")[1].split("&")) for r in api.requests if "/depth" in r]
    return [(query["symbol"], int(query["limit"])) for query in queries]


def loader(rest: BinanceUsdmRest, taker: Taker, *symbols: str) -> BookLoader:
    return BookLoader(rest, taker, universe(*symbols), 1000, Random(1))


async def test_a_market_of_books_within_the_minute_visible_first_and_deep() -> None:
    """740 books at full depth would be six minutes of weight: what is seen and what is large goes first and whole."""
    symbols = [f"S{n:03}" for n in range(740)]
    counted = 0

    def count(request: web.Request) -> web.Response:
        nonlocal counted
        counted += {1000: 20, 100: 5}[int(request.query["limit"])]
        assert counted <= 2400
        return used(counted)

    api, taker, clock = Api(count), Taker(), Clock()
    async with client(api, clock) as rest:
        books = loader(rest, taker, *symbols)
        books.queue.set_rank({symbol: 740.0 - n for n, symbol in enumerate(symbols)})
        books.put_first(["S700", "S600"])
        for symbol in symbols:
            books.start(symbol)
        books.streaming(symbols)
        async with running(books.run()):
            await until(lambda: minute_is_used_up(rest))
            first_minute = asked(api)
            assert {symbol for symbol, _ in first_minute[:4]} >= {"S700", "S600"}
            whole = [symbol for symbol, limit in first_minute if limit == 1000]
            assert set(whole) == {"S700", "S600", *symbols[:LEADERS]}
            assert {limit for _, limit in first_minute} == {1000, TAIL_DEPTH}
            assert len(first_minute) > 300
            for _ in range(2):
                counted = 0
                clock.ns += MINUTE_NS
                rest._serve()
                await until(lambda: len(books.queue) == 0 or minute_is_used_up(rest))
            assert sorted(taker.snapshots) == sorted(symbols)
            assert books.loaded == 740


def minute_is_used_up(rest: BinanceUsdmRest) -> bool:
    return rest.budget.room(Priority.BOOK, rest.venue_ms()) < 5 and not rest.budget._in_flight


async def test_a_snapshot_of_no_use_is_asked_for_again_and_others_are_not_held_up() -> None:
    taker = Taker()
    need = Need(0, "snapshot_too_old")
    taker.answers = {"A": [need, FrameError("wrong_shape", "half a book"), need]}
    async with client(Api(used(1))) as rest:
        books = loader(rest, taker, "A", "B")
        books.start("A")
        books.start("B")
        books.streaming(["A", "B"])
        async with running(books.run()):
            await until(lambda: books.loaded == 2)
        assert taker.snapshots.count("A") == 4
        assert books.failed == {"snapshot_too_old": 2, "wrong_shape": 1}


async def test_a_refused_symbol_is_no_reason_to_stop() -> None:
    def answer(request: web.Request) -> web.Response:
        if request.query["symbol"] == "GONE":
            return web.Response(status=400, text='{"code":-1121,"msg":"Invalid symbol."}')
        return used(1)

    taker = Taker()
    async with client(Api(answer)) as rest:
        books = loader(rest, taker, "GONE", "B")
        books.start("GONE")
        books.streaming(["GONE"])
        async with running(books.run()):
            await until(lambda: books.failed["RefusedError"] == 2)
            books.start("B")
            books.streaming(["B"])
            await until(lambda: books.loaded == 1)
        assert taker.snapshots == ["B"]


# -- average daily volume ---------------------------------------------------------------------------------------


def klines(now_ms: int, days: int, volume: str) -> str:
    """`days` complete daily klines and the running one, whose volume must not count."""
    today = now_ms // DAY_MS * DAY_MS
    rows = [
        [t, "1", "1", "1", "1", "9", t + DAY_MS - 1, volume if t < today else "99999999", 5, "1", "1", "0"]
        for t in range(today - days * DAY_MS, today + 1, DAY_MS)
    ]
    return json.dumps(rows)


async def test_averages_leave_the_running_day_out_and_are_renewed_after_midnight() -> None:
    clock = Clock()
    volume = {"OLD": "100.5", "YOUNG": "7"}

    def answer(request: web.Request) -> web.Response:
        assert request.query["interval"] == "1d"
        assert request.query["limit"] == "31"
        symbol = request.query["symbol"]
        return used(1, klines(clock.ns // 1_000_000, 30 if symbol == "OLD" else 3, volume[symbol]))

    api, taker = Api(web.Response(status=500), answer), Taker()
    async with client(api, clock) as rest:
        loading = AdvLoader(rest, taker, 30, Random(1), PRODUCTS["binance"].daily_volume)
        loading.follow(["YOUNG", "OLD"], {"OLD": 5.0, "YOUNG": 1.0})
        async with running(loading.run()):
            await until(lambda: len(taker.adv) == 2)
            assert taker.adv == {"OLD": (Decimal("100.5"), 30), "YOUNG": (Decimal(7), 3)}
            volume["OLD"] = "200"
            clock.ns += DAY_MS * 1_000_000
            loading.follow(["OLD"], {})
            await until(lambda: taker.adv["OLD"][0] == Decimal(200))
            assert taker.adv["YOUNG"] == (Decimal(7), 3)


def test_a_venue_that_gives_no_trades_back_has_no_history_to_load_even_in_sight() -> None:
    """Looking at a symbol of Bybit once divided by its page of no trades, and took the status of all venues along."""
    plan = PagePlan(PRODUCTS["bybit"].trades, lambda _: True)
    edges = [HistoryEdge("BTCUSDT", 7, 10 * DAY_MS + 3_600_000, 10 * DAY_MS + 3_700_000)]
    assert plan.progress(edges, 10 * DAY_MS + 3_700_000).symbols == 0
    assert plan.next_history(edges, 10 * DAY_MS + 3_700_000, lambda _: 2_400) is None


async def test_open_interest_is_asked_for_by_symbol_and_what_fails_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interest_module, "FIRST_ROUND_S", 0.01)
    monkeypatch.setattr(interest_module, "ROUND_S", 0.01)
    asked: list[str] = []

    def answer(request: web.Request) -> web.Response:
        symbol = request.query["symbol"]
        asked.append(symbol)
        if asked == ["LARGE"]:
            return used(1, '{"symbol":"LARGE","openInterest":"many","time":7}')
        return used(1, f'{{"symbol":"{symbol}","openInterest":"95253.475","time":1791269771665}}')

    api, taker = Api(answer), Taker()
    read = PRODUCTS["binance"].interest
    assert read is not None
    async with client(api) as rest:
        polling = InterestPoller(rest, taker, read)
        async with running(polling.run()):
            polling.follow(["SMALL", "LARGE"], {"LARGE": 5.0})
            await until(lambda: len(taker.interest) >= 2)
    assert asked[:3] == ["LARGE", "SMALL", "LARGE"]
    assert taker.interest[:2] == [("SMALL", Decimal("95253.475")), ("LARGE", Decimal("95253.475"))]


# -- trades -----------------------------------------------------------------------------------------------------


def trades_api(first: int, last: int) -> Api:
    """Serves aggregate trades `first` to `last`, and the oldest it has for anything older, as the venue does."""

    def answer(request: web.Request) -> web.Response:
        start = max(first, int(request.query["fromId"]))
        stop = min(last, start + int(request.query["limit"]) - 1)
        return used(1, json.dumps([{"a": n, "p": "1", "q": "1", "T": n} for n in range(start, stop + 1)]))

    return Api(answer)


def backfill(rest: BinanceUsdmRest, taker: Taker, visible: str = "") -> TradeBackfill:
    return TradeBackfill(PRODUCTS["binance"], rest, taker, lambda _: None, lambda symbol: symbol == visible, Random(1))


async def test_holes_are_filled_page_by_page_the_visible_first_the_newest_next() -> None:
    taker = Taker()
    taker.holes = [TradeHole("A", 100, 2599), TradeHole("B", 10, 12), TradeHole("A", 5000, 5000)]
    api = trades_api(1, 10_000)
    async with client(api) as rest:
        filling = backfill(rest, taker, visible="B")
        async with running(filling.run()):
            await until(lambda: not taker.holes)
    assert filling.filled == 2504
    assert taker.trades == [10, 11, 12, 5000, *range(100, 2600)]
    assert ["symbol=B" in request for request in api.requests] == [True, False, False, False, False]
    assert not taker.given_up


async def test_what_the_venue_no_longer_has_stays_a_gap() -> None:
    """Beyond its horizon it answers with other trades instead of an error: they are not taken for the missing ones."""
    taker = Taker()
    taker.holes = [TradeHole("A", 100, 200)]
    api = trades_api(5000, 10_000)
    async with client(api) as rest:
        filling = backfill(rest, taker)
        async with running(filling.run()):
            await until(lambda: bool(taker.given_up))
            await asyncio.sleep(0.1)  # long enough for another try, which must not come
    assert (taker.trades, taker.given_up) == ([], {TradeHole("A", 100, 200): Fate.BEYOND_HORIZON})
    assert filling.given_up == {"A": 101}
    assert len(api.requests) == 1


async def test_the_part_that_the_venue_still_has_is_taken() -> None:
    taker = Taker()
    taker.holes = [TradeHole("A", 100, 2_400)]
    async with client(trades_api(700, 10_000)) as rest, running(backfill(rest, taker).run()):
        await until(lambda: taker.trades[-1:] == [2_400])
    assert taker.trades == list(range(700, 2_401))


async def test_an_answer_that_ends_too_early_is_asked_for_again_and_then_given_up() -> None:
    taker = Taker()
    taker.holes = [TradeHole("A", 100, 200)]
    api = trades_api(1, 150)
    async with client(api) as rest, running(backfill(rest, taker).run()):
        await until(lambda: bool(taker.given_up))
    assert taker.trades == list(range(100, 151))
    assert list(taker.given_up) == [TradeHole("A", 151, 200)]
    assert len(api.requests) == pages_module.TRIES


async def test_behind_a_doubted_trade_the_venue_is_asked_until_it_has_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "TAIL_AFTER_S", 0.02)
    taker = Taker()
    taker.tails = [TradeTail("A", 100, 0, doubtful=True), TradeTail("DOWN", 1, 0, doubtful=True)]
    api = trades_api(1, 2_500)
    async with client(api) as rest:
        asking = backfill(rest, taker)
        asking.interrupted(["A", "DOWN"])
        asking.streaming(["A"])
        async with running(asking.run()):
            await until(lambda: taker.told == {"A": 2_500})
    assert taker.trades == list(range(101, 2_501))
    assert asking.filled == 2_400
    assert len(api.requests) == 3
    assert [tail.symbol for tail in taker.tails] == ["DOWN"], "whose trades do not come is not asked for yet"


def test_who_has_been_silent_for_long_is_asked_for_now_and_then() -> None:
    plan = PagePlan(RULE, lambda symbol: symbol == "SEEN")
    quiet_ms = DAY + pages_module.QUIET_MS + 1
    tails = [TradeTail(symbol, 5, DAY, doubtful=False) for symbol in ("A", "SEEN", "DOWN")]
    plan.streaming(["A", "SEEN", "DOWN"], 0.0)
    plan.interrupted(["DOWN"])
    asked = [plan.next_tail(tails, now_s, quiet_ms, enough) for now_s in (2.0, 4.0, 5.0, 6.0, 903.0, 904.0, 905.0)]
    found = [None if page is None else (page.symbol, page.from_id, page.priority) for page in asked]
    seen, other = ("SEEN", 6, Priority.VISIBLE_HISTORY), ("A", 6, Priority.HISTORY)
    assert found == [None, seen, other, None, None, seen, other]
    assert plan.next_tail(tails, 906.0, quiet_ms, lambda _: 0) is None
    assert plan.next_tail(tails, 906.0, DAY, enough) is None, "its newest trade is of this moment"


def enough(_: Priority) -> int:
    return 1_000


def test_who_ceased_to_trade_while_its_stream_was_interrupted_is_asked_for_its_last_trades() -> None:
    plan = PagePlan(RULE, lambda _: False)
    page = plan.next_tail([TradeTail("A", 5, DAY, doubtful=True, over=True)], 0.0, DAY, enough)
    assert page is not None
    assert (page.symbol, page.from_id) == ("A", 6)
    assert plan.next_tail([TradeTail("A", 9, DAY, doubtful=False, over=True)], 999.0, 2 * DAY, enough) is None


def test_who_has_not_traded_since_we_listen_is_asked_for_the_newest_trades() -> None:
    plan = PagePlan(RULE, lambda _: False)
    tails = [TradeTail("A", NO_ID, 0, doubtful=False)]
    plan.streaming(["A"], 0.0)
    asked = [plan.next_tail(tails, now_s, 10 * DAY, enough) for now_s in (4.0, 119.0, 121.0, 122.0, 1_022.0)]
    found = [None if page is None else (page.from_id, page.priority, page.is_history) for page in asked]
    once = (NO_ID, Priority.HISTORY, True)
    assert found == [None, None, once, None, once]


async def test_the_newest_trades_are_asked_for_without_an_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_module, "TAIL_AFTER_S", 0.0)
    monkeypatch.setattr(pages_module, "QUIET_MS", 20)
    taker, answer = Taker(), used(1, json.dumps([{"a": n, "p": "1", "q": "1", "T": n} for n in range(7, 20)]))
    taker.tails = [TradeTail("A", NO_ID, 0, doubtful=False)]
    api = Api(answer)
    async with client(api) as rest:
        asking = backfill(rest, taker)
        asking.streaming(["A"])
        async with running(asking.run()):
            await until(lambda: bool(taker.told))
    assert (taker.trades, asking.loaded, asking.filled) == (list(range(7, 20)), 13, 0)
    assert "fromId" not in api.requests[0]


async def test_one_page_fills_all_gaps_that_it_reaches() -> None:
    """A page costs the same however much of it is wanted."""
    taker = Taker()
    taker.holes = [TradeHole("A", 10, 12), *(TradeHole("A", n, n + 2) for n in range(400, 1_300, 100))]
    api = trades_api(1, 10_000)
    async with client(api) as rest:
        filling = backfill(rest, taker)
        async with running(filling.run()):
            await until(lambda: not taker.holes)
    assert [request.partition("fromId=")[2].partition("&")[0] for request in api.requests] == ["400", "10"]
    assert taker.trades == [*range(400, 1_203), *range(10, 13)]
    assert filling.filled == 30, "what was held between the gaps was brought for nothing"
    assert not taker.given_up


def test_a_hole_that_closes_by_itself_costs_nothing() -> None:
    plan = PagePlan(RULE, lambda _: False)
    settle = pages_module.SETTLE_S
    assert plan.next_hole([TradeHole("A", 5, 5)], 0.0, enough) is None
    assert plan.next_hole([], settle / 2, enough) is None
    assert plan.next_hole([TradeHole("A", 7, 9)], settle, enough) is None
    page = plan.next_hole([TradeHole("A", 7, 9)], settle * 2.1, enough)
    assert page is not None
    assert (page.from_id, page.limit) == (7, 3)


def test_what_cannot_be_paid_for_waits_and_does_not_hold_up_what_can() -> None:
    plan = PagePlan(RULE, lambda symbol: symbol == "SEEN")
    holes = [TradeHole("OTHER", 7, 9), TradeHole("SEEN", 1, 2)]
    assert plan.next_hole(holes, 0.0, enough) is None
    page = plan.next_hole(holes, 2.0, lambda priority: 20 if priority is Priority.GAP_FILL else 0)
    assert page is not None
    assert (page.symbol, page.priority) == ("SEEN", Priority.GAP_FILL)
    assert plan.next_hole(holes, 2.0, lambda _: 19) is None


NOON = DAY + 12 * 3_600_000


def edge(symbol: str, first_ms: int, first_id: int = 50_000) -> HistoryEdge:
    return HistoryEdge(symbol, first_id, first_ms, NOON)


def test_history_is_loaded_for_symbols_in_sight_and_for_cheap_days_the_shortest_first() -> None:
    plan = PagePlan(RULE, lambda symbol: symbol == "SEEN", {"SEEN": 30.0, "BUSY": 10.0, "QUIET": 0.1, "MIDDLE": 0.4})
    edges = [edge(symbol, NOON) for symbol in ("BUSY", "MIDDLE", "QUIET", "UNKNOWN", "SEEN")]
    order = []
    while page := plan.next_history(edges, NOON, enough):
        order.append((page.symbol, page.from_id, page.limit, page.priority))
        edges = [one if one.symbol != page.symbol else edge(one.symbol, DAY - 1) for one in edges]
    assert order == [
        ("SEEN", 49_000, 1_000, Priority.VISIBLE_HISTORY),
        ("QUIET", 49_000, 1_000, Priority.HISTORY),
        ("MIDDLE", 49_000, 1_000, Priority.HISTORY),
    ]


def test_history_ends_at_midnight_at_the_first_id_and_where_the_venue_knows_no_more() -> None:
    plan = PagePlan(RULE, lambda _: True)
    assert plan.next_history([edge("A", DAY - 1)], NOON, enough) is None
    assert plan.next_history([edge("A", NOON, 0)], NOON, enough) is None
    page = plan.next_history([edge("A", NOON, 400)], NOON, enough)
    assert page is not None
    assert (page.from_id, page.limit) == (0, 400)
    page = plan.next_history([edge("A", NOON)], NOON, enough)
    assert page is not None
    plan.judge(page, range(49_500, 50_000), [], 0.0, NOON)
    assert plan.next_history([edge("A", NOON, 49_500)], NOON, enough) is None
    assert plan.next_history([edge("A", NOON, 49_400)], NOON, enough) is not None


def test_the_progress_of_history_is_a_share_of_todays_time() -> None:
    plan = PagePlan(RULE, lambda _: True, {"A": 3.0, "B": 1.0})
    half = plan.progress([edge("A", DAY + 6 * 3_600_000), edge("B", DAY - 1)], NOON)
    assert (half.symbols, half.complete, half.share) == (2, 1, 0.625)
    assert plan.progress([], NOON).share == 1.0


async def test_todays_trades_are_brought_in_backwards_until_midnight() -> None:
    taker = Taker()
    taker.first["H"] = 2_500
    clock = Clock()
    clock.ns = (DAY + 5_000) * 1_000_000
    async with client(trades_api(1, 10_000), clock) as rest:
        filling = backfill(rest, taker, visible="H")
        async with running(filling.run()):
            await until(lambda: filling.progress().share == 1.0)
    assert taker.trades == [*range(1_500, 2_500), *range(500, 1_500), *range(1, 501)]
    assert filling.loaded == 2_499


async def test_failures_and_nonsense_are_tried_again() -> None:
    taker = Taker()
    taker.holes = [TradeHole("A", 5, 6)]
    good = trades_api(1, 100).answers[0]
    api = Api(web.Response(text="<html>"), web.Response(text='[{"b":1}]'), web.Response(status=502), good)
    async with client(api) as rest:
        filling = backfill(rest, taker)
        async with running(filling.run()):
            await until(lambda: not taker.holes)
    assert taker.trades == [5, 6]
