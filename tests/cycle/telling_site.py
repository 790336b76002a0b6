"""A folder on Python's path with the plugin ``tells``, which writes down the stages that it is told of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.plugin.packages import install

_CODE = """
import os
from pathlib import Path
from vila2.plugin import hookimpl

@hookimpl
def vila2_after_stage(folder, stage, results):
    assert (folder / "model" / "config.json").exists() and (folder / "done.json").exists()
    with open(os.environ["TOLD"], "a") as file:
        file.write(stage + "\\n")
    if os.environ["FAILS"]:
        raise SystemExit("no network")
"""


@contextmanager
def telling_installed(folder: Path) -> Iterator[Path]:
    """Installs the plugin in ``folder`` for as long as the block lasts; gives the file that it writes."""
    install(folder, "vila2-tells", _CODE, entry="tells")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("TOLD", str(folder / "told.txt"))
        patch.setenv("FAILS", "")
        yield folder / "told.txt"
    sys.modules.pop("vila2_tells", None)
