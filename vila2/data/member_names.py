"""Names of tar members: any key to a safe WebDataset name, and a member's name to sample and extension."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from vila2.data.images import IMAGE_EXTENSIONS
from vila2.errors import DataError

# WebDataset ends the key at the first dot of the file name and skips names that start with "__".
_SAFE = re.compile(r"(?!__)[A-Za-z0-9_-]+(?:/(?!__)[A-Za-z0-9_-]+)*\Z")
_LONGEST = 200  # a file name may have 255 bytes where the tar is unpacked

#: Members whose decoding by common readers runs code, or is likely to.
UNSAFE_EXTENSIONS = frozenset({"pkl", "pickle", "pyd", "pth", "pt", "ckpt", "joblib", "pyc", "dill"})
_MEMBER = re.compile(r"((?:.*/|)[^./]+)\.([^/]*)\Z", re.DOTALL)


def member_base(key: str) -> str:
    """The tar name for a key, without extension: the key itself where that is safe.

    Other keys are percent-encoded, very long ones cut and ended with a digest; both hold a ``%``, which no
    safe key does, so that two keys never share a name. The sample's JSON then holds the key as it was.

    Args:
        key: any text that can be encoded as UTF-8.
    """
    if _SAFE.match(key) and len(key) <= _LONGEST:
        return key
    tidy = all(key.split("/"))
    name = (
        quote(key, safe="/" if tidy else "").replace(".", "%2E").replace("~", "%7E").replace("__", "%5F%5F")
    )
    if "%" in name and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{name[:100].replace('/', '%2F')}%{digest}"


def split_member(name: str) -> tuple[str, str] | None:
    """Splits a member's name as WebDataset does, at the first dot of the file name.

    Returns:
        Base and lower-case extension ("0.jpg" for "a/b.0.JPG"), or None for a name without extension.
    """
    match = _MEMBER.match(name.removeprefix("./"))
    return (match.group(1), match.group(2).lower()) if match else None


def member_kind(extension: str, *, where: str) -> str:
    """What a member with this extension is read as.

    Args:
        extension: as :func:`split_member` gives it.
        where: tar and member, for the error.

    Returns:
        "image", "text", "json", or "" for a member that is left alone.

    Raises:
        DataError: a pickle or another format that can run code when it is decoded.
    """
    last = extension.rsplit(".", 1)[-1]
    if last in UNSAFE_EXTENSIONS:
        raise DataError(
            f"{where}: members of type .{last} are refused, since decoding them can run code",
            mend="repack the tar with images, .txt and .json only",
        )
    if last in IMAGE_EXTENSIONS:
        return "image"
    return {"txt": "text", "json": "json"}.get(extension, "")


def image_place(extension: str) -> tuple[int, str]:
    """Sorts the images of one sample: "0.jpg", "1.jpg", ..., "10.jpg"; unnumbered ones first."""
    number = extension.split(".", 1)[0]
    return (int(number), extension) if number.isascii() and number.isdigit() else (-1, "")
