"""REST under the budget, against a real HTTP server that answers what the test says."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from feed_api import MINUTE_NS, Api, Clock, client, used
from ports import kept_port
from tapewatch.feed import rest as module
from tapewatch.feed.binance_usdm import BinanceUsdmRest
from tapewatch.feed.budget import Priority
from tapewatch.feed.clock import ClockOffset
from tapewatch.feed.proxy import proxy_for
from tapewatch.feed.rest import (
    BlockedError,
    OverloadedError,
    RateLimitedError,
    RefusedError,
    RestError,
    UnreachableError,
    VenueRest,
)
from waiting import WITHIN_S, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)


async def test_an_answer_brings_its_body_and_the_venues_own_count() -> None:
    api = Api(used(77, '{"serverTime":1791391082024}'))
    async with client(api) as rest:
        await rest.synchronise()
        assert rest.offset.ms == 1791391082024 - rest._clock() / 1e6
        assert rest.budget.used(rest.venue_ms()) == 77
        assert await rest.depth("币安人生USDT", 100, Priority.BOOK) == b'{"serverTime":1791391082024}'
    assert api.requests == ["/fapi/v1/time", "/fapi/v1/depth?symbol=%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT&limit=100"]


async def test_every_endpoint_costs_what_the_venue_lists() -> None:
    api = Api(web.Response(text="[]"))  # tells no count: what was granted stays booked
    async with client(api) as rest:
        for request, weight in (
            (rest.instruments(), 1),
            (rest.volumes(), 40),
            (rest.premium_index(), 10),
            (rest.open_interest("A"), 1),
            (rest.daily_klines("A", 30), 1),
            (rest.daily_klines("A", 365), 2),
            (rest.depth("A", 1000, Priority.BOOK), 20),
            (rest.trades("A", 7, 5000, Priority.BACKFILL), 20),
        ):
            before = rest.budget.used(rest.venue_ms())
            await request
            assert rest.budget.used(rest.venue_ms()) - before == weight
    assert api.requests[2:5] == [
        "/fapi/v1/premiumIndex",
        "/fapi/v1/openInterest?symbol=A",
        "/fapi/v1/klines?symbol=A&interval=1d&limit=31",
    ]
    assert api.requests[-1] == "/fapi/v1/aggTrades?symbol=A&fromId=7&limit=1000"


@pytest.mark.parametrize(
    ("answer", "kind", "sentence", "tries"),
    [
        (web.Response(status=503, text="<html>"), OverloadedError, "answers HTTP 503", 3),
        (web.Response(status=451), BlockedError, "does not serve this place (HTTP 451)", 1),
        (web.Response(status=403, text="<html>"), BlockedError, "refuses this address (HTTP 403)", 1),
        (web.Response(status=400, text='{"code":-1121,"msg":"Invalid symbol."}'), RefusedError, "Invalid symbol.", 1),
        (web.Response(status=404, text="<html>"), RefusedError, "no reason given", 1),
        (None, UnreachableError, "in the middle of an answer", 3),
    ],
    ids=["503", "451", "403", "400", "404", "half"],
)
async def test_failures_are_typed_and_only_some_are_tried_again(
    answer: web.Response | None, kind: type[RestError], sentence: str, tries: int
) -> None:
    api = Api(answer)
    async with client(api) as rest:
        with pytest.raises(kind) as caught:
            await rest.instruments()
        assert sentence in str(caught.value)
        assert len(api.requests) == tries
        assert rest.budget.used(rest.venue_ms()) == tries  # what was sent may have been counted


async def test_a_failure_that_passes_is_not_noticed() -> None:
    api = Api(web.Response(status=502), None, used(3, "[]"))
    async with client(api) as rest:
        assert await rest.volumes() == b"[]"


async def test_a_venue_that_never_answers_and_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", 0.1)
    monkeypatch.setattr(VenueRest, "attempts", 1)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, BinanceUsdmRest(f"http://127.0.0.1:{port}") as rest:
        with pytest.raises(UnreachableError, match="does not answer in time"):
            await rest.instruments()
    monkeypatch.setattr(module, "ANSWER_WITHIN_S", WITHIN_S)  # of the others only the reason is meant
    with kept_port() as port:
        async with BinanceUsdmRest(f"http://127.0.0.1:{port}") as rest:
            with pytest.raises(UnreachableError, match="refuses the connection"):
                await rest.instruments()
    async with BinanceUsdmRest("http://no-such-host.invalid") as rest:
        with pytest.raises(UnreachableError, match="cannot be resolved"):
            await rest.instruments()


async def test_a_ban_stops_everything_until_it_is_over() -> None:
    clock = Clock()
    until_ms = clock.ns // 1_000_000 + 120_000
    ban = web.Response(status=418, text=f'{{"code":-1003,"msg":"Way too many requests; banned until {until_ms}."}}')
    api = Api(ban, used(1))
    async with client(api, clock) as rest:
        request = asyncio.create_task(rest.instruments())
        await until(lambda: rest.budget.refusals == 1)
        await asyncio.sleep(0.1)  # long enough for a retry that would ignore the ban
        assert len(api.requests) == 1
        clock.ns += 119_999_000_000
        rest._serve()
        await asyncio.sleep(0.02)
        assert len(api.requests) == 1
        clock.ns += 1_000_000
        rest._serve()
        assert await asyncio.wait_for(request, WITHIN_S) == [b"{}"]


async def test_after_a_firewalls_403_nothing_is_asked_until_the_next_minute() -> None:
    """It may be about our rate: each of hundreds of requests to come would be one more reason to block us."""
    clock = Clock()
    api = Api(web.Response(status=403, text="<html>"), used(1))
    async with client(api, clock) as rest:
        with pytest.raises(BlockedError):
            await rest.instruments()
        assert rest.budget.held_until_ms == 29_856_519 * 60_000
        assert "refuses this address (HTTP 403)" in rest.refusal
        clock.ns += MINUTE_NS
        assert await rest.instruments() == [b"{}"]


async def test_a_limit_that_stays_used_up_is_told() -> None:
    clock = Clock()

    def limited(_: web.Request) -> web.Response:
        clock.ns += 2_000_000_000
        return web.Response(status=429, headers={"Retry-After": "1"})

    api = Api(limited)
    async with client(api, clock) as rest:
        request = asyncio.create_task(rest.instruments())
        for tries in range(1, module.ATTEMPTS + 1):
            await until(lambda tries=tries: rest.budget.refusals == tries)  # type: ignore[misc]
            clock.ns += 2_000_000_000
            rest._serve()
        with pytest.raises(RateLimitedError, match=r"rate limit is used up \(HTTP 429\); nothing is asked for 1 s"):
            await asyncio.wait_for(request, WITHIN_S)


async def test_the_urgent_overtake_the_bulk_and_nobody_overtakes_within_a_priority() -> None:
    clock, order = Clock(), list[str]()

    async def turn(name: str, priority: Priority) -> None:
        await rest._turn(5, priority)
        order.append(name)

    async with client(Api(used(2400)), clock) as rest:
        await rest.instruments()  # the minute is used up
        waiting = [("T0", Priority.BOOK), ("T1", Priority.BOOK), ("X", Priority.VISIBLE_BOOK)]
        waiting += [("G0", Priority.GAP_FILL), ("T2", Priority.BOOK), ("G1", Priority.GAP_FILL)]
        tasks = {name: asyncio.create_task(turn(name, priority)) for name, priority in waiting}
        await asyncio.sleep(0)
        rest._serve()
        assert not order
        tasks.pop("X").cancel()
        await asyncio.sleep(0)
        clock.ns += MINUTE_NS
        rest._serve()
        await asyncio.wait_for(asyncio.gather(*tasks.values()), WITHIN_S)
    assert order == ["G0", "G1", "T0", "T1", "T2"]


async def test_a_cancelled_request_gives_its_weight_back_if_it_was_never_sent() -> None:
    clock = Clock()
    async with client(Api(used(2400)), clock) as rest:
        await rest.instruments()
        task = asyncio.create_task(rest._turn(500, Priority.BOOK))
        await asyncio.sleep(0)
        clock.ns += MINUTE_NS
        rest._serve()
        assert rest.budget.used(rest.venue_ms()) == 500
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert rest.budget.used(rest.venue_ms()) == 0


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://fapi.binance.com", "http://proxy:1"),
        ("wss://fstream.binance.com/market/stream", "http://proxy:1"),
        ("http://venue.test", "http://proxy:2"),
        ("ws://venue.test", "http://proxy:2"),
        ("wss://near.example", None),
        ("ws://127.0.0.1:8000/x", None),
        ("http://[::1]:8000", None),
        ("http://localhost:8000", None),
    ],
)
def test_the_environments_proxy_is_used_but_not_for_this_machine(
    url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("https", "http://proxy:1"), ("http", "http://proxy:2"), ("no", "near.example")):
        monkeypatch.setenv(f"{name}_proxy", value)
    assert proxy_for(url) == proxy


async def test_a_stranger_at_the_address_is_called_one() -> None:
    async with client(Api(web.Response(text="<html>It works!</html>"))) as rest:
        with pytest.raises(RefusedError, match="does not answer like Binance USD-M futures"):
            await rest.synchronise()


@settings(deadline=None)
@given(
    st.floats(-1e7, 1e7),
    st.lists(st.tuples(st.floats(0, 800), st.floats(0, 1)), min_size=1, max_size=20),
)
def test_the_clock_is_known_to_half_the_shortest_round_trip(offset: float, trips: list[tuple[float, float]]) -> None:
    """However unevenly the way there and back share a round trip."""
    clock = ClockOffset()
    now = 1e12
    for trip, share in trips:
        clock.add(now, now + trip, now + trip * share + offset)
        now += 1000
    assert clock.ms is not None
    assert abs(clock.ms - offset) <= min(trip for trip, _ in trips[-8:]) / 2 + 0.01


def test_a_clock_that_was_set_is_believed_at_once() -> None:
    clock = ClockOffset()
    clock.add(1000, 1001, 1000.5)
    clock.add(2000, 2040, 2020 + 3_600_000)
    assert clock.ms == 3_600_000
