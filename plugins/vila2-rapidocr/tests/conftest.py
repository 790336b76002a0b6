"""Drawn receipts always, and the real ones where VILA2_REALDATA has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vila2.data.shards import ShardDataset, write_dataset
from vila2.sources import open_source

ROOT = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> ShardDataset:
    """Three drawn receipts, with all their text as evidence."""
    folder = tmp_path_factory.mktemp("rapidocr") / "drawn"
    write_dataset(folder, open_source("documents", kinds=["receipt"], count=3), name="drawn")
    return ShardDataset.open(folder)


@pytest.fixture(scope="session")
def receipts() -> Path:
    """The file of 100 scanned receipts."""
    file = ROOT / "sroie100" / "sroie100.jsonl"
    if not file.is_file():
        pytest.skip("no sroie100 in VILA2_REALDATA")
    return file
