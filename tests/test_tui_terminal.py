"""The dashboard in a real terminal: what it writes, in how many colours, how it starts, and what a slow one costs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyte
import pytest

from market_world import World, serve
from program import environment, run
from tapes import tape, trade
from tui_world import session
from waiting import WITHIN_S

PAGE_BYTES = 4096


@dataclass
class Terminal:
    """A pseudo terminal with a program in it, read by an emulator as fast as the test wants."""

    process: subprocess.Popen[bytes]
    master: int
    screen: pyte.Screen
    written: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._stream = pyte.ByteStream(self.screen)

    async def read(self, most: int = 65_536) -> int:
        """Take what is there, at most so many bytes."""
        try:
            data = os.read(self.master, most)
        except BlockingIOError:
            await asyncio.sleep(0.01)
            return 0
        except OSError:  # the program has ended and closed its side
            return 0
        self.written += data
        self._stream.feed(data)
        return len(data)

    async def until(self, words: str) -> None:
        """Read until words stand on the screen."""
        async with asyncio.timeout(WITHIN_S):
            while words not in self.text:
                if not await self.read() and self.process.poll() is not None:
                    raise AssertionError(f"the program ended:\n{self.text}")
                await asyncio.sleep(0)

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def resident(self) -> int:
        """Bytes of memory the program holds."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def opened(home: Path, arguments: Sequence[str], size: tuple[int, int], settings: dict[str, str]) -> Terminal:
    """The program, started in a terminal of this size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    os.set_blocking(master, False)
    variables = environment(home) | {"TERM": "xterm-256color", "COLORTERM": "truecolor"} | settings
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        variables.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-m", "tapewatch", "tui", *arguments],
        cwd=home, env=variables, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    return Terminal(process, master, pyte.Screen(*size))


@asynccontextmanager
async def terminal(
    home: Path, *arguments: str, size: tuple[int, int] = (120, 40), settings: dict[str, str] | None = None
) -> AsyncIterator[Terminal]:
    """``tapewatch tui`` in a terminal of its own."""
    shown = opened(home, arguments, size, settings or {})
    try:
        yield shown
    finally:
        if shown.process.poll() is None:
            shown.process.send_signal(signal.SIGKILL)
        shown.process.wait()
        os.close(shown.master)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return session(tmp_path)


async def test_it_starts_shows_and_leaves(world: World, tmp_path: Path) -> None:
    async with serve(world) as served, terminal(tmp_path, "--url", served.url) as shown:
        await shown.until("WHALES")
        await shown.until("BTC-USDT-SWAP")
        assert "ORDER FLOW" in shown.text
        shown.press(b"?")
        await shown.until("Keys")
        shown.press(b"\r")
        await shown.until("Enter enlarge")
        shown.press(b"q")
        async with asyncio.timeout(WITHIN_S):
            while shown.process.poll() is None:
                await shown.read()
        assert shown.process.returncode == 0


@pytest.mark.parametrize("how", ["terminal", "flag"])
async def test_a_terminal_of_sixteen_colours_gets_no_other(world: World, tmp_path: Path, how: str) -> None:
    arguments = ["--colours", "16"] if how == "flag" else []
    settings = {} if how == "flag" else {"TERM": "xterm", "COLORTERM": ""}
    async with serve(world) as served, terminal(tmp_path, "--url", served.url, *arguments, settings=settings) as shown:
        await shown.until("BTC-USDT-SWAP")
        assert b"38;2;" not in shown.written
        assert b"38;5;" not in shown.written
        assert b"48;2;" not in shown.written
        colours = {shown.screen.buffer[y][x].fg for y in range(40) for x in range(120)}
        assert {"brightgreen", "brightred", "cyan"} <= colours or {"green", "red", "cyan"} <= colours


async def test_a_terminal_that_is_slow_slows_nothing_and_costs_no_memory(world: World, tmp_path: Path) -> None:
    """For 200 changes of the market the terminal takes next to nothing; then it shows the newest at once."""
    engine = world.venue.engine
    number, clock = 1_000, engine.clock_ms
    async with serve(world) as served, terminal(tmp_path, "--url", served.url, size=(200, 60)) as shown:
        await shown.until("BTC-USDT-SWAP")
        before = shown.resident()
        updates = 0
        while updates < 200:
            number, clock = number + 1, clock + 1_000
            engine.apply(tape([trade(number, clock, 847_000 + number % 50, 500, sell=number % 2 == 0)]))
            updates += 1
            await shown.read(200)
            await asyncio.sleep(0.02)
        # The server never had to skip anything: the program kept reading while its terminal did not.
        metrics = await served.text("/metrics")
        skipped = [line for line in metrics.splitlines() if line.startswith("tapewatch_hub_skipped_total")]
        assert [float(line.rpartition(" ")[2]) for line in skipped] == [0.0]
        behind = len(shown.written)
        await shown.until(clock_text(clock))
        # What stood between the terminal and the newest picture: its own buffer, and a picture or two.
        assert len(shown.written) - behind < 200_000
        assert shown.resident() - before < 16 << 20


def clock_text(ms: int) -> str:
    seconds = ms // 1000 % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02} UTC"


def test_without_a_server_it_says_what_to_do(tmp_path: Path) -> None:
    for arguments in (["--once"], ["--once", "--json"]):
        done = run(tmp_path, "tui", "--url", "http://127.0.0.1:9", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no tapewatch server answers at http://127.0.0.1:9; start it with `tapewatch run`" in done.stderr


async def test_without_a_server_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    async with terminal(tmp_path, "--url", "http://127.0.0.1:9") as shown:
        await shown.until("start it with `tapewatch run` (or `tapewatch demo`)")
        shown.process.wait(WITHIN_S)
        assert shown.process.returncode == 1
        assert b"\x1b[?1049h" not in shown.written


def test_wrong_usage_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for arguments, sentence in (
        (["--json"], "--json prints one picture's data and needs --once"),
        ([], "the dashboard needs a terminal; in a script use --once, with --json for data"),
        (["--colours", "pink"], "tui.colours = 'pink' (flag for tui.colours) is refused; allowed: 16, auto, classic"),
        (["--url", "localhost"], "an http:// or https:// address"),
        (["--symbols", ","], "tui.symbols"),
    ):
        done = run(tmp_path, "tui", *arguments)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr


async def test_the_symbols_come_from_the_configuration_or_a_flag(world: World, tmp_path: Path) -> None:
    async with serve(world) as served:
        (tmp_path / "tapewatch.toml").write_text(f'[tui]\nurl = "{served.url}"\nsymbols = ["ETH"]\n', encoding="utf-8")
        told = await asyncio.to_thread(run, tmp_path, "tui", "--once")
        assert " ETH  │" in told.stdout
        told = await asyncio.to_thread(run, tmp_path, "tui", "--once", "--symbols", "btc,pepe")
        assert " BTC  PEPE  │" in told.stdout
        assert "1000PEPEUSDT" in told.stdout
