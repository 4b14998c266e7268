"""Features to learn from: every column explained, targets by plain arithmetic, nothing of the future in the rest."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet
import pytest

from tapes import Row, diff, quote, snapshot, tape, trade, universe
from tapewatch.engine import Engine
from tapewatch.transfer.dataset import HORIZONS_S, TARGET, dataset, meaning_of
from tapewatch.transfer.features import of_memory
from tapewatch.transfer.files import about_of, save

START_MS = 1_767_225_600_000
SECONDS = 170


def market(seed: int, seconds: int, same_until: int = 0) -> list[Row]:
    """A book whose best prices wander, a trade now and then; two seeds are one market up to `same_until`."""
    rows = [snapshot(100, [(500, 9), (499, 9)], [(502, 9), (503, 9)], ts_ms=START_MS)]
    common, own = Random(0), Random(seed)
    best, u = 500, 100
    for second in range(1, seconds):
        random = common if second < same_until else own
        at, before = START_MS + 1_000 * second + 500, best
        best += random.choice([-1, 0, 0, 1])
        gone = [(before + 2, 0)] if best > before else []
        added = [(best, random.randint(1, 20))] + ([(before, 0)] if best < before else [])
        rows.append(diff(u + 1, u + 5, u, added, [*gone, (best + 2, random.randint(1, 20))], ts_ms=at))
        rows.append(quote(u + 5, at, best, 3, best + 2, 4))
        rows.append(
            trade(second, at + 100, best + 2 * random.randint(0, 1), random.randint(1, 9), sell=random.random() < 0.5)
        )
        u += 5
    return rows


def made(rows: list[Row], path: Path) -> list[dict[str, Any]]:
    engine = Engine(universe("AUSDT"))
    engine.follow_book(0)
    engine.lab.study(engine.universe[0])
    engine.apply(tape(rows))
    save(dataset(of_memory(engine, engine.universe[0])), path)
    return pyarrow.parquet.read_table(path).to_pylist()  # type: ignore[no-any-return]


def test_targets_are_returns_of_the_mid_over_whole_seconds(tmp_path: Path) -> None:
    rows = made(market(1, SECONDS), tmp_path / "t.parquet")
    mids = {row["ts_ms"]: row["mid_price"] for row in rows}
    seen = 0
    for row in rows:
        for horizon in HORIZONS_S:
            now, later = row["mid_price"], mids.get(row["ts_ms"] + 1_000 * horizon)
            wanted = None if now is None or later is None else 1e4 * math.log(later / now)
            found = row[f"{TARGET}{horizon}s_bps"]
            assert found == (wanted if wanted is None else pytest.approx(wanted, abs=1e-9))
            seen += found is not None
    assert seen > 4 * SECONDS
    assert rows[-1][f"{TARGET}1s_bps"] is None


def test_shuffling_the_future_changes_no_feature_of_the_past(tmp_path: Path) -> None:
    cut = 120
    one, other = (made(market(seed, SECONDS, cut), tmp_path / f"{seed}.parquet") for seed in (1, 2))
    last_ms = START_MS + 1_000 * cut
    for a, b in zip(one, other, strict=True):
        assert a["ts_ms"] == b["ts_ms"]
        if a["ts_ms"] <= last_ms:
            features = [name for name in a if not name.startswith(TARGET)]
            assert [a[name] for name in features] == [b[name] for name in features]
    assert any(a["mid_price"] != b["mid_price"] for a, b in zip(one, other, strict=True))


def test_every_column_is_explained_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = made(market(1, 40), path)
    about = about_of(path)
    assert about is not None
    assert (about["what"], about["rows"], list(about["columns"])) == ("dataset", len(rows), list(rows[0]))
    assert about["columns"]["target_5s_bps"].startswith("LOOKS AHEAD")
    assert "aggressors" in about["columns"]["trade_flow"]
    with pytest.raises(KeyError):
        meaning_of("astrology")
