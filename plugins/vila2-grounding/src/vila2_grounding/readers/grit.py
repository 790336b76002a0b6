"""GRIT, as rows (Parquet, JSONL) with a folder of images, or as the tars that img2dataset makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vila2.plugin import (
    Box,
    Frame,
    Keys,
    Reject,
    Row,
    Sample,
    Size,
    frame_of,
    given_size,
    image_header,
    read_image,
    read_rows,
)

from vila2_grounding.grounded import Grounded
from vila2_grounding.readers.resizing import Resized, letterboxed, original_size, same_shape
from vila2_grounding.readers.spans import CHUNKS, EXPRESSIONS, read_phrases

_SUFFIXES = (".jpg", ".png", ".webp", ".jpeg")


def read_grit_rows(
    path: Path, images: Path | None, resized: Resized, prefix: str = ""
) -> Iterator[Grounded | Reject]:
    """The grounded captions of a file's rows.

    The field ``image`` (or ``file_name``) of a row names its image. A row without it has the image
    ``KEY.jpg`` (``.jpeg``, ``.png``, ``.webp``). That file is in the folder of images, or, as img2dataset
    writes files, in a folder there that is named with the first five digits of the key.

    Args:
        path: File of Parquet or JSONL.
        images: Folder of images. By default it is the file's own folder, or ``images`` in it.
        resized: Treatment of resized images, see :data:`~vila2_grounding.readers.resizing.Resized`.
        prefix: Text in front of all keys, where another file may have the same keys.
    """
    roots = [images] if images else [path.parent, path.parent / "images"]
    keys = Keys()
    for row in read_rows(path):
        if isinstance(row, Reject):
            yield row
            continue
        name, shown = _names(row)
        key = prefix + keys.key(shown, row.fields)
        found = _find(roots, name, shown)
        data = read_image(found[0], found[1], where=row.where, key=key)
        if isinstance(data, Reject):
            yield data
        else:
            called = name if isinstance(name, str) else shown
            yield from grounded_row(row, key, data, prefix + called, resized)


def scattered_images(path: Path, prefix: str = "") -> frozenset[str]:
    """The images of a file whose rows do not follow each other; no image is read."""
    seen, scattered, last = set[str](), set[str](), ""
    for row in read_rows(path):
        if isinstance(row, Row):
            name, shown = _names(row)
            called = name if isinstance(name, str) else shown
            if called != last:
                (scattered if called in seen else seen).add(called)
            last = called
    return frozenset(prefix + name for name in scattered)


def _names(row: Row) -> tuple[Any, str]:
    """What a row calls its image, and the row itself."""
    name = next((row.fields[key] for key in ("image", "file_name") if row.fields.get(key)), None)
    shown = next((row.fields[key] for key in ("key", "id") if row.fields.get(key)), name or "row")
    return name, str(shown)


def read_grit_sample(sample: Sample, resized: Resized, where: str) -> Iterator[Grounded | Reject]:
    """The grounded caption of a sample of img2dataset's tars, or of a dataset imported from them.

    The sample's meta is GRIT's row. The caption comes from the ``.json``, since the ``.txt`` may lack the
    white space at the ends.
    """
    said = next((turn.text for turn in sample.turns if turn.role == "assistant"), None)
    fields = {"caption": said, **sample.meta}
    if not sample.images:
        yield Reject(where, sample.key, "no-image", "the sample has no image")
        return
    row = Row(where, fields)
    yield from grounded_row(row, sample.key, sample.images[0], str(fields.get("image", sample.key)), resized)


def grounded_row(
    row: Row, key: str, image: bytes, name: str, resized: Resized
) -> Iterator[Grounded | Reject]:
    """A row's caption with its phrases, after a ``Reject`` for each annotation that cannot be used."""
    caption = row.fields.get("caption")
    if not isinstance(caption, str) or not caption.strip():
        yield Reject(row.where, key, "no-caption", f"caption is {caption!r:.40}")
        return
    move = _move(row.fields, image, name, resized)
    if isinstance(move, tuple):
        yield Reject(row.where, key, *move)
        return
    refused: dict[Reject, None] = {}

    def refuse(reason: str, detail: str) -> None:
        refused[Reject(row.where, key, reason, detail)] = None

    phrases = read_phrases(row.fields.get(CHUNKS), caption, refuse, move)
    expressions = read_phrases(row.fields.get(EXPRESSIONS), caption, refuse, move)
    yield from refused
    yield Grounded(key, image, caption, phrases, expressions, {"image": name})


def _move(
    fields: Mapping[str, Any], image: bytes, name: str, resized: Resized
) -> Callable[[Box], Box] | tuple[str, str] | None:
    """A function that moves boxes to the image at hand, or None where they fit.

    Where neither is known, it is the reason and the detail of a refusal.
    """
    original = original_size(fields)
    seen = _seen(fields, image, name, original)
    if not isinstance(seen[1], Frame):
        return seen
    size, frame = seen
    turn = None if frame.orientation == 1 else _turn(frame)
    if original is None or resized == "keep" or same_shape(size, original):
        return turn
    if resized == "border" and abs(size[0] - size[1]) <= 1:
        fit = letterboxed(original)
        return fit if turn is None else lambda box: turn(fit(box))
    return (
        "reshaped-image",
        f"{size[0]}x{size[1]}, but the original is {original[0]}x{original[1]}: img2dataset letterboxed or "
        "cropped it and its boxes are the original's. Fetch it with resize_mode=keep_ratio, or build with "
        "resized=border",
    )


def _seen(
    fields: Mapping[str, Any], image: bytes, name: str, original: Size | None
) -> tuple[Size, Frame] | tuple[str, str]:
    """The size of the image that the boxes refer to, and the turn of that image.

    Where they are not known, it is the reason and the detail of a refusal.
    """
    header = image_header(image)
    if header is None:
        return "corrupt-image", "no image that can be read"
    stored, orientation = header
    if orientation == 1:
        return stored, Frame(1, 1)
    given = original or given_size(fields)
    frame = frame_of(image, name, given if isinstance(given, tuple) else None, (0.0, 0.0))
    if not isinstance(frame, Frame):
        return frame
    turned = frame.orientation == 1 and orientation >= 5
    return (stored[1], stored[0]) if turned else stored, Frame(1, 1, frame.orientation)


def _turn(frame: Frame) -> Callable[[Box], Box]:
    return lambda box: frame.box(*box) or box


def _find(roots: list[Path], name: Any, key: str) -> tuple[Path, str]:
    """The folder and the name of a row's image. A missing image has the place where it should be."""
    names = [name] if name else [key + suffix for suffix in _SUFFIXES]
    names += [] if name else [f"{key[:5]}/{one}" for one in names]
    for root in roots:
        for one in names:
            try:
                if isinstance(one, str) and (root / one).is_file():
                    return root, one
            except (OSError, ValueError):  # a name that is far too long or has a NUL
                continue
    return roots[0], names[0]
