"""Segments in another folder than the rest of the data: the same answers, and nothing is moved or tidied away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tapes import T0, tape, trade, universe
from tapewatch.config import StoreConfig
from tapewatch.model.errors import UsageError
from tapewatch.node.storage import Storage
from tapewatch.store.lake import settle
from tapewatch.store.reader import Reader
from tapewatch.store.writer import Store

ALWAYS = (0, 1 << 60)


def test_the_store_lives_in_two_folders(tmp_path: Path) -> None:
    data, lake = tmp_path / "data", tmp_path / "disk" / "lake"
    for first in (1, 6):  # a second program finds what the first has left
        storage = Storage(StoreConfig(path=str(data), lake=str(lake)))
        storage.start(["binance"])
        with closing(Store(data).open()) as store:
            store.write(universe(), tape([trade(first + k, T0 + k, 100, 1) for k in range(5)]), name=f"from-{first}")
            kept = sorted(lake.rglob("*.parquet"))
            stray = kept[-1].with_name("08-dead.parquet")
            stray.write_bytes(b"x")
            assert len(store.remove_strays()) == 1
        storage.close()
        assert len(kept) == (first + 4) // 5
        assert all(path.exists() for path in kept)
    with closing(Reader(data)) as reader:
        found = [row for part in reader.tapes("binance", *ALWAYS) for row in part.rows["id"].tolist()]
    assert sorted(found) == list(range(1, 11))


def test_what_is_there_is_neither_moved_nor_tidied_away(tmp_path: Path) -> None:
    data, lake, other = tmp_path / "data", tmp_path / "lake", tmp_path / "other"
    with closing(Store(data).open()) as store:
        store.write(universe(), tape([trade(1, T0, 100, 1)]), name="one")
    with pytest.raises(UsageError, match=r"store\.lake: the segments of .* move them to .*lake while nothing runs"):
        settle(data, str(lake))
    other.mkdir()
    (other / "theirs.parquet").write_bytes(b"x")
    with pytest.raises(UsageError, match="is not an empty folder"):
        settle(tmp_path / "new", str(other))
    settle(tmp_path / "new", str(lake))
    with pytest.raises(UsageError, match="move them to"):
        settle(tmp_path / "new", str(tmp_path / "third"))
    settle(tmp_path / "new", "")
    assert (tmp_path / "new" / "segments").resolve() == lake
