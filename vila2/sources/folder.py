"""Source `folder`: a folder of image files, each with a text file of the same name, as a.jpg and a.txt."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vila2.data.files import decode_text, read_file, readable_name
from vila2.data.images import IMAGE_EXTENSIONS, is_image_name
from vila2.data.member_names import TEXT_EXTENSIONS
from vila2.data.packed_tars import is_tar_name
from vila2.data.rejects import Reject
from vila2.data.sample import ImagePart, Sample, Turn, assistant, user
from vila2.data.tar_sample import pair_turns
from vila2.errors import DataError
from vila2.sources.rows import take, without_suffix


def read(
    path: Path | str,
    *,
    require_text: bool = True,
    prompt: str = "",
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads the images below a folder, by name; hidden files and folders are left out.

    The key of a sample is its path below the folder without suffix, or with it if two images differ in
    nothing else. The text of ``a.jpg`` is in ``a.txt``, ``a.text``, ``a.caption`` or ``a.jpg.txt``, in UTF-8
    or UTF-16; the first that exists counts, and others go to the meta. Texts without an image and images of
    unknown formats are rejected by name. Other files are counted by extension, one reject for each. Links to
    folders are followed.

    Args:
        path: folder of the images.
        require_text: whether to reject images without text. Otherwise their samples show the image and say
            nothing, and can be recaptioned.
        prompt: question of the user that the text answers; none by default.
        start: number of the first image, from 0.
        count: most images to read; all by default.

    Raises:
        DataError: the folder does not exist, or holds no image.
    """
    root = Path(path)
    if not root.is_dir():
        raise _no_folder(root)
    listing = list_folder(root)
    if not listing.images:
        raise _no_image(root, listing)
    whole = start == 0 and count is None
    stems = Counter(without_suffix(name) for name in listing.images if _is_read(name))
    for name in take(listing.images, start, count):
        stem = without_suffix(name)
        key = readable_name(stem if _is_read(name) and stems[stem] == 1 else name)
        yield _sample(root, name, key, listing.texts_of(name), require_text, prompt)
    for name, reason in listing.unlisted:
        yield Reject(readable_name(name), "", "unreadable-file", reason)
    if whole:
        yield from _leftovers(root, listing)


@dataclass(slots=True)
class Listing:
    """The files below a folder, as paths with forward slashes, relative to it.

    Attributes:
        images: image files by their extension, sorted; including formats that cannot be read.
        texts: text files by their path without suffix.
        others: all other files.
        unlisted: folders that cannot be listed, each with the reason.
    """

    images: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    unlisted: list[tuple[str, str]] = field(default_factory=list)

    def texts_of(self, image: str) -> list[str]:
        """Lists the text files of an image; the first counts."""
        found = [*self.texts.get(without_suffix(image), ()), *self.texts.get(image, ())]
        return sorted(found, key=lambda name: (TEXT_EXTENSIONS.index(_extension(name)), name))


def list_folder(root: Path) -> Listing:
    """Lists the files below a folder, without hidden ones; each folder is read once."""
    listing = Listing()
    seen: set[str] = set()
    top = os.path.realpath(root)

    def inner(folder: str, name: str) -> bool:
        """Tells whether a folder is a link to one below ``root``, which is read under its own name."""
        path = os.path.join(folder, name)
        return os.path.islink(path) and Path(os.path.realpath(path)).is_relative_to(top)

    def note(error: OSError) -> None:
        listing.unlisted.append((str(error.filename), error.strerror or str(error)))

    for folder, folders, files in os.walk(root, followlinks=True, onerror=note):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not inner(folder, name))
        for file in files:
            if not file.startswith("."):
                _place(listing, (Path(folder) / file).relative_to(root).as_posix())
    listing.images.sort()
    return listing


def _place(listing: Listing, name: str) -> None:
    if is_image_name(name.rpartition("/")[2]):
        listing.images.append(name)
    elif _extension(name) in TEXT_EXTENSIONS:
        listing.texts.setdefault(without_suffix(name), []).append(name)
    else:
        listing.others.append(name)


def _extension(name: str) -> str:
    stem, dot, extension = name.rpartition("/")[2].rpartition(".")
    return extension.lower() if stem and dot else ""


def _is_read(name: str) -> bool:
    return _extension(name) in IMAGE_EXTENSIONS


def _sample(
    root: Path, name: str, key: str, sidecars: Sequence[str], require_text: bool, prompt: str
) -> Sample | Reject:
    where = readable_name(str(root / name))
    if not _is_read(name):
        detail = f".{_extension(name)} cannot be read; save it as JPEG or PNG"
        return Reject(where, key, "unknown-format", detail)
    try:
        image = read_file(root / name)
    except DataError as error:
        return Reject(where, key, "unreadable-file", error.what)
    texts = _texts(root, key, sidecars)
    if isinstance(texts, Reject):
        return texts
    text = next(filter(None, texts.values()), None)
    if text is None and require_text:
        stem = readable_name(without_suffix(name).rpartition("/")[2])
        state = f"{stem}.txt is missing" if not texts else f"{Path(next(iter(texts))).name} is empty"
        return Reject(where, key, "missing-text", state)
    more = {file: other for file, other in texts.items() if other not in ("", text)}
    meta = {"image": readable_name(name)} | ({"other_texts": more} if more else {})
    return Sample(key, (image,), _turns(text, prompt), meta, where=where)


def _texts(root: Path, key: str, sidecars: Sequence[str]) -> dict[str, str] | Reject:
    """Reads the text files of an image, by name."""
    texts: dict[str, str] = {}
    for sidecar in sidecars:
        place = readable_name(str(root / sidecar))
        try:
            texts[readable_name(sidecar)] = decode_text(read_file(root / sidecar), where=place).strip()
        except DataError as error:
            return Reject(place, key, "unreadable-text", error.what)
    return texts


def _turns(text: str | None, prompt: str) -> tuple[Turn, ...]:
    if not prompt:
        return pair_turns(1, text)
    asked = user(ImagePart(), prompt)
    return (asked, assistant(text)) if text else (asked,)


def _leftovers(root: Path, listing: Listing) -> Iterator[Reject]:
    """Rejects texts without an image by name, and all other files by extension, with an example."""
    shown = {without_suffix(name) for name in listing.images} | set(listing.images)
    for stem, names in sorted(listing.texts.items()):
        if stem not in shown:
            key = readable_name(stem)
            for name in sorted(names):
                yield Reject(readable_name(str(root / name)), key, "no-image", "a text without an image")
    kinds: dict[str, list[str]] = {}
    for name in sorted(listing.others):
        kinds.setdefault(_extension(name) or "no extension", []).append(name)
    for kind, names in sorted(kinds.items()):
        where = readable_name(str(root / names[0]))
        yield Reject(where, "", "left-alone", f"{len(names)} files of this kind: {kind}")


def _no_folder(root: Path) -> DataError:
    shown = readable_name(str(root))
    if not root.exists():
        return DataError(f"{shown}: no such folder", hint="check the path")
    if is_tar_name(root.name):
        return DataError(f"{shown} is a tar, not a folder", hint="use the source img2dataset")
    if root.suffix.lower() == ".zip":
        return DataError(f"{shown} is a zip file, not a folder", hint="unpack it, and give its folder")
    return DataError(f"{shown} is a file, not a folder", hint="give the folder that it lies in")


def _no_image(root: Path, listing: Listing) -> DataError:
    shown = readable_name(str(root))
    if any(is_tar_name(name.rpartition("/")[2]) for name in listing.others):
        return DataError(f"{shown}: no image in this folder, but tars", hint="use the source img2dataset")
    if listing.unlisted:
        place, reason = listing.unlisted[0]
        return DataError(f"{readable_name(place)}: {reason}", hint="check that the folder can be read")
    kinds = ", ".join(sorted(IMAGE_EXTENSIONS))
    return DataError(f"{shown}: no image in this folder", hint=f"images end in {kinds}")
