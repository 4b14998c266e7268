"""Alerts in a real Chromium: a rule is made, fires, is shown and acknowledged; the page tells what the API tells."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import over_http
from program import SMALL_DEMO, started
from screen import opened, shown
from tapes import tape, trade, universe
from tapewatch.store.writer import Store
from waiting import wait_until

MINUTE = 60_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("alerts")
    store = Store(Path(home) / "data").open()
    prices = [420_000 + 4_200 * (k // 30 % 2) for k in range(181)]  # up or down by a percent each half hour
    end_ms = time.time_ns() // 1_000_000 // MINUTE * MINUTE - 60 * MINUTE
    rows = [trade(k + 1, end_ms - (180 - k) * MINUTE, price, 1) for k, price in enumerate(prices)]
    store.write(universe("BTCUSDT"), tape(rows), name="first")
    store.close()
    settings = {"TAPEWATCH_ALERTS__ALLOWED_NETWORKS": "10.0.0.0/8"}
    with started(home, *SMALL_DEMO, "--data", str(Path(home) / "data"), **settings) as program:
        url = program.url()
        wait_until(lambda: over_http.get(f"{url}api/alerts/metrics").status_code == 200, lambda: "no instruments")
        yield url
        assert program.stop() == 0


def told(demo: str, path: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = over_http.get(f"{demo}api/alerts{path}").json()
    return answer


def new_rule(page: Page) -> Locator:
    page.get_by_role("button", name="+ rule").click()
    return page.get_by_role("dialog", name="Alerts")


def test_a_rule_is_made_fires_is_shown_and_acknowledged(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    assert shown(page, "alerts")["rows"] == []
    sheet = new_rule(page)
    sheet.locator("#rule-metric option").nth(5).wait_for(state="attached")
    sheet.locator("#rule-metric").select_option("price")
    expect(sheet.locator("[data-now]")).to_contain_text("BTCUSDT now ")
    sheet.get_by_label("Comparison").select_option("above")
    sheet.locator("#rule-threshold").fill("1")
    sheet.locator("#rule-name").fill("BTC is there")
    sheet.locator("#rule-severity").select_option("critical")
    sheet.get_by_role("button", name="Watch it").click()
    expect(sheet).to_have_count(0)

    toast = page.locator("[data-toast]")
    expect(toast).to_contain_text("BTC is there · BTCUSDT ")
    (rule,) = told(demo)["rules"]
    (episode,) = told(demo)["episodes"]
    assert (rule["name"], rule["state"], rule["sinks"]) == ("BTC is there", "firing", ["page", "sound"])
    assert (episode["symbol"], episode["acked_ts"], episode["severity"]) == ("BTCUSDT", None, "critical")
    assert toast.get_attribute("data-toast") == episode["key"]
    expect(page.locator("[data-bell]")).to_have_attribute("data-bell", "1")
    wait_until(lambda: row_of_rule(page)["fired"] == "1", lambda: shown(page, "alerts"))
    row = row_of_rule(page)
    assert (row["state"], row["name"]) == ("● firing", "BTC is there")
    assert row["condition"] == rule["condition"] == "Last price is at or above 1"

    toast.get_by_role("button", name="seen").click()
    expect(page.locator("[data-bell]")).to_have_attribute("data-bell", "0")
    expect(toast).to_have_count(0)
    assert told(demo)["episodes"][0]["acked_ts"] is not None

    page.locator("[data-bell]").click()
    wait_until(lambda: shown(page, "alerts")["shown"] == "log", lambda: shown(page, "alerts"))
    wait_until(lambda: len(shown(page, "alerts")["rows"]) == 1, lambda: shown(page, "alerts"))
    log = dict(zip(shown(page, "alerts")["columns"], shown(page, "alerts")["rows"][0], strict=True))
    assert (log["seen"], log["symbol"], log["ended"]) == ("", "BTCUSDT", "open")
    assert float(log["value"]) == float(log["price"]) == episode["price"]  # whole prices are shown without a point


def row_of_rule(page: Page) -> dict[str, str]:
    snapshot = shown(page, "alerts")
    return dict(zip(snapshot["columns"], snapshot["rows"][0], strict=True)) if snapshot["rows"] else {"fired": ""}


def test_a_rule_is_changed_and_deleted(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    page.get_by_role("button", name="rules ").click()
    wait_until(lambda: len(shown(page, "alerts")["rows"]) == 1, lambda: shown(page, "alerts"))
    canvas = page.locator("[data-panel=alerts] canvas")
    canvas.click(position={"x": 100, "y": 32})
    sheet = page.get_by_role("dialog", name="Alerts")
    expect(sheet.locator("#rule-name")).to_have_value("BTC is there")
    sheet.locator("#rule-threshold").fill("9,999,999")
    sheet.get_by_role("button", name="Save").click()
    expect(sheet).to_have_count(0)
    (rule,) = told(demo)["rules"]
    assert (rule["revision"], rule["threshold"], rule["state"]) == (2, 9_999_999, "watching")
    assert told(demo)["episodes"][0]["ended_by"] == "edited"
    wait_until(lambda: [one["revision"] for one in shown(page, "alerts")["raw"]] == [2], lambda: shown(page, "alerts"))
    canvas.click(position={"x": 100, "y": 32})
    sheet.get_by_role("button", name="Delete").click()
    expect(sheet).to_have_count(0)
    wait_until(lambda: shown(page, "alerts")["count"] == 0, lambda: shown(page, "alerts"))
    assert told(demo)["rules"] == []


def test_an_alert_on_a_panel_begins_with_what_the_panel_shows(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts,cvd&symbol=ETHUSDT")
    page.get_by_role("button", name="Menu of CVD").click()
    page.get_by_role("menuitem", name="Alert on this…").click()
    sheet = page.get_by_role("dialog", name="Alerts")
    sheet.locator("#rule-metric option").nth(5).wait_for(state="attached")
    expect(sheet.locator("#rule-metric")).to_have_value("cvd_divergence")
    expect(sheet.get_by_label("Window")).to_have_value("15m")
    expect(sheet.locator("#rule-symbols")).to_have_value("ETHUSDT")
    sheet.get_by_role("button", name="Watch it").click()
    expect(sheet).to_have_count(0)
    (rule,) = told(demo)["rules"]
    assert (rule["name"], rule["metric"], rule["compare"], rule["threshold"]) == (
        "ETHUSDT CVD divergence 15m", "cvd_divergence", "outside", 2.0,
    )  # fmt: skip
    over_http.delete(f"{demo}api/alerts/rules/{rule['id']}")


def test_a_rule_is_tried_on_the_stored_past(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    sheet = new_rule(page)
    sheet.locator("#rule-metric option").nth(5).wait_for(state="attached")
    sheet.locator("#rule-threshold").fill("0.9")
    sheet.get_by_role("button", name="Dry run").click()
    block = sheet.locator("[data-dryrun]")
    # Five changes of a percent, each begins one alert that ends five minutes later; after each the price stood still.
    expect(block).to_contain_text("5 alerts, 40 a day")
    expect(block).to_contain_text("one look a minute at 1 symbol")
    expect(block.locator("tbody tr").first).to_contain_text(re.compile(r"1 min\s*0\.000\s*0\.000\s*5\s*\+0\.00\d"))
    sheet.locator("#rule-threshold").fill("2")
    expect(block).to_have_count(0)  # another rule than the one that was tried


def test_the_range_of_a_dry_run_is_chosen(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    sheet = new_rule(page)
    sheet.locator("#rule-metric option").nth(5).wait_for(state="attached")
    sheet.locator("#rule-threshold").fill("0.9")
    stored = over_http.get(f"{demo}api/stored", params={"exchange": "binance"}).json()
    begin, end = ((stored["from"] + minutes * MINUTE) // 1_000 for minutes in (80, 140))
    for label, seconds in (("Try from", begin), ("Try to", end)):
        sheet.get_by_label(label).fill(time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds)))
    sheet.get_by_role("button", name="Dry run").click()
    # Of the changes of a percent each half hour, those of the 90th and the 120th minute.
    expect(sheet.locator("[data-dryrun]")).to_contain_text("2 alerts")
    expect(sheet.locator("[data-dryrun]")).to_contain_text(time.strftime("to %Y-%m-%d %H:%M UTC", time.gmtime(end)))
    sheet.get_by_label("Try from").fill("yesterday")
    sheet.get_by_role("button", name="Dry run").click()
    expect(sheet.get_by_role("alert")).to_have_text(
        "the range of a dry run is two times in UTC, such as 2026-11-21 08:00"
    )
    sheet.get_by_role("group", name="Range of the dry run").get_by_role("button", name="all").click()
    sheet.get_by_role("button", name="Dry run").click()
    expect(sheet.locator("[data-dryrun]")).to_contain_text("alerts")


LISTENING = """
    // The driver's own questions count as gestures; here only a click does.
    let clicked = false;
    addEventListener('pointerdown', () => (clicked = true), true);
    Object.defineProperty(navigator, 'userActivation', { value: { get hasBeenActive() { return clicked; } } });
    window.__heard = new Set();
    window.__notified = [];
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...rest) {
        if (to instanceof AudioDestinationNode) {
            const ear = new AnalyserNode(this.context, { fftSize: 4096 });
            const [wave, bins] = [new Float32Array(4096), new Float32Array(ear.frequencyBinCount)];
            // A tone is over in a moment: its echo lasts until somebody has listened.
            const echo = new DelayNode(this.context, { delayTime: 0.25 });
            for (const [from, into] of [[this, echo], [echo, echo], [echo, ear]]) connect.call(from, into);
            setInterval(() => {
                ear.getFloatTimeDomainData(wave);
                if (Math.max(...wave) < 0.01) return;
                ear.getFloatFrequencyData(bins);
                const hertz = bins.indexOf(Math.max(...bins)) * this.context.sampleRate / 4096;
                window.__heard.add(Math.round(hertz / 220) * 220);
            }, 20);
        }
        return connect.call(this, to, ...rest);
    };
    const Real = window.Notification;
    window.Notification = class extends Real {
        constructor(title, options) {
            super(title, options);
            window.__notified.push({ title, ...options });
        }
    };
"""
"""What the loudspeaker is given, by its loudest frequency, and what the system is asked to show."""


def test_an_alert_is_heard_and_notified_where_the_browser_was_asked(browser: Browser, demo: str) -> None:
    context = browser.new_context()
    context.grant_permissions(["notifications"], origin=demo)
    page = context.new_page()
    page.add_init_script(LISTENING)
    rule = {"name": "loud", "metric": "price", "symbols": ["ETHUSDT"], "severity": "critical", "threshold": 9e9}
    made = over_http.post(f"{demo}api/alerts/rules", json=rule | {"sinks": ["sound", "desktop"]}).json()["rule"]
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    locked = page.locator("[data-locked]")
    expect(locked).to_have_text("sound locked: click")
    locked.click()
    expect(locked).to_have_count(0)
    over_http.put(f"{demo}api/alerts/rules/{made['id']}", json=rule | {"threshold": 1.0, "sinks": ["sound", "desktop"]})
    heard = "[...window.__heard]"  # the two tones; on a busy machine also the clicks of a starved loudspeaker
    wait_until(lambda: {660, 880} <= set(page.evaluate(heard)), lambda: page.evaluate(heard))
    (notified,) = page.evaluate("window.__notified")
    (episode,) = [one for one in told(demo)["episodes"] if one["rule"] == "loud"]
    assert (notified["title"], notified["tag"]) == ("loud", episode["key"])
    assert notified["body"].startswith("ETHUSDT ")
    expect(page.locator("[data-toast]")).to_have_count(0)  # which the rule does not want
    over_http.delete(f"{demo}api/alerts/rules/{made['id']}")
    over_http.post(f"{demo}api/alerts/ack", params={"key": "all"})
    context.close()


def test_sinks_are_kept_and_never_shown_again(page: Page, demo: str) -> None:
    opened(page, f"{demo}?panels=imbalance,alerts&symbol=BTCUSDT")
    page.get_by_role("button", name="sinks", exact=True).click()
    sheet = page.get_by_role("dialog", name="Alerts")
    sheet.get_by_label("Name of the sink").fill("ops")
    sheet.locator("#sink-url").fill("http://10.9.8.7/secret-path")
    sheet.get_by_role("button", name="Keep").click()
    expect(sheet.locator("[data-sink=ops]")).to_contain_text("ops")
    assert "secret-path" not in over_http.get(f"{demo}api/alerts/sinks").text
    (ops,) = [one for one in told(demo, "/sinks")["sinks"] if one["name"] == "ops"]
    assert ops["target"] == "http://10.9.8.7/…"
    sheet.locator("[data-sink=ops]").get_by_role("button", name="Delete").click()
    expect(sheet.locator("[data-sink=ops]")).to_have_count(0)
