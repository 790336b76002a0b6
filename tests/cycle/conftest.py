"""What several tests of the cycle need."""

from __future__ import annotations

import sys

import pytest
from tiny_specialist import install_finding


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder on Python's path with the plugin ``finding`` installed."""
    folder = tmp_path_factory.mktemp("site")
    install_finding(folder)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("vila2_finding", None)
