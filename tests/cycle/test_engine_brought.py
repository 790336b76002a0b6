"""A plugin's engine does all the asking of a run: captions, benchmarks, held-out questions, annotations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.plugin.packages import install
from vila2.cli.main import app
from vila2.cycle.improve import run_recipe
from vila2.engine.openai_settings import OpenAISettings
from vila2.errors import EngineError
from vila2.evaluate.score_step import ScoreSettings
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.engine import NOT_DIGESTED_OPTIONS, EngineSpec
from vila2.run.board import Board
from vila2.specialist.annotate_step import AnnotateSettings
from vila2.specialist.making_steps import AskSettings

PARROT = """
from vila2.plugin import Answer

class Parrot:
    name = digest = "parrot"

    def __init__(self, model, **options):
        pass

    def generate(self, requests, settings):
        return [Answer("A parrot says so.", "stop", 4) for one in requests]
"""


@pytest.fixture(scope="module")
def parrot(site: Path):
    install(site, "vila2-parrot", PARROT, entry="parrot", kind="engines", function="Parrot")
    yield "parrot"
    sys.modules.pop("vila2_parrot", None)


@pytest.fixture(scope="module")
def run(parrot, recipe_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = load_recipe(recipe_file, overrides=[f"engine={parrot}"])
    run_recipe(recipe, folder, dry_run=False, progress=Board())
    return folder


def said_in(run: Path, step: str, file: str) -> set[str]:
    """All texts under the key ``said`` in a file of a step."""
    rows = json.loads(next(run.glob(f"steps/{step}-*/{file}")).read_text())
    return {row["said"] for row in rows}


def test_it_captions_and_annotates(run):
    for step in ("self-1", "finding-layer"):
        (layer,) = run.glob(f"steps/{step}-*/layer.json")
        assert json.loads(layer.read_text())["info"]["engine"] == "parrot"


def test_it_answers_benchmarks_and_what_was_held_out(run):
    assert said_in(run, "vila0-scores", "said-questions.json") == {"A parrot says so."}
    assert said_in(run, "finding-specialist-scores", "said.json") == {"A parrot says so."}


def test_a_command_takes_the_engine_of_the_run_and_another_by_name(run):
    words = ["annotate", str(run), "--plugin", "finding", "--dataset", "test", "--json"]
    specialist = next(run.glob("steps/finding-specialist-[0-9a-f]*/model"))
    done = CliRunner().invoke(app, [*words, "--specialist", str(specialist)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    layer = json.loads((Path(found["layer"]) / "layer.json").read_text())
    assert layer["info"]["engine"] == "parrot"
    done = CliRunner().invoke(app, [*words, "--specialist", str(specialist), "--engine", "parot"])
    assert done.exit_code and "unknown engine 'parot'" in done.output


def test_a_part_of_the_recipe_may_name_another_engine(parrot, recipe_file):
    recipe = load_recipe(recipe_file, overrides=["engine=parrot", "merge.engine=transformers"])
    chosen = [recipe.engine, recipe.cycle.engine, recipe.merge.engine]
    assert [engine.name for engine in chosen] == ["parrot", "parrot", "transformers"]


def test_an_engine_that_is_not_there_stops_a_run_before_it_begins(recipe_file, tmp_path):
    recipe = load_recipe(recipe_file, overrides=["engine=parot"])
    with pytest.raises(EngineError, match="unknown engine 'parot'"):
        run_recipe(recipe, tmp_path / "run", dry_run=False, progress=Board())


@pytest.mark.parametrize("settings", [ScoreSettings, AnnotateSettings, AskSettings])
def test_the_engine_counts_in_a_steps_digest_only_where_it_is_another(settings):
    assert "engine" not in settings.model_construct(engine=EngineSpec(name="transformers")).digested()
    assert settings.model_construct(engine=EngineSpec(name="parrot")).digested()["engine"] == "parrot"


def test_where_a_server_stands_is_in_no_digest_and_an_option_of_another_engine_is():
    settings = ScoreSettings.model_construct
    told = {option: 1 for option in OpenAISettings.model_fields}
    openai = settings(engine=EngineSpec(name="openai", options=told)).digested()["engine"]
    assert openai == {"name": "openai", "model": 1, "extra": 1}, "what its answers depend on"
    parrot = settings(engine=EngineSpec(name="parrot", options={"url": 1})).digested()["engine"]
    assert parrot == {"name": "parrot", "url": 1}
    assert NOT_DIGESTED_OPTIONS["openai"] <= OpenAISettings.model_fields.keys(), "no name is misspelled"
