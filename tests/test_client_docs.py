"""docs/client.md: every example runs as printed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from market_world import World, lively, serve

DOCUMENT = Path(__file__).parent.parent / "docs" / "client.md"


def examples() -> list[str]:
    return [part.partition("```")[0] for part in DOCUMENT.read_text(encoding="utf-8").split("```python\n")[1:]]


PRINTED = (
    "42499.5",
    "volatility of a bar",
    "step 0.07 is not a multiple of the tick size",
    "binance BTCUSDT buy 850012",
)


@pytest.mark.parametrize(("example", "printed"), list(zip(examples(), PRINTED, strict=True)), ids=range(len(PRINTED)))
async def test_the_printed_examples_run(example: str, printed: str, tmp_path: Path) -> None:
    world = World(tmp_path)
    lively(world)
    world.trade(62_000, "42500.6", "20")
    world.trade(125_000, "42499.5", "0.1", "sell")
    async with serve(world) as served:
        program = example.replace("http://127.0.0.1:8000", served.url)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    assert printed in out.decode()
