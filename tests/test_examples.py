"""The notebooks of examples/, run from their first cell to their last against a server on simulated data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest
from nbclient import NotebookClient

import over_http
from program import SMALL_DEMO, started
from waiting import wait_until

EXAMPLES = Path(__file__).parent.parent / "examples"
SECONDS = 75
"""A study of a minute: the features of a stretch that is long enough for its longest horizon and a regression."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("examples")
    with started(home, *SMALL_DEMO, "--data", "stored") as program:
        yield program.url()
        assert program.stop() == 0


def seconds(url: str) -> int:
    answer = over_http.get(f"{url}api/features", params={"symbol": "BTCUSDT"})
    return len(answer.json()["features"]) if answer.status_code == httpx.codes.OK else 0


def ran(name: str, url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the last cell printed; a cell that raises fails the test with its traceback."""
    monkeypatch.setenv("TAPEWATCH_URL", url)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(EXAMPLES / name, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": EXAMPLES}}).execute()
    (cell,) = (cell for cell in notebook.cells if "results" in cell.metadata.get("tags", []))
    found: dict[str, Any] = json.loads(cell.outputs[0]["text"])
    return found


def test_the_pair_study_finds_what_was_built_in(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = ran("pair.ipynb", server, monkeypatch)
    assert found["beta"] == pytest.approx(1.5, abs=0.1)
    assert found["eg"] < -3.90
    assert found["stray_p"] > 0.05
    assert found["half_life"] == pytest.approx(-math.log(2) / math.log(0.9), rel=0.4)
    assert found["pairs"] == 3
    assert found["trades"] > 3


def test_the_microstructure_study_runs_on_what_the_server_has_seen(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until(lambda: seconds(server) >= SECONDS, lambda: seconds(server))
    found = ran("microstructure.ipynb", server, monkeypatch)
    assert found["rows"] >= SECONDS
    assert found["features"] > 40
    assert found["n"] >= 20
    assert 0 <= found["ofi_r2"] <= 1
    # Each is asked of the book of its own moment: small ones may come in any order, the largest costs most.
    assert 0 < min(found["costs_bps"]) <= max(found["costs_bps"]) == found["costs_bps"][-1]
