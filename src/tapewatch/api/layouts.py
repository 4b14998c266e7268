"""/api/layouts and /api/settings: workspaces under a name and what the page remembers, for every screen of this server.

Both lie in the catalog, opaque: what is in them only the page knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, RootModel
from starlette.responses import Response

from ..config import StoreConfig
from ..model.errors import NotFoundError, NotReadyError, UsageError
from ..store.catalog import FILE_NAME, Catalog, StoreUnavailableError
from .numbers import answer, now_ms
from .schemas import Answer
from .transfer import PROBLEM

MOST = 100
"""Layouts kept: more than a menu can show, few enough to be sent together."""


class Document(BaseModel):
    """A workspace as the page writes it; what is in it only the page knows."""

    model_config = ConfigDict(extra="allow")

    schema_version: int
    dock: dict[str, Any]


class Layout(Answer):
    """One workspace."""

    name: str
    layout: Document


class Layouts(Answer):
    """All that are kept here, by name."""

    kept: Annotated[bool, Field(description="Whether layouts are kept here at all; else every browser keeps its own.")]
    layouts: list[Layout]


Section = Annotated[str, Field(min_length=1, max_length=40)]


class Sections(RootModel[Annotated[dict[Section, Any], Field(min_length=1, max_length=MOST)]]):
    """Sections of the page's settings by name, such as ``theme``; each is replaced whole."""


class Settings(Answer):
    """What is kept of the page's settings."""

    kept: Annotated[bool, Field(description="Whether settings are kept here at all; else every browser keeps its own.")]
    settings: dict[str, Any]


Name = Annotated[str, Query(description="What people call it.", min_length=1, max_length=40)]


@contextmanager
def _catalog(config: StoreConfig) -> Iterator[Catalog]:
    if not config.enabled:
        raise UsageError("nothing is stored here (store.enabled, --no-store), neither layouts nor settings")
    with closing(Catalog(config.url) if config.url else Catalog.of_folder(config.data_path)) as opened:
        try:
            opened.migrate()
            yield opened
        except StoreUnavailableError as error:
            raise NotReadyError(str(error)) from error


def _anything(config: StoreConfig) -> bool:
    """Whether there is a catalog to look into: a look makes none."""
    return config.enabled and (bool(config.url) or (config.data_path / FILE_NAME).exists())


def layouts_routes(config: StoreConfig) -> APIRouter:
    """Routes of layouts."""
    api = APIRouter(prefix="/api/layouts", default_response_class=Response)
    told: dict[int | str, dict[str, Any]] = {200: {"model": Layouts, "description": "What is kept now."}}
    refused = told | {
        404: PROBLEM | {"description": "No layout has that name."},
        422: PROBLEM | {"description": "It is no layout, there are too many, or nothing is stored here."},
        503: PROBLEM | {"description": "The database does not answer; see Retry-After."},
    }

    def listed(opened: Catalog) -> Response:
        kept = sorted(opened.layouts().items())
        return answer({"kept": True, "layouts": [{"name": name, "layout": json.loads(text)} for name, text in kept]})

    @api.get("", responses=told)
    def layouts() -> Response:
        """Every layout that some screen has kept here."""
        if not _anything(config):
            return answer({"kept": config.enabled, "layouts": []})
        with _catalog(config) as opened:
            return listed(opened)

    @api.put("", responses=refused)
    def keep(name: Name, layout: Document) -> Response:
        """Keep a layout under a name, in the place of the one that had it."""
        with _catalog(config) as opened:
            if len(opened.layouts().keys() - {name}) >= MOST:
                raise UsageError(f"{MOST} layouts are kept already; remove one first")
            opened.put_layout(name, layout.model_dump_json(), now_ms())
            return listed(opened)

    @api.delete("", responses=refused)
    def drop(name: Name) -> Response:
        """Forget a layout."""
        with _catalog(config) as opened:
            if not opened.delete_layout(name):
                raise NotFoundError(f"no layout is called {name!r}")
            return listed(opened)

    return api


def settings_routes(config: StoreConfig) -> APIRouter:
    """Routes of settings."""
    api = APIRouter(prefix="/api/settings", default_response_class=Response)
    told: dict[int | str, dict[str, Any]] = {
        200: {"model": Settings, "description": "What is kept now."},
        503: PROBLEM | {"description": "The database does not answer; see Retry-After."},
    }
    refused = told | {422: PROBLEM | {"description": "These are no settings, or nothing is stored."}}

    def all_of(opened: Catalog) -> Response:
        return answer({"kept": True, "settings": {name: json.loads(text) for name, text in opened.settings().items()}})

    @api.get("", responses=told)
    def settings() -> Response:
        """What the page remembers, by section, whichever screen changed it last."""
        if not _anything(config):
            return answer({"kept": config.enabled, "settings": {}})
        with _catalog(config) as opened:
            return all_of(opened)

    @api.put("", responses=refused)
    def keep(sections: Sections) -> Response:
        """Keep these sections, each in the place of the one that had its name; the others stay."""
        with _catalog(config) as opened:
            if len(opened.settings().keys() | sections.root) > MOST:
                raise UsageError(f"at most {MOST} sections of settings are kept")
            opened.put_settings({name: json.dumps(value) for name, value in sections.root.items()})
            return all_of(opened)

    return api
