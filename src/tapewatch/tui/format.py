"""How numbers are printed: by the page's rules, so that both show the same figure to the last digit.

A missing value is an em dash, never zero. Rounding is the page's, too: of the nearest double, ties away from zero.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

MISSING = "—"
Number = float | Decimal | int
Maybe = Number | None

_SCALES = ((1e12, "t"), (1e9, "b"), (1e6, "m"), (1e3, "k"))
_ROUNDS_UP = 0.9995
"""From here on, three digits round up to the next unit."""


def fixed(value: Number, decimals: int) -> str:
    """With so many decimals; minus zero is zero."""
    return f"{Decimal(float(value) or 0.0).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP):f}"


def _is_missing(value: Maybe) -> bool:
    return value is None or not math.isfinite(value)


def quantity(value: Maybe, decimals: int = 8) -> str:
    """Three significant digits and a unit; `decimals` is what the lot has."""
    if value is None or _is_missing(value):
        return MISSING
    size, sign = abs(float(value)), "-" if value < 0 else ""
    for scale, unit in _SCALES:
        if size >= scale * _ROUNDS_UP:
            return sign + _three_digits(size / scale, 2) + unit
    return sign + (_three_digits(size, decimals) if size >= 1 or size == 0 else _fraction(size, decimals))


def _three_digits(size: float, decimals: int) -> str:
    if size == 0:
        return "0"
    return fixed(size, min(0 if size >= 99.95 else 1 if size >= 9.995 else 2, decimals))


def _fraction(size: float, decimals: int) -> str:
    leading = -math.floor(math.log10(size)) - 1
    return fixed(size, min(leading + 3, decimals, 12))


def signed(value: Maybe, decimals: int = 8) -> str:
    """A quantity that always has its sign; zero is ``0``."""
    if value is None or _is_missing(value):
        return MISSING
    text = quantity(value, decimals)
    if text.strip("-0.") == "":
        return "0"
    return f"+{text}" if value > 0 else text


def money(value: Maybe) -> str:
    """Quote currency, three significant digits."""
    return quantity(value, 2)


def signed_money(value: Maybe) -> str:
    return signed(value, 2)


def percent(value: Maybe, decimals: int = 2) -> str:
    """Signed, with so many decimals; also basis points and ratios."""
    if value is None or _is_missing(value):
        return MISSING
    text = fixed(value, decimals)
    if float(text) == 0:
        return fixed(0, decimals)
    return f"+{text}" if value > 0 else text


def share(value: Maybe) -> str:
    """A share in percent without a sign: ``0.62``, ``12.4``, ``140``."""
    if value is None or _is_missing(value):
        return MISSING
    return fixed(value, 0 if value >= 99.95 else 1 if value >= 9.995 else 2)


def price(value: Maybe, decimals: int) -> str:
    """With all decimals of the tick, so that points stand under each other; of a mid or an average, one more."""
    return MISSING if value is None or _is_missing(value) else fixed(value, decimals)


def clock(ms: Maybe) -> str:
    """``HH:MM:SS`` UTC."""
    if ms is None or ms <= 0:
        return MISSING
    seconds = int(ms // 1000) % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def clock_minutes(ms: Maybe) -> str:
    return clock(ms)[:5]


def span(ms: Maybe) -> str:
    """How long ago or how long: ``0.4 s``, ``12 s``, ``3 m``, ``2 h``."""
    if ms is None or _is_missing(ms):
        return MISSING
    seconds = max(0.0, float(ms)) / 1000
    if seconds < 9.95:
        return f"{fixed(seconds, 1)} s"
    if seconds < 99.5:
        return f"{fixed(seconds, 0)} s"
    return f"{fixed(seconds / 60, 0)} m" if seconds < 5970 else f"{fixed(seconds / 3600, 0)} h"


def countdown(ms: Maybe) -> str:
    """``7:59:59``, ``12:04``."""
    if ms is None:
        return MISSING
    seconds = max(0, math.floor(float(ms) / 1000 + 0.5))
    rest = f"{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{seconds // 3600}:{rest}" if seconds >= 3600 else rest
