"""How hot functions are compiled: one place for the decorators, so that all kernels agree.

`kernel` is a compiled function. `leaf` is one that is always built into its caller: state travels as named tuples of
arrays, and passing those by value would cost more than the work of a short function. `maker` is the rare one that
makes arrays of its own.

Compiled code is kept in the user's cache folder under a hash of the sources a function is built from. Numba by itself
only looks at the file a function stands in, so a change to a leaf would leave callers in other files with the old code;
and it keeps code by the path of its source, so that the same sources in another place would be compiled again. What no
start has used for a month is removed.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import config as _config
from numba.core.caching import FunctionCache, IndexDataCacheFile, _CacheLocator
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic as _intrinsic
from numpy.typing import NDArray
from platformdirs import user_cache_path

PACKAGE = Path(__file__).parent
KEPT_DAYS = 30
_folders: set[Path] = set()
"""Folders from which this process takes its kernels."""
_is_digest = re.compile(r"[0-9a-f]{16}").fullmatch

Record = Any
"""One record of a structured array inside a kernel: its fields are attributes there."""

jit: Any = numba.jit
intrinsic: Any = _intrinsic
typeof: Any = numba.typeof
config: Any = _config
"""Numba's settings are made at run time, out of sight of a type checker."""

F = TypeVar("F", bound=Callable[..., object])


@cache
def digest(*modules: str) -> str:
    """Hash of the sources of these modules of ours and of all they import from each other, and of the compiler."""
    sources: set[Path] = set()
    waiting = [_source(name.split(".")) for name in modules]
    while waiting:
        source = waiting.pop()
        if source is not None and source not in sources:
            sources.add(source)
            waiting.extend(_imports(source))
    summary = hashlib.sha256(f"{numba.__version__} {sys.implementation.cache_tag}".encode())
    for source in sorted(sources):
        summary.update(f"\0{source.relative_to(PACKAGE)}\0".encode())
        summary.update(source.read_bytes())
    return summary.hexdigest()[:16]


def _source(name: Sequence[str]) -> Path | None:
    path = PACKAGE.parent.joinpath(*name)
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _imports(source: Path) -> frozenset[Path]:
    """Sources of ours that one names, read once: the kernels' modules share most of theirs."""
    package = source.relative_to(PACKAGE.parent).parent.parts
    found: set[Path | None] = set()
    for node in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            found.add(_source([part for part in above if part]))
            found.update(_source([*above, alias.name]) for alias in node.names if not node.module)
    return frozenset(path for path in found if path is not None)


def cache_folder(module: str) -> Path:
    """Where the machine code is kept that comes from exactly these sources."""
    return _kernels() / digest(module)


def _kernels() -> Path:
    return user_cache_path("tapewatch") / "kernels"


def remove_unused() -> int:
    """Mark the folders of this program's kernels as used now and remove those unused for `KEPT_DAYS`; returns how many.

    What cannot be marked or removed (a read-only folder, another process at it) is left as it is.
    """
    for folder in _folders:
        with contextlib.suppress(OSError):
            os.utime(folder)
    removed = 0
    with contextlib.suppress(FileNotFoundError):
        for folder in _kernels().iterdir():
            if _is_digest(folder.name) and time.time() - folder.stat().st_mtime > KEPT_DAYS * 86_400:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed


class KeptBySources(_CacheLocator):
    """Tells numba where the code of one function is kept: by what it is built from, wherever the sources lie."""

    def __init__(self, function: Any) -> None:
        self._line = function.__code__.co_firstlineno
        self._folder = cache_folder(function.__module__)

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return self._folder.name

    def get_disambiguator(self) -> str:
        return str(self._line)

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> KeptBySources | None:  # noqa: ARG003  (numba's signature)
        locator = cls(py_func)
        try:
            locator.ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            return None
        _folders.add(locator._folder)
        return locator


class _BySignature(IndexDataCacheFile):
    """Names the file of each signature's code after the signature.

    Numba counts them: two processes that compile a function for two signatures at once could take the same number, and
    one would then find the other's code under its own signature.
    """

    def save(self, key: object, data: object) -> None:
        number = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8])
        name = self._data_name(number)  # type: ignore[no-untyped-call]
        self._save_data(name, data)  # type: ignore[no-untyped-call]
        self._save_index({**self._load_index(), key: name})  # type: ignore[no-untyped-call]


class _Kept(FunctionCache):
    """The kept code of one function."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _BySignature(self._cache_path, self._impl.filename_base, stamp)  # type: ignore[no-untyped-call]


LOCATORS = f"{__name__}.KeptBySources,InTreeCacheLocator"
"""The second is for a home that cannot be written."""
OPTIONS: dict[str, Any] = {"nopython": True, "nogil": True, "error_model": "numpy"}


class _Unfinished(JITCodeLibrary):
    """Code to be built into others: optimised and turned into machine code there, not here."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()  # type: ignore[no-untyped-call]
        self._finalized = True


class _IntoCallers(Compiler):
    """Numba's compiler, ended where a function can be linked into its callers."""

    def compile_extra(self, func: Any) -> Any:
        state = self.state
        state.flags.no_compile = state.flags.no_cpython_wrapper = state.flags.no_cfunc_wrapper = True
        state.library = _Unfinished(state.targetctx.codegen(), func.__qualname__)  # type: ignore[no-untyped-call]
        result = super().compile_extra(func)  # type: ignore[no-untyped-call]
        name = object()  # callers know a callee by its entry point, which this one has not
        state.targetctx.insert_user_function(name, result.fndesc, [result.library])
        return result._replace(entry_point=name)


class _Callee(CPUDispatcher):
    """A function as other compiled functions see it."""

    def add_overload(self, result: Any) -> None:
        self.overloads[tuple(result.signature.args)] = result


class _Function(CPUDispatcher):
    """A compiled function. Python calls its machine code; other compiled functions that call it take its code in.

    Numba by itself optimises every function and makes machine code of it before it is built into its callers, where
    both are done again. With functions eight deep that is half the time it takes to compile.
    """

    def __init__(self, py_func: Any, **chosen: Any) -> None:
        super().__init__(py_func, **chosen)
        self._callee = _Callee(py_func, targetoptions=self.targetoptions, pipeline_class=_IntoCallers)

    def enable_caching(self) -> None:
        self._cache = _Kept(self.py_func)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        return self._callee.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        return self._callee.get_overload(sig)


def _compile(function: F, **options: bool) -> F:
    # Where code is kept is a process-wide setting of numba's, read when caching is enabled: set it only for ours.
    before = config.CACHE_LOCATOR_CLASSES
    config.CACHE_LOCATOR_CLASSES = LOCATORS
    try:
        compiled: Any = _Function(function, targetoptions={**OPTIONS, **options})
        compiled.enable_caching()
    finally:
        config.CACHE_LOCATOR_CLASSES = before
    return cast("F", compiled)


def kernel(function: F) -> F:
    """Compile a function that works on the arrays it is given.

    There are no checks of division by zero: divisors here never are. And there are no reference counts: numba would
    count each array of the state up and down, atomically, wherever one is named, at several times the cost of the work.
    """
    return _compile(function, _nrt=False)


def leaf(function: F) -> F:
    """Compile into every caller; like a kernel it makes no arrays."""
    return _compile(function, _nrt=False, forceinline=True)


def maker(function: F) -> F:
    """Compile a function that makes arrays of its own, whose memory has to be counted."""
    return _compile(function)


class _Entry:
    __slots__ = ("_code", "_function", "_types")

    def __init__(self, function: Any, types: tuple[Any, ...]) -> None:
        self._function, self._types = function, types
        self._code: Callable[..., Any] | None = None

    def __call__(self, *arguments: object) -> Any:
        if self._code is None:
            self._code = self._function.compile(self._types)
        return self._code(*arguments)


def entry(function: Callable[..., object], *arguments: object) -> Callable[..., Any]:
    """The machine code of a kernel for arguments of these types, without numba's look at the types of every call.

    That look costs microseconds where state is named tuples of arrays: more than the work on a short read. Whoever
    calls the entry vouches for the types: arrays of the same dtype and layout. It is compiled at its first call, so
    that building an engine costs nothing.
    """
    return _Entry(function, tuple(typeof(argument) for argument in arguments))


CACHE_LINE = 64
FETCHED_LINES = 2
"""Records are fetched to this length: what is used of every one stands at its head."""


def whole_lines(*fields: tuple[Any, ...]) -> np.dtype[np.void]:
    """The dtype of records that end where a line of the processor's cache does, in arrays made by `zeros`."""
    packed = np.dtype(list(fields))
    formats = [packed[name] for name in packed.names or ()]
    size = -(-packed.itemsize // CACHE_LINE) * CACHE_LINE
    return np.dtype({"names": list(packed.names or ()), "formats": formats, "itemsize": size})


def zeros(shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As `np.zeros`, beginning where a cache line does: a record of one line then lies in one, and not in two."""
    size = math.prod(shape if isinstance(shape, tuple) else (shape,)) * dtype.itemsize
    room = np.zeros(size + CACHE_LINE, np.uint8)
    start = -room.ctypes.data % CACHE_LINE
    return room[start : start + size].view(dtype).reshape(shape)


@intrinsic
def prefetch(_: Any, array: Any, at: Any) -> Any:  # noqa: ARG001  (a type only; the value is in `args`)
    """Begin to fetch `array[at]` from memory, to be written soon; nothing waits for it and no index is wrong."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        name = "llvm.prefetch.p0"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        address = builder.bitcast(builder.gep(data, [args[1]]), byte)
        size = context.get_abi_sizeof(data.type.pointee)
        for offset in range(0, min(size, FETCHED_LINES * CACHE_LINE), CACHE_LINE):
            builder.call(function, [builder.gep(address, [number(offset)]), number(1), number(3), number(1)])
        return context.get_dummy_value()

    return numba.void(array, numba.int64), generate


@intrinsic
def rare(_: Any, condition: Any) -> Any:  # noqa: ARG001  (a type only; the value is in `args`)
    """`condition` itself, said to be seldom true: what is done then gets its place and its registers after the rest."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        bit = ir.IntType(1)
        kind = ir.FunctionType(bit, [bit, bit])
        name = "llvm.expect.i1"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, [args[0], bit(0)])

    return numba.boolean(numba.boolean), generate
