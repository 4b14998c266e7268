"""The web page's files, as the package's own build left them."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from .problems import problem

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
_HASHED = re.compile(r"^assets/.*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
"""Names with a hash of their content in them never change."""
IMMUTABLE = "public, max-age=31536000, immutable"

NOT_BUILT = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>tapewatch</title>"
    '<body style="background:#1e1e1e;color:#e0e0e0;font:16px system-ui;padding:3em">'
    "<p>The web page is not built: in a checkout run <code>make setup</code>, else install the package again; "
    'the API is at <a style="color:#ffaa00" href="/docs">/docs</a>.'
)


class Page(StaticFiles):
    """Everything that is no route of the API."""

    def __init__(self, directory: Path = STATIC) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self._index = directory / INDEX

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            detail = "there is no websocket here; /ws/stream, /ws/orderflow and /ws/{symbol} are"
            await WebSocket(scope, receive, send).send_denial_response(problem(404, detail, scope["path"]))
            return
        if not self._index.is_file():
            if scope["path"] != "/":
                raise HTTPException(404)
            await HTMLResponse(NOT_BUILT, 503)(scope, receive, send)
            return
        await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except ValueError:  # a NUL in the path
            raise HTTPException(404) from None
        if _HASHED.match(path):
            response.headers["Cache-Control"] = IMMUTABLE
        elif path in (".", INDEX):
            response.headers["Cache-Control"] = "no-store"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response
