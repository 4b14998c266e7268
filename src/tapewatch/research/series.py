"""Bars of one instrument, and two of them on common times: what every statistic begins with.

Nothing is filled in. A bar that is missing is missing in both series of a pair, and how many were left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..model.errors import UsageError
from ..model.shortage import ShortageError

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Basis = Literal["trades", "mids", "upload"]
"""What a bar's prices are of: trades, mid prices at the bar's end, or whatever its uploader says they are."""

FEWEST = 20
"""Bars below which no regression or test is made: its standard errors would be of no use."""

COLUMNS = ("open_ms", "open", "high", "low", "close", "volume", "trades", "gap")


class Sample(msgspec.Struct, frozen=True):
    """What a figure was computed from. Times are ms UTC, of the opening of the first and the last bar."""

    n: int
    tf_ms: int
    first_ms: int
    last_ms: int
    missing: int
    """Bars between the first and the last that neither hold a price nor are filled in."""
    gaps: int
    """Bars used although trades of theirs are known to be missing or, on mids, their mid is older than 5 s."""
    basis: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one instrument in order of time, each column of length n; prices in quote currency, volume in base.

    `gap` marks bars that are known to lack trades. `trades` is zero where the number of trades is not known.
    """

    name: str
    tf_ms: int
    open_ms: Times
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    trades: NDArray[np.int64]
    gap: NDArray[np.bool_]
    basis: Basis = "trades"

    def __post_init__(self) -> None:
        """Raise UsageError, naming the first bad bar, where a series is not what every statistic takes for granted."""
        n = len(self.open_ms)
        for name in ("open", "high", "low", "close", "volume", "trades", "gap"):
            if len(getattr(self, name)) != n:
                raise UsageError(f"{self.name}: {len(getattr(self, name))} values of {name} for {n} times")
        if n == 0:
            raise UsageError(f"{self.name} holds no bars")
        steps = np.diff(self.open_ms)
        if (wrong := np.flatnonzero(steps <= 0)).size:
            k = int(wrong[0])
            how = "is there twice" if steps[k] == 0 else f"comes after {when(self.open_ms[k])}"
            raise UsageError(
                f"{self.name}: the bar of {when(self.open_ms[k + 1])} {how}; bars must be in order of time"
            )
        if (wrong := np.flatnonzero(self.open_ms % self.tf_ms)).size:
            at = when(self.open_ms[wrong[0]])
            raise UsageError(f"{self.name}: the bar of {at} does not open on a multiple of {self.tf_ms} ms")
        for name in ("open", "high", "low", "close"):
            if (wrong := np.flatnonzero(~(np.isfinite(getattr(self, name)) & (getattr(self, name) > 0)))).size:
                at, value = when(self.open_ms[wrong[0]]), getattr(self, name)[wrong[0]]
                raise UsageError(f"{self.name}: {name} of {at} is {value}, no price; {wrong.size} such bars")

    def __len__(self) -> int:
        return len(self.open_ms)

    def first(self, n: int) -> Bars:
        """The oldest `n` bars."""
        return replace(self, **{name: getattr(self, name)[:n] for name in COLUMNS})

    def last(self, n: int) -> Bars:
        """The newest `n` bars, or all where there are fewer."""
        return replace(self, **{name: getattr(self, name)[-n:] for name in COLUMNS})

    def sample(self) -> Sample:
        return sample_of(self.open_ms, self.tf_ms, int(self.gap.sum()), self.basis)


@dataclass(frozen=True, slots=True)
class Ticks:
    """Prices at the times they came, which rise; `of` says what each is: a trade, a second's last trade, a close."""

    name: str
    of: str
    ts_ms: Times
    price: Floats


@dataclass(frozen=True, slots=True)
class Pair:
    """Closes of two instruments at common times, in order; `left_out` bars of either had no counterpart."""

    x_name: str
    y_name: str
    tf_ms: int
    open_ms: Times
    x: Floats
    y: Floats
    left_out: int
    gaps: int
    basis: str

    def __len__(self) -> int:
        return len(self.open_ms)

    def sample(self) -> Sample:
        return sample_of(self.open_ms, self.tf_ms, self.gaps, self.basis)

    def cut(self, first: int, stop: int) -> Pair:
        """Bars `first` to `stop` as a pair of their own."""
        return replace(self, open_ms=self.open_ms[first:stop], x=self.x[first:stop], y=self.y[first:stop])

    def swapped(self) -> Pair:
        return replace(self, x_name=self.y_name, y_name=self.x_name, x=self.y, y=self.x)

    def logs(self) -> Pair:
        """The same pair of logarithms of prices."""
        return replace(self, x=np.log(self.x), y=np.log(self.y))


def longer(bars: Bars, tf_ms: int) -> Bars:
    """Bars of a multiple of the length. One of which the series knows only a part is marked as having a gap."""
    if tf_ms % bars.tf_ms:
        raise UsageError(f"bars of {tf_ms} ms cannot be built from bars of {bars.tf_ms} ms")
    opens, first = np.unique(bars.open_ms // tf_ms * tf_ms, return_index=True)
    stop = np.append(first[1:], len(bars))
    partial = stop - first < tf_ms // bars.tf_ms
    return Bars(
        name=bars.name,
        tf_ms=tf_ms,
        open_ms=opens,
        open=bars.open[first],
        high=np.maximum.reduceat(bars.high, first),
        low=np.minimum.reduceat(bars.low, first),
        close=bars.close[stop - 1],
        volume=np.add.reduceat(bars.volume, first),
        trades=np.add.reduceat(bars.trades, first),
        gap=np.logical_or.reduceat(bars.gap, first) | partial,
        basis=bars.basis,
    )


def align(x: Bars, y: Bars, *, fewest: int = FEWEST) -> Pair:
    """Closes of both at the times that both have; raises UsageError where these are fewer than `fewest`."""
    if x.tf_ms != y.tf_ms:
        raise UsageError(f"{x.name} has bars of {x.tf_ms} ms, {y.name} of {y.tf_ms} ms; a pair needs one length")
    common, of_x, of_y = np.intersect1d(x.open_ms, y.open_ms, assume_unique=True, return_indices=True)
    if len(common) < fewest:
        spans = "; ".join(f"{one.name} {when(one.open_ms[0])} to {when(one.open_ms[-1])}, {len(one)}" for one in (x, y))
        bars = "1 bar" if len(common) == 1 else f"{len(common)} bars"
        raise ShortageError(f"{bars} at common times, at least {fewest} are needed ({spans})", len(common), fewest)
    gaps = int((x.gap[of_x] | y.gap[of_y]).sum())
    basis = x.basis if x.basis == y.basis else f"{x.basis} and {y.basis}"
    left_out = len(x) + len(y) - 2 * len(common)
    return Pair(x.name, y.name, x.tf_ms, common, x.close[of_x], y.close[of_y], left_out, gaps, basis)


def returns(values: Floats, open_ms: Times, tf_ms: int) -> Floats:
    """Log returns, length n - 1; NaN over a missing bar, for that is no return of one bar."""
    out: Floats = np.diff(np.log(values))
    out[np.diff(open_ms) != tf_ms] = np.nan
    return out


def sample_of(open_ms: Times, tf_ms: int, gaps: int, basis: str) -> Sample:
    first, last = int(open_ms[0]), int(open_ms[-1])
    return Sample(len(open_ms), tf_ms, first, last, (last - first) // tf_ms + 1 - len(open_ms), gaps, basis)


def usable(values: Sequence[float] | Floats, name: str, *, fewest: int = FEWEST) -> Floats:
    """The values as an array; raises UsageError where there are too few, one is no number, or all are equal."""
    array: Floats = np.asarray(values, np.float64)
    if array.ndim != 1:
        raise UsageError(f"{name} is no single series of numbers")
    if len(array) < fewest:
        raise UsageError(f"{name} holds {len(array)} values, at least {fewest} are needed")
    if (wrong := np.flatnonzero(~np.isfinite(array))).size:
        raise UsageError(f"{name}: value {int(wrong[0]) + 1} is {array[wrong[0]]}; {wrong.size} are no numbers")
    if is_constant(array):
        raise UsageError(f"{name} is constant ({array[0]:g}): nothing can be said of how it varies")
    return array


def is_constant(values: Floats) -> bool:
    """Whether what varies in these values is no more than the rounding of floats."""
    span = float(values.max() - values.min())
    return span <= 1e-12 * max(1.0, float(np.abs(values).max()))


def when(ms: np.integer | int) -> str:
    """A time as sentences print it."""
    return f"{np.datetime64(int(ms), 'ms')}Z"
