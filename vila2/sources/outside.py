"""Images outside the folder that a source reads: refused, unless they are allowed.

The names of images come with the data. A row that names ``/home/me/private.png`` or ``../../x.png`` would
have that file packed into a dataset, and with it passed on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")

#: Reason of the rejects.
REASON = "outside-image-root"

_allowed: ContextVar[bool] = ContextVar("images outside the root are allowed", default=False)


def place_of(root: Path, name: str) -> tuple[Path, bool]:
    """Finds the path of an image, and whether it may be read.

    Links within the folder count as what they are: the owner of the folder made them.

    Args:
        root: folder that the name is relative to, unless it is absolute.
        name: name as the data gives it.
    """
    base = os.path.normpath(os.path.abspath(root))
    path = os.path.normpath(os.path.join(base, name))
    inside = path == base or path.startswith(base.rstrip(os.sep) + os.sep)
    if not inside:
        return root / name, _allowed.get()
    # A name may climb up and come back; what is read is then the path that was checked.
    return (Path(path) if ".." in Path(name).parts else root / name), True


def outside_detail(root: Path, name: str) -> str:
    """Says in a reject what to do."""
    return f"{name} lies outside {root}; give an image_root that holds it, or allow_outside"


def allowing(items: Iterator[Item]) -> Iterator[Item]:
    """Reads a source whose images may lie anywhere."""
    while True:
        token = _allowed.set(True)
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            _allowed.reset(token)
        yield item
