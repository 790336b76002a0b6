"""`vila2 recaption` from the command line: where captions go, what is refused early, redo, limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.caption.scripted import lines
from tests.caption.tiny_llava import picture
from vila2.cli.main import app
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import write_dataset

COUNT = 4


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("my photos").mkdir()
    for number in range(COUNT):
        (tmp_path / f"my photos/{number}.png").write_bytes(picture(number))
    return tmp_path


def recaption(model: Path | str, *words: object, code: int = 0):
    command = ["recaption", "-m", model, "-p", "simple", "--max-new-tokens", 4, *words]
    result = CliRunner().invoke(app, [str(word) for word in command])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize("out", ["-", "/dev/stdout"])
def test_captions_stream_to_standard_output_and_all_else_to_the_other(place, tiny_folder, out: str) -> None:
    Path("my photos/broken.png").write_bytes(b"no image")
    command = [sys.executable, "-m", "vila2", "recaption", "my photos", "-m", tiny_folder, "-o", out]
    command += ["--max-new-tokens", "4", "-q", "--json", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in rows] == [f"my photos/{number}.png" for number in range(COUNT)]
    rejected, summary = done.stderr.splitlines()[-2:]
    assert rejected.startswith("rejected: broken.png: ") and json.loads(summary)["rejected"] == 1
    assert os.listdir(place) == ["my photos"]


def test_files_of_one_stem_have_settings_of_their_own(place, tiny_folder) -> None:
    for number, name in enumerate(("x", "x.json", "x.csv", "x.jsonl")):
        recaption(tiny_folder, "my photos", "-o", name, "--seed", number)
        assert len(lines(Path(name))) == COUNT
    for number, name in enumerate(("x", "x.json", "x.csv", "x.jsonl")):
        assert json.loads(Path(f"{name}.meta.json").read_text())["seed"] == number
        recaption(tiny_folder, "my photos", "-o", name, "--seed", number)


def test_a_file_of_earlier_versions_goes_on(place, tiny_folder) -> None:
    recaption(tiny_folder, "my photos", "--limit", 2)
    rows = [{**row, "file": str(place / "my photos" / row["key"])} for row in lines(Path("captions.jsonl"))]
    for row in rows:
        del row["sha256"]
    Path("captions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    meta = json.loads(Path("captions.jsonl.meta.json").read_text())
    del meta["out"]
    Path("captions.meta.json").write_text(json.dumps(meta | {"photos": str(place / "my photos")}))
    Path("captions.jsonl.meta.json").unlink()
    assert json.loads(recaption(tiny_folder, "my photos", "--json").stdout)["new"] == 2
    assert "seed: 0 there, 5 now" in recaption(tiny_folder, "my photos", "--seed", 5, code=2).output


def test_only_captions_are_thrown_away(place, tiny_folder) -> None:
    kept = {"notes.txt": "my notes\n", "rows.jsonl": '{"key": "a", "score": 1}\n', "torn": '{"key'}
    for name, text in kept.items():
        Path(name).write_text(text)
        for more in ([], ["--restart"]):
            result = recaption("./no-such-model", "my photos", "--out", name, *more, code=2)
            assert f"{name} holds something else than captions" in result.output and "hint: " in result.output
        assert Path(name).read_text() == text
    recaption(tiny_folder, "my photos")
    Path("captions.jsonl.meta.json").unlink()
    assert "is missing" in recaption("./no-such-model", "my photos", code=2).output
    recaption(tiny_folder, "my photos", "--restart")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["my photos", "-o", "my photos"], "is a folder"),
        (["my photos", "-o", "file/captions.jsonl"], "file cannot be written to"),
        (["my photos", "-o", "/proc/captions.jsonl"], "/proc cannot be written"),
        (["my photos", "--redo", "truncatd"], "did you mean 'truncated'?"),
        (["my photos", "--redo", "truncated"], "no captions to ask again for"),
        (["my photos", "--redo", "truncated", "-o", "-"], "--redo needs the file"),
        (["my photos", "--redo", "truncated", "--restart"], "give one of the two"),
        (["my photos", "--layer", "a/b"], "a layer cannot be named"),
        (["my photos", "-p", "long-v9"], "did you mean"),
        (["my photos", "--top-p", "0"], "top_p"),
        ([], "nothing to describe"),
        (["set", "my photos", "--layer", "a"], "one dataset at a time"),
        (["set"], "give --layer NAME"),
        (["set", "--layer", "slef-1", "--redo", "empty"], "did you mean 'self-1'?"),
        (["set", "--layer", "a/b"], "a layer cannot be named"),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(place, words: list[str], said: str) -> None:
    if "/proc" in " ".join(words) and not Path("/proc").is_dir():
        pytest.skip("needs a folder that nobody can write to")
    Path("file").touch()
    samples = [Sample("a", (picture(1),), (user(ImagePart(0)), assistant("x")))]
    write_dataset(place / "set", iter(samples), name="set")
    Path("set/layers/self-1").mkdir(parents=True)
    result = recaption("./no-such-model", *words, code=2)
    assert said in result.output and "no-such-model" not in result.output


def test_a_redo_takes_what_is_not_given_from_the_file(place, tiny_folder) -> None:
    first = recaption(tiny_folder, "my photos", "--seed", 3)
    assert "add --redo truncated" in first.stdout
    words = ["recaption", "my photos", "-m", str(tiny_folder), "--redo", "truncated", "--max-new-tokens", "6"]
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["redone"] >= 1 and summary["new"] == 0
    changed = [row for row in lines(Path("captions.jsonl")) if "settings" in row]
    assert all(row["settings"] == {"max_new_tokens": 6} and row["prompt_name"] == "simple" for row in changed)
    same = CliRunner().invoke(app, ["recaption", "my photos", "-m", str(tiny_folder), "--redo", "truncated"])
    assert "note: this asks as before" in same.stderr


def test_a_limit_counts_all_images_and_says_what_is_left(place, tiny_folder) -> None:
    for _ in range(2):  # the same command, the same outcome
        shown = recaption(tiny_folder, "my photos", "--limit", 3).stdout
        assert "captions   3 (" in shown and "to do      1 images have no caption yet" in shown
    summary = json.loads(recaption(tiny_folder, "my photos", "--json").stdout)
    assert (summary["photos"], summary["captions"], summary["new"], summary["left"]) == (4, 4, 1, 0)


def test_the_summary_names_what_comes_next_ready_to_copy(place, tiny_folder) -> None:
    shown = recaption(tiny_folder, "my photos", "-o", "my photos/my captions.jsonl").stdout
    assert "written    'my photos/my captions.jsonl'\n" in shown
    assert (
        "next       vila2 data import captions 'my photos/my captions.jsonl' --out 'data/my captions'"
        in shown
    )


def test_a_link_to_the_captions_file_stays_one(place, tiny_folder) -> None:
    Path("elsewhere").mkdir()
    os.symlink("elsewhere/real.jsonl", "link.jsonl")
    recaption(tiny_folder, "my photos", "-o", "link.jsonl")
    words = ["recaption", "my photos", "-m", str(tiny_folder), "-o", "link.jsonl"]
    CliRunner().invoke(app, [*words, "--redo", "truncated", "--max-new-tokens", "6"])
    assert Path("link.jsonl").is_symlink()
    assert all((Path("elsewhere") / row["file"]).is_file() for row in lines(Path("link.jsonl")))


def test_captions_go_into_a_pipe_that_the_shell_makes(place, tiny_folder) -> None:
    options = f"-m {tiny_folder} -q --max-new-tokens 4 --device cpu"
    command = f"{sys.executable} -m vila2 recaption 'my photos' {options} -o >(cat > got)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    # The shell does not wait for `cat` by itself: it is told to, by its number.
    subprocess.run(["bash", "-c", f"{command} && wait $!"], check=True, env=environment, capture_output=True)
    assert len(lines(Path("got"))) == COUNT


def test_a_layer_of_a_dataset_and_its_redo(place, tiny_folder) -> None:
    samples = (Sample(str(n), (picture(n),), (user(ImagePart(0)), assistant("x"))) for n in range(3))
    write_dataset(place / "set", samples, name="set")
    shown = recaption(tiny_folder, "set", "--layer", "self-1").stdout
    assert "next       vila2 data stats set" in shown
    again = recaption("./no-such-model", "set", "--layer", "self-1", "--limit", 2, code=2).output
    assert "selection.count: 3 there, 2 now" in again
    words = [
        "recaption",
        "set",
        "--layer",
        "self-1",
        "-m",
        str(tiny_folder),
        "--max-new-tokens",
        "6",
        "--json",
    ]
    result = CliRunner().invoke(app, [*words, "--redo", "truncated"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["redone"] >= 1


def test_photos_and_layers_are_chosen_among_samples_and_the_summary_says_how(place, tiny_folder) -> None:
    chosen = ("--choose", "agreement", "--samples", 3)
    told = recaption(tiny_folder, "my photos", *chosen).output
    assert "chosen     the first sample for" in told and "images; mean agreement" in told
    assert "choose.by" in recaption(tiny_folder, "my photos", code=2).output
    recaption(tiny_folder, "my photos", "--redo", "truncated,repetition,empty")
    assert (
        "add --choose agreement"
        in recaption(tiny_folder, "my photos", "-o", "x", "--samples", 3, code=2).output
    )
    samples = [Sample(str(n), (picture(n),), (user(ImagePart()), assistant("A."))) for n in range(COUNT)]
    write_dataset(place / "data", samples, name="data")
    recaption(tiny_folder, "data", "--layer", "a", *chosen)
    info = Layer.open(Path("data/layers/a")).info
    assert info["choose"] == {"by": "agreement", "samples": 3, "temperature": 0.7}
