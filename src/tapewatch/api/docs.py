"""/docs: the OpenAPI document as one plain page. It needs no script and nothing from another server."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
:root{color-scheme:dark;background:#1e1e1e;color:#e0e0e0;font:14px/1.5 system-ui,sans-serif}
body{max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1rem;margin:2.2rem 0 .2rem;border-top:1px solid #3a3a3a;padding-top:1rem}
code,h2 b{font-family:ui-monospace,monospace}h2 b{color:#00ff88;font-weight:600;margin-right:.6em}
a{color:#ffaa00}table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-bottom:1px solid #2c2c2c}
th{color:#9a9a9a;font-weight:500}summary{cursor:pointer;color:#9a9a9a}
"""

SOCKETS = """
## /ws/orderflow
Footprint of one symbol: a snapshot of the last candles, then the current candle whole on every change; a candle that
closes is sent once more with `"final":true`. Query: `exchange` (binance), `symbol` (BTCUSDT), `tf` (1m), `step` (0.5),
`lookback` (30), `emit_ms` (300; 50 to 60000). A wrong parameter closes with 1008 and a sentence.
## /ws/{symbol}
Top of the book, once a second: mid_price, spread, microprice, imbalance and ofi over ten levels, bid_levels,
ask_levels. All null, with a reason, while the book is not live. Query: `exchange` (binance).
## /ws/stream
The page's own multiplexed stream of binary columns; the protocol is written down in docs/stream.md.
"""


def docs_page(document: dict[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    title = f"{escape(info['title'])} {escape(info['version'])}"
    head = (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>{title}</title><style>{STYLE}</style></head>"
        f"<body><h1>{title}</h1><p>{escape(info['description'])} <a href=/openapi.json>openapi.json</a></p>"
    )
    parts = [head]
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.extend(_operation(path, method, operation, schemas))
    parts.extend(_sockets())
    parts.append("</body></html>")
    return "".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    yield f"<h2><b>{method.upper()}</b><a href='{escape(path)}'>{escape(path)}</a></h2>"
    yield f"<p>{_prose(operation.get('description', ''))}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>parameter<th>allowed<th>default<th>meaning</tr>"
        for parameter in parameters:
            schema = parameter["schema"]
            default = schema.get("default", "")
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(_kind(schema))}"
                f"<td><code>{escape(str(default))}</code><td>{_prose(parameter.get('description', ''))}</tr>"
            )
        yield "</table>"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _schema(content["schema"]["$ref"].rpartition("/")[2], schemas)
    for status, response in operation["responses"].items():
        yield f"<details><summary>{escape(status)} {escape(response['description'])}</summary>"
        for content in response.get("content", {}).values():
            name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if name:
                yield from _schema(name, schemas)
        yield "</details>"


def _schema(name: str, schemas: dict[str, Any]) -> Iterator[str]:
    """A structure as a table, and after it the structures it is made of."""
    schema = schemas[name]
    yield f"<p><b>{escape(name)}</b> {_prose(schema.get('description', ''))}</p><table>"
    inside: list[str] = []
    for field, kind in schema.get("properties", {}).items():
        words = _prose(kind.get("description", ""))
        yield f"<tr><td><code>{escape(field)}</code><td>{escape(_kind(kind))}<td>{words}</tr>"
        inside += [ref for ref in _references(kind) if ref not in inside]
    yield "</table>"
    for ref in inside:
        yield from _schema(ref, schemas)


def _references(kind: dict[str, Any]) -> Iterator[str]:
    if "$ref" in kind:
        yield kind["$ref"].rpartition("/")[2]
    for inner in (*kind.get("anyOf", ()), *([kind["items"]] if isinstance(kind.get("items"), dict) else ())):
        yield from _references(inner)


def _kind(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"]).lower()
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" from {low}" * (low is not None) + f" to {high}" * (high is not None)
    return f"{schema.get('type', 'any')}{bounds}"


def _sockets() -> Iterator[str]:
    for section in SOCKETS.strip().removeprefix("## ").split("\n## "):
        title, _, text = section.partition("\n")
        yield f"<h2><b>WS</b>{escape(title)}</h2><p>{_prose(text)}</p>"


def _prose(text: str) -> str:
    """Text with `code` in it."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if k % 2 else piece for k, piece in enumerate(pieces))
