"""Recaptioning a dataset: a layer, marked, resumable at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.caption.tiny_llava import picture
from vila2.caption.attempts import Attempts
from vila2.caption.caption_job import describe_settings
from vila2.caption.prompts import PROMPTS
from vila2.caption.recaption import check_layer, recaption
from vila2.data.journal import Journal
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.engine.protocol import Answer, GenerationSettings, Request
from vila2.errors import DataError, RunError

SETTINGS = GenerationSettings(max_new_tokens=16)


class Scripted:
    """An engine that says what the key asks for, and can stop the job after some batches."""

    name, digest = "scripted", "0" * 64

    def __init__(self, stop_after: int | None = None) -> None:
        self.batches: list[list[str]] = []
        self.stop_after = stop_after

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        if len(self.batches) == self.stop_after:
            raise KeyboardInterrupt
        self.batches.append([request.key for request in requests])
        return [self._answer(request) for request in requests]

    @staticmethod
    def _answer(request: Request) -> Answer:
        number = int(request.key)
        if number == 3:
            return Answer("I'm sorry, I cannot see it.", "stop", 9)
        if number == 4:
            return Answer("the cube " * 9, "length", 16)
        if number == 5:
            return Answer("", "stop", 0)
        text = f"A picture of number {number}. {request.prompt}"
        return Answer(text, "length" if number == 6 else "stop", 16)


class Hesitant(Scripted):
    """Miscounts at first what it does not refuse; image 7 always."""

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        answers = super().generate(requests, settings)
        wrong = [settings.temperature == 0 or request.key == "0007" for request in requests]
        return [
            Answer(f"{answer.text} Miscounted.", answer.finish, 16) if bad and answer.text else answer
            for answer, bad in zip(answers, wrong, strict=True)
        ]


ATTEMPTS = Attempts(3, 0.7, lambda text: "miscounted" if "Miscounted" in text else "")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    folder = tmp_path_factory.mktemp("data") / "set"
    samples = (
        Sample(f"{number:04d}", (picture(number),), (user(ImagePart(0)), assistant(f"original {number}")))
        for number in range(23)
    )
    write_dataset(folder, samples, name="set", shard_size=10)
    return ShardDataset.open(folder)


def job(dataset: ShardDataset, engine, folder: Path, **changes) -> Layer:
    options = {
        "layer": "self-1",
        "prompts": ["long-v1", "long-v2"],
        "settings": SETTINGS,
        "seed": 1,
        "batch_size": 4,
    }
    return recaption(dataset, engine, folder=folder, **(options | changes))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_image_gets_a_caption_and_nothing_is_hidden(dataset, tmp_path) -> None:
    layer = job(dataset, Scripted(), tmp_path / "self-1")
    rows = list(layer.rows())
    assert [row.key for row in rows] == dataset.keys()
    assert layer.statuses == {"ok": 19, "empty": 1, "refusal": 1, "truncated": 1, "repetition": 1}
    assert rows[4].text == "the cube " * 9 and rows[4].status == "repetition"
    assert {row.prompt for row in rows} == {PROMPTS["long-v1"], PROMPTS["long-v2"]}
    assert layer.info["engine"] == "scripted" and layer.info["settings"]["max_new_tokens"] == 16
    assert sorted(content(tmp_path / "self-1")) == [
        "000000.parquet",
        "000001.parquet",
        "000002.parquet",
        "layer.json",
    ]


@pytest.mark.parametrize("stop_after", range(7))
def test_a_stopped_job_goes_on_and_ends_the_same(dataset, tmp_path, stop_after: int) -> None:
    job(dataset, Scripted(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        job(dataset, Scripted(stop_after), tmp_path / "stopped")
    second = Scripted()
    job(dataset, second, tmp_path / "stopped")
    assert len(second.batches) == 7 - stop_after  # 3 + 3 + 1 batches in three shards: none twice
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


@pytest.mark.parametrize("stop_after", [1, 4, 9])
def test_every_image_is_asked_what_is_asked_besides_and_a_stopped_job_ends_the_same(
    dataset, tmp_path, stop_after
) -> None:
    also = ["Is it day?", "Is it warm?"]
    whole = job(dataset, Scripted(), tmp_path / "whole", also=also)
    asked = [(row.key, row.prompt) for row in whole.rows()]
    assert len(asked) == 3 * len(dataset.keys())
    assert [prompt for key, prompt in asked if key == "0012"][1:] == also
    with pytest.raises(KeyboardInterrupt):
        job(dataset, Scripted(stop_after), tmp_path / "stopped", also=also)
    job(dataset, Scripted(), tmp_path / "stopped", also=also)
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


def test_what_has_a_fault_is_asked_for_again_and_never_trained_on(dataset, tmp_path) -> None:
    engine = Hesitant()
    rows = {row.key: row for row in job(dataset, engine, tmp_path, chooser=ATTEMPTS).rows()}
    assert (rows["0000"].status, rows["0000"].detail) == ("ok", "attempt 2")
    assert "Miscounted" not in rows["0000"].text
    assert (rows["0007"].status, rows["0007"].detail) == ("contradiction", "miscounted")
    assert "Miscounted" in rows["0007"].text, "it stays to be read"
    assert rows["0003"].status == "refusal" and rows["0005"].status == "empty"
    assert [len(batch) for batch in engine.batches[:3]] == [4, 4, 1], "only what has a fault is asked again"


def test_attempts_that_were_stopped_end_the_same(dataset, tmp_path) -> None:
    job(dataset, Hesitant(), tmp_path / "whole", chooser=ATTEMPTS)
    for stop_after in (2, 5, 9):
        with pytest.raises(KeyboardInterrupt):
            job(dataset, Hesitant(stop_after), tmp_path / "stopped", chooser=ATTEMPTS)
    job(dataset, Hesitant(), tmp_path / "stopped", chooser=ATTEMPTS)
    assert content(tmp_path / "stopped") == content(tmp_path / "whole")


def test_a_finished_layer_is_not_written_again(dataset, tmp_path) -> None:
    first = job(dataset, Scripted(), tmp_path)
    again = Scripted()
    assert job(dataset, again, tmp_path).digest == first.digest
    assert again.batches == []


def test_another_batch_size_goes_on_without_asking_twice(dataset, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        job(dataset, Scripted(1), tmp_path, batch_size=6)
    second = Scripted()
    layer = job(dataset, second, tmp_path, batch_size=4)
    assert second.batches[0] == ["0006", "0007"]
    assert [row.key for row in layer.rows()] == dataset.keys()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"settings": GenerationSettings(max_new_tokens=32)}, "settings.max_new_tokens: 16 there, 32 now"),
        ({"prompts": ["long-v2", "long-v1"]}, "prompts"),
        ({"seed": 2}, "seed: 1 there, 2 now"),
        ({"select": lambda key: key < "0011"}, "selection.count: 23 there, 11 now"),
        ({"layer": "self-2"}, "layer: self-1 there, self-2 now"),
    ],
)
@pytest.mark.parametrize("stop_after", [2, None])
def test_other_settings_are_refused_by_name(dataset, tmp_path, changes, named, stop_after) -> None:
    if stop_after is None:
        job(dataset, Scripted(), tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            job(dataset, Scripted(stop_after), tmp_path)
    before = content(tmp_path)
    if changes.keys() <= {"settings", "prompts", "seed"}:
        known = {"settings": SETTINGS, "prompts": ["long-v1", "long-v2"], "seed": 1}
        check_layer(tmp_path, describe_settings(**known))
        with pytest.raises(DataError, match="begun with other settings"):
            check_layer(tmp_path, describe_settings(**known | changes))
    with pytest.raises(DataError, match="begun with other settings") as error:
        job(dataset, Scripted(), tmp_path, **changes)
    assert named in str(error.value)
    assert content(tmp_path) == before


def test_only_selected_images_are_described(dataset, tmp_path) -> None:
    layer = job(dataset, Scripted(), tmp_path, select=lambda key: int(key) % 5 == 0)
    assert [row.key for row in layer.rows()] == ["0000", "0005", "0010", "0015", "0020"]


def test_a_second_writer_is_turned_away(dataset, tmp_path) -> None:
    class Nested(Scripted):
        def generate(self, requests, settings):
            with pytest.raises(RunError, match="another process"):
                job(dataset, Scripted(), tmp_path)
            return super().generate(requests, settings)

    assert job(dataset, Nested(), tmp_path).count == 23


def test_an_image_that_breaks_after_import_is_marked_and_stops_nothing(dataset, tmp_path) -> None:
    class Reading(Scripted):
        def generate(self, requests, settings):
            for request in requests:
                if request.key in ("0001", "0012"):
                    raise DataError(f"{request.key}: broken")
            return super().generate(requests, settings)

    class Broken:
        """The dataset, with two images cut short."""

        def __getattr__(self, name):
            return getattr(dataset, name)

        def __getitem__(self, number):
            sample = dataset[number]
            cut = sample.key in ("0001", "0012")
            return Sample(sample.key, (sample.images[0][:99],) if cut else sample.images, sample.turns)

    layer = job(Broken(), Reading(), tmp_path)
    assert layer.count == 23 and layer.statuses["error"] == 2
    assert "0012" in layer.get("0012")[0].detail


def test_a_torn_journal_loses_only_its_torn_line(tmp_path) -> None:
    path = tmp_path / "journal.jsonl"
    for entry in ([1, "eins"], [2, "zwei ✓"], [3, "drei"]):
        Journal(path).append(entry)
    whole = path.read_bytes()
    second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        count = whole[:length].count(b"\n")
        journal = Journal(path)
        assert journal.entries == [[1, "eins"], [2, "zwei ✓"], [3, "drei"]][:count]
        journal.append("next")
        assert Journal(path).entries == [*journal.entries]
    path.write_bytes(whole[: second + 12] + b"#" + whole[second + 13 :])
    assert Journal(path).entries == [[1, "eins"], [2, "zwei ✓"]]


SCRIPT = """
import os, random, signal, sys, time
import torch
from pathlib import Path
from vila2.engine.protocol import GenerationSettings
from vila2.caption.recaption import check_layer, recaption
from vila2.engine.transformers_engine import TransformersEngine
from vila2.data.shards import ShardDataset
from vila2.model.generalist import load_generalist

torch.set_num_threads(1)
model, data, whole, killed = sys.argv[1:]
engine = TransformersEngine(load_generalist(model, dtype="float32", device="cpu"))

def start(folder):
    pid = os.fork()
    if pid == 0:
        recaption(
            ShardDataset.open(data), engine, folder=Path(folder), layer="self-1",
            prompts=["long-v1", "simple"],
            settings=GenerationSettings(60, temperature=0.8), seed=0, batch_size=2,
        )
        os._exit(0)
    return pid

began = time.monotonic()
assert os.waitpid(start(whole), 0)[1] == 0
work = time.monotonic() - began
moments, kills, done = random.Random(), 0, False
while not done and kills < 12:
    pid = start(killed)
    time.sleep(moments.uniform(0.02, 0.5) * work)
    done = os.waitpid(pid, os.WNOHANG)[0] != 0
    if not done:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        kills += 1
assert done or os.waitpid(start(killed), 0)[1] == 0
print(kills)
"""


def test_kill_at_any_moment_changes_nothing(tiny_folder, dataset, tmp_path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, tiny_folder, dataset.folder, tmp_path / "whole", tmp_path / "killed"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= 1
    whole, killed = content(tmp_path / "whole"), content(tmp_path / "killed")
    leftovers = {name for name in killed if name.startswith(".") and ".tmp" in name}  # of an atomic write
    assert {name: data for name, data in killed.items() if name not in leftovers} == whole
    assert json.loads(whole["layer.json"])["count"] == 23
