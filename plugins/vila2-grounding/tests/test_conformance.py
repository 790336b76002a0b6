"""What every specialist must do; needs the package installed, as its entry point is what is checked."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from vila2.testing import SpecialistConformance

installed = any(one.name == "grounding" for one in entry_points(group="vila2.specialists"))


@pytest.mark.skipif(
    not installed, reason="vila2-grounding is not installed: pip install -e plugins/vila2-grounding"
)
class TestGrounding(SpecialistConformance):
    name = "grounding"
