"""Layers: what one annotator said about the images of a dataset.

A layer is a folder beside the dataset's shards, or the folder of a run's step. It holds one Parquet file of
annotations per shard, and ``layer.json``, which is written last: a folder without it holds an unfinished
layer. Images and original text are never changed; a view (:mod:`vila2.data.views`) joins them with layers to
conversations. For example::

    layer = Layer.open("photos/layers/self-1")
    for annotation in layer.get("photo-1"):
        print(annotation.status, annotation.text)
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from vila2.data.annotations import (
    STATUSES,
    Annotation,
    LayerStatistics,
    Status,
    by_key,
    read_rows,
    summarize,
    to_table,
)
from vila2.data.atomic import write_bytes_atomic, write_json_atomic
from vila2.data.links import fetch_layer
from vila2.data.original_layer import OriginalLayer, original_layer
from vila2.data.parsing import parsing, read_json
from vila2.data.shards import file_sha256
from vila2.errors import DataError

if TYPE_CHECKING:
    from vila2.data.shards import ShardDataset

__all__ = [
    "STATUSES",
    "Annotation",
    "Layer",
    "LayerStatistics",
    "LayerWriter",
    "OriginalLayer",
    "ReadLayer",
    "Status",
    "original_layer",
    "write_layer",
]

VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_CACHED_SHARDS = 64


class _ShardEntry(TypedDict):
    """A shard's file, as layer.json names it."""

    name: str
    rows: int
    sha256: str


class ReadLayer(Protocol):
    """Anything that reads as a layer: a :class:`Layer`, or the original text of a dataset.

    Attributes:
        name: name of the layer.
        digest: digest of its content.
    """

    name: str
    digest: str

    def get(self, key: str) -> tuple[Annotation, ...]:
        """Gives the annotations of a sample in the order of their making; none where it was left out."""
        ...

    def shard(self, shard_no: int) -> Mapping[str, tuple[Annotation, ...]]:
        """Gives the annotations of one shard's samples, by key."""
        ...

    def rows(self) -> Iterator[Annotation]:
        """Gives all annotations, shard by shard."""
        ...

    def statistics(self) -> LayerStatistics:
        """Counts annotations by status, and the words of the usable ones."""
        ...


def check_layer_name(name: str) -> None:
    """Refuses a layer's name that a view cannot hold, and the name of the original text.

    Raises:
        DataError: the name is refused.
    """
    if not _NAME.fullmatch(name) or name == "original":
        raise DataError(
            f"a layer cannot be named {name!r}",
            hint="use letters, digits, '_', '-' and '.'; `original` is the text in the shards",
        )


class LayerWriter:
    """Writes a layer, one shard at a time, so that an interrupted job resumes with the next shard.

    Args:
        folder: folder of the layer (``DATASET/layers/NAME``, or the folder of a run's step).
        name: name of the layer, such as "self-1".

    Raises:
        DataError: a view cannot hold the name.
    """

    def __init__(self, folder: Path, name: str) -> None:
        check_layer_name(name)
        self.folder = Path(folder)
        self.name = name

    def has(self, shard_no: int) -> bool:
        """Whether a shard's file is there, written by this process or an earlier one."""
        return self._path(shard_no).exists()

    def write_shard(self, shard_no: int, rows: Sequence[Annotation]) -> None:
        """Writes the annotations of one shard's samples; the file appears complete or not at all.

        Args:
            shard_no: number of the shard in the dataset.
            rows: annotations of the shard's samples; a sample may have any number of them.

        Raises:
            DataError: a text cannot be stored as UTF-8.
        """
        import pyarrow.parquet as pq

        try:
            table = to_table(rows)
        except (UnicodeError, ValueError) as error:
            raise DataError(
                f"layer {self.name}, shard {shard_no}: an annotation cannot be stored ({error})",
                hint="mark it as status 'error' and leave its text out",
            ) from error
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(self._path(shard_no), buffer.getvalue())

    def finish(self, info: Mapping[str, Any]) -> Layer:
        """Writes layer.json, after which the layer can be opened.

        Args:
            info: facts about the layer's making, as JSON values: engine, model digest, prompts, settings.

        Returns:
            The finished layer.
        """
        import pyarrow.parquet as pq

        for leftover in self.folder.glob(".*.tmp.*"):  # of a writer that was killed
            leftover.unlink()
        statuses: Counter[str] = Counter()
        shards: list[_ShardEntry] = []
        for path in sorted(self.folder.glob("[0-9]*.parquet")):
            column = pq.read_table(path, columns=["status"]).column("status").to_pylist()
            statuses.update(column)
            shards.append({"name": path.name, "rows": len(column), "sha256": file_sha256(path)})
        content = {
            "version": VERSION,
            "name": self.name,
            "count": sum(shard["rows"] for shard in shards),
            "statuses": {status: statuses[status] for status in STATUSES if statuses[status]},
            "shards": shards,
            "info": dict(info),
        }
        write_json_atomic(self.folder / "layer.json", content)
        return Layer.open(self.folder)

    def _path(self, shard_no: int) -> Path:
        return self.folder / f"{shard_no:06d}.parquet"


def write_layer(
    dataset: ShardDataset,
    rows_of: Callable[[str], Iterable[Annotation]],
    *,
    folder: Path,
    name: str,
    info: Mapping[str, Any],
) -> Layer:
    """Writes a layer whose annotations are known or quickly made; an interrupted call is resumed by the next.

    Args:
        dataset: dataset that the layer is about.
        rows_of: function from a sample's key to its annotations; an empty result leaves the sample out.
        folder: folder of the layer.
        name: name of the layer.
        info: facts about the layer's making, as JSON values, beside its name and the dataset's digest.

    Returns:
        The finished layer.

    Raises:
        DataError: a view cannot hold the name, or a text cannot be stored.
    """
    writer = LayerWriter(folder, name)
    for shard_no in range(len(dataset.shards)):
        if not writer.has(shard_no):
            writer.write_shard(
                shard_no, [row for key in dataset.shard_keys(shard_no) for row in rows_of(key)]
            )
    return writer.finish({"layer": name, "dataset": dataset.digest, **info})


class Layer:
    """A finished layer; :meth:`open` reads it from its folder.

    Attributes:
        folder: folder of the layer.
        name: name of the layer, such as "self-1".
        count: number of annotations.
        digest: digest of the files' digests; equal for equal annotations.
        info: facts about the layer's making: engine, prompts, settings.
        statuses: number of annotations by status.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any]) -> None:
        self.folder = folder
        self.name: str = content["name"]
        self.count: int = content["count"]
        self.statuses: dict[str, int] = dict(content["statuses"])
        self.info: dict[str, Any] = dict(content["info"])
        self._shards = {
            int(Path(s["name"]).stem): (folder / Path(s["name"]).name, str(s["sha256"]))
            for s in content["shards"]
        }
        self.digest = hashlib.sha256("\n".join(sha for _, sha in self._shards.values()).encode()).hexdigest()
        self._cache: dict[int, dict[str, tuple[Annotation, ...]]] = {}
        self._places: dict[str, int] | None = None

    @classmethod
    def open(cls, folder: Path | str) -> Layer:
        """Opens the layer in a folder.

        Raises:
            DataError: the folder holds no finished layer, or one of its files is missing.
        """
        folder = Path(folder)
        file = folder / "layer.json"
        if not file.is_file():
            state = "the layer is not finished" if any(folder.glob("*.parquet")) else "no layer here"
            raise DataError(f"{folder}: {state} (no layer.json)", hint="run the job that writes it again")
        content = read_json(file, hint="write the layer again")
        with parsing(file, hint="write the layer again"):
            if content["version"] != VERSION:
                raise ValueError(f"version {content['version']} instead of {VERSION}")
            layer = cls(folder, content)
        fetch_layer(folder, dict(layer._shards.values()))
        for path, _ in layer._shards.values():
            if not os.path.isfile(path):  # False for any odd name
                raise DataError(f"{path}: is missing", hint="run the job that writes the layer again")
        return layer

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_cache": {}, "_places": None}

    def shard_files(self) -> dict[int, tuple[Path, str]]:
        """Gives file and sha256 of each shard's annotations, by the shard's number."""
        return dict(self._shards)

    def shard(self, shard_no: int) -> Mapping[str, tuple[Annotation, ...]]:
        """Reads the annotations of one shard's samples, by key; empty where the layer left the shard out."""
        if shard_no not in self._shards:
            return {}
        rows = self._cache.get(shard_no)
        if rows is None:
            rows = by_key(read_rows(self._shards[shard_no][0]))
            while len(self._cache) >= _CACHED_SHARDS:
                self._cache.pop(next(iter(self._cache)), None)
            self._cache[shard_no] = rows
        return rows

    def get(self, key: str) -> tuple[Annotation, ...]:
        """Gives the annotations of a sample in the order of their making; none where it was left out.

        The first call reads the keys of the whole layer. To go through a large layer, use :meth:`shard`.
        """
        import pyarrow.parquet as pq

        if self._places is None:
            self._places = {
                known: shard_no
                for shard_no, (path, _) in self._shards.items()
                for known in pq.read_table(path, columns=["key"]).column("key").to_pylist()
            }
        shard_no = self._places.get(key)
        return () if shard_no is None else self.shard(shard_no).get(key, ())

    def rows(self) -> Iterator[Annotation]:
        """Reads all annotations, in the order of the shards."""
        for path, _ in self._shards.values():
            yield from read_rows(path)

    def statistics(self) -> LayerStatistics:
        """Counts annotations by status, and the words of the usable ones."""
        return summarize(self.rows())
