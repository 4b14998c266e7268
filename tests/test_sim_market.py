"""The simulated market by itself: its laws, its memory, and the texts made of it."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from tapewatch.sim import kernels, layout
from tapewatch.sim.layout import STEP_MS
from tapewatch.sim.leveltext import levels_text
from tapewatch.sim.market import INTERVALS_MS, MINUTE_MS, Market
from tapewatch.sim.patterns import Planter
from tapewatch.sim.rest import ApiError, MarketRest
from tapewatch.sim.streams import MarketStreams, route_of
from tapewatch.sim.universe import DAY_MS, build_spot, build_universe
from tapewatch.sim.wire import decimal_text

START_MS = 1_790_000_030_000


def market(symbols: int = 12, seed: int = 7, pace: float = 1.0, start_ms: int = START_MS) -> Market:
    return Market(build_universe(symbols, seed), seed=seed, start_ms=start_ms, pace=pace)


def run(simulated: Market, seconds: float) -> None:
    for _ in range(int(seconds * 1000 / STEP_MS)):
        simulated.step()


# -- universe ---------------------------------------------------------------------------------------------------------


def test_universe_is_large_odd_and_repeatable() -> None:
    listings = build_universe(600, 7)
    assert listings == build_universe(600, 7)
    assert len({listing.symbol for listing in listings}) == len(listings)
    kinds = Counter(listing.contract for listing in listings if listing.status == "TRADING")
    assert kinds["PERPETUAL"] + kinds["TRADIFI_PERPETUAL"] == 600
    assert kinds["TRADIFI_PERPETUAL"] > 80
    assert kinds["CURRENT_QUARTER"] == kinds["NEXT_QUARTER"] == 2
    assert sum(listing.status == "SETTLING" for listing in listings) == 12
    assert {"BTCUSDT", "1000PEPEUSDT", "币安人生USDT", "TSLAUSDT", "ETHUSDC"} <= {
        listing.symbol for listing in listings
    }
    assert 350 < sum(listing.trades_per_s for listing in listings if listing.status == "TRADING") < 450


def test_spot_stays_with_the_perpetual_while_patterns_move_it() -> None:
    """A basis of a few basis points, also where the perpetual is swept, pressed and left."""
    perpetual = market(40)
    Planter(perpetual, "BTCUSDT", seed=7, every_ms=10_000, warm_up_ms=0)
    spot = Market(build_spot(perpetual.listings, 24, 7), seed=8, start_ms=START_MS, lead=perpetual)
    basis = []
    for step in range(120 * 1000 // STEP_MS):
        run(perpetual, STEP_MS / 1000)
        run(spot, STEP_MS / 1000)
        if step % 10 == 0:
            bid, ask, other_bid, other_ask = (
                float(Decimal(quote[k]).scaleb(-one.listings[one.index["BTCUSDT"]].price_decimals))
                for one in (perpetual, spot)
                for quote in [one.quote(one.index["BTCUSDT"])]
                for k in (2, 4)
            )
            basis.append(1e4 * ((bid + ask) / (other_bid + other_ask) - 1))
    assert np.max(np.abs(basis)) < 15
    assert np.std(basis) < 2


def test_universe_never_runs_out_of_names() -> None:
    assert len({listing.symbol for listing in build_universe(2000, 1)}) == 2016


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(0, 0, "0"), (0, 3, "0.000"), (5, 3, "0.005"), (2581, 3, "2.581"), (8455100, 2, "84551.00"), (-42, 1, "-4.2")],
)
def test_decimal_text(units: int, decimals: int, text: str) -> None:
    assert decimal_text(units, decimals) == text


def test_levels_text_prints_as_python_would() -> None:
    generator = np.random.default_rng(3)
    for price_decimals, qty_decimals in ((0, 0), (2, 3), (7, 0), (1, 1)):
        rows = np.column_stack([10 ** generator.integers(0, 12, 50), generator.integers(0, 10**9, 50)])
        expected = [[decimal_text(p, price_decimals), decimal_text(q, qty_decimals)] for p, q in rows.tolist()]
        assert json.loads(f"[{levels_text(rows, price_decimals, qty_decimals)}]") == expected
    assert levels_text(np.zeros((0, 2), np.int64), 2, 3) == ""


# -- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", [1.0, 10.0])
def test_books_are_never_crossed_nor_empty(pace: float) -> None:
    simulated = market(30, pace=pace)
    n = len(simulated.listings)
    for _ in range(1200):
        simulated.step()
        symbols = simulated.state.symbols[:n]
        live = symbols["live"] == 1
        assert (symbols["bid"] < symbols["ask"])[live].all()
        at = np.arange(n)
        assert (simulated.state.books[at, symbols["bid"] % layout.RING] > 0)[live].all()
        assert (simulated.state.books[at, symbols["ask"] % layout.RING] < 0)[live].all()
    for listing in simulated.listings:
        if listing.status == "TRADING":
            book = simulated.book(listing.symbol)
            assert len(book.bids) > 100
            assert len(book.asks) > 100
            assert book.bids[0, 0] < book.asks[0, 0]
            assert (np.diff(book.bids[:, 0]) < 0).all()
            assert (np.diff(book.asks[:, 0]) > 0).all()
            assert (np.vstack([book.bids, book.asks])[:, 0] % listing.tick_units == 0).all()
            assert (np.vstack([book.bids, book.asks])[:, 1] > 0).all()


def test_no_side_of_a_book_can_be_emptied() -> None:
    simulated = market(3)
    us = simulated.now_ms * 1000
    for i, bids in ((0, True), (1, False)):
        for _ in range(3000):
            kernels.clear_touch(simulated.state, i, bids, us)
        kernels.market_order(simulated.state, i, int(bids), 10**12, us)
        book = simulated.book(simulated.listings[i].symbol)
        assert len(book.bids) > 0
        assert len(book.asks) > 0
    run(simulated, 2)
    assert (simulated.state.symbols["bid"][:3] < simulated.state.symbols["ask"][:3]).all()


def test_one_seed_and_start_give_one_market_whoever_listens() -> None:
    one, other = market(15), market(15)
    watched = MarketStreams(one)
    for name in ("btcusdt@depth@100ms", "btcusdt@bookTicker", "ethusdt@trade", "!ticker@arr", "btcusdt@kline_1m"):
        watched.open(name)
    for _ in range(1600):
        watched.advance()
        other.step()
    assert (one.state.symbols["last_u"] == other.state.symbols["last_u"]).all()
    assert (one.state.past == other.state.past).all()
    assert (one.state.books == other.state.books).all()
    assert market(15, seed=8).state.symbols["aggregate_id"][0] != market(15).state.symbols["aggregate_id"][0]


def test_frames_are_byte_identical_for_one_seed_and_clock() -> None:
    names = [
        *("btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@depth@0ms", "ethusdt@depth20@500ms", "ethusdt@bookTicker"),
        *(
            "solusdt@trade",
            "btcusdt@aggTrade",
            "!markPrice@arr@1s",
            "!ticker@arr",
            "!miniTicker@arr",
            "!forceOrder@arr",
        ),
        *("btcusdt@kline_5m", "!bookTicker", "ethusdt@markPrice", "币安人生usdt@aggTrade"),
    ]

    def frames() -> list[tuple[str, str]]:
        streams = MarketStreams(market(12))
        for name in names:
            streams.open(name)
        return [frame for _ in range(400) for frame in streams.advance()]

    first = frames()
    assert first == frames()
    assert {name for name, _ in first} >= set(names) - {"!forceOrder@arr"}
    assert all(json.loads(payload) for _, payload in first)


def test_aggregate_trades_follow_the_venues_rules() -> None:
    simulated = market(20, pace=3.0)
    seen: dict[int, tuple[int, ...]] = {}
    merged = holes = improved = 0
    for _ in range(2400):
        happened = simulated.step()
        for row in happened.aggregates.tolist():
            symbol, number, price, qty, public_qty, first, last, ts_ms, event_ms, _ = row
            assert 0 <= public_qty <= qty
            assert qty > 0
            assert first <= last
            assert price % simulated.listings[symbol].tick_units == 0
            assert happened.end_ms - STEP_MS <= event_ms < happened.end_ms
            if symbol in seen:
                assert number == seen[symbol][1] + 1
                assert first > seen[symbol][5]
                assert ts_ms >= seen[symbol][7]
                assert event_ms >= seen[symbol][8]
                holes += first != seen[symbol][6] + 1
            assert 120 <= event_ms - ts_ms < 400
            merged += last - first > 8
            improved += public_qty < qty
            seen[symbol] = row
    assert merged
    assert holes
    assert improved


def test_flow_and_history_agree_on_daily_volume() -> None:
    simulated = market(40)
    run(simulated, 240)
    ratios = []
    for listing in simulated.listings[:40]:
        days = simulated.klines(listing.symbol, "1d", None, None, 31)
        adv = float(np.mean(days["qty"][:-1]))
        assert adv == pytest.approx(
            float(simulated.state.symbols[simulated.index[listing.symbol]]["adv_lots"]), rel=0.35
        )
        ratios.append(simulated.trades(listing.symbol)["qty"].sum() / (adv * 240 / 86_400))
    assert 0.5 < np.median(ratios) < 1.8


def test_liquidations_come_at_most_once_a_second_and_a_second_late() -> None:
    simulated = market(60)
    last: dict[int, int] = {}
    count = 0
    for _ in range(40 * 300):
        for symbol, _, qty, quote, part, limit, ts_ms, event_ms in simulated.step().liquidations.tolist():
            assert event_ms - last.get(symbol, 0) >= 1000
            assert 5 <= event_ms - ts_ms <= 1005
            assert 0 < part <= qty
            assert quote > 0
            assert limit > 0
            last[symbol] = event_ms
            count += 1
    assert count > 3


# -- memory -----------------------------------------------------------------------------------------------------------


def test_a_rewound_book_is_the_book_that_was() -> None:
    simulated = market(5)
    run(simulated, 5)
    before = [simulated.book(listing.symbol) for listing in simulated.listings[:5]]
    run(simulated, 0.5)
    for i, then in enumerate(before):
        again = simulated.book(simulated.listings[i].symbol, age_ms=500)
        assert again.last_update_id == then.last_update_id
        assert again.ts_ms == then.ts_ms
        assert (again.bids == then.bids).all()
        assert (again.asks == then.asks).all()


def test_minutes_sum_to_the_trades_pushed_and_to_coarser_klines() -> None:
    simulated = market(8)
    run(simulated, 335)
    for listing in simulated.listings[:8]:
        trades = simulated.trades(listing.symbol)
        minutes = simulated.klines(listing.symbol, "1m", START_MS - START_MS % MINUTE_MS, None, 10)
        assert len(minutes) == 7
        assert (np.diff(minutes["open_ms"]) == MINUTE_MS).all()
        for bar in minutes[:-1]:  # the last prints of the running minute are not sent yet
            inside = trades[trades["ts_ms"] // MINUTE_MS * MINUTE_MS == bar["open_ms"]]
            buys = inside[inside["sell"] == 0]
            assert bar["qty"] == inside["qty"].sum()
            assert bar["buy_qty"] == buys["qty"].sum()
            assert bar["quote"] == (inside["qty"] * inside["price"]).sum()
            if len(inside):
                assert bar["open"] == inside["price"][0]
                assert bar["close"] == inside["price"][inside["last"] == bar["last"]]
                assert bar["high"] == inside["price"].max()
                assert bar["low"] == inside["price"].min()
                assert (bar["first"], bar["last"]) == (inside["first"][0], inside["last"].max())
        five = simulated.klines(listing.symbol, "5m", None, None, 12)
        wide = simulated.klines(listing.symbol, "1m", int(five["open_ms"][0]), None, 100)
        assert five["qty"].sum() == wide["qty"].sum()
        assert five["high"].max() == wide["high"].max()


def test_history_is_the_same_however_much_of_it_is_asked_for() -> None:
    simulated = market(3)
    some = simulated.klines("ETHUSDT", "1m", None, None, 100)
    more = simulated.klines("ETHUSDT", "1m", None, None, 1500)
    assert len(more) == 1500
    assert (more[-100:] == some).all()
    hours = simulated.klines("ETHUSDT", "1h", None, None, 100)
    assert (np.diff(hours["open_ms"]) == INTERVALS_MS["1h"]).all()
    days = simulated.klines("ETHUSDT", "1d", None, None, 31)
    assert len(days) == 31
    full = simulated.klines("ETHUSDT", "1m", int(days["open_ms"][-2]), int(days["open_ms"][-1]) - 1, 1500)
    assert full["qty"].sum() == days["qty"][-2]
    assert (days["low"] <= np.minimum(days["open"], days["close"])).all()


def test_ticker_is_the_last_day_of_minutes() -> None:
    simulated = market(3)
    run(simulated, 190)
    ticker = simulated.ticker(0)
    bars = simulated.klines("BTCUSDT", "1m", None, None, layout.MINUTES + 1)
    assert ticker["qty"] == bars["qty"].sum()
    assert ticker["quote"] == bars["quote"].sum()
    assert ticker["trades"] == bars["trades"].sum()
    assert ticker["high"] == bars["high"].max()
    assert ticker["low"] == bars["low"].min()
    assert ticker["close"] == bars["close"][-1]
    assert bars["open_ms"][0] == ticker["open_ms"]
    assert simulated.now_ms - ticker["open_ms"] <= DAY_MS + MINUTE_MS


def test_days_go_on_over_midnight() -> None:
    midnight = START_MS - START_MS % DAY_MS + DAY_MS
    simulated = market(2, start_ms=midnight - 70_000)
    run(simulated, 200)
    days = simulated.klines("BTCUSDT", "1d", None, None, 3)
    assert days["open_ms"].tolist()[-2:] == [midnight - DAY_MS, midnight]
    trades = simulated.trades("BTCUSDT")
    closed = simulated.klines("BTCUSDT", "1m", midnight, None, 10)
    assert days["qty"][-1] == closed["qty"].sum()
    assert trades[trades["ts_ms"] >= midnight]["qty"].sum() <= days["qty"][-1]


def test_time_nobody_drove_is_skipped() -> None:
    simulated = market(3)
    run(simulated, 10)
    simulated.skip_to(START_MS + 200_000)
    assert simulated.now_ms == START_MS + 200_000
    happened = simulated.step()
    assert happened.end_ms == START_MS + 200_000 + STEP_MS
    assert len(simulated.klines("BTCUSDT", "1m", START_MS - START_MS % MINUTE_MS, None, 10)) == 5


# -- streams ----------------------------------------------------------------------------------------------------------


def test_diffs_lead_from_any_snapshot_to_the_very_book() -> None:
    """For every diff: its chain holds, and the best of the client's book is the last quote told."""
    streams = MarketStreams(market(6))
    for pace in ("@100ms", "", "@500ms", "@0ms"):
        compared = 0
        name = f"ethusdt@depth{pace}"
        streams.open(name)
        streams.open("ethusdt@bookTicker")
        snapshot = streams.market.book("ETHUSDT")
        sides: dict[str, dict[Decimal, Decimal]] = {"b": {}, "a": {}}
        listing = streams.market.listings[1]
        for side, levels in (("b", snapshot.bids), ("a", snapshot.asks)):
            for price, qty in levels.tolist():
                sides[side][Decimal(decimal_text(price, listing.price_decimals))] = Decimal(
                    decimal_text(qty, listing.qty_decimals)
                )
        previous, quote = snapshot.last_update_id, None
        for _ in range(800):
            for stream, payload in streams.advance():
                frame = json.loads(payload)
                if stream.endswith("bookTicker"):
                    quote = frame
                    continue
                assert frame["pu"] == previous
                assert previous < frame["U"] <= frame["u"]
                assert frame["T"] <= frame["E"]
                previous = frame["u"]
                for side in ("b", "a"):
                    prices = [Decimal(price) for price, _ in frame[side]]
                    assert prices == sorted(prices)
                    for price, qty in frame[side]:
                        if Decimal(qty):
                            sides[side][Decimal(price)] = Decimal(qty)
                        else:
                            sides[side].pop(Decimal(price), None)
                if quote is not None:
                    bid, ask = max(sides["b"]), min(sides["a"])
                    assert (bid, sides["b"][bid]) == (Decimal(quote["b"]), Decimal(quote["B"]))
                    assert (ask, sides["a"][ask]) == (Decimal(quote["a"]), Decimal(quote["A"]))
                    compared += 1
        assert compared > 30
        book = streams.market.book("ETHUSDT")
        if book.last_update_id == previous:
            assert len(sides["a"]) == len(book.asks)
        streams.close(name)
        streams.close("ethusdt@bookTicker")


def test_a_closed_kline_is_told_once_and_is_the_rest_kline() -> None:
    streams = MarketStreams(market(3))
    streams.open("btcusdt@kline_1m")
    closed = [
        frame for _ in range(40 * 160) for _, payload in streams.advance() if (frame := json.loads(payload)["k"])["x"]
    ]
    assert [frame["t"] for frame in closed] == [START_MS - START_MS % MINUTE_MS + k * MINUTE_MS for k in range(3)]
    bars = streams.market.klines("BTCUSDT", "1m", closed[0]["t"], None, 3)
    assert [Decimal(frame["v"]) for frame in closed] == [Decimal(decimal_text(int(bar["qty"]), 3)) for bar in bars]


def test_array_streams_carry_coin_margined_rows_in_frames_of_their_own_kind() -> None:
    streams = MarketStreams(market(30))
    streams.open("!markPrice@arr@1s")
    arrays = [json.loads(payload) for _ in range(80) for _, payload in streams.advance()]
    assert len(arrays) == 4
    assert {row["st"] for row in arrays[0]} == {1, 2}
    assert "BTCUSD_PERP" in {row["s"] for row in arrays[0]}
    assert "TSLAUSDT" in {row["s"] for row in arrays[1]}
    quarterly = next(row for row in arrays[0] if row["s"] == "BTCUSDT_261225")
    assert (quarterly["r"], quarterly["T"]) == ("", 0)


@pytest.mark.parametrize(
    "name",
    [
        *("BTCUSDT@aggTrade", "nosuch@aggTrade", "btcusdt@aggtrade", "btcusdt@depth@50ms", "btcusdt@depth7", "!ticker"),
        *("btcusdt@depth20@0ms", "btcusdt@kline_7m", "btcusdt@aggTrade@100ms", "btcusdt", "", "@", "!", "!nothing@arr"),
    ],
)
def test_unknown_streams_are_silent_and_no_error(name: str) -> None:
    streams = MarketStreams(market(2))
    streams.open(name)
    assert streams.open_streams == {}
    streams.close(name)


@pytest.mark.parametrize(
    ("name", "route"),
    [
        *((f"btcusdt@{kind}", "public") for kind in ("bookTicker", "depth", "depth@0ms", "depth20@100ms", "trade")),
        *((f"btcusdt@{kind}", "market") for kind in ("aggTrade", "markPrice@1s", "kline_1m", "ticker", "forceOrder")),
        ("!bookTicker", "public"),
        ("!markPrice@arr@1s", "market"),
        ("!contractInfo", "market"),
        ("btcusdt@rpiDepth@500ms", "public"),
    ],
)
def test_route_of(name: str, route: str) -> None:
    assert route_of(name) == route


# -- REST -------------------------------------------------------------------------------------------------------------


def test_rest_agg_trades_are_the_frames_pushed() -> None:
    streams = MarketStreams(market(3, pace=5.0))
    streams.open("btcusdt@aggTrade")
    pushed = [json.loads(payload) for _ in range(4000) for _, payload in streams.advance()]
    told: list[dict[str, object]] = []
    rest = MarketRest(streams.market, 2400)
    while len(told) < len(pushed):
        first = pushed[len(told)]["a"]
        told += json.loads(rest("/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "fromId": str(first), "limit": "1000"}))
    names = ("a", "p", "q", "nq", "f", "l", "T", "m")
    assert told == [{name: frame[name] for name in names} for frame in pushed]
    assert json.loads(rest("/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "fromId": str(pushed[-1]["a"] + 1)})) == []
    between = {"symbol": "BTCUSDT", "startTime": str(pushed[5]["T"]), "endTime": str(pushed[9]["T"])}
    expected = [frame["a"] for frame in pushed if pushed[5]["T"] <= frame["T"] <= pushed[9]["T"]]
    assert [row["a"] for row in json.loads(rest("/fapi/v1/aggTrades", between))] == expected


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/fapi/v1/depth", {}, -1102),
        ("/fapi/v1/depth", {"symbol": "NOPE"}, -1121),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "7"}, -4021),
        ("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "x"}, -1100),
        ("/fapi/v1/depth", {"symbol": "OCEANUSDT"}, -1121),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": "0"}, -1130),
        ("/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "startTime": "0", "endTime": "3600000"}, -1127),
        ("/fapi/v1/aggTrades", {"symbol": "BTCUSDT", "fromId": "1", "endTime": "3600000"}, -1128),
        ("/fapi/v1/nothing", {}, -5000),
    ],
)
def test_rest_refusals(path: str, query: dict[str, str], code: int) -> None:
    with pytest.raises(ApiError) as refused:
        MarketRest(market(2), 2400)(path, query)
    assert json.loads(refused.value.body)["code"] == code


def test_rest_books_are_a_moment_old() -> None:
    simulated = market(2)
    rest = MarketRest(simulated, 2400)
    run(simulated, 3)
    ages = [
        simulated.now_ms - json.loads(rest("/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": "100"}))["T"]
        for _ in range(50)
    ]
    assert min(ages) >= 50 - STEP_MS
    assert max(ages) < 700
    assert len(set(ages)) > 10


# -- life of instruments ----------------------------------------------------------------------------------------------


def test_a_listing_is_announced_then_trades() -> None:
    streams = MarketStreams(market(3))
    streams.open("!contractInfo")
    listing = streams.market.list_new()
    streams.announce(listing)
    assert [json.loads(payload)["cs"] for _, payload in streams.advance()] == ["PENDING_TRADING"]
    streams.open(f"{listing.stream}@bookTicker")
    assert [frame for _ in range(40) for frame in streams.advance()] == []
    streams.announce(streams.market.change(listing.symbol, "TRADING"))
    frames = [frame for _ in range(200) for frame in streams.advance()]
    assert [json.loads(payload)["cs"] for stream, payload in frames if stream == "!contractInfo"] == ["TRADING"]
    assert len(frames) > 5
    assert len(streams.market.klines(listing.symbol, "1d", None, None, 30)) == 1


def test_a_delisted_symbol_is_silent() -> None:
    streams = MarketStreams(market(3))
    streams.market.change("SOLUSDT", "SETTLING", START_MS)
    for name in ("solusdt@bookTicker", "solusdt@aggTrade", "solusdt@depth@100ms", "solusdt@markPrice@1s"):
        streams.open(name)
    assert [frame for _ in range(200) for frame in streams.advance()] == []


@pytest.mark.parametrize(("symbol", "finer"), [("SOLUSDT", True), ("XRPUSDT", False)])
def test_a_new_tick_breaks_the_chain_and_keeps_what_was_printed(symbol: str, finer: bool) -> None:
    streams = MarketStreams(market(6))
    name = f"{symbol.lower()}@depth@100ms"
    streams.open(name)
    last = [json.loads(payload) for _ in range(400) for _, payload in streams.advance()][-1]
    trades = streams.market.trades(symbol).copy()
    before = streams.market.listings[streams.market.index[symbol]]
    after = streams.market.change_tick(symbol)
    streams.break_chains(symbol)
    assert (after.tick_units < before.tick_units) == finer
    following = [json.loads(payload) for _ in range(40) for _, payload in streams.advance()]
    assert following[0]["pu"] > last["u"]
    assert (streams.market.trades(symbol)[: len(trades)] == trades).all()
    book = streams.market.book(symbol)
    assert (np.vstack([book.bids, book.asks])[:, 0] % after.tick_units == 0).all()
