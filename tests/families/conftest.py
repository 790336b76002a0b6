"""Every family's tiny model, saved once for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.families.outcomes import write_table
from tests.families.tiny import FAMILIES
from tests.model.tiny_families import UNREADABLE
from vila2.model.generalist import Generalist, load_generalist


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a family's tiny checkpoint, by the family's name."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("families")

    def folder_of(family: str) -> Path:
        if family in UNREADABLE:
            pytest.skip("its processor needs torchvision with this version of transformers")
        if not (root / family).exists():
            FAMILIES[family](root / family)
        return root / family

    return folder_of


@pytest.fixture(scope="session")
def loaded(saved) -> Callable[[str], Generalist]:
    """A family's tiny model and processor; not to be changed."""
    found: dict[str, Generalist] = {}

    def of(family: str) -> Generalist:
        if family not in found:
            found[family] = load_generalist(saved(family), device="cpu")
        return found[family]

    return of


@pytest.fixture(scope="session")
def journey(tmp_path_factory) -> Callable[[str], Path]:
    """A folder of a family's own, in which one long cell goes on where the other ended."""
    root = tmp_path_factory.mktemp("journeys")

    def folder_of(family: str) -> Path:
        (root / family).mkdir(exist_ok=True)
        return root / family

    return folder_of


def pytest_sessionfinish() -> None:
    """Writes the table of docs/models.md where it is asked for; see there."""
    if page := os.environ.get("VILA2_MODELS_PAGE"):
        write_table(Path(page))
