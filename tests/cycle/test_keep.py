"""`keep` of a recipe: the models that a run leaves on disk, their link, and going on without the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cycle.conftest import TINY_RECIPE
from vila2.cycle.improve import run_recipe
from vila2.errors import RunError
from vila2.model.loading import locate
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.board import Board
from vila2.run.run_model import run_model


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    text = TINY_RECIPE.replace("count: 16, content: alt_text", "count: 8, content: alt_text")
    path.write_text(text.replace("max_new_tokens: 40", "max_new_tokens: 8"))
    return path


@pytest.fixture(scope="module")
def folder(recipe_path, tmp_path_factory) -> Path:
    """A finished run of which the best model alone was kept."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    do(recipe_path, folder, "keep=best")
    return folder


def do(recipe_path: Path, folder: Path, *overrides: str, dry_run: bool = False):
    recipe = load_recipe(recipe_path, ["specialists=null", *overrides])
    return run_recipe(recipe, folder, dry_run=dry_run, progress=Board())


def models(folder: Path) -> set[str]:
    return {path.parent.name.rpartition("-")[0] for path in folder.glob("steps/*/model")}


def times(folder: Path) -> dict[str, str]:
    return {
        path.parent.name: json.loads(path.read_text())["finished"]
        for path in folder.glob("steps/*/done.json")
    }


def test_the_best_model_stays_and_the_run_stands_for_it(folder, recipe_path):
    assert models(folder) == {"vila1-sft"}
    best = folder / next(folder.glob("steps/vila1-sft-*")).relative_to(folder) / "model"
    assert run_model(folder) == Path(locate(folder).path) == (folder / "model").resolve() == best.resolve()
    before = times(folder)
    outcome = do(recipe_path, folder, "keep=all")  # what is kept is no part of what was done
    assert times(folder) == before and outcome["model"] == {"name": "VILA_1", "folder": folder / "model"}
    (folder / "model").unlink()
    assert run_model(folder) == best.resolve()  # as of a run that was finished before there was a link


def test_a_changed_setting_makes_again_what_it_needs_and_is_told_before(folder, recipe_path):
    more = ["evaluate.0.max_new_tokens=5", "keep=models"]
    states = {step.name: step.state for step in do(recipe_path, folder, *more, dry_run=True)["plan"]}
    assert states["vila0-sft"] == states["parts"] == "again" and states["vila1-sft"] == "done"
    do(recipe_path, folder, *more)
    assert models(folder) == {"vila0-sft", "vila1-sft"}


def test_a_run_that_is_not_finished_has_no_model(recipe_path, tmp_path):
    (tmp_path / "run/steps").mkdir(parents=True)
    (tmp_path / "run/lock").touch()
    with pytest.raises(RunError, match="is not finished"):
        locate(tmp_path / "run")


def test_a_dry_run_says_what_disk_a_run_will_take(folder, recipe_path, tmp_path):
    need = do(recipe_path, tmp_path / "new", dry_run=True)["disk"]
    one = next(folder.glob("steps/vila1-sft-*/model/model.safetensors")).stat().st_size
    assert need["model"] == pytest.approx(one, rel=0.05)
    assert (need["models"], need["staying"]) == (5, 5)  # parts, and two stages of two rounds
    written = sum(path.stat().st_size for path in folder.glob("steps/data-*/shards/*.tar"))
    assert sum(need["datasets"].values()) == pytest.approx(written, rel=0.5)
    assert need["needed"] > 5 * one and need["free"] > 0
    assert do(recipe_path, tmp_path / "new", "keep=best", dry_run=True)["disk"]["staying"] == 1
    assert (
        do(recipe_path, folder, "keep=best", "evaluate.0.max_new_tokens=5", dry_run=True)["disk"]["models"]
        < 5
    )


def test_a_disk_that_is_too_small_is_warned_of(capsys):
    from vila2.cli.tables import print_plan

    disk = {"model": 3_000_000_000, "models": 15, "staying": 15, "checkpoints": 9_000_000_000}
    disk |= {"datasets": {"pretrain": None}, "needed": 54_000_000_000, "free": 20_000_000_000}
    print_plan({"plan": [], "disk": disk}, Path("my run"), as_json=False)
    shown = capsys.readouterr()
    assert (
        "disk: at most 54.0 GB more: 15 models of 3.0 GB" in shown.out
        and "pretrain of unknown size" in shown.out
    )
    assert "warning: the disk is too small" in shown.err and "'my run'" in shown.out


@pytest.mark.slow
@pytest.mark.usefixtures("site")
def test_with_specialists_what_they_start_from_stays_until_they_are_made(recipe_path, tmp_path):
    recipe = load_recipe(recipe_path, ["keep=best", "controls=[twice-sft]"])
    outcome = run_recipe(recipe, tmp_path, dry_run=False, progress=Board())
    assert outcome["model"]["name"] == "VILA²"
    assert models(tmp_path) == {"final-sft", "vila1-sft", "finding-specialist"}
    assert run_model(tmp_path).parent.name.startswith("final-sft-")
    log = (tmp_path / "run.log").read_text()
    assert log.count("pruned ") == 2 and "is done again" not in log
    before = times(tmp_path)
    run_recipe(recipe, tmp_path, dry_run=False, progress=Board())
    assert times(tmp_path) == before
