"""Scoring is killed with -9 and goes on: no answered question is asked again, and the scores are the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.plugin.tiny_specialist import install_finding
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.engine.transformers_engine import TransformersEngine
from vila2.evaluate.score_step import ScoredBenchmark, ScoreSettings, evaluate
from vila2.model.assemble import assemble
from vila2.model.saving import save_model
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.run.board import Board
from vila2.sources import open_source
from vila2.specialist.making_steps import AskSettings, ask_held_out

HERE = Path(__file__).parent
CODE = """
import json, sys
from pathlib import Path
from tests.run.killable_run import end_at
from vila2.evaluate.score_step import evaluate
from vila2.run.board import Board
from vila2.specialist.making_steps import AskSettings, ask_held_out

step, folder, settings, inputs, touch, place, end = json.load(sys.stdin)
end_at(touch, place, end)
do = {"evaluate": evaluate, "ask_held_out": ask_held_out}[step]
paths = {name: Path(path) for name, path in inputs.items()}
do(Path(folder), do.settings.model_validate(settings), paths, Board())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny model, scenes, and questions about them as a specialist's builder holds them out."""
    folder = tmp_path_factory.mktemp("made")
    scenes = list(open_source("world", split="test", count=6, content="test", questions=1))
    write_dataset(folder / "test", scenes, name="test")
    asked = (user(ImagePart(), "How many things are there?"), assistant("3"))
    held_out = [Sample(scene.key, scene.images, asked, {"kind": "count"}) for scene in scenes]
    write_dataset(folder / "held-out", held_out, name="held-out")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, folder / "model")
    install_finding(folder / "site")
    return folder


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """What this process generates answers to."""
    keys: list[str] = []
    answer = TransformersEngine.answer_prepared

    def noted(engine, prepared, settings):
        keys.extend(request.key for request in prepared.requests)
        return answer(engine, prepared, settings)

    monkeypatch.setattr(TransformersEngine, "answer_prepared", noted)
    return keys


def kill(step: SimpleNamespace, folder: Path, *, touch: int, place: str) -> None:
    """Lets another process do the step, and kills it before its n-th touch of a path with ``place`` in it."""
    folder.mkdir(exist_ok=True)
    inputs = {name: str(path) for name, path in step.inputs.items()}
    told = [
        step.name,
        str(folder),
        step.settings.model_dump(mode="json"),
        inputs,
        touch,
        place,
        int(signal.SIGKILL),
    ]
    places = os.pathsep.join([str(HERE), str(HERE.parents[1]), str(step.site)])
    process = subprocess.run(
        [sys.executable, "-c", CODE],
        input=json.dumps(told),
        text=True,
        env=os.environ | {"PYTHONPATH": places},
    )
    assert process.returncode == -signal.SIGKILL


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def do(step: SimpleNamespace, folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    return step.function(folder, step.settings, step.inputs, Board())


def test_a_killed_scoring_goes_on_after_the_last_batch_of_the_benchmark_it_was_at(made, tmp_path, asked):
    benchmarks = [
        BenchmarkSpec(name="captions", kind="captions", dataset="test", max_new_tokens=6, batch_size=2),
        BenchmarkSpec(
            name="again", kind="consistency", dataset="test", max_new_tokens=6, batch_size=4, repeats=2
        ),
    ]  # fmt: skip
    inputs = {"model": made, "data.test": made / "test"}
    step = SimpleNamespace(name="evaluate", function=evaluate, inputs=inputs, site=made / "site")
    step.settings = ScoreSettings(
        benchmarks=tuple(ScoredBenchmark.of(one) for one in benchmarks), seed=0, dtype="float32"
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = do(step, whole)
    everything = list(asked)
    assert len(everything) == 6 + 12
    kill(step, killed, touch=2, place="asked-captions")  # as the answers to the second batch are kept
    kill(step, killed, touch=3, place="asked-again")
    asked.clear()
    assert do(step, killed) == undisturbed
    assert asked == everything[6 + 2 * 4 :], (
        "the captions are done, and two batches of four of the second kind"
    )
    assert files(killed) == files(whole)
    asked.clear()
    assert do(step, killed) == undisturbed and asked == [], "nor is it done again before the step says so"


def test_what_a_specialist_was_asked_is_not_asked_again(made, tmp_path, monkeypatch, asked):
    monkeypatch.syspath_prepend(str(made / "site"))
    step = SimpleNamespace(name="ask_held_out", function=ask_held_out, site=made / "site")
    step.settings = AskSettings(
        plugin="finding",
        plugin_version="1.0",
        seed=0,
        dtype="float32",
        limit=None,
        max_new_tokens=6,
        batch_size=2,
    )
    step.inputs = {"model": made / "model", "data": made / "held-out"}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = do(step, whole)
    everything = list(asked)
    kill(step, killed, touch=2, place="asked.partial")
    asked.clear()
    assert do(step, killed) == undisturbed and asked == everything[2:]
    assert files(killed) == files(whole)
    asked.clear()
    assert do(step, killed) == undisturbed and asked == []
    sys.modules.pop("vila2_finding", None)
