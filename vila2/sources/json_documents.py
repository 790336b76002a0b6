"""JSON documents as rows: a list under a key, COCO's captions, a mapping of ids or names, or one row alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from vila2.data.images import IMAGE_EXTENSIONS
from vila2.data.shards import Reject
from vila2.data.shortening import listed, shown
from vila2.errors import DataError

#: A document with one of these is a row itself, whatever lists it holds.
_ROW_FIELDS = frozenset(
    {
        "conversations", "conversation", "messages", "texts", "lines", "text_list", "image", "image_path", "image_file",
        "img", "question", "instruction", "inputs", "query", "prompt", "caption", "captions", "text", "output",
        "evidence", "boxes", "file_name", "filename", "image_id",
    }
)  # fmt: skip


class Numbered(NamedTuple):
    """What should be a row, and where in its file it stands."""

    where: str
    fields: object


def document_rows(document: Mapping[str, object], path: str, alone: str) -> Iterator[Numbered | Reject]:
    """The rows of a JSON document.

    Args:
        document: an object.
        path: of its file.
        alone: where it stands, if it is a row itself.

    Raises:
        DataError: an object with several lists that may be the rows, naming its keys.
    """
    if _is_coco(document):
        yield from _coco_captions(document, path)
    elif _ROW_FIELDS & document.keys():
        yield Numbered(alone, document)
    elif (lists := _lists(document)) and ("data" in lists or len(lists) == 1):
        name = "data" if "data" in lists else lists[0]
        rows = document[name]
        assert isinstance(rows, list)
        for number, fields in enumerate(rows):
            yield Numbered(f"{path}: {name}[{number}]", fields)
    elif lists:
        raise DataError(
            f"{path}: an object with the keys {listed(document)}; lists of objects are under {listed(lists)}",
            hint="write the list that holds the rows to a file of its own",
        )
    elif len(document) > 1 and all(isinstance(value, Mapping) for value in document.values()):
        for name, value in document.items():
            assert isinstance(value, Mapping)
            yield Numbered(f"{path}: {shown(name)}", {"id": name, **value})
    elif document and all(map(_is_image_name, document)):
        for name, value in document.items():
            yield Numbered(f"{path}: {shown(name)}", {"image": name, "captions": value})
    else:
        yield Numbered(alone, document)


def _lists(document: Mapping[str, object]) -> list[str]:
    """The keys of lists that hold objects."""
    return [
        name
        for name, value in document.items()
        if isinstance(value, list) and value and any(isinstance(one, Mapping) for one in value)
    ]


def _is_image_name(name: str) -> bool:
    return name.rpartition(".")[2].lower() in IMAGE_EXTENSIONS


def _is_coco(document: Mapping[str, object]) -> bool:
    return all(
        isinstance(some := document.get(name), list) and all(isinstance(one, Mapping) for one in some)
        for name in ("images", "annotations")
    )


def _coco_captions(document: Mapping[str, object], path: str) -> Iterator[Numbered | Reject]:
    """COCO's captions: a row for each image, with all of its captions.

    Raises:
        DataError: annotations without captions, or an image id that stands twice.
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
            f"{path}: the image id {twice} stands twice, so that its captions may be another image's",
            hint="give the files one by one, as they were before they were put together",
        )
    for number, annotation in enumerate(annotations):
        found = captions.get(shown(annotation.get("image_id")))
        if found is None:
            detail = f"image_id {shown(annotation.get('image_id'))} is no image of the file"
            yield Reject(f"{path}: annotations[{number}]", "", "no-image", detail)
        else:
            found.append(annotation.get("caption"))
    for number, image in enumerate(images):
        name = image.get("file_name") or image.get("coco_url") or image.get("url")
        about = {field: image[field] for field in ("id", "width", "height") if field in image}
        fields = {"image": name, "captions": captions[shown(image.get("id"))], **about}
        yield Numbered(f"{path}: images[{number}]", fields)
