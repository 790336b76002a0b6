"""Images in every form that rows hold: file names, URIs, base64, bytes, objects, pixels.

All sources share it: whatever stands in place of an image becomes the bytes of an encoded file, or a reject.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from vila2.data.files import read_file
from vila2.data.images import image_extension
from vila2.data.rejects import Reject
from vila2.data.remote import read_whole, remote_url
from vila2.data.shortening import shortened, shown
from vila2.errors import DataError, one_line
from vila2.sources.outside import REASON as OUTSIDE, outside_detail, place_of

if TYPE_CHECKING:
    from PIL import Image

#: Fields that hold images, in the order in which they are tried.
IMAGE_FIELDS = (
    "image", "images", "image_path", "image_paths", "image_file", "image_files", "image_bytes",
    "image_base64", "image_url", "image_urls", "img", "img_path", "jpg", "jpeg", "png", "webp",
)  # fmt: skip
#: Fields of an object that stands for an image, as in Parquet and in OpenAI's, Qwen's and Anthropic's
#: messages.
_INSIDE = (
    "bytes", "image", "image_url", "url", "path", "file", "file_name", "filename", "base64", "b64", "data",
    "source",
)  # fmt: skip
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
_URL_ALPHABET = str.maketrans("-_", "+/")  # URLs have an alphabet of their own
_PNG_MODES = ("RGB", "L", "RGBA", "LA", "P", "I;16")


def is_empty(value: object) -> bool:
    """Tells whether a field holds nothing: None, "", no bytes, or a list or object of nothing but such."""
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        return True
    if isinstance(value, Mapping):
        return all(map(is_empty, value.values()))
    return isinstance(value, list | tuple) and all(map(is_empty, value))


def image_values(value: object) -> list[object]:
    """Lists the images of a field: those of a list, or the one; none of an empty field."""
    if is_empty(value):
        return []
    if isinstance(value, list | tuple) and not _is_pixels(value):
        return list(value)
    return [value]


def row_images(fields: Mapping[str, object], image_key: str = "") -> tuple[list[object], str]:
    """Lists the images of a row.

    Args:
        fields: fields of the row.
        image_key: field of the images; by default the first of :data:`IMAGE_FIELDS` that holds something.

    Returns:
        The images as the row gives them, and the field that they stand in, "" if there is none.
    """
    names = (image_key,) if image_key else IMAGE_FIELDS
    name = next((name for name in names if name in fields and not is_empty(fields[name])), "")
    return image_values(fields[name]) if name else [], name


def image_name(value: object) -> str:
    """Returns the file name or address of an image; "" if the row holds its content instead."""
    if isinstance(value, Mapping):
        names = [image_name(value[name]) for name in _INSIDE if not is_empty(value.get(name))]
        return next(filter(None, names), "")
    if not isinstance(value, str) or value.startswith("data:") or len(value) > 1000:
        return ""
    if value.startswith("file://"):
        return unquote(urlsplit(value).path)
    return "" if _from_base64(value) is not None else value


def image_bytes(root: Path, value: object, *, where: str, key: str, known: str = "") -> bytes | Reject:
    """Reads an image as an encoded file. Nothing is fetched from the network.

    Args:
        root: folder that file names are relative to, unless they are absolute.
        value: file name, ``file:`` or ``data:`` URI, base64, bytes, object with one of those under ``bytes``,
            ``path``, ``url``, ..., decoded picture, or array of pixels.
        where: place of the row, for the reject.
        key: key of the row, for the reject.
        known: sha256 of the image, if the row knows it; a file elsewhere with this content may be read.

    Returns:
        The encoded image, or a ``Reject`` if the file does not exist, lies outside ``root``
        (:mod:`vila2.sources.outside`), has another content than the row knows, or the value is no image.
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
        return _from_text(root, value, reject, known)
    pixels = _from_pixels(value)
    if pixels is None:
        return reject("bad-row", f"{shown(value)} instead of an image or its file name")
    return pixels


def _from_text(root: Path, text: str, reject: Callable[[str, str], Reject], known: str) -> bytes | Reject:
    if text[:5].lower() == "data:":
        data = _from_data_uri(text)
        return data if data is not None else reject("corrupt-image", f"{shown(text)} is not base64")
    name = unquote(urlsplit(text).path) if text.startswith("file://") else text
    if _SCHEME.match(name):
        fetch = "fetch it first, for example with img2dataset"
        return reject("remote-image", f"{shown(text)}: images are not fetched from addresses; {fetch}")
    unreadable: Reject | None = None
    for spelled in dict.fromkeys((name, name.replace("\\", "/"))):  # the latter was written on Windows
        found = _from_file(root, spelled, reject, known)
        if isinstance(found, bytes):
            return found
        unreadable = unreadable or found
        data = _from_base64(text)
        if data is not None:
            return data
    assert unreadable is not None, "the name is no image"
    return unreadable


def _from_url(url: str, name: str, reject: Callable[[str, str], Reject]) -> bytes | Reject:
    """Reads an image below a URL that the user named; what the data says leads nowhere else."""
    if name.startswith("/") or ".." in name.split("/"):
        return reject(OUTSIDE, shortened(f"{name} lies outside {url}", 240))
    try:
        return read_whole(f"{url}/{name}")
    except DataError as error:
        return reject("unreadable-file", shortened(error.what, 240))


def _from_file(root: Path, name: str, reject: Callable[[str, str], Reject], known: str) -> bytes | Reject:
    if (url := remote_url(root)) is not None:
        return _from_url(url, name, reject)
    try:
        path, may_be_read = place_of(root, name)
        if not may_be_read and not known:
            return reject(OUTSIDE, shortened(outside_detail(root, name), 240))
        data = read_file(path)
    except (DataError, ValueError) as error:
        return reject("unreadable-file", shortened(one_line(error), 240))
    if known and hashlib.sha256(data).hexdigest() != known:
        return reject("changed-image", f"{name} has another content than when it was described")
    return data


def _from_data_uri(text: str) -> bytes | None:
    head, _, body = text.partition(",")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    return _decoded(unquote(body) if "%" in body else body)


def _from_base64(text: str) -> bytes | None:
    """Decodes the image that a text holds as base64; None if it holds something else."""
    # No image is shorter, and no other text begins with the signature of an image.
    if len(text) < 48 or not _BASE64.fullmatch(text):
        return None
    try:
        image_extension(_decoded(text[:64].rstrip()[:48]) or b"")
    except DataError:
        return None
    return _decoded(text)


def _decoded(text: str) -> bytes | None:
    text = "".join(text.split()).translate(_URL_ALPHABET).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_pixels(value: Sequence[object]) -> bool:
    """Tells whether a list is one image: bytes as numbers, or rows of pixels."""
    first = value[0]
    if isinstance(first, int) and not isinstance(first, bool):
        return len(value) > 8
    return isinstance(first, list) and bool(first) and isinstance(first[0], int | list)


def _from_pixels(value: object) -> bytes | None:
    """Encodes a picture or an array as PNG; numbers that are the bytes of a file become that file."""
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
            picture = value if value.mode in _PNG_MODES else value.convert("RGB")
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            return buffer.getvalue()
    except (ValueError, TypeError, OverflowError, OSError, DataError):
        return None  # numbers that are no picture
    return None


def _picture(pixels: object) -> Image.Image | None:
    """Makes a picture of an array [height, width] or [height, width, channels] of 0 to 255."""
    import numpy as np
    from PIL import Image

    array = np.asarray(pixels)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    whole = np.issubdtype(array.dtype, np.integer) and array.size and array.min() >= 0 and array.max() <= 255
    return Image.fromarray(array.astype(np.uint8)) if whole else None
