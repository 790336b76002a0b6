"""What several tests of specialists need."""

from __future__ import annotations

import pytest

from tests.cycle.finding_site import finding_installed


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder on Python's path with the plugin ``finding`` installed."""
    with finding_installed(tmp_path_factory.mktemp("site")) as folder:
        yield folder
