"""Writing a dataset: checked samples into immutable shards, all else into rejected.jsonl."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vila2.data.atomic import write_json_atomic
from vila2.data.files import readable_name
from vila2.data.images import UnknownFormat, decode_image, image_extension
from vila2.data.plain_meta import plain_meta
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample
from vila2.data.shard_writer import ShardInfo, ShardWriter
from vila2.data.tar_sample import has_text, pack_sample, says_something
from vila2.errors import DataError
from vila2.progress import Progress

VERSION = 1
#: Stands in a dataset's folder while it is being written.
UNFINISHED = ".unfinished"


def reject_line(reject: Reject) -> str:
    """A line of rejected.jsonl."""
    return json.dumps({name: readable_name(str(value)) for name, value in asdict(reject).items()}) + "\n"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What dataset.json says.

    Attributes:
        digest: of the shards' digests; equal for equal content in equal order.
        rejected: inputs that were not taken, counted by reason.
        nulled: samples in whose meta a value became null, since JSON can not hold it, counted by field.
    """

    name: str
    folder: Path
    count: int
    digest: str
    shards: tuple[ShardInfo, ...]
    rejected: dict[str, int] = field(default_factory=dict)
    nulled: dict[str, int] = field(default_factory=dict)


def dataset_digest(shards: Iterable[ShardInfo]) -> str:
    """The digest of a dataset: sha256 over its shards' digests in order."""
    return hashlib.sha256("\n".join(shard.sha256 for shard in shards).encode()).hexdigest()


def write_dataset(
    folder: Path,
    samples: Iterable[Sample | Reject],
    *,
    name: str,
    shard_size: int = 1000,
    progress: Progress | None = None,
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
        DataError: no sample was taken, the folder holds a finished dataset with layers, or another process is
            writing it.
    """
    folder = Path(folder)
    with _only_writer(folder):
        _clear(folder)
        return _write(folder, samples, readable_name(name), shard_size, progress)


def _write(
    folder: Path, samples: Iterable[Sample | Reject], name: str, shard_size: int, progress: Progress
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
    return finish_dataset(
        folder, name, shards, dict(sorted(rejected.items())), nulled=dict(sorted(nulled.items()))
    )


def finish_dataset(
    folder: Path,
    name: str,
    shards: list[ShardInfo],
    rejected: dict[str, int],
    *,
    nulled: dict[str, int] | None = None,
) -> DatasetInfo:
    """Writes dataset.json over shards that are complete, after which the dataset can be opened.

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
    content = {
        "version": VERSION,
        "name": name,
        "count": info.count,
        "digest": digest,
        "shards": [asdict(shard) for shard in shards],
        "rejected": rejected,
    }
    if info.nulled:
        content["nulled"] = info.nulled
    write_json_atomic(folder / "dataset.json", content)
    (folder / UNFINISHED).unlink(missing_ok=True)
    return info


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; the lock goes with this process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait for it, or write elsewhere"
            raise DataError(f"{folder}: another process is writing it", hint=hint) from error
        yield
    finally:
        os.close(descriptor)


def _clear(folder: Path) -> None:
    """Removes what an earlier call wrote; dataset.json first, so that no half-removed dataset looks whole."""
    shards, finished, unfinished = folder / "shards", folder / "dataset.json", folder / UNFINISHED
    if finished.exists() and any((folder / "layers").glob("*/layer.json")):
        raise DataError(
            f"{folder}: holds a finished dataset with layers, which belong to its shards",
            hint="write to another folder, or delete this one first",
        )
    if not (finished.exists() or unfinished.exists()) and any(shards.glob("*.tar")):
        raise DataError(
            f"{shards}: holds tars that no import has written, and they would be replaced",
            hint="write to another folder",
        )
    shards.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    finished.unlink(missing_ok=True)
    stale = [path for path in shards.iterdir() if path.suffix in (".tar", ".index", ".partial")]
    stale += folder.glob(".dataset.*.tmp.json")
    for path in (*stale, folder / "rejected.jsonl", folder / ".rejected.jsonl.partial"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Packed:
    """A sample that was checked, as the members of a tar.

    Attributes:
        members: name and content of each.
        nulled: fields of the meta in which a value became null.
    """

    sample: Sample
    members: list[tuple[str, bytes]]
    nulled: list[str]


def checked_samples(samples: Iterable[Sample | Reject]) -> Iterator[Packed | Reject]:
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
    sample = checked.sample
    key = sample.key
    if key in seen:
        return Reject(sample.where or key, key, "duplicate-key", "an earlier sample has this key")
    seen.add(key)
    return checked


def _check(sample: Sample) -> Packed | Reject:
    def reject(reason: str, detail: str) -> Reject:
        return Reject(sample.where or sample.key, sample.key, reason, detail)

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
        except UnknownFormat as error:
            return reject("unknown-format", error.what)
        except DataError as error:
            return reject("corrupt-image", error.what)
        try:
            image_extension(data)
        except DataError as error:
            return reject("unknown-format", f"image {number}: {error.what}")
    meta, nulled = plain_meta(sample.meta)
    sample = replace(sample, meta=meta)
    try:
        return Packed(sample, pack_sample(sample), nulled)
    except UnicodeError as error:
        return reject("not-unicode", f"key, text or meta hold half a character ({error.reason})")
    except DataError as error:
        return reject("not-json", error.what)
