"""The door: tokens, origins, host names and bounds, on every route and websocket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs

from market_world import Served, World, serve
from tapewatch.config import Config

TOKEN = "correct-horse-battery"  # noqa: S105 - of this test
ROUTES = ["/", "/docs", "/openapi.json", "/metrics", "/api/symbols", "/api/screener", "/api/book", "/nothing"]
SOCKETS = ["/ws/orderflow", "/ws/stream", "/ws/BTCUSDT"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def world_listing(tmp_path: Path, *origins: str) -> World:
    config = Config()
    return World(
        tmp_path, config=structs.replace(config, server=structs.replace(config.server, allowed_origins=origins))
    )


async def handshake(served: Served, path: str, **kwargs: Any) -> int:
    """Status of a websocket handshake; 101 when it opens."""
    try:
        async with served.ws(path, **kwargs):
            return 101
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status


async def status(served: Served, path: str, **kwargs: Any) -> int:
    async with served.http.get(served.url + path, allow_redirects=False, **kwargs) as answer:
        return answer.status


@pytest.mark.parametrize("wrong", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
async def test_with_a_token_everything_but_health_wants_it(world: World, wrong: dict[str, str]) -> None:
    async with serve(world, TOKEN) as served:
        for path in ROUTES:
            assert await status(served, path, headers=wrong) == 401
        for path in SOCKETS:
            assert await handshake(served, path, headers=wrong) == 401
        assert await status(served, "/health", headers=wrong) == 200
        async with served.http.get(served.url + "/api/symbols", headers=wrong) as answer:
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "binance" not in await answer.text()


async def test_token_opens_as_bearer_or_query(world: World) -> None:
    async with serve(world, TOKEN) as served:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert await status(served, "/api/symbols", headers=bearer) == 200
        assert await status(served, f"/api/symbols?token={TOKEN}") == 200
        assert await status(served, "/api/symbols?token=") == 401
        assert await status(served, f"/api/symbols?token={TOKEN}x") == 401
        assert await status(served, "/api/symbols?token=%FF%00") == 401
        for path in SOCKETS:
            assert await handshake(served, path, headers=bearer) == 101
            assert await handshake(served, f"{path}?token={TOKEN}") == 101


async def test_opening_the_page_with_the_token_leaves_a_cookie_and_a_clean_address(
    world: World, tmp_path: Path
) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "index.html").write_text("the page")
    async with serve(world, TOKEN, static=static) as served:
        jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of IP addresses, as browsers do
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            page = f"{served.url}/?panels=footprint&token={TOKEN}"
            async with browser.get(page, allow_redirects=False) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/?panels=footprint")
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie
                assert "SameSite=strict" in cookie
                assert TOKEN not in cookie
            async with browser.get(f"{served.url}/?panels=footprint") as answer:
                assert (answer.status, await answer.text()) == (200, "the page")
            async with browser.ws_connect(f"{served.url}/ws/stream") as ws:
                await ws.send_json({"op": "ping", "t": 1})
                assert (await ws.receive_json())["op"] == "pong"
        async with aiohttp.ClientSession(cookies={"tapewatch_access": "0" * 64}) as forger:
            assert (await forger.get(f"{served.url}/api/symbols")).status == 401


async def test_the_token_is_in_no_answer_and_no_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with serve(world, TOKEN) as served:
        texts = [
            await served.text(f"{path}?token={TOKEN}") for path in ("/api/footprint", "/nothing", "/metrics", "/docs")
        ]
        assert await handshake(served, f"/ws/orderflow?token={TOKEN}") == 101
        assert await handshake(served, f"/ws/orderflow?token={TOKEN}x") == 401
    assert TOKEN not in "".join(texts)
    assert "/ws/orderflow" in caplog.text
    assert TOKEN not in caplog.text
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("localhost:1234", 200),
        ("127.0.0.1:8000", 200),
        ("127.8.8.8", 200),
        ("[::1]:8000", 200),
        ("tapewatch.localhost", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.5:8000", 421),
        ("[::1", 421),
        ("0.0.0.0", 421),  # noqa: S104 - a name, not an address to bind
    ],
)
async def test_without_a_token_only_names_of_this_machine_are_answered(world: World, host: str, expected: int) -> None:
    async with serve(world) as served:
        assert await status(served, "/api/symbols", headers={"Host": host}) == expected
        assert await handshake(served, "/ws/stream", headers={"Host": host}) == (101 if expected == 200 else 421)


async def test_foreign_pages_are_refused_and_our_own_and_programs_are_not(world: World) -> None:
    async with serve(world) as served:
        port = served.url.rpartition(":")[2]
        own = {"Origin": served.url}
        assert await status(served, "/api/symbols", headers=own) == 200
        assert await status(served, "/api/symbols") == 200
        for path in SOCKETS:
            assert await handshake(served, path, headers=own) == 101
        for origin in ("https://evil.example", "null", f"http://localhost:{port}", "http://127.0.0.1:1", "garbage"):
            assert await status(served, "/api/symbols", headers={"Origin": origin}) == 403
            for path in SOCKETS:
                assert await handshake(served, path, headers={"Origin": origin}) == 403


async def test_what_a_browser_fetches_for_another_site_is_refused_without_an_origin_too(world: World) -> None:
    async with serve(world) as served:
        for site in ("cross-site", "same-site"):
            fetched = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
            assert await status(served, "/api/symbols", headers=fetched) == 403
            followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
            assert await status(served, "/docs", headers=followed) == 200
        assert await status(served, "/api/symbols", headers={"Sec-Fetch-Site": "same-origin"}) == 200
        assert await status(served, "/api/symbols", headers={"Sec-Fetch-Site": "none"}) == 200


async def test_a_listed_origin_may_read_and_connect(tmp_path: Path) -> None:
    async with serve(world_listing(tmp_path, "https://desk.example"), TOKEN) as served:
        desk = {"Origin": "https://desk.example", "Authorization": f"Bearer {TOKEN}"}
        async with served.http.get(served.url + "/api/symbols", headers=desk) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example"
            assert "Origin" in answer.headers["Vary"]
        assert await handshake(served, "/ws/stream", headers=desk) == 101
        asks = {"Origin": "https://desk.example", "Access-Control-Request-Method": "GET"}
        async with served.http.options(served.url + "/api/symbols", headers=asks) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Headers"] == "Authorization"
        assert await status(served, "/api/symbols", headers={"Origin": "https://desk.example"}) == 401
        for other in ("http://desk.example", "https://desk.example:444", "https://desk.example.evil"):
            refused = desk | {"Origin": other}
            assert await status(served, "/api/symbols", headers=refused) == 403
            async with served.http.options(served.url + "/api/symbols", headers=asks | refused) as answer:
                assert answer.status == 403
                assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_large_request_is_refused_with_or_without_a_length(tmp_path: Path) -> None:
    config = Config()
    config = structs.replace(config, limits=structs.replace(config.limits, request_bytes=1024))
    async with serve(World(tmp_path, config=config)) as served:
        async with served.http.get(served.url + "/api/symbols", data=b"x" * 2000) as answer:
            assert answer.status == 413
        async with served.http.get(served.url + "/api/symbols", headers={"Content-Length": "9" * 30}) as answer:
            assert answer.status in (400, 413)

        async def chunks() -> Any:
            for _ in range(100):
                yield b"x" * 1000

        async with served.http.get(served.url + "/api/symbols", data=chunks()) as answer:
            assert answer.status in (200, 413)  # no route reads a body: it is never held
        assert await status(served, "/api/symbols") == 200


async def test_a_websocket_where_there_is_none(world: World) -> None:
    async with serve(world) as served:
        assert await handshake(served, "/nothing") == 404
        assert await handshake(served, "/api/symbols") == 404
        assert await handshake(served, "/ws/a/b") == 404


async def test_clients_are_bounded_and_room_comes_back(tmp_path: Path) -> None:
    config = Config()
    config = structs.replace(config, limits=structs.replace(config.limits, clients=2))
    async with serve(World(tmp_path, config=config)) as served:
        async with served.ws("/ws/stream") as one, served.ws("/ws/BTCUSDT"):
            await one.send_json({"op": "ping"})
            assert (await one.receive_json())["op"] == "pong"
            for path in SOCKETS:
                assert await handshake(served, path) == 503
        while True:  # the server notices that they have left when their close frames have been read
            if await handshake(served, "/ws/stream") == 101:
                break
