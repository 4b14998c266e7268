"""Fixtures shared by all tests."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from postgres import ADVICE, Server, find_postgres, started

ROOT = Path(__file__).resolve().parent.parent
M_MMAP_THRESHOLD = -3
"""Parameter of glibc's `mallopt`: arrays of more bytes get memory of their own."""

# A busy machine is no counterexample, and no slow strategy either. The same examples every time, so that a change is
# judged by what it changes; a long run looks for new ones.
settings.register_profile(
    "untimed",
    deadline=None,
    derandomize="TAPEWATCH_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Give the arrays of a world back when its test is over.

    Left to itself glibc takes larger and larger ones from its heap, where what is freed stays between what is not: a
    process that has run half of the tests keeps four gigabytes for half of one that are in use.
    """
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 256 << 10)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real recordings, not part of the project; tests that need them skip where they are absent."""
    path = Path(os.environ.get("TAPEWATCH_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"recordings are not at {path}; set TAPEWATCH_DATA to their folder")
    return path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with few tests first: those start programs, and beside each other the short ones should come last."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (tests[item.path], item.path))


@pytest.fixture(scope="module", autouse=True)
def _pace_of_the_collector() -> Iterator[None]:
    """What stands before a file's first test is not walked by the collections of its tests.

    A program under test freezes objects too, and slows the collector down; neither outlives the file.
    """
    pace = gc.get_threshold()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*pace)


@pytest.fixture(autouse=True)
def _tidy() -> Iterator[None]:
    """A world is megabytes of arrays in a few objects that know each other: the collector would let many gather."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A real PostgreSQL server."""
    programs = find_postgres()
    if programs is None:
        pytest.skip(ADVICE)
    with started(programs) as server:
        yield server
