"""The reference of every key of a recipe, in Markdown, made from the types and descriptions of the keys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vila2.recipe.parts.stage import STAGE_DEFAULTS
from vila2.recipe.recipe import Recipe
from vila2.recipe.recipe_schema import EXTENDS_SCHEMA, MINIATURE_DESCRIPTION, Schema, part_schema
from vila2.recipe.specialist_defaults import ADAPTERS, MINIATURE
from vila2.recipe.specialist_recipe import SpecialistRecipe

#: A recipe with the parts that most recipes have; a test reads it.
EXAMPLE = """\
# yaml-language-server: $schema=recipe.schema.json
name: photos                        # the run's folder is runs/photos
seed: 1

data:
  pairs:                            # images with short captions; the rounds rewrite these
    source: llava                   # docs/sources.md lists the sources and their options
    path: data/chat.json
    options: {image_root: data/images, count: 100000}
  chats:
    source: llava
    path: data/instructions.json
    options: {image_root: data/images}
  held-out:
    source: captions
    path: data/test.jsonl

model:
  vision: google/siglip-so400m-patch14-384
  language: HuggingFaceTB/SmolLM2-1.7B-Instruct
  dtype: bfloat16

stages:                             # these three names have the paper's settings as defaults
  align:
    mixture: [{dataset: pairs}]
  pretrain:
    mixture: [{dataset: pairs}]     # from VILA_1 on, this stage also sees the new captions
  sft:
    epochs: 2
    mixture:
      - {dataset: chats}
      - {dataset: pairs, weight: 0.1}

cycle:
  rounds: 3
  saturation: {measure: captions, delta: 0.5}   # stop as soon as a round no longer helps

specialists:
  ocr: {}                           # the plugin's own recipe, unchanged

evaluate:
  - {name: captions, kind: captions, dataset: held-out, prompt: Describe the image in details.}
"""

_HEAD = f"""\
<!-- `vila2 config reference --write docs` makes this file from the descriptions in vila2/recipe. -->
# Recipes: every key

A recipe is one YAML file that describes a whole run. This one trains a model, improves it for up to three
rounds, adds a specialist and measures every model:

```yaml
{EXAMPLE}```

- `vila2 run RECIPE --dry-run` checks a recipe and shows the steps. It reports all problems at once, each with
  its line.
- `vila2 config show RECIPE` prints the recipe with every default filled in.
- `--set KEY=VALUE` changes one key from the command line: `--set stages.sft.epochs=2`. A number counts a list
  from 0 (`evaluate.0.limit=100`), and `null` removes a name.
- `extends: FILE` starts from another recipe. Mappings are joined key by key; any other value is replaced.
- `${{VAR}}` and `${{VAR:-default}}` are replaced from the environment.
- A relative path that exists beside the recipe is used from there; any other counts from the working folder.
- `vila2 config schema > recipe.schema.json` writes a JSON schema. An editor with a YAML language server then
  completes and checks a recipe that begins with `# yaml-language-server: $schema=recipe.schema.json`.
"""

_STAGES_HEAD = "A stage that has one of these names has these defaults (paper, Table 8):"
_SPECIALIST_HEAD = f"""\
# A specialist's recipe: every key

A plugin's package holds the recipe of its specialist; `vila2 specialize --recipe FILE` uses another. A stage
that sets neither `train` nor `learning_rate` nor `lora` is trained to suit the generalist: the projector, and
LoRA of rank {ADAPTERS["lora"]["rank"]} on the language model, at {ADAPTERS["learning_rate"]:g}. A stage that
sets one of them has the defaults of `sft` above. [specialize.md](specialize.md) explains the steps.
"""


@dataclass(frozen=True, slots=True)
class Section:
    """The keys of one part of a recipe.

    Attributes:
        path: place of the part, such as ``stages.NAME.lora``; empty for the recipe itself.
        schema: schema of the part.
    """

    path: str
    schema: Schema

    @property
    def anchor(self) -> str:
        """The anchor that Markdown gives the section's heading."""
        return "".join(letter for letter in self.path.lower() if letter.isalnum() or letter in "-_")


def recipe_reference() -> str:
    """Every key of a run's recipe and of a specialist's recipe, as Markdown."""
    return "\n".join([_HEAD, *_recipe_sections(), _SPECIALIST_HEAD, *_specialist_sections()])


def _recipe_sections() -> Iterator[str]:
    schema = part_schema(Recipe)
    schema["properties"] = {"extends": EXTENDS_SCHEMA, **schema["properties"]}
    for section in _sections(schema, "", schema["$defs"]):
        yield _table(section, schema["$defs"], heading=section.path or "The recipe")
        if section.path == "stages.NAME":
            yield _stage_table()


def _specialist_sections() -> Iterator[str]:
    schema = part_schema(SpecialistRecipe)
    schema["properties"][MINIATURE] = {"type": "object", "description": MINIATURE_DESCRIPTION}
    parts, run = schema["$defs"], part_schema(Recipe)
    known: dict[str, Section] = {}
    for section in _sections(run, "", run["$defs"]):
        known.setdefault(section.schema["title"], section)
    for section in _sections(schema, "", parts):
        if section.schema.get("title") not in known:
            heading = f"{section.path} (specialist)" if section.path else "The specialist's recipe"
            yield _table(section, parts, heading=heading, suffix="-specialist", elsewhere=known)


def _sections(schema: Schema, path: str, parts: Mapping[str, Schema]) -> Iterator[Section]:
    """A part and the parts below it, in the order of a recipe."""
    yield Section(path, schema)
    for key, value in schema["properties"].items():
        if found := _part_below(value, parts):
            ending, part = found
            yield from _sections(part, f"{path}.{key}{ending}".removeprefix("."), parts)


def _part_below(schema: Schema, parts: Mapping[str, Schema]) -> tuple[str, Schema] | None:
    """The part that a key holds, and how its path ends: ``.NAME`` below a name, ``[]`` in a list."""
    if "$ref" in schema:
        return "", parts[schema["$ref"].rpartition("/")[2]]
    for choice in schema.get("anyOf", ()):
        if found := _part_below(choice, parts):
            return found
    for key, ending in (("additionalProperties", ".NAME"), ("items", "[]")):
        inner = schema.get(key)
        if isinstance(inner, dict) and (found := _part_below(inner, parts)):
            return ending + found[0], found[1]
    return None


def _table(
    section: Section,
    parts: Mapping[str, Schema],
    *,
    heading: str,
    suffix: str = "",
    elsewhere: Mapping[str, Section] = MappingProxyType({}),
) -> str:
    """One section, with a row for each key.

    Args:
        section: section to show.
        parts: schemas of all parts, by name.
        heading: heading of the section.
        suffix: ending of the anchors of this and the other new sections.
        elsewhere: sections that stand in the reference already, by the title of their part.
    """
    lines = [f"## {heading}", "", section.schema.get("description", ""), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, schema in section.schema["properties"].items():
        kind = _kind(schema)
        if found := _part_below(schema, parts):
            ending, part = found
            own = Section(f"{section.path}.{key}{ending}".removeprefix("."), part)
            other = elsewhere.get(part["title"])
            anchor = other.anchor if other else own.anchor + suffix
            shown = {"": "mapping", ".NAME": "mapping of names", "[]": "list"}[ending]
            kind = f"{shown}, see [`{(other or own).path}`](#{anchor})"
        default = "required" if key in section.schema.get("required", ()) else _default(schema)
        lines.append(f"| `{key}` | {kind} | {default} | {_meaning(schema)} |")
    return "\n".join([*lines, ""])


def _stage_table() -> str:
    """The defaults of the stages that have them."""
    keys = list(next(iter(STAGE_DEFAULTS.values())))
    lines = [_STAGES_HEAD, "", f"| | {' | '.join(f'`{name}`' for name in STAGE_DEFAULTS)} |"]
    lines.append("|---" * (len(STAGE_DEFAULTS) + 1) + "|")
    for key in keys:
        cells = (_value(defaults[key]) for defaults in STAGE_DEFAULTS.values())
        lines.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _meaning(schema: Schema) -> str:
    text: str = schema.get("description", "")
    examples = [_value(example) for example in schema.get("examples", ())]
    text += f". Example: {' or '.join(examples)}" if len(examples) == 1 else ""
    text += f". Examples: {', '.join(examples)}" if len(examples) > 1 else ""
    return text.replace("|", "\\|")


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return "`{}`" if _kind(schema) == "mapping" else "none"
    return "none" if schema["default"] is None else _value(schema["default"])


def _value(value: Any) -> str:
    """A value as a recipe has it: in one line of YAML."""
    if isinstance(value, str):
        return f"`{value}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{_flow(value)}`"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def _kind(schema: Schema) -> str:
    """The type of a value, in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{choice}`" for choice in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "array" if schema.get("minItems") == schema.get("maxItems") == 2:
            return "[from, to]"
        case "array":
            return f"list of: {_kind(schema['items'])}"
        case "string":
            return "name" if "pattern" in schema else "text"
        case "integer":
            return f"whole number{_range(schema)}"
        case "number":
            return f"number{_range(schema)}"
        case "boolean":
            return "true or false"
    return "mapping"


def _range(schema: Schema) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    ends = [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]
    return f" {', '.join(ends)}" if ends else ""
