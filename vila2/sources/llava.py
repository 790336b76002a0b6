"""LLaVA's JSON and JSONL: images by file name, conversations with ``<image>`` placeholders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.sources.conversations import UnfitConversation, parse_conversation
from vila2.sources.rows import Keys, Row, read_image, read_rows, take, without_suffix

_READ = ("id", "image", "images", "conversations", "messages")


def read(
    path: Path | str, *, image_root: Path | str | None = None, start: int = 0, count: int | None = None
) -> Iterator[Sample | Reject]:
    """Reads rows ``{"id", "image": name | names | absent, "conversations": [{"from", "value"}]}``.

    ``messages`` with ``role`` and ``content``, and ``images``, are read as well. Other fields go to the meta. An id
    that comes again with another conversation gets "#2" (see :class:`~vila2.sources.rows.Keys`).

    Args:
        path: a JSON array or JSON lines, or a folder of such files.
        image_root: the folder that images' names are relative to; by default the file's own.
        start, count: a slice of the rows.
    """
    path = Path(path)
    root = Path(image_root) if image_root else (path if path.is_dir() else path.parent)
    keys = Keys()
    for row in take(read_rows(path), start, count):
        yield row if isinstance(row, Reject) else _sample(row, root, keys)


def _sample(row: Row, root: Path, keys: Keys) -> Sample | Reject:
    names = _image_names(row.fields)
    key = keys.key(_name(row, names), row.fields)
    try:
        turns = parse_conversation(row.fields.get("conversations", row.fields.get("messages")), len(names))
    except UnfitConversation as error:
        return Reject(row.where, key, error.reason, error.detail)
    images = []
    for image in names:
        data = read_image(root, image, where=row.where, key=key)
        if isinstance(data, Reject):
            return data
        images.append(data)
    meta: dict[str, Any] = {field: value for field, value in row.fields.items() if field not in _READ}
    if names:
        meta["image"] = names[0] if len(names) == 1 else names
    return Sample(key, tuple(images), turns, meta)


def _name(row: Row, names: list[Any]) -> str:
    """The row's own id, else its image's name, else file and line."""
    own = row.fields.get("id")
    if own not in (None, ""):
        return str(own)
    if names and isinstance(names[0], str):
        return without_suffix(names[0])
    return Path(row.where).name


def _image_names(fields: dict[str, Any]) -> list[Any]:
    value = fields.get("image", fields.get("images"))
    if value in (None, "", []):
        return []
    return list(value) if isinstance(value, list) else [value]
