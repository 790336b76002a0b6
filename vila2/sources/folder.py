"""A folder of image files, each with a text file of the same name: a.jpg and a.txt."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from vila2.data.images import IMAGE_EXTENSIONS
from vila2.data.packed_sample import pair_turns
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject
from vila2.errors import DataError
from vila2.sources.rows import read_image, take, without_suffix


def read(
    path: Path | str,
    *,
    require_text: bool = True,
    prompt: str = "",
    start: int = 0,
    count: int | None = None,
) -> Iterator[Sample | Reject]:
    """Reads the images below a folder, by name; hidden files and folders are left out.

    The key is the path below the folder without suffix, or with it where two images differ in nothing else.

    Args:
        path: the folder.
        require_text: reject images without text. Otherwise they become samples that show the image and say
            nothing, which can be re-captioned.
        prompt: what the user asks; the text is the answer.
        start, count: a slice of the images.

    Raises:
        DataError: no such folder, or no image in it.
    """
    root = Path(path)
    if not root.is_dir():
        raise DataError(f"{root}: no such folder", mend="check the path")
    names = image_names(root)
    if not names:
        kinds = ", ".join(sorted(IMAGE_EXTENSIONS))
        raise DataError(f"{root}: no image in this folder", mend=f"images end in {kinds}")
    stems = Counter(map(without_suffix, names))
    for name in take(names, start, count):
        stem = without_suffix(name)
        key = stem if stems[stem] == 1 else name
        where = str(root / name)
        image = read_image(root, name, where=where, key=key)
        text = _read_text(root / f"{stem}.txt", key)
        if isinstance(image, Reject):
            yield image
        elif isinstance(text, Reject):
            yield text
        elif not text and require_text:
            state = "is empty" if text == "" else "is missing"
            yield Reject(where, key, "missing-text", f"{Path(stem).name}.txt {state}")
        elif prompt:
            asked = user(ImagePart(), prompt)
            yield Sample(key, (image,), (asked, assistant(text)) if text else (asked,), {"image": name})
        else:
            yield Sample(key, (image,), pair_turns(1, text), {"image": name})


def image_names(root: Path) -> list[str]:
    """The image files below a folder, as sorted paths with forward slashes, relative to it."""
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            if (
                not file.startswith(".")
                and file.rpartition(".")[2].lower() in IMAGE_EXTENSIONS
                and "." in file
            ):
                names.append((Path(folder) / file).relative_to(root).as_posix())
    return sorted(names)


def _read_text(path: Path, key: str) -> str | Reject | None:
    """The text without white space around it; None where there is no file."""
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return Reject(str(path), key, "unreadable-text", str(error))
