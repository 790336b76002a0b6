"""Image files of an export: upright, in formats that every reader knows, each written once."""

from __future__ import annotations

import io
from pathlib import Path

from vila2.data.images import decode_image, image_extension, is_upright
from vila2.data.member_names import member_base

#: Formats that Pillow reads without further packages.
_KNOWN = frozenset({"jpg", "png", "webp", "gif", "bmp", "tif"})
_QUALITY = 95


def readable_image(data: bytes, *, where: str) -> bytes:
    """Makes an image file that other readers show as vila2 does.

    Most trainers ignore the camera's rotation (EXIF), so a turned image would no longer fit its boxes; and
    few read HEIC or JPEG XL. Such an image is decoded and written anew, a JPEG as JPEG, others as PNG. Every
    other file stays as it is.

    Args:
        data: content of an image file.
        where: key of the sample, for the error.

    Raises:
        DataError: the image cannot be decoded.
    """
    kind = image_extension(data)
    if kind in _KNOWN and is_upright(data, where=where):
        return data
    buffer = io.BytesIO()
    if kind == "jpg":
        decode_image(data, where=where).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        decode_image(data, where=where).save(buffer, "PNG")
    return buffer.getvalue()


class WrittenImages:
    """The images of an export as files below its folder.

    Args:
        folder: folder of the export.
        below: folder of the images, relative to it; "" puts them into the folder itself.
    """

    def __init__(self, folder: Path, below: str = "images") -> None:
        self._folder = folder
        self._below = below
        self._last: tuple[str, list[str]] = ("", [])

    def place(self, key: str, images: tuple[bytes, ...]) -> list[str]:
        """Writes the images of a sample where they are not yet, and gives their paths below the folder.

        Args:
            key: key of the sample. The rows of one sample follow each other.
            images: encoded images.
        """
        if self._last[0] == key and self._last[1]:
            return self._last[1]
        names = []
        for number, data in enumerate(images):
            count = f"-{number}" if len(images) > 1 else ""
            name = f"{member_base(key)}{count}.{image_extension(data)}"
            names.append(f"{self._below}/{name}" if self._below else name)
            path = self._folder / names[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self._last = (key, names)
        return names
