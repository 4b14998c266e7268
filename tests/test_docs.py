"""The documents against the program: links lead somewhere, rooms, names, commands and settings exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_group

from tapewatch import config
from tapewatch.cli import app

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "bench" / "README.md"]
COMMANDS = get_group(app).commands
SHELL = re.compile(r"```(?:sh|console)?\n(.*?)```|`([^`\n]+)`", re.DOTALL)
OURS = re.compile(r"`((?:[a-z_]+/)+[a-z_]+)(?:\.py|\.([A-Za-z_.]+))?`")
"""`room/module` and `room/module.name`, as ARCHITECTURE.md writes them."""
FOR_TESTS = {"TAPEWATCH_DATA", "TAPEWATCH_SEED", "TAPEWATCH_SEEDS", "TAPEWATCH_KILLS", "TAPEWATCH_EXAMPLES"}
FOR_TESTS |= {"TAPEWATCH_FUZZ_CASES"}

document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def anchors(path: Path) -> set[str]:
    """Of the headings of a document, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@document
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_room_has_its_row() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "src" / "tapewatch").iterdir() if (path / "__init__.py").exists()}
    assert rooms == set(re.findall(r"^\| `(\w+)/`", text, re.MULTILINE)) - {"web"}


@document
def test_every_name_of_the_code_is_there(path: Path) -> None:
    for place, name in OURS.findall(path.read_text(encoding="utf-8")):
        source = ROOT / "src" / "tapewatch" / place
        if source.parent.is_dir():
            assert source.is_dir() or source.with_suffix(".py").is_file(), place
            found: object = importlib.import_module(f"tapewatch.{place.replace('/', '.')}")
            for part in filter(None, name.split(".")):
                found = getattr(found, part)


def commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of ours in a document, each with the options it is given."""
    for block, inline in SHELL.findall(text):
        for line in (block or inline).replace("\\\n", " ").splitlines():
            for part in re.split(r"[|;&#]", line):
                if told := re.search(r"\btapewatch ([a-z]+)\b(.*)", part):
                    yield told[1], re.findall(r"(?<![\w-])--[a-z][\w-]*", told[2])


def options(command: str) -> set[str]:
    known = COMMANDS[command].params
    return {"--help"} | {name for one in known for name in (*one.opts, *one.secondary_opts) if name.startswith("--")}


@document
def test_every_command_and_option_exists(path: Path) -> None:
    for command, given in commands(path.read_text(encoding="utf-8")):
        assert command in COMMANDS
        assert set(given) <= options(command), command


def test_every_command_and_option_is_told() -> None:
    """`typer tapewatch.cli utils docs --name tapewatch --title Commands > docs/commands.md` writes it anew."""
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `tapewatch (\w+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    told = {name: set(re.findall(r"^\* `(--[\w-]+)", section, re.MULTILINE)) for name, section in sections.items()}
    assert told == {name: options(name) for name in COMMANDS}


@document
def test_every_environment_variable_is_one_of_ours(path: Path) -> None:
    for name in set(re.findall(r"TAPEWATCH_[A-Z_0-9]+", path.read_text(encoding="utf-8"))) - FOR_TESTS:
        section, _, key = name.removeprefix("TAPEWATCH_").lower().partition("__")
        assert hasattr(getattr(config.Config(), section), key), name
