"""Settings: one TOML file, then the environment, then flags; every key has a default, a range and a description.

The structs below are the only place where a key, its default and its meaning are written: the check of a file,
the sentence of a refusal and docs/configuration.md all come from them.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import platformdirs
from msgspec import Meta, Struct, inspect

from .model.derivs import DerivsThresholds
from .model.detection import DetectorThresholds
from .model.errors import ConfigError
from .model.thresholds import Thresholds

APP = "tapewatch"
FILE_NAME = "tapewatch.toml"
ENV_PREFIX = "TAPEWATCH_"
NOT_KEYS = frozenset({"TAPEWATCH_DATA", "TAPEWATCH_CRASH_AT"})
"""Environment names with our prefix that are no configuration keys: where tests find recordings."""

SECRETS = frozenset({"server.token", "store.url"})
"""Keys whose value is never printed."""

HttpUrl = Annotated[str, Meta(pattern=r"^https?://[^/\s]+(/\S*[^/\s])?$")]
WsUrl = Annotated[str, Meta(pattern=r"^wss?://[^/\s]+(/\S*[^/\s])?$")]
Origin = Annotated[str, Meta(pattern=r"^https?://[^/\s]+$")]
Age = Annotated[str, Meta(pattern=r"^(forever|[1-9]\d{0,4}[hd])$")]
Network = Annotated[str, Meta(pattern=r"^[0-9a-fA-F:.]+/\d{1,3}$")]
Symbol = Annotated[str, Meta(min_length=1)]
PATTERNS = {
    "^http": "an http:// or https:// address",
    "^ws": "a ws:// or wss:// address",
    "^[0-9a-fA-F:.]": "a network such as 10.0.0.0/8",
    "^(forever": "forever, or hours or days such as 12h or 30d",
    "^(?!": "the path of a folder",
    "^$": "an empty text",
}
"""What texts of a certain shape are called, by the beginning of their pattern."""
Percent = Annotated[float, Meta(gt=0, le=100)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]


class VenueConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One venue: where it is and what is read from it."""

    enabled: Annotated[bool, Meta(description="Connect to this venue.")] = True
    rest_url: Annotated[
        HttpUrl, Meta(description="Base address of its REST interface: http:// or https://, no slash at the end.")
    ] = "https://fapi.binance.com"
    ws_url: Annotated[
        WsUrl,
        Meta(
            description="Base address of its websockets: ws:// or wss://, no slash at the end; "
            "the venue's paths are appended."
        ),
    ] = "wss://fstream.binance.com"
    symbols: Annotated[
        Literal["all"] | tuple[Symbol, ...],
        Meta(
            description="Instruments to watch, as the venue prints them; `all` is every one that trades. "
            "Others are followed while somebody looks at them."
        ),
    ] = "all"
    book_symbols: Annotated[
        Literal["all", "none"] | tuple[Symbol, ...],
        Meta(description="Instruments whose whole order book is kept."),
    ] = "all"
    study_symbols: Annotated[
        tuple[Symbol, ...],
        Meta(
            description="Instruments whose features and detections are kept from the start; "
            "others from when somebody asks.",
            max_length=8,
        ),
    ] = ("BTCUSDT", "ETHUSDT")
    book_depth: Annotated[int, Meta(ge=1, description="Levels a side of an order book.")] = 1000


class BinanceConfig(VenueConfig, frozen=True, forbid_unknown_fields=True):
    """Binance USD-M futures."""

    book_depth: Annotated[
        Literal[5, 10, 20, 50, 100, 500, 1000],
        Meta(description="Levels a side asked for in a book snapshot; a smaller one costs less of the rate limit."),
    ] = 1000


class BinanceSpotConfig(VenueConfig, frozen=True, forbid_unknown_fields=True):
    """Binance spot."""

    enabled: Annotated[bool, Meta(description="Connect to this venue.")] = False
    rest_url: Annotated[HttpUrl, Meta(description="Base address of its REST interface.")] = "https://api.binance.com"
    ws_url: Annotated[WsUrl, Meta(description="Base address of its websockets; /stream is appended.")] = (
        "wss://stream.binance.com:9443"
    )
    book_depth: Annotated[
        Literal[5, 10, 20, 50, 100, 500, 1000, 5000],
        Meta(description="Levels a side asked for in a book snapshot; a smaller one costs less of the rate limit."),
    ] = 1000


class BybitConfig(VenueConfig, frozen=True, forbid_unknown_fields=True):
    """Bybit v5, linear perpetuals."""

    enabled: Annotated[bool, Meta(description="Connect to this venue.")] = False
    rest_url: Annotated[HttpUrl, Meta(description="Base address of its REST interface.")] = "https://api.bybit.com"
    ws_url: Annotated[WsUrl, Meta(description="Base address of its websockets; /v5/public/linear is appended.")] = (
        "wss://stream.bybit.com"
    )
    book_depth: Annotated[Literal[200], Meta(description="Levels a side that its book stream tells.")] = 200


class OkxConfig(VenueConfig, frozen=True, forbid_unknown_fields=True):
    """OKX v5, perpetual swaps."""

    enabled: Annotated[bool, Meta(description="Connect to this venue.")] = False
    rest_url: Annotated[HttpUrl, Meta(description="Base address of its REST interface.")] = "https://openapi.okx.com"
    ws_url: Annotated[WsUrl, Meta(description="Base address of its websockets; /ws/v5/public is appended.")] = (
        "wss://ws.okx.com"
    )
    study_symbols: Annotated[
        tuple[Symbol, ...],
        Meta(description="Instruments whose features and detections are kept from the start.", max_length=8),
    ] = ("BTC-USDT-SWAP", "ETH-USDT-SWAP")
    book_depth: Annotated[Literal[400], Meta(description="Levels a side that its book stream tells.")] = 400


class VenuesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The venues this version can read."""

    binance: BinanceConfig = BinanceConfig()
    binance_spot: BinanceSpotConfig = BinanceSpotConfig()
    bybit: BybitConfig = BybitConfig()
    okx: OkxConfig = OkxConfig()

    def study_symbols(self) -> frozenset[str]:
        """Instruments to study of any product."""
        return frozenset(symbol for name in self.__struct_fields__ for symbol in getattr(self, name).study_symbols)

    def of(self, name: str) -> VenueConfig:
        """The settings of one product, such as ``binance-spot``."""
        settings: VenueConfig = getattr(self, name.replace("-", "_"))
        return settings


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the page and the API are served."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on; anything but loopback requires the access token.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes any free one.")] = 8000
    token: Annotated[
        str,
        Meta(description="Access token. Empty: none on loopback; elsewhere generated on first start and kept."),
    ] = ""
    allowed_origins: Annotated[
        tuple[Origin, ...],
        Meta(description="Other web origins that may read the API and open websockets, such as https://desk.example."),
    ] = ()


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what clients can ask for; reaching one is answered with a sentence."""

    clients: Annotated[int, Meta(ge=1, le=10_000, description="Websocket clients at a time.")] = 512
    subscriptions: Annotated[int, Meta(ge=1, le=1_000, description="Subscriptions of one websocket client.")] = 64
    request_bytes: Annotated[
        int, Meta(ge=1_024, le=1 << 26, description="Largest HTTP request body or websocket message accepted.")
    ] = 65_536


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept on disk, and how much of the disk that may take."""

    enabled: Annotated[bool, Meta(description="Record what is received; `--no-store` turns it off for one run.")] = True
    path: Annotated[
        str, Meta(description="Data folder, of one running program at a time; empty is the system's own place.")
    ] = ""
    url: Annotated[
        str,
        Meta(
            description="Address of the catalog, such as postgresql+psycopg://user@host/name; "
            "empty is an SQLite file in the data folder."
        ),
    ] = ""
    lake: Annotated[
        str,
        Meta(
            pattern=r"^(?!\w+://)",
            description="Folder of the sealed segments, such as one on a larger disk or a mounted bucket, of this data "
            "folder alone; empty is `segments` in the data folder.",
        ),
    ] = ""
    record: Annotated[
        tuple[Literal["trades", "liquidations", "marks", "depth", "quotes"], ...],
        Meta(description="What is recorded. Order books (depth, quotes) are many times the bytes of all else."),
    ] = ("trades", "liquidations", "marks")
    retention: Annotated[
        Age, Meta(description="Stored data older than this are deleted: a number of hours or days, such as 12h or 30d.")
    ] = "30d"
    max_bytes: Annotated[
        int, Meta(ge=0, description="Stored data beyond this size are deleted, oldest first; 0 is no bound.")
    ] = 20 << 30
    min_free_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="With less free space on the disk order books are no longer recorded, with less than half of "
            "it mark prices neither; trades and liquidations always are.",
        ),
    ] = 2 << 30

    @property
    def data_path(self) -> Path:
        return Path(self.path).expanduser() if self.path else platformdirs.user_data_path(APP)

    @property
    def retention_s(self) -> float:
        """0 keeps everything."""
        if self.retention == "forever":
            return 0.0
        return int(self.retention[:-1]) * {"h": 3_600.0, "d": 86_400.0}[self.retention[-1]]


class AlertsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How alert messages leave. Rules and sinks are set up in the page or by API; see docs/alerts.md."""

    allowed_networks: Annotated[
        tuple[Network, ...],
        Meta(
            description="Private networks that webhooks and mail may be sent to, such as 10.0.0.0/8 or 127.0.0.1/32; "
            "all other private addresses are refused."
        ),
    ] = ()
    telegram_url: Annotated[
        HttpUrl, Meta(description="Base address of Telegram's bot API; another one for a server of your own.")
    ] = "https://api.telegram.org"
    timeout_s: Annotated[float, Meta(gt=0, le=120, description="Longest that one attempt to deliver may take.")] = 10.0
    attempts: Annotated[
        int, Meta(ge=1, le=100, description="Attempts to deliver a message before it is laid aside.")
    ] = 12
    retry_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="Pause after the first attempt in vain; twice as long after each further one, at most 10 min.",
        ),
    ] = 2.0


class NodeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The process itself."""

    state_dir: Annotated[
        str,
        Meta(description="Folder for the access token and quarantined frames; empty is the system's own place."),
    ] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least severe log line that is written.")
    ] = "info"

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir).expanduser() if self.state_dir else platformdirs.user_state_path(APP)


class TuiConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The terminal dashboard."""

    url: Annotated[HttpUrl, Meta(description="Address of the server it shows; no slash at the end.")] = (
        "http://127.0.0.1:8000"
    )
    symbols: Annotated[
        tuple[Symbol, ...],
        Meta(min_length=1, max_length=9, description="Coins such as BTC, or symbols as a venue prints them."),
    ] = ("BTC", "ETH", "SOL")
    colours: Annotated[
        Literal["auto", "classic", "colour-safe", "16"],
        Meta(description="Palette; `auto` is `classic`, or `16` where the terminal has no more colours."),
    ] = "auto"


class SymbolThresholds(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Thresholds of one symbol that differ from those of all others."""

    adv_percent: Annotated[Percent | None, Meta(description="`thresholds.adv_percent` of this symbol.")] = None
    min_notional: Annotated[NotNegative | None, Meta(description="`thresholds.min_notional` of this symbol.")] = None
    whale_notional: Annotated[Positive | None, Meta(description="`thresholds.whale_notional` of this symbol.")] = None
    mega_notional: Annotated[Positive | None, Meta(description="`thresholds.mega_notional` of this symbol.")] = None
    whale_adv_percent: Annotated[Percent | None, Meta(description="`thresholds.whale_adv_percent` of this symbol.")] = (
        None
    )


class ThresholdsConfig(Thresholds, frozen=True, forbid_unknown_fields=True):
    """What panels and detectors compare against, for all symbols and for some."""

    symbols: dict[str, SymbolThresholds] = msgspec.field(default_factory=dict)
    detectors: dict[str, DetectorThresholds] = msgspec.field(default_factory=dict)
    """By symbol. What a symbol leaves out is that of `ALL` (`load` sees to it); what that leaves out, the default."""

    derivs: dict[str, DerivsThresholds] = msgspec.field(default_factory=dict)
    """Of the derivatives panels, by symbol, in the same way."""

    def of_derivs(self, symbol: str) -> DerivsThresholds:
        """The derivatives panels' thresholds that hold for one symbol."""
        return self.derivs.get(symbol) or self.derivs.get("ALL") or DerivsThresholds()

    def of_detectors(self, symbol: str) -> DetectorThresholds:
        """The detectors' thresholds that hold for one symbol."""
        return self.detectors.get(symbol) or self.detectors.get("ALL") or DetectorThresholds()

    def of(self, symbol: str) -> Thresholds:
        """The thresholds that hold for one symbol."""
        common = {name: getattr(self, name) for name in Thresholds.__struct_fields__}
        own = self.symbols.get(symbol)
        return Thresholds(**common | (msgspec.to_builtins(own) if own else {}))


class BusConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What carries views between the parts of the program."""

    url: Annotated[
        str,
        Meta(pattern="^$", description="Empty is inside the one process, which is all there is: no broker yet."),
    ] = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    venues: VenuesConfig = VenuesConfig()
    server: ServerConfig = ServerConfig()
    thresholds: ThresholdsConfig = ThresholdsConfig()
    limits: LimitsConfig = LimitsConfig()
    store: StoreConfig = StoreConfig()
    bus: BusConfig = BusConfig()
    alerts: AlertsConfig = AlertsConfig()
    node: NodeConfig = NodeConfig()
    tui: TuiConfig = TuiConfig()


@dataclass(frozen=True, slots=True)
class Setting:
    """One given value: its path, and the words that name where it was given (file, variable or flag)."""

    path: tuple[str, ...]
    value: Any
    given: str
    text: bool = False
    """Came as text (environment), so numbers and lists are read out of it."""


def find_file(explicit: Path | None = None) -> Path | None:
    """The configuration file in force: `explicit`, else ./tapewatch.toml, else the one in the user's folder."""
    if explicit is not None:
        if not explicit.is_file():
            raise ConfigError(f"the configuration file {explicit} does not exist")
        return explicit
    for candidate in (Path(FILE_NAME), platformdirs.user_config_path(APP) / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def load(
    explicit: Path | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Config:
    """Read the settings in force; `flags` maps dotted keys to values. The first wrong key or value is refused."""
    path = find_file(explicit)
    settings = [
        *(_from_file(path) if path else ()),
        *_from_environment(os.environ if environment is None else environment),
        *(Setting(tuple(key.split(".")), value, f"flag for {key}") for key, value in (flags or {}).items()),
    ]
    tree: dict[str, Any] = {}
    for setting in settings:
        names, value = _checked(setting)
        branch = tree
        for name in names[:-1]:
            branch = branch.setdefault(name, {})
        branch[names[-1]] = value
    by_symbol = tree.get("thresholds", {}).get("detectors", {})
    for symbol, own in by_symbol.items():
        by_symbol[symbol] = by_symbol.get("ALL", {}) | own
    return msgspec.convert(tree, Config)


def _from_file(path: Path) -> Iterator[Setting]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    return _leaves(content, (), str(path))


def _leaves(branch: dict[str, Any], path: tuple[str, ...], given: str) -> Iterator[Setting]:
    for name, value in branch.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, name), given)
        else:
            yield Setting((*path, name), value, given)


def _from_environment(environment: Mapping[str, str]) -> Iterator[Setting]:
    for name in sorted(environment):
        if name.startswith(ENV_PREFIX) and name not in NOT_KEYS:
            path = tuple(part.lower() for part in name.removeprefix(ENV_PREFIX).split("__"))
            yield Setting(path, environment[name], name, text=True)


def _checked(setting: Setting) -> tuple[list[str], Any]:
    """The setting's field names and its value as the right type, or a refusal that says what is allowed."""
    kind: Any = Config
    names: list[str] = []
    for word in setting.path:
        inside = _inside(kind)
        name = word.replace("-", "_")  # binance-spot and binance_spot are one venue
        if isinstance(inside, dict):
            if name not in inside:
                raise ConfigError(_unknown(".".join([*names, word]), list(inside), setting))
            names.append(name)
            kind = inside[name]
        else:  # a table of symbols: any name
            names.append(word.upper() if setting.text else word)
            kind = inside
    if setting.value == {} and _inside(kind):
        return names, {}
    return names, _value(kind, ".".join(names), setting)


def _inside(kind: Any) -> dict[str, Any] | Any:
    """What may stand below a key: names with their types, one type for any name, or (an empty dict) nothing."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return {field.name: field.type for field in msgspec.structs.fields(kind)}
    return get_args(kind)[1] if get_origin(kind) is dict else {}


def _unknown(dotted: str, allowed: list[str], setting: Setting) -> str:
    """Say that a key does not exist, and which is meant: a near one, or all there are at that place."""
    every = [key for key, _, _ in documented_keys()]
    near = difflib.get_close_matches(dotted, every, n=1, cutoff=0.8)
    *place, last = dotted.split(".")
    near = near or [".".join([*place, name]) for name in difflib.get_close_matches(last, allowed, n=1)]
    if not near:  # TAPEWATCH_SERVER_PORT: one underscore where two are needed
        near = [key for key in every if key.replace(".", "_") == dotted.replace(".", "_")]
    choice = _shown(", ".join(allowed)) or "no further keys"
    hint = f"did you mean {_shown(near[0])}?" if near else f"allowed here: {choice}"
    if near and setting.text:
        hint = f"did you mean {env_name(near[0])}?"
    return f"unknown key {dotted} ({setting.given}); {hint}"


def _shown(dotted: str) -> str:
    """A key as users write it: a venue's name has a hyphen."""
    return dotted.replace("binance_spot", "binance-spot")


def _value(kind: Any, dotted: str, setting: Setting) -> Any:
    info = inspect.type_info(kind)
    value = setting.value
    if setting.text and _takes_list(info) and value not in _literals(info):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return msgspec.convert(value, kind, strict=not setting.text)
    except msgspec.ValidationError:
        shown = "…" if dotted in SECRETS else repr(setting.value)
        raise ConfigError(f"{dotted} = {shown} ({setting.given}) is refused; allowed: {describe(info)}") from None


# ---------------------------------------------------------------- what is allowed, in words


def env_name(dotted: str) -> str:
    """``server.port`` is ``TAPEWATCH_SERVER__PORT`` in the environment."""
    return ENV_PREFIX + dotted.replace(".", "__").replace("-", "_").upper()


def documented_keys(kind: Any = Config, place: str = "") -> Iterator[tuple[str, inspect.Type, Any]]:
    """Every key there is: dotted name, type, default; in the order of the structs."""
    for field in msgspec.structs.fields(kind):
        dotted = f"{place}{field.name}"
        inside = _inside(field.type)
        if isinstance(inside, dict) and not inside:
            yield dotted, inspect.type_info(field.type), field.default
        else:
            yield from documented_keys(
                *((field.type, f"{dotted}.") if isinstance(inside, dict) else (inside, f"{dotted}.<SYMBOL>."))
            )


def description(info: inspect.Type) -> str:
    """What a key means, from its `Meta`."""
    return (info.extra_json_schema or {}).get("description", "") if isinstance(info, inspect.Metadata) else ""


def describe(info: inspect.Type) -> str:
    """The values a type allows, in words."""
    match info:
        case inspect.Metadata():
            return describe(info.type)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(info)}"
        case inspect.FloatType():
            return f"a number{_range(info)}"
        case inspect.LiteralType():
            return " or ".join([", ".join(map(str, info.values[:-1])), str(info.values[-1])]).removeprefix(" or ")
        case inspect.VarTupleType():
            return f"a list, each {describe(info.item_type)}"
        case inspect.UnionType():
            members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
            return " or ".join(describe(member) for member in sorted(members, key=_literals, reverse=True))
        case inspect.StrType():
            return next((words for start, words in PATTERNS.items() if (info.pattern or "").startswith(start)), "text")
        case inspect.NoneType():
            return "nothing"
        case inspect.DictType():
            return "a table of symbols"
        case inspect.StructType():
            return f"a table with {', '.join(field.name for field in info.fields)}"
    raise AssertionError(f"no words for {info}")  # a key of a new kind: say here what it allows


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    bounds = [(" from", info.ge), (" above", info.gt), (" to", info.le), (" below", info.lt)]
    return "".join(f"{words} {bound:,}" for words, bound in bounds if bound is not None).replace(",", "_")


def _members(info: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(info, inspect.Metadata):
        return _members(info.type)
    return info.types if isinstance(info, inspect.UnionType) else (info,)


def _takes_list(info: inspect.Type) -> bool:
    return any(isinstance(member, inspect.VarTupleType) for member in _members(info))


def _literals(info: inspect.Type) -> list[Any]:
    return [value for member in _members(info) if isinstance(member, inspect.LiteralType) for value in member.values]


def reference() -> str:
    """docs/configuration.md."""
    head = """# Configuration

Settings are read in this order, later ones win: one TOML file (`--config FILE`, else `tapewatch.toml` in the working
directory, else `tapewatch.toml` in your settings folder), environment variables, flags. Every key has a default. An
unknown key or a value that is not allowed is refused with the key's name and what is allowed.

In the environment a key is written in capitals with two underscores between its parts
(`server.port` is `TAPEWATCH_SERVER__PORT`), and a list is separated by commas.

This page is generated: `python -m tapewatch.config > docs/configuration.md`.
"""
    lines = [head]
    table = ""
    for dotted, info, default in documented_keys():
        place, _, name = dotted.rpartition(".")
        if place != table:
            table = place
            lines += [f"\n## [{_shown(place)}]\n", "| key | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        shown = "" if default is None else f"`{msgspec.json.encode(default).decode()}`"
        lines.append(f"| `{name}` | {shown} | {describe(info)} | {description(info)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
