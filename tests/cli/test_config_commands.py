"""``vila2 config``: the schema, the references that docs/ holds, and a recipe as resolved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from vila2.cli.main import app
from vila2.cli.source_reference import read_docstring
from vila2.recipe.file.recipe_file import load_recipe
from vila2.sources import SOURCES, source_options

PROJECT = Path(__file__).parents[2]
MINIATURE = PROJECT / "examples/miniature.yaml"


def output(*words: str) -> str:
    result = CliRunner().invoke(app, ["config", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_references_in_docs_are_up_to_date(tmp_path: Path):
    output("reference", "--write", str(tmp_path))
    for name in ("recipes.md", "sources.md"):
        assert (PROJECT / "docs" / name).read_text(encoding="utf-8") == (tmp_path / name).read_text(
            encoding="utf-8"
        ), f"docs/{name} is out of date: run `vila2 config reference --write docs`"


def test_the_schema_is_json_for_runs_and_specialists():
    assert "extends" in json.loads(output("schema"))["properties"]
    assert "held_out" in json.loads(output("schema", "--specialist"))["properties"]


@pytest.mark.parametrize("name", SOURCES)
def test_every_option_of_a_source_has_a_row_with_its_meaning(name: str):
    text = output("reference", "--sources")
    section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    for option in source_options(name):
        (row,) = [line for line in section.splitlines() if line.startswith("| `") and f"`{option}`" in
                  line.split(" | ")[0]]  # fmt: skip
        assert len(row.split(" | ")[-1]) > 5, f"{name}: {option} is not described"


def test_a_docstring_is_split_into_summary_and_options():
    text = read_docstring(
        "Reads ``rows``.\n\nMore in :func:`~vila2.x.open_it`.\n\n"
        "Args:\n    path: the file,\n        or folder.\n    start, count: a slice.\n\n"
        "Raises:\n    DataError: not there."
    )
    assert text.summary == "Reads `rows`.\n\nMore in `open_it`."
    assert text.options == {("path",): "the file, or folder.", ("start", "count"): "a slice."}


def test_a_recipe_is_shown_with_everything_filled_in(tmp_path: Path):
    base = tmp_path / "own.yaml"
    base.write_text(
        f"# yaml-language-server: $schema=recipe.schema.json\nextends: {MINIATURE}\nseed: 7\n",
        encoding="utf-8",
    )
    shown = output("show", str(base), "--set", "stages.sft.epochs=2")
    again = tmp_path / "again.yaml"
    again.write_text(shown, encoding="utf-8")
    assert "extends" not in shown
    assert load_recipe(again) == load_recipe(base, ["stages.sft.epochs=2"])
    assert json.loads(output("show", str(base), "--json"))["seed"] == 7


@pytest.mark.parametrize(
    "words",
    ["--help", "config schema", "config reference", "config reference --sources", f"config show {MINIATURE}"],
)
def test_light_commands_load_no_model_library(words: str):
    code = (
        "import sys\nfrom vila2.cli.main import main\nsys.argv[1:] = sys.argv[1].split()\n"
        "try:\n    main()\nfinally:\n"
        "    print({'torch', 'transformers'} & sys.modules.keys(), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True)
    assert done.stderr.strip() == "set()", done.stderr


def test_an_engine_with_options_in_a_recipe_file_reaches_every_step_that_asks(tmp_path: Path):
    file = tmp_path / "served.yaml"
    engine = {
        "name": "openai",
        "url": ["http://a:1/v1", "http://b:1/v1"],
        "model": "tiny",
        "extra": {"min_p": 0.1},
    }
    text = 'engine: {name: openai, url: ["http://a:1/v1", "http://b:1/v1"], model: tiny, extra: {min_p: 0.1}}'
    file.write_text(f"extends: {MINIATURE}\n{text}\n", encoding="utf-8")
    shown = yaml.safe_load(output("show", str(file)))
    assert shown["engine"] == shown["cycle"]["engine"] == engine
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(shown), encoding="utf-8")
    assert yaml.safe_load(output("show", str(again))) == shown

    file.write_text(file.read_text(encoding="utf-8").replace("model:", "modle:"), encoding="utf-8")
    refused = CliRunner().invoke(app, ["run", str(file), "--dry-run"])
    assert refused.exit_code != 0 and "modle" in refused.output and "'model'" in refused.output
