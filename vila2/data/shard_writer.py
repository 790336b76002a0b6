"""Writes one shard: a tar, with equal bytes for equal samples, and its offset index."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from vila2.data.atomic import sync_folder, write_bytes_atomic
from vila2.data.member_names import split_member
from vila2.data.offset_index import IndexBuilder
from vila2.data.sample import Sample
from vila2.data.tar_members import forget_members
from vila2.data.tar_sample import has_text

_HEXADECIMAL = re.compile("[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """One shard, as dataset.json names it.

    Attributes:
        name: name of the tar.
        count: number of samples.
        bytes: size of the tar in bytes.
        sha256: digest of the tar.
    """

    name: str
    count: int
    bytes: int
    sha256: str

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> ShardInfo:
        """Reads an entry of dataset.json.

        Raises:
            ValueError: it has another shape, or names a file elsewhere.
        """
        info = cls(**entry)
        if "/" in info.name or not info.name.endswith(".tar"):
            raise ValueError(f"{info.name!r} is no shard of this folder")
        if not isinstance(info.sha256, str) or not _HEXADECIMAL.fullmatch(info.sha256):
            raise ValueError(f"{info.name} has no digest")
        # A sample takes more than a byte, so no count is beyond what the file's size allows.
        if type(info.count) is not int or type(info.bytes) is not int or not 0 <= info.count <= info.bytes:
            raise ValueError(f"{info.name} cannot hold {info.count!r} samples in {info.bytes!r} bytes")
        return info


class ShardWriter:
    """Writes one tar under a temporary name and renames it when it is complete.

    Owner, mode and time of all members are fixed, so that equal samples give equal bytes.

    Args:
        folder: folder of the shards.
        number: number of the shard.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._path = folder / f"{number:06d}.tar"
        self._partial = folder / f".{number:06d}.tar.partial"
        self._file = _HashedFile(self._partial)
        file = cast(IO[bytes], self._file)  # tarfile only writes to it and asks where it is
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._index = IndexBuilder()

    def __len__(self) -> int:
        return len(self._index)

    def add(self, sample: Sample, members: list[tuple[str, bytes]]) -> None:
        """Adds a sample.

        Args:
            sample: the sample.
            members: its members, from :func:`~vila2.data.tar_sample.pack_sample`.
        """
        places = []
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            self._tar.addfile(info, io.BytesIO(data))
            forget_members(self._tar)
            padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            named = split_member(name)
            assert named is not None, name
            places.append((named[1], self._tar.offset - padded, len(data)))
        crcs = [zlib.crc32(data) for _, data in members]
        self._index.add(sample.key, places, crcs, text=has_text(sample))

    def close(self) -> ShardInfo:
        """Completes the tar and its index."""
        self._tar.close()
        sha256, size = self._file.close()
        os.replace(self._partial, self._path)
        sync_folder(self._path.parent)
        index = self._index.build(sha256=sha256, size=size)
        write_bytes_atomic(self._path.with_suffix(".index"), index.to_bytes())
        return ShardInfo(self._path.name, len(index), size, sha256)


class _HashedFile:
    """A file that is hashed while it is written from front to back."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> tuple[str, int]:
        size = self._file.tell()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.hexdigest(), size
