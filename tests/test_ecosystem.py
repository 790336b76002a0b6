"""docs/ecosystem.md: every "yes" of vila2 has a test, and the tables are whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ecosystem.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and line.count("|") == 11 and not line.startswith("| feature")
]
PEERS = ("LLaVA", "TRL", "LF", "swift", "lmms", "Dist.", "CF", "AD")


def test_the_table_has_some_forty_rows_and_each_name_once():
    assert len(ROWS) >= 40
    assert len({row[0] for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_yes_links_a_test_and_a_cell_says_yes_no_or_not_known(row: list[str]):
    ours, peers = row[1], row[2:]
    assert len(peers) == len(PEERS) and all(re.fullmatch(r"(yes|no)(: [\w ]+)?|\?", cell) for cell in peers)
    if ours.startswith("no"):
        return
    linked = re.match(r"\[yes\]\((\.\./tests/[^)]+\.py)\)", ours)
    assert linked, f"{row[0]}: a yes without a test"
    tree = ast.parse((PAGE.parent / linked[1]).read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in ast.walk(tree))
