"""JSON schemas of recipes, for editors that complete and check YAML while it is written.

A recipe that begins with ``# yaml-language-server: $schema=FILE`` is checked against the file that
``vila2 config schema`` writes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from vila2.recipe.file.extends import KEY as EXTENDS
from vila2.recipe.parts.stage import STAGE_DEFAULTS
from vila2.recipe.recipe import Recipe
from vila2.recipe.specialist_defaults import MINIATURE
from vila2.recipe.specialist_recipe import SpecialistRecipe

#: A JSON schema, or a part of one.
Schema = dict[str, Any]

#: What `extends` is, for readers of the schema and of the reference.
EXTENDS_SCHEMA: Schema = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}}],
    "description": "Recipe to start from, or a list of them, by path from this one. This recipe only gives "
    "what is different; of several recipes, the later ones win. `null` removes a name, as in "
    "`specialists: {ocr: null}`",
    "examples": ["base.yaml"],
}
#: What `miniature` of a specialist's recipe is.
MINIATURE_DESCRIPTION = "Changes to this recipe for the shipped miniature as the generalist; keys as above"
#: The only key of a specialist's stage that has no default.
_OF_A_SPECIALISTS_STAGE = ["mixture"]


#: Bounds of numbers as pydantic writes them below a validator of our own, and as JSON schema does.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
#: Keywords that hold schemas by names, which are not keywords.
_NAMED = {"properties", "patternProperties", "$defs"}
#: Keywords that hold values, not schemas.
_VALUES = {"default", "examples", "enum", "const", "required"}


class _WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles of keys, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Always false."""
        return False


def part_schema(part: type[BaseModel]) -> Schema:
    """The JSON schema of a part as its types have it, with the parts that it contains under ``$defs``."""
    schema: Schema = _plain(part.model_json_schema(schema_generator=_WithoutTitles))
    return schema


def _plain(schema: Any) -> Any:
    """A schema in JSON schema's own words: pydantic leaves some bounds in its own, and names as a pattern."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain: Schema = {}
    for key, value in schema.items():
        if key in _NAMED:
            plain[key] = {name: _plain(inner) for name, inner in value.items()}
        else:
            plain[_BOUNDS.get(key) or key] = value if key in _VALUES else _plain(value)
    if "patternProperties" in plain:
        ((pattern, plain["additionalProperties"]),) = plain.pop("patternProperties").items()
        plain["propertyNames"] = {"pattern": pattern, **plain.get("propertyNames", {})}
    return plain


def recipe_schema() -> Schema:
    """The JSON schema of a run's recipe.

    A recipe that extends others may leave out any key, so required keys are only asked of those that do not.
    """
    schema = part_schema(Recipe)
    stages = schema["properties"]["stages"]
    stages["properties"] = {name: _stage_with_defaults(name) for name in STAGE_DEFAULTS}
    complete = _requirements(schema, schema["$defs"])
    schema = _without_requirements(schema)
    for name in ("data", "stages", "specialists"):
        names = schema["properties"][name]
        names["additionalProperties"] = {"anyOf": [names["additionalProperties"], {"type": "null"}]}
    schema["properties"] = {EXTENDS: EXTENDS_SCHEMA, **schema["properties"]}
    schema |= {"if": {"not": {"required": [EXTENDS]}}, "then": complete}
    return _titled(schema, "Recipe of a vila2 run")


def specialist_schema() -> Schema:
    """The JSON schema of a specialist's recipe."""
    schema = part_schema(SpecialistRecipe)
    schema["$defs"]["StageSpec"]["required"] = _OF_A_SPECIALISTS_STAGE
    complete = _requirements(schema, schema["$defs"])
    schema = _without_requirements(schema)
    schema["$defs"][MINIATURE] = {
        "type": "object",
        "properties": copy.deepcopy(schema["properties"]),
        "additionalProperties": False,
    }
    schema["properties"][MINIATURE] = {
        "$ref": f"#/$defs/{MINIATURE}",
        "description": MINIATURE_DESCRIPTION,
    }
    schema["allOf"] = [complete]
    return _titled(schema, "Recipe of a vila2 specialist")


def _titled(schema: Schema, title: str) -> Schema:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _stage_with_defaults(name: str) -> Schema:
    """A stage whose name has defaults: these beside the keys of every stage."""
    defaults = {key: {"default": value} for key, value in STAGE_DEFAULTS[name].items()}
    return {"allOf": [{"$ref": "#/$defs/StageSpec"}], "properties": defaults}


def _requirements(schema: Schema, parts: Mapping[str, Schema]) -> Schema:
    """The keys that a value of a schema must have, at every depth, as a schema of its own."""
    if "$ref" in schema:
        return _requirements(parts[schema["$ref"].rpartition("/")[2]], parts)
    if "allOf" in schema:  # a stage with defaults needs what it has no default for
        kept = copy.deepcopy(_requirements(schema["allOf"][0], parts))
        kept["required"] = [key for key in kept["required"] if key not in schema["properties"]]
        return kept
    if "anyOf" in schema:  # a key is only ever required of a mapping, so null stays valid
        found = [one for one in (_requirements(choice, parts) for choice in schema["anyOf"]) if one]
        return found[0] if found else {}
    kept = {"required": schema["required"]} if "required" in schema else {}
    properties = {key: _requirements(value, parts) for key, value in schema.get("properties", {}).items()}
    if properties := {key: value for key, value in properties.items() if value}:
        kept["properties"] = properties
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict) and (inner := _requirements(schema[key], parts)):
            kept[key] = inner
    return kept


def _without_requirements(schema: Schema) -> Schema:
    """A copy of a schema in which no key is required."""
    kept = {key: value for key, value in schema.items() if key != "required"}
    kept["$defs"] = {
        name: {key: value for key, value in part.items() if key != "required"}
        for name, part in schema["$defs"].items()
    }
    return copy.deepcopy(kept)
