"""Source `llava`: LLaVA's JSON and JSONL, and other chats with images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.rejects import Reject
from vila2.data.sample import Sample
from vila2.data.shortening import listed
from vila2.sources.chat_turns import UnfitConversation
from vila2.sources.conversations import read_talk
from vila2.sources.image_values import image_name, row_images
from vila2.sources.rows import (
    Keys,
    Row,
    check_inputs,
    image_folder,
    other_fields,
    read_images,
    read_rows,
    row_name,
    take,
)


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

    Other forms of conversations are read too (:mod:`vila2.sources.conversations`), such as ``messages`` with
    ``role`` and ``content``, and images inside the content or as base64, data URI or bytes
    (:mod:`vila2.sources.image_values`). A row without an image becomes a text-only sample. Rows with videos
    are rejected. Other fields go to the meta. A repeated id with another conversation gets "#2" (see
    :class:`~vila2.sources.rows.Keys`).

    Args:
        path: file of JSON, JSON lines, CSV or Parquet, plain or compressed, or folder of such files.
        image_root: folder that names of images are relative to; by default the folder of the file.
        image_key: field of the images; by default the first usual one, such as ``image`` or ``images``.
        text_key: field of the conversation; by default the first usual one, such as ``conversations`` or
            ``messages``.
        start: number of the first row, from 0.
        count: most rows to read; all by default.

    Raises:
        DataError: a file or folder is missing or has another format.
    """
    path = Path(path)
    check_inputs(path, image_root)
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
            detail += f"; fields: {listed(row.fields)}; name the field of images with image_key"
        return Reject(row.where, key, error.reason, detail)
    images = read_images(root, talk.images, where=row.where, key=key)
    if isinstance(images, Reject):
        return images
    meta: dict[str, Any] = other_fields(row.fields, {"id", "image", "images", field, *used})
    names = [name for image in talk.images if (name := image_name(image))]
    if names:
        meta["image"] = names[0] if len(names) == 1 else names
    return Sample(key, images, talk.turns, meta, where=row.where)
