"""Exact text-to-integer conversion at the rim: a decimal becomes a whole number of increments or a typed error."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

from ..model.errors import FrameError, OffGridError
from ..model.instrument import Grid

MAX_INT = 2**62
MAX_DIGITS = 18
"""So many digits are surely below `MAX_INT`."""
MAX_DECIMALS = 12
"""Increments of venues have at most eight to eleven decimals; a value with more lies on no grid that could be meant."""
_EXACT = Context(prec=40, Emax=999_999, Emin=-999_999, traps=[Inexact, InvalidOperation, Overflow])


def count_of(value: Decimal, grid: Grid, what: str) -> int:
    """`value` as a whole number of `grid` increments, exactly; `what` is ``price`` or ``quantity``."""
    if not value.is_finite() or value.adjusted() + grid.decimals > 19:
        raise FrameError("number_range", str(value)[:40])
    if value < 0:
        raise FrameError("not_positive", what)
    try:
        scaled = _EXACT.scaleb(value, grid.decimals)
        whole = int(scaled)
    except (Inexact, InvalidOperation, Overflow) as error:
        raise FrameError("number_range", str(value)[:40]) from error
    if whole != scaled or whole % grid.units:
        if -int(_EXACT.normalize(value).as_tuple().exponent) > MAX_DECIMALS:
            raise FrameError("number_range", str(value)[:40])
        raise OffGridError(what, value, grid.value)
    count = whole // grid.units
    if count >= MAX_INT:
        raise FrameError("number_range", str(value)[:40])
    return count


def count_in(text: str, grid: Grid, what: str) -> int:
    """`count_of` of a decimal's text. What is plainly digits and a point needs no decimal made of it."""
    whole, _, rest = text.partition(".")
    if len(rest) > grid.decimals:
        rest = rest.rstrip("0")
    digits = whole + rest
    if (
        len(rest) <= grid.decimals
        and len(whole) <= MAX_DIGITS - grid.decimals
        and digits.isascii()
        and digits.isdigit()
    ):
        value = int(digits.ljust(len(whole) + grid.decimals, "0"))
        if value % grid.units == 0:
            return value // grid.units
    try:
        return count_of(Decimal(text), grid, what)
    except (InvalidOperation, ValueError) as error:
        raise FrameError("wrong_shape", f"{text[:40]!r} is no number") from error


def rounded_e8(value: Decimal) -> int:
    """`value` x 1e8, rounded half even beyond eight decimals (averages and rates carry no grid)."""
    if not value.is_finite() or value.adjusted() > 9:
        raise FrameError("number_range", str(value)[:40])
    return int(value.scaleb(8).to_integral_value())
