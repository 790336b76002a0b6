"""The real receipts where VILA2_REALDATA has them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from vila2.data.evidence import Evidence, WrittenText

ROOT = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[4] / "shared" / "realdata"))


@pytest.fixture(scope="session")
def receipts() -> Path:
    """The folder of 100 scanned receipts."""
    if not (ROOT / "sroie100").is_dir():
        pytest.skip("no sroie100 in VILA2_REALDATA")
    return ROOT / "sroie100"


def picture(size: tuple[int, int] = (8, 8)) -> bytes:
    """A small PNG."""
    file = io.BytesIO()
    Image.new("RGB", size, (200, 90, 40)).save(file, "PNG")
    return file.getvalue()


def text(
    said: str, x: float, y: float, width: float = 0.2, height: float = 0.05, kind: str = "", on: str = ""
):
    """A text with an upright box."""
    outline = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return WrittenText(text=said, outline=outline, kind=kind, on=on)


def page(*texts: WrittenText, all_texts: bool = True, **fields: str) -> Evidence:
    """Evidence of a document."""
    return Evidence(texts=texts, all_texts=all_texts, fields=fields)
