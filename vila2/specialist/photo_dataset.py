"""A folder of photos as a dataset, so that layers about them can be written, merged and trained on."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from vila2.data.atomic import write_json_atomic
from vila2.data.images import is_image_name
from vila2.data.importing import write_dataset
from vila2.data.shards import ShardDataset
from vila2.errors import DataError
from vila2.progress import Progress
from vila2.sources import open_source

#: File in the dataset's folder that tells which photos it was made of.
_MADE_OF = "photos.json"


def dataset_of_photos(folder: Path, out: Path | None, progress: Progress) -> ShardDataset:
    """Copies the photos below a folder into a dataset, once; texts beside them become the original text.

    Photos that cannot be read are listed in ``OUT/rejected.jsonl``.

    Args:
        folder: folder of the photos.
        out: folder of the dataset; by default in the current folder, ``PHOTOS-dataset``.
        progress: what the copying reports to.

    Raises:
        DataError: there is no such folder, it holds no photo, or ``out`` holds another dataset.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder", hint="give a folder of photos, a dataset, or a run")
    out = out or Path(f"{folder.resolve().name}-dataset")
    if out.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{out} lies among the photos", hint="give an --out outside of their folder")
    made_of = {"photos": _listing_digest(folder)}
    if (out / "dataset.json").exists():
        if _read(out / _MADE_OF) != made_of:
            raise DataError(
                f"{out}: a dataset is there already, and not of these photos as they are now",
                hint="give another --out, or delete that folder",
            )
        return ShardDataset.open(out)
    with progress.task(f"import {folder.name}") as task:
        samples = open_source("folder", path=folder, require_text=False)
        write_dataset(out, samples, name=out.resolve().name, progress=task, replace=False)
    write_json_atomic(out / _MADE_OF, made_of)
    return ShardDataset.open(out)


def _listing_digest(folder: Path) -> str:
    """A digest of the names and sizes of all photos below a folder."""
    found = []
    for place, _, names in os.walk(folder, followlinks=True):
        paths = [Path(place, name) for name in names if is_image_name(name)]
        found += [f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}" for path in paths]
    return hashlib.sha256("\n".join(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
