"""A bounded cache on disk: blocks of remote files, shared by all processes of a machine."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from vila2.data.atomic import write_bytes_atomic
from vila2.errors import DataError

_DEFAULT_GB = 20.0
_CRC = 4  # bytes in front of a block
_LOOK_EVERY = 256  # blocks written between two looks at the size of the cache
_KEPT = 0.9  # share of the bound that is left when it was passed


def cache_folder() -> Path:
    """The folder in which copies of remote data lie."""
    return Path(os.environ.get("VILA2_CACHE") or Path.home() / ".cache" / "vila2")


def cache_bytes() -> int:
    """The number of bytes that the blocks may take.

    Raises:
        DataError: ``$VILA2_CACHE_GB`` is no number.
    """
    said = os.environ.get("VILA2_CACHE_GB") or _DEFAULT_GB
    try:
        return int(float(said) * 1e9)
    except ValueError as error:
        raise DataError(f"VILA2_CACHE_GB: {said!r} is no number", hint="say how many gigabytes") from error


class BlockCache:
    """The blocks of one remote file.

    Args:
        folder: folder of its blocks.
        bound: number of bytes that all files' blocks may take; 0 keeps none.
    """

    _written = 0  # by this process, of all files

    def __init__(self, folder: Path, bound: int) -> None:
        self.folder, self.bound = folder, bound

    @classmethod
    def of(cls, url: str, version: str) -> BlockCache:
        """The blocks of the file at a URL whose content has this version."""
        name = hashlib.sha256(f"{url} {version}".encode()).hexdigest()[:32]
        return cls(cache_folder() / "blocks" / name, cache_bytes())

    def read(self, number: int) -> bytes | None:
        """A block; None where it is not kept, or was damaged on disk."""
        path = self.folder / str(number)
        try:
            content = path.read_bytes()
            if zlib.crc32(content[_CRC:]) != int.from_bytes(content[:_CRC], "little"):
                return None
            os.utime(path)  # it was used: others go first
        except OSError:
            return None
        return content[_CRC:]

    def write(self, number: int, data: bytes) -> None:
        """Keeps a block. A disk that is full or cannot be written keeps none."""
        if not self.bound:
            return
        with suppress(OSError):
            crc = zlib.crc32(data).to_bytes(_CRC, "little")
            write_bytes_atomic(self.folder / str(number), crc + data, durable=False)
        if BlockCache._written % _LOOK_EVERY == 0:
            trim(self.folder.parent, self.bound)
        BlockCache._written += 1


def trim(folder: Path, bound: int) -> None:
    """Removes the blocks that were used longest ago, if all of them together are larger than ``bound``."""
    blocks = sorted(_blocks(folder))
    size = sum(length for _, length, _ in blocks)
    if size <= bound:
        return
    for _, length, path in blocks:
        if size <= bound * _KEPT:
            return
        with suppress(OSError):  # another process removed it
            os.unlink(path)
        size -= length


def _blocks(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Time of the last use, size and path of every block."""
    for above, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                status = os.stat(path := os.path.join(above, name))
                yield status.st_mtime, status.st_size, path
