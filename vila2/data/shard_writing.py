"""Writing a dataset: checked samples into immutable shards, all else into rejected.jsonl."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vila2.data.atomic import sync_folder, write_bytes_atomic, write_json_atomic
from vila2.data.images import decode_image, image_extension
from vila2.data.member_names import split_member
from vila2.data.offset_index import IndexBuilder
from vila2.data.packed_sample import has_text, pack_sample, says_something
from vila2.data.sample import ImagePart, Sample
from vila2.errors import DataError

VERSION = 1
#: Stands in a dataset's folder while it is being written.
UNFINISHED = ".unfinished"
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True)
class Reject:
    """An input that can not become a sample; one line of rejected.jsonl.

    Attributes:
        where: the file, with the line where there is one.
        key: the sample's key, "" where it has none.
        reason: a code in lower case with dashes, such as "corrupt-image"; counted.
        detail: one line for a reader.
    """

    where: str
    key: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """One shard: file name, samples, bytes and sha256 of the tar."""

    name: str
    count: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What dataset.json says.

    Attributes:
        digest: of the shards' digests; equal for equal content in equal order.
        rejected: inputs that were not taken, counted by reason.
    """

    name: str
    folder: Path
    count: int
    digest: str
    shards: tuple[ShardInfo, ...]
    rejected: dict[str, int] = field(default_factory=dict)


def dataset_digest(shards: Iterable[ShardInfo]) -> str:
    """The digest of a dataset: sha256 over its shards' digests in order."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def write_dataset(
    folder: Path,
    samples: Iterable[Sample | Reject],
    *,
    name: str,
    shard_size: int = 1000,
    progress: Any = None,
) -> DatasetInfo:
    """Writes samples as a dataset, in their order, never holding more than a few of them in memory.

    Every image is decoded once. What can not be taken (a :class:`Reject` of the source, a corrupt image, a
    missing text, a key that was there before) goes to rejected.jsonl with its reason; nothing takes its place.
    Equal samples give equal bytes. What an interrupted call left behind is thrown away and written again.

    Args:
        folder: the dataset's folder.
        samples: samples, and inputs that the source could not read.
        name: the dataset's name.
        shard_size: samples per shard.
        progress: something with ``advance(n)``, called for every input.

    Raises:
        DataError: no sample was taken, or the folder holds a finished dataset with layers.
    """
    folder = Path(folder)
    _clear(folder)
    rejected: Counter[str] = Counter()
    shards: list[ShardInfo] = []
    shard: ShardWriter | None = None
    rejects = folder / ".rejected.jsonl.partial"
    with rejects.open("w", encoding="utf-8", newline="\n") as lines:
        for item in _checked(samples):
            if progress is not None:
                progress.advance(1)
            if isinstance(item, Reject):
                rejected[item.reason] += 1
                lines.write(json.dumps(asdict(item)) + "\n")
                continue
            shard = shard or ShardWriter(folder / "shards", len(shards))
            shard.add(*item)
            if len(shard) == shard_size:
                shards.append(shard.close())
                shard = None
        if shard is not None:
            shards.append(shard.close())
        lines.flush()
        os.fsync(lines.fileno())
    os.replace(rejects, folder / "rejected.jsonl")
    return _finish(folder, name, shards, dict(sorted(rejected.items())))


def _finish(folder: Path, name: str, shards: list[ShardInfo], rejected: dict[str, int]) -> DatasetInfo:
    if not shards:
        reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.items())
        raise DataError(
            f"{folder}: no sample was taken" + (f"; rejected: {reasons}" if reasons else ", the source is empty"),
            mend=f"see {folder / 'rejected.jsonl'}" if reasons else "check the source's path and options",
        )
    digest = dataset_digest(shards)
    info = DatasetInfo(name, folder, sum(shard.count for shard in shards), digest, tuple(shards), rejected)
    content = {
        "version": VERSION,
        "name": name,
        "count": info.count,
        "digest": digest,
        "shards": [asdict(shard) for shard in shards],
        "rejected": rejected,
    }
    write_json_atomic(folder / "dataset.json", content)
    (folder / UNFINISHED).unlink()
    return info


def _clear(folder: Path) -> None:
    """Removes what an earlier call wrote; dataset.json first, so that no half-removed dataset looks whole."""
    shards, finished, unfinished = folder / "shards", folder / "dataset.json", folder / UNFINISHED
    if finished.exists() and any((folder / "layers").glob("*/layer.json")):
        raise DataError(
            f"{folder}: holds a finished dataset with layers, which belong to its shards",
            mend="write to another folder, or delete this one first",
        )
    if not (finished.exists() or unfinished.exists()) and any(shards.glob("*.tar")):
        raise DataError(
            f"{shards}: holds tars that no import has written, and they would be replaced",
            mend="write to another folder",
        )
    shards.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    finished.unlink(missing_ok=True)
    stale = [path for path in shards.iterdir() if path.suffix in (".tar", ".index", ".partial")]
    stale += folder.glob(".dataset.*.tmp.json")
    for path in (*stale, folder / "rejected.jsonl", folder / ".rejected.jsonl.partial"):
        path.unlink(missing_ok=True)


class ShardWriter:
    """Writes one tar under a partial name and renames it when it is complete.

    Owner, mode and time of all members are fixed, so that equal samples give equal bytes.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = folder / f"{number:06d}.tar"
        self._partial = folder / f".{number:06d}.tar.partial"
        self._file = _HashedFile(self._partial)
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._index = IndexBuilder()

    def __len__(self) -> int:
        return len(self._index)

    def add(self, sample: Sample, members: list[tuple[str, bytes]]) -> None:
        """Adds a sample as :func:`~vila2.data.packed_sample.pack_sample` packed it."""
        places = []
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            self._tar.addfile(info, io.BytesIO(data))
            self._tar.members = []  # or tarfile keeps them all
            padded = -(-len(data) // _BLOCK) * _BLOCK
            named = split_member(name)
            assert named is not None, name
            places.append((named[1], self._tar.offset - padded, len(data)))
        self._index.add(sample.key, places, text=has_text(sample))

    def close(self) -> ShardInfo:
        """Completes tar and index."""
        self._tar.close()
        sha256, size = self._file.close()
        os.replace(self._partial, self._path)
        sync_folder(self._path.parent)
        index = self._index.build(sha256=sha256, size=size)
        write_bytes_atomic(self._path.with_suffix(".index"), index.to_bytes())
        return ShardInfo(self._path.name, len(index), size, sha256)


class _HashedFile:
    """A file that is hashed while it is written from front to back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> tuple[str, int]:
        size = self._file.tell()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.hexdigest(), size


Packed = tuple[Sample, list[tuple[str, bytes]]]


def _checked(samples: Iterable[Sample | Reject]) -> Iterator[Packed | Reject]:
    """Packs and checks samples in a few threads (decoding releases the interpreter lock), keeping their order."""
    seen: set[str] = set()
    waiting: deque[Future[Packed | Reject] | Reject] = deque()
    workers = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for sample in samples:
            waiting.append(sample if isinstance(sample, Reject) else pool.submit(_check, sample))
            if len(waiting) > 4 * workers:
                yield _taken(waiting.popleft(), seen)
        while waiting:
            yield _taken(waiting.popleft(), seen)


def _taken(item: Future[Packed | Reject] | Reject, seen: set[str]) -> Packed | Reject:
    checked = item if isinstance(item, Reject) else item.result()
    if isinstance(checked, Reject):
        return checked
    key = checked[0].key
    if key in seen:
        return Reject(key, key, "duplicate-key", "an earlier sample has this key")
    seen.add(key)
    return checked


def _check(sample: Sample) -> Packed | Reject:
    def reject(reason: str, detail: str) -> Reject:
        return Reject(sample.key, sample.key, reason, detail)

    if not sample.key or "\0" in sample.key:
        return reject("bad-key", "a key must not be empty or hold a NUL character")
    if not sample.turns or not (sample.images or has_text(sample)):
        return reject("missing-text", "nothing to train on and no image to describe")
    for turn in sample.turns:
        if turn.role == "assistant" and not says_something(turn):
            return reject("missing-text", "an assistant turn is empty")
    placed = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
    if sorted(placed) != list(range(len(sample.images))):
        return reject("image-mismatch", f"{len(sample.images)} images, but the turns place {placed}")
    for number, data in enumerate(sample.images):
        try:
            decode_image(data, where=f"{sample.key}, image {number}")
        except DataError as error:
            return reject("corrupt-image", error.what)
        try:
            image_extension(data)
        except DataError as error:
            return reject("unknown-format", f"image {number}: {error.what}")
    try:
        return sample, pack_sample(sample)
    except UnicodeError as error:
        return reject("not-unicode", f"key, text or meta hold half a character ({error.reason})")
    except DataError as error:
        return reject("not-json", error.what)
