"""Runs the benchmarks that compare this package with its peers: ``python -m tests.benchmarks NAME|all``.

``all`` runs each in a process of its own, ends one that takes more CPU than its share of 25 minutes, and
writes the table of docs/performance.md. Of one that was ended, the table has what it found until then.
``--with-demo`` runs the miniature's whole loop, too, which takes about as long as all others together.

``growth``, ``packed_training``, ``caption_scorer`` and ``judge_intervals`` are modules to run by themselves.
"""

from __future__ import annotations

import argparse

from tests.benchmarks.every import BENCHMARKS, LONG, run_all


def main() -> None:
    """Runs one benchmark or all, and prints a line for each comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*BENCHMARKS, *LONG, "all"])
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--at-once", type=int, default=1, help="benchmarks of `all` that run at a time")
    parser.add_argument("--with-demo", action="store_true", help="let `all` run the miniature's loop, too")
    asked = parser.parse_args()
    if asked.name == "all":
        found = run_all(at_once=asked.at_once, long=asked.with_demo)
    else:
        found = (BENCHMARKS | LONG)[asked.name].function()()
    for one in found:
        print(one.to_json() if asked.json else one, flush=True)


if __name__ == "__main__":
    main()
