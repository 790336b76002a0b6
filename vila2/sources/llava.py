"""LLaVA's JSON and JSONL, and other chats with images: by file name, inside of the content, or as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.data.shortening import listed
from vila2.sources.conversations import UnfitConversation, read_talk
from vila2.sources.image_values import image_name, row_images
from vila2.sources.rows import Keys, Row, image_folder, other_fields, read_images, read_rows, row_name, take


def read(
    path: Path | str,
    *,
    image_root: Path | str | None = None,
    image_key: str = "",
    text_key: str = "",
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads rows ``{"id", "image": name | names | absent, "conversations": [{"from", "value"}]}``.

    ``messages`` with ``role`` and ``content``, ``{"user", "assistant"}``, ``prompt`` and ``completion``, ``query`` and
    ``response`` are read as well (:mod:`vila2.sources.conversations`), images inside of the content, and images as
    base64, data URI or bytes (:mod:`vila2.sources.image_values`). A row without an image is a text-only sample. Rows
    of videos are rejected. Other fields go to the meta. An id that comes again with another conversation gets "#2"
    (see :class:`~vila2.sources.rows.Keys`).

    Args:
        path: JSON, JSON lines, CSV or Parquet, plain or compressed, or a folder of such files.
        image_root: the folder that images' names are relative to; by default the file's own.
        image_key, text_key: the fields of images and of the conversation, where they have other names than usual.
        start, count: a slice of the rows.

    Raises:
        DataError: no such file or folder, or a file of another kind.
    """
    path = Path(path)
    root = image_folder(path, image_root)
    keys = Keys()
    for row in take(read_rows(path), start, count):
        yield row if isinstance(row, Reject) else _sample(row, root, keys, image_key, text_key)


def _sample(row: Row, root: Path, keys: Keys, image_key: str, text_key: str) -> Sample | Reject:
    stored, field = row_images(row.fields, image_key)
    key = keys.key(row_name(row, stored), row.fields)
    try:
        talk, used = read_talk(row.fields, stored, text_key)
    except UnfitConversation as error:
        detail = error.detail
        if error.reason == "placeholder-mismatch" and not stored:
            detail += f"; fields: {listed(row.fields)} (image_key names the one of images)"
        return Reject(row.where, key, error.reason, detail)
    images = read_images(root, talk.images, where=row.where, key=key)
    if isinstance(images, Reject):
        return images
    meta: dict[str, Any] = other_fields(row.fields, {"id", "image", "images", field, *used})
    names = [name for image in talk.images if (name := image_name(image))]
    if names:
        meta["image"] = names[0] if len(names) == 1 else names
    return Sample(key, images, talk.turns, meta, where=row.where)
