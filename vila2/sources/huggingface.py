"""Source `huggingface`: datasets with a column of images and one of texts or conversations (extra `hub`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.shortening import listed, shortened
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.caption_rows import TEXT_FIELDS, caption_texts
from vila2.sources.chat_turns import ANSWERS, QUESTIONS, UnfitConversation, find_conversation, refuse_media
from vila2.sources.conversations import CHATS, read_conversation, read_talk
from vila2.sources.image_values import IMAGE_FIELDS, image_values, is_empty
from vila2.sources.rows import LONGEST_NAME, Keys, check_inputs, image_folder, read_images, take

#: Columns of texts, in the order in which they are tried.
_TEXT_COLUMNS = ("text", *CHATS, *TEXT_FIELDS, "txt")
_IMAGE_COLUMNS = (*IMAGE_FIELDS, "picture", "photo", "file_name", "url", "URL")
_BUILDERS = {
    ".parquet": "parquet", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "csv",
    ".arrow": "arrow", ".tar": "webdataset", ".gz": "json", ".zst": "json",
}  # fmt: skip


def read(
    path: Path | str,
    *,
    split: str = "train",
    config: str | None = None,
    image_key: str | None = None,
    text_key: str = "",
    id_key: str = "",
    prompt: str = "",
    image_root: Path | str | None = None,
    revision: str | None = None,
    streaming: bool = True,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads a dataset of the hub, or local files of one.

    Conversations may have any form of :mod:`vila2.sources.conversations`, also as JSON text. A conversation
    without an image becomes a text-only sample; a caption without an image is rejected. Classes become text
    by their names.

    Args:
        path: name of the dataset (OWNER/NAME), data file, folder of data files, or folder that
            ``save_to_disk`` wrote.
        split: split of the dataset.
        config: configuration of the dataset; its default one by default.
        image_key: column of images (one, or a list of them); by default the first that holds images; "" for
            text-only data.
        text_key: column of texts, conversations or classes; by default the first usual one, such as ``text``,
            ``conversations``, ``messages`` or ``caption``.
        id_key: column of the keys; by default the numbers of the rows are the keys.
        prompt: question of the user that a text answers; none by default.
        image_root: folder that names of images are relative to; by default the folder of the dataset.
        revision: branch, tag or commit of the dataset; the newest by default.
        streaming: whether to read while downloading, instead of downloading everything first.
        start: number of the first row, from 0.
        count: most rows to read; all by default.

    Raises:
        DataError: the extra is not installed, or the dataset cannot be opened or lacks a column.
    """
    local = str(path).startswith((".", "/", "~")) or str(path).count("/") > 1
    check_inputs(Path(path) if local else None, image_root)
    dataset = _open(str(path), split, config, revision, streaming)
    columns = _columns(dataset, path, image_key, text_key, id_key)
    root = image_folder(Path(path), image_root)
    keys = Keys()
    dataset = _undecoded(dataset)
    for number, row in take(enumerate(_rows(dataset, path)), start, count):
        where = f"{path}/{split}[{number}]"
        key = f"{split}-{number:09d}"
        if id_key and not is_empty(row[id_key]):
            key = keys.key(str(row[id_key])[:LONGEST_NAME], row)
        yield _sample(row, where, key, columns, root, prompt)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a dataset that a sample is made of.

    Attributes:
        image: column of images, "" for none.
        text: column of texts or conversations; "" if question and answer have columns of their own.
        classes: names of the text column's classes; None if it holds no classes.
    """

    image: str
    text: str
    classes: tuple[str, ...] | None


def _columns(dataset: Any, path: Path | str, image_key: str | None, text_key: str, id_key: str) -> _Columns:
    """Finds the columns of images and texts.

    Raises:
        DataError: a named column does not exist, or no column has a usual name.
    """
    features = dataset.features or {}
    names = list(features or next(_rows(dataset, path), {}))
    if not names:
        raise DataError(f"{path}: the dataset has no rows", hint="check split and config")
    for option, column in (("image_key", image_key), ("text_key", text_key), ("id_key", id_key)):
        if column and column not in names:
            hint = f"name one with --option {option}=..."
            raise DataError(f"{path}: no column {column!r}; columns: {listed(names)}", hint=hint)
    if image_key is None:
        pictures = [name for name in names if _holds_images(features.get(name))]
        image_key = next((name for name in _IMAGE_COLUMNS if name in (pictures or names)), "")
        image_key = image_key or next(iter(pictures), "")
    asks = any(name in names for name in QUESTIONS) and any(name in names for name in ANSWERS)
    text = text_key or next((name for name in _TEXT_COLUMNS if name in names and name != image_key), "")
    if not text and not asks:
        raise DataError(
            f"{path}: no column of texts; the dataset has the columns {listed(names)}",
            hint="name the text column with --option text_key=...",
        )
    return _Columns(image_key, text, _class_names(features.get(text)))


def _holds_images(feature: Any) -> bool:
    import datasets

    return isinstance(getattr(feature, "feature", feature), datasets.Image)


def _class_names(feature: Any) -> tuple[str, ...] | None:
    import datasets

    feature = getattr(feature, "feature", feature)
    return tuple(feature.names) if isinstance(feature, datasets.ClassLabel) else None


def _rows(dataset: Any, path: Path | str) -> Iterator[Mapping[str, Any]]:
    """Yields the rows.

    Raises:
        DataError: the library cannot read on; the error says after which row.
    """
    number = 0
    try:
        for row in dataset:
            yield row
            number += 1
    except GeneratorExit:
        raise
    except Exception as error:  # the library raises errors of many kinds
        raise DataError(
            f"{path}: cannot be read after row {number} ({_reason(error)})",
            hint="fetch it again, or fix that file",
        ) from error


def _open(path: str, split: str, config: str | None, revision: str | None, streaming: bool) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "source 'huggingface' needs the package `datasets`", hint="pip install datasets"
        ) from error
    folder = Path(path)
    try:
        if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
            found = datasets.load_from_disk(path)
            if not isinstance(found, Mapping):
                return found
            if split in found:
                return found[split]
            raise DataError(
                f"{path}: no split {split!r}; splits: {listed(found)}", hint="name one with split"
            )
        if folder.is_file():
            builder = _BUILDERS.get(folder.suffix.lower(), "json")
            return datasets.load_dataset(builder, data_files=path, split="train", streaming=streaming)
        # A folder named as one of the library's own formats ("webdataset") would be taken for that format.
        name = str(folder.resolve()) if folder.is_dir() else path
        return datasets.load_dataset(name, config, split=split, revision=revision, streaming=streaming)
    except DataError:
        raise
    except Exception as error:  # the library raises errors of many kinds
        hint = "check its name, split and config; if it is gated, log in with `hf auth login`"
        if "offline" in str(error).lower():
            hint = "the hub is switched off (HF_HUB_OFFLINE): give a local folder, or go online"
        raise DataError(
            f"dataset {path!r}, split {split!r}: cannot be opened ({_reason(error)})", hint=hint
        ) from error


def _reason(error: Exception) -> str:
    return shortened(str(error) or type(error).__name__)


def _undecoded(dataset: Any) -> Any:
    """Keeps images, videos and sounds as stored: decoding and encoding again would change them."""
    for name, feature in (dataset.features or {}).items():
        plain = _undecoded_feature(feature)
        if plain is not None:
            dataset = dataset.cast_column(name, plain)
    return dataset


def _undecoded_feature(feature: Any) -> Any:
    """Returns the same feature without decoding; None if nothing is decoded."""
    import datasets

    if isinstance(feature, datasets.Image | datasets.Audio | datasets.Video):
        return type(feature)(decode=False)
    if isinstance(feature, datasets.List):
        inner = _undecoded_feature(feature.feature)
        return None if inner is None else datasets.List(inner)
    if isinstance(feature, dict):
        inside = {name: _undecoded_feature(one) for name, one in feature.items()}
        if any(one is not None for one in inside.values()):
            return {name: feature[name] if one is None else one for name, one in inside.items()}
    return None


def _sample(
    row: Mapping[str, Any], where: str, key: str, columns: _Columns, root: Path, prompt: str
) -> Sample | Reject:
    stored = image_values(row.get(columns.image)) if columns.image else []
    try:
        turns, values, meta = _talk(row, stored, columns, prompt)
    except UnfitConversation as error:
        return Reject(where, key, error.reason, error.detail)
    images = read_images(root, values, where=where, key=key)
    if isinstance(images, Reject):
        return images
    return Sample(key, images, turns, {"where": where, **meta}, where=where)


def _talk(
    row: Mapping[str, Any], stored: Sequence[object], columns: _Columns, prompt: str
) -> tuple[tuple[Turn, ...], Sequence[object], dict[str, list[str]]]:
    """Makes the turns of a row from its conversation, or else from its first caption.

    Returns:
        Turns, images, and what goes to the meta: all captions if there are several.

    Raises:
        UnfitConversation: the row has neither, or they do not fit the images.
    """
    refuse_media(row)
    value = row.get(columns.text)
    if not columns.text:
        talk, _ = read_talk(row, stored)
        return talk.turns, talk.images, {}
    if find_conversation(value) is not None:
        talk = read_conversation(value, stored, row.get("system"))
        return talk.turns, talk.images, {}
    captions, why = caption_texts(_named(value, columns.classes))
    if columns.image and not stored:
        raise UnfitConversation("no-image", f"nothing in column {columns.image!r}")
    if not captions:
        raise UnfitConversation("missing-text", f"no text in column {columns.text!r}{why}")
    meta = {"references": captions} if len(captions) > 1 else {}
    if prompt:
        return (user(*map(ImagePart, range(len(stored))), prompt), assistant(captions[0])), stored, meta
    return pair_turns(len(stored), captions[0]), stored, meta


def _named(value: Any, classes: tuple[str, ...] | None) -> Any:
    """Puts the names of classes in place of their numbers."""
    if classes is None:
        return value
    if isinstance(value, list):
        names = [_named(one, classes) for one in value]
        return ", ".join(name for name in names if isinstance(name, str))
    return classes[value] if isinstance(value, int) and 0 <= value < len(classes) else None
