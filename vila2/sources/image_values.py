"""Images in every form that rows hold them: file names, URIs, base64, bytes, structs, pixels.

One place for all sources: whatever a row has where an image belongs becomes the bytes of an encoded file, or a reject.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from vila2.data.images import image_extension
from vila2.data.shards import Reject
from vila2.data.shortening import shortened, shown
from vila2.errors import DataError

#: Fields that hold a row's image or images; the first that holds something counts.
IMAGE_FIELDS = (
    "image", "images", "image_path", "image_paths", "image_file", "image_files", "image_bytes", "image_base64",
    "image_url", "image_urls", "img", "img_path", "jpg", "jpeg", "png", "webp",
)  # fmt: skip
#: The fields of an object that stands for an image, as Parquet's, OpenAI's, Qwen's and Anthropic's have them.
_INSIDE = (
    "bytes", "image", "image_url", "url", "path", "file", "file_name", "filename", "base64", "b64", "data", "source",
)  # fmt: skip
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")


def is_empty(value: object) -> bool:
    """Whether a field holds nothing: None, "", no bytes, an empty list, or an object whose fields are all empty."""
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        return True
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    return isinstance(value, list | tuple) and all(map(is_empty, value))


def image_values(value: object) -> list[object]:
    """The images of a field: each of a list's, else the one; none of an empty field."""
    if is_empty(value):
        return []
    if isinstance(value, list | tuple) and not _is_pixels(value):
        return list(value)
    return [value]


def row_images(fields: Mapping[str, object], image_key: str = "") -> tuple[list[object], str]:
    """The images that a row holds or names, and the field that they stand in; "" where there is none.

    Args:
        fields: the row.
        image_key: the field; by default the first of :data:`IMAGE_FIELDS` that holds something.
    """
    names = (image_key,) if image_key else IMAGE_FIELDS
    name = next((name for name in names if name in fields and not is_empty(fields[name])), "")
    return image_values(fields[name]) if name else [], name


def image_name(value: object) -> str:
    """The file name or address by which a row names an image; "" for one whose content stands in the row."""
    if isinstance(value, Mapping):
        names = [image_name(value[name]) for name in _INSIDE if not is_empty(value.get(name))]
        return next(filter(None, names), "")
    if not isinstance(value, str) or value.startswith("data:") or len(value) > 1000:
        return ""
    if value.startswith("file://"):
        return unquote(urlsplit(value).path)
    return "" if _from_base64(value) is not None else value


def image_bytes(root: Path, value: object, *, where: str, key: str) -> bytes | Reject:
    """The encoded file of an image.

    Args:
        root: the folder that file names are relative to, unless they are absolute.
        value: a file name, a ``file:`` or ``data:`` URI, base64, bytes, an object with one of those under ``bytes``,
            ``path``, ``url``, ..., a decoded picture, or an array of pixels.
        where, key: for the reject.

    Returns:
        The bytes; a ``Reject`` where there is no such file, or the value is no image. Nothing is fetched from
        the network.
    """

    def reject(reason: str, detail: str) -> Reject:
        return Reject(where, key, reason, detail)

    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value) if len(value) else reject("no-image", "an image of no bytes")
    if isinstance(value, Mapping):
        inner = next((value[name] for name in _INSIDE if not is_empty(value.get(name))), None)
        if inner is None or isinstance(inner, list):
            return reject("bad-row", f"{shown(value)} instead of an image")
        return image_bytes(root, inner, where=where, key=key)
    if isinstance(value, str) and value.strip():
        return _from_text(root, value, reject)
    pixels = _from_pixels(value)
    return (
        pixels
        if pixels is not None
        else reject("bad-row", f"{shown(value)} instead of an image or its file name")
    )


def _from_text(root: Path, text: str, reject: Callable[[str, str], Reject]) -> bytes | Reject:
    if text[:5].lower() == "data:":
        data = _from_data_uri(text)
        return data if data is not None else reject("corrupt-image", f"{shown(text)} is no base64")
    name = unquote(urlsplit(text).path) if text.startswith("file://") else text
    if _SCHEME.match(name):
        detail = f"{shown(text)}: images are not fetched from addresses; fetch them first, for example with img2dataset"
        return reject("remote-image", detail)
    try:
        return (root / name).read_bytes()
    except (OSError, ValueError) as error:
        data = _from_base64(text)
        if data is not None:
            return data
        if "\\" in name and (root / name.replace("\\", "/")).is_file():
            return (root / name.replace("\\", "/")).read_bytes()
        reason = (error.strerror if isinstance(error, OSError) else "") or "no file name"
        return reject("unreadable-file", f"{shortened(str(root / name), 200)}: {reason}")


def _from_data_uri(text: str) -> bytes | None:
    head, _, body = text.partition(",")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    return _decoded(unquote(body) if "%" in body else body)


def _from_base64(text: str) -> bytes | None:
    """The image that a text holds as base64; None where it holds something else."""
    # No base64 of an image is shorter, and no other text begins with an image's signature.
    if len(text) < 48 or not _BASE64.fullmatch(text):
        return None
    try:
        image_extension(_decoded(text[:64].rstrip()[:48]) or b"")
    except DataError:
        return None
    return _decoded(text)


def _decoded(text: str) -> bytes | None:
    text = (
        "".join(text.split()).translate({45: 43, 95: 47}).rstrip("=")
    )  # the alphabet of URLs: - for +, _ for /
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_pixels(value: Sequence[object]) -> bool:
    """Whether a list is one image: bytes as numbers, or rows of pixels."""
    first = value[0]
    if isinstance(first, int) and not isinstance(first, bool):
        return len(value) > 8
    return isinstance(first, list) and bool(first) and isinstance(first[0], int | list)


def _from_pixels(value: object) -> bytes | None:
    """A picture or an array as PNG; numbers that are the bytes of a file as that file."""
    import numpy as np
    from PIL import Image

    try:
        if isinstance(value, list | tuple) and value and isinstance(value[0], int):
            data = bytes(value)
            image_extension(data)
            return data
        if isinstance(value, list | tuple) and value and _is_pixels(value):
            value = np.array(value)
        if isinstance(value, np.ndarray):
            value = _picture(value)
        if isinstance(value, Image.Image):
            buffer = io.BytesIO()
            (value if value.mode in ("RGB", "L", "RGBA", "LA", "P", "I;16") else value.convert("RGB")).save(
                buffer, "PNG"
            )
            return buffer.getvalue()
    except (ValueError, TypeError, OverflowError, OSError, DataError):
        return None  # numbers that are no picture
    return None


def _picture(pixels: object) -> object:
    """An array [height, width] or [height, width, channels] of 0 to 255 as a picture."""
    import numpy as np
    from PIL import Image

    array = np.asarray(pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    whole = np.issubdtype(array.dtype, np.integer) and array.size and array.min() >= 0 and array.max() <= 255
    return Image.fromarray(array.astype(np.uint8)) if whole else None
