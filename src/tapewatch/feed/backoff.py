"""How long to wait before trying again."""

from __future__ import annotations

from random import Random


class Backoff:
    """Exponential delays with full jitter over their upper half, so that many sockets never return in step."""

    def __init__(self, first_s: float, longest_s: float, random: Random) -> None:
        self.first_s = first_s
        self.longest_s = longest_s
        self.attempts = 0
        self._random = random

    def next_s(self) -> float:
        """The next delay: between half and the whole of first x 2^attempts, never above the longest."""
        # 2**32 seconds is beyond any limit; without the bound a day of failures would overflow the float.
        whole = min(self.longest_s, self.first_s * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return whole * (0.5 + self._random.random() / 2)

    def reset(self) -> None:
        self.attempts = 0
