"""``vila2 reproduce``: its list, its arms as recipes, and a study from data to page."""

import json
import os
import subprocess
import sys

import pytest

from vila2.cycle.reproduce import find_studies, reproduce, scored_arms
from vila2.cycle.scores import pooled
from vila2.cycle.studies import STUDIES
from vila2.cycle.studies.base import FULL, QUICK, Size
from vila2.errors import RunError
from vila2.evaluate.captions import Items
from vila2.run.progress import Board
from vila2.run.steps import Run

TINY = Size("tiny", 8, 4, 4, 1, 4, 4, 6, 4, 2)


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
    assert all(study["finding"] and study["section"].startswith("VILA") for study in listed)


def test_an_unknown_study_is_named_with_the_nearest():
    with pytest.raises(RunError, match="no study 'freze'") as caught:
        find_studies(["freze"])
    assert "freeze" in caught.value.mend


@pytest.mark.parametrize("size", [QUICK, FULL], ids=["quick", "full"])
def test_every_arm_is_a_recipe_and_what_arms_share_is_one_step(tmp_path, size):
    plan = Run.open(tmp_path, dry=True)
    for study in STUDIES.values():
        arms = scored_arms(study, plan, size, seed=0)
        models = {name: tuple(step.digest for step in scores.values()) for name, scores in arms.items()}
        assert len(set(models.values())) == len(models), f"two arms of {study.name} are the same"
    names = [step.name for step in plan.plan]
    assert names.count("data-documents") == 1
    trained = [name for name in names if name == "vila0-pretrain"]
    arms = sum(len(study.arms) for study in STUDIES.values())
    assert len(trained) < arms / 1.5, "arms of different studies that are alike are trained once"


def test_kinds_are_pooled_by_key():
    one, other = Items(["x", "y"], [1.0, 0.0], [1.0, 1.0]), Items(["y"], [2.0], [3.0])
    assert pooled([one, other]) == Items(["x", "y"], [1.0, 2.0], [1.0, 4.0])


def test_a_study_from_its_data_to_its_page(tmp_path):
    study = STUDIES["text-only"]
    outcome = reproduce([study], tmp_path, size=TINY, seed=0, progress=Board())
    (found,) = outcome["results"]["studies"]
    assert [arm["name"] for arm in found["arms"]] == [arm.name for arm in study.arms]
    assert all(0 <= cell["value"] <= 1 for arm in found["arms"] for cell in arm["cells"].values())
    page = (tmp_path / "report.html").read_text()
    assert found["sentence"].split(" (")[0] in page.replace("&#34;", '"') and "−17.2% (MMLU" in page
    # Again, with a study that shares steps: what was done is kept.
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("steps/*/done.json")}
    again = reproduce([study], tmp_path, size=TINY, seed=0, progress=Board())
    assert again["results"] == outcome["results"]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("steps/*/done.json")} == before
