"""The offset index of a tar: the place of each member of each sample, for random access without scanning.

The file consists of a magic line, a header line in JSON, and flat little-endian arrays. Opening it takes one
read, and nothing is parsed per sample.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vila2.data.parsing import MISSHAPEN, described
from vila2.data.sample import Sample
from vila2.data.tar_members import (
    Group,
    LeftAlone,
    Member,
    Refused,
    open_members,
    packed_format,
    scan_tar,
)
from vila2.data.tar_sample import has_text
from vila2.errors import DataError

_MAGIC = b"vila2-index 1\n"
#: Version of the rules that join the members of foreign tars; an index by other rules is made anew.
RULES = 2


@dataclass(frozen=True, eq=False)
class OffsetIndex:
    """The samples of a tar and the places of their members.

    Attributes:
        sha256: digest of the whole tar.
        size: size of the tar in bytes.
        mtime_ns: modification time of a foreign tar when it was indexed; None for tars that
            :func:`~vila2.data.importing.write_dataset` wrote, which are known by their digest.
        left_alone: number and example of the members that belong to no sample, by extension or kind.
        refused: groups of members that give no sample, with the reason.
        extensions: all extensions of members; ``codes`` are numbers of this list.
        first: number of each sample's first member, int64 [samples + 1].
        offsets: place of each member's content in the tar, int64 [members].
        sizes: size of each member's content in bytes, int64 [members].
        codes: extension of each member, uint16 [members].
        texts: whether each sample has text to train on, bool [samples].
        ends: place in ``blob`` where each key ends, int64 [samples + 1].
        blob: all keys in UTF-8, one behind the other.
        crcs: CRC-32 of each member's content, uint32 [members]; None in an index of an earlier version.
    """

    sha256: str
    size: int
    mtime_ns: int | None
    left_alone: Mapping[str, LeftAlone]
    refused: tuple[Refused, ...]
    extensions: tuple[str, ...]
    first: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    codes: npt.NDArray[np.uint16]
    texts: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.int64]
    blob: bytes
    crcs: npt.NDArray[np.uint32] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def memory(self) -> int:
        """Bytes that the arrays and the keys take."""
        arrays = (self.first, self.offsets, self.sizes, self.codes, self.texts, self.ends)
        sums = 0 if self.crcs is None else self.crcs.nbytes
        return sum(array.nbytes for array in arrays) + sums + len(self.blob)

    def key(self, place: int) -> str:
        """Gives the key of sample number ``place``."""
        ends = self._numbers[3]
        return self.blob[ends[place] : ends[place + 1]].decode()

    def keys(self) -> list[str]:
        """Gives all keys, in the order of the tar."""
        ends = self.ends.tolist()
        return [self.blob[a:b].decode() for a, b in pairwise(ends)]

    def members(self, place: int) -> list[Member]:
        """Gives the members of sample number ``place``, in the order of the tar."""
        first, offsets, sizes, _, codes, _ = self._numbers
        return [
            (self.extensions[codes[member]], offsets[member], sizes[member])
            for member in range(first[place], first[place + 1])
        ]

    def changed(self, place: int, contents: Sequence[tuple[str, bytes]]) -> str | None:
        """Compares the content of sample number ``place``, or of some of its members, with the checksums.

        Returns:
            The extension of a member that changed since the tar was indexed; None without one.
        """
        if self.crcs is None:
            return None
        first, _, _, _, codes, crcs = self._numbers
        member = first[place]
        for extension, data in contents:  # in the order of the tar
            while self.extensions[codes[member]] != extension:
                member += 1
            if zlib.crc32(data) != crcs[member]:
                return extension
            member += 1
        return None

    @cached_property
    def _numbers(self) -> tuple[memoryview[int], ...]:
        """The arrays but ``texts`` and the blob; a view gives a number faster than an array of numpy's."""
        arrays = (self.first, self.offsets, self.sizes, self.ends)
        wide = (array.astype("=i8", copy=False).view(np.uint8).data.cast("q") for array in arrays)
        crcs = np.zeros(0, "=u4") if self.crcs is None else self.crcs.astype("=u4", copy=False)
        codes = self.codes.astype("=u2", copy=False)
        return (*wide, codes.view(np.uint8).data.cast("H"), crcs.view(np.uint8).data.cast("I"))

    def to_bytes(self) -> bytes:
        """Gives the content of the index file."""
        arrays = (self.first, self.ends, self.offsets, self.sizes, self.codes, self.texts)
        body = b"".join(array.tobytes() for array in arrays) + self.blob
        if self.crcs is not None:
            body += self.crcs.tobytes()
        header = {
            "sha256": self.sha256,
            "bytes": self.size,
            "mtime_ns": self.mtime_ns,
            "left_alone": {kind: [left.count, left.example] for kind, left in self.left_alone.items()},
            "refused": self.refused,
            "rules": RULES,
            "extensions": self.extensions,
            "samples": len(self),
            "members": len(self.codes),
            "checksums": self.crcs is not None,
            "crc32": zlib.crc32(body),
        }
        header["head"] = _crc(header)
        return _MAGIC + json.dumps(header).encode() + b"\n" + body

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> OffsetIndex:
        """Reads what :meth:`to_bytes` made.

        Raises:
            DataError: the file has another format or is damaged.
        """
        try:
            magic, line, _ = data.split(b"\n", 2)
            if magic + b"\n" != _MAGIC:
                raise ValueError("not an index of this version")
            header = json.loads(line)
            body = memoryview(data)[len(magic) + len(line) + 2 :]
            if zlib.crc32(body) != header["crc32"] or header.pop("head", _crc(header)) != _crc(header):
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
            if header["mtime_ns"] is not None and header.get("rules") != RULES:
                raise ValueError("made by other rules")
            left_alone = {kind: LeftAlone(*left) for kind, left in header.get("left_alone", {}).items()}
            refused = tuple(Refused(*one) for one in header.get("refused", ()))
            known = (header["sha256"], header["bytes"], header["mtime_ns"], left_alone, refused)
            extensions = tuple(header["extensions"])
            crcs = None
            if header.get("checksums", False):
                body, sums = body[: len(body) - 4 * members], body[len(body) - 4 * members :]
                crcs = np.frombuffer(sums, dtype="<u4", count=members)
            blob = bytes(body[start:])
            index = cls(*known, extensions, first, offsets, sizes, codes, texts, ends, blob, crcs)
            index._check()
        except MISSHAPEN as error:
            raise DataError(
                f"{where}: not a sound index ({described(error)})", hint="delete it; it is made anew"
            ) from error
        return index

    def _check(self) -> None:
        """Checks that all places lie within the arrays and the tar.

        Raises:
            ValueError: they do not.
        """
        for array, last in ((self.first, len(self.codes)), (self.ends, len(self.blob))):
            if array[0] != 0 or array[-1] != last or (np.diff(array) < 0).any():
                raise ValueError("its places do not fit together")
        if len(self.codes) and (
            self.codes.max() >= len(self.extensions)
            or self.offsets.min() < 0
            or self.sizes.min() < 0
            or (self.offsets > self.size - self.sizes).any()
        ):
            raise ValueError("a member lies outside the tar")
        if not isinstance(self.sha256, str):
            raise ValueError("its digest is no text")
        self.blob.decode()


def _crc(header: Mapping[str, object]) -> int:
    """The checksum of a header itself; an index of an earlier version has none."""
    rest = {name: value for name, value in header.items() if name != "head"}
    return zlib.crc32(json.dumps(rest, sort_keys=True).encode())


@dataclass
class IndexBuilder:
    """Builds an index from samples, which are added in the order of the tar."""

    _members: list[list[Member]] = field(default_factory=list)
    _crcs: list[int] = field(default_factory=list)
    _keys: list[bytes] = field(default_factory=list)
    _texts: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, members: Sequence[Member], crcs: Sequence[int], *, text: bool) -> None:
        """Adds one sample.

        Args:
            key: key of the sample.
            members: its members.
            crcs: CRC-32 of the content of each.
            text: whether it has text to train on.
        """
        self._keys.append(key.encode())
        self._members.append(list(members))
        self._crcs += crcs
        self._texts.append(text)

    def build(
        self,
        *,
        sha256: str,
        size: int,
        mtime_ns: int | None = None,
        left_alone: Mapping[str, LeftAlone] | None = None,
        refused: Sequence[Refused] = (),
    ) -> OffsetIndex:
        """Makes the index.

        Args:
            sha256: digest of the tar.
            size: size of the tar in bytes.
            mtime_ns: modification time of a foreign tar.
            left_alone: members that belong to no sample, by extension or kind.
            refused: groups of members that give no sample.
        """
        flat = [member for members in self._members for member in members]
        extensions = tuple(sorted({extension for extension, _, _ in flat}))
        code = {extension: number for number, extension in enumerate(extensions)}
        return OffsetIndex(
            sha256,
            size,
            mtime_ns,
            dict(sorted((left_alone or {}).items())),
            tuple(refused),
            extensions,
            first=np.cumsum([0, *map(len, self._members)], dtype="<i8"),
            offsets=np.array([offset for _, offset, _ in flat], dtype="<i8"),
            sizes=np.array([length for _, _, length in flat], dtype="<i8"),
            codes=np.array([code[extension] for extension, _, _ in flat], dtype="<u2"),
            texts=np.array(self._texts, dtype="?"),
            ends=np.cumsum([0, *map(len, self._keys)], dtype="<i8"),
            blob=b"".join(self._keys),
            crcs=np.array(self._crcs, dtype="<u4"),
        )


def index_tar(path: Path, *, foreign: bool = True) -> OffsetIndex:
    """Makes the index of a tar by reading it through.

    Args:
        path: path of an uncompressed WebDataset tar.
        foreign: whether vila2 did not write it. The members of a foreign tar may stand in any order, what
            gives no sample is left out and noted, and the modification time is recorded, so that a change is
            noticed later.

    Raises:
        DataError: the file is not a tar or is truncated, or a member's type is refused; for a tar of vila2,
            also: a sample cannot be read.
    """
    try:
        with path.open("rb") as file:
            stat = os.fstat(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            contents = scan_tar(file, where=str(path), own=not foreign)
            if contents.broken:
                raise _unreadable(path, contents.broken)
            builder = IndexBuilder()
            refused = _add_groups(builder, file.fileno(), path, contents.groups, foreign)
    except OSError as error:
        raise _unreadable(path, str(error)) from error
    return builder.build(
        sha256=sha256,
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns if foreign else None,
        left_alone=contents.left_alone,
        refused=refused,
    )


def _add_groups(
    builder: IndexBuilder, descriptor: int, path: Path, groups: Sequence[Group], foreign: bool
) -> list[Refused]:
    """Adds the samples of a tar; returns the groups that give no sample."""
    refused: list[Refused] = []
    seen: set[str] = set()
    for group in groups:
        sample, contents = open_members(descriptor, group, where=str(path))
        if isinstance(sample, Sample) and sample.key in seen:
            sample = Refused(sample.where, sample.key, "duplicate-key", "an earlier sample has this key")
        if isinstance(sample, Refused):
            if not foreign:
                raise DataError(f"{sample.where}: {sample.detail}", hint="import the dataset again")
            refused.append(sample)
            continue
        seen.add(sample.key)
        crcs = [zlib.crc32(data) for _, data in contents]
        builder.add(sample.key, group.members, crcs, text=has_text(sample))
    return refused


def _unreadable(path: Path, reason: str) -> DataError:
    with suppress(OSError), path.open("rb") as file:
        packed = packed_format(file.read(8))
        if packed:
            return DataError(
                f"{path}: is compressed by {packed}, so samples cannot be reached by number",
                hint=f"decompress it first, or `vila2 data import img2dataset {path}`",
            )
    return DataError(
        f"{path}: the tar cannot be read to its end ({reason})",
        hint="fetch or write it again; `vila2 data import img2dataset` takes what came whole",
    )
