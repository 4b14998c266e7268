"""`make bench`: our path and its references on the same bytes, in one process."""

from __future__ import annotations

import argparse
import sys

from . import memory, report, sets, views
from .ours import ParseOnly, Pipeline
from .references import available
from .slices import Build, compare, disagreements, keep_memory

ROUNDS = 5


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("sets", nargs="*", metavar="set", help="only these sets, nothing saved", default=[])
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = arguments.parse_args()
    keep_memory()
    references, remarks = available()
    contenders: dict[str, Build] = {report.OURS: Pipeline, report.PARSE_ONLY: ParseOnly, **references}
    names = chosen.sets or [*sets.SEEDED, *sets.RECORDED]
    if not chosen.sets and (absent := sets.missing_recordings()):
        remarks.append(absent)
        names = list(sets.SEEDED)
    machine = report.machine()
    report.say(report.machine_line(machine))
    for sentence in remarks:
        report.say(sentence)
    measured: report.Results = {}
    for name in names:
        workload = sets.load(name)
        costs = compare(workload, contenders, chosen.rounds)
        wrong = disagreements(costs, costs[report.OURS])
        measured[name] = report.costs_as_data(len(workload.frames), workload.size, costs, wrong)
        report.say("\n" + report.costs_table(name, measured[name]))
    if not chosen.sets:
        results = {"machine": machine, "rounds": chosen.rounds, "sets": measured, "figures": _figures()}
        report.save("core", results)
        report.say(report.targets_table(measured, report.CORE_TARGETS) + "\n")
        report.say(report.figures_table(results["figures"]))
    return 1 if any(one["unequal"] for one in measured.values()) else 0


def _figures() -> report.Results:
    rebin, top = views.rebin(), views.top_of_book()
    return {
        "rebin": {report.OURS: _ms(rebin["ours"]), "numpy, bins only": _ms(rebin["numpy"]), "dict": _ms(rebin["dict"])},
        "top20": {report.OURS: round(top["ours"][0], 2), "SortedDict": round(top["SortedDict"][0], 2)},
        "memory": {report.OURS: memory.measure("ours"), "SortedDict": memory.measure("sorteddict")},
    }


def _ms(best_and_median_us: tuple[float, float]) -> float:
    return round(best_and_median_us[0] / 1000, 2)


if __name__ == "__main__":
    sys.exit(main())
