"""Time and memory of opening, planning and status for data sets of up to 115 million samples.

Shards are links to one sparse tar with a real offset index of 10,000 samples; layers are empty files. Each
measurement runs in a process of its own.

    python -m tests.scale.simulated
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from vila2.caption.batched_layer import count_images, describe_selection
from vila2.caption.layer_parts import LayerPart
from vila2.caption.layer_status import layer_standings
from vila2.data.importing import VERSION
from vila2.data.offset_index import IndexBuilder
from vila2.data.shards import ShardDataset

PER_SHARD = 10_000
SHARDS = (100, 1_150, 11_500)
_SAMPLE_BYTES = 61_440


def make(folder: Path, shards: int) -> None:
    """Writes a data set of links; half of the shards of its layer are done."""
    (folder / "shards").mkdir(parents=True)
    layer = folder / "layers" / "self-1"
    layer.mkdir(parents=True)
    builder = IndexBuilder()
    for number in range(PER_SHARD):
        at = number * _SAMPLE_BYTES
        members = [("jpg", at + 512, 60_000), ("json", at + 61_000, 300)]
        builder.add(f"{number:09d}", members, [0, 0], text=True)
    index = builder.build(size=PER_SHARD * _SAMPLE_BYTES, sha256="0" * 64, mtime_ns=0)
    first = folder / "shards" / "000000"
    first.with_suffix(".index").write_bytes(index.to_bytes())
    with first.with_suffix(".tar").open("wb") as tar:
        tar.truncate(index.size)
    (layer / "000000.parquet").touch()
    for number in range(1, shards):
        for suffix in (".tar", ".index"):
            os.link(first.with_suffix(suffix), folder / "shards" / f"{number:06d}{suffix}")
        if number % 2 == 0:
            os.link(layer / "000000.parquet", layer / f"{number:06d}.parquet")
    rows = [
        {"name": f"{number:06d}.tar", "count": PER_SHARD, "bytes": index.size, "sha256": "0" * 64}
        for number in range(shards)
    ]
    count = shards * PER_SHARD
    content = {"version": VERSION, "name": "simulated", "digest": "0", "count": count, "shards": rows}
    content["rejected"] = {}
    (folder / "dataset.json").write_text(json.dumps(content))


def _open(folder: Path) -> None:
    assert len(ShardDataset.open(folder)) % PER_SHARD == 0


def _plan(folder: Path) -> None:
    """What every part of a layer job does before its first image."""
    dataset = ShardDataset.open(folder)
    assert describe_selection(dataset, None)["count"] == len(dataset)
    assert count_images(dataset, None) == len(dataset)


def _status(folder: Path) -> None:
    dataset = ShardDataset.open(folder)
    (standing,) = layer_standings(dataset, {"self-1": folder / "layers" / "self-1"})
    assert standing.done == len(dataset.shards) // 2


def _sample(folder: Path) -> None:
    """Places of a thousand samples anywhere."""
    dataset = ShardDataset.open(folder)
    for number in range(0, len(dataset), len(dataset) // 1000):
        shard_no, place = dataset.locate(number)
        assert dataset.index(shard_no).members(place)
    assert len(LayerPart(1, 64).shards(len(dataset.shards)))


WORK: dict[str, Callable[[Path], None]] = {"open": _open, "plan": _plan, "status": _status, "sample": _sample}


def main() -> None:
    """Makes the data sets and prints a row for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, nargs="*", default=SHARDS)
    parser.add_argument("--do", nargs=2, metavar=("WORK", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.do:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started, used = time.perf_counter(), time.process_time()
        WORK[asked.do[0]](Path(asked.do[1]))
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(json.dumps({"cpu": round(cpu, 2), "seconds": round(seconds, 2), "megabytes": more // 1024}))
        return
    with tempfile.TemporaryDirectory() as place:
        for shards in asked.shards:
            folder = Path(place) / str(shards)
            make(folder, shards)
            for name in WORK:
                told = [sys.executable, "-m", "tests.scale.simulated", "--do", name, str(folder)]
                found = subprocess.run(told, capture_output=True, text=True, check=True).stdout
                print(f"{shards * PER_SHARD:>11,} samples  {name:<7} {found.strip()}", flush=True)


if __name__ == "__main__":
    main()
