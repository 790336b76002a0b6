"""The photos of a job: folders, single files and lists of files as one list of photos with keys."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vila2.data.images import IMAGE_EXTENSIONS, image_extension
from vila2.errors import DataError
from vila2.nearest import nearest_path

_BOM = b"\xef\xbb\xbf"
#: Number of places that an error names.
_NAMED = 3
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Photo:
    """A file that is taken for a photo.

    Attributes:
        key: its name: the path within the folder that was given, with "/".
        path: path of the file.
    """

    key: str
    path: Path


@dataclass(frozen=True, slots=True)
class PhotoList:
    """The photos of a job.

    Attributes:
        photos: photos in the order of their keys, or of the list.
        name: name for a reader, such as the folder's.
        sources: absolute paths of the folders and files that were given.
        is_folder: whether one folder was given, so that keys are paths within it.
        other_files: number of files in the folders that are no photos by their extension.
        unread: folders that cannot be listed, and why.
        repeated: number of photos and folders that were found a second time and left out.
    """

    photos: tuple[Photo, ...]
    name: str
    sources: tuple[str, ...]
    is_folder: bool = False
    other_files: int = 0
    unread: tuple[tuple[str, str], ...] = ()
    repeated: int = 0


@dataclass(slots=True)
class _Found:
    """What a walk has found so far."""

    photos: dict[str, Photo] = field(default_factory=dict)
    other: int = 0
    repeated: int = 0
    unread: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, path: Path) -> None:
        key = readable(name)
        if key in self.photos:
            self.repeated += 1
        else:
            self.photos[key] = Photo(key, path)


def find_photos(
    places: Sequence[Path], *, lists: Sequence[Path] = (), stdin: BinaryIO | None = None
) -> PhotoList:
    """Finds the photos in folders (at any depth), single files, and files that are named in lists.

    With one folder, a photo's key is its path within the folder, so a folder that moves keeps its keys. With
    one file, it is the file's name; with several places or with lists, the path as it was given. Hidden files
    and folders count as other files. Links to folders are followed; each folder is read once.

    Args:
        places: folders and files.
        lists: files with one path per line (or with NUL between paths); "-" is standard input. A relative
            path counts from the working folder or, where there is no such file, from the list's folder.
        stdin: standard input, for "-".

    Raises:
        DataError: a place that does not exist, a file that is no image, no photos at all.
    """
    for place in places:
        _check_place(place)
    single = len(places) == 1 and not lists
    found = _Found()
    for place in places:
        _take(place, found, prefix="" if single else place.as_posix(), is_single=single)
    found.photos = dict(sorted(found.photos.items()))
    for file in lists:
        for path in _listed_paths(file, stdin):
            _take(path, found, prefix=path.as_posix(), is_single=False)
    listed = list(found.photos.values())
    is_folder = single and places[0].is_dir()
    if not any(photo.path.is_file() for photo in listed):
        raise _no_photos([*places, *lists], len(listed), found)
    sources = list(places) or [Path("stdin" if str(file) == "-" else file) for file in lists]
    return PhotoList(
        photos=tuple(listed),
        name=readable(sources[0].resolve().name) if len(sources) == 1 else f"{len(listed)} photos",
        sources=tuple(readable(str(source.resolve())) for source in sources),
        is_folder=is_folder,
        other_files=found.other,
        unread=tuple(found.unread),
        repeated=found.repeated,
    )


def readable(name: str) -> str:
    """A file's name as text that can be stored: bytes that are not UTF-8 are written as ``\\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_place(place: Path) -> None:
    if place.is_dir():
        return
    if not place.exists():
        near = nearest_path(place)
        hint = f"did you mean {near}?" if near else "give a folder of images, a photo, or a dataset's folder"
        if place.name.startswith("@"):
            hint = f"a list of files is given by --list {place.name[1:]}"
        raise DataError(f"{readable(str(place))}: no such folder or file", hint=hint)
    if place.suffix.lower().removeprefix(".") in IMAGE_EXTENSIONS or not place.is_file():
        return
    try:
        with place.open("rb") as file:
            image_extension(file.read(_HEAD_BYTES))
    except DataError as error:
        name = readable(str(place))
        hint = f"give a folder or a photo; where it lists photos, one per line: --list {name}"
        if place.suffix in (".tar", ".parquet", ".zip", ".gz"):
            hint = "make a dataset of it with `vila2 data import`, and give that with --layer NAME"
        raise DataError(f"{name} is no image", hint=hint) from error


def _take(place: Path, found: _Found, *, prefix: str, is_single: bool) -> None:
    if not place.is_dir():
        found.add(place.name if is_single else os.path.normpath(prefix), place)
        return
    base = "" if is_single else os.path.normpath(prefix)
    _walk(place, base, found, set(), Path(os.path.realpath(place)))


def _walk(folder: Path, key: str, found: _Found, seen: set[str], root: Path) -> None:
    """Adds the photos below a folder; ``seen`` holds the real folders that were read."""
    seen.add(os.path.realpath(folder))
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.unread.append((readable(key or str(folder)), error.strerror or str(error)))
        return
    for entry in entries:
        name = f"{key}/{entry.name}" if key else entry.name
        path = folder / entry.name
        if entry.name.startswith("."):
            found.other += _count_files(path)
        elif entry.is_dir():
            # A link to what lies in the folder itself: it is read under its own name.
            if str(real := Path(os.path.realpath(path))) in seen or (
                entry.is_symlink() and (real.is_relative_to(root) or _holds(real, root, folder))
            ):
                found.repeated += 1
            else:
                _walk(path, name, found, seen, root)
        elif entry.name.rpartition(".")[2].lower() in IMAGE_EXTENSIONS and _may_be_a_photo(entry):
            found.add(name, path)
        else:
            found.other += 1


def _holds(real: Path, *folders: Path) -> bool:
    """Whether a link leads to a folder that holds one of these, so that following it would loop."""
    return any(Path(os.path.realpath(folder)).is_relative_to(real) for folder in folders)


def _may_be_a_photo(entry: os.DirEntry[str]) -> bool:
    """Whether reading it ends, unlike that of a pipe. A broken link counts; reading it reports that."""
    return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))


def _count_files(path: Path) -> int:
    if not path.is_dir() or path.is_symlink():
        return 1
    return sum(len(names) for _, _, names in os.walk(path))


def _listed_paths(file: Path, stdin: BinaryIO | None) -> Iterator[Path]:
    if str(file) == "-":
        data = stdin.read() if stdin is not None else b""
        beside = Path()
    else:
        if not file.exists() or file.is_dir():
            raise DataError(
                f"{readable(str(file))}: no such file", hint="--list FILE, a text file with one path per line"
            )
        data, beside = file.read_bytes(), file.parent
    data = data.removeprefix(_BOM)
    lines: Iterable[bytes] = (
        data.split(b"\0") if b"\0" in data else (line.rstrip(b"\r") for line in data.split(b"\n"))
    )
    for line in lines:
        if not line.strip():
            continue
        path = Path(os.fsdecode(line))
        yield path if path.exists() or not (beside / path).exists() else beside / path


def _no_photos(places: Sequence[Path], listed: int, found: _Found) -> DataError:
    named = ", ".join(readable(str(place)) for place in places[:_NAMED]) + (
        ", ..." if len(places) > _NAMED else ""
    )
    if listed:
        return DataError(
            f"{named}: none of the {listed} files is there",
            hint="paths in a list count from the working folder, or from the list's own",
        )
    if found.unread:
        return DataError(
            f"{found.unread[0][0]}: {found.unread[0][1]}", hint="check that the folder can be read"
        )
    if any(place.is_dir() and any(place.glob("*.tar")) for place in places):
        return DataError(
            f"{named}: no images there, but tars", hint="add --layer NAME to describe the images in tars"
        )
    kinds = ", ".join(sorted(IMAGE_EXTENSIONS))
    return DataError(
        f"{named}: no images there ({found.other} other files)",
        hint=f"give a folder with files of these kinds: {kinds}",
    )
