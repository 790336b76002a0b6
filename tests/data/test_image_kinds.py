"""Image formats: which are opened, how deep grays become 8 bits, and how other bytes are described."""

from __future__ import annotations

import base64
import importlib.util
import io
import struct

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from vila2.data.images import (
    UnknownFormat,
    check_image,
    decode_image,
    image_data_uri,
    image_extension,
    image_size,
)
from vila2.errors import DataError


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def shown(values: np.ndarray, kind: str = "TIFF") -> list[int]:
    """The grays that an image of these values is decoded to, along its first row."""
    image = decode_image(encoded(Image.fromarray(values), kind), where="here")
    return np.asarray(image)[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("values", "dtype", "grays"),
    [
        ([0, 257, 32896, 65535], np.uint16, [0, 1, 128, 255]),
        ([0, 1024, 2048, 4095], np.uint16, [0, 64, 128, 255]),  # 12 bits in 16, as microscopes write them
        ([0, 9, 100, 255], np.uint16, [0, 9, 100, 255]),
        ([0.0, 0.25, 0.5, 1.0], np.float32, [0, 64, 128, 255]),
        ([0.0, 2.0, 128.0, 255.0], np.float32, [0, 2, 128, 255]),
        ([-1.0, 0.0, np.nan, 1.0], np.float32, [0, 128, 0, 255]),
        ([0.0, 500.0, np.inf, 1000.0], np.float32, [0, 128, 0, 255]),
        ([0, 9, 100, 255], np.int32, [0, 9, 100, 255]),
        ([-100, 0, 50, 100], np.int32, [0, 128, 191, 255]),
        ([0, 10**6, 2 * 10**6, 10**6], np.int32, [0, 128, 255, 128]),
    ],
)
def test_deep_grays_are_scaled_by_their_range(values, dtype, grays):
    assert shown(np.tile(np.array(values, dtype), (3, 1))) == grays


def test_sixteen_bits_of_a_png_are_scaled_alike():
    assert shown(np.tile(np.array([0, 32896, 65535], np.uint16), (2, 1)), "PNG") == [0, 128, 255]


def tiff(pixels: bytes, bits: int, photometric: int = 1) -> bytes:
    """A TIFF of four grays in a row."""
    tags = [(256, 4), (257, 1), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, 1)]
    tags.append((279, len(pixels)))
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory


def test_twelve_bits_that_the_file_states():
    values = [0, 512, 1024, 255]  # packed, no value of which needs more than 11
    packed = int("".join(f"{value:012b}" for value in values), 2).to_bytes(6, "big")
    grays = np.asarray(decode_image(tiff(packed, 12), where="here"))[0, :, 0].tolist()
    assert grays == [0, 32, 64, 16]


@pytest.mark.parametrize("bits", [8, 16])
def test_a_negative_becomes_a_positive(bits):
    values = np.array([0, 64, 128, 255]) * (257 if bits == 16 else 1)
    data = tiff(values.astype(f"<u{bits // 8}").tobytes(), bits, photometric=0)
    assert np.asarray(decode_image(data, where="here"))[0, :, 0].tolist() == [255, 191, 127, 0]


def test_print_colors_and_pictures_of_two_lenses():
    ink = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")  # Adobe's, which is stored inverted
    assert decode_image(ink, where="here").getpixel((0, 0)) == (255, 0, 0)
    pair = [Image.new("RGB", (8, 8), color) for color in ((200, 0, 0), (0, 200, 0))]
    data = encoded(pair[0], "MPO", save_all=True, append_images=pair[1:])
    assert decode_image(data, where="here").getpixel((0, 0)) == (200, 0, 0)


@given(st.integers(2, 65535), st.integers(1, 8))
def test_a_ramp_stays_a_ramp(largest, rows):
    values = np.tile(np.linspace(0, largest, 9).astype(np.uint16), (rows, 1))
    grays = shown(values)
    assert grays == sorted(grays) and grays[0] == 0
    assert grays[-1] >= 2, "never black altogether"


def test_damaged_exif_spoils_no_picture():
    data = encoded(Image.new("RGB", (8, 4), (9, 9, 9)), "JPEG")
    broken = b"Exif\0\0II*\0\xff\xff\xff\xff"
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken + data[2:]
    assert decode_image(data, where="here").size == image_size(data, where="here") == (8, 4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_turn_of_a_camera_is_undone(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    ramp = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    data = encoded(ramp, "PNG", exif=exif)
    image = decode_image(data, where="here")
    assert image.tobytes() == ImageOps.exif_transpose(Image.open(io.BytesIO(data))).tobytes()
    assert image.size == image_size(data, where="here")


def test_of_an_animation_the_first_picture_is_taken():
    frames = [Image.new("RGB", (4, 4), color) for color in ((250, 0, 0), (0, 250, 0))]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode_image(data, where="here").getpixel((0, 0)) == (250, 0, 0)


def test_postscript_called_jpg_starts_no_ghostscript(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    script = tmp_path / "gs"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    page = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(UnknownFormat, match="a PostScript file, which is not read"):
        decode_image(page, where="a.jpg")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"  <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"%PDF-1.7", "a PDF file"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"<svg xmlns=", "an SVG drawing"),
        (b'{"error": 404}', "JSON"),
        (bytes(100), "nothing but zeros"),
        (b"what is this", "bytes that start with"),
    ],
)
def test_bytes_that_are_no_image_are_called_by_their_name(data, name):
    for read in (lambda: decode_image(data, where="a.jpg"), lambda: image_extension(data)):
        with pytest.raises(DataError, match=name):
            read()


@pytest.mark.parametrize(
    ("start", "package"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow_heif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "pillow_heif"),
        (b"\xff\x0a\x7f", "pillow_jxl"),
    ],
)
def test_a_format_that_needs_a_package_names_it(start, package):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(UnknownFormat, match=package.replace("_", "-")):
        decode_image(start + bytes(64), where="a.jpg")


@pytest.mark.parametrize(
    ("kind", "shown_as"),
    [
        ("JPEG", "jpeg"),
        ("WEBP", "webp"),
        ("AVIF", "avif"),
        ("TIFF", "png"),
        ("JPEG2000", "png"),
        ("PPM", "png"),
    ],
)
def test_a_page_gets_what_browsers_show(kind, shown_as):
    head, _, content = image_data_uri(encoded(Image.new("RGB", (8, 8), (9, 9, 9)), kind)).partition(",")
    assert head == f"data:image/{shown_as};base64"
    assert image_extension(base64.b64decode(content)) == shown_as.replace("jpeg", "jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "JPEG2000", "ICO", "PPM"])
def test_a_check_finds_what_decoding_would(kind):
    noise = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    check_image(data, where="here")
    assert decode_image(data, where="here").mode == "RGB"
    with pytest.raises(DataError, match="photos/7"):
        check_image(data[: len(data) // 2], where="photos/7")
