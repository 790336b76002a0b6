"""How far the layers of a dataset are, read from their folders while processes write them or afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from vila2.caption.layer_parts import Worker, read_workers
from vila2.data.locks import FOLDER_LOCK, holding_process
from vila2.data.shards import ShardDataset


@dataclass(frozen=True, slots=True)
class LayerStanding:
    """How far a layer is.

    Attributes:
        name: name of the layer.
        state: "running" where a process writes it now, "stopped" where none does and it is not finished.
        shards: number of shards of the dataset.
        done: number of shards that are written.
        begun: number of shards with some images described.
        workers: processes that write parts of it, or did; none where one process writes all.
        seconds_left: time left at the rate of the processes that work now; None where it is not known.
    """

    name: str
    state: Literal["finished", "running", "stopped"]
    shards: int
    done: int
    begun: int
    workers: tuple[Worker, ...] = ()
    seconds_left: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the standing as plain values."""
        return asdict(self)


def layer_standings(dataset: ShardDataset, folders: Mapping[str, Path]) -> list[LayerStanding]:
    """Reads how far layers are.

    Args:
        dataset: dataset that the layers are about.
        folders: folders of the layers by name, see :func:`vila2.run.finding.find_described`.
    """
    return [_standing(dataset, name, folder) for name, folder in folders.items()]


def _standing(dataset: ShardDataset, name: str, folder: Path) -> LayerStanding:
    shards = len(dataset.shards)
    files = [path.name for path in folder.iterdir()]
    done = {int(file[:-8]) for file in files if file.endswith(".parquet") and file[:-8].isdecimal()}
    if "layer.json" in files:
        return LayerStanding(name, "finished", shards, len(done), 0)
    begun = sum(file.endswith(".partial.jsonl") for file in files)
    workers = tuple(read_workers(folder))
    runs = any(one.works for one in workers) or holding_process(folder / FOLDER_LOCK) is not None
    rate = sum(one.images / one.seconds for one in workers if one.works and one.images and one.seconds > 0)
    left = sum(shard.count for number, shard in enumerate(dataset.shards) if number not in done)
    seconds_left = left / rate if rate else None
    return LayerStanding(
        name, "running" if runs else "stopped", shards, len(done), begun, workers, seconds_left
    )
