"""Atomic files: complete, or as they were."""

from __future__ import annotations

import json
import os
import stat
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
