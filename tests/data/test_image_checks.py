"""The check of an import computes few pixels of a JPEG, and refuses exactly what decoding refuses."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from vila2.data.images import check_image, decode_image
from vila2.errors import DataError


def made(size: tuple[int, int], mode: str = "RGB", kind: str = "JPEG", **options: object) -> bytes:
    random = numpy.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=numpy.uint8))
    file = io.BytesIO()
    coarse.resize(size).convert(mode).save(file, kind, **options)
    return file.getvalue()


FILES = {
    "baseline": made((64, 48)),
    "all colors": made((50, 37), subsampling=0),
    "progressive": made((64, 48), progressive=True),
    "gray": made((64, 48), "L"),
    "cmyk": made((40, 40), "CMYK"),
    "restarts": made((64, 48), restart_marker_blocks=2),
    "one pixel": made((1, 1)),
    "png": made((20, 10), kind="PNG"),
    "lab": made((20, 10), "LAB", kind="TIFF"),
}


def complaint(read: Callable[..., object], data: bytes) -> str:
    try:
        read(data, where="photo")
    except DataError as error:
        return error.what
    return ""


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_anywhere_is_refused_alike(name: str) -> None:
    data = FILES[name]
    for end in range(len(data) + 1):
        assert complaint(check_image, data[:end]) == complaint(decode_image, data[:end]), end


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=5),
    st.integers(0, 30),
)
def test_a_damaged_file_is_refused_alike(name: str, wrong: list[tuple[float, int]], lost: int) -> None:
    data = bytearray(FILES[name])
    for place, value in wrong:
        data[int(place * len(data))] = value
    start = int(wrong[0][0] * len(data))
    del data[start + 1 : start + 1 + lost]
    assert bool(complaint(check_image, bytes(data))) == bool(complaint(decode_image, bytes(data)))
