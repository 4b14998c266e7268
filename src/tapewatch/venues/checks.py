"""What every venue's general decoder asks of a message before it becomes a row: times, ids and sizes that can be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from ..model.errors import FrameError, OffGridError
from ..model.instrument import Instrument
from .binance_usdm_fields import (
    EARLIEST_MS,
    LATEST_MS,
    MAX_AHEAD_MS,
    MAX_BEHIND_MS,
    MAX_SKEW_MS,
    MAX_TICKS,
    MAX_UNITS,
)
from .decimals import MAX_INT


@contextmanager
def of_instrument(instrument: Instrument) -> Iterator[None]:
    """Name the instrument in an off-grid error, so that its grid can be refined."""
    try:
        yield
    except OffGridError as error:
        error.symbol = instrument.symbol
        raise


def read_json(decoder: msgspec.json.Decoder[Any], data: Any) -> Any:
    """Decode, or say in a `FrameError` whether it was no JSON, another shape, or an event nobody knows."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        reason = "unknown_event" if "$.e`" in str(error) or "`e`" in str(error) else "wrong_shape"
        raise FrameError(reason, str(error)) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FrameError("not_json", str(error)) from error


def check_time(ms: int, recv_ns: int) -> None:
    """A time of ours, no further than a day from when it was received."""
    if not EARLIEST_MS < ms < LATEST_MS:
        raise FrameError("time_range", str(ms)[:40])
    if abs(ms - recv_ns // 1_000_000) > MAX_SKEW_MS:
        raise FrameError("time_skew", f"event time {ms} is more than a day from receive time")


def check_times(event_ms: int, ts_ms: int, recv_ns: int) -> None:
    """Both times are of ours, and the event was pushed after it had happened, and soon."""
    check_time(event_ms, recv_ns)
    check_time(ts_ms, recv_ns)
    if not -MAX_AHEAD_MS <= event_ms - ts_ms <= MAX_BEHIND_MS:
        raise FrameError("time_order", f"pushed at {event_ms}, happened at {ts_ms}")


def check_units(ticks: int, lots: int) -> None:
    """Price and notional are of a size that sums of them stay in 64 bits."""
    if ticks > MAX_TICKS or ticks * lots > MAX_UNITS:
        raise FrameError("number_range", f"{lots} lots at {ticks} ticks")


def check_ids(*ids: int) -> None:
    if any(not 0 <= value < MAX_INT for value in ids):
        raise FrameError("id_range", str(ids)[:80])


def positive(count: int, what: str) -> int:
    if count <= 0:
        raise FrameError("not_positive", what)
    return count
