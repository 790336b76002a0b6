"""All benchmarks one after another, and the table that they write into docs/performance.md."""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.harness import Comparison, figure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/performance.md"
_WHOLE = 25 * 60  # seconds


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of the table.

    Attributes:
        where: module and function.
        seconds: longest time it may take in ``all``.
    """

    where: str
    seconds: int

    def function(self) -> Callable[[], Iterator[Comparison]]:
        """Gives the function, which measures and yields what it finds."""
        module, _, name = self.where.partition(":")
        found: Callable[[], Iterator[Comparison]] = getattr(
            importlib.import_module(f"tests.benchmarks.{module}"), name
        )
        return found


BENCHMARKS: dict[str, Benchmark] = {
    "decode": Benchmark("decode:compare", 60),
    "import": Benchmark("importing:compare", 40),
    "shards": Benchmark("reading:in_order", 60),
    "shuffle": Benchmark("reading:shuffled", 60),
    "recaption-plumbing": Benchmark("recaption_plumbing:compare", 80),
    "packing": Benchmark("packing:compare", 100),
    "layers": Benchmark("layers:compare", 250),
    "captioning": Benchmark("captioning:compare", 120),
    "startup": Benchmark("startup:compare", 60),
    "threads": Benchmark("threads:compare", 60),
    "spatial": Benchmark("growing:spatial", 70),
    "grit": Benchmark("growing:grit", 60),
    "ocr": Benchmark("growing:ocr", 60),
    "evidence": Benchmark("growing:evidence", 60),
    "merge": Benchmark("growing:merge", 70),
    "packed-training": Benchmark("packed_training:compare", 200),
}


def run_all(page: Path = PAGE) -> Iterator[Comparison]:
    """Runs every benchmark and writes the table."""
    found: list[Comparison] = []
    unended: dict[str, str] = {}
    loads: list[float] = []
    began = time.monotonic()
    for name, benchmark in BENCHMARKS.items():
        loads.append(os.getloadavg()[0])
        left = min(benchmark.seconds, _WHOLE - (time.monotonic() - began))
        try:
            for one in _run(name, left):
                found.append(one)
                yield one
        except subprocess.TimeoutExpired:
            unended[name] = f"did not end within {left:.0f} s"
        except subprocess.CalledProcessError as error:
            unended[name] = f"failed with exit code {error.returncode}"
    for name, why in unended.items():
        print(f"{name}: {why}", file=sys.stderr)
    minutes = (time.monotonic() - began) / 60
    machine = (
        f"{_processor()}, {os.cpu_count()} cores, one thread, Python {platform.python_version()}; "
        f"{minutes:.0f} minutes in all. Before each benchmark, the machine's load from other programs was "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )
    write_block(page, "all", "\n".join([machine, "", *_table(found, unended)]))


def _run(name: str, seconds: float) -> Iterable[Comparison]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", name, "--json"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=max(seconds, 1),
    )
    return [Comparison.from_json(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _table(found: Iterable[Comparison], unended: dict[str, str]) -> Iterator[str]:
    yield "| benchmark | ours | beside | ratio | limit | reached? |"
    yield "|---|---|---|---|---|---|"
    for one in found:
        state = "yes" if one.reached else f"{one.of_limit:.0%}: {one.cause}"
        yield (
            f"| {one.name} | {figure(one.ours)} {one.unit} | {figure(one.peer)}, {one.beside} "
            f"| {figure(one.ratio)} | {figure(one.limit)} | {state} |"
        )
    for name, why in unended.items():
        yield f"| {name} | | | | | {why} |"


def write_block(page: Path, name: str, text: str) -> None:
    """Replaces what stands between the two marks of a name in a page."""
    first, last = f"<!-- python -m tests.benchmarks {name} -->", f"<!-- end of {name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(first)
    _, found, after = rest.partition(last)
    if not found:
        raise ValueError(f"{page} has no lines {first!r} and {last!r}")
    page.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
