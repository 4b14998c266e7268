"""The application: routes, websockets, page and door put together."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .. import __version__
from ..derivs.derivs import Derivs
from ..hub.hub import Hub
from ..hub.requests import Catalogue
from ..model.errors import UsageError
from . import metrics, problems, sockets
from .access import Door
from .alerts import alerts_routes
from .analytics import analytics_routes
from .coverage import coverage_routes
from .derivs import derivs_routes
from .docs import docs_page
from .health import StatusReader, health
from .lab import lab_routes
from .layouts import layouts_routes, settings_routes
from .market import market_routes
from .numbers import answer, now_ms
from .operations import operations_routes
from .page import STATIC, Page
from .replay import ReplayControl, replay_routes
from .series import series_routes
from .transfer import TABLE_BYTES, TABLE_PATH, UPLOAD_BYTES, UPLOAD_PATH, transfer_routes
from .view import AlertsView, DeskView, NodeView

log = logging.getLogger(__name__)

DESCRIPTION = (
    "Order flow of crypto derivatives markets, live and exact. Prices and quantities are JSON numbers with the "
    "instrument's own decimals; times are milliseconds since the epoch, UTC; errors are RFC 9457 problem documents."
)


def create_app(
    node: NodeView,
    token: str = "",
    *,
    hub: Hub | None = None,
    static: Path = STATIC,
    replay: ReplayControl | None = None,
    derivs: Derivs | None = None,
    alerts: AlertsView | None = None,
) -> FastAPI:
    """Build the ASGI application that serves `node`.

    With an empty `token` only requests that name loopback as their host are answered; otherwise the token is wanted on
    every route and websocket but /health. The publisher of `hub` runs as long as the application's lifespan.
    """
    hub = hub or Hub()
    derivs = derivs or Derivs(node.venues, node.config.thresholds.of_derivs)
    hub.latency = {name: venue.latency for name, venue in node.venues.items()}
    answers: Counter[int] = Counter()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = [asyncio.create_task(hub.run()), asyncio.create_task(_observe(derivs, node.desk))]
        yield
        for task in running:
            task.cancel()
        await asyncio.wait(running)

    app = FastAPI(
        title="tapewatch",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # Paths are exact: a redirect would be one more thing to get right behind a proxy.
        redirect_slashes=False,
    )
    app.add_middleware(
        Door,
        token=token,
        allowed_origins=node.config.server.allowed_origins,
        max_body_bytes=node.config.limits.request_bytes,
        larger_bodies={UPLOAD_PATH: UPLOAD_BYTES, TABLE_PATH: TABLE_BYTES},
        answers=answers,
    )
    problems.install(app)
    _own_routes(app, node, hub, answers, alerts)
    app.include_router(market_routes(node.venues, node.history), dependencies=[Depends(_known_parameters)])
    app.include_router(derivs_routes(node.venues, derivs), dependencies=[Depends(_known_parameters)])
    app.include_router(series_routes(node.venues, node.history), dependencies=[Depends(_known_parameters)])
    app.include_router(coverage_routes(node.venues, node.storage), dependencies=[Depends(_known_parameters)])
    app.include_router(lab_routes(node.venues), dependencies=[Depends(_known_parameters)])
    app.include_router(analytics_routes(node.venues, node.desk), dependencies=[Depends(_known_parameters)])
    app.include_router(alerts_routes(node.venues, alerts, node.desk), dependencies=[Depends(_known_parameters)])
    app.include_router(operations_routes(node.venues), dependencies=[Depends(_known_parameters)])
    app.include_router(replay_routes(replay))
    status = StatusReader(node, hub, replay)
    catalogue = Catalogue(
        node.venues, status, now_ms, status_period_s=status.period_s, derivatives=derivs, alerts=alerts
    )
    app.include_router(transfer_routes(node.config.store, node.venues), dependencies=[Depends(_known_parameters)])
    app.include_router(layouts_routes(node.config.store), dependencies=[Depends(_known_parameters)])
    app.include_router(settings_routes(node.config.store), dependencies=[Depends(_known_parameters)])
    sockets.install(app, hub, node.venues, catalogue, node.config.limits)
    app.mount("/", Page(static))
    return app


async def _observe(derivs: Derivs, desk: DeskView | None) -> None:
    """Let derivatives and desk remember, once a second. A defect of ours there costs nobody else anything."""
    failing = False
    while True:
        try:
            derivs.observe()
            if desk is not None:
                desk.observe()
            failing = False
        except Exception:
            if not failing:  # one line while it lasts; the panels say since when they know
                log.exception("observing_failed")
            failing = True
        await asyncio.sleep(1.0)


def _own_routes(app: FastAPI, node: NodeView, hub: Hub, answers: Counter[int], alerts: AlertsView | None) -> None:
    """What tells about the program itself."""
    registry = metrics.registry(node, hub, answers, alerts)

    @app.get(
        "/health",
        response_description="Serving fresh data.",
        responses={503: {"description": "Serving, but a venue is stale or down; `status` says which."}},
        response_class=Response,
    )
    async def get_health() -> Response:
        """200 when serving fresh data, else 503 with the same figures: each venue's state, gaps, books, latency."""
        fresh, content = health(node, hub)
        return answer(content, 200 if fresh else 503)

    @app.get("/metrics", response_description="Names begin with tapewatch_.", response_class=Response)
    async def get_metrics() -> Response:
        """Counters and gauges in the Prometheus text format."""
        return Response(metrics.exposition(registry), media_type=metrics.MEDIA_TYPE)

    @app.get("/docs", include_in_schema=False)
    async def get_docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()))


def _known_parameters(request: Request) -> None:
    """Refuse a parameter nobody reads: a misspelt `timeframe=5m` must not quietly answer with 1m."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        return
    allowed = _parameters(route.dependant)
    for name in request.query_params:
        if name not in allowed:
            raise UsageError(f"unknown parameter {name[:40]!r}; allowed: {', '.join(allowed) or 'none'}")


def _parameters(dependant: Dependant) -> list[str]:
    """Names of a route's query parameters, its dependencies' too."""
    own = [parameter.alias for parameter in dependant.query_params]
    return own + [name for one in dependant.dependencies for name in _parameters(one)]
