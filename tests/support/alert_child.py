"""A program with alerts, to be killed: ``python alert_child.py FOLDER INSTRUMENTS RULES WEBHOOK WEBHOOK WEBHOOK``.

The first run makes the rules and lets every instrument fire each of them in one moment; later ones find what it left.
Every rule tells the first webhook, every other one also the second, the others also the third.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from deriv_world import Venue, instrument
from tapes import T0, tape, trade
from tapewatch.alerts.readings import Health
from tapewatch.config import AlertsConfig, Config, NodeConfig, StoreConfig
from tapewatch.derivs.derivs import Derivs
from tapewatch.engine import Engine
from tapewatch.model.derivs import DerivsThresholds
from tapewatch.model.instrument import Universe
from tapewatch.node.alerting import Alerting

SINKS = ("good", "hangs", "fails")


async def main(folder: Path, instruments: int, rules: int, webhooks: list[str]) -> None:
    """Run until killed."""
    coins = [instrument("binance", f"C{k}USDT", f"C{k}") for k in range(instruments)]
    venues = {"binance": Venue("binance", Engine(Universe("binance", coins)))}
    config = Config(
        store=StoreConfig(path=str(folder)),
        node=NodeConfig(state_dir=str(folder / "state")),
        alerts=AlertsConfig(allowed_networks=("127.0.0.0/8",), timeout_s=120.0, retry_s=0.05, attempts=100),
    )
    derivs = Derivs(venues, lambda _: DerivsThresholds())
    alerting = Alerting(config, venues, derivs, lambda _: Health(), lambda _: T0)
    running = asyncio.create_task(alerting.run())
    while not alerting.ready:  # noqa: ASYNC110  (a condition of state that nobody announces)
        await asyncio.sleep(0.01)
    if not alerting.alerts.watches:
        for name, url in zip(SINKS, webhooks, strict=True):
            await alerting.put_sink(name, {"kind": "webhook", "url": url})
        rule = {"name": "all", "metric": "price", "threshold": 100.0, "per_minute": 1_000}
        for k in range(rules):
            await alerting.put_rule(rule | {"sinks": [SINKS[0], SINKS[1 + k % 2]]})
    print("ready", flush=True)  # noqa: T201  (what the test waits for)
    venues["binance"].engine.apply(tape(trade(1, T0, 1_010, 1, i=i) for i in range(instruments)))
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
