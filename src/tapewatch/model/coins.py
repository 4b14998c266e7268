"""Which coin an instrument is about, whatever power of ten a venue has put before or behind its name."""

from __future__ import annotations

import re
from functools import lru_cache

_PREFIX = re.compile(r"^(1(?:000){1,2}|10000|100000)(?=[A-Z])")
_MILLION = re.compile(r"^1M(?=[A-Z]{3})")
_SUFFIX = re.compile(r"(?<=[A-Z])(1000(?:0{0,3}))$")


@lru_cache(maxsize=8192)
def split_multiplier(base: str) -> tuple[str, int]:
    """Coin and multiplier of a base asset's name.

    1000PEPE is 1000 x PEPE, 1MBABYDOGE a million BABYDOGE, Bybit's SHIB1000 1000 x SHIB. Names that begin with other
    digits (1INCH, 0G, 2Z) are names.
    """
    if found := _PREFIX.match(base):
        return base[found.end() :], int(found[1])
    if found := _MILLION.match(base):
        return base[found.end() :], 1_000_000
    if found := _SUFFIX.search(base):
        return base[: found.start()], int(found[1])
    return base, 1
