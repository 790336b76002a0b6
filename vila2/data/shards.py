"""A dataset on disk, with random access to its samples through the offset indexes of the shards."""

from __future__ import annotations

import hashlib
import os
import weakref
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from vila2.data.atomic import write_bytes_atomic
from vila2.data.files import readable_name
from vila2.data.images import IMAGE_EXTENSIONS
from vila2.data.importing import DatasetInfo, dataset_digest, read_info, write_dataset
from vila2.data.links import fetch_index, local_folder, url_of
from vila2.data.offset_index import OffsetIndex, index_tar
from vila2.data.packed_tars import is_tar_name
from vila2.data.rejects import Reject
from vila2.data.remote import RemoteFile, fetch
from vila2.data.replacement import UNFINISHED
from vila2.data.sample import Sample
from vila2.data.shard_writer import ShardInfo
from vila2.data.tar_members import LeftAlone, read_members
from vila2.data.tar_sample import unpack_sample
from vila2.errors import DataError

__all__ = ["DatasetInfo", "Reject", "ShardDataset", "ShardInfo", "write_dataset"]

_OPEN_SHARDS = 128  # in each process; half of the smallest usual limit on open files
_INDEX_BYTES = 128 << 20  # of indexes that a process keeps of shards whose file is closed again


class _OpenShard:
    """An open tar with its index; it is closed when nothing refers to it any more."""

    def __init__(self, path: Path, index: OffsetIndex, url: str | None) -> None:
        self.index = index
        self._where = url or str(path)
        self._tar: int | RemoteFile
        if url is not None:
            self._tar = RemoteFile(url, index.size, index.sha256)
            return
        self._tar = os.open(path, os.O_RDONLY)
        # Not __del__, which may run when the interpreter is half shut down.
        weakref.finalize(self, os.close, self._tar)

    def sample(self, place: int, *, images: bool = True) -> Sample:
        members = self.index.members(place)
        if not images:
            members = [one for one in members if one[0].rpartition(".")[2] not in IMAGE_EXTENSIONS]
        contents = read_members(self._tar, members)
        if contents is None:
            key = self.index.key(place)
            raise DataError(f"{self._where}: the tar ends inside sample {key!r}", hint=_HINT)
        if (extension := self.index.changed(place, contents)) is not None:
            key = self.index.key(place)
            raise DataError(
                f"{self._where}: the .{extension} of sample {key!r} is not what was written", hint=_HINT
            )
        return unpack_sample(self.index.key(place), contents, where=self._where)


_HINT = "a shard must not change after it was written: fetch or write the dataset again"


class ShardDataset:
    """The samples of a dataset by number; :meth:`open` opens a dataset folder or foreign WebDataset tars.

    A dataset can be pickled and forked for the workers of a data loader; open files are not shared.

    Attributes:
        name: name of the dataset.
        folder: folder of the dataset.
        shards: the shards, in order.
        rejected: number of inputs that were not taken, by reason.
    """

    def __init__(
        self, name: str, folder: Path, paths: tuple[Path, ...], shards: tuple[ShardInfo, ...], own: bool
    ):
        self.name = name
        self.folder = folder
        self.shards = shards
        self.rejected: dict[str, int] = {}
        self._paths = paths
        self._own = own
        self._url = url_of(folder)
        self._starts = list(accumulate((shard.count for shard in shards), initial=0))
        self._open: dict[int, _OpenShard] = {}
        self._indexes: dict[int, OffsetIndex] = {}
        self._index_bytes = 0
        self._numbers: dict[str, int] | None = None

    @classmethod
    def open(cls, folder: Path | str) -> ShardDataset:
        """Opens a dataset.

        Args:
            folder: path or URL of a folder with dataset.json; or path of a foreign tar, a folder of them or a
                glob of them, which are indexed when they are first opened.

        Raises:
            DataError: there is no dataset, its import did not finish, or a shard is missing or changed.
        """
        folder = local_folder(folder)
        if (folder / "dataset.json").is_file():
            return cls._open_own(folder)
        if (folder / UNFINISHED).exists():
            raise DataError(f"{folder}: the import of this dataset did not finish", hint="run it again")
        if folder.is_file():
            return cls._open_foreign(folder.parent, [folder])
        if folder.is_dir():
            tars = sorted(folder.glob("*.tar")) or sorted(folder.glob("shards/*.tar"))
            return cls._open_foreign(folder, tars or sorted(filter(_is_packed_tar, folder.iterdir())))
        tars = sorted(Path(folder.anchor or ".").glob(str(folder.relative_to(folder.anchor))))
        return cls._open_foreign(folder, tars)

    @classmethod
    def _open_own(cls, folder: Path) -> ShardDataset:
        info = read_info(folder)
        paths = tuple(folder / "shards" / shard.name for shard in info.shards)
        dataset = cls(info.name, folder, paths, info.shards, own=True)
        for path, shard in zip(paths, info.shards, strict=True):
            if dataset._url is not None:
                break  # there, shards are checked when they are read
            size = os.path.getsize(path) if os.path.exists(path) else None
            if size != shard.bytes:
                state = "is missing" if size is None else f"has {size} bytes instead of {shard.bytes}"
                raise DataError(f"{path}: {state}", hint=_HINT)
        dataset.rejected = info.rejected
        return dataset

    @classmethod
    def _open_foreign(cls, folder: Path, tars: list[Path]) -> ShardDataset:
        if not tars:
            raise DataError(
                f"{folder}: no dataset here, neither dataset.json nor .tar files",
                hint="make one with `vila2 data import`",
            )
        infos = []
        rejected: Counter[str] = Counter()
        for path in tars:
            index = _load_index(path, None)
            infos.append(ShardInfo(path.name, len(index), index.size, index.sha256))
            rejected.update(refused.reason for refused in index.refused)
        name = tars[0].stem if len(tars) == 1 else folder.name or folder.resolve().name
        dataset = cls(readable_name(name), folder, tuple(tars), tuple(infos), own=False)
        dataset.rejected = dict(sorted(rejected.items()))
        if not len(dataset):
            reasons = ", ".join(f"{reason} {count}" for reason, count in dataset.rejected.items())
            left = ", ".join(f"{left.count} {kind}" for kind, left in dataset.left_alone().items())
            place, why = tars[0] if len(tars) == 1 else folder, reasons or left or "nothing in it"
            raise DataError(
                f"{place}: no sample here ({why})",
                hint="a sample is an image with its .txt or .json: 0001.jpg, 0001.txt",
            )
        return dataset

    @property
    def digest(self) -> str:
        """Digest of the shards' digests."""
        return dataset_digest(self.shards)

    @property
    def place(self) -> str:
        """Where the dataset lies: its folder, or its URL."""
        return self._url or str(self.folder)

    @property
    def own(self) -> bool:
        """Whether :func:`write_dataset` wrote the dataset; otherwise it consists of foreign tars."""
        return self._own

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the tars, in order; of a linked dataset, where they would be."""
        return self._paths

    def shard_place(self, shard_no: int) -> str:
        """Tells where a shard lies: its path or its URL."""
        return self._shard_url(shard_no) or str(self._paths[shard_no])

    @contextmanager
    def whole_shard(self, shard_no: int) -> Iterator[Path]:
        """Gives the path of a shard within the block; one at a URL is fetched for it."""
        url = self._shard_url(shard_no)
        if url is None:
            yield self._paths[shard_no]
            return
        with TemporaryDirectory(prefix="vila2-shard-") as folder:
            copy = Path(folder, self._paths[shard_no].name)
            fetch(url, copy)
            yield copy

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, number: int) -> Sample:
        shard_no, place = self.locate(number)
        return self._shard(shard_no).sample(place)

    def without_images(self, number: int) -> Sample:
        """Reads a sample without its images, which are most of its bytes."""
        shard_no, place = self.locate(number)
        return self._shard(shard_no).sample(place, images=False)

    def __iter__(self) -> Iterator[Sample]:
        for shard_no in range(len(self.shards)):
            yield from self.iterate(shard_no)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_indexes": {}, "_index_bytes": 0, "_numbers": None}

    def locate(self, number: int) -> tuple[int, int]:
        """Finds the shard of a sample, by number, and the sample's place there.

        Raises:
            IndexError: no sample has this number.
        """
        count = self._starts[-1]
        if not -count <= number < count:
            raise IndexError(f"{self.folder}: sample {number} of {count}")
        number %= count
        shard_no = bisect_right(self._starts, number) - 1
        return shard_no, number - self._starts[shard_no]

    def iterate(self, shard_no: int) -> Iterator[Sample]:
        """Reads the samples of one shard, in order."""
        shard = self._shard(shard_no)
        return (shard.sample(place) for place in range(len(shard.index)))

    def shard_range(self, shard_no: int) -> range:
        """Gives the numbers of a shard's samples."""
        return range(self._starts[shard_no], self._starts[shard_no + 1])

    def keys(self) -> list[str]:
        """Gives all keys, in order."""
        return [key for shard_no in range(len(self.shards)) for key in self.shard_keys(shard_no)]

    def shard_keys(self, shard_no: int) -> list[str]:
        """Gives the keys of one shard, in order."""
        return self._shard(shard_no).index.keys()

    def shard_texts(self, shard_no: int) -> npt.NDArray[np.bool_]:
        """Tells of each sample of a shard whether it has text to train on, bool [samples]."""
        return self._shard(shard_no).index.texts

    def shard_images(self, shard_no: int) -> npt.NDArray[np.int64]:
        """Counts the images of each sample of a shard, int [samples]."""
        index = self._shard(shard_no).index
        kinds = [extension.rpartition(".")[2] in IMAGE_EXTENSIONS for extension in index.extensions]
        before: npt.NDArray[np.int64] = np.concatenate([[0], np.cumsum(np.array(kinds, bool)[index.codes])])
        counts: npt.NDArray[np.int64] = before[index.first[1:]] - before[index.first[:-1]]
        return counts

    def without_image(self) -> frozenset[str]:
        """Gives the keys of the samples that have no image."""
        return frozenset(
            key
            for shard_no in range(len(self.shards))
            for key, images in zip(self.shard_keys(shard_no), self.shard_images(shard_no), strict=True)
            if not images
        )

    def find(self, key: str) -> int:
        """Finds the number of the sample with a key.

        Raises:
            DataError: no sample has the key.
        """
        if self._numbers is None:
            self._numbers = {known: number for number, known in enumerate(self.keys())}
        if key not in self._numbers:
            raise DataError(
                f"{self.folder}: no sample has the key {key!r}", hint="`vila2 data preview` shows keys"
            )
        return self._numbers[key]

    def left_alone(self) -> dict[str, LeftAlone]:
        """Counts the members that belong to no sample, by extension or kind, with an example of each."""
        found: dict[str, LeftAlone] = {}
        for shard_no in range(len(self.shards)):
            for kind, left in self._shard(shard_no).index.left_alone.items():
                found[kind] = found[kind] + left if kind in found else left
        return found

    def index(self, shard_no: int) -> OffsetIndex:
        """Gives the offset index of a shard."""
        return self._shard(shard_no).index

    def _shard(self, shard_no: int) -> _OpenShard:
        shard = self._open.get(shard_no)
        if shard is None:
            url = self._shard_url(shard_no)
            shard = _OpenShard(self._paths[shard_no], self._index_at(shard_no, url), url)
            # The oldest shard goes; a thread that still reads it keeps it open.
            while len(self._open) >= _OPEN_SHARDS:
                self._open.pop(next(iter(self._open)), None)
            self._open[shard_no] = shard
        return shard

    def _shard_url(self, shard_no: int) -> str | None:
        return f"{self._url}/shards/{self._paths[shard_no].name}" if self._url is not None else None

    def _index_at(self, shard_no: int, url: str | None) -> OffsetIndex:
        """Loads the index of a shard, and keeps it, since loading takes as long as reading many samples."""
        index = self._indexes.get(shard_no)
        if index is None:
            path, info = self._paths[shard_no], self.shards[shard_no]
            if url is None:
                index = _load_index(path, info if self._own else None)
            else:
                index = _index_of(url, path, info)
            # Without checksums, a tar that changes while it is closed would not be noticed.
            if index.crcs is not None and self._index_bytes + index.memory <= _INDEX_BYTES:
                self._index_bytes += index.memory
                self._indexes[shard_no] = index
        return index


def file_sha256(path: Path) -> str:
    """Computes the sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_packed_tar(path: Path) -> bool:
    return is_tar_name(path.name) and path.is_file()


def _load_index(path: Path, info: ShardInfo | None) -> OffsetIndex:
    """Reads the index beside a tar, or makes it where it is missing, damaged or out of date.

    A new index is kept beside the tar where the folder can be written to, else in memory.

    Args:
        path: path of the tar.
        info: entry of the tar in dataset.json; None for a foreign tar.
    """
    file = path.with_suffix(".index")
    try:
        index = OffsetIndex.from_bytes(file.read_bytes(), where=str(file))
        if _is_current(index, path, info):
            return index
    except (OSError, DataError):
        pass  # missing or damaged: made again below
    index = index_tar(path, foreign=info is None)
    if info is not None and index.sha256 != info.sha256:
        raise DataError(f"{path}: the tar's content differs from what dataset.json says", hint=_HINT)
    with suppress(OSError):  # in a read-only folder, the index stays in this process alone
        write_bytes_atomic(file, index.to_bytes())
    return index


def _index_of(url: str, path: Path, info: ShardInfo) -> OffsetIndex:
    """Reads the index of a shard at a URL; it is kept where it would be beside a shard of this machine."""
    file = path.with_suffix(".index")
    for attempt in range(2):
        if attempt or not file.is_file():
            fetch_index(f"{url.removesuffix('.tar')}.index", file)
        with suppress(DataError):  # damaged here: fetched once more
            index = OffsetIndex.from_bytes(file.read_bytes(), where=str(file))
            if _is_current(index, path, info):
                return index
    raise DataError(
        f"{url}: its index is damaged, or of another tar",
        hint="`vila2 data verify` makes it anew where the dataset lies",
    )


def _is_current(index: OffsetIndex, path: Path, info: ShardInfo | None) -> bool:
    if info is not None:
        return index.sha256 == info.sha256
    stat = path.stat()
    return (index.size, index.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
