"""Decoding of image files: formats, rotation, transparency, and every kind of damage."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from vila2.data import images
from vila2.data.images import decode_image, image_extension
from vila2.errors import DataError


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


GRADIENT = Image.fromarray(np.arange(16 * 8 * 3, dtype=np.uint8).reshape(8, 16, 3))


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tif")],
)
def test_known_formats_are_recognized_and_decoded(kind, extension):
    data = encoded(GRADIENT, kind)
    assert image_extension(data) == extension
    image = decode_image(data, where="here")
    assert (image.mode, image.size) == ("RGB", (16, 8))


def test_camera_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert decode_image(encoded(GRADIENT, "JPEG", exif=exif), where="here").size == (8, 16)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(mode):
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0)).convert(mode if mode != "P" else "RGBA")
    options = {}
    if mode == "P":
        image, options = Image.new("P", (4, 4), 0), {"transparency": 0}
    assert decode_image(encoded(image, "PNG", **options), where="here").getpixel((1, 1)) == (255, 255, 255)


def test_sixteen_bit_grays_are_scaled_not_clipped():
    image = Image.fromarray(np.full((4, 4), 0x8000, dtype=np.uint16))
    assert decode_image(encoded(image, "PNG"), where="here").getpixel((0, 0)) == (128, 128, 128)


def test_cmyk_jpeg_becomes_rgb():
    assert decode_image(encoded(Image.new("CMYK", (4, 4)), "JPEG"), where="here").mode == "RGB"


@given(st.integers(0, 400), st.sampled_from(["JPEG", "PNG"]))
def test_a_file_cut_anywhere_is_named(length, kind):
    data = encoded(GRADIENT, kind)
    cut = data[: min(length, len(data) // 2)]
    with pytest.raises(DataError, match="photos/7"):
        decode_image(cut, where="photos/7")


@given(st.binary(max_size=64))
def test_bytes_that_are_no_image_are_named(data):
    with pytest.raises(DataError, match="photos/7"):
        decode_image(data, where="photos/7")


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(DataError, match="128 pixels"):
        decode_image(encoded(GRADIENT, "PNG"), where="here")


def test_unknown_bytes_have_no_extension():
    with pytest.raises(DataError, match="an empty file"):
        image_extension(b"")
    with pytest.raises(DataError, match="instead of an image"):
        image_extension(b"<html>")
