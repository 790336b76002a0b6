"""Images for tests."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def picture(width: int, height: int, kind: str = "JPEG", left: tuple[int, int, int] = (250, 0, 0)) -> bytes:
    """An image whose left quarter has another color than the rest."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 4] = left
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()
