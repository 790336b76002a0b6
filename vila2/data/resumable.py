"""Builds datasets from one stream of samples, piece by piece; a killed build resumes with the next piece.

FOLDER/pieces/000000/GROUP/000000.tar ...   the samples of one piece, sorted into groups
FOLDER/pieces/000000/piece.json             written last
FOLDER/GROUP/                               the datasets, made of all pieces at the end
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict

from vila2.data.atomic import sync_folder, write_json_atomic
from vila2.data.importing import DatasetInfo, finish_dataset, reject_line
from vila2.data.offset_index import OffsetIndex
from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.sample_checks import checked_samples
from vila2.data.shard_writer import ShardInfo, ShardWriter
from vila2.errors import DataError
from vila2.progress import Task


class Tally(Protocol):
    """A count of the samples that are taken."""

    def add(self, sample: Sample) -> None:
        """Counts a sample."""

    def to_json(self) -> Mapping[str, Any]:
        """Gives the counts as JSON values."""
        ...


class _Piece(TypedDict):
    """The content of piece.json."""

    shards: dict[str, list[dict[str, Any]]]
    rejected: dict[str, int]
    tally: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of one build.

    Attributes:
        folder: folder of the build, which nothing else may write to.
        shard_size: number of samples per tar.
    """

    folder: Path
    shard_size: int = 1000

    def has(self, number: int) -> bool:
        """Whether a piece is complete, written by this process or an earlier one."""
        return (self._piece(number) / "piece.json").exists()

    def write(
        self,
        number: int,
        samples: Iterable[Sample | Reject],
        *,
        group: Callable[[Sample], str],
        tally: Tally,
        progress: Task | None = None,
    ) -> None:
        """Writes one piece, in place of what a killed process left of it.

        Args:
            number: number of the piece, from 0.
            samples: samples and rejects of the piece.
            group: function that names the dataset of a sample.
            tally: count of the samples that are taken.
            progress: task that advances by one for every input.
        """
        piece = self._piece(number)
        shutil.rmtree(piece, ignore_errors=True)
        piece.mkdir(parents=True)
        writers: dict[str, ShardWriter] = {}
        shards: dict[str, list[ShardInfo]] = {}
        rejected: Counter[str] = Counter()
        with (piece / "rejected.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
            for item in checked_samples(samples):
                if progress is not None:
                    progress.advance(1)
                if isinstance(item, Reject):
                    rejected[item.reason] += 1
                    lines.write(reject_line(item))
                    continue
                name = group(item.sample)
                tally.add(item.sample)
                if name not in writers:
                    (piece / name).mkdir(exist_ok=True)
                    writers[name] = ShardWriter(piece / name, len(shards.setdefault(name, [])))
                writers[name].add(item.sample, item.members)
                if len(writers[name]) == self.shard_size:
                    shards[name].append(writers.pop(name).close())
        for name, writer in writers.items():
            shards[name].append(writer.close())
        content: _Piece = {
            "shards": {name: [asdict(shard) for shard in own] for name, own in sorted(shards.items())},
            "rejected": dict(sorted(rejected.items())),
            "tally": tally.to_json(),
        }
        write_json_atomic(piece / "piece.json", content)

    def join(self, count: int) -> tuple[dict[str, DatasetInfo], dict[str, int], list[Mapping[str, Any]]]:
        """Makes the datasets ``FOLDER/GROUP`` and ``FOLDER/rejected.jsonl`` from all pieces.

        Args:
            count: number of pieces, all of them complete.

        Returns:
            The datasets by group, the number of rejects by reason, and every piece's tally.

        Raises:
            DataError: two samples have the same key.
        """
        contents: list[_Piece] = [
            json.loads((self._piece(number) / "piece.json").read_bytes()) for number in range(count)
        ]
        groups = sorted({name for content in contents for name in content["shards"]})
        datasets = {name: self._join_group(name, contents) for name in groups}
        with (self.folder / "rejected.jsonl").open("wb") as file:
            for number in range(count):
                file.write((self._piece(number) / "rejected.jsonl").read_bytes())
        rejected: Counter[str] = Counter()
        for content in contents:
            rejected.update(content["rejected"])
        return datasets, dict(sorted(rejected.items())), [content["tally"] for content in contents]

    def discard(self) -> None:
        """Removes the pieces, once the datasets are made and the tallies are kept elsewhere."""
        shutil.rmtree(self.folder / "pieces", ignore_errors=True)

    def _join_group(self, name: str, contents: list[_Piece]) -> DatasetInfo:
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "shards").mkdir(parents=True)
        joined: list[ShardInfo] = []
        seen: set[str] = set()
        for number, content in enumerate(contents):
            for shard in content["shards"].get(name, ()):
                source = self._piece(number) / name / shard["name"]
                target = folder / "shards" / f"{len(joined):06d}.tar"
                for suffix in (".tar", ".index"):
                    _link(source.with_suffix(suffix), target.with_suffix(suffix))
                index = target.with_suffix(".index")
                keys = OffsetIndex.from_bytes(index.read_bytes(), where=str(index)).keys()
                for key in keys:
                    if key in seen:
                        raise DataError(
                            f"two samples have the key {key!r}", hint="keys differ over all shards"
                        )
                    seen.add(key)
                joined.append(ShardInfo.from_json(shard | {"name": target.name}))
        sync_folder(folder / "shards")
        return finish_dataset(folder, name, joined, {})

    def _piece(self, number: int) -> Path:
        return self.folder / "pieces" / f"{number:06d}"


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name; copies it where the disk has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
