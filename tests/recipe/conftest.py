"""Fixtures for the tests of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipe.small_recipe import GOOD


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(GOOD)
    return path
