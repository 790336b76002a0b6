"""The checks that every tool passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from vila2.testing import ToolConformance


class TestRapidocr(ToolConformance):
    name = "rapidocr"
    most = 2  # reading a receipt takes seconds

    @pytest.fixture
    def data(self, drawn) -> Path:
        return drawn.folder
