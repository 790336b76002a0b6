"""Label files of PaddleOCR: a line for each image, its name, a tab, and a JSON list of its texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from vila2.data.shards import Reject
from vila2.sources.evidence.annotated_images import short
from vila2.sources.rows import Row


def is_paddle(path: Path) -> bool:
    """Whether a file's first line is of this form."""
    try:
        with path.open("rb") as file:
            name, tab, texts = file.readline(100_000).removeprefix(b"\xef\xbb\xbf").partition(b"\t")
    except OSError:
        return False
    return (
        bool(tab) and bool(name.strip()) and texts.lstrip()[:1] == b"[" and not name.lstrip().startswith(b"{")
    )


def paddle_rows(path: Path, image_root: Path | str | None) -> Iterator[Row | Reject]:
    """Rows with ``image`` and ``texts``; a ``Reject`` for a line of another form.

    PPOCRLabel names an image with the folder that the label file itself lies in.
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
                yield Reject(where, "", "bad-json", short(str(error), 120))
                continue
            if not isinstance(content, list):
                yield Reject(
                    where, "", "bad-row", f"{short(line)} is no image's name, a tab and a list of texts"
                )
                continue
            inside = name.removeprefix(f"{path.absolute().parent.name}/")
            beside = image_root is None and not (path.parent / name).is_file()
            yield Row(where, {"image": inside if beside else name, "texts": content})
