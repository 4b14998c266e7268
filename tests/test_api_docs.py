"""docs/stream.md: its client works as printed, and it names every topic, column and parameter there is."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from market_world import T0, World, serve
from tapewatch.alerts.readings import Health
from tapewatch.derivs.derivs import Derivs
from tapewatch.hub.hub import Hub
from tapewatch.hub.requests import PARAMS, Catalogue
from tapewatch.hub.wire import decode
from tapewatch.node.alerting import Alerting
from waiting import WITHIN_S

DOCUMENT = Path(__file__).parent.parent / "docs" / "stream.md"


def example() -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]


async def test_the_printed_client_follows_a_footprint(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.trade(0, "42500.5", "1.25")
    async with serve(world) as served:
        url = served.url.replace("http", "ws") + "/ws/stream"
        program = example().replace("ws://127.0.0.1:8000/ws/stream", url)
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-c", program), stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout is not None
        try:
            async with asyncio.timeout(WITHIN_S):
                assert await client.stdout.readline() == f"BTCUSDT {T0} delta 1.250\n".encode()
                world.trade(10, "42500.5", "2", "sell")
                assert await client.stdout.readline() == f"BTCUSDT {T0} delta -0.750\n".encode()
        finally:
            client.kill()
            await client.wait()


@pytest.mark.parametrize("topic", sorted(PARAMS))
def test_every_topic_parameter_and_column_is_documented(topic: str, tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.partition(f"### `{topic}`")[2].partition("\n###")[0].partition("\n## ")[0]
    assert section
    for name in PARAMS[topic].__struct_fields__:
        assert f"`{name}`" in section
    world = World(tmp_path)
    client = Hub().connect()
    derivs = Derivs(world.venues, world.config.thresholds.of_derivs)
    alerts = Alerting(world.config, world.venues, derivs, lambda _: Health(), lambda _: T0)
    asked = Catalogue(world.venues, dict, lambda: T0, alerts=alerts).request(topic, {})
    client.subscribe(1, asked.key, asked.make)
    (payload,) = client.take()
    assert isinstance(payload, bytes)
    for name in decode(payload).columns:
        stem, _, window = name.partition("_")
        written = f"{stem}_w" if window in ("10s", "1m", "5m", "15m") else name
        assert f"`{written}`" in section, name
