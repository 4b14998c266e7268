"""The page in a real browser with the whole liquidity lab open: script a frame, tasks of the main thread, heap.

python -m bench.page [--minutes N] [--url URL] [--size 1920x1080] [--save NAME]

Without --url it starts `tapewatch demo` as a user does. The browser is Chromium without a GPU. Every ten seconds the
page is asked for its own timings and, after a collection, Chromium for its heap; at the end twenty seconds are traced,
task by task. Exit 1 when a limit of the budget is broken.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from . import report

EVERY_S = 10.0
COLLECTED_S = 0.5
TRACED_S = 20.0
STARTED_WITHIN_S = 180.0
SETTLED_SHARE = 0.15
"""The first part of a run is not judged: code is compiled, rings fill."""
LAB = "Liquidity lab"
LIMITS = {
    "script of a frame p95, ms": 6.0,
    "script of a frame p99, ms": 12.0,
    "main thread a frame p95, ms": 14.0,
    "task of the main thread p99, ms": 50.0,
    "heap, MB a minute": 0.25,
}
WATCH = """
window.__watch = {frames: 0, long: []};
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.__watch.long.push(one.duration); })
  .observe({type: 'longtask'});
(function tick() { window.__watch.frames += 1; requestAnimationFrame(tick); })();
"""
TAKE = """() => {
  const {frames, long} = window.__watch;
  window.__watch.frames = 0;
  window.__watch.long = [];
  return {frames, long, perf: window.__perf.snapshot(), nodes: document.querySelectorAll('*').length};
}"""


@contextmanager
def program(symbols: int) -> Iterator[str]:
    """Address of a `tapewatch demo` that runs until the block ends."""
    with tempfile.TemporaryFile("w+") as said:
        arguments = [sys.executable, "-m", "tapewatch", "demo", "--no-store", "--symbols", str(symbols), "--port", "0"]
        process = subprocess.Popen(arguments, stdout=said, stderr=subprocess.STDOUT)  # noqa: S603  (our own program)
        try:
            deadline = time.monotonic() + STARTED_WITHIN_S
            found = None
            while found is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"the program did not start: {said.read()[-2000:]}")
                time.sleep(0.5)
                said.seek(0)
                found = re.search(r"http://127\.0\.0\.1:\d+/?", said.read())
            yield found[0]
        finally:
            process.terminate()
            process.wait(30)


def open_lab(page: Page, url: str) -> None:
    """Choose the ready-made layout for two symbols, as a user does."""
    page.add_init_script(WATCH)
    page.goto(url)
    page.wait_for_function("window.__app?.ready", timeout=STARTED_WITHIN_S * 1000)
    page.get_by_role("button", name="layout").click()
    page.get_by_role("menuitem").filter(has_text=LAB).click()
    page.wait_for_function("window.__app.ready && window.__app.panels().includes('heatmap:ETHUSDT')", timeout=60_000)


def sample(page: Page, cdp: CDPSession, seconds: float) -> dict[str, Any]:
    """What the last `seconds` were like."""
    taken = page.evaluate(TAKE)
    cdp.send("HeapProfiler.collectGarbage")
    heap = cdp.send("Runtime.getHeapUsage")["usedSize"] / 1e6
    page.wait_for_timeout(COLLECTED_S * 1000)
    page.evaluate(TAKE)  # the collection was ours, not the page's
    return {
        "fps": taken["frames"] / seconds,
        "long_tasks": taken["long"],
        "panels": taken["perf"],
        "nodes": taken["nodes"],
        "heap_mb": heap,
    }


def traced(browser: Browser, page: Page) -> tuple[list[float], list[float]]:
    """Tasks of the page's main thread, and its work from one animation frame to the next: processor time, ms."""
    browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
    page.wait_for_timeout(TRACED_S * 1000)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    frames = [event for event in events if event["name"] == "FireAnimationFrame"]
    thread = max({(e["pid"], e["tid"]) for e in frames}, key=[(e["pid"], e["tid"]) for e in frames].count)
    of_page = [event for event in events if (event["pid"], event["tid"]) == thread]
    tasks = [event for event in of_page if event["name"] == "RunTask" or event["name"].endswith("::RunTask")]
    starts = np.sort([event["ts"] for event in of_page if event["name"] == "FireAnimationFrame"])
    spent = np.bincount(
        np.searchsorted(starts, [task["ts"] for task in tasks]), [task.get("tdur", 0) / 1000 for task in tasks]
    )
    return [task.get("tdur", 0) / 1000 for task in tasks], spent[1:-1].tolist()


def private_mb(cdp: CDPSession) -> float:
    """Private memory of the browser's largest renderer; 0 where the system does not say."""
    pids = [one["id"] for one in cdp.send("SystemInfo.getProcessInfo")["processInfo"] if one["type"] == "renderer"]
    sizes = [0.0]
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup")
        if rollup.exists():
            sizes.append(sum(int(kb) for kb in re.findall(r"Private_\w+:\s+(\d+) kB", rollup.read_text())) / 1000)
    return max(sizes)


def measure(url: str, minutes: float, size: tuple[int, int]) -> dict[str, Any]:
    """Open the lab and watch it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        open_lab(page, url)
        cdp, whole = page.context.new_cdp_session(page), browser.new_browser_cdp_session()
        page.wait_for_timeout(5_000)
        page.evaluate(TAKE)
        samples, memory, started = [], [private_mb(whole)], time.monotonic()
        while time.monotonic() - started < minutes * 60:
            before = time.monotonic()
            page.wait_for_timeout(EVERY_S * 1000)
            samples.append({"at_s": time.monotonic() - started, **sample(page, cdp, time.monotonic() - before)})
            memory.append(private_mb(whole))
        tasks, frames = traced(browser, page)
        panels = page.evaluate("window.__app.panels()")
        browser.close()
    return summary(samples, tasks, frames) | {"open": panels, "minutes": minutes, "private_mb": [memory[0], memory[-1]]}


def summary(samples: list[dict[str, Any]], tasks: list[float], frames: list[float]) -> dict[str, Any]:
    """The figures that are judged, and those of each panel."""
    late = samples[int(len(samples) * SETTLED_SHARE) :]
    script = {q: float(np.median([one["panels"]["frame"][q] for one in late])) for q in ("p50", "p95", "p99", "max")}
    at_min, heap = [one["at_s"] / 60 for one in late], [one["heap_mb"] for one in late]
    names = sorted({name for one in late for name in one["panels"]})
    long = [ms for one in late for ms in one["long_tasks"]]
    return {
        "script of a frame p50, ms": script["p50"],
        "script of a frame p95, ms": script["p95"],
        "script of a frame p99, ms": script["p99"],
        "main thread a frame p50, ms": float(np.quantile(frames, 0.5)),
        "main thread a frame p95, ms": float(np.quantile(frames, 0.95)),
        "task of the main thread p99, ms": float(np.quantile(tasks, 0.99)),
        "longest task traced, ms": max(tasks),
        "frames a second": float(np.median([one["fps"] for one in late])),
        "long tasks": len(long),
        "longest task, ms": max(long, default=0.0),
        "heap, MB": heap[-1],
        "heap, MB a minute": float(np.polyfit(at_min, heap, 1)[0]) if len(late) > 2 else float("nan"),
        "elements": [late[0]["nodes"], late[-1]["nodes"]],
        "panels": {
            name: {
                q: float(np.median([one["panels"][name][q] for one in late if name in one["panels"]]))
                for q in ("p50", "p95", "p99", "max")
            }
            for name in names
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a running program; one is started where it is left out")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--symbols", type=int, default=40, help="instruments of the program that is started")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--save", metavar="NAME", help="keep the result under bench/results")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    if asked.url:
        result = measure(asked.url, asked.minutes, (width, height))
    else:
        with program(asked.symbols) as url:
            result = measure(url, asked.minutes, (width, height))
    broken = [f"{name} = {result[name]:.2f}, limit {limit:g}" for name, limit in LIMITS.items() if result[name] > limit]
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    sys.stderr.write(("\n".join(broken) or "within the budget") + "\n")
    if asked.save:
        (report.RESULTS / f"{asked.save}.json").write_text(json.dumps(result, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
