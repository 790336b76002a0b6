"""Recognizes the format of image bytes and decodes them to RGB pixels."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from vila2.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_Loaded = TypeVar("_Loaded")

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "j2k"),
    (b"\xff\x0a", "jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\x00\x00\x01\x00", "ico"),
)
_BRANDS = {  # of a file that starts with an "ftyp" box
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "heic"),
}
_SHOWN_BY_BROWSERS = {name: name for name in ("png", "webp", "gif", "bmp", "avif")} | {"jpg": "jpeg"}

#: File name extensions that are read as images.
IMAGE_EXTENSIONS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "png", "apng", "webp", "gif", "bmp", "dib", "tif", "tiff"}
    | {"avif", "heic", "heif", "hif", "jxl", "jp2", "j2k", "jpf", "jpx", "ico", "ppm", "pgm", "pbm", "pnm"}
)
#: File name extensions of images that cannot be read; such a file is reported, not skipped silently.
OTHER_IMAGE_EXTENSIONS = frozenset(
    {"svg", "psd", "tga", "exr", "hdr", "pcx", "eps", "ai", "xcf"}
    | {"raw", "dng", "cr2", "cr3", "crw", "nef", "arw", "orf", "raf", "rw2", "srw", "pef"}
)

# Formats that Pillow may read, the most common first, with the module that reads each. Nothing else is tried,
# whatever a file is called: Pillow's other formats are rarely maintained, and one starts Ghostscript.
_READERS: tuple[tuple[str, str], ...] = (
    ("JPEG", "PIL.JpegImagePlugin"),
    ("PNG", "PIL.PngImagePlugin"),
    ("WEBP", "PIL.WebPImagePlugin"),
    ("GIF", "PIL.GifImagePlugin"),
    ("BMP", "PIL.BmpImagePlugin"),
    ("TIFF", "PIL.TiffImagePlugin"),
    ("AVIF", "PIL.AvifImagePlugin"),  # Pillow 11.3
    ("JPEG2000", "PIL.Jpeg2KImagePlugin"),
    ("ICO", "PIL.IcoImagePlugin"),
    ("PPM", "PIL.PpmImagePlugin"),
    ("HEIF", "pillow_heif"),  # the extra `heic`
    ("JXL", "pillow_jxl"),  # pillow-jxl-plugin
)
_MISSING = {  # descriptions of formats whose reader may be missing
    "avif": "an AVIF image, which needs Pillow 11.3 or newer (pip install -U pillow)",
    "heic": "an HEIC image, which needs the extra heic (pip install pillow-heif)",
    "jxl": "a JPEG XL image, which needs the package pillow-jxl-plugin (pip install pillow-jxl-plugin)",
}
_OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (  # by the first bytes of a file, in lower case
    (b"<svg", "an SVG drawing, which is not read"),
    (b"%!ps", "a PostScript file, which is not read"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file, which is not read"),
    (b"%pdf", "a PDF file, which is not read"),
    (b"8bps", "a Photoshop file, which is not read"),
)
_NO_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer: `git lfs pull` fetches the file itself"),
    (b"<!doctype", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "XML (an SVG drawing, or an error page)"),
    (b"\x1f\x8b", "a gzip file: unpack it"),
    (b"pk\x03\x04", "a zip file: unpack it"),
    (b"{", "JSON"),
)

_ORIENTATION = 0x0112  # the EXIF tag
_QUARTER_TURNS = (5, 6, 7, 8)
_PNG_ROTATIONS = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF tags

#: Largest number of pixels in one image; a larger image is taken for a decompression bomb.
MAX_PIXELS = 100_000_000


class UnknownFormat(DataError):
    """The bytes are not an image in a format that can be read here; the message says what they are."""


def is_image_name(name: str) -> bool:
    """Whether a file's name is that of an image, readable or not."""
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and extension.lower() in IMAGE_EXTENSIONS | OTHER_IMAGE_EXTENSIONS


def image_extension(data: bytes) -> str:
    """Finds the file name extension that fits an image, from its first bytes.

    Args:
        data: content of an image file.

    Returns:
        "jpg", "png", "webp", "gif", "bmp", "tif", "avif", "heic", "jxl", "jp2", "j2k", "ico" or "ppm".

    Raises:
        UnknownFormat: the bytes are not an image in a known format.
    """
    extension = _signed(data)
    if extension is None:
        raise UnknownFormat(
            f"{_what_it_is(data)} instead of an image",
            hint="use JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF",
        )
    return extension


def decode_image(data: bytes, *, where: str) -> Image.Image:
    """Decodes an image file completely.

    The camera's rotation (EXIF) is applied, and transparency is blended with white. An animation, or a file
    of several pages, gives its first image.

    Gray values of more than 8 bits are scaled to 8 bits by their range. The range of whole numbers is the
    number of bits that the file states; else the fewest of 8, 12 and 16 bits that hold the largest value;
    else, or with negative values, the smallest to the largest value. The range of floats is 0..1 or 0..255
    where the values lie in it, else the smallest to the largest value. Values that are not finite become
    black.

    Args:
        data: content of an image file.
        where: name of the file or key of the sample, for the error.

    Returns:
        The image, in RGB.

    Raises:
        UnknownFormat: the bytes are in a format that cannot be read.
        DataError: the bytes are not an image, are truncated or corrupt, or hold more than :data:`MAX_PIXELS`
            pixels.
    """
    return _opened(data, where, _decoded)


def check_image(data: bytes, *, where: str) -> None:
    """Checks that an image file is not damaged; a JPEG in less time than :func:`decode_image`.

    Args:
        data: content of an image file.
        where: name of the file or key of the sample, for the error.

    Raises:
        DataError: exactly where :func:`decode_image` raises.
    """

    def load(image: Image.Image) -> None:
        if image.format != "JPEG":
            _decoded(image)
            return
        image.draft(None, (1, 1))  # reads the whole file but computes few of its pixels
        image.load()

    _opened(data, where, load)


def image_size(data: bytes, *, where: str) -> tuple[int, int]:
    """Reads the width and height of an image, as :func:`decode_image` will decode it, without decoding it.

    Args:
        data: content of an image file.
        where: name of the file or key of the sample, for the error.

    Returns:
        Width and height in pixels.

    Raises:
        DataError: the bytes are not an image.
    """
    try:
        image = open_image(data)
        # Pillow decodes a whole PNG to look for its rotation.
        plain = image.format == "PNG" and not any(mark in data for mark in _PNG_ROTATIONS)
        turned = not plain and _orientation(image) in _QUARTER_TURNS
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        raise DataError(
            f"{where}: the size of the image cannot be read ({type(error).__name__})",
            hint="replace the file by an intact one, or leave this sample out",
        ) from error
    return (image.height, image.width) if turned else (image.width, image.height)


def is_upright(data: bytes, *, where: str) -> bool:
    """Whether an image file shows its pixels as they are stored, without a rotation by the camera (EXIF).

    Args:
        data: content of an image file.
        where: name of the file or key of the sample, for the error.

    Raises:
        DataError: the bytes are not an image.
    """
    return bool(_opened(data, where, _orientation) == 1)


def is_plain_image(data: bytes) -> bool:
    """Whether every program reads the same pixels from an image file as :func:`decode_image`.

    That is so for a JPEG or PNG in gray or RGB, without transparency, that is upright as it is. The file is
    one that can be decoded.
    """
    image = open_image(data)
    plain = image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB")
    return plain and "transparency" not in image.info and _orientation(image) == 1


def image_data_uri(data: bytes) -> str:
    """Makes a data URI of an image for a web page; a format that browsers do not show is converted to PNG.

    Args:
        data: content of an image file.

    Raises:
        DataError: as :func:`decode_image` raises.
    """
    kind = _SHOWN_BY_BROWSERS.get(image_extension(data))
    if kind is None:
        buffer = io.BytesIO()
        decode_image(data, where="image").save(buffer, "PNG")
        kind, data = "png", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@cache
def _formats() -> tuple[str, ...]:
    """Lists Pillow's names of the formats that can be read here."""
    from PIL import Image

    for _, module in _READERS:
        try:
            import_module(module)
        except ImportError:  # an older Pillow, or an extra that is not installed
            continue
        if module == "pillow_heif":
            import_module(module).register_heif_opener()
    return tuple(name for name, _ in _READERS if name in Image.OPEN)


def open_image(data: bytes) -> Image.Image:
    """Opens an image in one of the accepted formats and reads its header; raises what Pillow raises."""
    from PIL import Image

    return Image.open(io.BytesIO(data), formats=_formats())


def _opened(data: bytes, where: str, load: Callable[[Image.Image], _Loaded]) -> _Loaded:
    """Opens an image, refuses one that is too large, and applies ``load`` to it."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = open_image(data)
        pixels = image.width * image.height
        if pixels <= MAX_PIXELS:
            return load(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        pixels = None
    except Exception as error:  # a damaged file makes decoders raise nearly anything
        # An address in memory would make two reports of one file differ.
        reason = re.sub(r" ?<_io.BytesIO object at 0x[0-9a-f]+>", "", str(error)) or type(error).__name__
        kind = DataError
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is {_what_it_is(data)}" if _signed(data) in (None, *_MISSING) else reason
            kind = UnknownFormat if _signed(data) in _MISSING or _named(data, _OTHER_FORMATS) else DataError
        raise kind(
            f"{where}: the image cannot be decoded ({reason})",
            hint="replace the file by an intact one, or leave this sample out",
        ) from error
    raise DataError(
        f"{where}: the image has {pixels or 'far too many'} pixels, more than {MAX_PIXELS}",
        hint="scale the image down before importing it",
    )


def _signed(data: bytes) -> str | None:
    """Finds the extension by the first bytes; None where they are not an image's."""
    for signature, extension in _SIGNATURES:
        if data.startswith(signature):
            return extension
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[start : start + 4] for start in range(16, data[3], 4))]
        found = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return "avif" if "avif" in found else found[0] if found else None
    return "ppm" if re.match(rb"P[1-6]\s", data) else None


def _what_it_is(data: bytes) -> str:
    """Describes bytes that cannot be read as an image."""
    if not data:
        return "an empty file"
    name = _MISSING.get(_signed(data) or "") or _named(data, _OTHER_FORMATS + _NO_IMAGES)
    return name or (f"bytes that start with {data[:8]!r}" if any(data) else "nothing but zeros")


def _named(data: bytes, formats: tuple[tuple[bytes, str], ...]) -> str | None:
    start = data[:64].lstrip().lower()
    return next((name for signature, name in formats if start.startswith(signature)), None)


def _orientation(image: Image.Image) -> int:
    """Reads the orientation of the camera; 1 (upright) where the EXIF is damaged: the image is still good."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF makes Pillow raise nearly anything
        return 1


def _decoded(image: Image.Image) -> Image.Image:
    """Decodes the pixels of an image to RGB, upright; see :func:`decode_image`."""
    from PIL import Image

    image.load()
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(_orientation(image))
    transparent = "transparency" in image.info
    if image.mode == "F" or image.mode.startswith("I"):  # Pillow would clip these to white or black
        image, transparent = _scaled(image), False
    if transparent or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layered)
    image = image if image.mode == "RGB" else image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _scaled(image: Image.Image) -> Image.Image:
    """Scales gray values of more than 8 bits to 8 bits; see :func:`decode_image`."""
    import numpy
    from PIL import Image

    values = numpy.asarray(image).astype(numpy.float64)
    finite = values[numpy.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    stated = tags.get(_BITS_PER_SAMPLE, (0,))[0]
    if image.mode == "F":
        ranges = [1.0, 255.0]
    elif 8 < stated < 16:
        ranges = [float(2**stated - 1)]
    else:
        ranges = [255.0, 4095.0, 65535.0]
    fitting = [largest for largest in ranges if high <= largest]
    if low >= 0 and fitting:
        low, high = 0.0, fitting[0]
    scaled = (values - low) * 255 / (high - low) if high > low else numpy.zeros_like(values)
    scaled = numpy.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    grays = (scaled + 0.5).clip(0, 255).astype(numpy.uint8)
    # Pillow inverts a negative (such as an X-ray) only where it has 8 bits.
    return Image.fromarray(255 - grays if tags.get(_PHOTOMETRIC) == 0 else grays)
