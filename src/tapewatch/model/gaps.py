"""What is missing and why: the two words of a gap, its cause and its fate.

A gap is a range of trade ids that did not come. Its *cause* says how they were lost, its *fate* why nobody asks the
venue for them any more. A gap whose fate is `OPEN` is still being filled.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Cause(IntEnum):
    """How ids were lost."""

    DROPPED = 1
    """The connection stood, and the venue did not send them."""
    DISCONNECTED = 2
    """Their stream was interrupted."""
    PROCESS_DOWN = 3
    """We did not run: between the last stored trade and the first live one."""
    QUARANTINED = 4
    """A frame came that could not be read."""
    RESTARTED = 5
    """The venue's counter began anew; what lies between has no ids and cannot be asked for."""
    NOT_LOADED = 6
    """Older than what was read so far: history is being loaded around it."""
    SOURCE_CHANGED = 7
    """Raw trades took over from aggregates, or the reverse; the two count differently."""
    NOT_RECORDED = 8
    """They came, and the disk could not take them: in what is stored, all symbols may miss some."""


class Fate(IntEnum):
    """What becomes of lost ids."""

    OPEN = 0
    """They will be asked for."""
    BEYOND_HORIZON = 1
    """The venue no longer has them."""
    REFUSED = 2
    """The venue answered, and its answer leaves them out."""
    FORGOTTEN = 3
    """More gaps than are remembered: trades that fill this one later are taken for duplicates."""
    UNFILLABLE = 4
    """The chain of ids they belong to has ended."""


GAP = np.dtype(
    [
        ("instrument", np.int32),
        ("cause", np.int16),
        ("fate", np.int16),
        ("first_id", np.int64),
        ("last_id", np.int64),
        ("from_ms", np.int64),
        ("to_ms", np.int64),
    ]
)
"""Ids `first_id..last_id` of an instrument that happened from `from_ms` to `to_ms` (venue's time) and are missing.

Where a chain ended there are no ids to name: `last_id` is then the last one of the old chain, below `first_id`."""
