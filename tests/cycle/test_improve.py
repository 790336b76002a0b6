"""The whole cycle with a specialist and controls, in one run, on tiny models."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from vila2.cycle.controls import controls_of
from vila2.cycle.improve import improve, run_recipe
from vila2.cycle.origin import find_origin
from vila2.data.layers import Layer
from vila2.errors import DataError, RecipeError, RunError
from vila2.run.progress import Board
from vila2.run.recipe_file import load_recipe
from vila2.run.steps import Run

RECIPE = """
name: tiny
threads: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 16, content: alt_text}}
  instructions: {source: world, options: {split: sft, count: 8, content: instructions, questions: 2}}
  test: {source: world, options: {split: test, count: 6, content: test, questions: 1}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  pretrain: {mixture: [{dataset: pairs}], batch_size: 8, learning_rate: 5.0e-4, style: chat}
  sft: {mixture: [{dataset: instructions}], train: [projector, language], batch_size: 4, learning_rate: 1.0e-3}
cycle: {rounds: 1, max_new_tokens: 40}
specialists:
  finding: {data: {source: world, options: {split: specialist, count: 16}}, set: {stages.tune.epochs: 1}}
evaluate:
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 32}
"""

CONTROLS = [
    "twice-sft",
    "specialist-data-in-sft",
    "more-sft",
    "plain-append",
    "unchecked-merge",
    "alone-finding",
    "shuffled-captions",
]

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture(scope="module")
def recipe_file(site, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def folder(recipe_file, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    recipe = load_recipe(recipe_file, [f"controls={json.dumps(CONTROLS)}"])
    run_recipe(recipe, folder, dry_run=False, progress=Board())
    return folder


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def settings(folder: Path, step: str) -> list[dict]:
    return [json.loads(path.read_text())["settings"] for path in folder.glob(f"steps/{step}-*/done.json")]


def test_specialists_are_made_of_the_best_round_and_train_the_generalist_once_more(folder):
    models = [model["name"] for model in results(folder)["models"]]
    assert models[:3] == ["VILA_0", "VILA_1", "VILA²"]
    assert [layer["name"] for layer in results(folder)["layers"]] == [
        "original",
        "self-1",
        "finding",
        "merged",
    ]
    views = {entry["view"] for one in settings(folder, "final-pretrain") for entry in one["stage"]["mixture"]}
    assert "dialogue(merged)" in views


def test_what_merged_captions_say_names_its_layers(folder):
    merged = Layer.open(next(folder.glob("steps/merged-*")))
    sources = {turn.source for row in merged.rows() for turn in row.turns or ()}
    assert "finding" in sources and any("original" in source for source in sources)


def test_controls_stand_beside_the_model_that_they_control(folder):
    found = results(folder)
    assert [model["name"] for model in found["models"]][3:] == CONTROLS
    compared = {(change["from"], change["to"]) for change in found["changes"]}
    assert ("twice-sft", "VILA²") in compared and ("VILA_0", "VILA²") in compared
    trained = {len(one["stage"]["mixture"]) for one in settings(folder, "final-sft")}
    assert trained == {1, 3}, "one control trains the last stage on the specialist's own data too"
    assert {one["stage"]["epochs"] for one in settings(folder, "vila0-sft")} == {1.0, 2.0}
    merged = {one["arm"]: one["layers"] for one in settings(folder, "merged") if len(one["layers"]) > 0}
    assert merged["unchecked"] == ["self-1", "finding"] and merged["append"] == ["finding"]


def test_who_starts_from_the_run_starts_from_its_best_round_and_not_from_a_control(folder, tmp_path):
    def trained(origin) -> str:
        (entry,) = (entry for entry in origin.mixtures["pretrain"] if entry.dataset == origin.recaptioned)
        return entry.view

    assert len(settings(folder, "vila1-sft")) == 2, "the round's, and that of the control"
    origin = find_origin(folder)
    assert (origin.name, trained(origin)) == ("VILA_1", "concat(original,self-1)")
    # Where another round did better it is that one.
    copied = shutil.copytree(folder, tmp_path / "copy", copy_function=os.link)
    (copied / "results.json").unlink()
    (copied / "results.json").write_text(json.dumps(results(folder) | {"best": "VILA_0"}))
    assert find_origin(copied).name == "VILA_0"


def test_a_run_that_is_moved_is_not_done_again(folder, recipe_file, tmp_path):
    shutil.copytree(folder, tmp_path / "moved", copy_function=os.link)
    plan = run_recipe(load_recipe(recipe_file, []), tmp_path / "moved", dry_run=True, progress=Board())[
        "plan"
    ]
    assert {step.state for step in plan} == {"done"}


def test_a_run_that_is_not_there_is_not_taken_for_a_model_of_the_hub(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="runs/nosuch: no such run or checkpoint"):
        find_origin("runs/nosuch")
    assert find_origin("someone/some-vlm").models == {"last": "someone/some-vlm"}


def test_what_is_alike_is_done_once(folder, recipe_file):
    assert len(list(folder.glob("steps/finding-train-*"))) == 1
    recipe = load_recipe(recipe_file, ["controls=[twice-sft, alone-finding]"])
    plan = run_recipe(recipe, folder, dry_run=True, progress=Board())["plan"]
    assert {step.state for step in plan} == {"done"}


def test_a_control_that_does_not_exist_is_named_before_any_work(recipe_file, tmp_path):
    with pytest.raises(RecipeError, match="no control 'twice-stf'") as caught:
        run_recipe(
            load_recipe(recipe_file, ["controls=[twice-stf]"]),
            tmp_path / "run",
            dry_run=False,
            progress=Board(),
        )
    assert "twice-sft" in caught.value.mend and not (tmp_path / "run").exists()


def test_a_specialist_whose_data_gives_nothing_is_named_before_the_rounds(recipe_file, tmp_path):
    (tmp_path / "empty.jsonl").write_text('{"image": "gone.jpg", "texts": []}\n')
    data = json.dumps({"source": "path", "path": str(tmp_path / "empty.jsonl")})
    with pytest.raises(DataError, match=r"vila2-finding.*empty\.jsonl give no sample"):
        run_recipe(
            load_recipe(recipe_file, [f"specialists.finding.data={data}"]),
            tmp_path / "run",
            dry_run=False,
            progress=Board(),
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "name",
    [
        "one-more-epoch",
        "two-more-epochs",
        "true-captions",
        "shuffled-captions",
        "prompt-simple",
        "only-new-captions",
    ],
)
def test_every_control_plans_another_training_than_the_recipe(recipe_file, tmp_path, name):
    def trained(control: str | None) -> set[str]:
        recipe = load_recipe(recipe_file, ["specialists={}"])
        recipe = controls_of(recipe)[control].applied_to(recipe) if control else recipe
        plan = run_recipe(recipe, tmp_path / "run", dry_run=True, progress=Board())["plan"]
        return {step.digest for step in plan if step.name.endswith(("-pretrain", "-sft"))}

    assert trained(name) != trained(None)


def test_a_control_that_would_change_nothing_says_so(recipe_file):
    with pytest.raises(RecipeError, match=r"first-captions says nothing where there is one attempt"):
        controls_of(load_recipe(recipe_file, []))["first-captions"].applied_to(load_recipe(recipe_file, []))


def test_a_specialist_made_before_can_teach_another_model(folder, recipe_file, tmp_path):
    made = next(folder.glob("steps/finding-specialist-*/model"))
    changed = [f"specialists={{finding: {{made: {made}}}}}", "cycle.rounds=0"]
    plan = run_recipe(load_recipe(recipe_file, changed), tmp_path / "run", dry_run=True, progress=Board())[
        "plan"
    ]
    names = {step.name for step in plan}
    assert {"finding-layer", "merged", "final-pretrain"} <= names and "finding-train-tune" not in names


@pytest.mark.parametrize(
    ("changes", "layer"),
    [([], "merged"), (["specialist_data=sft"], "self-1"), (["cycle.rounds=0", "specialists={}"], None)],
)
def test_a_model_knows_which_captions_it_learned_from(recipe_file, tmp_path, changes, layer):
    _, history = improve(load_recipe(recipe_file, changes), Run.open(tmp_path / "run", dry=True))
    assert history.outcome.layer == layer


@pytest.mark.parametrize("control", ["specialist-data-in-sft", "more-sft"])
def test_a_control_takes_about_the_tokens_of_the_captions_that_it_replaces(folder, control):
    def tokens(name: str) -> int:
        model = next(one for one in results(folder)["models"] if one["name"] == name)
        return sum(stage["tokens"] for stage in model["stages"])

    spent, replaced = (tokens(name) - tokens("VILA_1") for name in (control, "VILA²"))
    assert spent == pytest.approx(replaced, abs=450), "up to one step of four samples"


def test_a_control_that_a_recipe_can_not_have_says_why(recipe_file):
    recipe = load_recipe(recipe_file, ["cycle.rounds=0", "cycle.stage=alignment", "specialists={}"])
    with pytest.raises(RecipeError, match="no stage 'alignment' to train longer"):
        controls_of(recipe)["one-more-epoch"].applied_to(recipe)
    with pytest.raises(RecipeError, match=r"shuffled-captions cannot be had of this recipe.*alignment"):
        controls_of(recipe)["shuffled-captions"].applied_to(recipe)


def test_what_a_specialist_made_before_was_trained_on_can_not_go_into_sft(folder, recipe_file, tmp_path):
    made = next(folder.glob("steps/finding-specialist-*/**/specialist.json")).parent
    recipe = load_recipe(
        recipe_file, [f"specialists.finding.made={made}", "controls=[specialist-data-in-sft]"]
    )
    with pytest.raises(RecipeError, match=r"specialists\.finding was made before") as caught:
        run_recipe(recipe, tmp_path / "run", dry_run=True, progress=Board())
    assert "leave out specialists.finding.made" in caught.value.mend


def test_specialists_are_made_with_the_seed_of_the_run(recipe_file, tmp_path):
    def seeds(*overrides: str) -> set[int]:
        run = run_recipe(
            load_recipe(recipe_file, list(overrides)), tmp_path / "run", dry_run=True, progress=Board()
        )
        return {step.digest for step in run["plan"] if step.name.startswith("finding-train")}

    assert seeds("seed=1") == seeds("seed=1", "specialists.finding.set={seed: 1}")
    assert seeds("seed=1") != seeds("seed=1", "specialists.finding.set={seed: 7}")
