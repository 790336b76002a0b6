"""Omni3D's JSON (also LV3D's in that form): COCO-like, metres, the frame used everywhere here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from vila2.data.evidence import SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError

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


class Omni3D(KeyedReader):
    """A JSON file, or a folder of such files; ``file_path`` is looked for from the file's folder upwards."""

    @staticmethod
    def fits(path: Path) -> bool:
        file = next(iter(_files(path)), None)
        if file is None:
            return False
        with file.open("rb") as handle:
            head = handle.read(1)
        # Omni3D is one object with "annotations"; a JSONL file has another ending.
        return head == b"{"

    @cached_property
    def _images(self) -> dict[str, tuple[Path, str, dict[str, Any], list[dict[str, Any]]]]:
        images = {}
        for file in _files(self.path):
            content = _load(file)
            names = {one["id"]: one["name"] for one in content.get("categories", ())}
            own = defaultdict(list)
            for one in content["annotations"]:
                own[one["image_id"]].append({"category_name": names.get(one.get("category_id")), **one})
            source = str(content.get("info", {}).get("name", file.stem))
            for image in content["images"]:
                images[f"{file.stem}-{image['id']}"] = (file, source, image, own[image["id"]])
        return images

    def keys(self) -> Sequence[str]:
        return list(self._images)

    def scene(self, key: str) -> Sample | Reject:
        file, source, image, annotations = self._images[key]
        where = f"{file}#{image['id']}"
        loaded = load_image(_image_file(file, image["file_path"]), key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        if (width, height) != (image["width"], image["height"]):
            detail = f"the file has {width}x{height} pixels, the labels {image['width']}x{image['height']}"
            return Reject(where, key, "wrong-size", detail)
        if image.get("src_flagged"):
            return Reject(where, key, "unsure-orientation", "Omni3D flags the image's sky direction")
        objects = [scene_object(one, width, height) for one in annotations]
        domain = domain_of_dataset(source)
        seen_by = camera(image["K"], width, height)
        return sample_of(
            key, data, objects, seen_by, dataset=source, domain=domain, image_name=image["file_path"]
        )


def scene_object(one: Mapping[str, Any], width: int, height: int) -> SceneObject:
    """An annotation in Omni3D's fields; what it gives as -1, or calls invalid, is unknown."""
    solid = None
    if one.get("valid3D", True) and all(size > 0 for size in one["dimensions"]):
        solid = box3d(one["center_cam"], one["dimensions"], one["R_cam"])
    boxes = (one.get(name) for name in ("bbox2D_tight", "bbox2D_trunc"))
    known = next((box for box in boxes if box and box[0] != -1), None)
    return SceneObject(
        label=plain_label(str(one["category_name"])),
        box=unit_box(known, width, height) if known else None,
        solid=solid,
        truncation=_share(one.get("truncation")),
        # What no laser point and no pixel of the segmentation shows is hidden, whatever else is written.
        visibility=0.0
        if 0 in (one.get("lidar_pts"), one.get("segmentation_pts"))
        else _share(one.get("visibility")),
    )


def _share(value: float | None) -> float | None:
    return float(value) if value is not None and value >= 0 else None


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".json" else []
    return sorted(path.glob("Omni3D*.json")) or sorted(path.glob("LV3D*.json"))


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
        for name in ("images", "annotations"):
            if not isinstance(content[name], list):
                raise TypeError(f"{name} is no list")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}: no Omni3D JSON ({error!r})", mend="see DATA.md of Omni3D") from error
    return content


def _image_file(file: Path, name: str) -> Path | None:
    for folder in list(file.absolute().parents)[:4]:
        for path in (folder / name, folder / "datasets" / name):
            if path.is_file():
                return path
    return None
