"""Rows as instruments would send them, drawn by hypothesis, with all that goes wrong on the way."""

from __future__ import annotations

from hypothesis import strategies as st

from tapes import T0, Row, diff, liquidation, mark, quote, snapshot, trade
from tapewatch.model.tape import E8


class Market:
    """Rows as three instruments would send them, with everything that goes wrong on the way."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.now = T0 + draw(st.sampled_from([0, 86_400_000 - 20_000]))
        self.trade_ids = [100, 200, 300]
        self.held_back: list[Row] = []
        self.update_id = 1_000
        self.chains = [1_000, 1_000, 1_000]

    def rows(self) -> list[Row]:
        kinds = ["trade"] * 6 + ["diff"] * 4 + ["quote", "quote", "mark", "liquidation", "snapshot", "late"]
        return [getattr(self, self.draw(st.sampled_from(kinds)))() for _ in range(self.draw(st.integers(5, 60)))]

    def tick(self) -> int:
        self.now += self.draw(st.sampled_from([0, 0, 1, 40, 300, 1_000, 5_000, 61_000, 400_000]))
        return self.draw(st.integers(0, 2))

    def trade(self) -> Row:
        i = self.tick()
        self.trade_ids[i] += self.draw(st.sampled_from([0, 1, 1, 1, 1, 1, 3]))
        row = trade(
            self.trade_ids[i], self.now, self.draw(st.integers(9_950, 10_050)),
            self.draw(st.sampled_from([1, 500, 20_000, 60_000])), sell=self.draw(st.booleans()), i=i,
            aggregate=i != 2, off_book=self.draw(st.integers(0, 20)) == 0,
            event_ms=self.now + self.draw(st.sampled_from([0, 150, 1_000])),
        )  # fmt: skip
        if self.draw(st.integers(0, 9)) == 0:
            self.held_back.append(row)
            return self.quote()
        return row

    def late(self) -> Row:
        return self.held_back.pop(0) if self.held_back else self.quote()

    def levels(self, side: int) -> list[tuple[int, int]]:
        away = st.integers(1, 30) | st.sampled_from([-3, 500, 40_000])
        changes = self.draw(st.lists(st.tuples(away, st.sampled_from([0, 1, 70])), max_size=5))
        return [(max(1, 10_000 - side * distance), lots) for distance, lots in changes]

    def diff(self) -> Row:
        i = self.tick()
        first = self.update_id + 1
        self.update_id += self.draw(st.integers(1, 9))
        prev, self.chains[i] = self.chains[i], self.update_id
        if self.draw(st.integers(0, 9)) == 0:
            prev -= 1
        return diff(first, self.update_id, prev, self.levels(1), self.levels(-1), i=i, ts_ms=self.now)

    def snapshot(self) -> Row:
        i = self.tick()
        last = self.chains[i] - self.draw(st.sampled_from([0, 0, 3, 40]))
        return snapshot(last, [(9_990, 5), (9_980, 9)], [(10_010, 5), (10_020, 9)], i=i, ts_ms=self.now)

    def quote(self) -> Row:
        i = self.tick()
        self.update_id += 1
        bid, lots = self.draw(st.integers(9_990, 9_999)), self.draw(st.integers(1, 9))
        return quote(self.update_id, self.now, bid, lots, bid + 1, lots + 1, i=i)

    def mark(self) -> Row:
        return mark(self.now, 10_000 * E8, 9_999 * E8, 523, T0 + 3_600_000, i=self.tick())

    def liquidation(self) -> Row:
        return liquidation(self.now - 1_000, 10_000 * E8 + 7, 11, long=self.draw(st.booleans()), i=self.tick())
