"""Names of tar members: makes safe WebDataset names of keys, and reads samples and extensions from names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from vila2.data.images import IMAGE_EXTENSIONS
from vila2.errors import DataError

# WebDataset ends the key at the first dot of the file name and skips names that start with "__".
_SAFE = re.compile(r"(?!__)[A-Za-z0-9_-]+(?:/(?!__)[A-Za-z0-9_-]+)*\Z")
_LONGEST = 200  # a file name may have 255 bytes where the tar is unpacked

#: Extensions of members that can run code when common readers decode them.
UNSAFE_EXTENSIONS = frozenset({"pkl", "pickle", "pyd", "pth", "pt", "ckpt", "joblib", "pyc", "dill"})
#: Extensions of a sample's text, by precedence.
TEXT_EXTENSIONS = ("txt", "text", "caption")
_MEMBER = re.compile(r"((?:.*/|)[^./]+)\.([^/]*)\Z", re.DOTALL)
_HIDDEN = re.compile(r"(?:\A|/)(?:\.(?!\.?(?:/|\Z))[^/]*|__MACOSX)(?:/|\Z)")
_IMAGE_WORD = re.compile(r"(?:image|img|photo|picture|rgb|input)[-_]?[0-9]*\Z")
_TEXT_FIELDS = frozenset(
    {"caption", "captions", "text", "txt", "alt", "alttext", "description", "prompt", "title", "label"}
    | {"json", "meta", "metadata", "info", "data", "annotation", "annotations", "attributes"}
)
_NO_PHOTOS = frozenset({"seg", "mask", "masks", "depth", "normal", "edge", "canny", "thumb", "thumbnail"})


def member_base(key: str) -> str:
    """Gives the name of a key's tar members, without extension: the key itself where that is safe.

    Other keys are percent-encoded, and very long ones are cut and end with a digest. Both hold a ``%``, which
    a safe key does not, so that no two keys share a name. The JSON of the sample then holds the key itself.

    Args:
        key: text that can be encoded as UTF-8.
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


class Named(NamedTuple):
    """A member's role in a sample.

    Attributes:
        base: name of the sample in the tar; None for a member that belongs to no sample.
        extension: extension in lower case ("0.jpg" for "a/b.0.JPG"); for a member that belongs to no sample,
            the heading under which it is counted.
        kind: "image", "text", "json", or "" for a member that is ignored.
    """

    base: str | None
    extension: str
    kind: str


def split_member(name: str) -> tuple[str, str] | None:
    """Splits a member's name as WebDataset does, at the first dot of the file name.

    Returns:
        Base and extension in lower case ("a/b" and "0.jpg" for "a/b.0.JPG"); None for a name without
        extension.
    """
    match = _MEMBER.match(_plain_path(name))
    return (match.group(1), match.group(2).lower()) if match else None


def split_members(names: Sequence[str], *, where: str) -> list[Named]:
    """Splits the names of all members of a foreign tar.

    WebDataset ends a sample's name at the first dot of the file name. Names that people give have dots as
    well ("shop v1.0 front.jpg"). Where a name has several dots, the members that share the part before the
    first one decide:

    - An image and a text or JSON with the same name up to the last dot are a sample of that name.
    - Else "0.jpg", "1.jpg" or "image.jpg", and "caption.txt" or "metadata.json", are extensions, as in
      WebDataset, if there is a text or JSON to join and no image without such a word.
    - Masks and the like ("seg.png", "depth.png") beside another image are ignored.
    - Any other name ends at its last dot. So two photos become one sample only where a text says so.

    Hidden files ("._a.jpg", "__MACOSX/") and names without extension are ignored.

    Args:
        names: names of all members, in the order of the tar.
        where: path of the tar, for errors.

    Raises:
        DataError: a member can run code when it is decoded.
    """
    found: list[Named] = []
    dotted: dict[str, list[int]] = {}
    for name in names:
        if _HIDDEN.search(_plain_path(name)):
            found.append(Named(None, "hidden", ""))
            continue
        split = split_member(name)
        if split is None:
            found.append(Named(None, "no extension", ""))
            continue
        found.append(Named(*split, member_kind(split[1], where=f"{where}: {name}")))
        if "." in split[1]:
            dotted[split[0]] = []
    if dotted:
        for number, named in enumerate(found):
            if named.base in dotted:
                dotted[named.base].append(number)
        for base, numbers in dotted.items():
            plain = [(_plain_path(names[number]), found[number]) for number in numbers]
            for number, named in zip(numbers, _split_dotted(base, plain), strict=True):
                found[number] = named
    return found


def _split_dotted(base: str, members: Sequence[tuple[str, Named]]) -> list[Named]:
    """Splits names that share the part before their first dot; see :func:`split_members`."""
    middles = [named.extension.rpartition(".")[0] for _, named in members]
    shown = {middle for middle, (_, named) in zip(middles, members, strict=True) if named.kind == "image"}
    said = {
        middle for middle, (_, named) in zip(middles, members, strict=True) if named.kind in ("text", "json")
    }
    paired = {
        middle for middle in shown & said if middle and (len(shown) > 1 or not _IMAGE_WORD.match(middle))
    }
    shared = {middle for middle in said - paired if not middle or middle in shown or _is_text_field(middle)}
    splits = []
    for middle, (path, named) in zip(middles, members, strict=True):
        joins = not middle or middle not in paired
        if named.kind == "image" and middle:
            if middle in _NO_PHOTOS and len(shown) > 1 and middle not in paired:
                splits.append(Named(None, named.extension, ""))
                continue
            is_field = bool(_IMAGE_WORD.match(middle)) or _is_number(middle)
            joins = joins and is_field and bool(shared) and "" not in shown
        elif named.kind:
            joins = joins and (not middle or middle in shared)
        if not joins:
            stem, _, extension = path.rpartition(".")
            named = Named(stem, extension.lower(), named.kind)
        splits.append(named)
    return splits


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_text_field(middle: str) -> bool:
    """Whether the part of a name between two dots names a text of a sample: "caption", "alt_text", "meta"."""
    return not _TEXT_FIELDS.isdisjoint(re.split(r"[-_0-9]+", middle))


def _plain_path(name: str) -> str:
    """Removes "./" and "/" from the front of a member's path."""
    while name.startswith(("./", "/")):
        name = name.removeprefix(".").lstrip("/")
    return name


@lru_cache(maxsize=1024)
def kind_of(extension: str) -> str:
    """Finds the kind of a member by its extension: one of :func:`member_kind`, or "unsafe"."""
    last = extension.rsplit(".", 1)[-1]
    if last in UNSAFE_EXTENSIONS:
        return "unsafe"
    if last in IMAGE_EXTENSIONS:
        return "image"
    return "text" if last in TEXT_EXTENSIONS else "json" if last == "json" else ""


def member_kind(extension: str, *, where: str) -> str:
    """Finds the kind of a member by its extension.

    Args:
        extension: extension from :func:`split_member`.
        where: path of the tar and name of the member, for the error.

    Returns:
        "image", "text", "json", or "" for a member that is ignored.

    Raises:
        DataError: the member is a pickle or in another format that can run code when it is decoded.
    """
    kind = kind_of(extension)
    if kind == "unsafe":
        last = extension.rsplit(".", 1)[-1]
        raise DataError(
            f"{where}: members of type .{last} are refused, since decoding them can run code",
            hint="repack the tar with images, .txt and .json only",
        )
    return kind


@lru_cache(maxsize=1024)
def image_place(extension: str) -> tuple[int, str]:
    """Gives the sort key of a sample's image: images without a number first, then "0.jpg", ..., "10.jpg"."""
    name = extension.split(".", 1)[0]
    digits = re.search(r"[0-9]*\Z", name)
    number = digits.group() if digits and "." in extension else ""
    return (int(number), extension) if number else (-1, "")
