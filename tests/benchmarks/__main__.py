"""Runs the benchmarks that compare this package with its peers: ``python -m tests.benchmarks NAME|all``.

``all`` runs each in a process of its own, ends one that takes longer than its share of 25 minutes, and writes
the table of docs/performance.md. ``growth`` is apart, since it writes ten million rows; so are
``packed_training``, ``caption_scorer`` and ``judge_intervals``, which are modules to run by themselves.
"""

from __future__ import annotations

import argparse
import importlib

from tests.benchmarks.every import BENCHMARKS, run_all


def main() -> None:
    """Runs one benchmark or all, and prints a line for each comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*BENCHMARKS, "all", "growth"])
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    asked = parser.parse_args()
    if asked.name == "growth":
        from tests.benchmarks.growth import write_growth

        write_growth()
        return
    if asked.name == "all":
        found = run_all()
    else:
        found = importlib.import_module(BENCHMARKS[asked.name].module).compare()
    for one in found:
        print(one.to_json() if asked.json else one, flush=True)


if __name__ == "__main__":
    main()
