"""A recording served as if it were happening: its frames verbatim, at its own pace or another, and its REST books.

Time runs while every recorded stream is read by somebody, or a few seconds after one is not any more, so that a client
that connects, or connects again, loses nothing. A client that asks for a book before the recording's own snapshot gets
that one, at its moment; whoever asks later gets the book as the recorded diffs have left it.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import capture, wire
from .capture import Recorded
from .rest import ApiError, Query, depth_limit, integer, limit_of, required
from .streams import Frame

GRACE_MS = 5_000
"""How long time waits for readers of recorded streams that nobody reads, while others are read."""
FRAMES_AT_ONCE = 1_000
"""Frames given out per step at most, so that readers set the pace of a replay without one."""
LONGEST_STEP_MS = 1_000
KEPT_TRADES = 200_000
_RHYTHM = frozenset({"!markPrice@arr@1s", "!markPrice@arr", "!ticker@arr", "!miniTicker@arr"})

_DIFF = re.compile(r"^(.+@depth)(@\w+)?$")


@dataclass(slots=True)
class _RecordedBook:
    """A book by the recording's own snapshot and diffs; `snapshot` stays valid until the next diff."""

    snapshot: str = ""
    last_update_id: int = 0
    event_ms: int = 0
    bids: dict[str, str] = field(default_factory=dict)
    asks: dict[str, str] = field(default_factory=dict)
    early: list[dict[str, Any]] = field(default_factory=list)
    """Diffs seen before the snapshot."""
    waiting: list[asyncio.Future[str]] = field(default_factory=list)
    """Who asked before the snapshot."""

    def on_snapshot(self, text: str) -> None:
        body = json.loads(text)
        self.bids, self.asks = dict(body["bids"]), dict(body["asks"])
        self.last_update_id = body["lastUpdateId"]
        early, self.early = self.early, []
        for diff in early:
            self.on_diff(diff)
        self.snapshot = text
        for early_bird in self.waiting:
            if not early_bird.done():
                early_bird.set_result(text)
        self.waiting.clear()

    def on_diff(self, diff: dict[str, Any]) -> None:
        if not self.last_update_id:
            self.early.append(diff)
            return
        if diff["u"] < self.last_update_id:
            return
        self.snapshot = ""
        self.last_update_id, self.event_ms = diff["u"], diff["E"]
        for side, changes in ((self.bids, diff["b"]), (self.asks, diff["a"])):
            for price, qty in changes:
                if float(qty):
                    side[price] = qty
                else:
                    side.pop(price, None)

    def body(self, limit: int) -> str:
        if self.snapshot:
            return self.snapshot
        bids = sorted(self.bids.items(), key=lambda level: -float(level[0]))[:limit]
        asks = sorted(self.asks.items(), key=lambda level: float(level[0]))[:limit]
        told = {"lastUpdateId": self.last_update_id, "E": self.event_ms, "T": self.event_ms, "bids": bids, "asks": asks}
        return json.dumps(told, separators=(",", ":"))


class RecordedVenue:
    """Content of a venue that plays recordings back: see `server.Content`."""

    def __init__(self, recording: capture.Capture, *, speed: float, weight_limit: int) -> None:
        self.finished = False
        self._recording = recording
        self._speed = speed
        self._weight_limit = weight_limit
        self._at = 0
        self._position_ns = recording.records[0].recv_ns
        self._wall_ms: int | None = None
        self._waiting_since_ms: int | None = None
        self._names: dict[str, set[str]] = defaultdict(set)
        """Names under which each recorded stream is read."""
        self._recorded = {_key(record.stream) for record in recording.records if record.stream}
        self._expected = self._recorded
        """Recorded streams that time waits for."""
        self._rhythm: set[str] = set()
        """Array streams somebody reads. They tick every second, if need be with nothing in them, as the venue's do."""
        self._ticked_s = 0
        self._books = {record.symbol: _RecordedBook() for record in recording.records if not record.stream}
        self._trades: dict[str, deque[dict[str, Any]]] = defaultdict(lambda: deque(maxlen=KEPT_TRADES))
        self._marks: dict[str, dict[str, Any]] = {}

    @classmethod
    def load(cls, paths: tuple[Path, ...], *, speed: float, weight_limit: int) -> RecordedVenue:
        return cls(capture.read(paths), speed=speed, weight_limit=weight_limit)

    @property
    def now_ms(self) -> int:
        return self._position_ns // 1_000_000 + self._recording.ahead_ms

    # -- streams ------------------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        for key in _keys_read_as(name, self._recorded):
            self._names[key].add(name)
        if name in _RHYTHM:
            self._rhythm.add(name)

    def close(self, name: str) -> None:
        for names in self._names.values():
            names.discard(name)
        self._rhythm.discard(name)

    def advance(self, wall_ms: int, *, congested: bool) -> Iterator[list[Frame]]:
        """Play what is due by `wall_ms`; nothing while a reader is behind, since a recording can wait."""
        past_ms = min(LONGEST_STEP_MS, wall_ms - (wall_ms if self._wall_ms is None else self._wall_ms))
        self._wall_ms = wall_ms
        if wall_ms // 1000 != self._ticked_s and self._rhythm:
            self._ticked_s = wall_ms // 1000
            yield [(name, "[]") for name in sorted(self._rhythm)]
        if congested or self.finished or not self._is_time(wall_ms):
            return
        records = self._recording.records
        if math.isinf(self._speed):
            self._position_ns = records[min(len(records) - 1, self._at + FRAMES_AT_ONCE)].recv_ns
        else:
            self._position_ns += int(past_ms * self._speed * 1_000_000)
        while self._at < len(records) and records[self._at].recv_ns <= self._position_ns:
            frames: list[Frame] = []
            while (
                self._at < len(records)
                and records[self._at].recv_ns <= self._position_ns
                and len(frames) < FRAMES_AT_ONCE
            ):
                frames += self._play(records[self._at])
                self._at += 1
            yield frames
        self.finished = self._at == len(records)

    def _is_time(self, wall_ms: int) -> bool:
        read = {key for key, names in self._names.items() if names}
        self._expected = self._expected | read
        if read >= self._expected or not read:
            self._waiting_since_ms = None
            return bool(read)
        if self._waiting_since_ms is None:
            self._waiting_since_ms = wall_ms
        if wall_ms - self._waiting_since_ms < GRACE_MS:
            return False
        self._expected = read
        return True

    def _play(self, record: Recorded) -> Iterator[Frame]:
        if not record.stream:
            self._books[record.symbol].on_snapshot(record.body)
            return
        key = _key(record.stream)
        if key.endswith("@depth") and record.symbol in self._books:
            self._books[record.symbol].on_diff(json.loads(record.body))
        elif key.endswith("@aggTrade"):
            self._trades[record.symbol].append(json.loads(record.body))
        elif "@markPrice" in key:
            self._marks[record.symbol] = json.loads(record.body)
        for name in sorted(self._names[key]):
            alone = name.startswith("!markPrice") and not record.body.startswith("[")
            yield name, f"[{record.body}]" if alone else record.body

    # -- REST ---------------------------------------------------------------------------------------------------------

    async def answer(self, path: str, query: Query) -> str:
        match path:
            case "/fapi/v1/ping":
                return "{}"
            case "/fapi/v1/time":
                return f'{{"serverTime":{self.now_ms}}}'
            case "/fapi/v1/exchangeInfo":
                return wire.exchange_info(self._recording.listings, self.now_ms, self._weight_limit)
            case "/fapi/v1/depth":
                return await self._depth(query)
            case "/fapi/v1/aggTrades":
                return self._agg_trades(query)
            case "/fapi/v1/premiumIndex":
                return f"[{','.join(_premium(mark) for mark in self._marks.values())}]"
            case "/fapi/v1/klines":
                return self._recording.klines.get(self._symbol(query), "[]")
            case "/fapi/v1/ticker/24hr" | "/fapi/v1/fundingInfo":
                return "[]"  # a recording of minutes knows nothing of days
            case _:
                raise ApiError(-5000, f"Path {path}, Method GET is invalid", 404)

    async def _depth(self, query: Query) -> str:
        limit, symbol = depth_limit(query), self._symbol(query)
        book = self._books.get(symbol)
        if book is None:
            raise ApiError(-1008, f"The recording holds no book of {symbol}.", 503)
        if not book.last_update_id:
            moment: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            book.waiting.append(moment)
            return await moment
        return book.body(limit)

    def _agg_trades(self, query: Query) -> str:
        symbol, first, limit = self._symbol(query), integer(query, "fromId"), limit_of(query, 500, 1000)
        rows = [trade for trade in self._trades[symbol] if first is None or trade["a"] >= first]
        rows = rows[-limit:] if first is None else rows[:limit]
        names = ("a", "p", "q", "nq", "f", "l", "T", "m")
        return json.dumps([{name: row[name] for name in names if name in row} for row in rows], separators=(",", ":"))

    def _symbol(self, query: Query) -> str:
        symbol = required(query, "symbol")
        if all(listing.symbol != symbol for listing in self._recording.listings):
            raise ApiError(-1121, "Invalid symbol.")
        return symbol


def _key(stream: str) -> str:
    """Diff depth of whatever speed is one recorded stream: a client reads it at the speed it asks for."""
    found = _DIFF.match(stream)
    return found[1] if found else stream


def _keys_read_as(name: str, recorded: set[str]) -> set[str]:
    """Recorded streams that somebody who opens `name` gets.

    Recordings of raw trades hold no aggregates: who reads `@aggTrade` gets the raw trades then, verbatim. To aggregate
    them would be to invent what the venue never sent.
    """
    if name.startswith("!markPrice@arr"):
        return {key for key in recorded if key == name or "@markPrice" in key}
    symbol, _, kind = name.partition("@")
    if kind == "aggTrade" and name not in recorded:
        return {f"{symbol}@trade"} & recorded
    return {_key(name)} & recorded


def _premium(mark: dict[str, Any]) -> str:
    told = {
        "symbol": mark["s"],
        "markPrice": mark["p"],
        "indexPrice": mark["i"],
        "estimatedSettlePrice": mark.get("P", mark["p"]),
        "lastFundingRate": mark["r"],
        "nextFundingTime": mark["T"],
        "time": mark["E"],
    }
    return json.dumps(told, separators=(",", ":"))
