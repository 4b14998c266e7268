"""Real recordings of Binance USD-M as workloads. They are not part of the project: absent, they are skipped by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tapewatch.replay import Recording

from .workload import Symbol, Workload

FILES = {
    "btc+eth 2024": [f"usdm_{s}_{day}.gz" for s in ("btcusdt", "ethusdt") for day in ("20240718", "20240719")],
    "btc 2023": ["usdm_btcusdt_20230404.gz", "usdm_btcusdt_20230405.gz"],
    "five alts 2021": ["usdm_20210405_SAND_CHR_NEO_CTK_BAT.raw.gz"],
}

BTC_2024 = ["usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz"]


def folder() -> Path:
    """Where the recordings are if they are anywhere: TAPEWATCH_DATA, else beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("TAPEWATCH_DATA", beside)) / "binance_usdm"


def load(name: str) -> Workload:
    return load_files(name, FILES[name])


def load_files(name: str, files: list[str]) -> Workload:
    """One recording: every book's first snapshot and, of the frames, those its venue's rules would apply."""
    recording = Recording.load([folder() / file for file in files])
    snapshots: dict[str, bytes] = {}
    last_ids: dict[str, int] = {}
    for record in recording.records:
        if record.endpoint == "depth" and record.symbol not in snapshots:
            snapshots[record.symbol] = record.payload
            last_ids[record.symbol] = json.loads(record.payload)["lastUpdateId"]
    frames = [r.payload for r in recording.records if not r.url and not _is_covered(r.payload, last_ids)]
    symbols = [Symbol(i.symbol, i.tick.decimals, i.tick.units, i.lot.decimals) for i in recording.universe]
    return Workload(name, symbols, snapshots, frames, recording.records[0].recv_ns, bool(recording.raw_trade_symbols))


def _is_covered(frame: bytes, last_ids: dict[str, int]) -> bool:
    """Whether it is a diff that the snapshot already holds (rule 3 of `book/sync.py`)."""
    if b'"depthUpdate"' not in frame[:80]:
        return False
    event = json.loads(frame)["data"]
    return bool(event["u"] < last_ids[event["s"]])
