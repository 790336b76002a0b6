"""``python -m tests.fuzz [PARSER ...]``: reads changed input and prints executions and unnamed exceptions.

With ``--results FOLDER`` each parser's counts are kept, and the same command goes on from there.
With atheris (`make fuzz`), coverage guides the changes, and what reaches new code is kept in a corpus.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import mutated
from tests.fuzz.parsers import check, parsers

try:
    import atheris
except ImportError:
    atheris = None

CORPUS = Path("build/fuzz")
#: Executions between two times that counts are kept.
PIECE = 5000


@dataclass
class Outcome:
    """What reading changed input came to.

    Attributes:
        executions: number of inputs.
        faults: unnamed exceptions with the place that raised them, and how often.
        slowest_seconds: computing time of the slowest input.
    """

    executions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0

    def add(self, fault: str, seconds: float) -> None:
        """Counts an input."""
        self.executions += 1
        self.slowest_seconds = max(self.slowest_seconds, seconds)
        if fault:
            self.faults[fault] += 1

    def join(self, other: Outcome) -> None:
        """Adds what other inputs came to."""
        self.executions += other.executions
        self.faults += other.faults
        self.slowest_seconds = max(self.slowest_seconds, other.slowest_seconds)

    @property
    def unnamed(self) -> int:
        """Number of unnamed exceptions."""
        return sum(self.faults.values())

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return asdict(self) | {"faults": dict(self.faults), "unnamed": self.unnamed}


def by_chance(name: str, executions: int, seed: str) -> Outcome:
    """Reads changed examples."""
    parser, chance, found = parsers()[name], random.Random(f"{name} {seed}"), Outcome()
    for _ in range(executions):
        data = mutated(chance, parser.examples)
        begun = time.process_time()
        found.add(check(parser, data), time.process_time() - begun)
    return found


def in_pieces(name: str, executions: int, seed: int, file: Path | None) -> Outcome:
    """Reads changed examples piece by piece; each has a seed of its own, so that a later call goes on."""
    found = Outcome()
    if file and file.exists():
        data = json.loads(file.read_text())
        found = Outcome(data["executions"], Counter(data["faults"]), data["slowest_seconds"])
    while found.executions < executions:
        number = min(PIECE, executions - found.executions)
        found.join(by_chance(name, number, f"{seed} {found.executions}"))
        if file:
            beside = file.with_suffix(".tmp")
            beside.write_text(json.dumps(found.to_json(), indent=2))
            beside.replace(file)
    return found


def by_coverage(name: str, executions: int) -> Outcome:
    """The same by atheris, in a process of its own, which ends with the last execution."""
    code = "from tests.fuzz.__main__ import guided; guided()"
    told = subprocess.run(
        [sys.executable, "-c", code, name, str(executions)], stdout=subprocess.PIPE, text=True
    )
    found = json.loads(told.stdout.splitlines()[-1])
    return Outcome(found["executions"], Counter(found["faults"]), found["slowest_seconds"])


def guided() -> None:
    """Runs atheris; prints the results as JSON before libFuzzer ends the process."""
    name, executions = sys.argv[1], int(sys.argv[2])
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    found = Outcome()
    with atheris.instrument_imports(include=["vila2"]):
        parser = parsers()[name]
        for example in parser.examples:
            check(parser, example)
    for number, example in enumerate(parser.examples):
        (corpus / f"example-{number}").write_bytes(example)

    def once(data: bytes) -> None:
        begun = time.process_time()
        found.add(check(parser, data), time.process_time() - begun)
        if found.executions == executions:
            print(json.dumps(found.to_json()), flush=True)

    options = [sys.argv[0], str(corpus), f"-runs={executions + 1000}", "-max_len=20000", "-verbosity=0"]
    atheris.Setup(options, once)
    atheris.Fuzz()


def main() -> int:
    """Returns the exit code: 1 where an exception had no name."""
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("parsers", nargs="*", metavar="PARSER", help="by default all of them")
    arguments.add_argument("--executions", type=int, default=2000, help="executions of each parser")
    arguments.add_argument("--seed", type=int, default=0, help="seed of the changes, without atheris")
    arguments.add_argument(
        "--results", type=Path, help="folder for counts, from which the same command goes on"
    )
    arguments.add_argument("--json", action="store_true", help="print JSON")
    asked = arguments.parse_args()
    if unknown := set(asked.parsers) - {*parsers(), "all"}:
        arguments.error(f"no parser is called {', '.join(sorted(unknown))}; there are {', '.join(parsers())}")
    if asked.results:
        asked.results.mkdir(parents=True, exist_ok=True)
    gc.freeze()
    results: dict[str, Outcome] = {}
    for name in parsers() if asked.parsers in ([], ["all"]) else asked.parsers:
        if atheris is None:
            file = asked.results and asked.results / f"{name}.json"
            found = results[name] = in_pieces(name, asked.executions, asked.seed, file)
        else:
            found = results[name] = by_coverage(name, asked.executions)
        if not asked.json:
            counts = f"{name:<18}{found.executions:>10}{found.unnamed:>8} unnamed"
            print(f"{counts}{found.slowest_seconds:>9.3f} s at most", flush=True)
            for fault, count in found.faults.most_common():
                print(f"  {count} x {fault}", flush=True)
    if asked.json:
        told = {name: found.to_json() for name, found in results.items()}
        print(json.dumps({"guided": atheris is not None, "parsers": told}, indent=2))
    else:
        print(f"{'sum':<18}{sum(found.executions for found in results.values()):>10}")
    return 1 if any(found.unnamed for found in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
