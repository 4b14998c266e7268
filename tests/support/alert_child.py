"""A program with alerts, to be killed: ``python alert_child.py FOLDER WEBHOOK INSTRUMENTS RULES``.

The first run makes the rules and lets every instrument fire each of them in one moment; later ones find what it left.
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


async def main(folder: Path, webhook: str, instruments: int, rules: int) -> None:
    """Run until killed."""
    coins = [instrument("binance", f"C{k}USDT", f"C{k}") for k in range(instruments)]
    venues = {"binance": Venue("binance", Engine(Universe("binance", coins)))}
    config = Config(
        store=StoreConfig(path=str(folder)),
        node=NodeConfig(state_dir=str(folder / "state")),
        alerts=AlertsConfig(allowed_networks=("127.0.0.0/8",), retry_s=0.05),
    )
    derivs = Derivs(venues, lambda _: DerivsThresholds())
    alerting = Alerting(config, venues, derivs, lambda _: Health(), lambda _: T0)
    running = asyncio.create_task(alerting.run())
    while not alerting.ready:  # noqa: ASYNC110  (a condition of state that nobody announces)
        await asyncio.sleep(0.01)
    if not alerting.alerts.watches:
        await alerting.put_sink("ops", {"kind": "webhook", "url": webhook})
        rule = {"name": "all", "metric": "price", "threshold": 100.0, "sinks": ["ops"], "per_minute": 1_000}
        for _ in range(rules):
            await alerting.put_rule(rule)
    print("ready", flush=True)  # noqa: T201  (what the test waits for)
    venues["binance"].engine.apply(tape(trade(1, T0, 1_010, 1, i=i) for i in range(instruments)))
    await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
