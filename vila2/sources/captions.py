"""JSON lines (or an array, or Parquet) of images with one or several captions each, as Flickr8k's or COCO's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from vila2.data.packed_sample import pair_turns
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import Keys, Row, read_image, read_rows, take, without_suffix

Choice = Literal["first", "shortest", "longest", "join"]


def read(
    path: Path | str,
    *,
    image_key: str = "image",
    text_key: str = "captions",
    choose: Choice = "first",
    prompt: str = "",
    image_root: Path | str | None = None,
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads rows ``{image: name, captions: [text, ...]}``.

    The key is the image's name without suffix. All captions stay in ``meta["references"]``, other fields beside.

    Args:
        path: the file.
        image_key, text_key: the fields that hold the image's file name and its captions (a text or a list).
        choose: which caption becomes the text; "join" makes a paragraph of all, a sentence each.
        prompt: what the user asks; the text is the answer.
        image_root: the folder that images' names are relative to; by default the file's own.
        start, count: a slice of the rows.

    Raises:
        DataError: an unknown choice, or no such file.
    """
    if choose not in get_args(Choice):
        raise DataError(f"choose={choose!r}", mend=f"use one of {', '.join(get_args(Choice))}")
    path = Path(path)
    root = Path(image_root) if image_root else (path if path.is_dir() else path.parent)
    keys = Keys()
    for row in take(read_rows(path), start, count):
        yield (
            row if isinstance(row, Reject) else _sample(row, image_key, text_key, choose, prompt, root, keys)
        )


def _sample(
    row: Row, image_key: str, text_key: str, choose: Choice, prompt: str, root: Path, keys: Keys
) -> Sample | Reject:
    name = row.fields.get(image_key)
    key = keys.key(without_suffix(name), row.fields) if isinstance(name, str) else ""
    for field in (image_key, text_key):
        if field not in row.fields:
            return Reject(row.where, key, "missing-field", f"no {field!r}; fields: {', '.join(row.fields)}")
    captions = _captions(row.fields[text_key])
    if not captions:
        return Reject(row.where, key, "missing-text", f"no caption in {text_key!r}")
    image = read_image(root, name, where=row.where, key=key)
    if isinstance(image, Reject):
        return image
    text = chosen_caption(captions, choose)
    turns = (user(ImagePart(), prompt), assistant(text)) if prompt else pair_turns(1, text)
    meta = {field: value for field, value in row.fields.items() if field != text_key}
    return Sample(key, (image,), turns, {**meta, "references": captions})


def _captions(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [text.strip() for text in values if isinstance(text, str) and text.strip()]


def chosen_caption(captions: Sequence[str], choose: Choice) -> str:
    """One text out of an image's captions.

    Args:
        captions: at least one.
        choose: "first"; "shortest" or "longest" by words, then characters, the first of equals; "join".
    """
    match choose:
        case "first":
            return captions[0]
        case "shortest":
            return min(captions, key=_length)
        case "longest":
            return max(captions, key=_length)
        case "join":
            return " ".join(map(_sentence, captions))


def _length(text: str) -> tuple[int, int]:
    return len(text.split()), len(text)


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".").rstrip()
    ending = "" if text.endswith(("!", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{ending}"
