"""The matrix of families: each cell works, or is refused by name before any work."""

import pytest

from tests.families.cells import FAST, in_matrix
from tests.families.tiny import FAMILIES


@pytest.mark.parametrize("cell", FAST)
@pytest.mark.parametrize("family", FAMILIES)
def test_cell(saved, tmp_path, family, cell):
    in_matrix(FAST[cell], family, cell, saved(family), tmp_path)
