"""How hot functions are compiled: one place for the decorators, so that all kernels agree.

`kernel` is a compiled function. `leaf` is one that is always built into its caller: state travels as named tuples of
arrays, and passing those by value would cost more than the work of a short function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile; the result is cached on disk. No division checks: divisors are never zero here."""
    compiled: F = njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


def leaf(function: F) -> F:
    """Compile into every caller."""
    compiled: F = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
    return compiled
