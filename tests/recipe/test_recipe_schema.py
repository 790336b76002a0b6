"""The JSON schemas of recipes: they accept the recipes that vila2 reads, and find mistakes in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vila2.recipe.file.yaml import read_yaml
from vila2.recipe.parts.stage import STAGE_DEFAULTS
from vila2.recipe.recipe_schema import recipe_schema, specialist_schema

PROJECT = Path(__file__).parents[2]
RECIPES = sorted([*(PROJECT / "examples").glob("*.yaml"), *(PROJECT / "examples/paper").glob("*.yaml")])
SPECIALISTS = sorted(
    path for path in PROJECT.glob("*/*/src/*/*.yaml") if "stages:" in path.read_text(encoding="utf-8")
)
SCHEMA, SPECIALIST = recipe_schema(), specialist_schema()
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
GOOD = {
    "name": "small",
    "data": {"pictures": {"source": "world"}},
    "model": {"vision": "a/b", "language": "c/d"},
    "stages": {"sft": {"mixture": [{"dataset": "pictures"}]}},
}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> Iterator[str]:
    """Every place at which a value breaks the keywords that our schemas use."""
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    for one in schema.get("allOf", ()):
        yield from faults(value, one, root, where)
    if "anyOf" in schema and all(list(faults(value, one, root, where)) for one in schema["anyOf"]):
        yield f"{where}: no alternative"
    if "if" in schema and not list(faults(value, schema["if"], root)):
        yield from faults(value, schema["then"], root, where)
    if "not" in schema and not list(faults(value, schema["not"], root)):
        yield f"{where}: not"
    if "type" in schema and not is_of(value, schema["type"]):
        yield f"{where}: no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{where}: none of the choices"
    if isinstance(value, dict):
        yield from faults_of_keys(value, schema, root, where)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{where}: length"
        for number, one in enumerate(value):
            yield from faults(one, schema.get("items", {}), root, f"{where}.{number}")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{where}: pattern"
    if is_of(value, "number"):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        above, below = schema.get("exclusiveMinimum", value - 1), schema.get("exclusiveMaximum", value + 1)
        if not (low <= value <= high and above < value < below):
            yield f"{where}: range"


def faults_of_keys(value: dict, schema: dict[str, Any], root: dict[str, Any], where: str) -> Iterator[str]:
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{where}.{key}: missing"
    named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key, inner in value.items():
        if key in named or isinstance(others, dict):
            yield from faults(inner, named.get(key, others), root, f"{where}.{key}")
        elif not others:
            yield f"{where}.{key}: unknown"


def is_of(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def changed(**parts: Any) -> dict[str, Any]:
    return {**GOOD, **parts}


def test_the_recipes_that_ship_fit_the_schema():
    assert len(RECIPES) > 10 and len(SPECIALISTS) >= 4
    wrong = {}
    for path, schema in [(path, SCHEMA) for path in RECIPES] + [(path, SPECIALIST) for path in SPECIALISTS]:
        text = path.read_text(encoding="utf-8")
        value = read_yaml(text, where=path.name, environment={"DATA": "d", "LAYERS": "l"}).value
        if found := list(faults(value, schema, schema)):
            wrong[path.name] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (GOOD, []),
        (changed(nmae="x"), [".nmae: unknown"]),
        (changed(seed=-1), [".seed: range"]),
        (changed(seed="1"), [".seed: no integer"]),
        (changed(data={}), []),
        (changed(data={"pictures": {}}), [".data.pictures.source: missing"]),
        (changed(data=None), [".data: no object"]),
        (changed(cycle={"share": [0.5, 1]}), []),
        (changed(cycle={"share": 2}), [".cycle.share: no alternative"]),
        (changed(cycle={"rounds": 2, "round": 2}), [".cycle.round: unknown"]),
        (changed(cycle={"max_unusable": 1.5}), [".cycle.max_unusable: range"]),
        (changed(model={"visual_expert": "sparse"}), [".model.visual_expert: no alternative"]),
        (changed(report={"examples": -1}), [".report.examples: range"]),
        (changed(keep="most"), [".keep: none of the choices"]),
        (
            changed(stages={"tune": {"mixture": [{}]}}),
            [
                ".stages.tune.train: missing",
                ".stages.tune.style: missing",
                ".stages.tune.learning_rate: missing",
                ".stages.tune.batch_size: missing",
                ".stages.tune.mixture.0.dataset: missing",
            ],
        ),
        ({"name": "x"}, [".data: missing", ".model: missing", ".stages: missing"]),
        ({"extends": "base.yaml", "stages": {"sft": {"epochs": 2}}, "specialists": {"ocr": None}}, []),
        ({"extends": ["a.yaml", "b.yaml"], "stages": {"sft": {"epoch": 2}}}, [".stages.sft.epoch: unknown"]),
    ],
)
def test_a_mistake_is_found_where_it_stands(recipe: dict, expected: list[str]):
    assert sorted(set(faults(recipe, SCHEMA, SCHEMA))) == sorted(expected)


def test_a_specialists_recipe_needs_a_mixture_and_may_change_for_the_miniature():
    recipe = {"stages": {"tune": {"mixture": [{"dataset": "qa"}]}}, "miniature": {"stages": {"tune": {}}}}
    assert list(faults(recipe, SPECIALIST, SPECIALIST)) == []
    recipe = {"stages": {"tune": {"epochs": 0}}, "miniature": {"stagse": {}}}
    assert set(faults(recipe, SPECIALIST, SPECIALIST)) == {
        ".stages.tune.mixture: missing",
        ".stages.tune.epochs: range",
        ".miniature.stagse: unknown",
    }


def test_the_named_stages_have_their_defaults():
    stages = SCHEMA["properties"]["stages"]["properties"]
    for name, defaults in STAGE_DEFAULTS.items():
        assert {key: spec["default"] for key, spec in stages[name]["properties"].items()} == defaults


def test_every_key_is_described_in_words_that_stand_by_themselves():
    parts = [SCHEMA, SPECIALIST, *SCHEMA["$defs"].values(), *SPECIALIST["$defs"].values()]
    described = [(key, spec) for part in parts for key, spec in part["properties"].items()]
    assert len(described) > 100
    for key, spec in described:
        text = spec.get("description", "")
        assert text[:1].isupper() and not text.endswith("."), f"{key}: {text!r}"
