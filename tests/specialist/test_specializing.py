"""A specialist from a real plugin on tiny models: built, trained, compared, annotated; killed and gone on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cycle.timeless_page import timeless
from tests.plugin.tiny_specialist import RECIPE, install_finding
from vila2.cli.main import app
from vila2.cycle.improve import run_recipe
from vila2.data.layers import Layer
from vila2.data.sample import BoxPart
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.registry import open_engine
from vila2.errors import DataError, PluginError, RecipeError, RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.stage import StageSpec
from vila2.run.board import Board
from vila2.run.steps import Run
from vila2.sources import open_source
from vila2.specialist.annotating import annotate_dataset, summarize_layer
from vila2.specialist.annotation_places import find_dataset
from vila2.specialist.made import MadeSpecialist, specialist_folder
from vila2.specialist.making import make
from vila2.specialist.origin import find_origin
from vila2.specialist.specialist_job import prepare_job
from vila2.specialist.specialist_preflight import preflight_specialist
from vila2.specialist.specializing import specialize
from vila2.train.mixture import open_mixture

GENERALIST = """
name: tiny
threads: 1
data:
  pairs: {source: world, options: {split: pretrain, count: 16, content: alt_text}}
  instructions: {source: world, options: {split: sft, count: 8, content: instructions, questions: 2}}
model: {vision: "builtin:world/vision", language: "builtin:world/language", vision_feature_layer: -1}
stages:
  pretrain: {mixture: [{dataset: pairs}], batch_size: 8, learning_rate: 5.0e-4}
  sft: {mixture: [{dataset: instructions}], train: [projector, language], batch_size: 4,
        learning_rate: 1.0e-3}
cycle: {rounds: 1, max_new_tokens: 8, max_unusable: 1}
"""


CONFIG = {"image_root": None, "seed": 0, "shard_size": 8, "places": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    path = folder.parent / "tiny.yaml"
    path.write_text(GENERALIST)
    run_recipe(load_recipe(path), folder, dry_run=False, progress=Board())
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    write_dataset(folder, open_source("world", split="specialist", count=20), name="scenes")
    return folder


def here(path: Path) -> DatasetSpec:
    return DatasetSpec(source="path", path=str(path))


@pytest.fixture(scope="module")
def made(site, run, scenes):
    job = prepare_job("finding", find_origin(run), here(scenes))
    shown = []
    outcome = specialize(
        job, specialist_folder(run, "finding"), progress=Board(), show=lambda *found: shown.append(found)
    )
    return outcome | {"shown": shown, "folder": specialist_folder(run, "finding")}


def test_what_was_built_is_counted_and_shown_before_the_training(made, scenes):
    (built, preview), *_ = made["shown"]
    assert sum(built["samples"].values()) == built["built"] == 40
    assert built["kinds"]["count"]["count"] == 20 and built["kinds"]["where"]["answers"].keys() == {
        "(coordinates)"
    }
    assert sum(built["kinds"]["count"]["answers"].values()) == 20
    page = preview.read_text()
    assert "How many things are there?" in page and "data:image/png" in page and "trained" in page


def test_no_image_is_held_out_and_trained_on(made):
    built = next(made["folder"].glob("steps/build-finding-*"))
    images = {}
    for folder in built.glob("*/dataset.json"):
        dataset = ShardDataset.open(folder.parent)
        images[folder.parent.name] = {sample.meta["image"] for sample in dataset}
    assert images.keys() == {"held-out", "train-where", "train-howmany"}
    assert not images["held-out"] & (images["train-where"] | images["train-howmany"])
    assert images["train-where"] == images["train-howmany"]


def test_the_stage_trained_on_both_subsets_and_on_half_of_what_the_generalist_was_instructed_with(made):
    done = json.loads(next(made["folder"].glob("steps/train-tune-*/done.json")).read_text())
    mixture = {entry["dataset"]: entry["weight"] for entry in done["settings"]["stage"]["mixture"]}
    assert mixture == {"where": 1.0, "howmany": 1.0, "run-instructions": 0.5}
    assert {"data.where", "data.howmany", "data.run-instructions"} <= done["inputs"].keys()


def test_the_report_compares_the_specialist_with_its_generalist(made):
    results = json.loads((made["folder"] / "results.json").read_text())
    assert [model["name"] for model in results["models"]] == ["VILA_1", "finding specialist"]
    assert {(c["name"], c["from"], c["to"]) for c in results["changes"]} == {
        (name, "VILA_1", "finding specialist") for name in ("box given", "count right", "words")
    }
    measures = {m["name"]: m for m in results["models"][1]["measures"]}
    assert measures["count right"]["count"] == made["built"]["samples"]["held-out"] / 2
    assert results["models"][1]["stages"][0]["loss"] and results["examples"][0]["truth"]
    page = (made["folder"] / "report.html").read_text()
    assert "finding specialist" in page and "Questions that were held out" in page


def test_the_specialist_is_saved_with_where_it_comes_from(made):
    said = json.loads((made["folder"] / "specialist.json").read_text())
    assert (said["plugin"], said["package"], said["version"], said["licence"]) == (
        ("finding", "vila2-finding", "1.0", "none")
    )
    assert said["builder"] == {"version": 1, "config": CONFIG}
    assert said["generalist"]["name"] == "VILA_1" and len(said["generalist_digest"]) == 16
    model = made["folder"] / said["model"]
    assert (model / "model.safetensors").is_file()
    assert (
        json.loads((model / "specialist.json").read_text())["generalist_digest"] == said["generalist_digest"]
    )


def test_done_again_nothing_is_done_and_a_new_setting_does_what_depends_on_it(made, run, scenes, tmp_path):
    origin, copy = find_origin(run), tmp_path / "moved"
    write_dataset(copy, open_source("world", split="specialist", count=20), name="scenes")

    def states(data, *overrides):
        planned = Run.open(made["folder"], dry=True)
        make(prepare_job("finding", origin, here(data), overrides=overrides), planned)
        return {step.name: step.state for step in planned.plan}

    assert set(states(scenes).values()) == {"done"}
    moved = states(copy)  # equal data elsewhere: where it lies does not matter to what is built
    assert moved.pop("specialist") == "pending" and set(moved.values()) == {"done"}
    slower = states(scenes, "stages.tune.epochs=3")
    assert slower["build-finding"] == slower["start"] == slower["generalist-scores"] == "done"
    assert slower["train-tune"] == slower["specialist-scores"] == "pending"
    assert states(scenes, "places=false")["build-finding"] == "pending"
    assert states(scenes, "held_out=0.3")["build-finding"] == "pending"


def test_a_new_version_of_the_plugin_builds_anew(made, run, scenes, tmp_path, monkeypatch):
    install_finding(tmp_path, version="1.1")
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = [path for path in sys.path if not (Path(path) / "vila2_finding-1.0.dist-info").exists()]
    monkeypatch.setattr(sys, "path", paths)
    planned = Run.open(made["folder"], dry=True)
    make(prepare_job("finding", find_origin(run), here(scenes)), planned)
    assert {step.name: step.state for step in planned.plan}["build-finding"] == "pending"


def test_annotating_keeps_answer_turns_claims_and_status_of_every_image(made, run):
    specialist = MadeSpecialist.open(made["folder"])
    dataset = ShardDataset.open(find_dataset(find_origin(run), None))
    engine = open_engine("transformers", specialist.model)
    layer = annotate_dataset(dataset, engine, specialist)
    assert layer.folder == dataset.folder / "layers" / "finding"
    rows = list(layer.rows())
    assert [row.key for row in rows] == dataset.keys()
    assert {row.prompt for row in rows} == {"Where is each thing?", "Find all the things."}
    for row in rows:
        assert row.status == "ok" and row.text and row.turns[0].text == row.prompt
        assert row.claims[0].boxes == tuple(p.box for p in row.turns[1].parts if isinstance(p, BoxPart))
    assert layer.info["plugin"]["version"] == "1.0"
    counts = summarize_layer(layer)
    assert counts["annotations"] == counts["exchanges"] == 16 and counts["claims"] == {"object": 16}
    assert annotate_dataset(dataset, engine, specialist).digest == layer.digest  # done: nothing is done again


def test_a_layer_begun_otherwise_is_told_before_the_specialist_is_loaded(made, run, tmp_path):
    dataset = find_dataset(find_origin(run), None)
    specialist = MadeSpecialist.open(made["folder"])
    annotate_dataset(ShardDataset.open(dataset), open_engine("transformers", specialist.model), specialist)
    broken = shutil.copytree(made["folder"], tmp_path / "broken", symlinks=False)
    weights = broken / specialist.provenance["model"] / "model.safetensors"
    weights.unlink()
    weights.write_bytes(b"")
    words = ["annotate", run, "--plugin", "finding", "--specialist", broken, "--set", "max_new_tokens=3"]
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 2 and "was begun with other settings" in found.output, found.output


def test_annotating_in_the_name_of_another_plugin_is_refused(made, run):
    words = ["annotate", run, "--plugin", "ocr", "--specialist", made["folder"]]
    found = CliRunner().invoke(app, [str(word) for word in words])
    assert found.exit_code == 2 and "of the plugin 'finding', not of 'ocr'" in " ".join(found.output.split())


def test_a_dry_run_shows_steps_one_sample_in_tokens_and_memory_and_writes_nothing(site, run, tmp_path):
    spec = DatasetSpec(source="world", options={"split": "specialist", "count": 30})
    job = prepare_job("finding", find_origin(run), spec)
    outcome = preflight_specialist(job, tmp_path / "out")
    assert [step.name for step in outcome["plan"]][:3] == ["data-world", "build-finding", "start"]
    sample = outcome["samples"]["tune"]
    assert "<image>x36" in sample["text"] and 0 < sample["trained_tokens"] < sample["tokens"]
    assert outcome["memory"]["tune"]["weights"] > 1_000_000 and not (tmp_path / "out").exists()


def test_from_a_plain_checkpoint_something_must_be_mixed_in(site, run, scenes, tmp_path):
    checkpoint = find_origin(run).generalist
    origin = find_origin(checkpoint)
    with pytest.raises(RunError, match=r"run:sft.*checkpoint") as error:
        prepare_job("finding", origin, here(scenes))
    assert "--mix" in str(error.value)
    job = prepare_job("finding", origin, here(scenes), mix=[find_origin(run).datasets["instructions"]])
    planned = Run.open(tmp_path, dry=True)
    make(job, planned)
    assert [step.state for step in planned.plan] == ["pending"] * 6


def test_run_stage_stands_for_what_the_stage_of_the_last_round_was_trained_on(site, run):
    origin = find_origin(run)
    (entry,), paths = origin.mixture("run:pretrain", ())
    assert (entry.dataset, entry.view) == ("run-pairs", "concat(original,self-1)")
    stage = StageSpec(train=("language",), style="plain", learning_rate=1e-3, batch_size=8, mixture=(entry,))
    assert len(open_mixture(stage, paths, seed=0)) == 16


def test_without_data_the_runs_own_images_are_used_where_it_is_known_what_they_show(site, run):
    origin = find_origin(run)
    assert prepare_job("finding", origin, None).data.path == str(origin.datasets["pairs"])


def test_location_tokens_are_added_before_the_training(site, run, scenes, tmp_path, monkeypatch):
    install_finding(tmp_path / "tokens", coordinates="tokens")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "tokens"), *[p for p in sys.path if p != str(site)]])
    monkeypatch.delitem(sys.modules, "vila2_finding", raising=False)
    job = prepare_job("finding", find_origin(run), here(scenes))
    sample = preflight_specialist(job, tmp_path / "out")["samples"]["tune"]
    sys.modules.pop("vila2_finding", None)
    assert "<loc_" in sample["trained_text"]


@pytest.mark.parametrize(
    ("changes", "kind", "named"),
    [
        ({"plugin": "findin"}, PluginError, ["findin", "'finding'"]),
        ({"overrides": ["placs=true"]}, RecipeError, ["build.placs", "'places'"]),
        ({"overrides": ["shard_size=many"]}, RecipeError, ["build.shard_size", "integer"]),
        ({"overrides": ["start=align"]}, RunError, ["align", "pretrain, sft"]),
        ({"data": DatasetSpec(source="path", path="/no/such/data")}, DataError, ["/no/such/data"]),
        (
            {"recipe": RECIPE.replace("{dataset: where}", "{dataset: were}")},
            RecipeError,
            ["'were'", "'where'"],
        ),
        ({"recipe": RECIPE.replace("run:sft", "run:stf")}, RunError, ["stf", "pretrain, sft"]),
    ],
)
def test_what_is_wrong_is_said_before_any_work(site, run, scenes, tmp_path, changes, kind, named):
    given = {"plugin": "finding", "data": here(scenes)} | changes
    if "recipe" in given:
        (tmp_path / "recipe.yaml").write_text(given["recipe"])
        given["recipe"] = tmp_path / "recipe.yaml"
    with pytest.raises(kind) as error:
        prepare_job(given.pop("plugin"), find_origin(run), given.pop("data"), **given)
    assert all(part in str(error.value) for part in named), str(error.value)


def test_images_that_lie_elsewhere_count_by_content_and_a_recipe_may_lie_in_the_package(site, run, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"image": "a.png", "evidence": {"objects": []}}\n')

    def build(folder: str) -> str:
        job = prepare_job(
            "finding",
            find_origin(run),
            here(tmp_path / "rows.jsonl"),
            recipe=Path("vila2_finding_files/recipe.yaml"),
            overrides=[f"image_root={tmp_path / folder}"],
        )
        planned = Run.open(tmp_path / "out", dry=True)
        make(job, planned)
        return planned.plan[0].digest

    before = build("pictures")
    (tmp_path / "pictures").rename(tmp_path / "moved")
    assert build("moved") == before
    (tmp_path / "moved" / "a.png").write_bytes(b"1")
    assert build("moved") != before


def test_no_run_to_start_from_names_the_hint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="--from"):
        find_origin(None)
    with pytest.raises(RunError, match="no such run"):
        find_origin("runs/no/such")


def vila2(site: Path, *arguments: object) -> subprocess.Popen:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    command = [sys.executable, "-m", "vila2", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"CI": "true", "PYTHONPATH": path}, text=True)


def killed_and_gone_on(site: Path, folder: Path, signs: Sequence[str], *arguments: object) -> None:
    """Runs a command and kills it as soon as a sign (a glob in ``folder``) is there; the last may end."""
    for sign in signs:
        process = vila2(site, *arguments)
        end = time.monotonic() + 300
        while process.poll() is None and not list(folder.glob(sign)) and time.monotonic() < end:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it ended before {sign} was seen"
    assert vila2(site, *arguments).wait(timeout=600) == 0


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_one_left_alone(made, site, run, scenes, tmp_path):
    out = tmp_path / "killed"
    signs = ("steps/*/pieces/000000/piece.json", "steps/*/checkpoint-2/complete", "steps/specialist-scores-*")
    arguments = ("specialize", "-p", "finding", "--from", run, "--data", scenes, "--out", out, "--quiet")
    killed_and_gone_on(site, out, signs, *arguments)
    for name in ("results.json", "preview.html"):
        assert (out / name).read_bytes() == (made["folder"] / name).read_bytes(), name
    assert timeless(out / "report.html") == timeless(made["folder"] / "report.html")
    dataset = ShardDataset.open(find_dataset(find_origin(run), "instructions"))
    arguments = ("annotate", run, "-p", "finding", "--dataset", "instructions", "--specialist", out, "-q")
    killed_and_gone_on(site, dataset.folder, ["layers/finding/*.partial.jsonl"], *arguments)
    specialist = MadeSpecialist.open(made["folder"])
    alone = tmp_path / "alone"
    write_dataset(alone, iter(dataset), name="instructions")
    engine = open_engine("transformers", specialist.model)
    undisturbed = annotate_dataset(ShardDataset.open(alone), engine, specialist)
    assert list(Layer.open(dataset.folder / "layers" / "finding").rows()) == list(undisturbed.rows())
