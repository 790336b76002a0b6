"""Hugging Face datasets with an image column and a column of texts or conversations (extra `hub`)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vila2.data.packed_sample import pair_turns
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.conversations import UnfitConversation, parse_conversation
from vila2.sources.rows import take


def read(
    path: Path | str,
    *,
    split: str = "train",
    config: str | None = None,
    image_key: str = "image",
    text_key: str = "text",
    id_key: str = "",
    prompt: str = "",
    revision: str | None = None,
    streaming: bool = True,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads a dataset of the hub, or one that ``save_to_disk`` wrote.

    Args:
        path: the dataset's name, a folder of data files, or a folder that ``save_to_disk`` wrote.
        split, config, revision: which part of it.
        image_key: the column of images (one, or a list); "" for text-only data.
        text_key: the column of texts, or of conversations (``from`` and ``value``, or ``role`` and ``content``).
        id_key: the column of keys; by default they are the rows' numbers.
        prompt: what the user asks, before a text.
        streaming: read while it is downloaded instead of downloading all first.
        start, count: a slice of the rows.

    Raises:
        DataError: the extra is not installed, the dataset can not be opened, or has no such column.
    """
    dataset = _open(str(path), split, config, revision, streaming)
    columns = list(dataset.features or next(iter(dataset.take(1)), {}))
    for option, column in (("image_key", image_key), ("text_key", text_key), ("id_key", id_key)):
        if column and column not in columns:
            raise DataError(
                f"{path}: no column {column!r}; columns: {', '.join(columns)}", mend=f"set {option}"
            )
    dataset = _undecoded(dataset, image_key)
    for number, row in take(enumerate(dataset), start, count):
        where = f"{path}/{split}[{number}]"
        key = str(row[id_key]) if id_key else f"{split}-{number:09d}"
        yield _sample(row, where, key, image_key, text_key, prompt)


def _open(path: str, split: str, config: str | None, revision: str | None, streaming: bool) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "source 'huggingface' needs the package `datasets`", mend="pip install datasets"
        ) from error
    folder = Path(path)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(path)
            return found[split] if isinstance(found, Mapping) else found
        return datasets.load_dataset(path, config, split=split, revision=revision, streaming=streaming)
    except Exception as error:  # the library raises errors of many kinds
        raise DataError(
            f"dataset {path!r}, split {split!r}: can not be opened ({error})",
            mend="check its name, split and config; log in with `hf auth login` where it is gated",
        ) from error


def _undecoded(dataset: Any, image_key: str) -> Any:
    """Images as the bytes they were stored as: decoding and encoding again would change them."""
    import datasets

    feature = (dataset.features or {}).get(image_key)
    if isinstance(feature, datasets.Image):
        return dataset.cast_column(image_key, datasets.Image(decode=False))
    if isinstance(feature, datasets.List) and isinstance(feature.feature, datasets.Image):
        return dataset.cast_column(image_key, datasets.List(datasets.Image(decode=False)))
    return dataset


def _sample(
    row: Mapping[str, Any], where: str, key: str, image_key: str, text_key: str, prompt: str
) -> Sample | Reject:
    value = row[image_key] if image_key else None
    stored = [] if value is None else value if isinstance(value, list) else [value]
    images = []
    for number, image in enumerate(stored):
        data = _image_bytes(image)
        if data is None:
            return Reject(
                where, key, "unreadable-file", f"image {number}: {type(image).__name__} without content"
            )
        images.append(data)
    if image_key and not images:
        return Reject(where, key, "missing-image", f"nothing in column {image_key!r}")
    try:
        turns = _turns(row[text_key], len(images), prompt)
    except UnfitConversation as error:
        return Reject(where, key, error.reason, error.detail)
    return Sample(key, tuple(images), turns, {"where": where})


def _turns(value: Any, images: int, prompt: str) -> tuple[Turn, ...]:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return parse_conversation(value, images)
    if isinstance(value, list):
        value = next((text for text in value if isinstance(text, str) and text.strip()), None)
    if not isinstance(value, str) or not value.strip():
        raise UnfitConversation("missing-text", "no text")
    if prompt:
        return (user(*(ImagePart(index) for index in range(images)), prompt), assistant(value.strip()))
    return pair_turns(images, value)


def _image_bytes(image: Any) -> bytes | None:
    """The encoded file of an image, in any of the forms that the library gives."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, Mapping):
        if image.get("bytes"):
            return image["bytes"]
        image = image.get("path")
    if isinstance(image, str):
        file = Path(image)
        return file.read_bytes() if file.is_file() else None
    if hasattr(image, "save"):  # a decoded picture
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()
    return None
