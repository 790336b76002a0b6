"""A reduced form of ``python -m tests.fuzz``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from tests.fuzz.__main__ import by_chance, in_pieces
from tests.fuzz.parsers import Parser, check, parsers


@pytest.mark.parametrize("name", parsers())
@pytest.mark.filterwarnings("ignore")
def test_changed_input_gives_errors_that_say_what_is_wrong(name: str):
    found = by_chance(name, 40, seed="1")
    assert found.executions == 40 and not found.faults


def test_counts_are_kept_and_gone_on_from(tmp_path: Path):
    in_pieces("view", 30, 0, tmp_path / "view.json")
    assert in_pieces("view", 50, 0, tmp_path / "view.json").executions == 50
    assert json.loads((tmp_path / "view.json").read_text())["executions"] == 50


@pytest.mark.parametrize(
    "name", ["tar-member", "rows-jsonl", "layer.json", "yaml", "claims", "coordinates", "rejects"]
)
@given(
    data=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
@settings(max_examples=30)
def test_any_input_gives_errors_that_say_what_is_wrong(name: str, data: bytes):
    assert check(parsers()[name], data) == ""


def test_an_exception_without_a_name_is_found():
    assert check(Parser(lambda data: {}[data], ()), b"").startswith("KeyError")
