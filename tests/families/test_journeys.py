"""The matrix of families, its long cells."""

import pytest

from tests.families.cells import in_matrix
from tests.families.journeys import SLOW
from tests.families.tiny import FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize("cell", SLOW)
@pytest.mark.parametrize("family", FAMILIES)
def test_cell(saved, journey, family, cell):
    in_matrix(SLOW[cell], family, cell, saved(family), journey(family))
