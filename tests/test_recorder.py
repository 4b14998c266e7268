"""What of a socket's reads is recorded, and that a journal alone says everything needed to read it again."""

from __future__ import annotations

from array import array
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest

from tapewatch.config import StoreConfig, ThresholdsConfig, VenueConfig
from tapewatch.engine import Engine
from tapewatch.journal import Content, Damage, Record, StreamClass, files, read
from tapewatch.model.errors import TapewatchError
from tapewatch.model.instrument import Grid, Instrument, Universe
from tapewatch.model.views import BookState
from tapewatch.node import warm
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.recorder import VenueRecorder
from tapewatch.node.storage import Storage, journal_folder
from tapewatch.node.venue import VenueNode
from tapewatch.venues.binance_usdm_codec import Codec
from tapewatch.venues.registry import PRODUCTS

NOW_NS = warm.NOW_MS * 1_000_000
TRADE = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade"}}'
MARK = b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate"}}'
MARKS = b'{"stream":"!markPrice@arr@1s","data":[]}'
DEPTH = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}'
QUOTE = b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker"}}'
LIQUIDATION = b'{"stream":"!forceOrder@arr","data":{"e":"forceOrder"}}'
TICKERS = b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker"}]}'
ACK = b'{"result":null,"id":1}'
GARBLED = b'{"strea\xff'


def recorded(folder: Path) -> list[Record]:
    items = [item for file in files(folder) for item in read(file.path)]
    assert not [item for item in items if isinstance(item, Damage)]
    return [item for item in items if isinstance(item, Record)]


def kept(tmp_path: Path, record: tuple[str, ...], *reads: tuple[bytes, ...]) -> list[tuple[StreamClass, list[bytes]]]:
    """What is recorded of socket reads: class and messages of each record."""
    storage = Storage(StoreConfig(path=str(tmp_path), record=record))  # type: ignore[arg-type]
    venue = storage.start(["binance"])["binance"]
    for frames in reads:
        # As the socket gives them: 64-bit ends, and room for scanners behind the last message.
        buffer, ends = bytearray(b"".join(frames) + bytes(64)), array("q", accumulate(len(frame) for frame in frames))
        venue.frames(buffer, ends, NOW_NS)
    storage.close()
    records = recorded(journal_folder(tmp_path, "binance"))
    return [(item.stream, list(item.frames())) for item in records if item.content is Content.FRAMES]


DEFAULT = StoreConfig().record


def test_by_default_everything_but_books_is_recorded(tmp_path: Path) -> None:
    assert kept(
        tmp_path, DEFAULT,
        (TRADE, TRADE, MARK), (DEPTH, QUOTE), (QUOTE, DEPTH), (MARK, TRADE), (MARKS,), (LIQUIDATION,), (TICKERS,),
    ) == [
        (StreamClass.TRADES, [TRADE, TRADE, MARK]),
        (StreamClass.MARKS, [MARK]),
        (StreamClass.TRADES, [TRADE]),
        (StreamClass.MARKS, [MARKS]),
        (StreamClass.LIQUIDATIONS, [LIQUIDATION]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (("depth", "quotes"), [(StreamClass.DEPTH, [DEPTH, QUOTE, QUOTE, DEPTH])]),
        (("depth",), [(StreamClass.DEPTH, [DEPTH]), (StreamClass.DEPTH, [DEPTH])]),
        (("quotes",), [(StreamClass.QUOTES, [QUOTE, QUOTE])]),
        ((), []),
    ],
)
def test_books_are_recorded_by_choice(
    tmp_path: Path, record: tuple[str, ...], expected: list[tuple[StreamClass, list[bytes]]]
) -> None:
    assert kept(tmp_path, record, (DEPTH, QUOTE, QUOTE, DEPTH), (TRADE,), (MARKS,)) == expected


def test_a_liquidation_behind_tickers_is_not_lost_with_them(tmp_path: Path) -> None:
    reads = (TICKERS, LIQUIDATION, LIQUIDATION, MARKS, TICKERS)
    assert kept(tmp_path, DEFAULT, reads) == [
        (StreamClass.LIQUIDATIONS, [LIQUIDATION, LIQUIDATION]),
        (StreamClass.MARKS, [MARKS]),
    ]


def test_what_nobody_understands_is_recorded_and_takes_nothing_with_it(tmp_path: Path) -> None:
    assert kept(tmp_path, DEFAULT, (GARBLED, TRADE), (ACK,), (GARBLED, DEPTH, DEPTH)) == [
        (StreamClass.OTHER, [GARBLED]),
        (StreamClass.TRADES, [TRADE]),
        (StreamClass.OTHER, [ACK]),
        (StreamClass.OTHER, [GARBLED]),
    ]


def test_classes_that_the_guard_has_stopped_are_left_out(tmp_path: Path) -> None:
    storage = Storage(StoreConfig(path=str(tmp_path), record=("trades", "depth", "quotes")))
    venue = storage.start(["binance"])["binance"]
    assert StreamClass.DEPTH in venue.wanted()
    storage.journals["binance"].guarded = frozenset({StreamClass.DEPTH, StreamClass.QUOTES})
    assert venue.wanted() == {StreamClass.TRADES, StreamClass.OTHER}
    storage.close()


W = Instrument(0, "binance", "WUSDT", "W", "USDT", "perp", tick=Grid.parse("0.1"), lot=Grid.parse("1"))


def venue_node(tmp_path: Path, recorder: VenueRecorder) -> VenueNode:
    node = VenueNode(PRODUCTS["binance"], VenueConfig(), ThresholdsConfig(), Quarantine(tmp_path / "quarantine.jsonl"))
    node.recorder = recorder
    return node


def test_a_journal_alone_gives_the_same_state_again(tmp_path: Path) -> None:
    """Instruments, frames, filled holes and refined grids: all that the engine had is in the file."""
    storage = Storage(StoreConfig(path=str(tmp_path), record=("trades", "marks", "liquidations", "depth", "quotes")))
    node = venue_node(tmp_path, storage.start(["binance"])["binance"])
    node.on_universe([W])
    for frame in warm.FRAMES:
        node.on_frames(bytearray(frame), [len(frame)], NOW_NS)
        if frame is warm.FRAMES[0]:
            node.on_snapshot("WUSDT", warm.SNAPSHOT, NOW_NS)
    node.on_trades("WUSDT", b'[{"a":2,"p":"100.1","q":"1","f":3,"l":3,"T":1790000000900,"m":true}]', NOW_NS)
    finer = warm.FRAMES[2].replace(b'"a":1', b'"a":4').replace(b'"p":"100.1"', b'"p":"100.15"')
    node.on_frames(bytearray(finer), [len(finer)], NOW_NS)  # between two ticks: the grid is refined
    assert node.universe.get("WUSDT").tick == Grid.parse("0.05")
    storage.close()

    records = recorded(journal_folder(tmp_path, "binance"))
    # A grid only ever becomes finer: the last one told holds everything before it, too.
    told = [record.instruments() for record in records if record.content is Content.INSTRUMENTS][-1]
    universe = Universe("binance", told)
    engine, codec = Engine(universe), Codec(universe)
    for instrument in told:
        engine.follow_book(instrument.index)
    for record in records:
        match record.content:
            case Content.FRAMES:
                engine.apply(codec.decode(record.payload, record.ends, record.recv_ns).tape)
            case Content.SNAPSHOT:
                engine.apply(codec.snapshot(record.symbol, record.payload, record.recv_ns))
            case Content.TRADES:
                engine.apply(codec.trades(record.symbol, record.payload, record.recv_ns))
            case _:
                assert not record.content.numbered
    assert engine.totals()["count"] == node.engine.totals()["count"] == 4
    assert engine.totals()["missing"] == engine.totals()["filled"] == 1
    assert footprint(engine) == footprint(node.engine)
    assert engine.book_state(0) == BookState.LIVE  # and with depth recorded, the book too


def footprint(engine: Engine) -> list[tuple[int, ...]]:
    view = engine.footprint(0, 60_000, 1, 5)
    return [*(tuple(candle) for candle in view.candles.tolist()), *(tuple(cell) for cell in view.cells.tolist())]


def test_every_file_begins_with_the_instruments(tmp_path: Path) -> None:
    storage = Storage(StoreConfig(path=str(tmp_path)))
    venue = storage.start(["binance"])["binance"]
    journal = storage.journals["binance"]
    venue.instruments([W], NOW_NS)
    venue.frames(TRADE, [len(TRADE)], NOW_NS)
    journal.rotate()
    while not [file for file in files(journal.folder) if file.closed]:
        pass
    other = replace(W, symbol="XUSDT", index=1)
    venue.frames(TRADE, [len(TRADE)], NOW_NS)
    venue.instruments([W, other], NOW_NS)
    storage.close()
    first, second = (list(read(file.path)) for file in files(journal.folder))
    for items in (first, second):
        head = [item for item in items[:2] if isinstance(item, Record)]
        assert [item.content for item in head] == [Content.HEADER, Content.INSTRUMENTS]
        assert head[1].instruments()[0] == W
    last = [item for item in second if isinstance(item, Record) and item.content is Content.INSTRUMENTS][-1]
    assert last.instruments() == [W, other]


def test_a_second_program_is_refused_with_one_sentence(tmp_path: Path) -> None:
    one, other = Storage(StoreConfig(path=str(tmp_path))), Storage(StoreConfig(path=str(tmp_path)))
    one.start(["binance"])
    with pytest.raises(TapewatchError, match=r"^the data folder .* is in use \(process \d+, since .* UTC\); stop"):
        other.start(["binance"])
    assert list(other.journals) == []
    other.close()
    one.close()
    other.start(["binance"])
    other.close()


def test_a_data_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TapewatchError, match=r"cannot be written .* choose another with --data"):
        Storage(StoreConfig(path=str(tmp_path / "file" / "data"))).start(["binance"])
