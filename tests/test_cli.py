"""The command line as a user meets it: a process, its exit code, and one sentence for each thing that can be wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import over_http
import tapewatch
from program import STOP_WITHIN_S, run, started
from waiting import wait_until

COMMANDS = ("run", "demo", "replay", "import", "export", "venue", "doctor")


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_version_and_help(tmp_path: Path) -> None:
    version = run(tmp_path, "--version")
    assert (version.returncode, version.stdout) == (0, f"tapewatch {tapewatch.__version__}\n")
    everything = run(tmp_path, "--help")
    assert everything.returncode == 0
    assert [command for command in COMMANDS if command not in everything.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(tmp_path: Path, command: str) -> None:
    told = run(tmp_path, command, "--help")
    assert told.returncode == 0
    assert f"tapewatch {command}" in told.stdout


def test_an_unknown_command_is_bad_usage(tmp_path: Path) -> None:
    assert run(tmp_path, "wacth").returncode == 2


def test_a_malformed_configuration_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tapewatch.toml").write_text("[server\n")
    told = run(tmp_path, "run")
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert told.stderr.startswith("tapewatch: tapewatch.toml is not valid TOML: ")


def test_an_unknown_key_is_one_sentence(tmp_path: Path) -> None:
    told = run(tmp_path, "run", TAPEWATCH_SERVER__PRT="1")
    assert told.returncode == 2
    assert told.stderr == (
        "tapewatch: unknown key server.prt (TAPEWATCH_SERVER__PRT); did you mean TAPEWATCH_SERVER__PORT?\n"
    )


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    told = run(tmp_path, "run", "--debug", TAPEWATCH_SERVER__PORT="x")
    assert told.returncode != 0
    assert "Traceback" in told.stderr
    assert "ConfigError: server.port = 'x'" in told.stderr


@pytest.mark.parametrize("command", ["run", "demo"])
def test_a_port_in_use_is_one_sentence(tmp_path: Path, taken_port: int, command: str) -> None:
    told = run(tmp_path, command, "--port", str(taken_port))
    assert told.returncode == 1
    assert told.stderr == (
        f"tapewatch: port {taken_port} on 127.0.0.1 is in use by another program; "
        "choose another with --port or stop that program\n"
    )


def test_a_port_out_of_range_is_refused(tmp_path: Path) -> None:
    told = run(tmp_path, "run", "--port", "70000")
    assert told.returncode == 2
    assert "server.port = 70000" in told.stderr


def test_replay_names_a_missing_file(tmp_path: Path) -> None:
    told = run(tmp_path, "replay", "nothing.gz")
    assert (told.returncode, told.stderr) == (2, "tapewatch: no such file: nothing.gz\n")


def test_replay_refuses_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk, bread\n")
    told = run(tmp_path, "replay", "notes.txt")
    assert told.returncode == 2
    assert told.stderr.startswith("tapewatch: notes.txt is no capture this version can replay")


def test_doctor_says_what_is_wrong_and_the_mend(tmp_path: Path) -> None:
    told = run(tmp_path, "doctor", TAPEWATCH_VENUES__BINANCE__REST_URL="http://127.0.0.1:9", COLUMNS="300")
    assert told.returncode == 1
    assert "http://127.0.0.1:9 cannot be reached" in told.stdout
    assert "venues.binance.rest_url" in told.stdout


def test_doctor_finds_a_simulated_venue_in_good_health(tmp_path: Path) -> None:
    with started(tmp_path, "venue", "--port", "0", "--symbols", "2", "--announce") as venue:
        where = json.loads(venue.wait_for("rest_url").string)
        told = run(tmp_path, "doctor", TAPEWATCH_VENUES__BINANCE__REST_URL=where["rest_url"], COLUMNS="300")
        assert "answers in" in told.stdout
        assert "request weight used this minute" in told.stdout
        assert " fail " not in "".join(line for line in told.stdout.splitlines() if "binance" in line)


def test_a_child_venue_ends_with_its_parent(tmp_path: Path) -> None:
    with started(tmp_path, "venue", "--port", "0", "--symbols", "2", "--announce") as venue:
        venue.wait_for("rest_url")
        assert venue.process.stdin is not None
        venue.process.stdin.close()
        assert venue.process.wait(STOP_WITHIN_S) == 0


def test_without_a_parent_at_its_standard_input_a_venue_runs_until_it_is_told(tmp_path: Path) -> None:
    with started(tmp_path, "venue", "--port", "0", "--symbols", "2", "--announce", stdin=subprocess.DEVNULL) as venue:
        venue.wait_for("rest_url")
        assert venue.stop(signal.SIGTERM) == 0


def test_a_killed_demo_leaves_no_venue_behind(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--port", "0", "--symbols", "2") as program:
        program.url()
        children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
        if not children.exists():
            pytest.skip("this system does not list the children of a process under /proc")
        venue = Path(f"/proc/{children.read_text().split()[0]}")
        program.process.kill()
        program.process.wait()
        wait_until(lambda: has_ended(venue), lambda: "the simulated venue outlived the demo")


def has_ended(process: Path) -> bool:
    """Whether a folder of /proc is gone, or that of a process nobody has asked for its end yet."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--faults", "dorp"), "tapewatch: unknown fault 'dorp'; known are drop, "),
        (("--venues", "kraken"), "tapewatch: no simulated venue is called 'kraken'; there are binance, "),
    ],
)
def test_a_demo_of_what_does_not_exist_is_bad_usage(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    told = run(tmp_path, "demo", *arguments)
    assert told.returncode == 2
    assert told.stderr.startswith(sentence)
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("trades.txt", "tapewatch: trades.txt does not say its format; use a name that ends in .csv, .json, "),
        ("trades.csv", "tapewatch: nothing is stored at "),
    ],
)
def test_an_export_of_nothing_or_in_no_format_is_refused(tmp_path: Path, file: str, sentence: str) -> None:
    told = run(tmp_path, "export", "trades", file)
    assert told.returncode == 2
    assert told.stderr.startswith(sentence)
    assert list(tmp_path.glob("trades*")) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--faults", "dorp"), "tapewatch: unknown fault 'dorp'; known are drop, "),
        (("--replay", "nothing.gz"), "tapewatch: no such file: nothing.gz"),
    ],
)
def test_a_venue_refuses_what_it_does_not_know(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    told = run(tmp_path, "venue", *arguments)
    assert told.returncode == 2
    assert told.stderr.startswith(sentence)


def test_bound_to_all_addresses_a_token_is_made_once_and_wanted_everywhere_but_health(tmp_path: Path) -> None:
    unreachable = {"TAPEWATCH_VENUES__BINANCE__REST_URL": "http://127.0.0.1:9"}
    with started(tmp_path, "run", "--host", "0.0.0.0", "--port", "0", **unreachable) as program:  # noqa: S104
        url = program.url()
        token = program.wait_for(r"shown only now: (\S+)")[1]
        assert over_http.get(f"{url}health").status_code == 503
        assert over_http.get(f"{url}metrics").status_code == 401
        assert over_http.get(f"{url}metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert program.stop() == 0
    with started(tmp_path, "run", "--host", "0.0.0.0", "--port", "0", **unreachable) as again:  # noqa: S104
        url = again.url()
        assert over_http.get(f"{url}metrics", params={"token": token}).status_code == 200
        assert again.stop() == 0
    assert token not in "".join(again.output)


def test_an_unreachable_venue_leaves_the_page_and_the_api_served(tmp_path: Path) -> None:
    settings = {
        "TAPEWATCH_VENUES__BINANCE__REST_URL": "http://127.0.0.1:9",
        "TAPEWATCH_VENUES__BINANCE__WS_URL": "ws://127.0.0.1:9",
    }
    with started(tmp_path, "run", "--port", "0", **settings) as program:
        url = program.url()
        program.wait_for("venue_trouble")
        health = over_http.get(f"{url}health")
        assert health.status_code == 503
        assert health.json()["venues"]["binance"]["connected"] is False
        assert over_http.get(url).status_code == 200
        assert program.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_cleanly(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "demo", "--port", "0", "--symbols", "5") as program:
        url = program.url()
        assert over_http.get(url).status_code == 200
        assert program.stop(number) == 0
    assert "Traceback" not in "".join(program.output)
