"""How opening and reading layers, and planning packs, grow: the second table of docs/performance.md.

    python -m tests.benchmarks.growth [LAYER ROWS ...]

By default both go to ten million samples. The shards of a layer's dataset are links to one, so that they fit
on a small disk.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.every import PAGE, write_block
from tests.benchmarks.harness import figure
from tests.benchmarks.layers import made_dataset, made_layer
from tests.benchmarks.packing import mixture
from vila2.data.importing import finish_dataset, read_info
from vila2.data.layers import Layer, LayerWriter
from vila2.data.mixtures import ViewedDataset
from vila2.data.shards import ShardDataset
from vila2.data.views import View
from vila2.packing.plan import plan_packs

_ROWS = (10_000, 100_000, 1_000_000, 10_000_000)
_SHARD = 10_000
_SAMPLES = (10_000, 100_000, 1_000_000, 10_000_000)
_PICKS = 5000


def main() -> None:
    """Measures, and writes the table."""
    rows = tuple(map(int, sys.argv[1:])) or _ROWS
    lines = [*_layers(rows), "", *_packs()]
    print("\n".join(lines))
    write_block(PAGE, "growth", "\n".join(lines))


def _layers(counts: Sequence[int]) -> Iterator[str]:
    yield (
        "| rows of a layer | first opening through a view, CPU s | later ones, CPU s | memory, MB "
        "| random samples/s | without a layer |"
    )
    yield "|---|---|---|---|---|---|"
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            _linked(Path(folder, "data"), count // _SHARD)
            first, later = (_in_a_new_process(folder) for _ in range(2))  # the first aligns the layer
        yield f"| {count:,} | {first.partition(' | ')[0]} | {later} |"


def _linked(folder: Path, shards: int) -> None:
    """Makes a dataset and a layer; all shards are links to the first, and so are their files of the layer."""
    made_layer(made_dataset(folder, _SHARD, _SHARD), "one")
    for place, suffixes in (("shards", (".tar", ".index")), ("layers/one", (".parquet",))):
        for suffix, number in itertools.product(suffixes, range(1, shards)):
            os.link(folder / place / f"000000{suffix}", folder / place / f"{number:06d}{suffix}")
    (info,) = read_info(folder).shards
    finish_dataset(folder, "data", [replace(info, name=f"{number:06d}.tar") for number in range(shards)], {})
    LayerWriter(folder / "layers/one", "one").finish(
        {"layer": "one", "dataset": ShardDataset.open(folder).digest}
    )


def _in_a_new_process(folder: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.benchmarks.growth import opened; opened({folder!r})"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def opened(folder: str) -> None:
    """Opens a layer in this process and prints what it took, as cells of the table."""
    dataset, layer = ShardDataset.open(Path(folder, "data")), Layer.open(Path(folder, "data/layers/one"))
    before, started = _memory(), time.process_time()
    viewed = ViewedDataset(dataset, View.parse("only(one)"), {"one": layer})
    took, grown = time.process_time() - started, _memory() - before
    chosen = random.Random(0).sample(range(len(viewed)), _PICKS)
    started = time.process_time()
    for number in chosen:
        assert viewed[number].turns[1].text.startswith(viewed.key(number))
    rate = _PICKS / (time.process_time() - started)
    plain = ViewedDataset(dataset, View.parse("only(original)"))
    started = time.process_time()
    for number in chosen:
        assert len(plain[number].turns) == 2
    without = _PICKS / (time.process_time() - started)
    print(f"{figure(took)} | {figure(grown / 2**20)} | {figure(rate)} | {figure(without)}")


def _memory() -> int:
    """Bytes of memory of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status does not tell the memory")


def _packs() -> Iterator[str]:
    yield "| samples to pack | CPU s | samples/s | places without a token |"
    yield "|---|---|---|---|"
    for count in _SAMPLES:
        tokens, images = mixture(count)
        started = time.process_time()
        plan = plan_packs(tokens, images, capacity=4096)
        took = time.process_time() - started
        yield f"| {count:,} | {figure(took)} | {figure(count / took)} | {1 - plan.fill:.2%} |"


if __name__ == "__main__":
    main()
