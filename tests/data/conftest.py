"""Small pictures and samples for the tests of the data room."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user


@pytest.fixture(scope="session")
def picture():
    """``picture(n, kind)``: the bytes of a small picture; another for every n."""

    def make(number: int = 0, kind: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        color = (number % 256, number // 256 % 256, 90)
        Image.new("RGB", (8, 6), color).save(buffer, kind)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="session")
def pair(picture):
    """``pair(key, text)``: an image-text pair."""

    def make(key: str, text: str = "a photo", number: int = 0, **meta) -> Sample:
        return Sample(key, (picture(number),), (user(ImagePart()), assistant(text)), meta)

    return make
