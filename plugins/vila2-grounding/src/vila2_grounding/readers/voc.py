"""Pascal VOC: ``Annotations/*.xml`` beside ``JPEGImages``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from vila2.data.boxes import Box
from vila2.data.evidence import Evidence, SceneObject
from vila2.data.sample import ImagePart, Sample, user
from vila2.data.shards import Reject
from vila2.sources.rows import read_image


def is_voc(path: Path) -> bool:
    """Whether a folder is laid out like VOC."""
    return (path / "Annotations").is_dir() and next((path / "Annotations").glob("*.xml"), None) is not None


def read_voc(root: Path, images: Path | None = None) -> Iterator[Sample | Reject]:
    """One sample per XML file, by name, with its objects as evidence.

    Boxes are pixels from 1 to width; that VOC lists every object of its labels is known of VOC's own files only, so
    absence is left open.
    """
    for file in sorted((root / "Annotations").glob("*.xml")):
        text = file.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            yield Reject(str(file), file.stem, "bad-xml", "declares entities, which VOC never does")
            continue
        try:
            yield from _sample(ElementTree.fromstring(text), file, images or root / "JPEGImages")
        except (ElementTree.ParseError, ValueError) as error:
            yield Reject(str(file), file.stem, "bad-xml", str(error))


def _sample(tree: ElementTree.Element, file: Path, images: Path) -> Iterator[Sample | Reject]:
    name = tree.findtext("filename") or f"{file.stem}.jpg"
    data = read_image(images, name, where=str(file), key=file.stem)
    if isinstance(data, Reject):
        yield data
        return
    width, height = (float(tree.findtext(f"size/{side}") or 0) for side in ("width", "height"))
    if min(width, height) <= 0:
        raise ValueError("no size of the image")
    objects = []
    for entry in tree.iter("object"):
        label = (entry.findtext("name") or "").strip().lower()
        box = _box(entry, width, height)
        if not label or box is None:
            yield Reject(str(file), file.stem, "bad-box", f"{label!r} has no box in the image")
        else:
            objects.append(SceneObject(label=label, box=box))
    evidence = Evidence(objects=tuple(objects))
    yield Sample(file.stem, (data,), (user(ImagePart()),), {"image": name, **evidence.to_meta()})


def _box(entry: ElementTree.Element, width: float, height: float) -> Box | None:
    """The unit box; VOC counts pixels from 1, its xmin and ymin being the first inside."""
    x0, y0, x1, y1 = (
        float(entry.findtext(f"bndbox/{side}") or "nan") for side in ("xmin", "ymin", "xmax", "ymax")
    )
    box = (x0 - 1) / width, (y0 - 1) / height, x1 / width, y1 / height
    box = tuple(min(max(side, 0.0), 1.0) for side in box)
    return box if box[0] < box[2] and box[1] < box[3] else None
