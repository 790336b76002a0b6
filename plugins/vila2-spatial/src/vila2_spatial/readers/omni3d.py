"""Omni3D's JSON (also LV3D's in that form): COCO-like, meters, the frame used everywhere here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from vila2.plugin import Box3D, DataError, Reject, Sample, SceneObject

from vila2_spatial.readers.frames import (
    box3d,
    camera,
    domain_of_dataset,
    load_image,
    plain_label,
    sample_of,
    unit_box,
)
from vila2_spatial.readers.keyed import KeyedReader
from vila2_spatial.readers.reading import BadFrame, array, intrinsics, json_of

#: Beginnings of the names of Omni3D's own files: KITTI_train.json, ...
_PUBLISHED = ("KITTI", "nuScenes", "SUNRGBD", "Hypersim", "ARKitScenes", "Objectron")
_DEPTH_ERROR = 0.5  # meters off the measured depth; Omni3D's own limit


class Omni3D(KeyedReader):
    """A JSON file, or a folder of such files; ``file_path`` is looked for from the file's folder upwards."""

    takes_images = True

    @staticmethod
    def fits(path: Path) -> bool:
        file = next(iter(_files(path)), None)
        if file is None:
            return False
        with file.open("rb") as handle:
            head = handle.read(1)
        if head not in (b"{", b"\xef"):
            return False
        # Omni3D is one object with "annotations". The evidence reader takes other objects.
        return path.is_dir() or _is_omni3d(file)

    @cached_property
    def _images(self) -> dict[str, _Entry]:
        images: dict[str, _Entry] = {}
        self._unlisted: list[Reject] = []
        for file in _files(self.path):
            content = _load(file)
            names = _names(content.get("categories"), file)
            own: dict[Any, list[tuple[str, Any]]] = defaultdict(list)
            for number, one in enumerate(content["annotations"]):
                place = f"{file}: annotations[{number}]"
                if isinstance(one, Mapping):
                    named = {"category_name": names.get(_id(one.get("category_id"))), **one}
                    own[_id(one.get("image_id"))].append((place, named))
                else:
                    self._unlisted.append(
                        Reject(place, "", "bad-annotation", f"{repr(one)[:60]} is no object")
                    )
            info = content.get("info")
            source = str(info.get("name", file.stem)) if isinstance(info, Mapping) else file.stem
            for number, image in enumerate(content["images"]):
                place = f"{file}: images[{number}]"
                number_of = _id(image.get("id")) if isinstance(image, Mapping) else None
                key = f"{file.stem}-{number_of}" if number_of is not None else f"{file.stem}#images[{number}]"
                if key in images:
                    what = f"{place} has the id {number_of}, which {images[key].where} has as well"
                    raise DataError(what, hint="give images ids of their own: nobody knows whose a box is")
                images[key] = _Entry(file, place, source, image, own.pop(number_of, []))
            for number_of, strays in own.items():
                detail = f"no image {number_of!r}"[:80]
                self._unlisted += [Reject(place, "", "unknown-image", detail) for place, _ in strays]
        return images

    def keys(self) -> Sequence[str]:
        return list(self._images)

    def lost(self) -> Sequence[Reject]:
        _ = self._images
        return self._unlisted

    def place(self, key: str) -> str:
        return self._images[key].where

    def scene(self, key: str) -> Sample | Reject:
        file, where, source, image, annotations = self._images[key]
        if not isinstance(image, Mapping) or _id(image.get("id")) is None:
            raise BadFrame(where, "bad-annotation", f"{repr(image)[:60]}: no image with an id")
        name = image.get("file_path") or image.get("file_name")
        if not isinstance(name, str):
            raise BadFrame(where, "bad-annotation", f"file_path is {repr(name)[:60]}")
        loaded = load_image(_image_file(file, name, self.images), key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        if (width, height) != (given := (image.get("width"), image.get("height"))):
            detail = f"the file has {width}x{height} pixels, the labels {given[0]}x{given[1]}"
            return Reject(where, key, "wrong-size", detail)
        if image.get("src_flagged"):
            return Reject(where, key, "unsure-orientation", "Omni3D flags the image's sky direction")
        seen_by = camera(intrinsics(array(image.get("K"), (3, 3), where, "K"), where), width, height)
        objects = [scene_object(one, width, height, place) for place, one in annotations]
        domain = domain_of_dataset(source)
        return sample_of(key, data, objects, seen_by, dataset=source, domain=domain, image_name=name)


class _Entry(NamedTuple):
    """An image of a file, its place there, its data set, and its annotations with their places."""

    file: Path
    where: str
    source: str
    image: Any
    annotations: list[tuple[str, Mapping[str, Any]]]


def scene_object(one: Mapping[str, Any], width: int, height: int, where: str) -> SceneObject:
    """An annotation in the fields of Omni3D. A value of -1, or one marked invalid, is unknown.

    Raises:
        BadFrame: a required field is missing or has another form.
    """
    label = one.get("category_name")
    if not isinstance(label, str) or not label.strip():
        raise BadFrame(where, "unknown-category", f"no category {repr(one.get('category_id'))[:40]}")
    boxes = {name: one.get(name) for name in ("bbox2D_tight", "bbox2D_trunc")}
    known = next(((name, box) for name, box in boxes.items() if box and box[0] != -1), None)
    return SceneObject(
        label=plain_label(label),
        box=unit_box(array(known[1], (4,), where, known[0]).tolist(), width, height) if known else None,
        solid=_solid(one, where),
        truncation=_share(one.get("truncation")),
        # A thing with neither laser points nor pixels in the segmentation is hidden, whatever its fields say.
        visibility=0.0
        if 0 in (one.get("lidar_pts"), one.get("segmentation_pts"))
        else _share(one.get("visibility")),
    )


def _solid(one: Mapping[str, Any], where: str) -> Box3D | None:
    """The 3D box; None where it is invalid, unknown, or off the measured depth."""
    error = one.get("depth_error")
    if one.get("valid3D", True) in (False, 0) or (isinstance(error, int | float) and error > _DEPTH_ERROR):
        return None
    dimensions = array(one.get("dimensions"), (3,), where, "dimensions")
    if not (dimensions > 0).all():
        return None
    centre, turn = (array(one.get(n), s, where, n) for n, s in (("center_cam", (3,)), ("R_cam", (3, 3))))
    return box3d(centre, dimensions, turn)


def _names(categories: Any, file: Path) -> dict[Any, str]:
    """Names of categories by id.

    Raises:
        DataError: one id has two names.
    """
    names: dict[Any, str] = {}
    for number, one in enumerate(categories if isinstance(categories, list) else ()):
        if not isinstance(one, Mapping) or _id(one.get("id")) is None:
            raise DataError(f"{file}: categories[{number}] is {repr(one)[:60]}", hint="see DATA.md of Omni3D")
        if names.setdefault(_id(one["id"]), str(one.get("name"))) != str(one.get("name")):
            what = f"{file}: categories[{number}] has the id of another one, {one['id']}"
            raise DataError(what, hint="give categories ids of their own")
    return names


def _id(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _share(value: Any) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if known else None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".json" else []
    named = (f"{name}_*.json" for name in _PUBLISHED)
    found = (sorted(path.glob(form)) for form in ("Omni3D*.json", "LV3D*.json"))
    return next(filter(None, found), []) or sorted(file for form in named for file in path.glob(form))


def _is_omni3d(file: Path) -> bool:
    """Whether a JSON file has Omni3D's solids; other objects are read as evidence."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    annotations = content.get("annotations") if isinstance(content, Mapping) else None
    return isinstance(annotations, list) and any(
        isinstance(one, Mapping) and "center_cam" in one for one in annotations
    )


def _load(file: Path) -> dict[str, Any]:
    content = json_of(file, "fetch the file again")
    for name in ("images", "annotations"):
        if not isinstance(content, Mapping) or not isinstance(content.get(name), list):
            raise DataError(f"{file}: no Omni3D JSON, no list of {name}", hint="see DATA.md of Omni3D")
    return dict(content)


def _image_file(file: Path, name: str, images: Path | None) -> Path | None:
    folders = [images] if images else list(file.absolute().parents)[:4]
    for folder in folders:
        for path in (folder / name, folder / "datasets" / name):
            if path.is_file():
                return path
    return None
