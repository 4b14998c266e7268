"""HTTP, websockets and the page: the same views for everybody, checked and bounded at the door."""

from .app import create_app

__all__ = ["create_app"]
