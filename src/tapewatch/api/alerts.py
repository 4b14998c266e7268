"""/api/alerts: rules, what fired, figures that can be watched, sinks; docs/alerts.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ..hub.requests import find_instrument, find_market
from ..model.errors import NotReadyError
from . import alerts_schemas as schemas
from .market import Exchange, SymbolName, returns
from .numbers import answer, now_ms
from .view import AlertsView, DeskView, VenueView

EPISODES_AT_MOST = 1_000
FAR_MS = 1 << 43

RuleId = Annotated[int, Path(ge=1, le=1 << 53, description="Number of the rule.")]
SinkName = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9_-]{0,31}$", description="Name of the sink.")]
EpisodeKey = Annotated[str, Query(min_length=1, max_length=200, description="`key` of the alert; `all`: every one.")]
Before = Annotated[int, Query(ge=1, le=FAR_MS, description="Only what fired before this time, ms.")]
Rows = Annotated[int, Query(ge=1, le=EPISODES_AT_MOST, description="So many, newest first; the last moment whole.")]
Start = Annotated[int, Query(alias="from", ge=0, le=FAR_MS, description="ms; 0: a day before the end.")]
End = Annotated[int, Query(alias="to", ge=0, le=FAR_MS, description="ms; 0: up to the newest stored minute.")]
OfRule = Annotated[int | None, Query(ge=1, le=1 << 53, description="Only alerts of this rule.")]


def alerts_routes(
    venues: Mapping[str, VenueView], alerts: AlertsView | None, desk: DeskView | None = None
) -> APIRouter:
    """Routes of alerts; where none are watched (a replay) they answer 503."""
    api = APIRouter(prefix="/api/alerts", default_response_class=Response)

    def watched() -> AlertsView:
        if alerts is None:
            raise NotReadyError("alerts are watched in a live program only; this one plays recorded data")
        return alerts

    def listing(**more: Any) -> Response:
        view = watched()
        return answer({"server_ts": now_ms(), "storage": view.storage, "rules": view.rules()} | more)

    @api.get("", responses=returns(schemas.Overview, "Rules with where they stand; the newest alerts."))
    async def overview(limit: Rows = 100) -> Response:
        """Rules and the newest alerts, with what followed each."""
        return listing(episodes=await watched().episodes(FAR_MS, limit, None))

    @api.get("/rules", responses=returns(schemas.Rules, "In the order of their numbers."))
    async def rules() -> Response:
        """Rules with where they stand: state, counts, last alert."""
        return listing()

    @api.get("/events", responses=returns(schemas.Episodes, "Newest first."))
    async def events(before: Before = FAR_MS, limit: Rows = 100, rule: OfRule = None) -> Response:
        """What fired, when it ended, and where the price went in the minutes after."""
        rows = await watched().episodes(before, limit, rule)
        return answer({"server_ts": now_ms(), "storage": watched().storage, "episodes": rows})

    @api.post("", responses=returns(schemas.RuleAnswer, "The rule with its number."))
    @api.post("/rules", responses=returns(schemas.RuleAnswer, "The rule with its number."))
    async def create(rule: schemas.RuleBody) -> Response:
        """Watch a new rule."""
        return answer({"server_ts": now_ms(), "rule": await watched().put_rule(rule.model_dump())})

    @api.post("/dry-run", responses=returns(schemas.DryRun, "What it would have done."))
    async def dry_run(rule: schemas.RuleBody, start: Start = 0, end: End = 0) -> Response:
        """Try a rule on stored minutes: how often it would have fired, when, and where prices went afterwards."""
        understood = watched().understood(rule.model_dump())
        if desk is None:
            raise NotReadyError("the research desk, which tries rules, is not running here")
        return answer({"server_ts": now_ms()} | await desk.dry_run(understood, start, end))

    @api.put("/rules/{rule_id}", responses=returns(schemas.RuleAnswer, "Its new revision."))
    async def change(rule_id: RuleId, rule: schemas.RuleBody) -> Response:
        """Change a rule: what its old revision was firing ends, and it is looked at anew."""
        return answer({"server_ts": now_ms(), "rule": await watched().put_rule(rule.model_dump(), rule_id)})

    @api.delete("/rules/{rule_id}", responses=returns(schemas.Rules, "The rules that are left."))
    async def delete(rule_id: RuleId) -> Response:
        """Forget a rule. What it fired stays in the log, and messages under way still arrive."""
        await watched().delete_rule(rule_id)
        return listing()

    @api.delete("", responses=returns(schemas.Rules, "The rules that are left."))
    async def delete_by_query(
        rule: Annotated[int, Query(ge=1, le=1 << 53, description="Number of the rule.")],
    ) -> Response:
        """The same, for those who cannot name it in the path."""
        await watched().delete_rule(rule)
        return listing()

    @api.post("/ack", responses=returns(schemas.Acknowledged, "How many had not been seen before."))
    async def acknowledge(key: EpisodeKey) -> Response:
        """Note that an alert was seen. The first time counts; again changes nothing."""
        if key == "all":
            return answer({"server_ts": now_ms(), "acknowledged": await watched().acknowledge_all(), "episode": None})
        known, episode = await watched().acknowledge(key)
        return answer({"server_ts": now_ms(), "acknowledged": int(not known), "episode": episode})

    @api.get("/metrics", responses=returns(schemas.Metrics, "Every figure, with what it is now."))
    async def metrics(exchange: Exchange = "binance", symbol: SymbolName = "BTCUSDT") -> Response:
        """Figures that a rule can watch: unit, source, what null means, and the present value for a symbol."""
        name = find_instrument(find_market(venues, exchange), symbol).symbol
        rows = watched().metrics(exchange, name)
        return answer({"exchange": exchange, "symbol": name, "server_ts": now_ms(), "metrics": rows})

    @api.get("/sinks", responses=returns(schemas.Sinks, "Sinks, and messages that could not be delivered."))
    async def sinks() -> Response:
        """Who can be told, how that goes, and what was laid aside. Addresses and secrets are not told."""
        view = watched()
        told = {"refused": view.sinks_refused, "sinks": view.sinks(), "dead": view.dead()}
        return answer({"server_ts": now_ms()} | told)

    @api.put("/sinks/{name}", responses=returns(schemas.Sinks, "Sinks as they are now."))
    async def put_sink(name: SinkName, sink: schemas.SinkBody) -> Response:
        """Set up a webhook, a Telegram chat or a mailbox, or change it."""
        await watched().put_sink(name, sink.model_dump(exclude_unset=True))
        return await sinks()

    @api.delete("/sinks/{name}", responses=returns(schemas.Sinks, "Sinks as they are now."))
    async def delete_sink(name: SinkName) -> Response:
        """Forget a sink that no rule names."""
        await watched().delete_sink(name)
        return await sinks()

    @api.post("/sinks/{name}/test", responses=returns(schemas.Tested, "Whether it arrived."))
    async def test_sink(name: SinkName) -> Response:
        """Send one message now, once."""
        error = await watched().test_sink(name)
        return answer({"server_ts": now_ms(), "sink": name, "ok": not error, "detail": error})

    @api.post("/sinks/{name}/retry", responses=returns(schemas.Retried, "How many messages."))
    async def retry_sink(name: SinkName) -> Response:
        """Send again what was laid aside of this sink, under the same keys."""
        return answer({"server_ts": now_ms(), "sink": name, "again": await watched().retry_sink(name)})

    return api
