"""Pascal VOC: ``Annotations/*.xml`` beside ``JPEGImages``.

LabelImg's form is known, too: XML files beside their images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from vila2.plugin import (
    Evidence,
    Frame,
    ImagePart,
    Reject,
    Sample,
    SceneObject,
    Size,
    frame_of,
    given_size,
    is_number,
    read_image,
    user,
)

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".JPG", ".JPEG", ".PNG")
_SIDES = ("xmin", "ymin", "xmax", "ymax")

Pixels = tuple[float, float, float, float]


def is_voc(path: Path) -> bool:
    """Whether a folder is laid out like VOC."""
    return _annotations(path) is not None


def _annotations(path: Path) -> Path | None:
    """The folder of the XML files."""
    if next((path / "Annotations").glob("*.xml"), None) is not None:
        return path / "Annotations"
    first = next(path.glob("*.xml"), None)
    if first is None:
        return None
    with first.open("rb") as file:
        return path if b"<annotation>" in file.read(1000).replace(b"\0", b"") else None


def read_voc(root: Path, images: Path | None = None) -> Iterator[Sample | Reject]:
    """One sample per XML file, in order of their names, with the file's objects as evidence.

    Boxes are in pixels. The first pixel is 1, or 0 in a file with a 0 in it. The size is the one that the
    file gives, or else the image's own. Only VOC's own files are known to list every object of their labels,
    so the evidence does not say that an object is absent.
    """
    folder = _annotations(root) or root / "Annotations"
    roots = [images] if images else [root / "JPEGImages", root / "images", folder]
    for file in sorted(folder.glob("*.xml")):
        try:
            text = file.read_bytes()
            if any(mark in text.replace(b"\0", b"") for mark in (b"<!DOCTYPE", b"<!ENTITY")):
                yield Reject(str(file), file.stem, "bad-xml", "declares entities, which VOC never does")
                continue
            tree = ElementTree.fromstring(text)
        except OSError as error:
            yield Reject(str(file), file.stem, "unreadable-file", error.strerror or str(error))
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            yield Reject(str(file), file.stem, "bad-xml", str(error))
        else:
            yield from _sample(tree, file, roots)


def _sample(tree: ElementTree.Element, file: Path, roots: Sequence[Path]) -> Iterator[Sample | Reject]:
    where, key = str(file), file.stem
    if tree.tag != "annotation":
        yield Reject(where, key, "bad-xml", f"<{tree.tag[:40]}> instead of <annotation>")
        return
    root, name = _image(roots, (tree.findtext("filename") or "").strip(), file.stem)
    data = read_image(root, name, where=where, key=key)
    if isinstance(data, Reject):
        yield data
        return
    boxes = [(entry, _pixels(entry)) for entry in tree.iter("object")]
    known = [box for _, box in boxes if not isinstance(box, str)]
    given = given_size({side: tree.findtext(f"size/{side}") for side in ("width", "height")})
    if isinstance(given, str):
        yield Reject(where, key, "bad-size", given)
        return
    frame = frame_of(data, name, given, _reach(known))
    if not isinstance(frame, Frame):
        yield Reject(where, key, *frame)
        return
    first = 0 if any(min(box[:2]) < 1 for box in known) else 1
    objects = []
    for number, (entry, box) in enumerate(boxes):
        made = _object(entry, box, frame, first)
        if isinstance(made, SceneObject):
            objects.append(made)
        else:
            yield Reject(f"{where}: object[{number}]", key, "bad-box", made)
    evidence = Evidence(objects=tuple(objects))
    yield Sample(key, (data,), (user(ImagePart()),), {"image": name, **evidence.to_meta()})


def _image(roots: Sequence[Path], name: str, stem: str) -> tuple[Path, str]:
    """The folder and the name of the image.

    The name is the one in the file, or the XML file's own name, as VOC pairs the two.
    """
    names = [name, *(base + suffix for base in filter(None, (name, stem)) for suffix in _SUFFIXES)]
    for one in filter(None, names):
        for root in roots:
            try:
                if (root / one).is_file():
                    return root, one
            except (OSError, ValueError):  # a name that is far too long or has a NUL
                continue
    return roots[0], name or f"{stem}.jpg"


def _pixels(entry: ElementTree.Element) -> Pixels | str:
    """A box in the file's own numbers, or the fault in it."""
    if entry.find("bndbox") is None:
        return "no bndbox"
    values = []
    for side in _SIDES:
        text = (entry.findtext(f"bndbox/{side}") or "").strip()
        try:
            values.append(float(text))
        except ValueError:
            return f"{side} is {text[:40]!r}"
        if not is_number(values[-1]):
            return f"{side} is {text[:40]!r}"
    return values[0], values[1], values[2], values[3]


def _reach(boxes: Sequence[Pixels]) -> Size | None:
    return (max(box[2] for box in boxes), max(box[3] for box in boxes)) if boxes else None


def _object(entry: ElementTree.Element, box: Pixels | str, frame: Frame, first: int) -> SceneObject | str:
    """The object, or the fault in it.

    VOC's xmin and ymin are the first pixels inside the box, its xmax and ymax the last. ``first`` is the
    number of the image's first pixel.
    """
    label = " ".join((entry.findtext("name") or "").lower().split())
    if not label:
        return "no name"
    if isinstance(box, str):
        return f"{label}: {box}"
    x0, y0, x1, y1 = box
    if max(box) <= 1 and any(value != int(value) for value in box):
        return f"{label}: {list(box)} are parts of the image; VOC has pixels"
    unit = frame.box(x0 - first, y0 - first, x1, y1)
    if unit is None:
        size = f"{frame.width:g}x{frame.height:g}"
        return (
            f"{label}: [{x0:g}, {y0:g}, {x1:g}, {y1:g}] (xmin, ymin, xmax, ymax) has no area in the image "
            f"({size})"
        )
    return SceneObject(label=label, box=unit)
