"""The benchmarks' own honesty: seeded sets repeat, contenders agree on the end state, disagreement is noticed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

pytest.importorskip(
    "sortedcontainers", reason="the references of the benchmarks are not installed: pip install '.[bench]'"
)

from bench import against, hour, market, report  # noqa: E402  (the checkout is not on the path of an installed pytest)
from bench.ours import ParseOnly, Pipeline  # noqa: E402
from bench.references import available  # noqa: E402
from bench.slices import Cost, compare, disagreements  # noqa: E402
from bench.workload import Workload  # noqa: E402


def small_sets() -> list[Workload]:
    return [market.trades(600, 12), market.depth20(120, 4), market.mix550(1, 6)]


def test_seeded_sets_repeat_and_survive_the_disk(tmp_path: Path) -> None:
    for one, again in zip(small_sets(), small_sets(), strict=True):
        one.save(tmp_path / one.name)
        assert one == again
        assert Workload.load(tmp_path / one.name) == one


@pytest.mark.parametrize("workload", small_sets(), ids=lambda workload: workload.name)
def test_contenders_end_in_the_same_state(workload: Workload) -> None:
    references, _ = available()
    costs = compare(workload, {"ours": Pipeline, "parse only": ParseOnly, **references}, rounds=1)
    assert disagreements(costs, costs["ours"]) == {}
    assert costs["ours"].digests == costs["SortedDict book"].digests
    assert not costs["parse only"].digests


def test_a_contender_that_lost_something_does_not_count() -> None:
    right, wrong = Cost(1.0, 1.0, {"books": "a:2", "trades": "b:1"}), Cost(1.0, 1.0, {"books": "a:2", "trades": "c:1"})
    assert disagreements({"right": right, "wrong": wrong, "decoder": Cost(1.0, 1.0)}, right) == {"wrong": ["trades"]}


def test_an_hour_tells_what_grows_beyond_what_the_program_declares() -> None:
    memory = hour.Memory()
    for k in range(61):
        now = {"run": 500.0 + k, "run, anonymous": 300.0 + k}
        memory.take(60.0 * k, hour.judged(now, {"minute cells": 10.0 + 0.75 * k, "gaps": 0.0}))
    grown = {name: one["mb_per_hour"] for name, one in hour.growth(memory).items()}
    assert grown == {
        "run": 60.0, "run, anonymous": 60.0, hour.HELD: 45.0, hour.UNDECLARED: 15.0, "of them minute cells": 45.0,
    }  # fmt: skip


def test_the_readme_is_made_from_the_results() -> None:
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    assert report.update_readme(text) == text


def test_a_contender_in_its_own_process_ends_in_the_same_state(tmp_path: Path) -> None:
    workload = market.mix550(1, 6)
    workload.save(tmp_path)
    here, there = Pipeline(workload), against.Worker(report.OURS, tmp_path, whole=False)
    try:
        slices = int(there.ask("build"))
        assert slices == len(workload.slices())
        assert all(int(there.ask(k)) > 0 for k in range(slices))
        for reads in workload.slices():
            here.run(reads)
        assert json.loads(there.ask("state")) == here.state().digests()
    finally:
        there.close()
