"""The terminal dashboard: pictures at three sizes, every key, the API's numbers to the last digit, what is missing."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.color import ColorType
from textual.pilot import Pilot

from market_world import Served, World, serve
from tapewatch.client import Client, Stream
from tapewatch.model.views import FeedState
from tapewatch.tui.app import Dashboard, Help, json_of
from tapewatch.tui.board import View, panels_shown, screen, text_of
from tapewatch.tui.choice import PANELS, UNITS, WINDOWS, Choice, Panel
from tapewatch.tui.grid import Column, Span, chosen, fit, signed_bar, sparkline, table
from tapewatch.tui.listing import Listing
from tapewatch.tui.market import Market, Shown, as_json
from tapewatch.tui.palette import CLASSIC, COLOUR_SAFE, PALETTES, SIXTEEN
from tapewatch.tui.run import one_moment
from tui_world import COINS, FIXTURES, SIZES, fell_ill, moment, pictures, session
from waiting import WITHIN_S


@pytest.fixture
def world(tmp_path: Path) -> World:
    return session(tmp_path)


# -- pictures ---------------------------------------------------------------------------------------------------------


async def test_the_pictures_are_those_of_the_recorded_session(world: World) -> None:
    """Written anew with ``python tests/support/tui_world.py``; look at the difference before you keep it."""
    async with serve(world) as served:
        told = pictures(await moment(served))
    assert set(told) == {path.stem for path in FIXTURES.glob("*.txt")}
    for name, text in told.items():
        assert text == (FIXTURES / f"{name}.txt").read_text(encoding="utf-8"), name


async def test_every_line_is_exactly_as_wide_as_the_terminal(world: World) -> None:
    async with serve(world) as served:
        shown = await moment(served)
    for width, height in [*SIZES, (60, 16), (61, 17), (119, 35), (121, 41), (40, 10), (300, 90)]:
        for view in (View(), View(focus="whales"), View(focus="cvd", zoomed=True), View(paused_ms=7_000)):
            lines = screen(shown, view, width, height)
            assert [sum(cell_len(text) for text, _ in line) for line in lines] == [width] * height


def test_six_panels_two_or_one() -> None:
    assert panels_shown(View(), 120, 40) == PANELS
    assert panels_shown(View(), 80, 24) == ("flow", "cvd")
    assert panels_shown(View(focus="whales"), 80, 24) == ("clusters", "whales")
    assert panels_shown(View(focus="basis", zoomed=True), 200, 60) == ("basis",)


# -- the same numbers everywhere --------------------------------------------------------------------------------------


async def test_api_once_and_screen_tell_the_same_numbers(world: World) -> None:
    """One moment, read three ways: HTTP, `--once --json`, and the figures printed on the screen."""
    async with serve(world) as served:
        shown = await moment(served)
        flow = (await served.get("/api/flow", params={"symbols": "BTCUSDT,ETHUSDT"}))[1]["rows"]
        basis = [row for name in world.venues for row in (await served.get(f"/api/basis?exchange={name}"))[1]["rows"]]
        funding = (await served.get("/api/funding?exchange=all"))[1]["rows"]
        clusters = (await served.get("/api/liquidations/clusters?symbol=BTCUSDT"))[1]
        whales = (await served.get("/api/whales"))[1]
        cvd = (await served.get("/api/cvd?symbol=BTCUSDT&span=15m"))[1]
        exact = await served.text("/api/whales")
    told = json.loads(json_of(shown))["panels"]
    assert told["flow"]["rows"] == flow
    coins = {row["symbol"] for row in flow}
    for panel, rows in (("basis", basis), ("funding", funding)):
        assert by_name(told[panel]["rows"]) == by_name(row for row in rows if row["symbol"] in coins)
    assert told["whales"]["rows"] == whales["rows"]
    assert told["whales"]["flow"] == whales["flow"]
    (first, *_) = told["clusters"]["markets"]
    assert {name: first[name] for name in clusters if name != "server_ts"} == {
        name: value for name, value in clusters.items() if name != "server_ts"
    }
    assert told["cvd"]["ts"] == cvd["ts"]
    assert [one["net"] for one in told["cvd"]["series"]] == [one["net"] for one in cvd["series"]]
    assert told["cvd"]["divergences"] == cvd["divergences"]
    # Digit by digit: a decimal of the API comes out of `--once --json` as the same text.
    printed = re.compile(r'"(?:notional|low|quantity)": ?([0-9.]+)')
    assert set(printed.findall(exact)) <= set(printed.findall(json_of(shown).decode()))
    text = text_of(screen(shown, View(), 200, 60))
    for row in basis:
        if row["symbol"] in coins and row["basis_bps"] is not None:
            assert f"{Decimal(str(row['basis_bps'])):+.2f}" in text
    for row in funding:
        if row["symbol"] in coins:
            assert f"{Decimal(str(row['rate_8h_pct'])):+.4f}" in text


def by_name(rows: Any) -> dict[tuple[str, str], Any]:
    return {(row["exchange"], row["symbol"]): row for row in rows}


# -- what is missing --------------------------------------------------------------------------------------------------


async def test_a_venue_that_is_down_is_named_and_its_rows_are_faint(world: World) -> None:
    world.mode = "live"
    fell_ill(world, "okx", FeedState.DOWN, "the venue refuses us: HTTP 403, region blocked")
    async with serve(world) as served:
        shown = await moment(served)
    lines = screen(shown, View(), 120, 40)
    text = text_of(lines)
    assert "okx DOWN 12 s: the venue refuses us: HTTP 403," in text
    assert "✖ okx DOWN 12 s" in text
    assert "✖ binance" not in text
    roles = {role for line in lines for piece, role in line if piece.strip() in ("BTC-USDT-SWAP", "okx")}
    assert roles == {"faint"}
    row = next(line for line in lines if len(line) > 1 and line[1][0].startswith("BTC-USDT-SWAP"))
    first = row[1 : 1 + [text for text, role in row[1:]].index("│")]  # up to the bar's middle
    assert {role for text, role in first if text.strip()} == {"faint"}


async def test_what_no_venue_lists_and_what_is_no_derivative_say_so(world: World) -> None:
    async with serve(world) as served:
        with Client(served.url) as client:
            market = Market(Stream(served.url), client, Choice.of(("BTC", "FOO")))
            shown = await settled(market, replace(market.choice, coin="FOO"))
            assert shown.notes["cvd"] == ["no venue here lists FOO"]
            assert "no venue here lists FOO" in text_of(screen(shown, View(), 120, 40))
            market = Market(Stream(served.url), client, Choice.of(("BTC",)))
            shown = await settled(market, replace(market.choice, venue="binance-spot"))
            assert "binance-spot is a spot market: nobody is liquidated there" in shown.notes["clusters"]
            assert {row["exchange"] for row in shown.flow} == {"binance-spot"}
            market = Market(Stream(served.url), client, Choice.of(("BTC", "PEPE")))
            shown = await settled(market, replace(market.choice, venue="okx", coin="PEPE"))
            assert shown.notes["cvd"] == ["okx lists no market of PEPE"]


async def settled(market: Market, choice: Choice) -> Shown:
    """A market after the choice and all that follows from it."""
    async with market.stream:
        reading = asyncio.create_task(market.run())
        async with asyncio.timeout(WITHIN_S):
            while not market.complete:
                market.changed.clear()
                await market.changed.wait()
            await market.choose(choice)
            while not market.complete:
                market.changed.clear()
                await market.changed.wait()
        shown = market.shown()
        reading.cancel()
        await asyncio.wait([reading])
    return shown


async def test_a_basis_without_spot_says_why(world: World) -> None:
    async with serve(world) as served:
        with Client(served.url) as client:
            shown = await one_moment(client, Stream(served.url), ("AAPL",))
    for size in SIZES:
        assert "no spot market of AAPL" in text_of(screen(shown, View(focus="basis"), *size))


def test_thousands_of_a_coin_are_that_coin() -> None:
    listing = Listing()
    listing.arrange(("binance", "bybit"))
    row = {"quote": "USDT", "kind": "perp", "status": "TRADING", "tick_grid": [1, 2]}
    bases = ("BTC", "1000PEPE", "SHIB1000", "1INCH")
    listing.learn("bybit", [row | {"symbol": f"{base}USDT", "base": base} for base in bases])
    listing.learn("binance", [row | {"symbol": "BTCUSDC", "base": "BTC", "quote": "USDC"}])
    names = {
        coin: home.symbol for coin in ("PEPE", "SHIB", "1INCH", "BTC", "1000PEPEUSDT") if (home := listing.home(coin))
    }
    assert names == {
        "PEPE": "1000PEPEUSDT", "SHIB": "SHIB1000USDT", "1INCH": "1INCHUSDT", "BTC": "BTCUSDC",
        "1000PEPEUSDT": "1000PEPEUSDT",
    }  # fmt: skip
    assert listing.is_of("PEPE", "bybit", "1000PEPEUSDT")


# -- keys -------------------------------------------------------------------------------------------------------------


@dataclass
class Seat:
    """Somebody at the dashboard."""

    app: Dashboard
    pilot: Pilot[str]
    folder: Path

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait for what a key brings from the server."""
        async with asyncio.timeout(WITHIN_S):
            while not there():
                self.app.market.changed.clear()
                await self.app.market.changed.wait()
        self.app.draw()
        await self.pilot.pause()

    @property
    def text(self) -> str:
        """What stands on the terminal."""
        compositor = self.app.screen._compositor
        strips = compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@asynccontextmanager
async def seated(served: Served, folder: Path, size: tuple[int, int] = (120, 40)) -> AsyncIterator[Seat]:
    with Client(served.url) as client:
        app = Dashboard(Stream(served.url), client, COINS, CLASSIC, folder)
        async with app.run_test(size=size) as pilot:
            seat = Seat(app, pilot, folder)
            await seat.until(lambda: app.market.complete)
            yield seat


async def test_the_terminal_shows_the_lines_of_the_board(world: World, tmp_path: Path) -> None:
    async with serve(world) as served:
        for size in SIZES:
            async with seated(served, tmp_path, size) as seat:
                seat.app.action_pause()
                await seat.pilot.pause()
                lines = screen(seat.app.shown, seat.app.view, *size)
                assert [line.rstrip() for line in seat.text.split("\n")] == text_of(lines).rstrip("\n").split("\n")
                assert "PAUSED at 00:15:00" in seat.text
                assert "ORDER" in seat.app.export_screenshot()


async def test_keys_for_symbol_and_venues(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path) as seat:
        market = seat.app.market
        assert (market.choice.coin, market.choice.venue) == ("BTC", "all")
        await seat.press("s")
        await seat.until(lambda: market.complete)
        shown = seat.app.shown
        assert shown.choice.coin == "ETH"
        assert (shown.clusters[0]["symbol"], shown.cvd and shown.cvd.meta["symbol"]) == ("ETHUSDT", "ETHUSDT")
        assert shown.flow[0]["symbol"] == "ETHUSDT"  # what is looked at comes first
        await seat.press("S")
        assert market.choice.coin == "BTC"
        await seat.press("3")
        assert market.choice.coin == "SOL"
        assert "no venue here lists SOL" in seat.text
        await seat.press("9", "1")  # the ninth does not exist
        assert market.choice.coin == "BTC"
        seen = []
        for _ in range(4):
            await seat.press("v")
            await seat.until(lambda: market.complete)
            seen.append(market.choice.venue)
            told = seat.app.shown
            venues = {row["exchange"] for row in [*told.flow, *told.basis, *told.funding, *told.whales]}
            assert seen[-1] == "all" or venues == {seen[-1]}
        assert seen == ["binance", "binance-spot", "okx", "all"]


@pytest.mark.parametrize("panel", PANELS)
async def test_keys_for_window_and_unit_go_to_the_panel_with_the_focus(
    world: World, tmp_path: Path, panel: Panel
) -> None:
    async with serve(world) as served, seated(served, tmp_path) as seat:
        market = seat.app.market
        while seat.app.view.focus != panel:
            await seat.press("tab")
        pictures = set()
        for key, values, read in (("t", WINDOWS[panel], Choice.window), ("u", UNITS[panel], Choice.unit)):
            seen = []
            for _ in values:
                seen.append(read(market.choice, panel))
                await seat.until(lambda: market.complete)
                pictures.add(
                    text_of(screen(seat.app.shown, seat.app.view, 200, 60)).replace(str(seat.app.shown.now_ms), "")
                )
                await seat.press(key)
            assert tuple(seen) == values
            assert read(market.choice, panel) == values[0]
        others = [one for one in PANELS if one != panel]
        assert all(market.choice.window(one) == WINDOWS[one][0] for one in others)
        assert len(pictures) >= len(WINDOWS[panel]) + len(UNITS[panel]) - 1


async def test_keys_that_move_enlarge_and_pause(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path) as seat:
        app = seat.app
        for key, focus in (
            ("tab", "cvd"), ("shift+tab", "flow"), ("j", "basis"), ("l", "funding"), ("k", "cvd"), ("h", "flow"),
            ("down", "basis"), ("right", "funding"), ("up", "cvd"), ("left", "flow"),
        ):  # fmt: skip
            await seat.press(key)
            assert app.view.focus == focus
        await seat.press("enter")
        assert "BASIS" not in seat.text
        assert "Enter back" in seat.text
        await seat.press("escape")
        assert "BASIS" in seat.text
        await seat.press("enter", "enter")
        assert not app.view.zoomed
        await seat.press("p")
        frozen = seat.app.shown
        assert "PAUSED" in seat.text
        assert "LIVE" not in seat.text
        assert seat.app.shown is frozen
        await seat.press("space")
        assert seat.app.shown is not frozen
        assert "PAUSED" not in seat.text
        await seat.press("p", "s")  # what is asked for anew is not what stood still
        assert "PAUSED" not in seat.text


async def test_two_panels_in_a_small_terminal_and_tab_for_the_next_two(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path, (80, 24)) as seat:
        pairs = []
        for _ in range(4):
            pairs.append(
                tuple(
                    name
                    for name in ("ORDER FLOW", "CVD DIV", "BASIS", "FUNDING", "LIQUID", "WHALES")
                    if name in seat.text
                )
            )
            await seat.press("tab")
        assert pairs == [
            ("ORDER FLOW", "CVD DIV"),
            ("BASIS", "FUNDING"),
            ("LIQUID", "WHALES"),
            ("ORDER FLOW", "CVD DIV"),
        ]
        await seat.press("shift+tab", "j")
        assert seat.app.view.focus == "cvd"
        await seat.pilot.resize_terminal(120, 40)
        await seat.pilot.pause()
        await seat.press("h")
        assert "WHALES" in seat.text
        assert "ORDER FLOW" in seat.text


def exported(folder: Path) -> list[Path]:
    return list(folder.glob("tapewatch-*.json"))


async def test_keys_for_export_colours_help_and_quit(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path) as seat:
        await seat.press("p", "e")
        (path,) = exported(tmp_path)
        assert f"all panels written to {path}"[:90] in seat.text
        assert json.loads(path.read_bytes()) == json.loads(json.dumps(as_json(seat.app.shown), default=float))
        for name in ("colour-safe", "16", "classic"):
            await seat.press("c")
            assert seat.app.palette is PALETTES[name]
            assert f"colours: {name}" in seat.text
        await seat.press("question_mark")
        assert isinstance(seat.app.screen, Help)
        for name in ("symbol", "window", "unit", "venues", "pause", "export", "colours", "quit"):
            assert name in seat.text
        await seat.press("escape")
        assert not isinstance(seat.app.screen, Help)
        await seat.press("q")
        assert seat.app._exit


async def test_an_export_that_cannot_be_written_says_why(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path / "gone") as seat:
        await seat.press("e")
        assert "not written, No such file or directory" in seat.text


async def test_a_lost_server_is_told_on_every_panel_and_comes_back(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, seated(served, tmp_path) as seat:
        market = seat.app.market
        socket = market.stream._socket
        assert socket is not None
        market.stream.address.http = "http://127.0.0.1:9"
        socket.transport.abort()
        async with asyncio.timeout(WITHIN_S):
            while seat.text.count("✖ DISCONNECTED") < 6:
                await seat.pilot.pause(0.01)
                seat.app.draw()
        market.stream.address.http = served.url
        await seat.until(lambda: market.stream.phase == "open" and market.complete)
        assert "DISCONNECTED" not in seat.text


# -- colours ----------------------------------------------------------------------------------------------------------


def test_sixteen_colours_are_the_terminals_own() -> None:
    for role in SIXTEEN.colours:
        style = SIXTEEN.style(role)
        assert style.color is not None
        assert style.color.type in (ColorType.STANDARD, ColorType.DEFAULT)
        assert style.bgcolor is None


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [CLASSIC, COLOUR_SAFE], ids=lambda one: one.name)
def test_every_figure_can_be_read_on_the_background(palette: Any) -> None:
    assert set(palette.colours) == set(SIXTEEN.colours)
    for role, colour in palette.colours.items():
        least = 2.5 if role in ("faint", "frame") else 4.5  # frames are lines, faint is what is not the present
        assert contrast(colour, palette.background) >= least, role


# -- text in cells ----------------------------------------------------------------------------------------------------


def test_words_are_cut_and_figures_are_not() -> None:
    assert fit("binance-spot", 7) == "binanc…"
    assert fit("84282.82711", 7, "right") == "#######"
    assert cell_len(fit("币安人生USDT", 8)) == 8
    assert fit("x", 4, "center") == " x  "


def test_columns_give_way_and_grow() -> None:
    columns = [Column("a", "a", 4, "left", grow=1), Column("b", "b", 5, drop=1), Column("c", "c", 5, drop=2)]
    assert [(one.id, wide) for one, wide in chosen(columns, 30)] == [("a", 18), ("b", 5), ("c", 5)]
    assert [one.id for one, _ in chosen(columns, 15)] == ["a", "b"]
    assert [one.id for one, _ in chosen(columns, 6)] == ["a"]
    rows: list[Any] = [
        {"a": ("one", "text"), "b": Span("runs on and on")},
        *({"a": (str(k), "text")} for k in range(9)),
    ]
    assert text_of(table(columns, rows, 20, 4)).split("\n") == [
        "a            b     c", "one      runs on an…", "0", "… 8 more (Enter enl…", "",
    ]  # fmt: skip


def test_bars_and_sparklines() -> None:
    def text(draw: Any, width: int) -> str:
        return "".join(piece for piece, _ in draw(width))

    assert text(signed_bar(1.0), 9) == "    │████"
    assert text(signed_bar(-0.5), 9) == "  ██│"
    assert text(signed_bar(-0.1), 11) == "    ▐│"
    assert text(signed_bar(0.0), 9) == "    │"
    assert text(sparkline([0, 1, 2, 3], "buy"), 4) == "▁▃▆█"
    assert text(sparkline([float("nan"), 5.0], "buy"), 4) == "   ▁"
    assert text(sparkline([float("nan")], "buy"), 4) == ""
