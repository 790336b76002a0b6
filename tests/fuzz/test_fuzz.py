"""A reduced form of ``python -m tests.fuzz``."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from tests.fuzz.__main__ import by_chance
from tests.fuzz.parsers import Parser, check, parsers


@pytest.mark.parametrize("name", parsers())
@pytest.mark.filterwarnings("ignore")
def test_changed_input_gives_errors_that_say_what_is_wrong(name: str):
    executions, faults, _ = by_chance(name, 40, seed=1)
    assert executions == 40 and not faults


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
