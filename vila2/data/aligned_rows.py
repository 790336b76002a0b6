"""A layer's annotations in the order of its dataset's samples, memory-mapped, for random access.

A Parquet file is decoded as a whole, which takes milliseconds for one row. So a layer is copied once into
flat arrays, from which a row is read in microseconds: a small one into memory, a large one into files beside
the layer's, in ``.aligned-DIGEST``. These belong to one content of layer and dataset and are made anew where
they are missing, by one process at a time; they may be deleted at any time.

    first.bin      int64 [samples + 1]: number of each sample's first row
    status.bin     uint8 [rows]: number of the status in STATUSES
    tokens.bin     int32 [rows]
    ends.bin       int64 [4 * rows + 1]: where the texts of each row end: prompt, text, detail, and its turns,
                   claims and further fields as JSON
    texts.bin      all texts in UTF-8, one behind the other
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vila2.data.annotations import STATUSES, Annotation, further_json, read_columns
from vila2.data.atomic import sync_folder, sync_tree
from vila2.data.locks import Hold, hold
from vila2.data.parsing import parsing
from vila2.errors import DataError, RunError

if TYPE_CHECKING:
    import pyarrow as pa

    from vila2.data.layers import Layer
    from vila2.data.shards import ShardDataset

_PLAIN_TEXTS = ("prompt", "text", "detail")
_PLAIN_COLUMNS = frozenset({"key", "status", "tokens", *_PLAIN_TEXTS})
_FILES = ("first", "status", "tokens", "ends", "texts")
_IN_MEMORY = 20_000  # annotations; such a layer is aligned anew at each opening, in a tenth of a second
_CODES = {status: number for number, status in enumerate(STATUSES)}
_VERSION = "1"
_PATIENCE = 3600.0  # seconds that another process may take for the copy


class AlignedRows:
    """The annotations of a layer by the number of their sample in the dataset.

    Args:
        place: folder of the arrays, or the content of its files by name.

    Attributes:
        first: number of each sample's first row, int64 [samples + 1].
        status: number of each row's status in ``STATUSES``, uint8 [rows].
    """

    def __init__(self, place: Path | dict[str, bytes]) -> None:
        self._place = place
        found = (
            {name: _mapped(place / f"{name}.bin") for name in _FILES}
            if isinstance(place, Path)
            else {name: memoryview(content) for name, content in place.items()}
        )
        self.first = np.frombuffer(found["first"], np.int64)
        self.status = np.frombuffer(found["status"], np.uint8)
        # A memoryview gives Python numbers several times as fast as an array of numpy's.
        self._first, self._ends = found["first"].cast("q"), found["ends"].cast("q")
        self._status, self._tokens, self._texts = found["status"], found["tokens"].cast("i"), found["texts"]

    def __reduce__(self) -> tuple[type[AlignedRows], tuple[Path | dict[str, bytes]]]:
        return AlignedRows, (self._place,)

    def rows(self, number: int, key: str) -> tuple[Annotation, ...]:
        """Reads the annotations of a sample.

        Args:
            number: number of the sample in the dataset.
            key: key of the sample.
        """
        start, end = self._first[number], self._first[number + 1]
        return tuple([self._row(row, key) for row in range(start, end)])

    def _row(self, row: int, key: str) -> Annotation:
        start, one, two, three, end = self._ends[4 * row : 4 * row + 5].tolist()
        whole = bytes(self._texts[start:end])
        prompt, text = whole[: one - start].decode(), whole[one - start : two - start].decode()
        detail = whole[two - start : three - start].decode() if three > two else ""
        status, tokens = STATUSES[self._status[row]], self._tokens[row]
        if three == end:
            return Annotation(key, prompt, text, status, detail, tokens)
        said = {"key": key, "prompt": prompt, "text": text, "status": status, "detail": detail}
        return Annotation.from_json({**said, "tokens": tokens, **json.loads(whole[three - start :])})

    def usable(self) -> npt.NDArray[np.bool_]:
        """Tells of each sample whether one of its annotations is "ok", bool [samples]."""
        counted: npt.NDArray[np.int64] = np.zeros(len(self.status) + 1, np.int64)
        np.cumsum(self.status == _CODES["ok"], out=counted[1:])
        known: npt.NDArray[np.bool_] = counted[self.first[1:]] > counted[self.first[:-1]]
        return known

    def first_status(self) -> npt.NDArray[np.int16]:
        """Gives the number of each sample's first status, -1 for a sample without a row, int16 [samples]."""
        states = np.full(len(self.first) - 1, -1, np.int16)
        there = np.flatnonzero(self.first[1:] > self.first[:-1])
        states[there] = self.status[self.first[there]]
        return states


def align_layer(layer: Layer, dataset: ShardDataset) -> AlignedRows:
    """Opens a layer's annotations by the numbers of a dataset's samples, and copies them first where needed.

    Args:
        layer: the layer.
        dataset: the dataset that the layer is about.

    Raises:
        DataError: a file of the layer is damaged, or the layer names none of the dataset's samples.
    """
    if layer.count <= _IN_MEMORY:
        contents = {name: io.BytesIO() for name in _FILES}
        _write(layer, dataset, contents)
        return AlignedRows({name: content.getvalue() for name, content in contents.items()})
    digest = hashlib.sha256("\n".join((_VERSION, layer.digest, dataset.digest)).encode()).hexdigest()[:16]
    folder = layer.folder / f".aligned-{digest}"
    return AlignedRows(folder if folder.is_dir() else _made(layer, dataset, folder))


def _made(layer: Layer, dataset: ShardDataset, folder: Path) -> Path:
    """Makes the copy beside the layer, or in a temporary folder where that one cannot be written to."""
    lock = _lock(layer.folder)
    if lock is None:
        kept = tempfile.TemporaryDirectory(prefix="vila2-aligned-")
        weakref.finalize(layer, kept.cleanup)
        _write_files(layer, dataset, Path(kept.name))
        return Path(kept.name)
    try:
        if not folder.is_dir():  # else another process made it meanwhile
            _make(layer, dataset, folder)
    finally:
        lock.release()
    return folder


def _lock(folder: Path) -> Hold | None:
    """Locks the copies beside a layer; None where that cannot be, or another process takes too long."""
    try:
        lock = hold(folder / ".aligned.lock", patience=_PATIENCE)
    except (OSError, RunError):
        return None
    if lock is not None:
        lock.vanishes = True
    return lock


def _make(layer: Layer, dataset: ShardDataset, folder: Path) -> None:
    """Makes the copy in the place of every other one."""
    for old in layer.folder.glob(".aligned-*"):  # of another content, or of a process that was killed
        shutil.rmtree(old, ignore_errors=True)
    partial = layer.folder / ".aligned-partial"
    partial.mkdir()
    try:
        _write_files(layer, dataset, partial)
        sync_tree(partial)
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync_folder(layer.folder)


def _write_files(layer: Layer, dataset: ShardDataset, folder: Path) -> None:
    with ExitStack() as opened:
        files = {name: opened.enter_context((folder / f"{name}.bin").open("wb")) for name in _FILES}
        _write(layer, dataset, files)


def _write(layer: Layer, dataset: ShardDataset, files: Mapping[str, IO[bytes]]) -> None:
    """Writes the arrays, one shard at a time."""
    files["first"].write(np.zeros(1, np.int64).tobytes())
    files["ends"].write(np.zeros(1, np.int64).tobytes())
    rows = place = 0
    written = layer.shard_files()
    for shard_no in range(len(dataset.shards)):
        counts = np.zeros(dataset.shards[shard_no].count, np.int64)
        if shard_no in written:
            path = written[shard_no][0]
            with parsing(path, hint="write the layer again"):
                place = _add(read_columns(path), dataset.shard_keys(shard_no), counts, files, place)
        files["first"].write((rows + np.cumsum(counts)).tobytes())
        rows += int(counts.sum())
    if layer.count and not rows:
        raise DataError(
            f"layer {layer.name!r} ({layer.folder}) names no sample of dataset {dataset.name!r}",
            hint="it was written for another dataset, or for other shards of this one",
        )


def _add(
    table: pa.Table,
    keys: list[str],
    counts: npt.NDArray[np.int64],
    files: Mapping[str, IO[bytes]],
    place: int,
) -> int:
    """Adds a shard's rows in the order of its samples.

    Args:
        table: rows of the shard, in the order of their making.
        keys: keys of the shard's samples.
        counts: number of rows by sample, which are counted here, int64 [samples].
        files: files of the arrays.
        place: number of bytes of texts so far.

    Returns:
        The number of bytes of texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.fill_null(pc.index_in(table.column("key"), value_set=pa.array(keys, pa.string())), -1)
    samples = found.to_numpy()
    order = np.argsort(samples, kind="stable")
    order = order[samples[order] >= 0]
    counts += np.bincount(samples[order], minlength=len(counts))
    chosen = table.take(pa.array(order))
    known = pa.array(STATUSES, pa.string())
    if any(column.null_count for column in chosen.select(sorted(_PLAIN_COLUMNS)).columns):
        raise ValueError("a field is null")
    if not pc.all(pc.is_in(chosen.column("status"), value_set=known)).as_py() and len(chosen):
        raise ValueError("it holds an unknown status")
    codes = pc.index_in(chosen.column("status"), value_set=known).to_numpy()
    files["status"].write(codes.astype(np.uint8).tobytes())
    files["tokens"].write(chosen.column("tokens").to_numpy().astype(np.int32).tobytes())
    texts = [[text.encode() for text in chosen.column(name).to_pylist()] for name in _PLAIN_TEXTS]
    further = chosen.select([name for name in chosen.column_names if name not in _PLAIN_COLUMNS])
    texts.append([further_json(row).encode() for row in further.to_pylist()] or [b""] * len(order))
    flat = [text for row in zip(*texts, strict=True) for text in row]
    ends = place + np.cumsum([len(text) for text in flat], dtype=np.int64)
    files["ends"].write(ends.tobytes())
    files["texts"].write(b"".join(flat))
    return int(ends[-1]) if len(ends) else place


def _mapped(path: Path) -> memoryview[Any]:
    """Maps a file into memory; an empty one is an empty view."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
