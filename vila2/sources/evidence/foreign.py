"""Recognizes annotations of other tools that cannot be read, so that an error can say what they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Foreign(NamedTuple):
    """A form of another tool.

    Attributes:
        what: name of the form.
        hint: advice that makes it readable.
    """

    what: str
    hint: str


_COCO = "export it as COCO JSON (images, annotations, categories)"
_TEXTS = (
    'write a row for each image: {"image": FILE, "texts": [{"text": ..., "box": [xmin, ymin, xmax, ymax]}]}'
)


def _first(value: Any) -> Mapping[str, Any]:
    """Returns the first object of a list, else an empty one."""
    items = value if isinstance(value, list) else []
    return next((item for item in items if isinstance(item, Mapping)), {})


def _value(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the value of the first key if it is an object: some tools write a key for each image."""
    first = next(iter(document.values()), None)
    return first if isinstance(first, Mapping) else {}


def _every(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda fields: all(name in fields for name in names)


_DOCUMENTS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Foreign], ...] = (
    (
        lambda document: (
            "caption" in _first(document.get("annotations")) and "bbox" not in _first(document["annotations"])
        ),
        Foreign("a COCO caption file, without boxes", "read it with the source 'captions'"),
    ),
    (
        lambda document: "segments_info" in _first(document.get("annotations")),
        Foreign("a COCO panoptic file", "give the instances_*.json of the same images"),
    ),
    (
        lambda document: (
            isinstance(document.get("annotations"), list) and "question" in _first(document["annotations"])
        ),
        Foreign(
            "questions or answers of VQA, apart from each other", 'write rows {"image", "question", "answer"}'
        ),
    ),
    (_every("imgs", "anns"), Foreign("TextOCR's own JSON", _TEXTS)),
    (_every("shapes", "imagePath"), Foreign("a labelme file, of one image", _COCO)),
    (_every("_via_img_metadata"), Foreign("a project of the VGG Image Annotator", _COCO)),
    (_every("pages"), Foreign("an export of docTR, which names no image", _TEXTS + ', with "scale": "unit"')),
    (_every("form"), Foreign("FUNSD's JSON of one image", _TEXTS)),
    (_every("valid_line"), Foreign("CORD's JSON of one image", _TEXTS)),
    (_every("responses"), Foreign("an answer of Google Cloud Vision", _TEXTS)),
    (_every("Blocks"), Foreign("an answer of Amazon Textract", _TEXTS)),
    (_every("analyzeResult"), Foreign("an answer of Azure's text recognition", _TEXTS)),
    (_every("features"), Foreign("GeoJSON", _COCO)),
    (_every("size", "objects"), Foreign("Supervisely's JSON of one image", _COCO)),
    (_every("items", "categories"), Foreign("Datumaro's JSON", _COCO)),
    (lambda document: "polygons" in _value(document), Foreign("labels of docTR", _TEXTS)),
    (lambda document: "regions" in _value(document), Foreign("an export of the VGG Image Annotator", _COCO)),
)

_ROWS: tuple[tuple[Callable[[Mapping[str, Any]], bool], Foreign], ...] = (
    (
        _every("image_id", "category_id", "bbox"),
        Foreign(
            "COCO results (or the annotations alone), which name no image",
            "put them under 'annotations' of an object with 'images' and 'categories'",
        ),
    ),
    (
        _every("image_id", "caption"),
        Foreign("COCO caption results, which name no image", "write {image, caption}"),
    ),
    (_every("annotations", "data"), Foreign("an export of Label Studio", _COCO)),
    (_every("image", "annotations"), Foreign("CreateML's JSON", _COCO)),
    (_every("Label"), Foreign("an export of Labelbox", _COCO)),
    (
        lambda fields: "box2d" in _first(fields.get("labels")),
        Foreign("BDD100K's (Scalabel's) JSON", _COCO),
    ),
    (_every("image_id", "objects"), Foreign("Visual Genome's JSON", _COCO)),
    (
        lambda fields: "bboxes" in fields and ("words" in fields or "tokens" in fields),
        Foreign(
            "words and boxes in two lists, as of FUNSD for LayoutLM (boxes of 0 to 1000)",
            f'{_TEXTS}, with "scale": "unit" where the boxes are divided by 1000',
        ),
    ),
    (_every("ground_truth"), Foreign("rows of Donut, such as CORD and SynthDoG", _TEXTS)),
    (
        lambda fields: "conversations" in fields or "messages" in fields,
        Foreign("conversations", "read them with the source 'llava'"),
    ),
)

_QUAD = re.compile(r"(-?\d+,\s*){8}\S")
_NUMBER = re.compile(r"-?\d+(\.\d*)?(e-?\d+)?")


def _is_kitti(fields: Sequence[str]) -> bool:
    """Tells whether a line is a label of KITTI, by itself, with a score, or of its tracking."""
    if len(fields) not in range(15, 19) or not any(field[0].isalpha() for field in fields[:3]):
        return False
    return all(_NUMBER.fullmatch(field) for field in fields[-12:])


_TEXT: tuple[tuple[Callable[[str], bool], Foreign], ...] = (
    (lambda head: head.startswith("level\tpage_num"), Foreign("TSV of Tesseract, of one image", _TEXTS)),
    (lambda head: "ocr_page" in head or "ocrx_word" in head, Foreign("hOCR, of one image", _TEXTS)),
    (lambda head: "<alto" in head, Foreign("ALTO XML, of one image", _TEXTS)),
    (lambda head: "<PcGts" in head, Foreign("PAGE XML, of one image", _TEXTS)),
    (lambda head: "<annotations" in head, Foreign("XML of CVAT", _COCO)),
    (
        lambda head: "<annotation" in head,
        Foreign(
            "an annotation of Pascal VOC", "give the folder that holds Annotations/ to the plugin 'grounding'"
        ),
    ),
    (lambda head: head.startswith("ImageID,"), Foreign("a table of OpenImages", _COCO)),
    (
        lambda head: all(
            name in head.split("\n")[0].lower().split(",") for name in ("xmin", "ymin", "xmax", "ymax")
        ),
        Foreign("a table of boxes", _COCO),
    ),
    (
        lambda head: _QUAD.match(head) is not None,
        Foreign(
            "text boxes of one image, as of SROIE and ICDAR",
            _TEXTS.replace('"box": [xmin, ymin, xmax, ymax]', '"quad": [x1, y1, ..., y4]'),
        ),
    ),
    (
        lambda head: _is_kitti(head.split("\n")[0].split()),
        Foreign("labels of KITTI", "give the folder that holds label_2/ and calib/ to the plugin 'spatial'"),
    ),
)


def foreign_document(document: Mapping[str, Any]) -> Foreign | None:
    """Recognizes a JSON object of another tool."""
    return next((foreign for fits, foreign in _DOCUMENTS if fits(document)), None)


def foreign_row(fields: Mapping[str, Any]) -> Foreign | None:
    """Recognizes a row of another tool."""
    return next((foreign for fits, foreign in _ROWS if fits(fields)), None)


def foreign_text(path: Path) -> Foreign | None:
    """Recognizes a text file of another tool by its first lines."""
    try:
        with path.open("rb") as file:
            head = file.read(2000).decode("utf-8-sig", errors="replace")
    except OSError:
        return None
    if head.lstrip().startswith(("{", "[", "PAR1")):  # rows
        return None
    return next((foreign for fits, foreign in _TEXT if fits(head)), None)


def foreign_folder(path: Path) -> Foreign | None:
    """Recognizes a folder of another tool by its files."""
    if next((path / "Annotations").glob("*.xml"), None) or next(path.glob("*.xml"), None):
        return Foreign(
            "XML files, such as Pascal VOC's", "Annotations/ of VOC is read by the plugin 'grounding'"
        )
    if (path / "label_2").is_dir() or (path / "training" / "label_2").is_dir():
        return Foreign("KITTI's layout", "it is read by the plugin 'spatial'")
    if next(path.glob("v1.0-*/sample_annotation.json"), None):
        return Foreign("nuScenes' layout", "it is read by the plugin 'spatial'")
    if (path / "labels").is_dir() and next((path / "labels").rglob("*.txt"), None):
        return Foreign("YOLO's layout", _COCO)
    return None
