"""OKX frames to tape rows: contracts become base units, fills are merged, three channels tell one mark."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import examples
from tapewatch.model.channel import Channel
from tapewatch.model.errors import FrameError, VenueError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.interest import OpenInterest
from tapewatch.model.tape import Flag, Kind
from tapewatch.venues.batch import Decoded
from tapewatch.venues.decimals import count_in, count_of
from tapewatch.venues.okx_swap import PRODUCT
from tapewatch.venues.okx_swap_codec import Codec, Envelope, trade_ids
from tapewatch.venues.okx_swap_rest import average_daily_volume, funding_intervals, parse_instruments, parse_volumes

grids = st.builds(
    lambda units, decimals: Grid.parse(str(Decimal(units).scaleb(-decimals))), st.integers(1, 500), st.integers(0, 8)
)
NOW = 1_790_947_946_718
RECV_NS = (NOW + 40) * 1_000_000
BTC = Instrument(-1, "okx", "BTC-USDT-SWAP", "BTC", "USDT", "perp", Grid.parse("0.1"), Grid.parse("0.0001"),
                 contract=Decimal("0.01"))  # fmt: skip


def universe() -> Universe:
    pepe = replace(BTC, symbol="PEPE-USDT-SWAP", base="PEPE", tick=Grid.parse("0.0000000001"),
                   lot=Grid.parse("1000000"), contract=Decimal(10_000_000))  # fmt: skip
    return Universe("okx", [BTC, pepe, replace(BTC, symbol="币安人生-USDT-SWAP", base="币安人生")])


def decode(codec: Codec, *messages: Any) -> Decoded:
    frames = [m if isinstance(m, bytes) else json.dumps(m, ensure_ascii=False).encode() for m in messages]
    ends, size = [], 0
    for frame in frames:
        size += len(frame)
        ends.append(size)
    return codec.decode(b"".join(frames), ends, RECV_NS)


def on(channel: str, *data: Any, symbol: str = "BTC-USDT-SWAP", **more: Any) -> Any:
    return {"arg": {"channel": channel, "instId": symbol}, **more, "data": list(data)}


def trade(last: int, count: str | None = "1", **more: Any) -> Any:
    row = {"instId": "BTC-USDT-SWAP", "tradeId": str(last), "px": "64311", "sz": "31.27", "side": "buy", "ts": str(NOW),
           "source": "0", "seqId": 323647402789, **more}  # fmt: skip
    return row if count is None else {**row, "count": count}


def book(prev: int, seq: int, bids: Any = (), asks: Any = (), action: str = "update") -> Any:
    return on("books", {"asks": list(asks), "bids": list(bids), "ts": str(NOW), "checksum": 0, "prevSeqId": prev,
                        "seqId": seq}, action=action)  # fmt: skip


def test_contracts_become_base_units() -> None:
    """31.27 contracts of 0.01 BTC are 0.3127 BTC: 3127 lots of 0.0001."""
    rows = decode(Codec(universe()), on("trades", trade(2701364977, "8"))).tape.rows
    assert rows[["price", "qty", "first_id", "id", "last_id"]].tolist() == [
        (643110, 3127, 2701364970, 2701364977, 2701364977)]  # fmt: skip
    pepe = on("trades", trade(5, instId="PEPE-USDT-SWAP", px="0.0000072140", sz="0.3"), symbol="PEPE-USDT-SWAP")
    tape = decode(Codec(universe()), pepe).tape
    assert tape.rows[["price", "qty"]].tolist() == [(72140, 3)]


def test_single_fills_have_no_count() -> None:
    rows = decode(Codec(universe()), on("trades-all", trade(7, None, side="sell", source="1"))).tape.rows
    assert rows[["first_id", "last_id", "qty2"]].tolist() == [(7, 7, 0)]
    assert rows[0]["flags"] == Flag.SELL


def test_a_contract_of_unknown_value_is_no_quantity() -> None:
    codec = Codec(Universe("okx", [replace(BTC, contract=None)]))
    assert [one.reason for one in decode(codec, on("trades", trade(1))).rejected] == ["no_contract_value"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"pong!", "not_json"),
        (b"{}", "no_event"),
        (on("trades", trade(1, px="nan")), "number_range"),
        (on("trades", trade(1, px="64311.05")), "off_grid"),
        (on("trades", trade(1, sz="1e40")), "number_range"),
        (on("trades", trade(1, sz="0." + "1" * 70)), "number_range"),
        (on("trades", trade(1, "0")), "not_positive"),
        (on("trades", trade(1, "3")), "id_range"),
        (on("trades", trade(1, tradeId="-5")), "wrong_shape"),
        (on("trades", trade(1, ts="1790947946")), "time_range"),
        (on("trades", trade(1, instId="NO-USDT-SWAP")), "unknown_symbol"),
        (on("trades", *(trade(n) for n in range(1, 1100))), "too_many_trades"),
        (book(1, 2, [["86780.4"]]), "wrong_shape"),
        (book(1, 2, [["86780.4", "nine", "0", "1"]]), "wrong_shape"),
        (book(1, 2, [["86780.4", "9.105", "0", "1"]]), "off_grid"),
        (book(1, 2, [["86780.4", "-1", "0", "1"]]), "not_positive"),
        (book(-7, 2), "id_range"),
        (book(1, 2, action=""), "wrong_shape"),
        (on("strange"), "unknown_event"),
    ],
)
def test_what_is_not_of_the_protocol_is_set_aside_with_its_reason(message: Any, reason: str) -> None:
    answer = decode(Codec(universe()), message)
    assert [rejected.reason for rejected in answer.rejected] == [reason]
    assert not len(answer.tape)


def test_a_book_chains_by_prev_seq_id_through_keep_alives_and_resets() -> None:
    level = ["86780.4", "9.1", "0", "2"]
    gone, new = ["86780.4", "0", "0", "0"], ["86781", "0.5", "0", "1"]
    updates = book(10, 15, [gone]), book(15, 15), book(15, 3, asks=[new])
    tape = decode(Codec(universe()), book(-1, 10, [level], action="snapshot"), *updates).tape
    assert tape.rows[["flags", "prev_id", "last_id"]].tolist() == [
        (int(Flag.SNAPSHOT), 0, 10), (0, 10, 15), (0, 15, 15), (0, 15, 3)]  # fmt: skip
    assert tape.levels.tolist() == [(867804, 910), (867804, 0), (867810, 50)]


def test_one_mark_is_told_by_three_channels() -> None:
    codec = Codec(universe())
    mark = on("mark-price", {"instId": "BTC-USDT-SWAP", "markPx": "42310.6", "ts": str(NOW)})
    first = decode(codec, mark).tape.rows
    assert first[["price", "price2", "qty", "id"]].tolist() == [(4231060000000, 0, 0, 0)]
    decode(codec, on("index-tickers", {"instId": "BTC-USDT", "idxPx": "42311.2"}, symbol="BTC-USDT"),
           on("funding-rate", {"instId": "BTC-USDT-SWAP", "fundingRate": "0.0000123", "fundingTime": "1790956800000",
                               "nextFundingTime": "1790985600000", "nextFundingRate": ""}))  # fmt: skip
    told = decode(codec, mark).tape.rows
    assert told[["price", "price2", "qty", "id"]].tolist() == [(4231060000000, 4231120000000, 1230, 1790956800000)]


def test_open_interest_is_in_coins_already() -> None:
    row = {"instId": "BTC-USDT-SWAP", "oi": "2216113.01", "oiCcy": "22161.1301", "ts": str(NOW)}
    assert decode(Codec(universe()), on("open-interest", row)).control == [
        OpenInterest("BTC-USDT-SWAP", Decimal("22161.1301"), NOW)]  # fmt: skip


def test_quotes_need_both_sides() -> None:
    row = {
        "instId": "BTC-USDT-SWAP",
        "askPx": "86780.5",
        "askSz": "12",
        "bidPx": "86780.4",
        "bidSz": "9.1",
        "ts": str(NOW),
    }
    rows = decode(Codec(universe()), on("tickers", row), on("tickers", {**row, "bidPx": ""})).tape.rows
    assert rows[["kind", "price", "qty", "price2", "qty2"]].tolist() == [
        (int(Kind.QUOTE), 867804, 910, 867805, 1200)]  # fmt: skip


def test_the_position_side_says_who_was_liquidated() -> None:
    """Captured 2026-10-09: a long of 8.55 contracts. In net mode the order's side tells: sell closed a long."""
    ts = 1_791_565_600_771
    frame = (
        b'{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[{"details":[{"bkLoss":"0","bkPx":"82655.7",'
        b'"ccy":"","posSide":"long","side":"sell","sz":"8.55","ts":"1791565600771"}],"instFamily":"BTC-USDT",'
        b'"instId":"BTC-USDT-SWAP","instType":"SWAP","uly":"BTC-USDT"}]}'
    )
    sides = {("long", "sell"): True, ("short", "buy"): False, ("net", "sell"): True, ("net", "buy"): False}
    for (position, order), is_long in sides.items():
        changed = frame.replace(b'"long"', f'"{position}"'.encode()).replace(b'"sell"', f'"{order}"'.encode())
        (row,) = Codec(universe()).decode(changed, [len(changed)], ts * 1_000_000).tape.rows
        assert bool(row["flags"] & Flag.LONG) is is_long
        assert (row["price"], row["qty"]) == (8265570000000, 855)


def test_inverse_contracts_in_the_stream_of_all_swaps_are_foreign() -> None:
    detail = {"posSide": "long", "side": "sell", "bkPx": "1", "sz": "1", "ts": str(NOW)}
    message = {
        "arg": {"channel": "liquidation-orders", "instType": "SWAP"},
        "data": [{"instId": "BTC-USD-SWAP", "details": [detail]}],
    }
    answer = decode(Codec(universe()), message)
    assert (answer.foreign, len(answer.tape), answer.rejected) == (1, 0, [])


def test_pongs_say_nothing_and_events_are_control_messages() -> None:
    notice = {"event": "notice", "code": "64008", "msg": "The connection will soon be closed", "connId": "a"}
    answer = decode(Codec(universe()), b"pong", notice)
    assert [event.code for event in answer.control if isinstance(event, Envelope)] == ["64008"]
    assert not answer.rejected


# -- REST -------------------------------------------------------------------------------------------------------------


def answer_of(rows: Any) -> bytes:
    return json.dumps({"code": "0", "msg": "", "data": rows}).encode()


def test_instruments_are_linear_swaps_with_lots_in_base_units() -> None:
    row = {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT", "instFamily": "BTC-USDT",
           "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1", "ctType": "linear", "tickSz": "0.1", "lotSz": "0.01",
           "listTime": "1573557408000", "expTime": "", "state": "live", "instCategory": "1"}  # fmt: skip
    inverse = {
        **row,
        "instId": "BTC-USD-SWAP",
        "instFamily": "BTC-USD",
        "ctType": "inverse",
        "ctVal": "100",
        "lotSz": "1",
    }
    stock = {**row, "instId": "TSLA-USDT-SWAP", "instFamily": "TSLA-USDT", "instCategory": "3", "state": "rebase"}
    (btc, tesla) = parse_instruments(answer_of([row, inverse, stock, {"instId": "broken"}]), unreadable=[])
    assert (btc.base, btc.quote, btc.kind, btc.status) == ("BTC", "USDT", "perp", "TRADING")
    assert (btc.lot, btc.contract) == (Grid.parse("0.0001"), Decimal("0.01"))
    assert (tesla.kind, tesla.trading) == ("tradfi-perp", False)
    (dollars,) = parse_instruments(answer_of([inverse]), types=("inverse",))
    assert (dollars.kind, dollars.lot.value) == ("inverse-perp", Decimal(100))
    with pytest.raises(VenueError, match="Rate limit"):
        parse_instruments(b'{"code":"50011","msg":"Rate limit reached","data":[]}')


def test_history_trades_fill_gaps_by_id() -> None:
    body = answer_of([trade(9, None), trade(8, None), trade(7, None)])
    assert trade_ids(body) == [7, 8, 9]
    rows = Codec(universe()).trades("BTC-USDT-SWAP", body, RECV_NS + 86_400_000_000_000 * 9).rows
    assert set(rows["flags"].tolist()) == {int(Flag.BACKFILLED)}
    with pytest.raises(FrameError, match="bad_trades"):
        trade_ids(b'{"code":"51001","msg":"Instrument ID does not exist","data":[]}')


def test_volumes_and_funding_intervals() -> None:
    day = 86_400_000
    rows = [[str(k * day), "1", "1", "1", "1", "5", "0.05", str(100 * k), "1"] for k in (4, 3, 2)]
    assert average_daily_volume(answer_of(rows), now_ms=4 * day + 5, days=1) == (Decimal(300), 1)
    (volume,) = parse_volumes(answer_of([{"instId": "BTC-USDT-SWAP", "last": "2", "volCcy24h": "12.5"}]))
    assert (volume.symbol, volume.quote_volume) == ("BTC-USDT-SWAP", 25.0)
    told = [{"instId": "BTC-USDT-SWAP", "fundingTime": "1790956800000", "nextFundingTime": "1790971200000"}]
    assert funding_intervals(answer_of(told)) == {"BTC-USDT-SWAP": 14_400_000}


def test_a_frame_names_its_channel_even_when_nothing_else_can_be_read() -> None:
    frame = b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"upd'
    assert PRODUCT.stream_of(frame) == ("BTC-USDT-SWAP", Channel.DEPTH)
    assert PRODUCT.channel_of(frame, 0, len(frame)) == (Channel.DEPTH, False)
    assert PRODUCT.stream_of(b'{"event":"notice"}') is None


@examples(200)
@given(st.decimals(min_value=-10, max_value=10**20) | st.decimals(allow_nan=True, allow_infinity=True), grids)
def test_a_decimal_and_its_text_count_the_same(value: Decimal, grid: Grid) -> None:
    """The quick way for plain digits against the exact one, errors included."""
    shown = f"{value:f}" if value.is_finite() else str(value)
    for text in (str(value), shown, shown + "0" if "." in shown else shown):
        assert outcome(count_in, text, grid) == outcome(count_of, Decimal(text), grid)


def outcome(count: Callable[[Any, Grid, str], int], value: Decimal | str, grid: Grid) -> int | str:
    try:
        return count(value, grid, "price")
    except FrameError as error:
        return error.reason
