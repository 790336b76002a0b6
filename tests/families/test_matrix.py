"""The matrix of families: each cell works, or is refused by name before any work."""

import re

import pytest
from cells import FAST, Refused
from outcomes import OUTCOMES, REFUSALS
from tiny import FAMILIES


@pytest.mark.parametrize("cell", FAST)
@pytest.mark.parametrize("family", FAMILIES)
def test_cell(saved, tmp_path, family, cell):
    check(FAST[cell], family, cell, saved, tmp_path)


def check(work, family, cell, saved, tmp_path):
    expected = REFUSALS.get((family, cell)) or REFUSALS.get((family, "*"))
    if expected is None:
        work(family, saved(family), tmp_path)
        OUTCOMES[family, cell] = "works"
        return
    with pytest.raises(Refused) as refused:
        work(family, saved(family), tmp_path)
    assert re.search(expected, str(refused.value)), refused.value
    assert not [*tmp_path.glob("runs/*/steps/*")] and not (tmp_path / "stage").exists()
    OUTCOMES[family, cell] = str(refused.value)
