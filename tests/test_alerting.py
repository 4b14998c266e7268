"""Alerts of a running program: rules by API, kept, fired, sent, acknowledged; and what a killed one had promised."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from alert_sinks import receiver
from market_world import INSTRUMENTS, T0, Served, World, serve
from tapes import tape, trade
from tapewatch.alerts.readings import Health
from tapewatch.alerts.rule import BUILT_IN_SINKS
from tapewatch.api import alerts_schemas as schemas
from tapewatch.config import AlertsConfig, Config, NodeConfig, StoreConfig
from tapewatch.derivs.derivs import Derivs
from tapewatch.hub.alerts import AlertsTopic
from tapewatch.hub.wire import decode
from tapewatch.model.instrument import Universe
from tapewatch.node.alerting import Alerting
from tapewatch.node.desk import Desk
from tapewatch.outbox.outbox import AT_ONCE
from tapewatch.outbox.sinks import SinkFile, Webhook
from tapewatch.store.writer import Store
from waiting import until

RULE = {"name": "high", "metric": "price", "threshold": 42_000.0, "symbols": ["BTCUSDT"]}
MINUTE = 60_000
INSIDE = {"kind": "webhook", "url": "http://10.0.0.1/SECRET"}
CHILD = Path(__file__).parent / "support" / "alert_child.py"


def settings(tmp_path: Path) -> Config:
    return Config(
        store=StoreConfig(path=str(tmp_path / "data")),
        node=NodeConfig(state_dir=str(tmp_path / "state")),
        alerts=AlertsConfig(allowed_networks=("127.0.0.0/8",), retry_s=0.01),
    )


@dataclass
class Running:
    """A program with alerts, served."""

    world: World
    alerting: Alerting
    served: Served

    async def ask(self, method: str, path: str, content: Any = None, status: int = 200) -> Any:
        async with self.served.http.request(method, self.served.url + path, json=content) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return json.loads(text)

    async def until(self, true: Callable[[], bool]) -> None:
        await until(true)

    async def episodes(self, count: int) -> list[dict[str, Any]]:
        """The newest alerts, when there are so many."""
        await self.until(lambda: len(self.alerting.alerts.recent) >= count)
        told: dict[str, Any] = await self.ask("GET", "/api/alerts/events")
        return list(told["episodes"])


@asynccontextmanager
async def running(tmp_path: Path, config: Config | None = None) -> AsyncIterator[Running]:
    config = config or settings(tmp_path)
    world = World(tmp_path, config)
    derivs = Derivs(world.venues, config.thresholds.of_derivs)
    alerting = Alerting(config, world.venues, derivs, lambda _: Health(), lambda _: T0)
    task = asyncio.create_task(alerting.run())
    world.desk = desk = Desk(world.venues, config.store)
    async with serve(world, alerts=alerting) as served:
        one = Running(world, alerting, served)
        await one.until(lambda: alerting.ready)
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.wait([task])
            await desk.close()


def stored_minutes(folder: Path) -> None:
    """Twenty stored minutes of BTCUSDT; from the third on it costs 42,000 and more."""
    store = Store(folder).open()
    rows = [trade(k + 1, T0 - 20 * MINUTE + k * MINUTE, 419_000 + 500 * k, 1) for k in range(21)]
    store.write(Universe("binance", INSTRUMENTS), tape(rows), name="first")
    store.close()


async def test_a_rule_is_tried_on_what_is_stored_in_the_desks_process(tmp_path: Path) -> None:
    stored_minutes(tmp_path / "data")
    async with running(tmp_path) as program:
        told = await program.ask("POST", f"/api/alerts/dry-run?from={T0 - 19 * MINUTE}", RULE)
        assert (told["minutes"], told["count"], told["open"]) == (19, 1, 1)
        assert told["episodes"][0]["fired_ts"] == T0 - 17 * MINUTE - 1
        after_1m = told["followed"][0]
        assert (after_1m["minutes"], after_1m["n"], after_1m["mean_pct"]) == (1, 1, 0.119047619)
        assert after_1m["baseline"]["n"] == 18
        refused = await program.ask("POST", "/api/alerts/dry-run", RULE | {"metric": "spread"}, 422)
        assert "no history of it is stored" in refused["detail"]
        refused = await program.ask("POST", "/api/alerts/dry-run?to=1000", RULE, 404)
        assert "no whole minute of binance is stored in this range" in refused["detail"]
        assert not program.alerting.alerts.watches


async def test_every_answer_is_what_the_openapi_document_says(tmp_path: Path) -> None:
    stored_minutes(tmp_path / "data")
    async with running(tmp_path) as program:
        program.world.trade(0, "43000", "1")
        rule = await program.ask("POST", "/api/alerts/rules", RULE)
        (episode,) = await program.episodes(1)
        hook = {"kind": "webhook", "url": "http://127.0.0.1:1/x"}
        answers: list[tuple[str, str, Any, type[BaseModel]]] = [
            ("GET", "/api/alerts", None, schemas.Overview),
            ("POST", "/api/alerts", RULE, schemas.RuleAnswer),
            ("GET", "/api/alerts/rules", None, schemas.Rules),
            ("PUT", "/api/alerts/rules/1", RULE | {"quiet": {"start": "22:00", "end": "07:00"}}, schemas.RuleAnswer),
            ("GET", "/api/alerts/events?limit=5&rule=1", None, schemas.Episodes),
            ("POST", "/api/alerts/dry-run", RULE, schemas.DryRun),
            ("POST", f"/api/alerts/ack?key={episode['key']}", None, schemas.Acknowledged),
            ("GET", "/api/alerts/metrics", None, schemas.Metrics),
            ("GET", "/api/alerts/sinks", None, schemas.Sinks),
            ("PUT", "/api/alerts/sinks/ops", hook, schemas.Sinks),
            ("POST", "/api/alerts/sinks/ops/test", None, schemas.Tested),
            ("POST", "/api/alerts/sinks/ops/retry", None, schemas.Retried),
            ("DELETE", "/api/alerts/sinks/ops", None, schemas.Sinks),
            ("DELETE", "/api/alerts/rules/1", None, schemas.Rules),
            ("DELETE", "/api/alerts?rule=2", None, schemas.Rules),
        ]
        _, document = await program.served.get("/openapi.json")
        for method, path, content, model in answers:
            told = await program.ask(method, path, content)
            model.model_validate(told, strict=True)
            route = path.partition("?")[0].replace("rules/1", "rules/{rule_id}").replace("sinks/ops", "sinks/{name}")
            described = document["paths"][route][method.lower()]["responses"]["200"]["content"]["application/json"]
            assert described["schema"]["$ref"].endswith(f"/{model.__name__}")
        assert rule["rule"]["id"] == 1
        routes = {
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
            if path.startswith("/api/alerts")
        }
        assert len(routes) == len(answers) + 1  # POST /api/alerts and POST /api/alerts/rules are one


async def test_a_rule_fires_is_sent_and_acknowledged(tmp_path: Path) -> None:
    async with receiver() as hook, running(tmp_path) as program:
        await program.ask("PUT", "/api/alerts/sinks/ops", {"kind": "webhook", "url": f"{hook.url}/x", "secret": "hush"})
        told = await program.ask("POST", "/api/alerts/rules", RULE | {"sinks": ["page", "log", "ops"]})
        assert told["rule"]["condition"] == "Last price is at or above 42,000"
        program.world.trade(0, "42000.5", "1")
        (episode,) = await program.episodes(1)
        await hook.received(1)
        assert hook.got[0]["text"] == "BTCUSDT (binance): 42000.5 — Last price is at or above 42,000"
        assert hook.keys == [f"{episode['key']}:fired"]
        assert (episode["value"], episode["price"], episode["acked_ts"]) == (42_000.5, 42_000.5, None)
        first = await program.ask("POST", f"/api/alerts/ack?key={episode['key']}")
        again = await program.ask("POST", f"/api/alerts/ack?key={episode['key']}")
        assert (first["acknowledged"], again["acknowledged"]) == (1, 0)
        assert first["episode"]["acked_ts"] == again["episode"]["acked_ts"] is not None
        await program.until(lambda: program.alerting.outbox.stats["ops"].delivered == 1)
        sinks = await program.ask("GET", "/api/alerts/sinks")
        (ops,) = [one for one in sinks["sinks"] if one["name"] == "ops"]
        assert (ops["kind"], ops["target"], ops["delivered"], ops["waiting"]) == ("webhook", "http://127.0.0.1/…", 1, 0)
        assert "hush" not in json.dumps(sinks)
        metrics = await program.served.text("/metrics")
        assert "tapewatch_alerts_delivered_total 2.0" in metrics  # log and ops
        assert "tapewatch_alerts_firing 1.0" in metrics


async def test_rules_alerts_and_acknowledgements_outlive_the_program(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        await program.ask("POST", "/api/alerts/rules", RULE)
        await program.ask("POST", "/api/alerts/rules", RULE | {"name": "other", "threshold": 50_000.0})
        await program.ask("DELETE", "/api/alerts/rules/2")
        program.world.trade(0, "42000.5", "1")
        (episode,) = await program.episodes(1)
        await program.ask("POST", f"/api/alerts/ack?key={episode['key']}")
    async with running(tmp_path) as program:
        (rule,) = (await program.ask("GET", "/api/alerts/rules"))["rules"]
        assert (rule["id"], rule["revision"], rule["name"], rule["state"]) == (1, 1, "high", "firing")
        (kept,) = await program.episodes(1)
        assert (kept["key"], kept["acked_ts"] is not None, kept["ended_ts"]) == (episode["key"], True, None)
        program.world.trade(5_000, "42000.6", "1")
        program.world.trade(6_000, "41000", "1")
        await program.until(lambda: program.alerting.alerts.recent[0].ended_ms is not None)
        (over,) = await program.episodes(1)
        assert (over["key"], over["ended_by"], over["ended_ts"]) == (episode["key"], "cleared", T0 + 6_000)
        assert (await program.ask("POST", "/api/alerts/rules", RULE))["rule"]["id"] == 3


async def test_without_a_store_alerts_live_in_memory_and_say_so(tmp_path: Path) -> None:
    config = Config(store=StoreConfig(enabled=False), node=NodeConfig(state_dir=str(tmp_path / "state")))
    async with running(tmp_path, config) as program:
        program.world.trade(0, "42000.5", "1")
        await program.ask("POST", "/api/alerts/rules", RULE)
        assert len(await program.episodes(1)) == 1
        told = await program.ask("GET", "/api/alerts")
        assert told["storage"] == {
            "stored": False, "unkept": 0,
            "detail": "alerts live in memory and end with the program: nothing is stored",
        }  # fmt: skip
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "sentence"),
    [
        ("POST", "/api/alerts/rules", RULE | {"symbols": ["BTCUSD"]}, 404, "unknown symbol 'BTCUSD' on binance"),
        ("POST", "/api/alerts/rules", RULE | {"symbols": ["btcusdt"]}, 422, "the venue writes BTCUSDT"),
        ("POST", "/api/alerts/rules", RULE | {"exchange": "kraken"}, 404, "unknown exchange 'kraken'; running here:"),
        ("POST", "/api/alerts/rules", RULE | {"sinks": ["pager"]}, 422, "there is no sink 'pager'; allowed: page,"),
        ("POST", "/api/alerts/rules", RULE | {"metric": "x"}, 422, "metric = 'x' is refused; allowed: price"),
        ("PUT", "/api/alerts/rules/9", RULE, 404, "there is no alert rule 9"),
        ("DELETE", "/api/alerts/rules/9", None, 404, "there is no alert rule 9"),
        ("POST", "/api/alerts/ack?key=nobody", None, 404, "there is no alert 'nobody'"),
        ("PUT", "/api/alerts/sinks/page", {"kind": "webhook", "url": "http://x"}, 422, "page is built in"),
        ("PUT", "/api/alerts/sinks/ops", INSIDE, 422, "10.0.0.1 is the private address"),
        ("PUT", "/api/alerts/sinks/ops", {"kind": "webhook", "url": ["S3CRET"]}, 422, "url is refused; it must be a v"),
        ("POST", "/api/alerts/sinks/nobody/test", None, 404, "there is no sink 'nobody'"),
        ("DELETE", "/api/alerts/sinks/nobody", None, 404, "there is no sink 'nobody' that could be deleted"),
    ],
)  # fmt: skip
async def test_wrong_questions_get_one_sentence(
    tmp_path: Path, method: str, path: str, content: Any, status: int, sentence: str
) -> None:
    async with running(tmp_path) as program:
        problem = await program.ask(method, path, content, status)
        assert sentence in problem["detail"]
        assert "SECRET" not in problem["detail"]


async def test_a_sink_that_a_rule_names_is_not_deleted(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        await program.ask("PUT", "/api/alerts/sinks/ops", {"kind": "telegram", "token": "1:a", "chat": "7"})
        await program.ask("POST", "/api/alerts/rules", RULE | {"sinks": ["ops"]})
        problem = await program.ask("DELETE", "/api/alerts/sinks/ops", status=422)
        assert problem["detail"] == "the sink ops is named by rule 1; take it out there first"


async def test_sinks_that_others_can_read_are_not_used_until_they_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tapewatch.node.alerting.SINKS_AGAIN_S", 0.01)
    config = settings(tmp_path)
    async with receiver() as hook:
        file = SinkFile(config.node.state_path)
        file.save({"ops": Webhook(hook.url)})
        file.path.chmod(0o644)
        async with running(tmp_path, config) as program:
            told = await program.ask("GET", "/api/alerts/sinks")
            why = f"{file.path} can be read by others; make it private with: chmod 600 {file.path}"
            assert (told["refused"], [one["name"] for one in told["sinks"]]) == (why, list(BUILT_IN_SINKS))
            await program.ask("POST", "/api/alerts/rules", RULE)  # all else works
            program.world.trade(0, "42000.5", "1")
            await program.episodes(1)
            for method, path, content in (
                ("PUT", "sinks/ops", INSIDE),
                ("POST", "sinks/ops/test", None),
                ("POST", "rules", RULE | {"sinks": ["ops"]}),
            ):
                refused = await program.ask(method, f"/api/alerts/{path}", content, status=422)
                assert why in refused["detail"]
            assert file.path.read_bytes().count(b"ops") == 1
            file.path.chmod(0o600)
            await program.until(lambda: not program.alerting.sinks_refused)
            assert (await program.ask("POST", "/api/alerts/sinks/ops/test"))["ok"]
            assert len(hook.got) == 1


async def test_a_body_that_is_no_json_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        head = {"Content-Type": "application/json"}
        answer = await program.served.http.post(program.served.url + "/api/alerts/rules", data=b"{nope", headers=head)
        assert answer.status == 422
        assert (await answer.json(content_type=None))["detail"] == "the body is not valid JSON"


async def test_where_nothing_is_watched_the_answer_says_so(tmp_path: Path) -> None:
    async with serve(World(tmp_path)) as served:
        status, problem = await served.get("/api/alerts")
        assert (status, problem["detail"]) == (
            503, "alerts are watched in a live program only; this one plays recorded data",
        )  # fmt: skip


async def test_the_stream_tells_rules_and_alerts_as_the_api_does(tmp_path: Path) -> None:
    async with running(tmp_path) as program:
        topic = AlertsTopic("alerts:5", program.alerting, 5, lambda: 7)
        await program.ask("POST", "/api/alerts/rules", RULE)
        head = _head(topic.refresh())
        assert (head["type"], len(head["meta"]["rules"]), head["meta"]["episodes"]) == ("snapshot", 1, [])
        program.world.trade(0, "42000.5", "1")
        told = await program.episodes(1)
        head = _head(topic.refresh())
        assert (head["type"], head["meta"]["episodes"], head["meta"]["unacknowledged"]) == ("delta", told, 1)
        assert [row["state"] for row in head["meta"]["rules"]] == ["firing"]
        await program.ask("POST", "/api/alerts/ack?key=all")
        head = _head(topic.refresh())
        assert (head["meta"]["unacknowledged"], head["meta"]["rules"]) == (0, [])
        await program.ask("DELETE", "/api/alerts/rules/1")
        head = _head(topic.refresh())
        assert (head["type"], head["meta"]["rules"]) == ("snapshot", [])


def _head(payloads: tuple[bytes | str, ...]) -> dict[str, Any]:
    (payload,) = payloads
    assert isinstance(payload, bytes)
    return decode(payload).header


async def test_ten_thousand_signals_in_a_second_and_a_program_killed_amid_them(tmp_path: Path) -> None:
    """Every episode that was kept reaches its sinks, also one that hung and one that answered 500 all the while.

    Nothing comes twice but what was under way when the program died: accepted, and not yet struck out.
    """
    instruments, rules = 1_000, 10
    every = instruments * rules
    well, came = False, list[int]()
    hung, refused = list[str](), list[str]()

    def answer(_: int) -> web.Response:
        return web.Response(status=200 if well else 500)

    async with receiver() as good, receiver(hanging=True) as hanging, receiver(answer) as failing:
        for kill_after in (300, 2_500, every):
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, str(CHILD), str(tmp_path), str(instruments), str(rules)),
                *(f"{one.url}/in" for one in (good, hanging, failing)),
                stdout=asyncio.subprocess.PIPE,
            )
            assert child.stdout is not None
            assert await child.stdout.readline() == b"ready\n"
            await until(lambda n=kill_after: len(set(good.keys)) >= n)  # type: ignore[misc]
            if kill_after == every:  # meanwhile neither of the others got anything; now both mend
                hung, refused = hanging.keys.copy(), failing.keys.copy()
                well = True
                hanging.mend()
                await until(lambda: all(len(set(one.keys)) >= every // 2 for one in (hanging, failing)))
            child.send_signal(signal.SIGKILL)
            await child.wait()
            came.append(len(good.keys))
    counts = Counter(good.keys)
    assert len(counts) == every
    assert came[0] < came[1] < came[2]
    assert sum(counts.values()) - every <= 2 * AT_ONCE  # what was under way at each of the two kills
    with sqlite3.connect(tmp_path / "catalog.sqlite") as catalog:
        kept = {f"{key}:fired" for (key,) in catalog.execute("SELECT key FROM alert_episodes")}
        told = {row[0] for row in catalog.execute("SELECT DISTINCT told FROM alert_episodes")}
        outcomes = {row[0] for row in catalog.execute("SELECT DISTINCT outcome FROM alert_deliveries")}
    assert kept == set(counts)
    assert (told, outcomes) == ({"sent"}, {"delivered"})
    for one, in_vain, first in ((hanging, hung, AT_ONCE), (failing, refused, rules // 2)):
        assert len(set(in_vain)) == first  # in order: of each rule the first message, again and again
        assert len(one.keys) - len(in_vain) == every // 2  # and then each message once
        assert len(set(one.keys)) == every // 2
    assert set(hanging.keys) | set(failing.keys) == kept
