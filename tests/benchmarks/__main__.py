"""Runs the benchmarks that compare this package with its peers: ``python -m tests.benchmarks NAME|all``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from tests.benchmarks import captioning, decode, importing, layers, threads
from tests.benchmarks.harness import Comparison

BENCHMARKS: dict[str, Callable[[], Iterator[Comparison]]] = {
    "captioning": captioning.compare,
    "decode": decode.compare,
    "import": importing.compare,
    "layers": layers.compare,
    "threads": threads.compare,
}


def main() -> None:
    """Runs one benchmark or all, and prints a line for each comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    asked = parser.parse_args()
    for name in BENCHMARKS if asked.name == "all" else [asked.name]:
        for found in BENCHMARKS[name]():
            print(found.to_json() if asked.json else found, flush=True)


if __name__ == "__main__":
    main()
