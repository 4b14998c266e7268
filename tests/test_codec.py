"""Binance USD-M frames to tape rows: every message kind, hostile numbers, and frames that change nothing."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes import examples
from tapewatch.model.errors import FrameError, NotFoundError, OffGridError, VenueError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.tape import E8, Flag, Kind
from tapewatch.model.ticker import Ticker
from tapewatch.venues.batch import Decoded
from tapewatch.venues.binance_usdm import average_daily_volume, funding_intervals, parse_exchange_info
from tapewatch.venues.binance_usdm_codec import Codec
from tapewatch.venues.binance_usdm_messages import Ack, ContractInfo

NOW = 1_791_391_082_024
RECV_NS = (NOW + 30) * 1_000_000

AGG_TRADE = {"e": "aggTrade", "E": NOW, "a": 3478018549, "s": "BTCUSDT", "p": "83434.40", "q": "0.016", "nq": "0.015",
             "f": 8154045700, "l": 8154045704, "T": NOW - 150, "m": True, "st": 1}  # fmt: skip
TRADE = {"e": "trade", "E": NOW, "T": NOW - 1, "s": "BTCUSDT", "t": 7947325360, "p": "63113.20", "q": "0.001",
         "X": "MARKET", "m": False, "st": 1}  # fmt: skip
DEPTH = {"e": "depthUpdate", "E": NOW, "T": NOW - 4, "s": "BTCUSDT", "ps": "BTCUSDT", "U": 11759030886305,
         "u": 11759030896477, "pu": 11759030885985, "b": [["1000.00", "115.863"], ["66715.00", "0.000"]],
         "a": [["83402.00", "3.480"]]}  # fmt: skip
QUOTE = {"e": "bookTicker", "u": 11671659685961, "s": "BTCUSDT", "ps": "BTCUSDT", "b": "84551.00", "B": "2.646",
         "a": "84551.10", "A": "3.120", "T": NOW - 1, "E": NOW, "st": 1}  # fmt: skip
MARK = {"e": "markPriceUpdate", "E": NOW, "s": "BTCUSDT", "p": "85296.60260870", "ap": "85296.60260870",
        "P": "85321.91711993", "i": "85345.93826087", "r": "-0.00000523", "T": 1791388800000, "st": 1}  # fmt: skip
ORDER = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.190", "p": "82338.30", "ap": "82651.90",
         "X": "FILLED", "l": "0.155", "z": "0.190", "T": NOW - 933, "ps": "BTCUSDT", "st": 1}  # fmt: skip
FORCE_ORDER = {"e": "forceOrder", "E": NOW, "o": ORDER}
TICKER = {"e": "24hrTicker", "E": NOW, "s": "BTCUSDT", "p": "39.0", "P": "4.784", "c": "83434.40", "h": "84000.0",
          "l": "81000.0", "v": "5000.967", "q": "434943789.3", "n": 452236, "st": 1}  # fmt: skip
CONTRACT = {"e": "contractInfo", "E": NOW, "s": "NEWUSDT", "ct": "PERPETUAL", "dt": 4133404800000,
            "ot": NOW + 3_600_000, "cs": "PENDING_TRADING", "st": 1}  # fmt: skip

STREAMS = {
    "aggTrade": "btcusdt@aggTrade",
    "trade": "btcusdt@trade",
    "depthUpdate": "btcusdt@depth@100ms",
    "bookTicker": "btcusdt@bookTicker",
    "markPriceUpdate": "!markPrice@arr@1s",
    "forceOrder": "!forceOrder@arr",
    "24hrTicker": "!ticker@arr",
    "contractInfo": "!contractInfo",
}
ROW_EVENTS = [AGG_TRADE, TRADE, DEPTH, QUOTE, MARK, FORCE_ORDER]


def universe() -> Universe:
    grids = {"BTCUSDT": ("0.10", "0.001"), "XAUUSDT": ("0.05", "0.002"), "币安人生USDT": ("0.00001", "1")}
    return Universe(
        "binance",
        [
            Instrument(-1, "binance", symbol, symbol[:-4], "USDT", "perp", Grid.parse(tick), Grid.parse(lot))
            for symbol, (tick, lot) in grids.items()
        ],
    )


def frame(event: Any, stream: str | None = None) -> bytes:
    """The wrapped text frame of an event."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    name = stream or STREAMS[event["e"]]
    return f'{{"stream":"{name}","data":{data}}}'.encode()


@pytest.fixture(params=[True, False], ids=["kernel", "general"])
def codec(request: pytest.FixtureRequest) -> Codec:
    """What a frame means does not depend on which decoder takes it."""
    return Codec(universe(), kernel=request.param)


def decode(codec: Codec, *frames: bytes) -> Decoded:
    return codec.decode(b"".join(frames), np.cumsum([len(f) for f in frames]).tolist(), RECV_NS)


def row_of(codec: Codec, event: dict[str, Any]) -> dict[str, int]:
    """The one row of an event, columns that are not zero."""
    decoded = decode(codec, frame(event))
    assert [r.reason for r in decoded.rejected] == []
    assert len(decoded.tape) == 1
    row = decoded.tape.rows[0]
    return {name: int(row[name]) for name in row.dtype.names if row[name] and name != "recv_ns"}


def reasons(decoded: Decoded) -> list[str]:
    return [rejected.reason for rejected in decoded.rejected]


# -- what each kind means ---------------------------------------------------------------------------------------------


def test_agg_trade(codec: Codec) -> None:
    """`m` true: the buyer was the maker, so the aggressor sold."""
    assert row_of(codec, AGG_TRADE) == {
        "kind": Kind.TRADE, "flags": Flag.AGGREGATE | Flag.SELL, "event_ms": NOW, "ts_ms": NOW - 150, "id": 3478018549,
        "first_id": 8154045700, "last_id": 8154045704, "price": 834344, "qty": 16, "qty2": 15,
    }  # fmt: skip
    bought = row_of(codec, {**AGG_TRADE, "m": False})
    assert bought["flags"] == Flag.AGGREGATE


@pytest.mark.parametrize(
    ("first", "last"),
    [(0, 0), (7, 7), (9, 10), (99_999_999, 100_000_000), (100_000_000, 100_000_009), (8_199_999_999, 8_200_000_000),
     (8_154_045_700, 9_154_045_700), (1, 10**14), (10**15 - 1, 10**15 - 1), (10**15 - 1, 10**15)],
)  # fmt: skip
def test_the_ends_of_an_aggregate_may_differ_in_any_digit(codec: Codec, first: int, last: int) -> None:
    row = row_of(codec, {**AGG_TRADE, "f": first, "l": last})
    assert (row.get("first_id", 0), row.get("last_id", 0)) == (first, last)


@pytest.mark.parametrize("ts_ms", [1_791_399_999_999, 1_791_400_000_000], ids=["before", "behind"])
@pytest.mark.parametrize("event", [AGG_TRADE, QUOTE], ids=["aggTrade", "bookTicker"])
def test_both_times_may_differ_in_any_digit(codec: Codec, event: dict[str, Any], ts_ms: int) -> None:
    row = row_of(codec, {**event, "E": 1_791_400_000_003, "T": ts_ms})
    assert (row["event_ms"], row["ts_ms"]) == (1_791_400_000_003, ts_ms)


def test_raw_trade(codec: Codec) -> None:
    assert row_of(codec, TRADE) == {
        "kind": Kind.TRADE, "event_ms": NOW, "ts_ms": NOW - 1, "id": 7947325360, "first_id": 7947325360,
        "last_id": 7947325360, "price": 631132, "qty": 1, "qty2": 1,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["INSURANCE_FUND", "ADL", "NA", ""])
def test_prints_that_are_no_market_trades_are_marked(codec: Codec, kind: str) -> None:
    assert row_of(codec, {**TRADE, "X": kind})["flags"] == Flag.OFF_BOOK


def test_depth_diff(codec: Codec) -> None:
    decoded = decode(codec, frame(DEPTH))
    row = decoded.tape.rows[0]
    ids = (row["first_id"], row["last_id"], row["prev_id"])
    assert ids == (11759030886305, 11759030896477, 11759030885985)
    assert (row["kind"], row["flags"], row["ts_ms"], row["event_ms"]) == (Kind.DEPTH, 0, NOW - 4, NOW)
    assert (row["level_at"], row["bids"], row["asks"]) == (0, 2, 1)
    assert decoded.tape.levels.tolist() == [(10_000, 115_863), (667_150, 0), (834_020, 3_480)]


def test_depth_rows_point_at_their_own_levels(codec: Codec) -> None:
    other = {**DEPTH, "b": [], "a": [["7.0", "1"], ["8.0", "2"]]}
    tape = decode(codec, frame(DEPTH), frame(AGG_TRADE), frame(other), frame({**DEPTH, "b": [], "a": []})).tape
    runs = [(int(r["level_at"]), int(r["bids"]), int(r["asks"])) for r in tape.rows if r["kind"] == Kind.DEPTH]
    assert runs == [(0, 2, 1), (3, 0, 2), (5, 0, 0)]
    assert tape.levels[3:5].tolist() == [(70, 1_000), (80, 2_000)]


def test_book_ticker(codec: Codec) -> None:
    assert row_of(codec, QUOTE) == {
        "kind": Kind.QUOTE, "event_ms": NOW, "ts_ms": NOW - 1, "id": 11671659685961, "price": 845510, "qty": 2646,
        "price2": 845511, "qty2": 3120,
    }  # fmt: skip


def test_mark_price(codec: Codec) -> None:
    assert row_of(codec, MARK) == {
        "kind": Kind.MARK, "event_ms": NOW, "ts_ms": NOW, "id": 1791388800000, "price": 8529660260870,
        "price2": 8534593826087, "qty": -523,
    }  # fmt: skip
    dated = row_of(codec, {**MARK, "r": "", "T": 0})
    assert ("qty" in dated, "id" in dated) == (False, False)


@pytest.mark.parametrize(("side", "flag"), [("SELL", Flag.LONG), ("BUY", 0)])
def test_liquidation_side_is_the_side_of_the_position(codec: Codec, side: str, flag: int) -> None:
    """The order that closes a long sells. Size is what was filled, at the average price."""
    row = row_of(codec, {**FORCE_ORDER, "o": {**ORDER, "S": side, "z": "0.180"}})
    assert row == {
        "kind": Kind.LIQUIDATION, "event_ms": NOW, "ts_ms": NOW - 933, "price": 8265190000000, "qty": 180,
        **({"flags": int(flag)} if flag else {}),
    }  # fmt: skip


def test_average_price_off_the_tick_grid_is_kept_to_eight_decimals(codec: Codec) -> None:
    assert row_of(codec, {**FORCE_ORDER, "o": {**ORDER, "ap": "82651.123456789"}})["price"] == 8265112345679


def test_tickers_and_contract_changes_are_control_messages(codec: Codec) -> None:
    decoded = decode(codec, frame([TICKER, {**TICKER, "s": "NOPEUSDT"}], "!ticker@arr"), frame(CONTRACT))
    ticker, contract = decoded.control
    assert isinstance(ticker, Ticker)
    assert (ticker.symbol, ticker.change_percent, ticker.quote_volume) == (
        "BTCUSDT",
        Decimal("4.784"),
        Decimal("434943789.3"),
    )
    assert isinstance(contract, ContractInfo)
    assert (contract.s, contract.cs, contract.ot) == ("NEWUSDT", "PENDING_TRADING", NOW + 3_600_000)
    assert (len(decoded.tape), decoded.foreign) == (0, 1)


def test_answers_to_commands(codec: Codec) -> None:
    frames = [b'{"result":null,"id":1}', b'{"result":["btcusdt@depth"],"id":3}', b'{"result":true,"id":6}',
              b'{"code":2,"msg":"Invalid request: FOO","id":4}', b'{"code":3,"msg":"Invalid JSON"}']  # fmt: skip
    acks = decode(codec, *frames).control
    assert [ack.id for ack in acks if isinstance(ack, Ack)] == [1, 3, 6, 4, None]
    assert [ack.code for ack in acks if isinstance(ack, Ack)] == [None, None, None, 2, 3]


def test_events_we_know_and_do_not_use_pass_silently(codec: Codec) -> None:
    bar = {"e": "kline", "E": NOW, "s": "BTCUSDT", "k": {"t": NOW, "x": False}}
    decoded = decode(codec, frame(bar, "btcusdt@kline_1m"), frame({"e": "24hrMiniTicker"}, "!miniTicker@arr"))
    assert (len(decoded.tape), decoded.rejected, decoded.control) == (0, [], [])


@pytest.mark.parametrize("event", ROW_EVENTS, ids=lambda e: e["e"])
def test_unwrapped_frames_are_read_alike(codec: Codec, event: dict[str, Any]) -> None:
    wrapped = decode(codec, frame(event)).tape.rows.tolist()
    assert decode(codec, json.dumps(event).encode()).tape.rows.tolist() == wrapped


@pytest.mark.parametrize("event", ROW_EVENTS, ids=lambda e: e["e"])
def test_optional_fields_may_be_absent_and_unknown_ones_present(codec: Codec, event: dict[str, Any]) -> None:
    """`ps`, `st`, `nq`, `ap` and `X` came and went over the years; key order is not stable."""
    expected = row_of(codec, event)
    body = event["o"] if event["e"] == "forceOrder" else event
    bare = {k: v for k, v in body.items() if k not in ("ps", "st", "nq", "X") and (k != "ap" or event is FORCE_ORDER)}
    shuffled = dict(sorted(bare.items(), key=lambda item: item[0] != "e"))
    grown = {**shuffled, "zz": None, "new": {"deep": [1, {"x": "y"}]}, "ps": "a\\b"}
    wrap: Callable[[Any], Any] = (lambda b: {**event, "o": b}) if event is FORCE_ORDER else (lambda b: b)
    if event is AGG_TRADE:
        expected["qty2"] = expected["qty"]
    assert row_of(codec, wrap(shuffled)) == expected
    assert row_of(codec, wrap(grown)) == expected


def test_numbers_instead_of_strings_are_read_exactly(codec: Codec) -> None:
    """A JSON number never passes through a binary float: 0.1 is one tick."""
    text = frame(AGG_TRADE).replace(b'"83434.40"', b"83434.4").replace(b'"0.016"', b"1.6e-2")
    decoded = decode(codec, text)
    assert (int(decoded.tape.rows[0]["price"]), int(decoded.tape.rows[0]["qty"])) == (834344, 16)


@pytest.mark.parametrize(
    ("text", "ticks"), [("83434.4", 834344), ("83434.400000000000", 834344), ("8.34344e4", 834344), ("1E+2", 1000)]
)
def test_prices_may_be_written_in_any_way(codec: Codec, text: str, ticks: int) -> None:
    assert row_of(codec, {**AGG_TRADE, "p": text})["price"] == ticks


# -- whose events -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [*ROW_EVENTS, TICKER], ids=lambda e: e["e"])
def test_coin_margined_rows_are_dropped(codec: Codec, event: dict[str, Any]) -> None:
    """`st` 2 counts in contracts; its symbol may even look like ours."""
    body = {**event, "o": {**ORDER, "st": 2}} if event is FORCE_ORDER else {**event, "st": 2}
    decoded = decode(codec, frame(body))
    assert (len(decoded.tape), decoded.control, reasons(decoded), decoded.foreign) == (0, [], [], 1)


def test_a_coin_margined_row_of_another_shape_does_not_take_the_array_with_it(codec: Codec) -> None:
    decoded = decode(codec, frame([{"e": "24hrTicker", "s": "BTCUSD_PERP", "st": 2}, TICKER], "!ticker@arr"))
    assert (decoded.foreign, len(decoded.control), decoded.rejected) == (1, 1, [])


def test_arrays_give_a_row_for_each_of_our_symbols(codec: Codec) -> None:
    marks = [MARK, {**MARK, "s": "BTCUSD_PERP", "st": 2}, {**MARK, "s": "NOPEUSDT"}, {**MARK, "s": "XAUUSDT", "p": "1"}]
    decoded = decode(codec, frame(marks, "!markPrice@arr@1s"))
    assert [int(i) for i in decoded.tape.rows["instrument"]] == [0, 1]
    assert [int(p) for p in decoded.tape.rows["price"]] == [8529660260870, E8]
    assert (decoded.foreign, decoded.rejected) == (2, [])


@pytest.mark.parametrize(
    ("event", "stream"),
    [(MARK, "!markPrice@arr"), (FORCE_ORDER, "!forceOrder@arr"), (QUOTE, "!bookTicker"), (TICKER, "!ticker@arr")],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_unknown_symbols_of_all_symbol_streams_are_foreign(codec: Codec, event: dict[str, Any], stream: str) -> None:
    other = (
        {**event, "s": "NOPEUSDT", "o": {**ORDER, "s": "NOPEUSDT"}} if event is FORCE_ORDER else {**event, "s": "NOPE"}
    )
    decoded = decode(codec, frame(other, stream))
    assert (len(decoded.tape), decoded.foreign, decoded.rejected) == (0, 1, [])


def test_an_unknown_symbol_in_its_own_stream_is_refused(codec: Codec) -> None:
    """Nobody subscribed to it."""
    decoded = decode(codec, frame({**AGG_TRADE, "s": "NOPEUSDT"}, "nopeusdt@aggTrade"))
    assert reasons(decoded) == ["unknown_symbol"]


def test_symbols_need_not_be_ascii(codec: Codec) -> None:
    event = {**AGG_TRADE, "s": "币安人生USDT", "p": "0.12345", "q": "7", "nq": "7"}
    for text in (frame(event), frame(event).decode().encode("ascii", "backslashreplace")):
        row = decode(codec, text).tape.rows[0]
        assert (int(row["instrument"]), int(row["price"]), int(row["qty"])) == (2, 12345, 7)


def test_increments_that_are_no_power_of_ten(codec: Codec) -> None:
    """Tick 0.05, lot 0.002: counts of increments, not of decimals."""
    row = row_of(codec, {**AGG_TRADE, "s": "XAUUSDT", "p": "2600.15", "q": "0.010", "nq": "0.008"})
    assert (row["price"], row["qty"], row["qty2"]) == (52003, 5, 4)


# -- what is refused, and changes nothing -----------------------------------------------------------------------------

BAD_NUMBERS = {
    "NaN": "number_range", "sNaN": "number_range", "Infinity": "number_range", "-Infinity": "number_range",
    "1e400": "number_range", "1e999999999": "number_range", "1e-999999999": "number_range", "9" * 400: "number_range",
    "0.00000000000000000001": "number_range", "1e-1000000": "number_range", "-1": "not_positive",
    "-0.05": "not_positive", "0": "not_positive", "0.000": "not_positive", "": "wrong_shape", "1,5": "wrong_shape",
    "0x10": "wrong_shape", "1e9999999999999999999": "wrong_shape",
}  # fmt: skip


@pytest.mark.parametrize("key", ["p", "q"])
@pytest.mark.parametrize("text", BAD_NUMBERS, ids=lambda t: t[:12])
def test_bad_numbers_are_refused_by_name(codec: Codec, key: str, text: str) -> None:
    assert reasons(decode(codec, frame({**AGG_TRADE, key: text}))) == [BAD_NUMBERS[text]]


@pytest.mark.parametrize("value", [None, True, [], {}, ["1"], 1e400], ids=str)
def test_wrong_types_are_refused(codec: Codec, value: object) -> None:
    for event, key in ((AGG_TRADE, "p"), (DEPTH, "pu"), (QUOTE, "A"), (MARK, "i"), (TRADE, "t")):
        text = frame({**event, key: value}).replace(b"Infinity", b"1e400")
        assert reasons(decode(codec, text)) in (["wrong_shape"], ["number_range"]), (event["e"], value)


@pytest.mark.parametrize("event", [DEPTH, FORCE_ORDER, QUOTE, MARK], ids=lambda e: e["e"])
def test_bad_numbers_are_refused_in_every_kind(codec: Codec, event: dict[str, Any]) -> None:
    changed: dict[str, list[dict[str, Any]]] = {
        "depthUpdate": [{"b": [["1.0", "-1"]]}, {"a": [["-1.0", "1"]]}, {"a": [["0", "1"]]}, {"b": [["1e400", "1"]]}],
        "forceOrder": [
            {"o": {**ORDER, k: v}} for k in ("z", "ap") for v in ("0", "-1", "NaN", "1e400", "99999999999999")
        ],
        "bookTicker": [{"b": "NaN"}, {"B": "-1"}, {"a": "1e400"}],
        "markPriceUpdate": [{"p": "1e400"}, {"i": "NaN"}, {"p": "99999999999"}, {"r": "1e300"}, {"r": "x"}],
    }
    for change in changed[event["e"]]:
        decoded = decode(codec, frame({**event, **change}))
        assert len(decoded.tape) == 0, change
        assert reasons(decoded) in (["number_range"], ["not_positive"], ["off_grid"]), change


@pytest.mark.parametrize("value", [2**63, 2**70, 10**400, -1], ids=lambda v: str(v)[:20])
def test_ids_out_of_range_are_refused(codec: Codec, value: int) -> None:
    for event, key in ((AGG_TRADE, "a"), (AGG_TRADE, "f"), (TRADE, "t"), (DEPTH, "u"), (DEPTH, "pu"), (QUOTE, "u")):
        assert reasons(decode(codec, frame({**event, key: value}))) == ["id_range"], key


@pytest.mark.parametrize(
    ("ms", "reason"),
    [(NOW // 1000, "time_range"), (NOW * 1000, "time_range"), (0, "time_range"), (-1, "time_range"),
     (10**30, "time_range"), (NOW + 25 * 3_600_000, "time_skew"), (NOW - 25 * 3_600_000, "time_skew")],
)  # fmt: skip
@pytest.mark.parametrize("key", ["E", "T"])
def test_times_in_other_units_or_far_away_are_refused(codec: Codec, key: str, ms: int, reason: str) -> None:
    for event in (AGG_TRADE, TRADE, DEPTH, QUOTE):
        assert reasons(decode(codec, frame({**event, key: ms}))) == [reason], event["e"]
    order = {**FORCE_ORDER, "o": {**ORDER, "T": ms}} if key == "T" else {**FORCE_ORDER, "E": ms}
    assert reasons(decode(codec, frame(order))) == [reason]


@pytest.mark.parametrize(("behind_ms", "accepted"), [(-1_000, True), (-1_001, False), (60_000, True), (60_001, False)])
def test_push_and_event_time_must_fit_each_other(codec: Codec, behind_ms: int, accepted: bool) -> None:
    """One garbled time within the day would move a clock ahead and empty every window."""
    for event in (AGG_TRADE, TRADE, DEPTH, QUOTE):
        assert reasons(decode(codec, frame({**event, "T": NOW - behind_ms}))) == ([] if accepted else ["time_order"])
    order = {**FORCE_ORDER, "o": {**ORDER, "T": NOW - behind_ms}}
    assert reasons(decode(codec, frame(order))) == ([] if accepted else ["time_order"])


@pytest.mark.parametrize(("lots", "accepted"), [(2**58 // 834_344, True), (2**58 // 834_344 + 1, False)])
def test_a_notional_that_no_sum_could_hold_is_refused(codec: Codec, lots: int, accepted: bool) -> None:
    qty = str(Decimal(lots).scaleb(-3))
    for event in (
        {**AGG_TRADE, "p": "83434.4", "q": qty},
        {**TRADE, "p": "83434.4", "q": qty},
        {**DEPTH, "b": [["83434.4", qty]]},
        {**DEPTH, "a": [["83434.4", qty]]},
        {**QUOTE, "b": "83434.4", "B": qty},
        {**QUOTE, "a": "83434.4", "A": qty},
        {**FORCE_ORDER, "o": {**ORDER, "ap": "83434.4", "z": qty}},
    ):
        refused = reasons(decode(codec, frame(event)))
        assert refused == ([] if accepted or event["e"] == "forceOrder" else ["number_range"])
    assert reasons(decode(codec, frame({**DEPTH, "b": [["9999999999999999.9", "0"]]}))) == ["number_range"]


NO_FRAMES = {
    b"": "not_json",
    b"\xff\xfe\x00": "not_json",
    b'{"stream":"\xff","data":{}}': "not_json",
    b"null": "wrong_shape",
    b"[]": "bare_array",
    b'[{"e":"aggTrade"}]': "bare_array",
    b"{}": "no_event",
    b'{"stream":"btcusdt@aggTrade"}': "no_event",
    b'{"stream":"btcusdt@aggTrade","data":{}}': "unknown_event",
    b'{"stream":"btcusdt@aggTrade","data":{"e":"surprise","E":1}}': "unknown_event",
    b'{"stream":"btcusdt@aggTrade","data":[1]}': "wrong_shape",
    b'{"stream":"btcusdt@aggTrade","data":"x"}': "wrong_shape",
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}': "wrong_shape",
    b'{"stream":"x","data":' + b"[" * 100_000: "not_json",
    b'{"e":' * 50_000: "unknown_event",
    b'{"stream":"x","data":{"e":"aggTrade","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}}": "not_json",
}


@pytest.mark.parametrize("data", NO_FRAMES, ids=lambda d: repr(d[:40]))
def test_what_is_no_frame_is_refused_by_name(codec: Codec, data: bytes) -> None:
    decoded = decode(codec, frame(AGG_TRADE), data, frame(TRADE))
    assert reasons(decoded) == [NO_FRAMES[data]]
    assert decoded.rejected[0].frame == data
    assert [int(r) for r in decoded.tape.rows["id"]] == [AGG_TRADE["a"], TRADE["t"]]


@pytest.mark.parametrize("stream", ["btcusdt@depth5", "btcusdt@depth10@100ms", "btcusdt@depth20@500ms"])
def test_partial_books_are_refused(codec: Codec, stream: str) -> None:
    """They share the event name of diffs and would empty a book."""
    assert reasons(decode(codec, frame(DEPTH, stream))) == ["partial_depth"]


@pytest.mark.parametrize("stream", ["btcusdt@depth", "btcusdt@depth@100ms", "btcusdt@depth@0ms", "btcusdt@depth@500ms"])
def test_all_speeds_of_diffs_are_accepted(codec: Codec, stream: str) -> None:
    assert len(decode(codec, frame(DEPTH, stream)).tape) == 1


@pytest.mark.parametrize("event", [*ROW_EVENTS, [MARK, MARK]], ids=lambda e: e["e"] if isinstance(e, dict) else "array")
def test_a_frame_cut_at_any_byte_is_refused_and_its_neighbours_are_read(codec: Codec, event: Any) -> None:
    whole = frame(event, None if isinstance(event, dict) else "!markPrice@arr")
    pieces = [whole[:n] for n in range(len(whole))]
    frames = [f for piece in pieces for f in (piece, frame(QUOTE))]
    decoded = decode(codec, *frames)
    assert reasons(decoded) == ["not_json"] * len(whole)
    assert [rejected.frame for rejected in decoded.rejected] == pieces
    assert decoded.tape.rows["kind"].tolist() == [Kind.QUOTE] * len(whole)
    assert len(decoded.tape.levels) == 0


def test_a_refused_array_leaves_no_trace_of_its_good_half(codec: Codec) -> None:
    """Rows, levels, control messages and counts of a frame stand or fall together."""
    for good, bad, stream in (
        (MARK, {**MARK, "p": "NaN"}, "!markPrice@arr"),
        (TICKER, {"e": "24hrTicker"}, "!ticker@arr"),
    ):
        foreign = {**good, "s": "NOPEUSDT"}
        decoded = decode(codec, frame([good, foreign, bad], stream))
        assert len(decoded.rejected) == 1
        assert (len(decoded.tape), decoded.control, decoded.foreign) == (0, [], 0)
    decoded = decode(codec, frame({**DEPTH, "a": [["1.0", "1"], ["2.0", "x"]]}), frame(DEPTH))
    assert len(decoded.tape.levels) == 3
    assert int(decoded.tape.rows[0]["level_at"]) == 0


def test_the_buffer_may_be_reused_while_the_result_lives(codec: Codec) -> None:
    frames = [b'{"result":null,"id":1}', frame({**AGG_TRADE, "p": "1.05"}), b"[", frame(TICKER), frame(AGG_TRADE)]
    buffer = bytearray(b"".join(frames))
    decoded = codec.decode(buffer, np.cumsum([len(f) for f in frames]).tolist(), RECV_NS)
    buffer.clear()
    assert (len(decoded.control), len(decoded.rejected), len(decoded.off_grid)) == (2, 2, 1)


def test_every_frame_may_have_its_own_receive_time(codec: Codec) -> None:
    frames = [frame(AGG_TRADE), frame(FORCE_ORDER), frame(AGG_TRADE)]
    times = np.array([RECV_NS, RECV_NS + 1, RECV_NS + 48 * 3_600 * 10**9])
    decoded = codec.decode(b"".join(frames), np.cumsum([len(f) for f in frames]), times)
    assert decoded.tape.rows["recv_ns"].tolist() == [RECV_NS, RECV_NS + 1]
    assert reasons(decoded) == ["time_skew"]
    assert decoded.frames == 3


# -- off the grid -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "text", "what"), [("p", "83434.45", "price"), ("q", "0.0165", "quantity")])
def test_a_number_between_two_increments_is_set_aside_and_told(codec: Codec, key: str, text: str, what: str) -> None:
    decoded = decode(codec, frame({**AGG_TRADE, key: text}), frame(AGG_TRADE))
    assert reasons(decoded) == ["off_grid"]
    assert len(decoded.tape) == 1
    (error,) = decoded.off_grid
    assert (error.symbol, error.what, error.value) == ("BTCUSDT", what, Decimal(text))


def test_a_finer_grid_reads_what_was_off_it(codec: Codec) -> None:
    old = codec.universe.get("BTCUSDT")
    assert reasons(decode(codec, frame({**AGG_TRADE, "p": "83434.45"}))) == ["off_grid"]
    finer = Instrument(0, "binance", "BTCUSDT", "BTC", "USDT", "perp", Grid.parse("0.05"), old.lot)
    codec.universe.update(finer)
    assert row_of(codec, {**AGG_TRADE, "p": "83434.45"})["price"] == 1668689


# -- anything at all --------------------------------------------------------------------------------------------------

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(list(BAD_NUMBERS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
REASONS = {
    "not_json", "wrong_shape", "unknown_event", "no_event", "bare_array", "unknown_symbol", "partial_depth",
    "time_range", "time_skew", "time_order", "id_range", "number_range", "not_positive", "too_many_levels", "off_grid",
}  # fmt: skip


@st.composite
def changed_frames(draw: st.DrawFn) -> bytes:
    """A good frame with some fields replaced by anything, or some bytes changed."""
    event = dict(draw(st.sampled_from([*ROW_EVENTS, TICKER, CONTRACT])))
    stream = STREAMS[event["e"]]
    for key in draw(st.sets(st.sampled_from(sorted(event)), max_size=3)):
        event[key] = draw(json_values)
    name = draw(st.just(stream) | st.just("!all@arr") | st.text(max_size=8))
    wrapped: Any = {"stream": name, "data": draw(st.just(event) | st.just([event, event]))}
    data = json.dumps(wrapped, ensure_ascii=draw(st.booleans()), separators=(",", ":")).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=3)) + data[at + draw(st.integers(0, 3)) :]
    return data


@examples(400)
@given(st.lists(changed_frames() | st.binary(max_size=40), max_size=6))
def test_any_bytes_decode_or_are_refused_with_a_documented_reason(frames: list[bytes]) -> None:
    for kernel in (True, False):
        codec = Codec(universe(), kernel=kernel)
        good = frame(DEPTH)
        decoded = decode(codec, *(f for data in frames for f in (data, good)), frame(AGG_TRADE))
        assert set(reasons(decoded)) <= REASONS
        assert all(rejected.frame in frames for rejected in decoded.rejected)
        rows = decoded.tape.rows
        assert np.count_nonzero(rows["first_id"] == DEPTH["U"]) >= len(frames)
        assert int(rows[-1]["id"]) == AGG_TRADE["a"]
        for row in rows[rows["kind"] == Kind.DEPTH]:
            assert 0 <= row["level_at"] <= row["level_at"] + row["bids"] + row["asks"] <= len(decoded.tape.levels)


# -- REST -------------------------------------------------------------------------------------------------------------


def test_a_rest_snapshot_is_one_depth_row(codec: Codec) -> None:
    body = {
        "lastUpdateId": 1000,
        "E": NOW,
        "T": NOW - 7,
        "bids": [["100.0", "1.5"]],
        "asks": [["100.2", "2"], ["101", "3"]],
    }
    tape = codec.snapshot("BTCUSDT", json.dumps(body).encode(), RECV_NS)
    row = tape.rows[0]
    assert (row["kind"], row["flags"], row["last_id"], row["event_ms"]) == (Kind.DEPTH, Flag.SNAPSHOT, 1000, NOW)
    assert (row["bids"], row["asks"], tape.levels.tolist()) == (1, 2, [(1000, 1500), (1002, 2000), (1010, 3000)])
    bare = codec.snapshot("BTCUSDT", b'{"lastUpdateId":7,"bids":[],"asks":[]}', RECV_NS)
    assert (int(bare.rows[0]["last_id"]), int(bare.rows[0]["event_ms"])) == (7, 0)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code":-1121,"msg":"Invalid symbol."}', "wrong_shape"),
        (b"<html>", "not_json"),
        (b'{"lastUpdateId":1', "not_json"),
        (b'{"lastUpdateId":-1,"bids":[],"asks":[]}', "id_range"),
        (b'{"lastUpdateId":1,"bids":[["1.05","1"]],"asks":[]}', "off_grid"),
        (b'{"lastUpdateId":1,"bids":[],"asks":[],"E":9000000000000000}', "time_range"),
    ],
)
def test_a_rest_snapshot_that_is_none_is_refused(codec: Codec, body: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        codec.snapshot("BTCUSDT", body, RECV_NS)
    assert caught.value.reason == reason
    if isinstance(caught.value, OffGridError):
        assert caught.value.symbol == "BTCUSDT"


def test_rest_trades_are_marked_as_filled_in(codec: Codec) -> None:
    """They may be two days old, never from the future."""
    old = {"a": 7, "p": "100.0", "q": "2.000", "f": 70, "l": 72, "T": NOW - 40 * 3_600_000, "m": False}
    tape = codec.trades("BTCUSDT", json.dumps([old, {**old, "a": 8, "m": True, "nq": "1.5"}]).encode(), RECV_NS)
    assert tape.rows["id"].tolist() == [7, 8]
    filled = Flag.AGGREGATE | Flag.BACKFILLED
    assert tape.rows["flags"].tolist() == [filled, filled | Flag.SELL]
    assert tape.rows["qty2"].tolist() == [2000, 1500]
    with pytest.raises(FrameError, match="time_skew"):
        codec.trades("BTCUSDT", json.dumps([{**old, "T": NOW + 48 * 3_600_000}]).encode(), RECV_NS)
    with pytest.raises(NotFoundError, match="unknown symbol 'NOPE'"):
        codec.trades("NOPE", b"[]", RECV_NS)


def test_exchange_info_keeps_perpetuals_and_dated_futures_and_survives_a_bad_row() -> None:
    def symbol(name: str, kind: str, tick: str = "0.10", **more: object) -> dict[str, object]:
        filters = [{"filterType": "PRICE_FILTER", "tickSize": tick}, {"filterType": "LOT_SIZE", "stepSize": "0.001"}]
        fields = {
            "symbol": name,
            "contractType": kind,
            "status": "TRADING",
            "baseAsset": name[:3],
            "quoteAsset": "USDT",
        }
        return {**fields, "filters": filters, **more}

    rows: list[object] = [
        symbol("BTCUSDT", "PERPETUAL", deliveryDate=4133404800000, onboardDate=1569398400000),
        symbol("XAUUSDT", "TRADIFI_PERPETUAL", "0.05", deliveryDate=NOW),
        symbol("BTCUSDT_261225", "CURRENT_QUARTER"),
        symbol("币安人生USDT", "PERPETUAL", status="SETTLING"),
        symbol("BADUSDT", "PERPETUAL", "0"),
        {"symbol": "NOUSDT"},
        symbol("IDXUSDT", ""),
        symbol("BTCUSD_PERP", "PERPETUAL", quoteAsset="USD", marginAsset="BTC", contractSize=100),
        {"symbol": "BTCUSD_261225", "contractType": "CURRENT_QUARTER", "contractStatus": "TRADING", "filters": []},
    ]
    unreadable: list[str] = []
    found = parse_exchange_info(json.dumps({"symbols": rows}).encode(), unreadable=unreadable)
    assert [(i.symbol, i.kind, i.trading) for i in found] == [
        ("BTCUSDT", "perp", True), ("XAUUSDT", "tradfi-perp", True), ("BTCUSDT_261225", "future", True),
        ("币安人生USDT", "perp", False),
    ]  # fmt: skip
    assert (found[0].tick, found[1].tick, found[0].delivery_ms, found[1].delivery_ms) == (
        Grid(1, 1),
        Grid(5, 2),
        0,
        NOW,
    )
    assert len(unreadable) == 2
    for body in (b"{}", b"<html>", json.dumps({"symbols": [{"symbol": "NOUSDT"}]}).encode()):
        with pytest.raises(VenueError):
            parse_exchange_info(body)


def test_recorded_exchange_info_is_read_whole(data_dir: Path) -> None:
    body = gzip.decompress((data_dir / "rest" / "usdm_exchangeInfo_20210721_122symbols.json.gz").read_bytes())
    unreadable: list[str] = []
    found = {i.symbol: i for i in parse_exchange_info(body, unreadable=unreadable)}
    assert unreadable == []
    assert (found["BTCUSDT"].tick.value, found["BTCUSDT"].lot.value) == (Decimal("0.01"), Decimal("0.001"))
    kinds = {"PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER"}
    assert len(found) == sum(s["contractType"] in kinds for s in json.loads(body)["symbols"]) > 100


def test_average_daily_volume_takes_complete_days_only() -> None:
    day = 86_400_000
    rows = [[k * day, "1", "1", "1", "1", "1", (k + 1) * day - 1, str(100 * k), 1, "0", "0", "0"] for k in range(1, 8)]
    body = json.dumps(rows).encode()
    assert average_daily_volume(body, now_ms=7 * day + 5, days=3) == (Decimal(500), 3)
    assert average_daily_volume(body, now_ms=3 * day, days=30) == (Decimal(150), 2)
    assert average_daily_volume(b"[]", now_ms=day, days=30) == (Decimal(0), 0)
    for bad in (b"{}", b"[[1]]", b'[[0,"1","1","1","1","1",1,"x"]]'):
        with pytest.raises(FrameError, match="bad_klines"):
            average_daily_volume(bad, now_ms=day, days=30)


# -- the capture of 2026 ----------------------------------------------------------------------------------------------


def test_captured_frames_of_2026(codec: Codec, data_dir: Path) -> None:
    """Every frame is read; the values of each kind equal those of the JSON text."""
    lines = (data_dir / "frames_2026" / "binance_usdm_mixed_20260927.raw").read_bytes().splitlines()
    times, frames = zip(*(line.split(b" ", 1) for line in lines), strict=True)
    events = [json.loads(f)["data"] for f in frames]
    for symbol in sorted({e.get("s") or e["o"]["s"] for e in events} - {"BTCUSDT"}):
        codec.universe.add(Instrument(-1, "binance", symbol, "", "USDT", "perp", Grid(1, 8), Grid(1, 3)))
    decoded = codec.decode(b"".join(frames), np.cumsum([len(f) for f in frames]), [int(t) for t in times])
    assert (decoded.rejected, decoded.foreign, decoded.control) == ([], 0, [])
    kinds = [int(k) for k in decoded.tape.rows["kind"]]
    expected = {"aggTrade": Kind.TRADE, "depthUpdate": Kind.DEPTH, "bookTicker": Kind.QUOTE,
                "markPriceUpdate": Kind.MARK, "forceOrder": Kind.LIQUIDATION}  # fmt: skip
    kept = [e for e in events if e["e"] in expected]
    assert kinds == [expected[e["e"]] for e in kept]
    assert len(kept) == 62 - 4
    for row, event in zip(decoded.tape.rows, kept, strict=True):
        body = event.get("o", event)
        instrument = codec.universe[int(row["instrument"])]
        assert instrument.symbol == body["s"]
        tick, lot = instrument.tick.to_decimal, instrument.lot.to_decimal
        match event["e"]:
            case "aggTrade":
                shown = (tick(row["price"]), lot(row["qty"]), bool(row["flags"] & Flag.SELL), int(row["id"]))
                assert shown == (Decimal(body["p"]), Decimal(body["q"]), body["m"], body["a"])
            case "bookTicker":
                shown = (tick(row["price"]), lot(row["qty"]), tick(row["price2"]), lot(row["qty2"]))
                assert shown == tuple(Decimal(body[k]) for k in "bBaA")
            case "forceOrder":
                shown = (
                    Decimal(int(row["price"])) / E8,
                    lot(row["qty"]),
                    bool(row["flags"] & Flag.LONG),
                    int(row["ts_ms"]),
                )
                assert shown == (Decimal(body["ap"]), Decimal(body["z"]), body["S"] == "SELL", body["T"])
            case "depthUpdate":
                levels = decoded.tape.levels[row["level_at"] : row["level_at"] + row["bids"] + row["asks"]]
                shown = [(tick(price), lot(qty)) for price, qty in levels.tolist()]
                assert shown == [(Decimal(p), Decimal(q)) for p, q in (*body["b"], *body["a"])]
            case _:
                assert Decimal(int(row["price"])) / E8 == Decimal(body["p"])
    assert "牛来USDT" in {codec.universe[int(i)].symbol for i in decoded.tape.rows["instrument"]}


def test_funding_intervals_are_those_that_differ() -> None:
    body = b"""[{"symbol":"BLZUSDT","adjustedFundingRateCap":"0.02500000","adjustedFundingRateFloor":"-0.02500000",
        "fundingIntervalHours":4,"disclaimer":false},{"symbol":"XUSDT","fundingIntervalHours":1}]"""
    assert funding_intervals(body) == {"BLZUSDT": 14_400_000, "XUSDT": 3_600_000}
    with pytest.raises(VenueError, match="fundingInfo cannot be read"):
        funding_intervals(b'{"code":-1}')
