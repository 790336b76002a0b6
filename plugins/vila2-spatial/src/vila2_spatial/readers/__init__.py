"""Readers: data sets with 3D boxes, each in its native layout, as samples with evidence.

A reader gives the names of its pieces in order, and the scenes of each piece. :func:`open_scenes` finds the
reader that fits a path. The sample of a scene carries its evidence, ``meta["dataset"]``, ``meta["image"]``
and, where it is known, ``meta["domain"]``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from vila2.plugin import DataError, check_image_root

if TYPE_CHECKING:
    from vila2.plugin import Reject, Sample


class SceneReader(Protocol):
    """Scenes of one data set.

    ``fits`` tells whether a path looks like the data set, without reading much. ``takes_images`` tells
    whether its images may lie in a folder of their own.
    """

    takes_images: ClassVar[bool]

    def __init__(self, path: Path, images: Path | None = None) -> None: ...

    @staticmethod
    def fits(path: Path) -> bool: ...

    def pieces(self) -> Sequence[str]: ...

    def scenes(self, piece: str) -> Iterator[Sample | Reject]: ...


#: Readers in the order of the attempts.
FORMATS: dict[str, str] = {
    "vila2": "vila2_spatial.readers.dataset:Dataset",
    "omni3d": "vila2_spatial.readers.omni3d:Omni3D",
    "kitti": "vila2_spatial.readers.kitti:KittiObject",
    "kitti-raw": "vila2_spatial.readers.kitti_raw:KittiRaw",
    "nuscenes": "vila2_spatial.readers.nuscenes:NuScenes",
    "sunrgbd": "vila2_spatial.readers.sunrgbd:SunRgbd",
    "arkitscenes": "vila2_spatial.readers.arkitscenes:ArkitScenes",
    "hypersim": "vila2_spatial.readers.hypersim:Hypersim",
    "objectron": "vila2_spatial.readers.objectron:Objectron",
    "evidence": "vila2_spatial.readers.evidence:UserEvidence",
}


def open_scenes(path: Path, form: str | None = None, images: Path | None = None) -> SceneReader:
    """The reader for a file or folder.

    Args:
        path: place of the data.
        form: one of :data:`FORMATS`; None finds the one that fits.
        images: folder of the images, where they do not lie beside the annotations.

    Raises:
        DataError: the path does not exist, the format is unknown, no format fits, or the folder of images
            does not exist or has no use in the format.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder", hint="check the path")
    if form is not None and form not in FORMATS:
        raise DataError(f"unknown format {form!r}", hint=f"use one of {', '.join(FORMATS)}")
    for name in [form] if form else FORMATS:
        module, _, kind = FORMATS[name].partition(":")
        reader: type[SceneReader] = getattr(importlib.import_module(module), kind)
        if form or reader.fits(path):
            if images is not None:
                check_image_root(images)
                if not reader.takes_images:
                    hint = "leave image_root out: its images lie in its own folders"
                    raise DataError(
                        f"{path}: image_root has no use for data of the format {name!r}", hint=hint
                    )
            return reader(path, images)
    raise DataError(
        f"{path}: no data set with 3D boxes that this plugin knows",
        hint=f"it reads {', '.join(FORMATS)}; their layouts are in the README",
    )
