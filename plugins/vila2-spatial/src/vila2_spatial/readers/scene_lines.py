"""One JSON object per line and image: the fields of Omni3D under ``boxes``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from vila2.data.evidence import SceneObject
from vila2.data.sample import Sample
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2_spatial.readers.frames import box3d, camera, load_image, plain_label, sample_of, unit_box
from vila2_spatial.readers.kitti import OCCLUSION

_OUTDOOR = ("kitti", "nuscenes")


class SceneLines:
    """A JSONL file of scenes, or a folder with one."""

    def __init__(self, path: Path) -> None:
        self.path = path if path.is_file() else sorted(path.glob("*.jsonl"))[0]

    @staticmethod
    def fits(path: Path) -> bool:
        files = [path] if path.suffix == ".jsonl" else sorted(path.glob("*.jsonl")) if path.is_dir() else []
        if not files or not files[0].is_file():
            return False
        with files[0].open(encoding="utf-8") as file:
            first = file.readline()
        return '"boxes"' in first and '"center_cam"' in first

    @cached_property
    def _rows(self) -> dict[str, tuple[int, dict[str, Any]]]:
        rows: dict[str, tuple[int, dict[str, Any]]] = {}
        with self.path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = json.loads(line)
                    key = str(row["id"])
                except (ValueError, KeyError, TypeError) as error:
                    raise DataError(f"{self.path}:{number}: no scene ({error!r})", mend="mend the line") from error
                if key in rows:
                    raise DataError(f"{self.path}:{number}: id {key!r} stands in line {rows[key][0]} too")
                rows[key] = number, row
        return rows

    def keys(self) -> Sequence[str]:
        return list(self._rows)

    def scene(self, key: str) -> Sample | Reject:
        number, row = self._rows[key]
        where = f"{self.path}:{number}"
        loaded = load_image(self.path.parent / row["image"], key, where)
        if isinstance(loaded, Reject):
            return loaded
        data, (width, height) = loaded
        if (width, height) != (row["width"], row["height"]):
            detail = f"the file has {width}x{height} pixels, the labels {row['width']}x{row['height']}"
            return Reject(where, key, "wrong-size", detail)
        objects = [_object(one, width, height) for one in row["boxes"]]
        dataset = str(row.get("dataset", self.path.stem))
        domain = row.get("domain") or ("outdoor" if dataset.lower().startswith(_OUTDOOR) else "indoor")
        return sample_of(key, data, objects, camera(row["K"], width, height), dataset=dataset, domain=domain)


def _object(one: dict[str, Any], width: int, height: int) -> SceneObject:
    known = one.get("bbox2D_gt")
    return SceneObject(
        label=plain_label(one["category"]),
        box=unit_box(known, width, height) if known else None,
        solid=box3d(one["center_cam"], one["dimensions"], one["R_cam"]),
        truncation=one.get("truncation"),
        visibility=one["visibility"] if one.get("visibility") is not None else OCCLUSION.get(one.get("occlusion")),
    )
