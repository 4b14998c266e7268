"""The kept machine code: what no start uses goes, the rest stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tapewatch import compiled

DAY_S = 86_400


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kernels"
    monkeypatch.setattr(compiled, "_kernels", lambda: folder)
    return folder


def kept(folder: Path, name: str, days_unused: float) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    (made / "decode.nbc").write_bytes(b"code")
    used = time.time() - days_unused * DAY_S
    os.utime(made, (used, used))
    return made


def test_kernels_unused_for_a_month_are_removed(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that is used again every day is kept however old it is; what is not ours is not touched."""
    old, recent = kept(kernels, "0123456789abcdef", 31), kept(kernels, "1123456789abcdef", 29)
    ours, foreign = kept(kernels, "2123456789abcdef", 400), kept(kernels, "notes", 400)
    monkeypatch.setattr(compiled, "_folders", {ours})
    assert compiled.remove_unused() == 1
    assert not old.exists()
    assert [folder.exists() for folder in (recent, ours, foreign)] == [True, True, True]


def test_nothing_kept_is_nothing_to_remove(kernels: Path) -> None:
    assert not kernels.exists()
    assert compiled.remove_unused() == 0


def test_an_entry_compiles_at_its_first_call() -> None:
    """An engine is built in the event loop; what costs seconds has to wait until it is prepared elsewhere."""

    @compiled.jit  # type: ignore[untyped-decorator]
    def twice(number: int) -> int:
        return 2 * number

    code = compiled.entry(twice, 1)
    assert not twice.signatures
    assert code(21) == 42
    assert twice.signatures


def test_the_same_sources_elsewhere_are_not_compiled_again() -> None:
    """An upgrade that leaves the kernels alone, or another checkout, starts at once."""
    program = (
        "from tapewatch.venues import binance_kernel as kernel; from tapewatch import compiled;"
        "print(compiled.PACKAGE, compiled.cache_folder(kernel.__name__))"
    )
    with tempfile.TemporaryDirectory() as folder:
        copy, unneeded = Path(folder) / "tapewatch", shutil.ignore_patterns("static", "__pycache__")
        shutil.copytree(compiled.PACKAGE, copy, ignore=unneeded)
        environment = {**os.environ, "PYTHONPATH": folder}
        command = [sys.executable, "-c", program]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        package, kept_in = said.stdout.split()
    assert Path(package) == copy
    assert kept_in == str(compiled.cache_folder("tapewatch.venues.binance_kernel"))


def test_records_of_a_line_lie_in_one_line() -> None:
    """A record that begins or ends within a cache line costs one fetch more, in every row of the tape."""
    dtype = compiled.whole_lines(("number", np.int64), ("near", np.int32, (2,)), ("prices", np.int64, (7,)))
    assert (dtype.itemsize, dtype["near"].shape) == (128, (2,))
    for shape in (3, (5, 7)):
        records = compiled.zeros(shape, dtype)
        plain = np.zeros(shape, dtype)
        assert records.ctypes.data % 64 == 0
        assert compiled.typeof(records) == compiled.typeof(plain)
        assert records.tobytes() == plain.tobytes()
