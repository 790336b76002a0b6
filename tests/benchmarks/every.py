"""All benchmarks one after another, and the table that they write into docs/performance.md."""

from __future__ import annotations

import importlib
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
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
        seconds: CPU seconds that it may take in ``all``; all together, they fit into 25 minutes.
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


def run_all(page: Path = PAGE, at_once: int = 1) -> Iterator[Comparison]:
    """Runs every benchmark and writes the table.

    Args:
        page: page with the table.
        at_once: number of benchmarks that run at a time.
    """
    found: list[Comparison] = []
    unended: dict[str, str] = {}
    load, began = os.getloadavg()[0], time.monotonic()
    run = partial(_run, end=began + _WHOLE)
    with ThreadPoolExecutor(at_once) as pool:
        for name, done in zip(BENCHMARKS, pool.map(run, BENCHMARKS.items()), strict=True):
            if isinstance(done, str):
                unended[name] = done
                print(f"{name}: {done}", file=sys.stderr)
            else:
                found += done
                yield from done
    minutes = (time.monotonic() - began) / 60
    machine = (
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}. {at_once} at a time, "
        f"{minutes:.0f} minutes in all. The load of the machine by other programs was {load:.1f} at the "
        f"beginning, and with the benchmarks {os.getloadavg()[0]:.1f} at the end."
    )
    write_block(page, "all", "\n".join([machine, "", *_table(found, unended)]))


def _run(named: tuple[str, Benchmark], end: float) -> list[Comparison] | str:
    """Runs a benchmark in a process of its own; what it found, or why it found nothing."""
    name, benchmark = named
    left = end - time.monotonic()
    if left <= 0:
        return f"not begun within {_WHOLE // 60} minutes"
    limits = (benchmark.seconds, benchmark.seconds + 1)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks", name, "--json"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=left,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limits),
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {_WHOLE // 60} minutes"
    if done.returncode == -signal.SIGXCPU:
        return f"did not end within {benchmark.seconds} CPU seconds"
    if done.returncode:
        return f"failed with exit code {done.returncode}"
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
