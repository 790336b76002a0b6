"""``vila2 judge``: from the command line to votes, results and page, of datasets and runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.caption.tiny_llava import build_tiny_llava
from tests.judge.judging import two_layers, write_layer, write_set, wrong
from tests.run.plain_steps import Plain, plain_step
from vila2.cli.main import app
from vila2.data.shards import ShardDataset
from vila2.errors import DataError, RunError
from vila2.recipe.file.recipe_file import load_recipe
from vila2.run.finding import open_described
from vila2.run.steps import Run

ROOT = Path(__file__).parents[2]


def invoke(*words: object, code: int = 0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def test_an_engine_judges_and_the_results_are_kept(tmp_path: Path):
    two_layers(tmp_path / "set", 6)
    build_tiny_llava(tmp_path / "model")
    words = ["judge", tmp_path / "set", "--model", tmp_path / "model", "--count", 3, "--max-new-tokens", 4]
    found = json.loads(invoke(*words, "--json", "--quiet").stdout)
    folder = tmp_path / "set/judge/model/original+self-1"
    assert found["folder"] == str(folder) and found["judge"]["name"]
    assert found["pairs"]["chosen"] == 3 and found["trust"]["votes"] == 6
    # Random weights say nothing that is a verdict, and nothing is made of it.
    assert found["pairs"]["kinds"] == {"unparsed": 3} and found["matches"][0]["win_rate"] is None
    kept = json.loads((folder / "judged.json").read_text())
    assert kept["matches"] == found["matches"]
    page = (folder / "report.html").read_text()
    assert "6 of 6 answers were no verdict" in page and "too few pairs ended in a verdict" in page
    votes = (folder / "votes.jsonl").read_bytes()
    shown = invoke(*words).output  # nothing is left to ask
    assert "self-1 against original" in shown and "was not checked (--check)" in shown
    assert (folder / "votes.jsonl").read_bytes() == votes


def test_what_is_wrong_with_the_folder_is_said_before_the_judge_is_loaded(tmp_path: Path):
    two_layers(tmp_path / "set", 6)
    build_tiny_llava(tmp_path / "model")
    words = ["judge", tmp_path / "set", "--model", tmp_path / "model", "--count", 3, "--max-new-tokens", 4]
    invoke(*words, "--quiet", "--out", tmp_path / "votes")
    (tmp_path / "model/model.safetensors").write_bytes(b"")  # whoever loads it is told so
    said = invoke(*words, "--out", tmp_path / "votes", "--seed", 1, code=2).stderr
    assert "was begun with other settings (seed: 0 there, 1 now)" in said
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file is a file" in invoke(*words, "--out", tmp_path / "file", code=2).stderr
    assert "model.safetensors is empty" in invoke(*words, "--out", tmp_path / "votes", code=2).stderr


def judge_by_hand(folder: Path) -> subprocess.Popen[str]:
    words = ["judge", str(folder), "--human", "--count", "5", "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "vila2", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder.parent,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        # A job in the background of a shell starts with Ctrl-C ignored, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def test_a_person_is_killed_goes_on_and_stops_with_ctrl_c(tmp_path: Path):
    two_layers(tmp_path / "set", 6)
    for end in (signal.SIGKILL, signal.SIGINT):
        process = judge_by_hand(tmp_path / "set")
        url = re.search(r"http://127\.0\.0\.1:\S+/", process.stderr.readline()).group()
        with urllib.request.urlopen(f"{url}next") as answer:
            state = json.loads(answer.read())
        state = post(f"{url}vote", {"turn": state["turn"], "choice": "tie"})
        process.send_signal(end)
        output, errors = process.communicate(timeout=60)
    assert state["done"] == 2 and process.returncode == 0, errors
    found = json.loads(output)
    assert found["pairs"] == {"chosen": 5, "scored": 2, "kinds": {"tie": 2, "open": 3}}
    assert found["matches"][0]["win_rate"] == [0.5, 0.5, 0.5]
    assert Path(found["report"]).is_file()
    assert found["folder"].endswith("set/judge/human/original+self-1")


def test_a_judge_is_either_an_engine_or_a_person(tmp_path: Path):
    for words in ([], ["--human", "--model", "x"]):
        assert "an engine or a person" in invoke("judge", tmp_path, *words, code=2).stderr


def test_layers_are_found_by_name_and_an_unknown_one_is_an_error(tmp_path: Path):
    dataset, _ = two_layers(tmp_path / "set", 4)
    opened, layers = open_described(tmp_path / "set", ["self-1", "original"])
    assert list(layers) == ["self-1", "original"] and opened.digest == dataset.digest
    with pytest.raises(DataError, match="no layer 'self-2'") as caught:
        open_described(tmp_path / "set", ["original", "self-2"])
    assert "self-1" in caught.value.hint
    with pytest.raises(DataError, match="named twice"):
        open_described(tmp_path / "set", ["original", "original"])
    with pytest.raises(RunError, match="is not a run"):
        open_described(tmp_path / "set", ["original"], "pretrain")
    (tmp_path / "set/layers/half").mkdir()
    with pytest.raises(DataError, match=r"no layer\.json"):
        open_described(tmp_path / "set", ["original", "half"])


def test_a_runs_layers_are_those_that_it_wrote_and_those_beside_its_dataset(tmp_path: Path):
    recipe = load_recipe(ROOT / "examples/miniature.yaml")

    def import_set(folder, settings, inputs, progress):
        write_set(folder, 4)
        return {}

    def write_self(folder, settings, inputs, progress):
        layer = write_layer(ShardDataset.open(inputs["data"]), "self-1", wrong)
        for path in layer.folder.iterdir():
            path.rename(folder / path.name)
        layer.folder.rmdir()
        return {}

    with Run.open(tmp_path / "run") as run:
        run.keep_recipe(recipe)
        data = run.step(f"data-{recipe.recaptioned}", plain_step(import_set), settings=Plain(), inputs={})
        run.step("self-1", plain_step(write_self), settings=Plain(), inputs={"data": data})
    write_layer(ShardDataset.open(data.folder), "ocr", lambda number: "a text")
    dataset, layers = open_described(tmp_path / "run", ["original", "self-1", "ocr"])
    assert dataset.folder == data.folder and list(layers) == ["original", "self-1", "ocr"]
    assert layers["self-1"].get("0001")[0].text == wrong(1)
    with pytest.raises(RunError, match="no dataset 'nothing'"):
        open_described(tmp_path / "run", ["original"], "nothing")
    other = next(name for name in recipe.data if name != recipe.recaptioned)
    with pytest.raises(RunError, match="has not imported"):
        open_described(tmp_path / "run", ["original"], other)
