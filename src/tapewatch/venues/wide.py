"""More than eight bytes at a time, in the registers that processors have for it."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic as _intrinsic

from .words import WIDE

intrinsic: Any = _intrinsic
"""Its decorator is made at run time, out of sight of a type checker."""

_WORDS = 4


@intrinsic
def bytes_as(_: Any, buf: Any, p: Any, patterns: Any, at: Any) -> Any:
    """Which of the `WIDE` bytes from `p` a pattern wants: a bit for each, the first byte lowest.

    The pattern is at `at`: the `WIDE` least values that the bytes may have, then how much above these they may be.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), WIDE)

        def wide(array: int, position: Any) -> Any:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            return builder.load(builder.bitcast(builder.gep(data, [position]), kind.as_pointer()), align=1)

        least, above = wide(2, args[3]), wide(2, builder.add(args[3], ir.Constant(ir.IntType(64), WIDE)))
        within = builder.icmp_unsigned("<=", builder.sub(wide(0, args[1]), least), above)
        return builder.bitcast(within, ir.IntType(WIDE))

    return numba.uint64(buf, numba.int64, patterns, numba.int64), generate


@intrinsic
def values_of(_: Any, one: Any, two: Any, three: Any, four: Any) -> Any:
    """Numbers that the eight digits of each of four words spell: digits become pairs, pairs fours, fours a number."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words: Any = ir.Constant(ir.VectorType(ir.IntType(64), _WORDS), ir.Undefined)
        for k, word in enumerate(args):
            words = builder.insert_element(words, word, ir.IntType(32)(k))

        def joined(values: Any, bits: int, scale: int) -> Any:
            lanes = _WORDS * 64 // bits
            kind = ir.VectorType(ir.IntType(bits), lanes)
            values = builder.bitcast(values, kind)
            half = ir.Constant(kind, [bits // 2] * lanes)
            # The lower half, which is the first in writing, times its scale comes to stand above the other.
            product = builder.mul(values, ir.Constant(kind, [(scale << bits // 2) + 1] * lanes))
            return builder.lshr(product, half)

        zeros = ir.Constant(words.type, [int.from_bytes(b"0" * 8, "little")] * _WORDS)
        values = joined(joined(joined(builder.xor(words, zeros), 16, 10), 32, 100), 64, 10_000)
        each = [builder.extract_element(values, ir.IntType(32)(k)) for k in range(_WORDS)]
        return context.make_tuple(builder, signature.return_type, each)

    four_values: Any = numba.types.UniTuple(numba.int64, _WORDS)  # type: ignore[no-untyped-call]
    return four_values(*[numba.uint64] * _WORDS), generate
