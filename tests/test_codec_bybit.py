"""Bybit linear frames to tape rows: every topic, deltas that keep what they leave out, ids that order trades."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tapewatch.model.channel import Channel
from tapewatch.model.errors import FrameError, VenueError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.interest import OpenInterest
from tapewatch.model.tape import Flag, Kind
from tapewatch.venues.batch import Decoded
from tapewatch.venues.bybit_linear import PRODUCT
from tapewatch.venues.bybit_linear_codec import SEQ_SHIFT, Ack, Codec, trade_ids
from tapewatch.venues.bybit_linear_rest import average_daily_volume, parse_instruments, parse_volumes, result_rows

NOW = 1_790_947_943_700
RECV_NS = (NOW + 40) * 1_000_000


def universe() -> Universe:
    return Universe("bybit", [
        Instrument(-1, "bybit", "BTCUSDT", "BTC", "USDT", "perp", Grid.parse("0.10"), Grid.parse("0.001")),
        Instrument(-1, "bybit", "币安人生USDT", "币安人生", "USDT", "perp", Grid.parse("0.0001"), Grid.parse("1")),
    ])  # fmt: skip


def decode(codec: Codec, *messages: Any) -> Decoded:
    frames = [m if isinstance(m, bytes) else json.dumps(m, ensure_ascii=False).encode() for m in messages]
    ends, size = [], 0
    for frame in frames:
        size += len(frame)
        ends.append(size)
    return codec.decode(b"".join(frames), ends, RECV_NS)


def trade(seq: int, name: str, *, side: str = "Buy", price: str = "86781.0", size: str = "0.010", **more: Any) -> Any:
    return {"T": NOW - 1, "s": "BTCUSDT", "S": side, "v": size, "p": price, "L": "PlusTick", "i": name, "BT": False,
            "RPI": False, "seq": seq, **more}  # fmt: skip


def trades(*data: Any) -> Any:
    return {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": NOW, "data": list(data)}


def ticker(kind: str, data: Any) -> Any:
    return {
        "topic": "tickers.BTCUSDT",
        "type": kind,
        "data": {"symbol": "BTCUSDT", **data},
        "cs": 9532239429,
        "ts": NOW,
    }


def test_a_trade_is_its_takers() -> None:
    rows = decode(Codec(universe()), trades(trade(519462037113, "a"), trade(519462037113, "b", side="Sell"))).tape.rows
    assert [row["flags"] & Flag.SELL for row in rows] == [0, Flag.SELL]
    assert rows["price"].tolist() == [867810, 867810]
    assert rows["qty"].tolist() == rows["qty2"].tolist() == [10, 10]
    assert rows["id"].tolist() == [(519462037113 << SEQ_SHIFT) + place for place in (0, 1)]


def test_block_trades_are_off_the_book_and_rpi_is_no_public_quantity() -> None:
    rows = decode(Codec(universe()), trades(trade(1, "a", BT=True), trade(2, "b", RPI=True))).tape.rows
    assert [bool(row["flags"] & Flag.OFF_BOOK) for row in rows] == [True, False]
    assert rows["qty2"].tolist() == [10, 0]


def test_trades_of_one_seq_go_on_in_the_next_frame_and_repetitions_keep_their_ids() -> None:
    """One seq may be split over frames; a second connection delivers frames again while it takes over."""
    codec = Codec(universe())
    first, second, later = trades(trade(7, "a"), trade(7, "b")), trades(trade(7, "c")), trades(trade(9, "d"))
    ids = decode(codec, first, second, first, later, first, second, trades(trade(9, "e"))).tape.rows["id"]
    base, last = 7 << SEQ_SHIFT, 9 << SEQ_SHIFT
    assert ids.tolist() == [base, base + 1, base + 2, base, base + 1, last, base, base + 1, base + 2, last + 1]


def test_a_refused_frame_leaves_no_trace_in_the_ids() -> None:
    codec = Codec(universe())
    answer = decode(codec, trades(trade(7, "a"), trade(7, "b", size="0.0001x")), trades(trade(7, "c")))
    assert [rejected.reason for rejected in answer.rejected] == ["wrong_shape"]
    assert answer.tape.rows["id"].tolist() == [7 << SEQ_SHIFT]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b'{"topic":"publicTrade.BTC', "not_json"),
        (b"[1,2]", "wrong_shape"),
        (b"{}", "no_event"),
        (b"\xff\xfe", "not_json"),
        ({"topic": "orderbook.full.BTCUSDT", "type": "delta", "ts": NOW, "data": {"s": "BTCUSDT"}}, "wrong_shape"),
        ({"topic": "strange.BTCUSDT", "ts": NOW, "data": {}}, "unknown_event"),
        (trades(trade(1, "a", s="NOUSDT")), "unknown_symbol"),
        (trades(trade(1, "a", price="86781.05")), "off_grid"),
        (trades(trade(1, "a", price="-1")), "not_positive"),
        (trades(trade(1, "a", size="0")), "not_positive"),
        (trades(trade(1, "a", size="1e30")), "number_range"),
        (trades(trade(1, "a", S="Both")), "wrong_shape"),
        (trades(trade(2**50, "a")), "id_range"),
        (trades(trade(1, "a", T=NOW * 1000)), "time_range"),
        (trades(trade(1, "a", T=NOW - 3 * 86_400_000)), "time_skew"),
        (trades(trade(1, "a", T=NOW - 70_000)), "time_order"),
    ],
)
def test_what_is_not_of_the_protocol_is_set_aside_with_its_reason(message: Any, reason: str) -> None:
    answer = decode(Codec(universe()), message)
    assert [rejected.reason for rejected in answer.rejected] == [reason]
    assert not len(answer.tape)


def test_a_book_chains_by_u_and_keys_come_in_any_order() -> None:
    snapshot = {"topic": "orderbook.200.BTCUSDT", "ts": NOW, "type": "snapshot", "cts": NOW - 3_600_000,
                "data": {"s": "BTCUSDT", "b": [["86780.9", "1.5"]], "a": [["86781.0", "2"]], "u": 77}}  # fmt: skip
    delta = {"type": "delta", "data": {"u": 78, "a": [["86781.0", "0"]], "b": [], "s": "BTCUSDT", "seq": 9},
             "cts": NOW - 2, "ts": NOW, "topic": "orderbook.200.BTCUSDT"}  # fmt: skip
    tape = decode(Codec(universe()), snapshot, delta).tape
    assert tape.rows[["flags", "first_id", "last_id", "prev_id", "bids", "asks"]].tolist() == [
        (int(Flag.SNAPSHOT), 77, 77, 0, 1, 1), (0, 78, 78, 77, 0, 1)]  # fmt: skip
    assert tape.levels.tolist() == [(867809, 1500), (867810, 2000), (867810, 0)]
    assert tape.rows["ts_ms"].tolist() == [NOW - 3_600_000, NOW - 2]


def test_a_ticker_keeps_what_its_deltas_leave_out() -> None:
    codec = Codec(universe())
    whole = {"lastPrice": "66666.60", "markPrice": "66666.60", "indexPrice": "66670.19", "openInterest": "49237.72",
             "singleOpenInterest": "24618.86", "nextFundingTime": "1790956800000", "fundingRate": "-0.0001",
             "bid1Price": "66666.60", "bid1Size": "23.165", "ask1Price": "66666.70", "ask1Size": "23.469"}  # fmt: skip
    before = decode(codec, ticker("delta", {"markPrice": "1"}))
    assert not len(before.tape)
    assert not before.rejected
    tape = decode(codec, ticker("snapshot", whole), ticker("delta", {"indexPrice": "66671"}),
                  ticker("delta", {"ask1Price": "66666.80", "ask1Size": "1"})).tape  # fmt: skip
    marks = tape.rows[tape.rows["kind"] == Kind.MARK]
    quotes = tape.rows[tape.rows["kind"] == Kind.QUOTE]
    assert marks[["price", "price2", "qty", "id"]].tolist() == [
        (6666660000000, 6667019000000, -10000, 1790956800000),
        (6666660000000, 6667100000000, -10000, 1790956800000)]  # fmt: skip
    assert quotes[["price", "qty", "price2", "qty2"]].tolist() == [
        (666666, 23165, 666667, 23469), (666666, 23165, 666668, 1000)]  # fmt: skip


def test_open_interest_is_counted_once() -> None:
    """The venue's openInterest adds longs and shorts."""
    codec = Codec(universe())
    both = decode(codec, ticker("snapshot", {"openInterest": "49237.72", "singleOpenInterest": "24618.86"}))
    old = decode(codec, ticker("snapshot", {"openInterest": "100.5"}))
    assert both.control == [OpenInterest("BTCUSDT", Decimal("24618.86"), NOW)]
    assert old.control == [OpenInterest("BTCUSDT", Decimal("50.25"), NOW)]


def test_open_interest_that_a_delta_leaves_out_is_the_present_one() -> None:
    """Of a quiet market it does not change for hours; what the stream says of it is no older than the stream."""
    codec = Codec(universe())
    later = ticker("delta", {"lastPrice": "66666.60"}) | {"ts": NOW + 1_000}
    told = decode(codec, ticker("snapshot", {"singleOpenInterest": "5"}), later)
    assert told.control == [OpenInterest("BTCUSDT", Decimal(5), ms) for ms in (NOW, NOW + 1_000)]


@pytest.mark.parametrize("number", ["sNaN", "NaN", "Infinity", "-5", "9e999999"])
@pytest.mark.parametrize("field", ["openInterest", "singleOpenInterest"])
def test_open_interest_that_is_no_number_is_refused(field: str, number: str) -> None:
    found = decode(Codec(universe()), ticker("snapshot", {field: number}))
    assert not found.control
    assert [one.reason for one in found.rejected] == ["number_range"]


@pytest.mark.parametrize("number", ["sNaN", "NaN", "Infinity", "9e999999"])
def test_24_h_figures_that_are_no_numbers_are_refused(number: str) -> None:
    whole = dict.fromkeys(("lastPrice", "highPrice24h", "lowPrice24h", "price24hPcnt", "volume24h", "turnover24h"), "1")
    found = decode(Codec(universe()), ticker("snapshot", whole | {"price24hPcnt": number}))
    assert not found.control
    assert [one.reason for one in found.rejected] == ["number_range"]


def test_a_dated_contract_has_no_funding() -> None:
    tape = decode(
        Codec(universe()), ticker("snapshot", {"markPrice": "1", "fundingRate": "", "nextFundingTime": ""})
    ).tape
    assert tape.rows[["qty", "id"]].tolist() == [(0, 0)]


def test_s_of_a_liquidation_is_the_position() -> None:
    """Captured 2026-10-09 while the price fell: longs were liquidated, and Binance sent SELL in the same second."""
    ts = 1_791_565_601_482
    frame = (
        b'{"topic":"allLiquidation.BTCUSDT","type":"snapshot","ts":1791565601482,"data":['
        b'{"T":1791565600992,"s":"BTCUSDT","S":"Buy","v":"0.006","p":"82396.90"},'
        b'{"T":1791565601058,"s":"BTCUSDT","S":"Sell","v":"0.038","p":"82394.30"}]}'
    )
    rows = Codec(universe()).decode(frame, [len(frame)], ts * 1_000_000).tape.rows
    assert [bool(row["flags"] & Flag.LONG) for row in rows] == [True, False]
    assert rows["qty"].tolist() == [6, 38]
    assert rows["price"].tolist() == [8239690000000, 8239430000000]


def test_answers_are_control_messages() -> None:
    refused = {
        "success": False,
        "ret_msg": "error:handler not found,topic:x",
        "conn_id": "c",
        "req_id": "7",
        "op": "subscribe",
    }
    pong = {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "1", "op": "ping"}
    control = decode(Codec(universe()), refused, pong).control
    assert [(ack.success, ack.req_id) for ack in control if isinstance(ack, Ack)] == [(False, "7"), (True, "1")]


# -- REST -------------------------------------------------------------------------------------------------------------


def answer(rows: Any, **more: Any) -> bytes:
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": rows, **more}}).encode()


def listed(symbol: str, **more: Any) -> Any:
    return {"symbol": symbol, "contractType": "LinearPerpetual", "status": "Trading", "baseCoin": symbol[:-4],
            "quoteCoin": "USDT", "launchTime": "1585526400000", "deliveryTime": "0",
            "priceFilter": {"minPrice": "0.10", "tickSize": "0.10"}, "lotSizeFilter": {"qtyStep": "0.001"},
            "fundingInterval": 240, "symbolType": "", **more}  # fmt: skip


def test_instruments_come_in_pages_and_one_that_is_unreadable_costs_no_other() -> None:
    bad: list[str] = []
    body = answer(
        [listed("SHIB1000USDT", baseCoin="SHIB1000"), listed("TSLAUSDT", symbolType="stock"),
         listed("BTCUSDT-25DEC26", baseCoin="BTC", contractType="LinearFutures"),
         listed("XUSDT", priceFilter={"tickSize": "0"})],
        nextPageCursor="page2",
    )  # fmt: skip
    instruments = parse_instruments(body, unreadable=bad)
    assert [(one.symbol, one.coin, one.multiplier, one.kind) for one in instruments] == [
        ("SHIB1000USDT", "SHIB", 1000, "perp"), ("TSLAUSDT", "TSLA", 1, "tradfi-perp"),
        ("BTCUSDT-25DEC26", "BTC", 1, "future")]  # fmt: skip
    assert instruments[0].funding_ms == 4 * 3_600_000
    assert len(bad) == 1
    assert result_rows(body, "instruments-info")[1] == "page2"
    with pytest.raises(VenueError, match="Too many visits"):
        parse_instruments(b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}')


def test_recent_trades_come_newest_first_and_a_cut_seq_is_left_out() -> None:
    row = {"symbol": "BTCUSDT", "price": "16618.40", "size": "0.001", "side": "Sell", "time": str(NOW)}
    told = [
        {**row, "execId": "c", "seq": "12"},
        {**row, "execId": "b", "seq": "11"},
        {**row, "execId": "a", "seq": "11"},
    ]
    assert trade_ids(answer(told)) == [11 << SEQ_SHIFT, (11 << SEQ_SHIFT) + 1, 12 << SEQ_SHIFT]
    tape = Codec(universe()).trades("BTCUSDT", answer(told), RECV_NS)
    assert set(tape.rows["flags"].tolist()) == {int(Flag.BACKFILLED | Flag.SELL)}
    full = [{**row, "execId": str(n), "seq": str(5000 - n // 2)} for n in range(1000)]
    assert len(trade_ids(answer(full))) == 998
    with pytest.raises(FrameError, match="not in order"):
        trade_ids(answer([told[1], told[0]]))


def test_volumes() -> None:
    day = 86_400_000
    rows = [[str(k * day), "1", "1", "1", "1", "5", str(100 * k)] for k in (4, 3, 2)]
    assert average_daily_volume(answer(rows), now_ms=4 * day + 5, days=30) == (Decimal(250), 2)
    assert average_daily_volume(answer([]), now_ms=0, days=30) == (Decimal(0), 0)
    with pytest.raises(FrameError, match="bad_klines"):
        average_daily_volume(answer([["x"]]), now_ms=0, days=3)
    (told,) = parse_volumes(answer([{"symbol": "BTCUSDT", "turnover24h": "12.5"}]))
    assert (told.symbol, told.quote_volume) == ("BTCUSDT", 12.5)


def test_a_frame_names_its_topic_even_when_nothing_else_can_be_read() -> None:
    assert PRODUCT.stream_of(b'{"ts":1,"topic":"orderbook.200.BTCUSDT","data":{"b":[[') == ("BTCUSDT", Channel.DEPTH)
    assert PRODUCT.stream_of('{"topic":"publicTrade.币安人生USDT"'.encode()) == ("币安人生USDT", Channel.TRADES)
    assert PRODUCT.stream_of(b'{"success":true}') is None
    read = b'{"topic":"tickers.BTCUSDT","type":"delta"'
    assert PRODUCT.channel_of(read, 0, len(read)) == (Channel.MARKS, True)
    assert PRODUCT.channel_of(b'{"success":true,"op":"ping"}', 0, 20) == (None, False)
