"""The binary frame: round trips, alignment, refusals, and the fixtures that the web's decoder reads too.

`python tests/test_wire.py` writes the fixtures anew; the web reads the same files, so a change of format shows there.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tapewatch.hub.wire import Column, decode, encode
from tapewatch.model.errors import FrameError

FIXTURES = Path(__file__).parent / "fixtures" / "wire"

Example = tuple[dict[str, Any], list[Column]]


def _head(topic: str, kind: str, seq: int, prev: int, meta: dict[str, Any], key: str = "") -> dict[str, Any]:
    return {
        "topic": topic,
        "key": key or f"{topic}:binance",
        "type": kind,
        "seq": seq,
        "prev": prev,
        "server_ms": 1_790_000_000_000,
        "meta": meta,
    }


def _f8(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)


EXAMPLES: dict[str, Example] = {
    "no_columns": (_head("status", "snapshot", 1, 0, {"version": "0.1.0"}, key="status"), []),
    "all_dtypes": (
        _head("imbalance", "snapshot", 17, 0, {"symbols": ["BTCUSDT", "1000SATSUSDT", "币安人生USDT"]}),
        [
            ("i", np.array([0, 1, 2], np.int32)),
            ("buy_10s", _f8(0, 2**53 - 1, 12_345)),
            ("bi", _f8(-1, math.nan, 0.25)),
            ("flag", np.array([0, 255, 1], np.uint8)),
            ("small", np.array([0, 65_535, 7], np.uint16)),
        ],
    ),
    "no_rows": (_head("bigflow", "snapshot", 3, 0, {}, key="bigflow:binance:200"), [("id", _f8()), ("i", _f8())]),
    "delta": (
        _head(
            "footprint",
            "delta",
            9,
            8,
            {"symbol": "BTCUSDT", "tf_ms": 60_000},
            key="footprint:binance:BTCUSDT:1m:0.5:60",
        ),
        [
            ("c_open_ms", _f8(1_790_000_040_000)),
            ("c_cells", _f8(2)),
            ("p", _f8(425_010, 425_005)),
            ("bid", _f8(21, 0)),
            ("ask", _f8(83, 10)),
            ("n", _f8(15, 1)),
        ],
    ),
}


def plain(header: dict[str, Any], columns: list[Column]) -> dict[str, Any]:
    """What a decoder must find, as JSON (NaN is null)."""
    values = {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in column.tolist()]
        for name, column in columns
    }
    return {"header": header, "columns": values}


def write_fixtures() -> None:
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name, (header, columns) in EXAMPLES.items():
        (FIXTURES / f"{name}.bin").write_bytes(encode(header, columns))
        text = json.dumps(plain(header, columns), ensure_ascii=False, indent=1)
        (FIXTURES / f"{name}.json").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_fixtures_shared_with_the_web_are_what_we_send(name: str) -> None:
    header, columns = EXAMPLES[name]
    assert (FIXTURES / f"{name}.bin").read_bytes() == encode(header, columns)
    assert json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8")) == plain(header, columns)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_fixtures_decode_to_their_values(name: str) -> None:
    header, columns = EXAMPLES[name]
    frame = decode((FIXTURES / f"{name}.bin").read_bytes())
    assert {k: v for k, v in frame.header.items() if k != "cols"} == header
    assert plain(header, list(frame.columns.items())) == plain(header, columns)


arrays = st.one_of(
    st.lists(st.floats(width=64)).map(lambda v: np.array(v, np.float64)),
    st.lists(st.integers(-(2**31), 2**31 - 1)).map(lambda v: np.array(v, np.int32)),
    st.lists(st.integers(0, 2**16 - 1)).map(lambda v: np.array(v, np.uint16)),
    st.lists(st.integers(0, 255)).map(lambda v: np.array(v, np.uint8)),
)
metas = st.dictionaries(st.text(), st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.none()))


@given(meta=metas, columns=st.dictionaries(st.text(), arrays, max_size=12))
def test_every_frame_comes_back_as_it_was_and_aligned(meta: dict[str, Any], columns: dict[str, NDArray[Any]]) -> None:
    data = encode({"meta": meta}, list(columns.items()))
    frame = decode(data)
    assert frame.header["meta"] == meta
    assert list(frame.columns) == list(columns)
    for col in frame.header["cols"]:
        assert col["at"] % 8 == 0
        back, sent = frame.columns[col["name"]], columns[col["name"]]
        assert back.dtype == sent.dtype
        assert back.tobytes() == sent.tobytes()
    assert (4 + int.from_bytes(data[:4], "little")) % 8 == 0


@pytest.mark.parametrize("digits", range(1, 40))
def test_header_length_settles_wherever_the_offsets_gain_a_digit(digits: int) -> None:
    data = encode({"pad": "x" * digits}, [("a", _f8(1.5)), ("b", _f8(*range(digits)))])
    assert decode(data).columns["a"].tolist() == [1.5]
    assert decode(data).columns["b"].tolist() == list(range(digits))


@given(data=st.binary(max_size=200))
def test_garbage_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)


@given(cut=st.integers(0, 10_000), flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
def test_damage_is_refused_or_harmless(cut: int, flips: list[tuple[int, int]]) -> None:
    data = bytearray(encode(*EXAMPLES["all_dtypes"]))
    for at, value in flips:
        data[at % len(data)] = value
    try:
        frame = decode(bytes(data[: len(data) - cut % len(data)]))
    except FrameError:
        return
    assert all(column.base is not None for column in frame.columns.values())


@pytest.mark.parametrize("values", [np.array([1], np.int64), np.array([[1.0]]), np.array(["a"])])
def test_a_column_the_wire_has_no_name_for_is_our_own_fault(values: NDArray[Any]) -> None:
    with pytest.raises(TypeError, match="column a cannot be sent"):
        encode({}, [("a", values)])


if __name__ == "__main__":
    write_fixtures()
