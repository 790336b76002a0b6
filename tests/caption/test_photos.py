"""Captioning a plain folder of images, from the functions and from the command line."""

from __future__ import annotations

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
import typer
from typer.testing import CliRunner

from tests.caption.tiny_llava import picture
from vila2.caption.photos import PhotoOutput, find_images, recaption_photos
from vila2.caption.prompts import DEFAULT_PROMPTS
from vila2.cli.recaption import recaption as command
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset
from vila2.engine.protocol import Answer, GenerationSettings, Request
from vila2.errors import DataError, RecipeError
from vila2.run.board import Board

APP = typer.Typer()
APP.command()(command)


class Scripted:
    """An engine that counts what it is asked."""

    name, digest = "scripted", "0" * 64

    def __init__(self, stop_after: int | None = None) -> None:
        self.asked: list[str] = []
        self.batches = 0
        self.stop_after = stop_after

    def generate(self, requests: Sequence[Request], settings: GenerationSettings) -> list[Answer]:
        from vila2.data.images import decode_image

        if self.batches == self.stop_after:
            raise KeyboardInterrupt
        for request in requests:
            decode_image(request.images[0], where=request.key)
        self.batches += 1
        self.asked += [request.key for request in requests]
        return [Answer(f"Seen: {request.key} ✓", "stop", 5) for request in requests]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Nine images at several depths, one broken, one empty, and two files that are no images."""
    folder = tmp_path / "photos"
    (folder / "summer/beach").mkdir(parents=True)
    (folder / ".cache").mkdir()
    for number in range(9):
        place = ("", "summer", "summer/beach")[number % 3]
        (folder / place / f"{number} é.PNG").write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(picture(0)[:100])
    (folder / "summer/empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    (folder / ".cache/thumbnail.png").write_bytes(picture(1))
    return folder


def job(photos: Path, engine: Scripted, out: Path, **changes):
    options = {"prompts": DEFAULT_PROMPTS, "settings": GenerationSettings(16), "seed": 0, "batch_size": 2}
    return recaption_photos(photos, engine, out=out, **(options | changes))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_images_are_found_at_any_depth_and_others_are_counted(photos) -> None:
    keys, other = find_images(photos)
    assert len(keys) == 11 and keys == sorted(keys) and "summer/beach/2 é.PNG" in keys
    assert other == 2


def test_each_image_gets_one_line_and_broken_ones_are_named(photos, tmp_path) -> None:
    summary = job(photos, Scripted(), tmp_path / "out/captions.jsonl")
    rows = lines(summary.out)
    assert [row["key"] for row in rows] == [key for key in find_images(photos)[0] if "é" in key]
    first = rows[0]
    assert first["text"] == "Seen: 0 é.PNG ✓" and first["status"] == "ok" and first["tokens"] == 5
    assert (summary.out.parent / first["file"]).read_bytes() == picture(0)
    assert {row["prompt_name"] for row in rows} <= set(DEFAULT_PROMPTS) and first["model"] == "scripted"
    assert (summary.count, summary.new, summary.rejected, summary.other_files) == (9, 9, 2, 2)
    assert summary.statuses == {"ok": 9} and summary.words_mean == 4.0
    rejected = lines(summary.rejected_file)
    assert [row["key"] for row in rejected] == ["broken.jpg", "summer/empty.png"]
    assert all(row["reason"] for row in rejected)


@pytest.mark.parametrize("stop_after", range(5))
def test_a_stopped_job_goes_on_with_the_rest(photos, tmp_path, stop_after: int) -> None:
    out, whole = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    job(photos, Scripted(), whole)
    with pytest.raises(KeyboardInterrupt):
        job(photos, Scripted(stop_after), out)
    had = lines(out)
    engine = Scripted()
    summary = job(photos, engine, out)
    assert summary.new == 9 - len(had) == len(engine.asked)
    assert out.read_bytes() == whole.read_bytes()
    assert PhotoOutput(out).rejected.read_bytes() == PhotoOutput(whole).rejected.read_bytes()
    again = Scripted()
    assert job(photos, again, out).new == 0 and again.asked == []


def test_a_torn_last_line_is_written_again(photos, tmp_path) -> None:
    out = tmp_path / "captions.jsonl"
    job(photos, Scripted(), out)
    whole = out.read_bytes()
    for cut in (1, 5, 60, 200):
        out.write_bytes(whole[:-cut])
        job(photos, Scripted(), out)
        assert out.read_bytes() == whole


def test_a_damaged_line_in_the_middle_is_named(photos, tmp_path) -> None:
    out = tmp_path / "captions.jsonl"
    job(photos, Scripted(), out)
    rows = out.read_bytes().split(b"\n")
    out.write_bytes(b"\n".join([rows[0], b"{broken", *rows[2:]]))
    before = out.read_bytes()
    with pytest.raises(DataError, match="line 2"):
        job(photos, Scripted(), out)
    assert out.read_bytes() == before


def test_settings_do_not_mix_in_one_file(photos, tmp_path) -> None:
    out = tmp_path / "captions.jsonl"
    job(photos, Scripted(), out)
    with pytest.raises(DataError, match="max_new_tokens: 16 there, 99 now") as error:
        job(photos, Scripted(), out, settings=GenerationSettings(99))
    assert "--restart" in str(error.value)
    assert job(photos, Scripted(), out, settings=GenerationSettings(99), restart=True).new == 9
    PhotoOutput(out).meta.unlink()
    with pytest.raises(DataError, match=r"captions\.jsonl\.meta\.json is missing"):
        job(photos, Scripted(), out)


def test_a_limit_can_be_raised_later(photos, tmp_path) -> None:
    out = tmp_path / "captions.jsonl"
    assert job(photos, Scripted(), out, limit=5).count == 4
    engine = Scripted()
    assert job(photos, engine, out).count == 9
    assert len(engine.asked) == 5


def test_progress_counts_every_image_once(photos, tmp_path) -> None:
    board = Board()
    seen = []

    class Watch:
        def refresh(self, board, event):
            seen.append((board.tasks[-1].done, board.tasks[-1].total))

    board.displays.append(Watch())
    job(photos, Scripted(), tmp_path / "captions.jsonl", progress=board)
    assert seen[-1] == (11, 11)


def test_a_folder_without_images_says_so(tmp_path) -> None:
    with pytest.raises(DataError, match="no images"):
        job(tmp_path, Scripted(), tmp_path / "captions.jsonl")


def run(*arguments: object):
    return CliRunner().invoke(APP, [str(argument) for argument in arguments])


def test_the_command_describes_a_folder(photos, tiny_folder, tmp_path) -> None:
    out = tmp_path / "captions.jsonl"
    common = [
        "--model",
        tiny_folder,
        "--out",
        out,
        "--max-new-tokens",
        8,
        "--batch-size",
        4,
        "--device",
        "cpu",
    ]
    result = run(photos, *common, "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["captions"] == 9 and summary["rejected"] == 2 and summary["new"] == 9
    assert sum(summary["statuses"].values()) == len(lines(out)) == 9
    again = run(photos, *common)
    assert "captions   9" in again.stdout and "rejected   2" in again.stdout and "±" in again.stdout


def test_the_command_writes_a_layer_of_a_dataset(tiny_folder, tmp_path) -> None:
    folder = tmp_path / "set"
    samples = (Sample(str(n), (picture(n),), (user(ImagePart(0)), assistant("x"))) for n in range(5))
    write_dataset(folder, samples, name="set")
    result = run(
        folder, "--model", tiny_folder, "--layer", "self-1", "--max-new-tokens", 8, "--limit", 3, "--json"
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["captions"] == 3
    assert [row.key for row in Layer.open(folder / "layers/self-1").rows()] == ["0", "1", "2"]
    assert isinstance(run(folder, "--model", tiny_folder).exception, RecipeError)


def test_wrong_options_fail_before_the_model_is_loaded(photos, tmp_path) -> None:
    cases = {
        ("--prompt", "long-v9"): "did you mean",
        ("--layer", "a layer/of two"): "a layer cannot be named",
        ("--temperature", "0.5", "--top-p", "0"): "top_p",
    }
    for options, message in cases.items():
        result = run(photos, "--model", "./no-such-model", "--out", tmp_path / "c.jsonl", *options)
        assert result.exit_code != 0 and message in str(result.exception)
    job(photos, Scripted(), tmp_path / "c.jsonl")
    result = run(photos, "--model", "./no-such-model", "--out", tmp_path / "c.jsonl", "--seed", 4)
    assert "seed: 0 there, 4 now" in str(result.exception)
    assert "no such folder" in str(run(tmp_path / "nowhere", "--model", "./no-such-model").exception)


def test_control_c_says_that_the_same_command_goes_on(photos, tiny_folder, tmp_path) -> None:
    for copy in range(20):
        shutil.copytree(photos / "summer", photos / f"copy{copy}")
    out = tmp_path / "captions.jsonl"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from vila2.cli.main import main; main()",
            "recaption",
            photos,
            "--model",
            tiny_folder,
            "--out",
            out,
            "--batch-size",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        # Where the tests run in the background, Ctrl-C is ignored, and children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (out.exists() and out.stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "the same command goes on" in errors and str(out) in errors
    assert len(lines(out)) >= 1
