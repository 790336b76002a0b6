"""Habits of every command: exit codes, whole tables and sentences, only JSON, quoted paths, did-you-mean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from vila2.cli.main import app
from vila2.cli.tables import show_table


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A dataset in a folder with a space in its name, rows with scores, and a recipe."""
    monkeypatch.chdir(tmp_path)
    Path("my photos").mkdir()
    Image.new("RGB", (8, 8)).save("my photos/a.png")
    Path("my photos/a.txt").write_text("a black square")
    Path("rows.jsonl").write_text('{"id": "a", "score": 0.5}\n{"id": "b", "score": 0.7}\n')
    Path("recipe.yaml").write_text("name: x\n")
    invoke("data", "import", "folder", "my photos", "-o", "my data", "-q")
    return tmp_path


def invoke(*words: str, code: int = 0):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == code, result.output
    return result


def test_lists_of_commands_tell_whole_sentences():
    for words in ([], ["data"], ["plugins"], ["model"], ["config"]):
        assert "..." not in invoke(*words, "--help").stdout.partition("Commands:")[2]
    assert "Exit codes: 0 success" in invoke("--help").stdout


def test_a_table_in_a_pipe_is_as_wide_as_it_is():
    code = (
        "from vila2.cli.tables import show_table\n"
        "show_table(['measure', *map(str, range(9))], [['m' * 60, *['1234567890123'] * 9]])"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "COLUMNS": "40",
    }
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert shown.stdout.count("1234567890123") == 9 and "m" * 60 in shown.stdout and "…" not in shown.stdout


def test_a_table_on_a_narrow_terminal_loses_no_figure(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    show_table(["measure", *map(str, range(6))], [["some words here", *["12345.67 ±1.2"] * 6]])
    shown = capsys.readouterr().out
    assert shown.count("12345.67 ±1.2") == 6 and "…" not in shown


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["data", "import", "folder", "my photos", "-o", "other", "--json"], "samples"),
        (["data", "stats", "my data", "--json"], "layers"),
        (["data", "verify", "my data", "--json"], "problems"),
        (
            [
                "data",
                "select",
                "rows.jsonl",
                "-o",
                "best.jsonl",
                "--top",
                "1",
                "--rank-by",
                "score",
                "--json",
            ],
            "rows",
        ),
        (["env", "--json"], "python"),
        (["plugins", "show", "ocr", "--json"], "package"),
        (["plugins", "new", "mine", "--json"], "next"),
    ],
)
def test_standard_output_is_json_alone(place, words: list[str], key: str):
    assert key in json.loads(invoke(*words).stdout)


def test_lists_as_json(place):
    for words in (["plugins", "list"], ["plugins", "check", "ocr"]):
        assert isinstance(json.loads(invoke(*words, "--json").stdout), list)


def test_paths_to_copy_are_quoted(place):
    assert (
        "next: vila2 data preview 'other data'"
        in invoke("data", "import", "folder", "my photos", "-o", "other data").stdout
    )
    assert "'my data': 1 samples, 1 images: all is well" in invoke("data", "verify", "my data").stdout
    assert (
        "samples in 'my look.html'" in invoke("data", "preview", "my data", "--html", "my look.html").stdout
    )


def test_quiet_commands_show_no_progress(place):
    assert invoke("data", "verify", "my data", "-q").stderr == ""
    assert invoke("data", "import", "folder", "my photos", "-o", "other", "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recpation"], "Did you mean 'recaption'?"),
        (["run", "recipes.yaml"], "did you mean recipe.yaml?"),
        (["data", "stats", "my dta"], "did you mean my data?"),
        (["data", "verify", "my dta"], "did you mean my data?"),
        (["recaption", "my photo", "-m", "x"], "did you mean my photos?"),
        (["data", "import", "foldr", "my photos", "-o", "x"], "did you mean 'folder'?"),
        (["--plugins", "orc", "env"], "did you mean 'ocr'?"),
        (["plugins", "check", "orc"], "did you mean 'ocr'?"),
    ],
)
def test_the_nearest_right_name_is_told(place, words: list[str], said: str):
    assert said in CliRunner().invoke(app, words).output


@pytest.mark.parametrize(
    "words",
    [
        ["recaption", "my photos", "-m", "x", "--limit", "-1"],
        ["recaption", "my photos", "-m", "x", "--batch-size", "0"],
        ["recaption", "my photos", "-m", "x", "--temperature", "-1"],
        ["recaption", "my photos", "-m", "x", "--temperature", "inf"],
        ["recaption", "my photos", "-m", "x", "--temperature", "nan"],
        ["recaption", "my photos", "-m", "x", "--top-p", "nan"],
        ["recaption", "my photos", "-m", "x", "--repetition-penalty", "inf"],
        ["recaption", "my photos", "-m", "x", "--max-new-tokens", "0"],
        ["data", "select", "rows.jsonl", "-o", "x.jsonl", "--top", "0"],
        ["data", "preview", "my data", "--count", "0"],
        ["data", "import", "folder", "my photos", "-o", "x", "--shard-size", "0"],
        ["data", "import", "folder", "my photos", "-o", "x", "--option", "count=-1"],
        ["reproduce", "--seeds", "100000000"],
        ["judge", "my data", "--model", "x", "--count", "0"],
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_with_the_range(place, words: list[str]):
    result = invoke(*words, code=2)
    assert "Traceback" not in result.output and isinstance(result.exception, SystemExit)
    assert "Invalid value for" in result.output or "hint: " in result.output
