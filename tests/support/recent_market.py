"""A market of one symbol whose ids only rise, and a program that hears some of its trades."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tapewatch.config import ThresholdsConfig, VenueConfig
from tapewatch.model.gaps import Cause, Fate
from tapewatch.node.quarantine import Quarantine
from tapewatch.node.venue import VenueNode
from tapewatch.venues.bybit_linear_rest import RECENT_TRADES
from venue_words import ALL, NOW, text

WORDS = next(words for words in ALL if words.name == "bybit")
PRODUCT = WORDS.product


class Market:
    """A venue's own list of trades of one symbol, 100 ms apart, and a program that hears some of them."""

    def __init__(self, folder: Path) -> None:
        self.traded = 0
        self.answers: list[Callable[[], bytes]] = []
        self.asked = 0
        self.node = self.listener(folder)
        self.heard: list[int] = []

    @staticmethod
    def listener(folder: Path) -> VenueNode:
        node = VenueNode(PRODUCT, VenueConfig(), ThresholdsConfig(), Quarantine(folder / "quarantine.jsonl"))
        node.on_universe(list(WORDS.universe()))
        return node

    def ms(self, n: int) -> int:
        return NOW + n * 100

    def frame(self, n: int) -> bytes:
        return WORDS.trade(n, f"{100 + n % 7}.0", f"0.{1 + n % 9}00", sell=n % 3 == 0, ms=self.ms(n))

    def trade(self, count: int, *, heard: bool = True, node: VenueNode | None = None) -> None:
        for _ in range(count):
            if heard:
                frame = self.frame(self.traded)
                (node or self.node).on_frames(bytearray(frame), [len(frame)], self.ms(self.traded) * 10**6)
            self.traded += 1

    def page(self, until_n: int | None = None) -> bytes:
        """The newest trades, newest first."""
        stop = self.traded if until_n is None else until_n
        rows = [
            {"execId": f"id-{n}", "symbol": "BTCUSDT", "price": f"{100 + n % 7}.0", "size": f"0.{1 + n % 9}00",
             "side": "Sell" if n % 3 == 0 else "Buy", "time": str(self.ms(n)), "isBlockTrade": False,
             "seq": str(1000 + n)}
            for n in range(max(0, stop - RECENT_TRADES), stop)
        ]  # fmt: skip
        return text({"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": rows[::-1]}})

    def newest(self, body: bytes | None = None) -> tuple[int, int]:
        """The program takes an answer; returns trades brought into gaps, and from before all held."""
        filled, loaded, _ = self.node.on_newest("BTCUSDT", body or self.page(), self.ms(self.traded) * 10**6)
        assert self.node.ledger.check(self.node.engine) == []
        return filled, loaded

    def interrupt(self) -> None:
        self.node.on_disconnect(["BTCUSDT"], "trades")

    def gaps(self) -> list[tuple[Cause, Fate, int, int]]:
        """Cause, fate, and the first and last trade that lie outside of each gap."""
        return [
            (Cause(gap["cause"]), Fate(gap["fate"]), (gap["from_ms"] - NOW) // 100, (gap["to_ms"] - NOW) // 100)
            for gap in self.node.engine.gaps(0)
        ]

    def wrong(self, missing: Iterable[int] = ()) -> str:
        """How the program's candles differ from those of one that has heard all but `missing`; "" where they do not."""
        sound = self.listener(self.node.quarantine.path.parent)
        left = set(missing)
        for n in range(self.traded):
            frame = self.frame(n)
            if n not in left:
                sound.on_frames(bytearray(frame), [len(frame)], self.ms(n) * 10**6)
        ours, truth = (one.engine.footprint(0, 60_000, 1, 400) for one in (self.node, sound))
        names = ("open_ms", "open", "high", "low", "close", "bid", "ask", "cvd", "n", "poc", "vah", "val")
        for name in names:
            if ours.candles[name].tolist() != truth.candles[name].tolist():
                return f"{name}: {ours.candles[name].tolist()} instead of {truth.candles[name].tolist()}"
        return "" if np.array_equal(ours.cells, truth.cells) else "cells differ"
