"""What the tests of captioning share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.caption.tiny_llava import build_tiny_llava


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a saved tiny model."""
    folder = tmp_path_factory.mktemp("tiny-llava")
    build_tiny_llava(folder)
    return folder
