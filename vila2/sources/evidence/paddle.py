"""Reads label files of PaddleOCR: lines of an image's name, a tab, and a JSON list of its texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from vila2.data.rejects import Reject
from vila2.data.shortening import shown
from vila2.sources.rows import Row


def is_paddle(path: Path) -> bool:
    """Tells whether the first line of a file has this form."""
    try:
        with path.open("rb") as file:
            name, tab, texts = file.readline(100_000).removeprefix(b"\xef\xbb\xbf").partition(b"\t")
    except OSError:
        return False
    return (
        bool(tab) and bool(name.strip()) and texts.lstrip()[:1] == b"[" and not name.lstrip().startswith(b"{")
    )


def paddle_rows(path: Path, image_root: Path | str | None) -> Iterator[Row | Reject]:
    """Yields rows with ``image`` and ``texts``, and a ``Reject`` for each line of another form.

    Args:
        path: label file.
        image_root: folder of the images, if one is given. Without it, the folder of the label file is removed
            from names, since PPOCRLabel includes it.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                name, tab, texts = line.decode("utf-8-sig").strip().partition("\t")
                content = json.loads(texts) if tab else None
            except (ValueError, RecursionError) as error:
                yield Reject(where, "", "bad-json", shown(str(error)))
                continue
            if not isinstance(content, list):
                said = shown(line.decode(errors="replace"))
                yield Reject(
                    where, "", "bad-row", f"{said} is not an image's name, a tab and a list of texts"
                )
                continue
            inside = name.removeprefix(f"{path.absolute().parent.name}/")
            beside = image_root is None and not os.path.isfile(path.parent / name)  # False for any odd name
            yield Row(where, {"image": inside if beside else name, "texts": content})
