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
from collections.abc import Callable, Iterator, Mapping
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
    "decode": Benchmark("decode:compare", 40),
    "import": Benchmark("importing:compare", 30),
    "shards": Benchmark("reading:in_order", 40),
    "shuffle": Benchmark("reading:shuffled", 40),
    "recaption-plumbing": Benchmark("recaption_plumbing:compare", 40),
    "packing": Benchmark("packing:compare", 40),
    "layers": Benchmark("layers:compare", 80),
    "recaption": Benchmark("recaption_job:compare", 80),
    "captioning": Benchmark("captioning:compare", 130),
    "startup": Benchmark("startup:compare", 30),
    "threads": Benchmark("threads:compare", 70),
    "spatial": Benchmark("growing:spatial", 50),
    "grit": Benchmark("growing:grit", 40),
    "ocr": Benchmark("growing:ocr", 30),
    "evidence": Benchmark("growing:evidence", 40),
    "merge": Benchmark("growing:merge", 40),
    "packed-training": Benchmark("packed_training:compare", 140),
    "tree": Benchmark("trees:compare", 70),
    "train-step": Benchmark("train_step:compare", 160),
}
#: Benchmarks that ``all`` runs beside the others if asked to, since they take as long as all of them.
LONG: dict[str, Benchmark] = {"demo": Benchmark("demo:compare", 900)}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a benchmark found, and why it found no more; "" for one that came to its end."""

    found: list[Comparison]
    fault: str = ""


def run_all(page: Path = PAGE, at_once: int = 1, *, long: bool = False) -> Iterator[Comparison]:
    """Runs every benchmark and writes the table.

    Args:
        page: page with the table.
        at_once: number of benchmarks that run at a time.
        long: whether to run those that take long, too.
    """
    chosen = BENCHMARKS | (LONG if long else {})
    done: dict[str, Ended] = {}
    load, began = os.getloadavg()[0], time.monotonic()
    run = partial(_run, end=began + _WHOLE)
    with ThreadPoolExecutor(at_once) as pool:
        # The longest first, so that none is left alone at the end.
        order = sorted(chosen.items(), key=lambda named: -named[1].seconds)
        for (name, _), ended in zip(order, pool.map(run, order), strict=True):
            done[name] = ended
            if ended.fault:
                print(f"{name}: {ended.fault}", file=sys.stderr)
            yield from ended.found
    minutes = (time.monotonic() - began) / 60
    machine = (
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}. {at_once} at a time, "
        f"{minutes:.0f} minutes in all. The load of the machine by other programs was {load:.1f} at the "
        f"beginning, and with the benchmarks {os.getloadavg()[0]:.1f} at the end."
    )
    write_block(page, "all", "\n".join([machine, "", *_table({name: done[name] for name in chosen})]))


def _run(named: tuple[str, Benchmark], end: float) -> Ended:
    """Runs a benchmark in a process of its own."""
    _, benchmark = named
    left = end - time.monotonic()
    if left <= 0:
        return Ended([], f"not begun within {_WHOLE // 60} minutes")
    limits = (benchmark.seconds, benchmark.seconds + 1)
    with subprocess.Popen(
        [sys.executable, "-c", f"from tests.benchmarks.every import say; say({benchmark.where!r})"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limits),
    ) as process:
        fault = ""
        try:
            said, _ = process.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()  # all that it said, before the limit too
            fault = f"did not end within {_WHOLE // 60} minutes"
    if process.returncode == -signal.SIGXCPU:
        fault = f"did not end within {benchmark.seconds} CPU seconds"
    elif process.returncode and not fault:
        fault = f"failed with exit code {process.returncode}"
    # A peer may print as well: transformers' Trainer prints {'loss': ...}.
    lines = [line for line in said.splitlines() if line.startswith('{"')]
    return Ended([Comparison.from_json(line) for line in lines], fault)


def say(where: str) -> None:
    """Runs a benchmark in this process, and prints a line of JSON for each thing that it finds."""
    for one in Benchmark(where, _WHOLE).function()():
        print(one.to_json(), flush=True)


def _table(done: Mapping[str, Ended]) -> Iterator[str]:
    yield "| benchmark | ours | beside | ratio | limit | reached? |"
    yield "|---|---|---|---|---|---|"
    for name, ended in done.items():
        for one in ended.found:
            state = "yes" if one.reached else f"{one.of_limit:.0%}: {one.cause}"
            yield (
                f"| {one.name} | {figure(one.ours)} {one.unit} | {figure(one.peer)}, {one.beside} "
                f"| {figure(one.ratio)} | {figure(one.limit)} | {state} |"
            )
        if ended.fault:
            yield f"| {name}{': the rest' if ended.found else ''} | | | | | {ended.fault} |"


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
