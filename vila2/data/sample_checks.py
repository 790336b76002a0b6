"""Checks of samples before they go into a shard: images, places, texts, keys and what JSON can hold."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vila2.data.images import UnknownFormat, check_image, image_extension
from vila2.data.plain_meta import plain_meta
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, PlacePart, Sample, part_fault
from vila2.data.tar_sample import has_text, pack_sample, says_something
from vila2.errors import DataError


@dataclass(frozen=True, slots=True)
class Packed:
    """A checked sample with the tar members that hold it.

    Attributes:
        sample: the sample, with plain metadata.
        members: name and content of each tar member.
        nulled: fields of the meta in which a value became null.
    """

    sample: Sample
    members: list[tuple[str, bytes]]
    nulled: list[str]


def checked_samples(samples: Iterable[Sample | Reject]) -> Iterator[Packed | Reject]:
    """Checks and packs samples in a few threads, and keeps their order.

    Args:
        samples: samples and rejects of a source.

    Yields:
        Each sample with its tar members, or the reason why it cannot be taken.
    """
    seen: set[str] = set()
    # Threads help because decoding an image releases the interpreter's lock.
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
    """Decides whether a sample can be taken."""

    def reject(reason: str, detail: str) -> Reject:
        return Reject(sample.where or sample.key, sample.key, reason, detail)

    if not sample.key or "\0" in sample.key:
        return reject("bad-key", "a key must not be empty or hold a NUL character")
    if not sample.turns or not (sample.images or has_text(sample)):
        return reject("missing-text", "nothing to train on and no image to describe")
    for part in (part for turn in sample.turns for part in turn.parts):
        if fault := part_fault(part):
            return reject("bad-place" if isinstance(part, PlacePart) else "bad-part", fault)
    for turn in sample.turns:
        if turn.role == "assistant" and not says_something(turn):
            return reject("missing-text", "an assistant turn is empty")
    placed = [part.index for turn in sample.turns for part in turn.parts if isinstance(part, ImagePart)]
    if sorted(placed) != list(range(len(sample.images))):
        return reject("image-mismatch", f"{len(sample.images)} images, but the turns place {placed}")
    for number, data in enumerate(sample.images):
        try:
            check_image(data, where=f"{sample.key}, image {number}")
        except UnknownFormat as error:
            return reject("unknown-format", error.what)
        except DataError as error:
            return reject("corrupt-image", error.what)
        try:
            image_extension(data)
        except DataError as error:
            return reject("unknown-format", f"image {number}: {error.what}")
    meta, nulled = plain_meta(sample.meta)
    sample = dataclasses.replace(sample, meta=meta)
    try:
        return Packed(sample, pack_sample(sample), nulled)
    except UnicodeEncodeError as error:
        return reject("not-unicode", f"key, text or meta hold half a character ({error.reason})")
    except DataError as error:
        return reject("not-json", error.what)
