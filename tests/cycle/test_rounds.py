"""The whole job on a tiny miniature, by the command line: what is done, what is kept, what a kill leaves."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cycle.timeless_page import timeless
from vila2.cycle.improve import improve
from vila2.errors import DataError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.steps import Run

RECIPE = """
name: tiny
seed: 3
threads: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 24, content: alt_text}}
  instructions: {source: world, options: {split: sft, count: 16, content: instructions, questions: 3}}
  test: {source: world, options: {split: test, count: 6, content: test, questions: 1}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  align: {mixture: [{dataset: pairs}], batch_size: 8, learning_rate: 2.0e-3}
  pretrain: {mixture: [{dataset: pairs}], batch_size: 8, learning_rate: 5.0e-4}
  sft: {mixture: [{dataset: instructions}], train: [projector, language], batch_size: 4, \
learning_rate: 1.0e-3, epochs: 2}
cycle: {rounds: 1, max_new_tokens: 30, batch_size: 8, max_unusable: 1}
evaluate:
  - {name: captions, kind: captions, dataset: test, max_new_tokens: 30, batch_size: 6}
  - {name: questions, kind: questions, dataset: test, max_new_tokens: 4, batch_size: 32}
report: {examples: 3}
"""


def vila2(*arguments: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "vila2", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"CI": "true"}, text=True, **options)


def run(recipe: Path, out: Path, *more: str) -> dict:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = vila2("run", recipe, "--out", out, "--json", "--quiet", *more, **pipes)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "it/s]" not in errors, "no library shows a bar of its own"
    return json.loads(output)


def steps(folder: Path) -> dict[str, float]:
    """Finished steps by name, with the time their ``done.json`` was written."""
    return {path.parent.name: path.stat().st_mtime for path in folder.glob("steps/*/done.json")}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    run(recipe, folder)
    return folder


def test_one_command_trains_recaptions_retrains_and_reports(finished):
    names = {name.rpartition("-")[0] for name in steps(finished)}
    assert names == {
        *("data-pairs", "data-instructions", "data-test", "parts"),
        *("vila0-align", "vila0-pretrain", "vila0-sft", "vila0-scores"),
        *("self-1", "vila1-pretrain", "vila1-sft", "vila1-scores"),
    }, "align sees no new captions: it is trained once"
    results = json.loads((finished / "results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["VILA_0", "VILA_1"]
    assert [layer["name"] for layer in results["layers"]] == ["original", "self-1"]
    assert results["layers"][1]["captions"] == 24 and results["layers"][1]["written_by"] == "VILA_0"
    measures = {(m["benchmark"], m["name"]) for m in results["models"][0]["measures"]}
    assert {
        ("captions", "object precision"),
        ("captions", "object recall"),
        ("questions", "existence"),
    } <= measures
    assert results["changes"] and len(results["examples"]) == 3
    page = (finished / "report.html").read_text()
    assert "VILA_0" in page and "self-1" in page


def test_the_retrained_model_saw_the_original_and_its_own_caption(finished):
    done = next(json.loads((p / "done.json").read_text()) for p in finished.glob("steps/vila1-pretrain-*"))
    assert done["settings"]["stage"]["mixture"][0]["view"] == "concat(original,self-1)"
    assert done["results"]["samples"] == 24


def test_running_again_does_nothing_and_a_change_redoes_what_depends_on_it(recipe, finished):
    before = steps(finished)
    page = (finished / "report.html").read_bytes()
    run(recipe, finished)
    assert steps(finished) == before and (finished / "report.html").read_bytes() == page
    run(recipe, finished, "--set", "cycle.max_new_tokens=20")
    new = {name.rpartition("-")[0] for name in steps(finished).keys() - before.keys()}
    assert new == {"self-1", "vila1-pretrain", "vila1-sft", "vila1-scores"}


@pytest.mark.slow
def test_a_killed_run_gives_the_same_report(recipe, finished, tmp_path):
    run(recipe, finished)  # the test above may have left another report
    chance = random.Random(5)
    folder = tmp_path / "killed"
    for finished_steps in (3, 7, 10):
        process = vila2("run", recipe, "--out", folder, "--quiet")
        while len(steps(folder)) < finished_steps and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
    run(recipe, folder)
    assert (folder / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    assert timeless(folder / "report.html") == timeless(finished / "report.html")


@pytest.mark.slow
def test_two_processes_do_the_steps_of_one(recipe, tmp_path):
    changes = [
        "cycle.rounds=0",
        "processes=2",
        *(f"stages.{name}.deepspeed=null" for name in ("align", "sft")),
    ]
    changes += ["stages.pretrain.deepspeed=null", "stages.align.max_steps=2", "stages.pretrain.max_steps=2"]
    arguments = [word for change in changes for word in ("--set", change)]
    run(recipe, tmp_path / "two", *arguments)
    before = steps(tmp_path / "two")
    assert len(list((tmp_path / "two").glob("steps/vila0-*/processes/1.log"))) == 3
    run(recipe, tmp_path / "two", *arguments, "--set", "processes=1")
    assert steps(tmp_path / "two") == before, "how many they are changes no result"


def test_a_dry_run_shows_steps_samples_and_memory_and_does_nothing(recipe, tmp_path):
    outcome = run(recipe, tmp_path / "dry", "--dry-run")
    assert not (tmp_path / "dry").exists()
    assert [step["state"] for step in outcome["plan"]] == ["pending"] * 12
    assert outcome["sizes"]["pairs"]["samples"] == 24
    sample = outcome["samples"]["sft"]
    assert "<image>x36" in sample["text"] and sample["trained_tokens"] < sample["tokens"]
    assert outcome["memory"]["sft"]["weights"] > 1_000_000


def test_a_wrong_recipe_fails_before_any_work(recipe, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        RECIPE.replace("learning_rate: 5.0e-4", "learning_rat: 5.0e-4").replace("epochs: 2", "epochs: many")
    )
    process = vila2("run", wrong, "--out", tmp_path / "out", stderr=subprocess.PIPE)
    _, error = process.communicate()
    assert process.returncode == 2
    assert "wrong.yaml:12" in error and "learning_rat" in error and "learning_rate" in error
    assert "wrong.yaml:13" in error and "epochs" in error
    assert not (tmp_path / "out").exists()


def test_a_missing_part_is_named_before_any_work(recipe, tmp_path):
    process = vila2(
        "run",
        recipe,
        "--out",
        tmp_path / "out",
        "--set",
        "model.vision=/no/such/tower",
        stderr=subprocess.PIPE,
    )
    _, error = process.communicate()
    assert process.returncode == 2 and "/no/such/tower" in error and "hint:" in error
    assert not (tmp_path / "out").exists()


def test_what_ended_the_rounds_stands_below_the_table(recipe, finished, tmp_path):
    # A hundredth of a point is less than six scenes can tell.
    until = ["--set", "cycle.saturation={measure: questions, delta: 0.01}"]
    process = vila2("run", recipe, "--out", finished, "--quiet", *until, stdout=subprocess.PIPE)
    output, _ = process.communicate()
    table, _, told = output.partition("Round 1 is ")
    assert "VILA_1" in table and told.startswith(
        tuple(f"{word} at 0.01 points: " for word in ("undecided", "improving", "saturated"))
    )
    assert "would decide" in told or not told.startswith("undecided")
    ended, report, model, _ = told.splitlines()[1:]
    assert ended.startswith("The rounds ended with round 1, ") and ended.endswith(" scores best and goes on.")
    assert report == f"report: {finished / 'report.html'}"
    assert (
        model.startswith(f"model:  {finished / 'model'} (VILA_")
        and (finished / "model/config.json").is_file()
    )


def test_rounds_stop_when_they_gain_nothing_more(recipe, finished, tmp_path):
    # All of a hundred points is more than six scenes can gain: the first round is the last.
    until = ["--set", "cycle.rounds=3", "--set", "cycle.saturation={measure: questions, delta: 101}"]
    out = run(recipe, tmp_path / "run", *until)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["VILA_0", "VILA_1"]
    assert [(gain["round"], gain["answer"]) for gain in results["gains"]] == [(1, "saturated")]
    assert results["best"] in ("VILA_0", "VILA_1") and out["summary"]["columns"][1:] == ["VILA_0", "VILA_1"]
    assert any("saturated" in note for note in results["notes"])
    assert out["gains"] == results["gains"] and out["best"] == results["best"]
    (told, ended) = out["told"]
    assert told.startswith("Round 1 is saturated at 101.0 points: ")
    assert ended.startswith("The rounds ended with round 1, saturated; ") and results["best"] in ended
    status = subprocess.run(
        [sys.executable, "-m", "vila2", "status", tmp_path / "run", "--json"], capture_output=True
    )
    assert {step["state"] for step in json.loads(status.stdout)["steps"]} == {"done"}, "nothing is to come"


def test_a_measure_of_which_less_is_better_is_refused_before_a_round(recipe, finished):
    # Not done yet is all of the round; a plugin's measures are known no earlier than with VILA_0's scores.
    until = ["cycle.max_new_tokens=21", "cycle.saturation.measure=captions/repeated objects"]
    with pytest.raises(DataError, match="repeated objects: more of it is not better"):
        improve(load_recipe(recipe, until), Run.open(finished, dry=True))


def test_controls_of_captions_take_the_places_of_the_models_own(recipe, tmp_path):
    shuffled = ["--set", "cycle.captions=shuffled"]
    run(recipe, tmp_path / "run", *shuffled)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [layer["name"] for layer in results["layers"]] == ["original", "shuffled-1"]
    assert "other images" in results["layers"][1]["written_by"]
    given = "data.true-ones={source: world, options: {split: pretrain, count: 24, content: test}}"
    run(recipe, tmp_path / "run", "--set", given, "--set", "cycle.captions=true-ones")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    precision = {
        layer["name"]: measure["value"]
        for layer in results["layers"]
        for measure in layer["measures"]
        if measure["name"] == "object precision"
    }
    assert precision["given-1"] == 1.0 > precision["original"]
