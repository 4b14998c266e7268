"""Results as JSON files, as tables on the terminal, and as the tables of README.md (`python -m bench.report`)."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from .slices import Cost

HERE = Path(__file__).parent
RESULTS = HERE / "results"
README = HERE / "README.md"
BUSY_LOAD = 1.2
"""One-minute load average above which results are marked as taken on a busy machine."""

OURS = "tapewatch"
PARSE_ONLY = "tapewatch, parse only"

Results = dict[str, Any]

CORE_TARGETS = [
    # (set, dividend, divisor, the ratio is at most / at least, figure)
    ("depth20", OURS, "orjson.loads", "≤", 0.30),
    ("depth20", OURS, PARSE_ONLY, "≤", 1.6),
    ("depth20", "SortedDict book", OURS, "≥", 35.0),
    ("trades", OURS, "orjson.loads", "≤", 0.20),
    ("mix550", OURS, "orjson.loads", "≤", 0.50),
    ("btc+eth 2024", "SortedDict book", OURS, "≥", 14.0),
]
PEER_TARGETS = [
    ("depth20", "cryptofeed", OURS, "≥", 80.0),
    ("depth20", "ccxt", OURS, "≥", 60.0),
    ("depth20", "python-binance", OURS, "≥", 25.0),
    ("trades", "cryptofeed", OURS, "≥", 20.0),
    ("trades", "nautilus_trader", OURS, "≥", 50.0),
    ("mix550", "cryptofeed", OURS, "≥", 35.0),
    ("mix550", "ccxt", OURS, "≥", 65.0),
    ("mix550", "nautilus_trader", OURS, "≥", 65.0),
    ("btc+eth 2024", "cryptofeed", OURS, "≥", 35.0),
    ("btc 2024", "hftbacktest", OURS, "≥", 30.0),
]
HISTORY_TARGET = 8.0
FIGURE_TARGETS = {"rebin": ("ms", 4.0), "top20": ("us", 2.0), "memory": ("MB", 120.0)}


def machine() -> Results:
    """What the numbers depend on."""
    command = ["git", "describe", "--always", "--dirty"]
    head = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)  # noqa: S603  (constant)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": head.stdout.strip() or "unknown",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in ("numba", "numpy", "orjson", "msgspec")},
        "load": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text(encoding="utf-8")) if info.exists() else None
    return found[1] if found else platform.processor()


def machine_line(m: Results) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in m["libraries"].items())
    busy = f" — BUSY, load {m['load']}" if m["load"] > BUSY_LOAD else ""
    where = f"{m['cpu']}, {m['cores']} cores, {m['system']}, Python {m['python']}, {libraries}"
    return f"{m['date']}, {m['commit']}: {where}{busy}"


def costs_as_data(messages: int, size: int, costs: dict[str, Cost], wrong: dict[str, list[str]]) -> Results:
    return {
        "messages": messages,
        "bytes": round(size / messages),
        "costs": {name: asdict(cost) for name, cost in costs.items()},
        "unequal": wrong,
    }


def save(name: str, results: Results) -> None:
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table that is also readable as it stands: first column left, the others right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = [("-" * width) if k == 0 else ("-" * (width - 1) + ":") for k, width in enumerate(widths)]
    padded = (
        [
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in (head, rule, *lines[1:])
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def costs_table(title: str, one: Results) -> str:
    """Costs of one set and their ratio to ours: minima, then medians."""
    ours = one["costs"][OURS]
    rows = []
    for name, cost in sorted(one["costs"].items(), key=lambda item: float(item[1]["best_ns"])):
        state = "decodes only" if not cost["digests"] else "equal"
        if name in one["unequal"]:
            state = f"does not count: {', '.join(one['unequal'][name])} differ"
        rows.append(
            [
                name,
                f"{cost['best_ns']:,.0f}",
                f"{cost['median_ns']:,.0f}",
                f"{cost['best_ns'] / ours['best_ns']:.2f}",
                f"{cost['median_ns'] / ours['median_ns']:.2f}",
                state,
            ]
        )
    head = ["", "ns a message, best", "median", "ratio of bests", "of medians", "end state"]
    return f"**{title}**: {one['messages']:,} messages of {one['bytes']} bytes\n\n{table(head, rows)}\n"


def targets_table(sets: Results, targets: list[tuple[str, str, str, str, float]]) -> str:
    rows = []
    for name, dividend, divisor, sign, figure in targets:
        costs = sets.get(name, {}).get("costs", {})
        if dividend not in costs or divisor not in costs or dividend in sets[name]["unequal"]:
            rows.append([f"{name}: {dividend} / {divisor}", f"{sign} {figure:g}", "not measured", "", ""])
            continue
        best, middle = (costs[dividend][key] / costs[divisor][key] for key in ("best_ns", "median_ns"))
        met = best <= figure if sign == "≤" else best >= figure
        rows.append(
            [f"{name}: {dividend} / {divisor}", f"{sign} {figure:g}", f"{best:.2f}", f"{middle:.2f}", _verdict(met)]
        )
    return table(["", "target", "bests", "medians", ""], rows)


def figures_table(figures: Results) -> str:
    rows = []
    for name, (unit, limit) in FIGURE_TARGETS.items():
        for contender, value in figures[name].items():
            target = [f"≤ {limit:g} {unit}", _verdict(value <= limit)] if contender == OURS else ["", ""]
            rows.append([f"{name}: {contender}", f"{value:g} {unit}", *target])
    return table(["", "", "target", ""], rows)


def _verdict(met: bool) -> str:
    return "met" if met else "**not yet**"


def core_report(results: Results) -> str:
    parts = [costs_table(name, one) for name, one in results["sets"].items()]
    parts += ["**Against the targets**\n", targets_table(results["sets"], CORE_TARGETS), ""]
    parts += [
        "**Views and memory** (best of the rounds; rebin, top20 in CPU time)\n",
        figures_table(results["figures"]),
    ]
    return "\n".join([machine_line(results["machine"]), "", *parts])


def peers_report(results: Results) -> str:
    parts = [costs_table(name, one) for name, one in results["sets"].items()]
    parts += ["**Against the targets**\n", targets_table(results["sets"], PEER_TARGETS), ""]
    parts += [f"* {sentence}" for sentence in results["remarks"]]
    return "\n".join([machine_line(results["machine"]), "", *parts])


def history_report(results: Results) -> str:
    """Wall time of a whole archive file: best of the rounds, median, and how many times ours."""
    measured = results["measured"]
    best = {name: min(run["wall_s"] for run in runs) for name, runs in measured.items()}
    middle = {name: median(run["wall_s"] for run in runs) for name, runs in measured.items()}
    digests = measured[OURS][0]["digests"]
    rows = []
    for name in sorted(best, key=lambda name: best[name]):
        equal = all(run["digests"] == digests for run in measured[name])
        rows.append(
            [
                name,
                f"{best[name]:.2f}",
                f"{middle[name]:.2f}",
                f"{min(run['cpu_s'] for run in measured[name]):.2f}",
                f"{results['rows'] / best[name] / 1e6:.1f}",
                f"{max(run['peak_mb'] for run in measured[name]):,.0f}",
                f"{best[name] / best[OURS]:.1f}",
                f"{middle[name] / middle[OURS]:.1f}",
                "equal" if equal else "does not count: differs",
            ]
        )
    head = ["", "s, best", "median", "CPU s", "M rows/s", "peak MB", "ratio of bests", "of medians", "result"]
    size = (
        f"**{results['rows']:,} rows** ({results['bytes'] / 1e6:,.0f} MB of CSV), all cores, {results['rounds']} rounds"
    )
    target = min(best[name] / best[OURS] for name in best if name != OURS)
    verdict = f"Target: at least {HISTORY_TARGET:g} times each of them; the nearest is at {target:.1f}: "
    verdict += _verdict(target >= HISTORY_TARGET)
    return "\n".join([machine_line(results["machine"]), "", size, "", table(head, rows), "", verdict])


def sockets_report(results: Results) -> str:
    """Flat out: messages a second; paced: share of a core and delay. Best of the rounds, then the median."""
    rows = []
    for pace, by_name in results["paces"].items():
        for name, figures in by_name.items():
            pairs = {key: [figures[key]["best"], figures[key]["median"]] for key in figures}
            paced = "p50_ms" in pairs
            rows.append([
                f"{pace}: {name}",
                "" if paced else _pair(pairs["per_s"], ",.0f"),
                _pair(pairs["cpu_ns"], ",.0f"),
                _pair(pairs["cpu_percent"], ".1f") if paced else "",
                _pair(pairs["p50_ms"], ".2f") if paced else "",
                _pair(pairs["p99_ms"], ".2f") if paced else "",
            ])  # fmt: skip
    head = ["best / median of the rounds", "messages/s", "CPU ns a message", "% of a core", "p50 ms", "p99 ms"]
    ours = {pace: by_name[OURS] for pace, by_name in results["paces"].items()}
    checks = [
        ("flat out: messages/s", ours["flat out"]["per_s"], "≥", 220_000.0),
        ("whole market: % of a core", ours["whole market"]["cpu_percent"], "≤", 18.0),
        ("whole market: p50 ms", ours["whole market"]["p50_ms"], "≤", 0.4),
        ("whole market: p99 ms", ours["whole market"]["p99_ms"], "≤", 1.5),
        ("ten times: p99 ms", ours["ten times"]["p99_ms"], "≤", 25.0),
    ]
    return "\n".join([machine_line(results["machine"]), "", table(head, rows), "", _checks(checks)])


def fanout_report(results: Results) -> str:
    """CPU microseconds a client and update, ours beside the raw write."""
    rows, checks = [], []
    for clients, by_name in results["clients"].items():
        ours, raw = by_name.values()
        ratio = {key: ours[f"{key}_us"] / raw[f"{key}_us"] for key in ("best", "median")}
        rows += [
            [f"{clients}: {name}", f"{took['best_us']:.2f}", f"{took['median_us']:.2f}"]
            for name, took in by_name.items()
        ]
        if clients != "1":
            checks.append((f"{clients} clients: ours / raw write", ratio, "≤", 1.2))
    head = [f"clients, {results['bytes']} bytes an update", "CPU us a send, best", "median"]
    return "\n".join([machine_line(results["machine"]), "", table(head, rows), "", _checks(checks)])


def live_report(results: Results) -> str:
    """One column a load: rates, CPU, delay from the exchange to the engine and of the hub, losses, memory."""
    runs = results["loads"]
    figures: dict[str, Callable[[Results], str]] = {
        "seconds": lambda one: f"{one['seconds']}",
        "messages/s, mean": lambda one: f"{one['messages_per_s']:,}",
        "messages/s, busiest second": lambda one: f"{one['busiest_per_s']:,}",
        "% of a core": lambda one: f"{one['cpu_share'] * 100:.0f}",
        "exchange to engine, p50 ms": lambda one: f"{one['latency']['exchange to engine']['p50_ms']:.1f}",
        "exchange to engine, p99 ms": lambda one: f"{one['latency']['exchange to engine']['p99_ms']:.1f}",
        "of it before a bystander has it, p50 and p99 ms": lambda one: (
            ", ".join(str(one["overheard"][name]) for name in ("p50_ms", "p99_ms")) if "overheard" in one else ""
        ),
        "hub, p99 ms": lambda one: f"{one['latency']['hub']['p99_ms']:.2f}",
        "trades missing, connections lost, reads not journalled": lambda one: ", ".join(
            str(one["during"][name]) for name in ("missing", "reconnects", "journal_dropped")
        ),
        "tier at worst": lambda one: str(one["tier_max"]),
        "longest wait of a timer, ms": lambda one: f"{one['loop_late_ms_max']:.0f}",
        "resident memory at the end, MB": lambda one: f"{one['rss_mb']:,.0f}",
    }
    rows = [[what, *(show(one) for one in runs.values())] for what, show in figures.items()]
    return "\n".join([machine_line(results["machine"]), "", table(["", *runs], rows)])


def soak_report(results: Results) -> str:
    """What was found, how often books came back, what is missing and why, and resident memory."""
    back, memory = results["resync_s"], results["rss_mb"]
    lines = [f"- {sentence} ({times} times)" for sentence, times in results["findings"]] or ["- nothing"]
    rows = [
        ["minutes", f"{results['minutes']:g}"],
        ["books asked for: live, resynchronising", " / ".join(f"{n:,}" for n in results["books"].values())],
        ["came back, median s, longest", f"{back['times']:,} times, {back['median']}, {_waits(back['longest'][:1])}"],
        ["resynchronising at the end", _waits((wait, name) for name, wait in back["not_back"].items()) or "none"],
        ["resident memory settled, end, most MB", f"{memory['settled']:,}, {memory['end']:,}, {memory['most']:,}"],
        ["MB an hour", f"{results['rss_mb_per_hour']:+,.1f}"],
    ]
    venues = [[name, *(f"{value:,}" for value in told.values())] for name, told in results["venues"].items()]
    head = ["", *next(iter(results["venues"].values()))]
    missing = [f"- {name}: {why}" for name, why in results["missing"].items() if why]
    parts = [machine_line(results["machine"]), "", table(["", ""], rows), "", table(head, venues)]
    return "\n".join([*parts, "", "Missing at the end:", *missing, "", "Findings:", *lines])


def hour_report(results: Results) -> str:
    """Of each process: resident and anonymous memory after some minutes, and the slope over the last half."""
    held, during = results["memory"], results["during"]
    minutes = list(held["run"]["at_min"])
    rows = [
        [name, *(f"{one['at_min'][m]:,}" for m in minutes), f"{one['mb_per_hour']:+,.1f} ± {one['error']:g}"]
        for name, one in held.items()
    ]
    lost = "trades missing {missing}, connections lost {reconnects}, reads not journalled {journal_dropped}"
    said = (
        f"{results['minutes']:g} minutes, {results['symbols']} symbols, {during['messages_per_s']:,} messages/s, "
        f"{during['cpu_share'] * 100:.0f} % of a core; {lost.format(**during['during'])}."
    )
    head = ["MB after minutes", *minutes, "MB an hour, last half"]
    return "\n".join([machine_line(results["machine"]), "", said, "", table(head, rows)])


def _waits(waits: Iterable[tuple[float, str]]) -> str:
    return ", ".join(f"{name} for {wait:g} s" for wait, name in waits)


def _pair(best_and_median: list[float], form: str) -> str:
    return " / ".join(format(value, form) for value in best_and_median)


def _checks(checks: list[tuple[str, dict[str, float], str, float]]) -> str:
    rows = []
    for what, value, sign, figure in checks:
        met = value["best"] <= figure if sign == "≤" else value["best"] >= figure
        shown = [f"{value[key]:,.2f}" for key in ("best", "median")]
        rows.append([what, f"{sign} {figure:,g}", *shown, _verdict(met)])
    return table(["", "target", "best", "median", ""], rows)


REPORTS = {
    "core": core_report,
    "peers": peers_report,
    "history": history_report,
    "sockets": sockets_report,
    "fanout": fanout_report,
    "live": live_report,
    "soak": soak_report,
    "hour": hour_report,
}


def update_readme(text: str) -> str:
    """`text` with the tables between its marks made anew from the result files."""
    for name, render in REPORTS.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            body = render(json.loads(path.read_text(encoding="utf-8")))
            marks = re.compile(rf"(<!-- {name} -->\n).*(<!-- /{name} -->)", re.DOTALL)
            text = marks.sub(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(update_readme(README.read_text(encoding="utf-8")), encoding="utf-8")
