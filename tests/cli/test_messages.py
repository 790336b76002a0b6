"""What a user reads who gave a command something wrong: what it was, and how to fix it; never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from vila2.cli.main import app

MINIATURE = str(Path(__file__).parents[2] / "examples/miniature.yaml")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with photos, a file where a folder is expected, and rows."""
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos/a.png")
    (tmp_path / "photos/a.txt").write_text("a black square")
    (tmp_path / "file.jsonl").write_text('{"id": "a", "score": "high"}\n')
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["data", "import", "folder", "photos", "-o", "data"])
    assert result.exit_code == 0, result.output
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("data import folder photos -o file.jsonl", "file.jsonl"),
        ("data preview data --html photos", "photos: Is a directory"),
        (f"run {MINIATURE} -o file.jsonl --dry-run", "file.jsonl"),
        ("plugins new mine -o file.jsonl", "file.jsonl"),
        ("data import llava -o new", "give the file or folder to read"),
        ("data import folder --option path=nosuch -o new", "nosuch"),
        (
            f"run {MINIATURE} --set data.pretrain.options.count=many --dry-run",
            "options.count: 'many' is not a whole number",
        ),
        (f"run {MINIATURE} --set plugins=[orc] --dry-run", "no plugin 'orc' is installed"),
        (f"run {MINIATURE} --set cycle.engine=transformer --dry-run", "did you mean 'transformers'?"),
        (f"run {MINIATURE} --set cycle.captioner=./nosuch --dry-run", "no folder ./nosuch"),
        ("recaption data -m builtin:world/language --layer ../x", "a layer cannot be named '../x'"),
        ("recaption photos -m builtin:world/language --device foo", "there is no device 'foo' here"),
        ("data select nosuch.jsonl -o s.jsonl --top 2", "nosuch.jsonl: no such file or folder"),
        ("data select file.jsonl -o s.jsonl --top 2 --rank-by score", "file.jsonl"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_a_mend(place, command: str, said: str):
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.output
    assert said in result.output and "hint: " in result.output


def test_nobody_is_told_to_install_a_misspelling():
    result = CliRunner().invoke(app, ["plugins", "show", "orc"])
    assert result.exit_code == 2 and "no plugin 'orc' is installed" in result.output
    assert "vila2-orc" not in result.output
