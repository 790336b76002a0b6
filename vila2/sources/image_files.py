"""Image files by name: from a folder, or out of tars without unpacking them."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import read_image


class ImageFiles:
    """The images that a file of rows names.

    Args:
        root: a folder of image files, a tar, or a folder of tars. The members of tars are found by their file
            name; the place of each is held in memory (about 200 bytes).

    Raises:
        DataError: a tar that can not be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        tars = [root] if root.suffix == ".tar" else sorted(root.glob("*.tar"))
        self._tars = tars
        self._places: dict[str, tuple[int, int, int]] = {}
        for number, tar in enumerate(tars):
            self._places.update(_members(tar, number))

    def read(self, name: Any, *, where: str, key: str) -> bytes | Reject:
        """An image's bytes.

        Args:
            name: as a row gives it.
            where, key: for the reject.

        Returns:
            The bytes; a ``Reject`` where there is no such image.
        """
        if not self._tars:
            return read_image(self.root, name, where=where, key=key)
        place = self._places.get(os.path.basename(name)) if isinstance(name, str) else None
        if place is None:
            return Reject(where, key, "unreadable-file", f"{name!r} is in no tar of {self.root}")
        number, offset, size = place
        with self._tars[number].open("rb") as file:
            return os.pread(file.fileno(), size, offset)


def _members(tar: Path, number: int) -> dict[str, tuple[int, int, int]]:
    places = {}
    try:
        with tarfile.open(tar, mode="r:") as opened:
            for info in opened:
                if info.isfile():
                    places[os.path.basename(info.name)] = (number, info.offset_data, info.size)
                opened.members = []  # or tarfile keeps them all
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{tar}: can not be read ({error})", mend="fetch it again") from error
    return places
