"""`vila2 export --push` and `vila2 model push`, to a hub of the test's own, by processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.caption.tiny_llava import build_tiny_llava, picture
from tests.exports.hub_server import TOKEN, hub
from vila2.data.importing import write_dataset
from vila2.data.sample import ImagePart, Sample, assistant, user


@pytest.fixture
def dataset(tmp_path) -> Path:
    samples = [
        Sample(str(n), (picture(n),), (user(ImagePart(), "What is it?"), assistant(f"answer {n}")))
        for n in range(3)
    ]
    write_dataset(tmp_path / "secret place/photos", samples, name="photos")
    return tmp_path / "secret place/photos"


def vila2(*words: object, url: str = "http://127.0.0.1:9", token: str = TOKEN, code: int = 0):
    kept = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE", "HF_TOKEN")}
    # Large files go by plain HTTP here; the hub's own Xet storage has no server for tests.
    kept |= {"HF_HUB_DISABLE_XET": "1", "HF_HOME": "/nonexistent"}
    own = {"HF_ENDPOINT": url, "HF_TOKEN": token, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "vila2", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=kept | own)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_an_export_becomes_a_private_dataset_with_its_card(dataset, tmp_path):
    out = tmp_path / "out"
    with hub() as server:
        words = ("export", dataset, out, "--to", "huggingface", "--push", "me/photos", "--json", "-q")
        told = json.loads(vila2(*words, url=server.url).stdout)
        again = vila2(*words, "--replace", url=server.url)
    assert told["pushed"]["url"] == f"{server.url}/datasets/me/photos" and told["pushed"]["private"]
    assert json.loads(again.stdout)["pushed"]["url"] == told["pushed"]["url"]
    assert server.private == {"datasets/me/photos": True}
    files = server.files["datasets/me/photos"]
    assert files["README.md"] == (out / "README.md").read_bytes() and b"license" not in files["README.md"]
    table = next(name for name in files if name.endswith(".parquet"))
    Path(tmp_path / "back.parquet").write_bytes(files[table])
    assert pq.read_table(tmp_path / "back.parquet").num_rows == 3
    assert not [name for name, content in files.items() if b"secret place" in content]


def test_what_others_see_is_pushed_only_if_that_is_said(dataset, tmp_path):
    with hub() as server:
        server.private["datasets/me/photos"], server.files["datasets/me/photos"] = False, {}
        words = ("export", dataset, tmp_path / "out", "--to", "text", "--push", "me/photos", "-q")
        assert "everyone can see it" in vila2(*words, url=server.url, code=2).stderr
        assert server.files["datasets/me/photos"] == {}
        done = vila2(*words, "--replace", "--public", url=server.url)
    assert f"pushed to {server.url}/datasets/me/photos, which everyone can see" in done.stdout
    assert {"0.txt", "README.md"} <= set(server.files["datasets/me/photos"])


def test_a_model_is_pushed_with_a_card_of_its_scores(tmp_path):
    run = tmp_path / "runs/mine"
    (run / "steps/sft").mkdir(parents=True)
    (run / "recipe.yaml").write_text("name: mine\n")
    build_tiny_llava(run / "steps/sft/model")
    (run / "model").symlink_to("steps/sft/model")
    measure = {"benchmark": "pope", "name": "accuracy", "value": 0.75, "low": 0.7, "high": 0.8, "count": 9}
    models = [{"name": "VILA_1", "round": 1, "measures": [measure]}]
    recipe = {"name": "mine", "seed": 3, "text": "name: mine\nseed: 3"}
    results = {"title": "mine", "recipe": recipe, "vila2_version": "0", "models": models}
    (run / "results.json").write_text(json.dumps(results))
    with hub() as server:
        told = json.loads(
            vila2("model", "push", run, "me/model", "--license", "mit", "--json", url=server.url).stdout
        )
    files = server.files["models/me/model"]
    assert told["files"] == len(files) and told["url"] == f"{server.url}/me/model"
    assert files["model.safetensors"] == (run / "model/model.safetensors").read_bytes()
    card = files["README.md"].decode()
    assert "license: mit" in card and "pipeline_tag: image-text-to-text" in card
    assert "| pope | accuracy (%) | 75.0 | 70.0–80.0 | 9 |" in card and "seed: 3" in card
    assert not (run / "model/README.md").exists()


@pytest.mark.parametrize(
    ("name", "token", "said"),
    [
        ("photos", TOKEN, "write it as USER/NAME"),
        ("me/a b", TOKEN, "write it as USER/NAME"),
        ("me/photos", "", "hf auth login"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(
    dataset, tmp_path, name: str, token: str, said: str
):
    words = ("export", dataset, tmp_path / "out", "--to", "text", "--push", name)
    assert said in vila2(*words, token=token, code=2).stderr and not (tmp_path / "out").exists()


def test_a_hub_that_refuses_or_is_not_there_is_named_and_the_export_stays(dataset, tmp_path):
    with hub() as server:
        words = ("export", dataset, tmp_path / "out", "--to", "text", "--push", "me/photos", "-q")
        assert "HTTP 401" in vila2(*words, url=server.url, token="hf_wrong", code=2).stderr
    assert (tmp_path / "out/README.md").is_file()
    assert "cannot be reached" in vila2(*words, "--replace", code=2).stderr
