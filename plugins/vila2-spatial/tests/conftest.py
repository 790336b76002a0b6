"""Real frames where VILA2_REALDATA has them, and scenes of the miniature world."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from vila2.data.shards import write_dataset
from vila2.sources import open_source

ROOT = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data."""
    if not (ROOT / "scenes3d").is_dir():
        pytest.skip("no scenes3d in VILA2_REALDATA")
    return ROOT


@pytest.fixture(scope="session")
def rows(real: Path) -> dict[str, dict]:
    """The real frames' labels in the one frame of reference, by id."""
    lines = (real / "scenes3d" / "scenes3d.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@pytest.fixture(scope="session")
def kitti(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """KITTI object as it is unpacked, with all 13 real images."""
    root = tmp_path_factory.mktemp("kitti")
    for name in ("label_2", "calib"):
        (root / name).symlink_to(real / "kitti_object_format" / name)
    (root / "image_2").mkdir()
    for file in (real / "scenes3d" / "images").glob("kitti_object_*"):
        (root / "image_2" / file.name.removeprefix("kitti_object_")).symlink_to(file)
    return root


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of the miniature world with all that is true of them."""
    folder = tmp_path_factory.mktemp("spatial") / "world"
    write_dataset(folder, open_source("world", split="specialist", count=40), name="world", shard_size=16)
    return folder
