"""``vila2 reproduce``: its list, its arms as recipes, and a study from data to page."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from vila2.errors import PluginError, RunError
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.stored import items_of, pooled
from vila2.run.board import Board
from vila2.run.step_files import StepResult
from vila2.run.steps import Run
from vila2.studies import GROUPS, STUDIES, Arm, Study
from vila2.studies.base import FULL, QUICK, Size
from vila2.studies.cycle_base import CycleSize
from vila2.studies.reproduce import arm_recipe, find_studies, measured_arms, reproduce
from vila2.studies.study import Cell, Expectation

TINY = Size("tiny", 8, 4, 4, 1, 4, 4, 6, 4, 2, CycleSize(8, 4, 1, 4, 4, 16))


def test_the_list_needs_no_torch_and_says_what_the_paper_found():
    code = (
        "import sys; from typer.testing import CliRunner; from vila2.cli.main import app;"
        "shown = CliRunner().invoke(app, ['reproduce', '--list', '--json']); print(shown.output);"
        "sys.exit('torch' in sys.modules or shown.exit_code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)["studies"]
    assert [study["name"] for study in listed] == list(STUDIES)
    assert all(study["finding"] and study["section"].startswith(("VILA", "not in")) for study in listed)


def test_an_unknown_study_is_named_with_the_nearest():
    with pytest.raises(RunError, match="no study 'freze'") as caught:
        find_studies(["freze"])
    assert "freeze" in caught.value.hint


def installed() -> set[str]:
    return {point.name for point in entry_points(group="vila2.specialists")}


def planned(study: Study, plan: Run, size: Size) -> dict[str, tuple]:
    """What is measured of every arm: the steps that score it, and for the words of captions the layer."""
    wanted = sorted({measure.partition("/")[0] for measure in study.measures})
    return {
        name: tuple(arm.captions.digest if one == "layer" else arm.scores[one].digest for one in wanted)
        for name, arm in measured_arms(study, plan, size, seed=0).items()
    }


@pytest.mark.parametrize("size", [QUICK, FULL], ids=["quick", "full"])
def test_every_arm_is_a_recipe_and_what_arms_share_is_one_step(tmp_path, size):
    plan = Run.open(tmp_path, dry=True)
    for study in map(STUDIES.get, GROUPS["vila"]):
        models = planned(study, plan, size)
        assert len(set(models.values())) == len(models), f"two arms of {study.name} are the same"
    names = [step.name for step in plan.plan]
    assert names.count("data-documents") == 1
    trained = [name for name in names if name == "vila0-pretrain"]
    arms = sum(len(STUDIES[name].arms) for name in GROUPS["vila"])
    assert len(trained) < arms / 1.5, "arms of different studies that are alike are trained once"


@pytest.mark.parametrize("size", [QUICK, FULL], ids=["quick", "full"])
def test_every_row_of_the_tables_is_a_cycle_and_what_rows_share_is_one_step(tmp_path, size):
    plan = Run.open(tmp_path, dry=True)
    studies = [STUDIES[name] for name in ("smoke", "preference", "equal-compute", *GROUPS["vila2"])]
    if missing := set().union(*(study.plugins for study in studies)) - installed():
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")
    for study in studies:
        models = planned(study, plan, size)
        models.pop("saturated", None)  # a plan knows no scores: to it, the last round is the best
        assert len(set(models.values())) == len(models), f"two rows of {study.name} are the same"
    names = [step.name for step in plan.plan]
    assert names.count("self-1") < sum(len(study.arms) for study in studies) / 3
    assert names.count("data-test") == 3, (
        "only the studies of preferences and of equal compute have other scenes"
    )


def test_three_specialists_at_equal_data_have_a_third_of_the_images_each():
    study = STUDIES["table-4"]
    recipe = arm_recipe(study.arm("all-equal"), FULL, seed=0)
    shares = [spec.select for spec in recipe.specialists.values()]
    assert shares == [(0.0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1.0)]


def test_a_specialist_that_only_describes_is_asked_nothing_else_of_the_same_scenes():
    study = STUDIES["specialists"]
    (own,) = arm_recipe(study.arm("spatial-describes"), FULL, seed=7).specialists.values()
    assert own.set == {"data.options.seed": 7, "annotate.prompts": []}


def test_a_row_asks_for_a_plugin_that_is_not_there_by_its_name(tmp_path):
    study = Study(
        "s",
        "t",
        "1",
        "f",
        (Arm("a", "a", specialists=("unheard-of",)),),
        {"questions": "q"},
        (),
        whole_cycle=True,
    )
    with pytest.raises(PluginError, match="unheard-of"):
        measured_arms(study, Run.open(tmp_path, dry=True), QUICK, seed=0)


def test_kinds_are_pooled_by_key():
    one, other = Items(["x", "y"], [1.0, 0.0], [1.0, 1.0]), Items(["y"], [2.0], [3.0])
    assert pooled([one, other]) == Items(["x", "y"], [1.0, 2.0], [1.0, 4.0])


def test_a_study_from_its_data_to_its_page(tmp_path):
    study = STUDIES["text-only"]
    outcome = reproduce([study], tmp_path, size=TINY, seeds=[0], progress=Board())
    (found,) = outcome["results"]["studies"]
    assert [arm["name"] for arm in found["arms"]] == [arm.name for arm in study.arms]
    assert all(0 <= cell["value"] <= 1 for arm in found["arms"] for cell in arm["cells"].values())
    page = (tmp_path / "report.html").read_text()
    assert found["sentence"].split(" (")[0] in page.replace("&#34;", '"') and "−17.2% (MMLU" in page
    document = (tmp_path / "report.md").read_text()
    assert found["sentence"] in document and all(f"| {arm.label} |" in document for arm in study.arms)
    assert all(f"| {one['expected']} | {one['found']} |" in document for one in found["expectations"])
    picture = (tmp_path / "figures" / "text-only.svg").read_text()
    assert "](figures/text-only.svg)" in document and all(arm.label in picture for arm in study.arms)
    # Again, with a study that shares steps: what was done is kept.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("steps/*/done.json")}
    again = reproduce([study], tmp_path, size=TINY, seeds=[0], progress=Board())
    assert again["results"] == outcome["results"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("steps/*/done.json")} == before


def test_every_column_of_the_tables_is_something_that_is_measured(tmp_path):
    size = dataclasses.replace(TINY, cycle=dataclasses.replace(TINY.cycle, test=40))
    columns = {name: label for table in GROUPS["vila2"] for name, label in STUDIES[table].measures.items()}
    study = Study("s", "t", "1", "f", (Arm("vila0", "VILA_0"),), columns, (), whole_cycle=True)
    (found,) = reproduce([study], tmp_path, size=size, seeds=[0], progress=Board())["results"]["studies"]
    assert all(cell["count"] > 0 for arm in found["arms"] for cell in arm["cells"].values())


def test_what_does_not_add_up_is_not_pooled(tmp_path):
    parts = {"b/right": Items(["x"], [1.0], [1.0]), "b/wrong": Items(["x"], [1.0], [1.0], "share", False)}
    (tmp_path / "items.json").write_text(json.dumps({k: dataclasses.asdict(v) for k, v in parts.items()}))
    with pytest.raises(RunError, match="b has measures that do not add up") as caught:
        items_of(StepResult("scores", "digest", tmp_path, {}, True), "b")
    assert "b/right, b/wrong" in caught.value.hint


def test_a_table_of_whole_cycles_says_what_each_row_took_and_when_its_rounds_ended(tmp_path):
    settings = {"cycle.rounds": 1, "cycle.saturation": {"measure": "apart", "delta": 100.0}}
    study = Study(
        "s",
        "t",
        "1",
        "f",
        (
            Arm("vila0", "VILA_0"),
            Arm("saturated", "the saturated round", settings),
            Arm("shuffled", "captions of other images", settings, control="shuffled-captions"),
        ),
        {"layer/words": "words per caption", "questions": "all questions"},
        (Expectation(Cell("vila0", "questions"), Cell("saturated", "questions")),),
        whole_cycle=True,
    )
    (found,) = reproduce([study], tmp_path, size=TINY, seeds=[0], progress=Board())["results"]["studies"]
    plain, rounds, shuffled = found["arms"]
    assert plain["tokens"][0] > 0 and plain["stopped"] == [""]
    words = [arm["cells"]["layer/words"]["value"] for arm in (plain, shuffled)]
    assert words[1] > words[0], (
        "a control is the model of its captions, though the rounds might not go on from it"
    )
    measured = {path.parent.name.rpartition("-")[0] for path in tmp_path.glob("steps/*-stopping-*/done.json")}
    assert measured == {"vila0-stopping", "vila1-stopping"}
    assert len(list(tmp_path.glob("steps/vila1-scores-*"))) > len(
        list(tmp_path.glob("steps/vila1-stopping-*"))
    )
    assert "VILA_1 over the round before: saturated" in rounds["stopped"][0]
    for name in ("report.html", "report.md"):
        page = (tmp_path / name).read_text()
        assert "tokens of the last training" in page and f"seed 0: {rounds['stopped'][0]}" in page
