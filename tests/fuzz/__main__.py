"""``python -m tests.fuzz [PARSER]``: reads changed input and prints executions and unnamed exceptions.

With atheris (`make fuzz`), coverage guides the changes, and what reaches new code is kept in a corpus.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.mutation import mutated
from tests.fuzz.parsers import check, parsers, place

try:
    import atheris
except ImportError:
    atheris = None

CORPUS = Path("build/fuzz")


def by_chance(name: str, executions: int, seed: int) -> tuple[int, Counter[str], float]:
    """Reads changed examples; gives the executions, the unnamed exceptions, and the slowest seconds."""
    parser, chance = parsers()[name], random.Random(f"{name} {seed}")
    faults: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(executions):
        data = mutated(chance, parser.examples)
        begun = time.perf_counter()
        if fault := check(parser, data):
            faults[fault] += 1
        slowest = max(slowest, time.perf_counter() - begun)
    return executions, faults, slowest


def by_coverage(name: str, executions: int) -> tuple[int, Counter[str], float]:
    """The same by atheris, in a process of its own, which ends with the last execution."""
    code = "from tests.fuzz.__main__ import guided; guided()"
    told = subprocess.run(
        [sys.executable, "-c", code, name, str(executions)], stdout=subprocess.PIPE, text=True
    )
    found = json.loads(told.stdout.splitlines()[-1])
    return found["executions"], Counter(found["faults"]), found["slowest"]


def guided() -> None:
    """Runs atheris; prints the results as JSON before libFuzzer ends the process."""
    name, executions = sys.argv[1], int(sys.argv[2])
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    faults: Counter[str] = Counter()
    done, slowest = 0, 0.0
    with atheris.instrument_imports(include=["vila2"]):
        parser = parsers()[name]
        for example in parser.examples:
            check(parser, example)
    for number, example in enumerate(parser.examples):
        (corpus / f"example-{number}").write_bytes(example)

    def once(data: bytes) -> None:
        nonlocal done, slowest
        begun = time.perf_counter()
        if fault := check(parser, data):
            faults[fault] += 1
        done, slowest = done + 1, max(slowest, time.perf_counter() - begun)
        if done == executions:
            print(json.dumps({"executions": done, "faults": faults, "slowest": slowest}), flush=True)

    options = [sys.argv[0], str(corpus), f"-runs={executions + 1000}", "-max_len=20000", "-verbosity=0"]
    atheris.Setup(options, once)
    atheris.Fuzz()


def main() -> int:
    """Returns the exit code: 1 where an exception had no name."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("parser", nargs="?", choices=[*parsers(), "all"], default="all")
    arguments.add_argument("--executions", type=int, default=2000, help="executions of each parser")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the changes, without atheris")
    arguments.add_argument("--json", action="store_true", help="print JSON")
    asked = arguments.parse_args()
    results = {}
    for name in parsers() if asked.parser == "all" else [asked.parser]:
        if atheris is None:
            done, faults, slowest = by_chance(name, asked.executions, asked.seed)
        else:
            done, faults, slowest = by_coverage(name, asked.executions)
        results[name] = {
            "executions": done,
            "unnamed": sum(faults.values()),
            "slowest_seconds": round(slowest, 3),
        }
        results[name]["faults"] = dict(faults)
        if not asked.json:
            print(
                f"{name:<18}{done:>10}{sum(faults.values()):>8} unnamed{slowest:>9.3f} s at most", flush=True
            )
            for fault, count in faults.most_common():
                print(f"  {count} x {fault}", flush=True)
    shutil.rmtree(place(), ignore_errors=True)
    if asked.json:
        print(json.dumps({"guided": atheris is not None, "parsers": results}, indent=2))
    return 1 if any(result["unnamed"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
