"""The whole cycle with a specialist and controls, in one run, on tiny models."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from vila2.cycle.improve import improve, run_recipe
from vila2.data.layers import Layer
from vila2.errors import DataError, RecipeError, RunError
from vila2.merge.fate_counts import tally_merge
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board
from vila2.run.steps import Run
from vila2.specialist.origin import find_origin

CONTROLS = [
    "twice-sft",
    "specialist-data-in-sft",
    "specialist-data-equal-passes",
    "specialist-data-equal-total",
    "more-sft",
    "plain-append",
    "unchecked-merge",
    "shuffled-captions",
    "specialist-share",
    "merged-by-model",
]

pytestmark = pytest.mark.usefixtures("site")


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


def test_what_the_merge_kept_stands_in_the_results_and_on_the_page(folder, recipe_file):
    merge = results(folder)["merge"]
    assert list(merge["sources"]) == ["original", "self-1", "finding"]
    (own,) = (path.parent for path in folder.glob("steps/merged-*/done.json") if is_own(path))
    counted = tally_merge(own)
    assert {name: merge[name] for name in ("images", "all", "sources")} == counted
    page = (folder / "report.html").read_text()
    assert "What the merge kept" in page and f"Of {counted['images']} images" in page
    recipe = load_recipe(recipe_file, [f"controls={json.dumps(CONTROLS)}"])
    (told,) = run_recipe(recipe, folder, dry_run=False, progress=Board())["told"]
    assert told.startswith(f"Merged: {counted['all']['sentences']['kept']:,} of ")


def is_own(done: Path) -> bool:
    """Whether a merge is the recipe's, and not a control's."""
    made = json.loads(done.read_text())["settings"]
    own = (made["arm"], made["writer"], made["layers"])
    return own == ("verified", "rules", ["self-1", "finding"])


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
    recipe = load_recipe(recipe_file, ["controls=[twice-sft, unchecked-merge]"])
    plan = run_recipe(recipe, folder, dry_run=True, progress=Board())["plan"]
    assert {step.state for step in plan} == {"done"}


def continued(folder: Path, recipe_file: Path, into: Path, *overrides: str) -> dict[str, dict]:
    """The models of the recipe done otherwise, with what the run has done already."""
    shutil.copytree(folder / "steps", into / "steps", copy_function=os.link)
    run_recipe(load_recipe(recipe_file, list(overrides)), into, dry_run=False, progress=Board())
    return {model["name"]: model for model in results(into)["models"]}


def test_a_model_writes_what_is_merged_that_of_the_round_or_another(folder, recipe_file, tmp_path):
    own = {one["writer"] for one in settings(folder, "merged")}
    assert own == {"rules", "model"}
    another = str(next(folder.glob("steps/parts-*/model")))
    changes = ["merge.writer=model", f"merge.model={another}"]
    models = continued(folder, recipe_file, tmp_path / "run", *changes)
    assert list(models) == ["VILA_0", "VILA_1", "VILA²"]
    merged = next(layer for layer in results(tmp_path / "run")["layers"] if layer["name"] == "merged")
    assert merged["written_by"] == f"{another}, of original, self-1, finding"
    infos = [Layer.open(path).info for path in (tmp_path / "run").glob("steps/merged-*")]
    writers = {info["writer"]["digest"] for info in infos if info["writer"]}
    assert len(writers) == 2, "the best round's model was another writer"


def test_more_sft_takes_the_tokens_of_a_round_where_there_are_no_specialists(folder, recipe_file, tmp_path):
    models = continued(folder, recipe_file, tmp_path / "run", "specialists={}", "controls=[more-sft]")
    tokens = {name: sum(stage["tokens"] for stage in one["stages"]) for name, one in models.items()}
    spent, replaced = (tokens[name] - tokens["VILA_0"] for name in ("more-sft", "VILA_1"))
    assert spent == pytest.approx(replaced, abs=450), "up to one step of four samples"
    before, after = (models[name]["stages"][0] for name in ("VILA_0", "more-sft"))
    assert before == after, "nothing new was seen before the last stage"


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
    [
        ([], "merged"),
        (["specialist_data=sft-equal-passes"], "self-1"),
        (["cycle.rounds=0", "specialists={}"], None),
    ],
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


def test_specialists_data_go_into_sft_as_often_or_for_as_many_tokens_as_the_specialists_took(folder):
    def trained(name: str) -> dict:
        model = next(one for one in results(folder)["models"] if one["name"] == name)
        return model["stages"][-1]

    def tokens(name: str) -> int:
        return trained(name)["tokens"]

    specialist = json.loads(next(folder.glob("steps/finding-train-tune-*/done.json")).read_text())
    rows = list(Layer.open(next(folder.glob("steps/finding-layer-*"))).rows())
    more = tokens("specialist-data-equal-total") - tokens("specialist-data-in-sft")
    least = specialist["results"]["tokens"] + 36 * len(rows)
    assert least < more < least + 40 * len(rows) + 900, "the training, and an image, prompt and text per row"
    beside = [one for one in settings(folder, "final-sft") if one.get("equal_compute", {}).get("passes")]
    entries = [one for one in beside[0]["stage"]["mixture"] if one["dataset"].startswith("finding-")]
    epochs = specialist["settings"]["stage"]["epochs"]
    assert entries and all(entry["weight"] == epochs for entry in entries)


def test_what_a_specialist_made_before_was_trained_on_can_not_go_into_sft(folder, recipe_file, tmp_path):
    made = next(folder.glob("steps/finding-specialist-*/**/specialist.json")).parent
    recipe = load_recipe(recipe_file, [f"specialists.finding.made={made}", "specialist_data=sft"])
    with pytest.raises(RecipeError, match=r"specialists\.finding was made before") as caught:
        run_recipe(recipe, tmp_path / "run", dry_run=True, progress=Board())
    assert "leave out specialists.finding.made" in caught.value.hint


def test_specialists_are_made_with_the_seed_of_the_run(recipe_file, tmp_path):
    def seeds(*overrides: str) -> set[int]:
        run = run_recipe(
            load_recipe(recipe_file, list(overrides)), tmp_path / "run", dry_run=True, progress=Board()
        )
        return {step.digest for step in run["plan"] if step.name.startswith("finding-train")}

    assert seeds("seed=1") == seeds("seed=1", "specialists.finding.set={seed: 1}")
    assert seeds("seed=1") != seeds("seed=1", "specialists.finding.set={seed: 7}")
