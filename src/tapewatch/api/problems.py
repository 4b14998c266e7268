"""Errors as RFC 9457 problem documents: one sentence that says what is wrong and what is allowed."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..model.errors import NotFoundError, NotReadyError, TapewatchError, UsageError
from ..model.shortage import ShortageError
from .numbers import to_json

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""A resync takes one REST answer, usually well under a second; its queue may be some seconds long."""
SECRETS = frozenset({"url", "secret", "token", "password"})
"""Parameters that a refusal does not repeat."""


def problem(status: int, detail: str, instance: str, headers: dict[str, str] | None = None, **more: int) -> Response:
    """A problem document; `instance` is the path that was asked for, `more` members of its own."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        **more,
    }
    return Response(to_json(content), status, headers, MEDIA_TYPE)


def status_of(error: TapewatchError) -> int:
    """Who is at fault, as an HTTP status."""
    match error:
        case NotFoundError():
            return 404
        case UsageError():
            return 422
        case NotReadyError():
            return 503
        case _:
            return 500


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    async def ours(request: Request, error: Exception) -> Response:
        if not isinstance(error, TapewatchError):
            raise TypeError("handles errors of ours only") from error
        status = status_of(error)
        headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
        more = {"have": error.have, "need": error.need} if isinstance(error, ShortageError) else {}
        return problem(status, str(error), request.url.path, headers, **more)

    async def invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise TypeError("handles validation errors only") from error
        return problem(422, _sentence(error.errors()[0]), request.url.path)

    async def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise TypeError("handles HTTP errors only") from error
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.url.path}; /docs lists what there is"
        elif error.status_code == 405:
            detail = f"{request.method} is not allowed here; allowed: {dict(error.headers or {}).get('Allow', 'GET')}"
        return problem(error.status_code, detail, request.url.path, dict(error.headers or {}))

    async def unexpected(request: Request, error: Exception) -> Response:
        # The server logs the traceback once; the caller learns nothing about our insides.
        return problem(500, f"an error of ours ({type(error).__name__}); the log says more", request.url.path)

    app.add_exception_handler(TapewatchError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _sentence(fault: dict[str, Any]) -> str:
    """One sentence from the validator's first finding."""
    name = str(fault["loc"][-1])
    wanted = str(fault["msg"]).removeprefix("Input should ").removeprefix("String should ")
    if fault["type"] == "missing":
        return f"the parameter {name} is missing"
    if fault["type"] == "extra_forbidden":
        return f"unknown parameter {name[:40]!r}"
    if fault["type"] == "json_invalid":
        return "the body is not valid JSON"
    said = "" if name in SECRETS else f" = {str(fault['input'])[:40]!r}"
    return f"{name}{said} is refused; it must {wanted}"
