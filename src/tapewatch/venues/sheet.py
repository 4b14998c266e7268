"""What the data sheets of several venues do alike: lists of which one bad row spoils no other, means of whole days."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import msgspec

from ..model.channel import Channel
from ..model.errors import FrameError, UsageError
from ..model.instrument import Instrument

DAY_MS = 86_400_000


def readable(
    raws: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], Instrument | None], unreadable: list[str] | None
) -> list[Instrument]:
    """The instruments of a trading list's rows; `read` gives None for what is not followed.

    A row that cannot be read does not take the others with it: why goes to `unreadable`.
    """
    instruments = []
    for raw in raws:
        try:
            instrument = read(raw)
        except (msgspec.MsgspecError, UsageError, ArithmeticError, ValueError, KeyError) as error:
            if unreadable is not None:
                unreadable.append(f"{bytes(raw)[:80]!r}: {error}")
            continue
        if instrument is not None:
            instruments.append(instrument)
    return instruments


def mean_of_days(raws: Iterable[msgspec.Raw], quote_at: int, *, now_ms: int, days: int) -> tuple[Decimal, int]:
    """Mean quote volume of the last `days` complete UTC days, and how many there were.

    Rows are daily klines, newest first: lists of strings that begin with the opening time, the quote volume at
    `quote_at`.
    """
    try:
        rows = [msgspec.json.decode(raw, type=list[str]) for raw in raws]
        complete = [Decimal(row[quote_at]) for row in rows if int(row[0]) + DAY_MS <= now_ms][:days]
    except (msgspec.MsgspecError, ArithmeticError, IndexError, ValueError) as error:
        raise FrameError("bad_klines", str(error)) from error
    return mean(complete)


def mean(volumes: list[Decimal]) -> tuple[Decimal, int]:
    return (sum(volumes, Decimal(0)) / len(volumes) if volumes else Decimal(0)), len(volumes)


@dataclass(frozen=True, slots=True)
class Heads:
    """How messages of a venue begin, from which their channel is told without reading them."""

    prefix: bytes
    stop: bytes
    """Ends the channel's name, which follows `prefix`."""
    channels: Mapping[str, Channel]
    named: re.Pattern[bytes]
    """Finds channel and symbol wherever they stand."""

    def channel_of(self, buffer: bytes | bytearray, start: int, end: int) -> tuple[Channel | None, bool]:
        """See `Product.channel_of`. What shares sockets with trades is looked at behind its head, too."""
        if not buffer.startswith(self.prefix, start):
            return None, False
        begin = start + len(self.prefix)
        name = bytes(buffer[begin : buffer.find(self.stop, begin, end)]).decode("ascii", "replace")
        channel = self.channels.get(name)
        return channel, channel not in (Channel.TRADES, Channel.DEPTH)

    def stream_of(self, frame: bytes) -> tuple[str, Channel] | None:
        """See `Product.stream_of`."""
        found = self.named.search(frame)
        channel = None if found is None else self.channels.get(found[1].decode())
        return None if found is None or channel is None else (found[2].decode("utf-8", "replace"), channel)
