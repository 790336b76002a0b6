"""``vila2 data`` on tars and folders as people have them: it names what it skips, and no name stops it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from vila2.cli.main import app


def vila2(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (number * 40, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def tar(tmp_path) -> Path:
    """All photos, then all texts; one photo was not fetched, and there is a label of each."""
    path = tmp_path / "00000.tar"
    members = {f"{n}.jpg": jpeg(n) for n in (0, 2)}
    members |= {f"{n}.txt": f"photo {n}".encode() for n in range(3)} | {f"{n}.cls": b"7" for n in range(3)}
    with tarfile.open(path, "w") as written:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            written.addfile(info, io.BytesIO(data))
    return path


def test_a_raw_tar_and_its_import_say_the_same(tar, tmp_path):
    said = vila2("stats", tar)
    assert "2 samples" in said and "rejected: no-image 1" in said
    assert "left alone: 3 members of this kind: cls (for example 0.cls)" in said
    assert "no-image: '1', only .txt" in vila2("verify", tar, code=1)
    shown = vila2("preview", tar)
    assert "photo 0" in shown and "photo 2" in shown and "photo 1" not in shown
    said = vila2("import", "img2dataset", tar, "--out", tmp_path / "d")
    assert "2 samples" in said and "left-alone 1, no-image 1" in said
    lines = [json.loads(line) for line in (tmp_path / "d" / "rejected.jsonl").read_text().splitlines()]
    assert [line["where"] for line in lines] == [f"{tar}: 1.txt", f"{tar}: 0.cls"]


def test_an_index_by_older_rules_is_made_anew(tar):
    from vila2.data.offset_index import OffsetIndex

    before = vila2("stats", tar)
    index = tar.with_suffix(".index")
    data = index.read_bytes()
    magic, header, body = data.split(b"\n", 2)
    old = json.loads(header)
    del old["rules"]
    index.write_bytes(b"\n".join([magic, json.dumps(old).encode(), body]))
    assert vila2("stats", tar) == before
    assert OffsetIndex.from_bytes(index.read_bytes(), where="index").refused[0].key == "1"


def test_metadata_that_became_null_is_said(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"image": "a.jpg", "captions": ["one"], "score": NaN}\n')
    said = vila2("import", "captions", rows, "--out", tmp_path / "d")
    assert "1 samples" in said and "became null, in samples by field: score 1" in said


def test_names_that_are_not_utf8_are_shown_everywhere(tmp_path):
    folder = os.fsencode(tmp_path) + b"/ph\xe9"
    os.mkdir(folder)
    for name, data in ((b"caf\xe9.jpg", jpeg(1)), (b"caf\xe9.txt", b"coffee")):
        with open(folder + b"/" + name, "wb") as file:
            file.write(data)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": "utf-8:strict"}

    def run(*arguments: str | bytes) -> str:
        command = [sys.executable, "-m", "vila2", "data", *arguments]
        done = subprocess.run(command, capture_output=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    assert "1 samples" in run("import", "folder", folder, "--out", folder + b"-out")
    assert "coffee" in run("preview", folder + b"-out")
    assert json.loads(run("stats", folder + b"-out", "--json"))["name"] == r"ph\xe9-out"
