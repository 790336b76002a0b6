"""The replacement of a finished dataset: it is written beside it, and takes its place when it is complete."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from vila2.data.atomic import sync_folder

#: Stands in a dataset's folder while it is being written.
UNFINISHED = ".unfinished"
#: Folder, in that of a finished dataset, where its replacement is written.
BESIDE = ".replacement"
#: Kinds of files that an import writes among the shards.
SHARD_FILES = (".tar", ".index", ".partial")


def settle_replacement(folder: Path) -> bool:
    """Puts a complete replacement into its place, and removes an incomplete one.

    Killed at any moment, the next call goes on: dataset.json of the replacement is moved last. A dataset that
    has got layers meanwhile is not replaced.

    Args:
        folder: folder of the dataset, which no other process writes.

    Returns:
        Whether there was a complete one.
    """
    beside, shards = folder / BESIDE, folder / "shards"
    names = [] if has_layers(folder) else _complete(folder)
    if names:
        (folder / UNFINISHED).touch()
        (folder / "dataset.json").unlink(missing_ok=True)
        shards.mkdir(exist_ok=True)
        for path in sorted((beside / "shards").glob("*")):
            os.replace(path, shards / path.name)
        new = {Path(name).stem for name in names}
        for path in shards.iterdir():
            if path.suffix in SHARD_FILES and path.stem not in new:
                path.unlink()
        if (beside / "rejected.jsonl").exists():
            os.replace(beside / "rejected.jsonl", folder / "rejected.jsonl")
        sync_folder(shards)
        os.replace(beside / "dataset.json", folder / "dataset.json")
        sync_folder(folder)
        (folder / UNFINISHED).unlink(missing_ok=True)
    discard_replacement(folder)
    return bool(names)


def discard_replacement(folder: Path) -> None:
    """Removes a replacement; dataset.json first, so that no half-removed one looks complete."""
    (folder / BESIDE / "dataset.json").unlink(missing_ok=True)
    shutil.rmtree(folder / BESIDE, ignore_errors=True)


def _complete(folder: Path) -> list[str]:
    """The names of a replacement's shards, if each is there, moved already or not; none otherwise."""
    beside = folder / BESIDE
    try:
        shards = json.loads((beside / "dataset.json").read_bytes())["shards"]
        found = [
            any(
                (place / "shards" / shard["name"]).is_file()
                and (place / "shards" / shard["name"]).stat().st_size == shard["bytes"]
                for place in (beside, folder)
            )
            for shard in shards
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [shard["name"] for shard in shards] if all(found) else []


def has_layers(folder: Path) -> bool:
    """Whether layers about a dataset's images are there or being written."""
    return any(layer.is_dir() and any(layer.iterdir()) for layer in (folder / "layers").glob("*"))
