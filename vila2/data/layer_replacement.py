"""Replaces a finished layer by a new one: the old one stays usable until the new one is complete.

DATASET/.layers/NAME        the new layer while it is written; the same call goes on with it
DATASET/.layers/NAME.old    the old layer, for the moment of the exchange
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vila2.data.atomic import sync_folder
from vila2.data.layers import Layer, check_layer_name
from vila2.errors import DataError


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Gives the folder in which to write a new layer, which then takes the place of the one in ``folder``.

    Raises:
        DataError: the block ended without a finished layer.
    """
    new, old = _beside(folder)
    restore(folder)
    new.parent.mkdir(parents=True, exist_ok=True)
    yield new
    Layer.open(new)
    if folder.exists():
        os.rename(folder, old)
    folder.parent.mkdir(parents=True, exist_ok=True)
    os.rename(new, folder)
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    if not any(new.parent.iterdir()):
        new.parent.rmdir()


def restore(folder: Path) -> None:
    """Puts a layer back that a kill in the middle of its exchange left beside."""
    _, old = _beside(folder)
    if not old.exists():
        return
    if folder.exists():
        shutil.rmtree(old)
    else:
        os.rename(old, folder)


def restart(folder: Path) -> None:
    """Throws an unfinished layer away.

    Raises:
        DataError: the layer is finished.
    """
    restore(folder)
    if (folder / "layer.json").exists():
        raise DataError(
            f"{folder}: the layer is finished", hint="--replace makes a new one and keeps this one until then"
        )
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def layer_to_write(folder: Path, *, replace: bool = False, afresh: bool = False) -> Iterator[Path]:
    """Gives the folder in which to write the layer of ``folder``.

    Args:
        folder: folder of the layer.
        replace: whether a finished layer there is replaced by a new one, once that is complete.
        afresh: whether an unfinished layer there is thrown away.

    Raises:
        DataError: the name is refused; the layer is finished and would be thrown away; both are asked for.
    """
    check_layer_name(folder.name)
    if replace and afresh:
        raise DataError("--replace and --restart exclude each other", hint="--replace begins anew as well")
    if afresh:
        restart(folder)
    if not replace:
        restore(folder)
        yield folder
        return
    with replacing(folder) as new:
        yield new


def _beside(folder: Path) -> tuple[Path, Path]:
    """The folders of the new and of the old layer; no list of a dataset's layers looks there."""
    place = folder.parent.parent / ".layers"
    return place / folder.name, place / f"{folder.name}.old"
