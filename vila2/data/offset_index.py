"""The offset index of a tar: where each member of each sample starts, for random access without scanning.

A file of a magic line, a header line in JSON and flat little-endian arrays, so that opening one costs a read
and nothing is parsed per sample.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from vila2.data.member_names import member_kind, split_member
from vila2.data.packed_sample import has_text, unpack_sample
from vila2.errors import DataError

_MAGIC = b"vila2-index 1\n"
Member = tuple[str, int, int]  # extension, offset of its content, size


@dataclass(frozen=True, eq=False)
class OffsetIndex:
    """What a tar holds, and where.

    Attributes:
        sha256: of the whole tar.
        bytes: size of the tar.
        mtime_ns: the tar's modification time when a foreign tar was indexed; None for tars that
            :func:`~vila2.data.shard_writing.write_dataset` wrote, which are known by their digest.
        ignored: members that are neither image nor text nor JSON, counted by extension.
        bases: the samples' tar names (without extension); ``keys`` differ where a name had to be made safe.
        texts: whether each sample has text to train on; bool [samples].
    """

    sha256: str
    bytes: int
    mtime_ns: int | None
    ignored: Mapping[str, int]
    extensions: tuple[str, ...]
    first: np.ndarray  # int64 [samples + 1], a sample's first member
    offsets: np.ndarray  # int64 [members]
    sizes: np.ndarray  # int64 [members]
    codes: np.ndarray  # uint16 [members], into `extensions`
    texts: np.ndarray  # bool [samples]
    ends: np.ndarray  # int64 [samples + 1], where keys end in `blob`
    blob: bytes

    def __len__(self) -> int:
        return len(self.texts)

    def key(self, place: int) -> str:
        """The key of sample number ``place``."""
        return self.blob[self.ends[place] : self.ends[place + 1]].decode()

    def keys(self) -> list[str]:
        """All keys, in the order of the tar."""
        ends = self.ends.tolist()
        return [self.blob[a:b].decode() for a, b in pairwise(ends)]

    def members(self, place: int) -> list[Member]:
        """Extension, offset and size of each member of sample number ``place``, in the order of the tar."""
        members = slice(self.first[place], self.first[place + 1])
        codes, offsets, sizes = self.codes[members], self.offsets[members], self.sizes[members]
        return [
            (self.extensions[code], offset, size)
            for code, offset, size in zip(codes.tolist(), offsets.tolist(), sizes.tolist(), strict=True)
        ]

    def to_bytes(self) -> bytes:
        """The index file."""
        body = b"".join(
            array.tobytes()
            for array in (self.first, self.ends, self.offsets, self.sizes, self.codes, self.texts)
        )
        body += self.blob
        header = {
            "sha256": self.sha256,
            "bytes": self.bytes,
            "mtime_ns": self.mtime_ns,
            "ignored": dict(self.ignored),
            "extensions": self.extensions,
            "samples": len(self),
            "members": len(self.codes),
            "crc32": zlib.crc32(body),
        }
        return _MAGIC + json.dumps(header).encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> OffsetIndex:
        """Reads what :meth:`to_bytes` made.

        Raises:
            DataError: another format, or a damaged file.
        """
        try:
            magic, line, _ = data.split(b"\n", 2)
            if magic + b"\n" != _MAGIC:
                raise ValueError("not an index of this version")
            header = json.loads(line)
            body = memoryview(data)[len(magic) + len(line) + 2 :]
            if zlib.crc32(body) != header["crc32"]:
                raise ValueError("its checksum differs")
            samples, members = header["samples"], header["members"]
            arrays, start = [], 0
            for dtype, length in (
                ("<i8", samples + 1),
                ("<i8", samples + 1),
                ("<i8", members),
                ("<i8", members),
                ("<u2", members),
                ("?", samples),
            ):
                array = np.frombuffer(body, dtype=dtype, count=length, offset=start)
                arrays.append(array)
                start += array.nbytes
            first, ends, offsets, sizes, codes, texts = arrays
            known = (header["sha256"], header["bytes"], header["mtime_ns"], header["ignored"])
            extensions = tuple(header["extensions"])
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{where}: not a sound index ({error})", mend="delete it; it is made anew"
            ) from error
        return cls(*known, extensions, first, offsets, sizes, codes, texts, ends, bytes(body[start:]))


@dataclass
class IndexBuilder:
    """Collects samples in the order of the tar."""

    _members: list[list[Member]] = field(default_factory=list)
    _keys: list[bytes] = field(default_factory=list)
    _texts: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, members: Sequence[Member], *, text: bool) -> None:
        """Adds one sample; ``text`` tells whether it has anything to train on."""
        self._keys.append(key.encode())
        self._members.append(list(members))
        self._texts.append(text)

    def build(
        self,
        *,
        sha256: str,
        size: int,
        mtime_ns: int | None = None,
        ignored: Mapping[str, int] | None = None,
    ) -> OffsetIndex:
        """The finished index."""
        flat = [member for members in self._members for member in members]
        extensions = tuple(sorted({extension for extension, _, _ in flat}))
        code = {extension: number for number, extension in enumerate(extensions)}
        return OffsetIndex(
            sha256,
            size,
            mtime_ns,
            dict(sorted((ignored or {}).items())),
            extensions,
            first=np.cumsum([0, *map(len, self._members)], dtype="<i8"),
            offsets=np.array([offset for _, offset, _ in flat], dtype="<i8"),
            sizes=np.array([length for _, _, length in flat], dtype="<i8"),
            codes=np.array([code[extension] for extension, _, _ in flat], dtype="<u2"),
            texts=np.array(self._texts, dtype="?"),
            ends=np.cumsum([0, *map(len, self._keys)], dtype="<i8"),
            blob=b"".join(self._keys),
        )


def index_tar(path: Path, *, foreign: bool = True) -> OffsetIndex:
    """Makes the index of a tar by reading it through.

    Args:
        path: an uncompressed WebDataset tar.
        foreign: whether to record the modification time, by which a changed tar is noticed later.

    Raises:
        DataError: no tar, a tar that is cut off, a member type that is refused, or a JSON or text that
            can not be read.
    """
    builder, ignored = IndexBuilder(), {}
    group: list[Member] = []
    base = None
    try:
        with path.open("rb") as file:
            stat = path.stat()
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for info in tar:
                    named = split_member(info.name) if info.isfile() else None
                    if named is None:
                        continue
                    if not member_kind(named[1], where=f"{path}: {info.name}"):
                        ignored[named[1]] = ignored.get(named[1], 0) + 1
                        continue
                    if named[0] != base:
                        _close_group(builder, file.fileno(), path, base, group)
                        base, group = named[0], []
                    group.append((named[1], info.offset_data, info.size))
                    tar.members = []  # or tarfile keeps them all
                check_tar_end(tar)
            _close_group(builder, file.fileno(), path, base, group)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{path}: the tar can not be read to its end ({error})",
            mend="fetch or write it again; a tar must not be compressed",
        ) from error
    mtime_ns = stat.st_mtime_ns if foreign else None
    return builder.build(sha256=sha256, size=stat.st_size, mtime_ns=mtime_ns, ignored=ignored)


def check_tar_end(tar: tarfile.TarFile) -> None:
    """Checks, after the last member was read, that a tar ends as it should.

    ``tarfile`` takes a tar that was cut between two members, or goes on with garbage, for a whole one.

    Raises:
        tarfile.ReadError: no end mark where the next member would start.
    """
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it stops without an end mark")


def _close_group(
    builder: IndexBuilder, descriptor: int, path: Path, base: str | None, group: list[Member]
) -> None:
    if base is None or not group:
        return
    contents = []
    for extension, offset, size in group:
        image = member_kind(extension, where=str(path)) == "image"  # only key and turns are asked for here
        contents.append((extension, b"" if image else os.pread(descriptor, size, offset)))
    sample = unpack_sample(base, contents, where=str(path))
    try:
        builder.add(sample.key, group, text=has_text(sample))
    except UnicodeEncodeError as error:
        raise DataError(
            f"{path}: the name {base!r} is not UTF-8", mend="repack the tar with UTF-8 names"
        ) from error
