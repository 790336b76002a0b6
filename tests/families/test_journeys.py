"""The matrix of families, its long cells."""

import pytest
from cells import in_matrix
from journeys import SLOW
from tiny import FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize("cell", SLOW)
@pytest.mark.parametrize("family", FAMILIES)
def test_cell(saved, journey, family, cell):
    in_matrix(SLOW[cell], family, cell, saved(family), journey(family))
