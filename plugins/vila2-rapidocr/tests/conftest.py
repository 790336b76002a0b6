"""Drawn receipts always, and 100 scanned ones where VILA2_REALDATA has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from vila2.data.shards import ShardDataset, write_dataset
from vila2.sources import open_source

REAL = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> ShardDataset:
    """Three drawn receipts, with all their text as evidence."""
    folder = tmp_path_factory.mktemp("rapidocr") / "drawn"
    write_dataset(folder, open_source("documents", kinds=["receipt"], count=3), name="drawn")
    return ShardDataset.open(folder)


@pytest.fixture(scope="session")
def scanned(tmp_path_factory) -> ShardDataset:
    """The scanned receipts of SROIE, with their transcripts as evidence."""
    file = REAL / "sroie100" / "sroie100.jsonl"
    if not file.is_file():
        pytest.skip("no sroie100 in VILA2_REALDATA")
    folder = tmp_path_factory.mktemp("rapidocr") / "scanned"
    write_dataset(folder, open_source("evidence", path=str(file)), name="scanned")
    return ShardDataset.open(folder)
