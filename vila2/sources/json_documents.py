"""Rows of JSON documents: a list under a key, COCO's captions, a mapping of ids or names, or a single row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vila2.data.images import IMAGE_EXTENSIONS
from vila2.data.rejects import Reject
from vila2.data.shortening import listed, shown
from vila2.errors import DataError

#: A document with one of these fields is itself a row, whatever lists it holds.
_ROW_FIELDS = frozenset(
    {
        "conversations", "conversation", "messages", "texts", "lines", "text_list", "image", "image_path",
        "image_file", "img", "question", "instruction", "inputs", "query", "prompt", "caption", "captions",
        "text", "output", "evidence", "boxes", "file_name", "filename", "image_id",
    }
)  # fmt: skip


class Numbered(NamedTuple):
    """An entry of a file that should be a row.

    Attributes:
        where: place of the entry in its file.
        fields: content of the entry; a row if it is an object.
    """

    where: str
    fields: object


def document_rows(document: Mapping[str, object], path: str, alone: str) -> Iterator[Numbered | Reject]:
    """Yields the rows of a JSON document.

    Args:
        document: object of the file.
        path: path of the file.
        alone: place to name if the document is itself a row.

    Raises:
        DataError: several lists may be the rows, or COCO's annotations are not captions.
    """
    if _is_coco(document):
        yield from _coco_captions(document, path)
    elif _ROW_FIELDS & document.keys():
        yield Numbered(alone, document)
    elif (lists := _lists(document)) and ("data" in lists or len(lists) == 1):
        name = "data" if "data" in lists else next(iter(lists))
        for number, fields in enumerate(lists[name]):
            yield Numbered(f"{path}: {name}[{number}]", fields)
    elif lists:
        raise DataError(
            f"{path}: an object with the keys {listed(document)}; lists of objects are under {listed(lists)}",
            hint="write the list that holds the rows to a file of its own",
        )
    elif len(objects := _objects(document)) == len(document) > 1:
        for name, fields in objects.items():
            yield Numbered(f"{path}: {shown(name)}", {"id": name, **fields})
    elif document and all(map(_is_image_name, document)):
        for name, value in document.items():
            yield Numbered(f"{path}: {shown(name)}", {"image": name, "captions": value})
    else:
        yield Numbered(alone, document)


def _lists(document: Mapping[str, object]) -> dict[str, list[object]]:
    """Finds the lists that hold objects, by key."""
    return {
        name: value
        for name, value in document.items()
        if isinstance(value, list) and any(isinstance(one, Mapping) for one in value)
    }


def _objects(document: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """Finds the objects of a document, by key."""
    return {name: value for name, value in document.items() if isinstance(value, Mapping)}


def _is_image_name(name: str) -> bool:
    return name.rpartition(".")[2].lower() in IMAGE_EXTENSIONS


def _is_coco(document: Mapping[str, object]) -> bool:
    return all(
        isinstance(some := document.get(name), list) and all(isinstance(one, Mapping) for one in some)
        for name in ("images", "annotations")
    )


def _coco_captions(document: Mapping[str, object], path: str) -> Iterator[Numbered | Reject]:
    """Makes a row for each image of COCO's captions, with all captions of the image.

    Raises:
        DataError: the annotations hold no captions, or two images have the same id.
    """
    images, annotations = document["images"], document["annotations"]
    assert isinstance(images, list) and isinstance(annotations, list)
    if annotations and not any("caption" in one for one in annotations):
        raise DataError(
            f"{path}: COCO JSON whose annotations hold no captions; their fields: {listed(annotations[0])}",
            hint="source evidence reads boxes",
        )
    counts = Counter(shown(image.get("id")) for image in images)
    captions: dict[str, list[object]] = {number: [] for number in counts}
    twice = next((number for number, count in counts.items() if count > 1), None)
    if twice is not None:
        raise DataError(
            f"{path}: two images have the id {twice}, so their captions cannot be told apart",
            hint="give the files one by one, as they were before they were joined",
        )
    for number, annotation in enumerate(annotations):
        found = captions.get(shown(annotation.get("image_id")))
        if found is None:
            detail = f"the file has no image with the id {shown(annotation.get('image_id'))}"
            yield Reject(f"{path}: annotations[{number}]", "", "no-image", detail)
        else:
            found.append(annotation.get("caption"))
    for number, image in enumerate(images):
        name = image.get("file_name") or image.get("coco_url") or image.get("url")
        about = {field: image[field] for field in ("id", "width", "height") if field in image}
        fields = {"image": name, "captions": captions[shown(image.get("id"))], **about}
        yield Numbered(f"{path}: images[{number}]", fields)
