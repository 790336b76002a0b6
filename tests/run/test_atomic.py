"""Atomic files: complete, or as they were."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vila2.data.atomic import atomic_path, write_json_atomic, write_text_atomic


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "a.json"
    write_json_atomic(path, {"é": 1})
    with pytest.raises(TypeError):
        write_json_atomic(path, {"x": object()})
    with pytest.raises(OSError, match="full"), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert json.loads(path.read_text()) == {"é": 1}
        raise OSError("disk full")
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_folders_are_made_and_files_are_readable_as_usual(tmp_path: Path):
    path = tmp_path / "new" / "deep" / "a.txt"
    write_text_atomic(path, "line\r\n")
    plain = tmp_path / "plain"
    plain.touch()
    assert path.read_bytes() == b"line\r\n"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_temporary_file_has_the_final_suffix(tmp_path: Path):
    with atomic_path(tmp_path / "model.safetensors") as temporary:
        assert temporary.suffix == ".safetensors" and temporary.parent == tmp_path


def test_files_of_killed_writers_are_removed_and_those_of_living_ones_are_not(tmp_path: Path):
    path = tmp_path / "a.json"
    kill = "import os, sys; from vila2.data.atomic import atomic_path\n"
    kill += "with atomic_path(sys.argv[1]) as file: file.write_text('half'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", kill, path])
    mine = tmp_path / ".b.abcdefgh.tmp.json"  # another file's
    mine.touch()
    assert len(list(tmp_path.glob(".a.*.tmp.json"))) == 1
    with atomic_path(path) as living:
        living.write_text("{}")
        write = "import sys; from vila2.data.atomic import write_json_atomic as w; w(sys.argv[1], 1)"
        subprocess.run([sys.executable, "-c", write, path], check=True)
        assert living.exists()
    assert path.read_text() == "{}"
    assert sorted(os.listdir(tmp_path)) == [mine.name, "a.json"]
