"""Settings: where they come from, what wins, and that every refusal names the key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import msgspec
import platformdirs
import pytest

from tapewatch import config
from tapewatch.config import Config
from tapewatch.model.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _app: tmp_path / "home")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path | None = None, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(path, environment=environment)
    return str(caught.value)


def test_everything_has_a_default() -> None:
    assert config.load(environment={}) == Config()


def test_flags_win_over_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    write(tmp_path / "tapewatch.toml", '[server]\nhost = "127.0.0.2"\nport = 1001\n[limits]\nclients = 5\n')
    environment = {"TAPEWATCH_SERVER__PORT": "1002", "TAPEWATCH_SERVER__HOST": "127.0.0.3"}
    read = config.load(environment=environment, flags={"server.port": 1003})
    assert (read.server.port, read.server.host, read.limits.clients) == (1003, "127.0.0.3", 5)


def test_the_named_file_wins_over_the_working_directory_and_that_over_the_users_folder(tmp_path: Path) -> None:
    named = write(tmp_path / "elsewhere" / "desk.toml", "[server]\nport = 1\n")
    users = write(tmp_path / "home" / "tapewatch.toml", "[server]\nport = 3\n")
    assert config.load(environment={}).server.port == 3
    write(tmp_path / "tapewatch.toml", "[server]\nport = 2\n")
    assert config.load(environment={}).server.port == 2
    assert config.load(named, environment={}).server.port == 1
    users.unlink()
    assert config.find_file() == Path("tapewatch.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("all", "all"), ("BTCUSDT", ("BTCUSDT",)), ("BTCUSDT, ETHUSDT", ("BTCUSDT", "ETHUSDT"))],
)
def test_lists_in_the_environment_are_comma_separated(text: str, expected: object) -> None:
    assert config.load(environment={"TAPEWATCH_VENUES__BINANCE__SYMBOLS": text}).venues.binance.symbols == expected


def test_thresholds_can_differ_for_one_symbol(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.toml", "[thresholds]\nadv_percent = 0.4\n[thresholds.symbols.BTCUSDT]\nadv_percent = 0.1\n"
    )
    thresholds = config.load(path, environment={}).thresholds
    assert thresholds.adv_percent == 0.4
    assert thresholds.of("BTCUSDT").adv_percent == 0.1
    assert thresholds.of("BTCUSDT").min_notional == thresholds.min_notional
    assert thresholds.of("ETHUSDT").adv_percent == 0.4


@pytest.mark.parametrize(("text", "seconds"), [("12h", 43_200.0), ("30d", 2_592_000.0), ("forever", 0.0)])
def test_retention_is_hours_or_days(text: str, seconds: float) -> None:
    assert config.load(environment={"TAPEWATCH_STORE__RETENTION": text}).store.retention_s == seconds


def test_unrelated_environment_is_left_alone() -> None:
    assert config.load(environment={"PATH": "/bin", "TAPEWATCH_DATA": "/data"}) == Config()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[server]\nprot = 1\n", "unknown key server.prot ({path}); did you mean server.port?"),
        ("[sever]\nport = 1\n", "unknown key sever ({path}); did you mean server?"),
        (
            "port = 1\n",
            (
                "unknown key port ({path}); allowed here: venues, server, thresholds, limits, store, bus, alerts, "
                "node, tui"
            ),
        ),
        (
            "[venues.kraken]\nenabled = true\n",
            "unknown key venues.kraken ({path}); allowed here: binance, binance-spot, bybit, okx",
        ),
        (
            "[server]\nport = 70000\n",
            "server.port = 70000 ({path}) is refused; allowed: a whole number from 0 to 65_535",
        ),
        ("[server]\nport = true\n", "server.port = True ({path}) is refused; allowed: a whole number from 0 to 65_535"),
        ("server = 1\n", "server = 1 ({path}) is refused; allowed: a table with host, port, token, allowed_origins"),
        ("[server.port]\nx = 1\n", "unknown key server.port.x ({path}); did you mean server.port?"),
        (
            "[venues.binance]\nbook_depth = 7\n",
            "venues.binance.book_depth = 7 ({path}) is refused; allowed: 5, 10, 20, 50, 100, 500 or 1000",
        ),
        (
            '[venues.binance]\nrest_url = "fapi.binance.com"\n',
            "venues.binance.rest_url = 'fapi.binance.com' ({path}) is refused; allowed: an http:// or https:// address",
        ),
        (
            '[venues.binance]\nbook_symbols = "some"\n',
            "venues.binance.book_symbols = 'some' ({path}) is refused; allowed: all or none or a list, each text",
        ),
        (
            "[thresholds]\nadv_percent = -1\n",
            "thresholds.adv_percent = -1 ({path}) is refused; allowed: a number above 0 to 100",
        ),
        (
            "[thresholds.symbols.BTCUSDT]\nadv_days = 3\n",
            (
                "unknown key thresholds.symbols.BTCUSDT.adv_days ({path}); allowed here: adv_percent, min_notional, "
                "whale_notional, mega_notional, whale_adv_percent"
            ),
        ),
        (
            '[store]\nretention = "a week"\n',
            "store.retention = 'a week' ({path}) is refused; allowed: forever, or hours or days such as 12h or 30d",
        ),
        (
            "[store]\nrecord = 1\n",
            "store.record = 1 ({path}) is refused; allowed: a list, each depth, liquidations, marks, quotes or trades",
        ),
        (
            '[store]\nlake = "s3://tape/lake"\n',
            "store.lake = 's3://tape/lake' ({path}) is refused; allowed: the path of a folder",
        ),
        ('[bus]\nurl = "nats://host"\n', "bus.url = 'nats://host' ({path}) is refused; allowed: an empty text"),
        ("[server]\ntoken = 5\n", "server.token = … ({path}) is refused; allowed: text"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_what_is_allowed(tmp_path: Path, text: str, sentence: str) -> None:
    path = write(tmp_path / "wrong.toml", text)
    assert refusal(path) == sentence.format(path=path)


def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / "wrong.toml", "[server\nport = 1\n")
    assert refusal(path).startswith(f"{path} is not valid TOML: ")
    assert "line 1" in refusal(path)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert refusal(missing) == f"the configuration file {missing} does not exist"


def test_a_wrong_variable_is_named_as_it_was_written() -> None:
    assert refusal(TAPEWATCH_SERVER_PORT="1") == (
        "unknown key server_port (TAPEWATCH_SERVER_PORT); did you mean TAPEWATCH_SERVER__PORT?"
    )
    assert refusal(TAPEWATCH_SERVER__PORT="x").startswith("server.port = 'x' (TAPEWATCH_SERVER__PORT) is refused")


def test_every_key_is_described() -> None:
    described = {dotted: config.description(info) for dotted, info, _ in config.documented_keys()}
    assert [dotted for dotted, words in described.items() if not words] == []


def test_every_default_is_itself_allowed() -> None:
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()


def test_the_configuration_reference_is_the_one_generated_from_the_structs() -> None:
    """Write it anew with: python -m tapewatch.config > docs/configuration.md."""
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == config.reference()


def test_a_symbols_detectors_inherit_what_is_said_of_all(tmp_path: Path) -> None:
    """What a symbol leaves out is that of ALL; a default that is written down for a symbol wins over ALL."""
    path = write(
        tmp_path / "t.toml",
        """
        [thresholds.detectors.BTCUSDT]
        wall_multiple = 5.0
        sweep_levels = 3
        [thresholds.detectors.ALL]
        min_notional = 9000.0
        sweep_levels = 7
    """,
    )
    thresholds = config.load(path, environment={"TAPEWATCH_THRESHOLDS__DETECTORS__ETHUSDT__WALL_MS": "900"}).thresholds
    told = {symbol: thresholds.of_detectors(symbol) for symbol in ("BTCUSDT", "ETHUSDT", "XRPUSDT")}
    assert {one.min_notional for one in told.values()} == {9000.0}
    assert [one.sweep_levels for one in told.values()] == [3, 7, 7]
    assert [one.wall_multiple for one in told.values()] == [5.0, 3.0, 3.0]
    assert [one.wall_ms for one in told.values()] == [5_000, 900, 5_000]
