"""Small images and GRIT's forms; real data where VILA2_REALDATA has it."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vila2_grounding.builder import GroundingBuilder, GroundingConfig

#: A real row's shape: spans out of order, two boxes on one span, expressions that nest.
ROW = {
    "key": "000000012",
    "id": 7,
    "url": "https://example.org/a.jpg",
    "caption": "  a brown dog and two cats on a wall  ",
    "width": 40,
    "height": 30,
    "noun_chunks": [
        [18, 26, 0.6, 0.1, 0.8, 0.4, 0.9],
        [2, 13, 0.1, 0.2, 0.3, 0.5, 0.8],
        [18, 26, 0.3, 0.1, 0.5, 0.4, 0.7],
    ],
    "ref_exps": [[2, 36, 0.1, 0.2, 0.3, 0.5, 0.8], [18, 36, 0.6, 0.1, 0.8, 0.4, 0.9]],
}


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data."""
    root = Path(os.environ.get("VILA2_REALDATA", ""))
    if not os.environ.get("VILA2_REALDATA") or not (root / "flickr8k").is_dir():
        pytest.skip("VILA2_REALDATA names no folder with flickr8k")
    return root


@pytest.fixture
def build() -> Callable[..., tuple[list, list]]:
    """Builds data: samples and rejects."""

    def everything(path: Path, **settings: Any) -> tuple[list, list]:
        builder = GroundingBuilder(GroundingConfig(data=path, **settings))
        items = [item for shard in builder.shards() for item in builder.build(shard)]
        return [one for one in items if hasattr(one, "turns")], [
            one for one in items if hasattr(one, "reason")
        ]

    return everything


def picture(width: int = 40, height: int = 30) -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def row_file(folder: Path, *rows: dict, name: str = "rows.jsonl") -> Path:
    """Rows as JSON lines with their images beside them."""
    for row in rows:
        (folder / f"{row['key']}.jpg").write_bytes(picture(row["width"], row["height"]))
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tar_file(path: Path, row: dict, image: bytes) -> Path:
    """A tar as img2dataset writes it."""
    with tarfile.open(path, "w") as tar:
        members = {"jpg": image, "txt": row["caption"].encode(), "json": json.dumps(row).encode()}
        for suffix, data in members.items():
            info = tarfile.TarInfo(f"{row['key']}.{suffix}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path
