"""Image files by name, from a folder, from tars without unpacking them, or from a folder that holds both."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vila2.data.files import MAX_BYTES, readable_name, too_large
from vila2.data.rejects import Reject
from vila2.data.remote import remote_url
from vila2.data.tar_members import packed_format, read_members, scan_files
from vila2.errors import DataError
from vila2.sources.rows import read_image

_ROW_FILE = re.compile(r"(.+?)\.(?:jsonl?|ndjson|parquet|csv|tsv)\b")


class _ImagePlace(NamedTuple):
    """A member of a tar.

    Attributes:
        tar: number of the tar.
        path: path of the member.
        offset: first byte of its content in the tar.
        size: bytes of its content.
    """

    tar: int
    path: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Several:
    """Members that share a name."""

    places: tuple[_ImagePlace, ...]


class ImageFiles:
    """Finds the images that a file of rows names.

    A file of that path below the folder comes first. Next come members of tars with the same path, then those
    with the same file name. If a tar has the name of the file of rows ("shard0.tar" for "shard0.jsonl"), only
    its members count. If several members remain, none is taken.

    Args:
        root: folder of image files, of tars or of both, or a tar. Memory holds the place of each member, some
            300 bytes.

    Raises:
        DataError: a tar cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folder = root if root.is_dir() else None
        self._tars = sorted(filter(Path.is_file, root.glob("*.tar"))) if root.is_dir() else [root]
        if remote_url(root) is not None:
            self._tars = []  # image files are read by name from there
        self._broken: list[str] = []
        self._places: dict[str, list[_ImagePlace]] = {}
        for number, tar in enumerate(self._tars):
            for place in self._members(tar, number):
                self._places.setdefault(posixpath.basename(place.path), []).append(place)

    def read(self, name: object, *, where: str, key: str) -> bytes | Reject:
        """Reads an image.

        Args:
            name: name of the image as a row gives it.
            where: file and line of the row, for the reject and to find the tar of the same name.
            key: key of the row, for the reject.

        Returns:
            The encoded image, or a ``Reject`` if there is none or several have the name.
        """
        if not self._tars or not isinstance(name, str) or self._is_loose(name):
            return read_image(self.root, name, where=where, key=key)
        place = self._find(name, where)
        if place is None:
            detail = "; ".join([f"{name!r} is in no tar of {self.root}", *self._broken])
            return Reject(where, key, "unreadable-file", detail)
        if isinstance(place, _Several):
            named = ", ".join(f"{self._tars[one.tar]}: {readable_name(one.path)}" for one in place.places[:4])
            more = f" and {len(place.places) - 4} more" if len(place.places) > 4 else ""
            return Reject(where, key, "ambiguous-image", f"{name!r} may be {named}{more}")
        if place.size > MAX_BYTES:
            return Reject(where, key, "too-large", too_large(name, place.size).what)
        with self._tars[place.tar].open("rb") as file:
            contents = read_members(file.fileno(), [("", place.offset, place.size)])
        if contents is None:
            return Reject(where, key, "unreadable-file", f"{self._tars[place.tar]} ends inside {name!r}")
        return contents[0][1]

    def _is_loose(self, name: str) -> bool:
        try:
            return bool(name) and self._folder is not None and (self._folder / name).exists()
        except (OSError, ValueError):  # a name that is too long or contains NUL
            return False

    def _find(self, name: str, where: str) -> _ImagePlace | _Several | None:
        found = self._places.get(posixpath.basename(name), [])
        wanted = posixpath.normpath(name)
        same = [place for place in found if posixpath.normpath(place.path) == wanted and "/" in wanted]
        own = self._own_tars(where)
        if same:
            found = [place for place in same if place.tar in own] or same
        elif own:
            found = [place for place in found if place.tar in own]
        if len(found) > 1:
            return _Several(tuple(found))
        return found[0] if found else None

    def _own_tars(self, where: str) -> set[int]:
        """Finds the tars with the name of the file of rows.

        Args:
            where: file and line of a row.
        """
        match = _ROW_FILE.match(posixpath.basename(where))
        stem = match.group(1) if match else ""
        return {number for number, tar in enumerate(self._tars) if stem and tar.stem == stem}

    def _members(self, tar: Path, number: int) -> Iterator[_ImagePlace]:
        try:
            with tar.open("rb") as file:
                packed = packed_format(file.read(8))
                if packed:
                    hint = "unpack it: images are read by name, here and there"
                    raise DataError(f"{tar}: is packed by {packed}", hint=hint)
                files, broken = scan_files(file)
        except OSError as error:
            raise DataError(f"{tar}: cannot be read ({error})", hint="fetch it again") from error
        if broken and not files and self._folder is None:
            raise DataError(f"{tar}: cannot be read ({broken})", hint="fetch it again")
        if broken:
            if files:
                files.popitem()  # its content may be cut
            self._broken.append(f"{tar} cannot be read to its end ({broken})")
        for path, (offset, size) in files.items():
            yield _ImagePlace(number, path, offset, size)
