"""Downloaded files of rows, and the images that rows hold or name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vila2.plugin import Reject, Row, read_image, read_rows

_SUFFIXES = (".parquet", ".json", ".jsonl", ".ndjson")
_FOLDERS = ("", "images", "train_images", "train")


def row_files(path: Path) -> list[Path]:
    """The files of rows in a folder and its subfolders, by name. A file gives itself."""
    if path.is_file():
        return [path]
        # A name that begins with a dot belongs to the downloader.
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def file_rows(path: Path) -> Iterator[Row | Reject]:
    """The rows of a file. A file ``{"data": [...]}`` (TextCaps, DocVQA) gives those in the list."""
    if path.suffix == ".json":
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            document = None  # JSON lines under another name, or broken: the reader of rows says what is wrong
        if isinstance(document, dict) and isinstance(document.get("data"), list):
            for number, fields in enumerate(document["data"]):
                where = f"{path}: data[{number}]"
                if isinstance(fields, dict):
                    yield Row(where, fields)
                else:
                    yield Reject(where, "", "bad-row", f"a {type(fields).__name__} instead of an object")
            return
    yield from read_rows(path)


def images_of(
    fields: Mapping[str, Any], names: tuple[str, ...], root: Path, *, where: str, key: str
) -> tuple[tuple[bytes, ...], str] | Reject:
    """The images of a row, and the name of the first; "" where it has no name.

    A field holds the Hub's ``{"bytes", "path"}``, a list of those, or the name of a file. The file lies in
    ``root`` or in one of the subfolders that data sets use.
    """
    value = next((fields[name] for name in names if fields.get(name)), None)
    if value is None:
        return Reject(where, key, "missing-image", f"nothing in {' or '.join(names)}")
    images, first = [], ""
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        held = one.get("bytes") if isinstance(one, Mapping) else one
        name = (one.get("path") if isinstance(one, Mapping) else one) or ""
        if number == 0 and isinstance(name, str):
            first = name
        if isinstance(held, bytes) and held:
            images.append(held)
            continue
        data = _file(root, name, where=where, key=key)
        if isinstance(data, Reject):
            return data
        images.append(data)
    return tuple(images), first


def _file(root: Path, name: Any, *, where: str, key: str) -> bytes | Reject:
    if isinstance(name, str) and name:
        shown = name if Path(name).suffix else f"{name}.jpg"  # TextCaps' image ids
        for folder in _FOLDERS:
            try:
                found = (root / folder / shown).is_file()
            except (OSError, ValueError):  # far too long a name, or one with a NUL
                break
            if found:
                return read_image(root / folder, shown, where=where, key=key)
    return read_image(root, name, where=where, key=key)
