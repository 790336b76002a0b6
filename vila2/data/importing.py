"""Writing a dataset: checked samples go into immutable shards, everything else into rejected.jsonl."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from vila2.data.atomic import write_json_atomic
from vila2.data.files import readable_name
from vila2.data.locks import hold_folder
from vila2.data.parsing import parsing, read_json
from vila2.data.rejects import Reject
from vila2.data.replacement import BESIDE, SHARD_FILES, UNFINISHED, has_layers, settle_replacement
from vila2.data.sample import Sample
from vila2.data.sample_checks import checked_samples
from vila2.data.shard_writer import ShardInfo, ShardWriter
from vila2.errors import DataError
from vila2.progress import Task

VERSION = 1


def reject_line(reject: Reject) -> str:
    """Writes a reject as a line of rejected.jsonl."""
    return json.dumps({name: readable_name(str(value)) for name, value in asdict(reject).items()}) + "\n"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """The content of dataset.json.

    Attributes:
        name: name of the dataset.
        folder: folder of the dataset.
        count: number of samples.
        digest: digest of the shards' digests; equal for equal content in equal order.
        shards: the shards, in order.
        rejected: number of inputs that were not taken, by reason.
        nulled: number of samples in whose meta a value became null because JSON cannot hold it, by field.
    """

    name: str
    folder: Path
    count: int
    digest: str
    shards: tuple[ShardInfo, ...]
    rejected: dict[str, int] = field(default_factory=dict)
    nulled: dict[str, int] = field(default_factory=dict)


def dataset_digest(shards: Iterable[ShardInfo]) -> str:
    """Computes the digest of a dataset: sha256 over its shards' digests in order."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def check_vacant(folder: Path, origin: Mapping[str, Any] | None = None) -> None:
    """Refuses a folder that holds a finished dataset, unless it was made of the same.

    Args:
        folder: folder of a dataset.
        origin: what the new dataset is to be made of; by default any other is refused.

    Raises:
        DataError: it holds one.
    """
    file = folder / "dataset.json"
    if not file.exists():
        return
    hint = "add --replace, or give another --out"
    if not origin or read_json(file, hint=hint).get("origin") != dict(origin):
        raise DataError(f"{folder}: a dataset is there already", hint=hint)


def write_dataset(
    folder: Path,
    samples: Iterable[Sample | Reject],
    *,
    name: str,
    shard_size: int = 1000,
    progress: Task | None = None,
    replace: bool = True,
    origin: Mapping[str, Any] | None = None,
) -> DatasetInfo:
    """Writes samples as a dataset, in their order, with only a few of them in memory at a time.

    Every image is checked for damage. What cannot be taken (a :class:`Reject` of the source, a corrupt
    image, a missing text, a box that does not lie in the image, a key that was there before) goes to
    rejected.jsonl with its reason; nothing takes its place. Equal samples give equal bytes. What an
    interrupted call left behind is thrown away and written again. A finished dataset in the folder stays as
    it is until the new one is complete.

    Args:
        folder: folder of the dataset.
        samples: samples, and inputs that the source could not read.
        name: name of the dataset.
        shard_size: number of samples per shard.
        progress: task that advances by one for every input.
        replace: whether a finished dataset in the folder may be replaced.
        origin: what the samples come from, as JSON values. A finished dataset of the same origin that may not
            be replaced is left as it is.

    Raises:
        DataError: no sample was taken; the folder holds a finished dataset that has layers or may not be
            replaced; or another process is writing it.
        RunError: the file system has no locks.
    """
    folder = Path(folder)
    with _only_writer(folder):
        settle_replacement(folder)  # of an interrupted call
        if not replace:
            check_vacant(folder, origin)
            if (folder / "dataset.json").exists():
                (folder / UNFINISHED).unlink(missing_ok=True)
                return read_info(folder)
        _check_replaceable(folder)
        write = partial(
            _write,
            samples=samples,
            name=readable_name(name),
            shard_size=shard_size,
            progress=progress,
            origin=dict(origin or {}),
        )
        if (folder / "dataset.json").exists():
            return _write_beside(folder, write)
        _clear(folder)  # of what an interrupted call left
        return write(folder)


def read_info(folder: Path) -> DatasetInfo:
    """Reads what a finished import has written.

    Raises:
        DataError: dataset.json is damaged, or of another version.
    """
    file, hint = folder / "dataset.json", "import the dataset again, with --replace"
    content = read_json(file, hint=hint)
    with parsing(file, hint=hint):
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']} instead of {VERSION}")
        return DatasetInfo(
            name=str(content["name"]),
            folder=folder,
            count=int(content["count"]),
            digest=str(content["digest"]),
            shards=tuple(map(ShardInfo.from_json, content["shards"])),
            rejected=dict(content["rejected"]),
            nulled=dict(content.get("nulled", {})),
        )


def _write_beside(folder: Path, write: Callable[[Path], DatasetInfo]) -> DatasetInfo:
    """Writes a dataset within the folder of the one that it then replaces."""
    beside = folder / BESIDE
    _clear(beside)
    try:
        info = write(beside)
    except BaseException:
        (beside / "dataset.json").unlink(missing_ok=True)  # the list of rejects stays for the reader
        shutil.rmtree(beside / "shards", ignore_errors=True)
        raise
    if not settle_replacement(folder):
        _check_replaceable(folder)  # says which layers came meanwhile
    return dataclasses.replace(info, folder=folder)


def _write(
    folder: Path,
    samples: Iterable[Sample | Reject],
    name: str,
    shard_size: int,
    progress: Task | None,
    origin: Mapping[str, Any],
) -> DatasetInfo:
    rejected: Counter[str] = Counter()
    nulled: Counter[str] = Counter()
    shards: list[ShardInfo] = []
    shard: ShardWriter | None = None
    rejects = folder / ".rejected.jsonl.partial"
    with rejects.open("w", encoding="utf-8", newline="\n") as lines:
        for item in checked_samples(samples):
            if progress is not None:
                progress.advance(1)
            if isinstance(item, Reject):
                rejected[item.reason] += 1
                lines.write(reject_line(item))
                continue
            shard = shard or ShardWriter(folder / "shards", len(shards))
            shard.add(item.sample, item.members)
            nulled.update(item.nulled)
            if len(shard) == shard_size:
                shards.append(shard.close())
                shard = None
        if shard is not None:
            shards.append(shard.close())
        lines.flush()
        os.fsync(lines.fileno())
    os.replace(rejects, folder / "rejected.jsonl")
    told = dict(sorted(rejected.items()))
    return finish_dataset(folder, name, shards, told, nulled=dict(sorted(nulled.items())), origin=origin)


def finish_dataset(
    folder: Path,
    name: str,
    shards: list[ShardInfo],
    rejected: dict[str, int],
    *,
    nulled: dict[str, int] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> DatasetInfo:
    """Writes dataset.json for complete shards, after which the dataset can be opened.

    Args:
        folder: folder of the dataset.
        name: name of the dataset.
        shards: the shards, in order.
        rejected: number of inputs that were not taken, by reason.
        nulled: number of samples in whose meta a value became null, by field.
        origin: what the dataset was made of, as JSON values.

    Raises:
        DataError: there are no shards.
    """
    if not shards:
        from vila2.data.rejects import describe_rejects

        told = describe_rejects(rejected, folder / "rejected.jsonl")
        raise DataError(
            f"{folder}: no sample was taken" + (f"; rejected: {told}" if told else ", the source is empty"),
            hint=f"see {folder / 'rejected.jsonl'}" if told else "check the source's path and options",
        )
    digest = dataset_digest(shards)
    count = sum(shard.count for shard in shards)
    info = DatasetInfo(name, folder, count, digest, tuple(shards), rejected, nulled or {})
    content: dict[str, Any] = {
        "version": VERSION,
        "name": name,
        "count": info.count,
        "digest": digest,
        "shards": [asdict(shard) for shard in shards],
        "rejected": rejected,
    }
    if info.nulled:
        content["nulled"] = info.nulled
    if origin:
        content["origin"] = dict(origin)
    write_json_atomic(folder / "dataset.json", content)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return info


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder, which is created where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    held = hold_folder(folder)
    if held is None:
        raise DataError(f"{folder}: another process is writing it", hint="wait for it, or write elsewhere")
    try:
        yield
    finally:
        held.release()


def _check_replaceable(folder: Path) -> None:
    """Refuses a folder in which a new dataset would destroy something that others depend on."""
    shards, finished = folder / "shards", folder / "dataset.json"
    if finished.exists() and has_layers(folder):
        raise DataError(
            f"{folder}: holds a dataset with layers, finished or not, which belong to its shards",
            hint="write to another folder, or delete this one first",
        )
    if not (finished.exists() or (folder / UNFINISHED).exists()) and any(shards.glob("*.tar")):
        raise DataError(
            f"{shards}: holds tars that no import has written, and they would be replaced",
            hint="write to another folder",
        )


def _clear(folder: Path) -> None:
    """Removes what an earlier call wrote; dataset.json first, so that no half-removed dataset looks whole."""
    shards = folder / "shards"
    shards.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).touch()
    (folder / "dataset.json").unlink(missing_ok=True)
    stale = [path for path in shards.iterdir() if path.suffix in SHARD_FILES]
    stale += folder.glob(".dataset.*.tmp.json")
    for path in (*stale, folder / "rejected.jsonl", folder / ".rejected.jsonl.partial"):
        path.unlink(missing_ok=True)
