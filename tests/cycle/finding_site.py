"""A folder on Python's path in which the plugin ``finding`` is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.plugin.tiny_specialist import install_finding


@contextmanager
def finding_installed(folder: Path) -> Iterator[Path]:
    """Installs the plugin in ``folder`` for as long as the block lasts."""
    install_finding(folder)
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("vila2_finding", None)
