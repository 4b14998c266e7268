"""What every venue product has to do, asked of all of them in their own words."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from tapewatch.engine import Need
from tapewatch.model.tape import E8, Flag, Kind
from tapewatch.model.views import BookState
from tapewatch.replay.report import state_hash
from tapewatch.venues.registry import PRODUCTS
from venue_words import ALL, NOW, Message, Session, Words

BIDS, ASKS = [("100.0", "1.500"), ("99.9", "2.000")], [("100.1", "0.700"), ("100.3", "4.000")]
PRODUCTS_IN_WORDS = [words for words in ALL if words.name in PRODUCTS]
HOUR_MS = 3_600_000


@pytest.fixture(params=PRODUCTS_IN_WORDS, ids=[words.name for words in PRODUCTS_IN_WORDS])
def words(request: pytest.FixtureRequest) -> Words:
    found: Words = request.param
    return found


def started(words: Words) -> tuple[Session, int]:
    """A live book and the id it stands at."""
    session = Session(words)
    first = words.after(1_000)
    session.take(words.snapshot(1_000, BIDS, ASKS), words.diff(1_000, first, [("99.8", "3.000")], []))
    return session, first


def test_every_product_speaks_in_this_suite() -> None:
    assert set(PRODUCTS) == {words.name for words in PRODUCTS_IN_WORDS}


# -- books ------------------------------------------------------------------------------------------------------------


def test_a_book_is_its_snapshot_and_what_followed(words: Words) -> None:
    session, at = started(words)
    gone = words.diff(at, words.after(at), [("100.0", "0"), ("50.0", "0")], [("100.1", "0.800"), ("100.2", "1.000")])
    assert session.take(gone) == []
    assert session.state() is BookState.LIVE
    assert session.sides() == (
        [("99.9", "2.000"), ("99.8", "3.000")],
        [("100.1", "0.800"), ("100.2", "1.000"), ("100.3", "4.000")],
    )
    assert session.refused == []


def test_a_repetition_changes_nothing(words: Words) -> None:
    """A second connection delivers again while it takes over from the first."""
    session, at = started(words)
    diff = words.diff(at, words.after(at), [("99.7", "1.000")], [], NOW)
    later = words.diff(words.after(at), words.after(words.after(at)), [("99.7", "0")], [], NOW)
    session.take(diff, later)
    before = session.sides()
    assert session.take(diff, later) == []
    assert (session.state(), session.sides()) == (BookState.LIVE, before)
    assert session.engine.totals()["depth_dropped"] == 2


def test_a_gap_is_stale_at_once_and_a_new_snapshot_mends_it(words: Words) -> None:
    session, at = started(words)
    lost = words.after(at)
    assert session.take(words.diff(lost, words.after(lost), [("99.7", "1.000")], [])) == [Need(0, "gap")]
    assert session.state() is BookState.STALE
    number = words.after(lost) + 1_000
    session.take(words.snapshot(number, BIDS, ASKS), words.diff(number, words.after(number), [("99.5", "1.000")], []))
    assert session.state() is BookState.LIVE
    assert session.sides()[0] == [*BIDS, ("99.5", "1.000")]


def test_a_crossed_book_is_no_book(words: Words) -> None:
    session, at = started(words)
    assert session.take(words.diff(at, words.after(at), [("100.2", "1.000")], [])) == [Need(0, "crossed")]
    assert session.state() is BookState.STALE


def test_diffs_before_a_snapshot_make_no_book(words: Words) -> None:
    session = Session(words)
    session.take(words.diff(900, words.after(900), BIDS, ASKS))
    assert session.state() is BookState.WAITING


@pytest.mark.parametrize("name", ["bybit", "okx"])
def test_a_snapshot_in_the_stream_replaces_the_book(name: str) -> None:
    """Bybit sends u 1 after a restart of its service; OKX a snapshot to who subscribes anew."""
    words = next(words for words in ALL if words.name == name)
    session, _ = started(words)
    other = [("90.0", "1.000")], [("90.1", "1.000")]
    assert session.take(words.snapshot(1, *other, NOW + 1)) == []
    assert (session.state(), session.sides()) == (BookState.LIVE, other)
    assert session.take(words.diff(1, words.after(1), [("89.9", "1.000")], [], NOW + 2)) == []
    assert session.sides()[0][-1] == ("89.9", "1.000")


def test_okx_keeps_alive_with_equal_ids_and_resets_with_a_lower_one() -> None:
    """Vectors of the reference, 9.5: 10, 15, 15 again and empty, 3 behind 15, and 9 which nobody has seen."""
    okx = next(words for words in ALL if words.name == "okx")
    session = Session(okx)
    assert session.take(okx.snapshot(10, BIDS, ASKS), okx.diff(10, 15, [], []), okx.diff(15, 15, [], [])) == []
    assert session.take(okx.diff(15, 3, [("99.8", "1.000")], []), okx.diff(3, 4, [("99.8", "0")], [])) == []
    assert (session.state(), session.sides()) == (BookState.LIVE, (BIDS, ASKS))
    assert session.take(okx.diff(9, 20, [], [])) == [Need(0, "gap")]


def test_bybit_counts_by_one() -> None:
    """Vectors of the reference, 9.5: 77, 78, and 80 which is one too many."""
    bybit = next(words for words in ALL if words.name == "bybit")
    session = Session(bybit)
    assert session.take(bybit.snapshot(77, BIDS, ASKS), bybit.diff(77, 78, [], [])) == []
    assert session.take(bybit.diff(79, 80, [], [])) == [Need(0, "gap")]


# -- trades -----------------------------------------------------------------------------------------------------------


def test_trades_are_base_units_of_the_takers_side(words: Words) -> None:
    session = Session(words)
    session.take(
        words.trade(5, "100.0", "0.250", sell=False),
        words.trade(6, "100.1", "1.000", sell=True),
        words.trade(7, "100.2", "3.000", sell=True, symbol=words.other),
    )
    trades = session.engine.flow.trades[:2]
    lot = session.universe[0].lot
    assert [(lot.to_text(row["buy"]), lot.to_text(row["sell"])) for row in trades] == [
        ("0.250", "1.000"), ("0.000", "3.000")]  # fmt: skip
    assert session.universe[0].notional(int(trades[0]["quote"])) == Decimal("125.1")
    assert session.refused == []


def test_a_repeated_trade_counts_once(words: Words) -> None:
    session = Session(words)
    one, two = words.trade(5, "100.0", "0.250", sell=False), words.trade(6, "100.0", "0.250", sell=True)
    session.take(one, two, one, two)
    assert session.engine.totals()["count"] == 2
    assert session.engine.totals()["duplicates"] == 2


def test_missing_trades_show_where_ids_count(words: Words) -> None:
    """Where they do not, an interruption that the feed tells of is a gap."""
    session = Session(words)
    session.take(words.trade(5, "100.0", "0.250", sell=False), words.trade(9, "100.0", "0.250", sell=False))
    counted = words.product.trades.ids.name != "RISING"
    assert session.engine.totals()["missing"] == (3 if counted else 0)
    assert session.engine.totals()["gaps"] == int(counted)


# -- marks and liquidations -------------------------------------------------------------------------------------------


def test_a_mark_tells_funding_and_its_next_payment(words: Words) -> None:
    session = Session(words)
    next_ms = NOW - NOW % HOUR_MS + 8 * HOUR_MS
    frames = words.mark("100.05", "100.0", "-0.00012", next_ms)
    if not frames:
        assert words.product.lacks.marks
        return
    session.take(*frames)
    mark = session.engine.quotes.marks[0]
    assert (mark["mark_e8"], mark["index_e8"]) == (int(Decimal("100.05") * E8), 100 * E8)
    assert (mark["rate_e8"], mark["next_funding_ms"]) == (-12_000, next_ms)


def test_the_liquidated_side_is_the_position(words: Words) -> None:
    """From real frames; see `venue_words` for what each venue calls it."""
    if not words.long:
        assert words.product.lacks.liquidations
        return
    session = Session(words)
    session.take(words.long, words.short)
    assert session.refused == []
    rows = session.engine.liquidations()
    quantity, price = words.liquidated
    assert rows["long"].tolist() == [1, 0]
    assert {session.universe[0].lot.to_text(lots) for lots in rows["qty"]} == {quantity}
    assert set(rows["price_e8"].tolist()) == {int(Decimal(price) * E8)}
    assert words.product.liquidations


# -- instruments and addresses ----------------------------------------------------------------------------------------


def test_the_list_of_instruments(words: Words) -> None:
    bad: list[str] = []
    (btc,) = words.product.instruments(words.listing(), unreadable=bad)
    assert (btc.symbol, btc.coin, btc.quote, btc.trading) == (words.symbol, "BTC", "USDT", True)
    assert (btc.tick.value, btc.lot.value) == (Decimal("0.1"), Decimal("0.001"))
    assert len(bad) == 1


def test_frames_come_on_streams_that_the_feed_asks_for(words: Words) -> None:
    """What a message names at its head is a name of the offer, and the data sheet finds symbol and channel in it."""
    offer, heading = words.dialect.offer, words.dialect.wire.heading
    streams = (*offer.trades(words.symbol), *offer.books(words.symbol), *offer.whole_market)
    channels = {stream.name.encode(): stream.channel for stream in streams}
    told = [words.diff(1, 2, BIDS, ASKS), words.trade(1, "100", "1", sell=True), *words.mark("1", "1", "0", NOW)]
    for frame in [*told, words.long] if words.long else told:
        assert frame.startswith(heading.prefix)
        name = frame[len(heading.prefix) :].partition(heading.end)[0]
        assert words.dialect.wire.name_in(frame, 0, len(frame)) == name
        assert words.product.channel_of(frame, 0, len(frame))[0] == channels[name]


def test_commands_name_their_streams_and_answers_find_them(words: Words) -> None:
    wire = words.dialect.wire
    names = [stream.name for stream in words.dialect.offer.trades(words.symbol)]
    command = wire.command("SUBSCRIBE", names, 7).decode()
    assert all(name in command.replace("\\", "") for name in names)
    answers = {
        "bybit": b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"7","op":"subscribe"}',
        "okx": b'{"id":"7","event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT-SWAP"},"connId":"c"}',
    }
    frame = answers.get(words.name, b'{"result":null,"id":7}')
    answer = wire.answer(frame)
    assert answer is not None
    assert (answer.number, answer.error) == (7, "")
    assert answer.names is None or set(answer.names) <= set(names)
    assert wire.name_in(frame, 0, len(frame)) is None


# -- hostile frames, and cuts -----------------------------------------------------------------------------------------


def test_garbled_frames_are_refused_and_change_nothing(words: Words) -> None:
    """Cut anywhere, numbers replaced, names unknown: never an exception, never half a message."""
    session, at = started(words)
    chance = random.Random(7)
    frames = [words.diff(at, words.after(at), BIDS, ASKS), words.trade(5, "100.0", "0.250", sell=False)]
    frames += words.mark("100.05", "100.0", "0.0001", NOW + HOUR_MS)
    before = state_hash(session.engine)
    for frame in frames:
        for _ in range(200):
            cut = frame[: chance.randrange(1, len(frame) - 1)]
            huge = frame.replace(b'"100.0"', b'"' + b"9" * chance.randrange(25, 60) + b'"')
            hostile = [cut, frame.replace(b"BTC", b"NOSUCH"), frame.replace(b'"100.0"', b'"1e999"'), b"<html>", b"[1]"]
            session.take(*hostile, *([huge] if huge != frame else []))
    assert state_hash(session.engine) == before
    assert session.state() is BookState.LIVE
    assert len(session.refused) > 400


def test_reads_may_be_cut_anywhere(words: Words) -> None:
    """The same messages one by one, all at once, or in random runs: the same state, to the byte."""
    messages = story(words)
    hashes = set()
    for at_a_time in (1, 2, 3, 7, 1_000):
        session = Session(words)
        session.take(*messages, at_a_time=at_a_time)
        assert session.refused == []
        hashes.add(state_hash(session.engine))
    assert len(hashes) == 1


def story(words: Words) -> list[Message]:
    """A minute of a market, with a gap in its book."""
    chance = random.Random(words.name)
    messages: list[Message] = [words.snapshot(1_000, BIDS, ASKS)]
    number = 1_000
    for k in range(200):
        ms = NOW + k * 5
        before, number = number, words.after(number)
        price = f"{99 + chance.randrange(10) / 10:.1f}"
        messages.append(words.diff(before, number, [(price, f"{chance.randrange(5)}.000")], [], ms))
        messages.append(
            words.trade(10 + k, "100.0", f"{1 + chance.randrange(9)}.000", sell=chance.random() < 0.5, ms=ms)
        )
        if k % 50 == 20:
            messages += words.mark("100.05", "100.0", "0.0001", NOW + HOUR_MS, ms)
        if k == 120:
            number += 5_000
            messages.append(words.snapshot(number, BIDS, ASKS, ms))
    return messages


def test_flags_of_live_trades(words: Words) -> None:
    """Aggregates and single trades are not mixed up: their ids count differently."""
    rows = Session(words).decode([words.trade(5, "100.0", "0.250", sell=True)]).tape.rows
    assert rows["kind"].tolist() == [Kind.TRADE]
    assert bool(rows[0]["flags"] & Flag.AGGREGATE) is not words.product.trades.raw
    assert rows[0]["flags"] & Flag.SELL
