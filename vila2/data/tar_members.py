"""Finds the samples in a tar of any origin, whatever the order of their members, and what belongs to none."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, NamedTuple, Protocol, cast

from vila2.data.files import MAX_BYTES, readable_name, too_large
from vila2.data.member_names import Named, member_kind, split_member, split_members
from vila2.data.remote import RemoteFile
from vila2.data.sample import Sample
from vila2.data.tar_sample import is_own_json, json_status, unpack_sample
from vila2.errors import DataError

Member = tuple[str, int, int]  # extension, offset of its content, size

_NO_FILES = {tarfile.SYMTYPE: "symbolic link", tarfile.LNKTYPE: "hard link", tarfile.FIFOTYPE: "pipe"}
_PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_FAR = 1 << 16  # bytes between two members; fewer are read rather than skipped


@dataclass(slots=True)
class Group:
    """The members of one sample.

    Attributes:
        base: common part of the members' names.
        name: name of the first member.
        places: offset and size of each member's content in bytes, by extension, in the order of the tar.
    """

    base: str
    name: str
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def members(self) -> list[Member]:
        """The members, in the order of the tar."""
        return [(extension, offset, size) for extension, (offset, size) in self.places.items()]


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Members of one kind that belong to no sample.

    Attributes:
        count: number of members.
        example: name of one of them.
    """

    count: int
    example: str

    def __add__(self, other: LeftAlone) -> LeftAlone:
        return LeftAlone(self.count + other.count, self.example)


@dataclass(frozen=True, slots=True)
class TarContents:
    """The content of a tar.

    Attributes:
        groups: members of each sample, in the order of their first members.
        left_alone: members that belong to no sample, by extension or kind.
        broken: reason why the tar cannot be read to its end; "" where it can.
        broken_at: name of the sample in which the tar breaks off; it is not among the groups.
    """

    groups: list[Group]
    left_alone: dict[str, LeftAlone]
    broken: str = ""
    broken_at: str = ""


class Refused(NamedTuple):
    """A group that gives no sample; its fields are those of :class:`vila2.data.rejects.Reject`."""

    where: str
    key: str
    reason: str
    detail: str


def scan_tar(file: BinaryIO, *, where: str, own: bool = False) -> TarContents:
    """Reads the headers of an uncompressed tar, and joins the members of each sample by name.

    Only names and places are held in memory, some hundred bytes a member. Two samples of one name stay two:
    members that stand side by side join the first sample of their name that has none of their extensions.
    Images whose names differ only in the extension become samples of their own, by their whole names, and
    share the text.

    Args:
        file: the open tar.
        where: path of the tar, for errors.
        own: whether vila2 wrote the tar, so that its names are split without guessing.

    Raises:
        DataError: a member can run code when it is decoded.
    """
    names: list[str] = []
    places: list[tuple[int, int]] = []  # offset and size
    links: dict[int, str] = {}
    left: dict[str, LeftAlone] = {}
    broken = ""
    try:
        for info in _entries(file):
            if info.isfile() and not info.issparse():
                names.append(info.name)
                places.append((info.offset_data, info.size))
            elif info.islnk():
                links[len(names)] = info.linkname
                names.append(info.name)
                places.append((0, 0))
            elif not info.isdir():
                kind = "sparse file" if info.issparse() else _NO_FILES.get(info.type, "device")
                _count(left, kind, info.name)
    except (tarfile.TarError, OSError, EOFError) as error:
        broken = str(error)
    if links:
        known = {name: place for name, place in zip(names, places, strict=True) if place != (0, 0)}
        for number, target in links.items():
            places[number] = known.get(target, (0, -1))
    found = _split_own(names, where) if own else split_members(names, where=where)
    broken_at = ""
    if broken and found and found[-1].base is not None:
        broken_at = found[-1].base
    return TarContents(_join(names, places, found, left, broken_at), left, broken, broken_at)


def _split_own(names: Sequence[str], where: str) -> list[Named]:
    found = []
    for name in names:
        split = split_member(name) or ("", "")
        found.append(Named(*split, member_kind(split[1], where=f"{where}: {name}")))
    return found


def _join(
    names: Sequence[str],
    places: Sequence[tuple[int, int]],
    found: Sequence[Named],
    left: dict[str, LeftAlone],
    broken_at: str,
) -> list[Group]:
    """Joins members to groups; counts those that belong to none in ``left``."""
    runs: list[Group] = []  # members that stand side by side
    for name, (offset, size), named in zip(names, places, found, strict=True):
        if not named.kind or named.base is None or size < 0:
            _count(left, "hard link" if size < 0 else named.extension, name)
        elif named.base != broken_at or not broken_at:
            extension = sys.intern(named.extension)
            if not runs or runs[-1].base != named.base or extension in runs[-1].places:
                runs.append(Group(named.base, name))
            runs[-1].places[extension] = (offset, size)
    by_base: dict[str, list[Group]] = {}
    joined: list[Group] = []
    for run in runs:
        same = by_base.setdefault(run.base, [])
        group = next((one for one in same if one.places.keys().isdisjoint(run.places)), None)
        if group is None:
            same.append(run)
            joined.append(run)
        else:
            group.places |= run.places
    return [part for group in joined for part in _parted(group)]


def _parted(group: Group) -> list[Group]:
    """Splits a group whose images differ only in the extension ("a.jpg", "a.png") into one group for each."""
    images = {extension: place for extension, place in group.places.items() if _is_plain_image(extension)}
    if len(images) < 2:
        return [group]
    others = {extension: place for extension, place in group.places.items() if extension not in images}
    return [
        Group(f"{group.base}.{extension}", group.name, {extension: place, **others})
        for extension, place in images.items()
    ]


def _is_plain_image(extension: str) -> bool:
    return "." not in extension and member_kind(extension, where="") == "image"


def _count(left: dict[str, LeftAlone], kind: str, name: str) -> None:
    one = LeftAlone(1, readable_name(name))
    left[kind] = left[kind] + one if kind in left else one


def scan_files(file: BinaryIO) -> tuple[dict[str, tuple[int, int]], str]:
    """Finds offset and size of each file in an uncompressed tar, by name; the last of several with one name.

    Returns:
        The files, and the reason why the tar cannot be read to its end ("" where it can).
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        for info in _entries(file):
            if info.isfile() and not info.issparse():
                found.pop(info.name, None)
                found[info.name] = (info.offset_data, info.size)
            elif info.islnk() and info.linkname in found:
                found[info.name] = found[info.linkname]
    except (tarfile.TarError, OSError, EOFError) as error:
        return found, str(error)
    return found, ""


def read_members(tar: int | RemoteFile, members: Sequence[Member]) -> list[tuple[str, bytes]] | None:
    """Reads the members of a sample; those that stand close together are read at once.

    Args:
        tar: descriptor of the open tar, or a tar at a URL.
        members: members of one sample.

    Returns:
        Extension and content of each member; None where the file ends too early.
    """
    if not members:
        return []
    pread = partial(os.pread, tar) if isinstance(tar, int) else tar.pread
    _, start, wanted = members[0]
    end = start + wanted
    for _, offset, size in members[1:]:
        wanted += size
        if offset < start:
            start = offset
        if offset + size > end:
            end = offset + size
    if end - start > wanted + _FAR:
        contents = [(extension, pread(size, offset)) for extension, offset, size in members]
    else:
        span = pread(end - start, start)
        contents = [(ext, span[offset - start : offset - start + size]) for ext, offset, size in members]
        if len(span) == end - start:
            return contents
    for (_, data), (_, _, size) in zip(contents, members, strict=True):
        if len(data) != size:
            return None
    return contents


def open_group(
    descriptor: int, group: Group, *, where: str, images: bool = True, text_only: bool = False
) -> Sample | Refused:
    """Reads the sample of a group.

    Args:
        descriptor: descriptor of the open tar.
        group: group of this tar.
        where: path of the tar, which the sample or the refusal names.
        images: whether to read the images; False is faster where only key, turns and meta are needed.
        text_only: whether a text without an image is a sample; in a tar of vila2, it always is.

    Returns:
        The sample, or the reason why there is none.
    """
    sample, _ = open_members(descriptor, group, where=where, images=images, text_only=text_only)
    return sample


def open_members(
    descriptor: int, group: Group, *, where: str, images: bool = True, text_only: bool = False
) -> tuple[Sample | Refused, list[tuple[str, bytes]]]:
    """Reads the sample of a group as :func:`open_group` does.

    Returns:
        The sample with extension and content of each member, or the reason why there is none.
    """
    key = readable_name(group.base)
    place = f"{where}: {readable_name(group.name)}"

    def refused(reason: str, detail: str) -> tuple[Refused, list[tuple[str, bytes]]]:
        return Refused(place, key, reason, detail), []

    large = next((size for _, _, size in group.members if size > MAX_BYTES), 0)
    if large:
        return refused("too-large", too_large(key, large).what)
    wanted = [
        (extension, offset, size if images or member_kind(extension, where=place) != "image" else 0)
        for extension, offset, size in group.members
    ]
    contents = read_members(descriptor, wanted)
    if contents is None:
        return refused("unreadable-member", "the tar ends inside")
    try:
        sample = unpack_sample(key, contents, where=where)
    except DataError as error:
        return refused("unreadable-member", error.what)
    if (
        not sample.images
        and not text_only
        and not any(is_own_json(data) for ext, data in contents if ext == "json")
    ):
        held = ", ".join(f".{extension}" for extension, _ in contents)
        status = next((found for ext, data in contents if ext == "json" and (found := json_status(data))), "")
        return refused("no-image", f"only {held}" + (f" ({status})" if status else ""))
    return Sample(sample.key, sample.images, sample.turns, sample.meta, where=place), contents


class _Listing(Protocol):
    """The attribute of a tar that typeshed does not know."""

    members: list[tarfile.TarInfo]


def forget_members(tar: tarfile.TarFile) -> None:
    """Empties tarfile's list of a tar's members, which would otherwise grow with the tar."""
    cast(_Listing, tar).members = []


def packed_format(start: bytes) -> str:
    """Finds a file's compression by its first bytes: "gzip", "bzip2", "xz", "zstd", or ""."""
    return next((name for mark, name in _PACKED if start.startswith(mark)), "")


def _entries(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Reads all entries of a tar and of further tars in the same file (`cat a.tar b.tar`).

    Raises:
        tarfile.TarError: the file is not a tar or breaks off.
    """
    start: int | None = 0
    while start is not None:
        file.seek(start)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            if start and not cast(_Listing, tar).members:  # what follows a complete tar is not a tar
                return
            for info in tar:
                if info.size < 0:
                    raise tarfile.ReadError(f"{readable_name(info.name)} has a negative size")
                yield info
                forget_members(tar)
            start = _behind(tar, file)


def _behind(tar: tarfile.TarFile, file: BinaryIO) -> int | None:
    """Finds the place of anything that follows the end of a tar; None where only zeros follow.

    ``tarfile`` alone would take a tar for complete that was cut between two members or continues with
    garbage.

    Raises:
        tarfile.ReadError: there is no end mark where the next member would start.
    """
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it stops without an end mark")
    start = tar.offset + tarfile.BLOCKSIZE
    while block := file.read(1 << 20):
        rest = block.lstrip(tarfile.NUL)
        if rest:
            return start + (len(block) - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
        start += len(block)
    return None
