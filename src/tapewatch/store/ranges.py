"""Which trades are stored: ranges of ids, so that none is stored or counted twice. Pure: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import kernel

SLACK_MS = 1_000
"""Ids and times rise together but for so much (see `flow.trades`): an old id at a much later time is another trade."""

RANGE = np.dtype(
    [
        ("symbol", np.int64),
        ("aggregate", np.int64),
        ("first_id", np.int64),
        ("last_id", np.int64),
        ("from_ms", np.int64),
        ("to_ms", np.int64),
    ]
)
"""All ids from first to last are stored; they happened between the two times. `symbol` is a number of the caller's."""


def contained(
    ranges: NDArray[np.void], symbol: NDArray[np.int64], aggregate: NDArray[np.int64], ids: NDArray[np.int64],
    ts_ms: NDArray[np.int64],
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of these trades lie in a range, by id and by time."""
    ranges = np.sort(ranges, order=["symbol", "aggregate"])
    heads = ranges["symbol"] * 2 + ranges["aggregate"]
    wanted = symbol * 2 + aggregate
    found = np.zeros(len(ids), np.bool_)
    _search(ranges, np.searchsorted(heads, wanted), np.searchsorted(heads, wanted, "right"), ids, ts_ms, found)
    return found


@kernel
def _search(
    ranges: NDArray[np.void], first: NDArray[np.intp], stop: NDArray[np.intp], ids: NDArray[np.int64],
    ts_ms: NDArray[np.int64], found: NDArray[np.bool_],
) -> None:  # fmt: skip
    for k in range(len(ids)):
        for r in range(first[k], stop[k]):
            one = ranges[r]
            inside = one.first_id <= ids[k] <= one.last_id
            if inside and one.from_ms - SLACK_MS <= ts_ms[k] <= one.to_ms + SLACK_MS:
                found[k] = True


def runs(
    symbol: NDArray[np.int64], aggregate: NDArray[np.int64], ids: NDArray[np.int64], ts_ms: NDArray[np.int64],
    first_ids: NDArray[np.int64] | None = None, *, counted: bool = True,
) -> NDArray[np.void]:  # fmt: skip
    """The unbroken ranges of distinct trades; one covers `first_ids` to `ids`, by default its own id alone.

    Where ids only rise (`counted` false) none is known to be missing between two: what came together is one range.
    """
    order = np.lexsort((ts_ms, ids, aggregate, symbol))
    first_ids = ids[order] if first_ids is None else first_ids[order]
    symbol, aggregate, ids, ts_ms = symbol[order], aggregate[order], ids[order], ts_ms[order]
    broken = (np.diff(symbol) != 0) | (np.diff(aggregate) != 0)
    if counted:
        broken |= first_ids[1:] != ids[:-1] + 1
    broken |= np.diff(ts_ms) < -SLACK_MS  # an id begun anew beside an old one
    starts = np.concatenate([[0], np.flatnonzero(broken) + 1]).astype(np.intp)
    if not len(ids):
        return np.zeros(0, RANGE)
    out = np.zeros(len(starts), RANGE)
    out["symbol"], out["aggregate"], out["first_id"] = symbol[starts], aggregate[starts], first_ids[starts]
    out["last_id"] = ids[np.concatenate([starts[1:], [len(ids)]]) - 1]
    out["from_ms"], out["to_ms"] = np.minimum.reduceat(ts_ms, starts), np.maximum.reduceat(ts_ms, starts)
    return out


def joined(ranges: NDArray[np.void]) -> NDArray[np.void]:
    """The same ids in as few ranges as possible: neighbours in id whose times follow each other become one."""
    ranges = np.sort(ranges, order=["symbol", "aggregate", "first_id", "from_ms"])
    out: list[np.void] = []
    for one in ranges:
        before = out[-1] if out else None
        if (
            before is not None
            and (before["symbol"], before["aggregate"]) == (one["symbol"], one["aggregate"])
            and one["first_id"] == before["last_id"] + 1
            and one["from_ms"] >= before["to_ms"] - SLACK_MS
        ):
            before["last_id"] = one["last_id"]
            before["to_ms"] = max(before["to_ms"], one["to_ms"])
        else:
            out.append(one.copy())
    return np.array(out, RANGE) if out else np.zeros(0, RANGE)
