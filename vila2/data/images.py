"""Image bytes: recognising a format, and decoding to RGB pixels."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from vila2.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)

#: File name extensions that are read as images.
IMAGE_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"})

_ORIENTATION = 0x0112  # the EXIF tag
_QUARTER_TURNS = (5, 6, 7, 8)
_PNG_ROTATIONS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")

#: More pixels than this in one image is taken for a decompression bomb.
MAX_PIXELS = 100_000_000


def image_extension(data: bytes) -> str:
    """The file name extension that fits the bytes, from their signature.

    Args:
        data: an encoded image file.

    Returns:
        "jpg", "png", "webp", "gif", "bmp" or "tif".

    Raises:
        DataError: the bytes are no image file of a known kind.
    """
    for signature, extension in _SIGNATURES:
        if data.startswith(signature):
            return extension
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    what = "an empty file" if not data else f"bytes that start with {data[:8]!r}"
    raise DataError(
        f"{what} instead of an image",
        mend="use JPEG, PNG, WebP, GIF, BMP or TIFF",
    )


def decode_image(data: bytes, *, where: str) -> Image.Image:
    """Decodes an image file completely.

    The camera's rotation (EXIF) is applied, transparency is put on white, 16-bit greys are scaled to 8 bits.

    Args:
        data: an encoded image file.
        where: file or key, for the error.

    Returns:
        An RGB image.

    Raises:
        DataError: the bytes are no image, are cut off or corrupt, or hold more than :data:`MAX_PIXELS`.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        pixels = image.width * image.height
        if pixels <= MAX_PIXELS:
            image.load()
            return _to_rgb(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = None
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        # An address in memory would make two reports of one file differ.
        reason = re.sub(r" ?<_io.BytesIO object at 0x[0-9a-f]+>", "", str(error)) or type(error).__name__
        raise DataError(
            f"{where}: the image can not be decoded ({reason})",
            mend="replace the file by an intact one, or leave this sample out",
        ) from error
    raise DataError(
        f"{where}: the image has {pixels or 'far too many'} pixels, more than {MAX_PIXELS}",
        mend="scale the image down before importing it",
    )


def image_size(data: bytes, *, where: str) -> tuple[int, int]:
    """Width and height in pixels that :func:`decode_image` will give, read from the head of the file alone.

    Args:
        data: an encoded image file.
        where: file or key, for the error.

    Raises:
        DataError: the bytes are no image.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        # To look for a rotation in a PNG, Pillow decodes all of it.
        plain = image.format == "PNG" and not any(mark in data for mark in _PNG_ROTATIONS)
        turned = not plain and image.getexif().get(_ORIENTATION) in _QUARTER_TURNS
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise DataError(
            f"{where}: the size of the image can not be read ({type(error).__name__})",
            mend="replace the file by an intact one, or leave this sample out",
        ) from error
    return (image.height, image.width) if turned else (image.width, image.height)


def _to_rgb(image: Image.Image) -> Image.Image:
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # Pillow would clip 16-bit greys to white instead of scaling them
        import numpy

        values = numpy.asarray(image).astype(numpy.int64)
        if image.mode != "I" or values.max(initial=0) > 255:
            values = values >> 8
        image = Image.fromarray(values.clip(0, 255).astype(numpy.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layered)
    return image if image.mode == "RGB" else image.convert("RGB")
