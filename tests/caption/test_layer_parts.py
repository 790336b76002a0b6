"""Processes that share a layer's folder write it in parts, whichever of them is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.caption.scripted import Scripted
from tests.caption.tiny_llava import build_tiny_llava, picture
from tests.engine.unruly_server import Reply, serving
from vila2.caption.layer_parts import LayerPart, OtherPartsLeft
from vila2.caption.layer_status import layer_standings
from vila2.caption.recaption import recaption
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import GenerationSettings
from vila2.errors import RecipeError, RunError

COUNT, SHARD = 60, 8


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    samples = (
        Sample(
            f"{n:04d}",
            (picture(n),) if n % 9 else (),
            (user(ImagePart(0)) if n % 9 else user("?"), assistant("o")),
        )
        for n in range(COUNT)
    )
    write_dataset(tmp_path / "set", samples, name="set", shard_size=SHARD)
    return ShardDataset.open(tmp_path / "set")


def written(
    dataset: ShardDataset, name: str, part: str | None = None, engine: Scripted | None = None
) -> Layer:
    return recaption(
        dataset,
        engine or Scripted(lambda key, settings: f"Seen: {key}"),
        folder=dataset.folder / "layers" / name,
        layer="self-1",
        prompts=["simple", "long-v1"],
        settings=GenerationSettings(max_new_tokens=16),
        seed=5,
        batch_size=3,
        part=LayerPart.parse(part) if part else None,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("order", [["3/3", "1/3", "2/3"], ["1/2", "2/3", None], ["2/9", "1/1"]])
def test_parts_in_any_order_make_the_layer_of_one_process(dataset, order) -> None:
    expected = content(written(dataset, "whole").folder)
    for part in order[:-1]:
        with pytest.raises(OtherPartsLeft, match="left to other parts"):
            written(dataset, "shared", part)
    assert content(written(dataset, "shared", order[-1]).folder) == expected
    assert content(written(dataset, "shared", "1/3").folder) == expected, "a part of a finished layer"


def test_a_part_that_is_stopped_goes_on_and_shows_in_the_status(dataset) -> None:
    expected = content(written(dataset, "whole").folder)
    with pytest.raises(KeyboardInterrupt):
        written(dataset, "shared", "1/2", Scripted(lambda key, s: f"Seen: {key}", stop_after=7))
    layers = dataset.folder / "layers"
    (standing,) = layer_standings(dataset, {"shared": layers / "shared"})
    assert (standing.state, standing.done, standing.shards) == ("stopped", 2, 8)
    assert [(one.part, one.shards, one.images, one.works) for one in standing.workers] == [
        ("1/2", 2, 14, False)
    ]
    with pytest.raises(OtherPartsLeft):
        written(dataset, "shared", "1/2")
    assert content(written(dataset, "shared", "2/2").folder) == expected
    assert [one.state for one in layer_standings(dataset, {"shared": layers / "shared"})] == ["finished"]


def test_overlapping_parts_never_write_one_shard_at_once(dataset) -> None:
    class Nested(Scripted):
        """While it describes a shard, the whole layer and an overlapping part are begun."""

        def generate(self, requests, settings):
            if self.batches == 1:
                with pytest.raises(RunError, match="another process"):
                    written(dataset, "shared")
                other = Scripted(lambda key, s: f"Seen: {key}")
                with pytest.raises(OtherPartsLeft):
                    written(dataset, "shared", "1/1", other)
                self.meanwhile = other.asked
            return super().generate(requests, settings)

    expected = content(written(dataset, "whole").folder)
    nested = Nested(lambda key, settings: f"Seen: {key}")
    assert content(written(dataset, "shared", "1/2", nested).folder) == expected
    assert not set(nested.asked) & set(nested.meanwhile)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/2/3"])
def test_a_part_that_does_not_exist_is_refused(text) -> None:
    with pytest.raises(RecipeError, match="--part"):
        LayerPart.parse(text)


def command(dataset: ShardDataset, *more: str) -> list[str]:
    asked = ["recaption", str(dataset.folder), "--model", "tiny", "--engine", "openai", "--batch-size", "2"]
    return [sys.executable, "-m", "vila2", *asked, "--quiet", "--json", *more]


def test_two_processes_one_of_them_killed_write_the_bytes_of_one(dataset) -> None:
    """Real processes and a real server; the first is killed while it writes its second shard."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    layers = dataset.folder / "layers"
    with serving(lambda prompt, before: Reply(delay=0.3)) as server:
        url = ["--engine-option", f"url={server.url}", "--engine-option", "concurrency=2"]
        parts = [
            subprocess.Popen(
                command(dataset, *url, "--layer", "shared", "--part", part), stdout=subprocess.PIPE, env=env
            )
            for part in ("1/2", "2/2")
        ]
        deadline = time.monotonic() + 120
        while not (layers / "shared" / "000000.parquet").exists():
            assert time.monotonic() < deadline and parts[0].poll() is None
            time.sleep(0.02)
        (standing,) = layer_standings(dataset, {"shared": layers / "shared"})
        parts[0].send_signal(signal.SIGKILL)
        parts[0].communicate()
        second = json.loads(parts[1].communicate()[0])
        assert second["left"] > 0 and second["part"] == "2/2"
        assert standing.state == "running" and all(one.works for one in standing.workers)
        assert {one.part for one in standing.workers} == {"1/2", "2/2"}
        shown = subprocess.run(
            [sys.executable, "-m", "vila2", "status", str(dataset.folder)],
            capture_output=True,
            text=True,
            env=env,
            check=True,
        )
        assert "shared: stopped" in shown.stdout and shown.stdout.count("has ended, ") == 2
        again = command(dataset, *url, "--layer", "shared", "--part", "1/2")
        completed = json.loads(subprocess.run(again, capture_output=True, env=env, check=True).stdout)
        assert completed["captions"] == sum(len(one.images) for one in dataset)
        alone = command(dataset, *url, "--layer", "alone")
        subprocess.run(alone, capture_output=True, env=env, check=True)
    found, expected = content(layers / "shared"), content(layers / "alone")
    described = [json.loads(one.pop("layer.json")) for one in (found, expected)]
    assert described[0]["info"].pop("layer") == "shared" and described[1]["info"].pop("layer") == "alone"
    assert {described[0].pop("name"), described[1].pop("name")} == {"shared", "alone"}
    assert described[0] == described[1] and found == expected


def test_parts_are_of_datasets_alone(tmp_path) -> None:
    build_tiny_llava(tmp_path / "tiny")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").write_bytes(picture(1))
    asked = ["recaption", str(tmp_path / "photos"), "--model", str(tmp_path / "tiny"), "--part", "1/2"]
    done = subprocess.run([sys.executable, "-m", "vila2", *asked], capture_output=True, text=True)
    assert done.returncode == 2 and "part" in done.stderr and "vila2 data import" in done.stderr
