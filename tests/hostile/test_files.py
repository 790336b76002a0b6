"""Files that never end, bombs, and names that lead out of a folder."""

from __future__ import annotations

import io
import json
import os
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.caption.scripted import Scripted
from vila2.caption.photo_files import find_photos
from vila2.caption.photos import recaption_photos
from vila2.claims.sentences import sentence_spans
from vila2.cli.main import app
from vila2.data.importing import write_dataset
from vila2.data.rejects import Reject
from vila2.data.shards import ShardDataset
from vila2.engine.protocol import GenerationSettings
from vila2.errors import DataError, RecipeError
from vila2.recipe.file.yaml import read_yaml
from vila2.sources import open_source


def picture(color: str = "red") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), color).save(buffer, "JPEG")
    return buffer.getvalue()


def rows(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps({"image": name, "caption": "A cat."}) + "\n" for name in names))
    return file


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """An image of someone's that lies beside the data."""
    (tmp_path / "private.jpg").write_bytes(picture("blue"))
    return tmp_path / "private.jpg"


def test_images_outside_the_folder_are_refused_and_counted(tmp_path: Path, private: Path):
    file = rows(
        tmp_path / "data", "a.jpg", str(private), "../private.jpg", f"file://{private}", "x/../../private.jpg"
    )
    (tmp_path / "data" / "a.jpg").write_bytes(picture())
    info = write_dataset(tmp_path / "out", open_source("captions", path=str(file)), name="d")
    assert (info.count, info.rejected) == (1, {"outside-image-root": 4})
    assert b"allow_outside" in (tmp_path / "out" / "rejected.jsonl").read_bytes()
    within = open_source("captions", path=str(file), image_root=str(tmp_path))
    assert sum(not isinstance(item, Reject) for item in within) == 2, "the absolute name and the URI"


def test_a_flag_allows_images_outside(tmp_path: Path, private: Path):
    file = rows(tmp_path / "data", str(private), "../private.jpg")
    command = ["data", "import", "captions", str(file), "--out", str(tmp_path / "out")]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2 and "outside-image-root 2" in refused.output
    taken = CliRunner().invoke(app, [*command, "--allow-outside"])
    assert taken.exit_code == 0, taken.output
    assert len(ShardDataset.open(tmp_path / "out")) == 2


def recaption(folder: Path, out: Path) -> Scripted:
    engine = Scripted()
    settings = GenerationSettings(max_new_tokens=20)
    recaption_photos(folder, engine, out=out, prompts=["Say it."], settings=settings, seed=0, batch_size=2)
    return engine


def test_captions_of_photos_elsewhere_are_imported_by_their_content(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        (tmp_path / "photos" / f"{name}.jpg").write_bytes(picture())
    out = tmp_path / "work" / "captions.jsonl"
    recaption(tmp_path / "photos", out)
    (tmp_path / "photos" / "b.jpg").write_bytes(picture("green"))  # another photo of this name
    info = write_dataset(tmp_path / "out", open_source("captions", path=str(out)), name="d")
    assert (info.count, info.rejected) == (1, {"changed-image": 1})


@pytest.mark.parametrize("place", ["pipe.jpg", "/dev/zero"])
def test_a_file_without_end_is_a_reject(tmp_path: Path, place: str):
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data" / "pipe.jpg")
    file = rows(tmp_path / "data", place)
    (item,) = open_source("captions", path=str(file), allow_outside=True)
    assert isinstance(item, Reject) and item.reason == "unreadable-file" and "not a file" in item.detail


def test_a_pipe_in_a_list_of_photos_is_a_reject(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "a.jpg").write_bytes(picture())
    (tmp_path / "list.txt").write_text("pipe.jpg\na.jpg\n")
    listed = find_photos([], lists=[tmp_path / "list.txt"])
    settings = GenerationSettings(max_new_tokens=20)
    out = tmp_path / "captions.jsonl"
    engine = Scripted()
    found = recaption_photos(
        listed, engine, out=out, prompts=["Say it."], settings=settings, seed=0, batch_size=2
    )
    assert (found.count, found.rejected) == (1, 1)


def test_postscript_is_never_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started = tmp_path / "started"
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tools / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    file = rows(tmp_path / "data", "a.jpg")
    (tmp_path / "data" / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    )
    with pytest.raises(DataError, match="PostScript"):
        write_dataset(tmp_path / "out", open_source("captions", path=str(file)), name="d")
    assert not started.exists()


def test_a_zip_that_unpacks_to_gigabytes_takes_little_memory(tmp_path: Path):
    path = tmp_path / "rows.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("rows.jsonl", "w") as file:
        for _ in range(600):
            file.write(b" " * 2**20)
        file.write(b"\n")
    tracemalloc.start()
    items = list(open_source("captions", path=str(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300 * 2**20 and len(items) <= 1


def seconds(work, *arguments: object) -> float:
    begun = time.process_time()
    work(*arguments)
    return time.process_time() - begun


@pytest.mark.parametrize("piece", [".", ". ", '"', "“", ".)", "a. "])
def test_sentences_take_time_as_the_text_is_long(piece: str):
    assert seconds(lambda: list(sentence_spans(piece * 100_000))) < 5


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "{a: " * 5000,
        "a: &a [1, 1]\n"
        + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]\n"
            for n in range(20)
        ),
    ],
)
def test_recipes_that_grow_when_they_are_read_are_refused(text: str):
    def read() -> None:
        with pytest.raises(RecipeError):
            read_yaml(text, where="r.yaml")

    assert seconds(read) < 5


def test_a_layer_of_two_jobs_is_refused(tmp_path: Path):
    from vila2.caption.recaption import recaption as recaption_dataset
    from vila2.data.sample import ImagePart, Sample, assistant, user

    samples = [Sample(f"k{n}", (picture(),), (user(ImagePart()), assistant("A."))) for n in range(4)]
    write_dataset(tmp_path / "d", samples, name="d", shard_size=2)
    asked = {"folder": tmp_path / "l", "layer": "self-1", "prompts": ["Say it."], "seed": 0, "batch_size": 1}
    dataset, settings = ShardDataset.open(tmp_path / "d"), GenerationSettings(max_new_tokens=20)
    with pytest.raises(KeyboardInterrupt):
        recaption_dataset(dataset, Scripted(stop_after=3), settings=settings, **asked)
    (tmp_path / "l" / "job.json").unlink()
    other = Scripted(lambda key, _: "Another model.")
    with pytest.raises(DataError, match=r"its job.json is missing"):
        recaption_dataset(dataset, other, settings=settings, **asked)
    assert other.asked == []


@pytest.mark.parametrize("byte", range(20, 340, 19))
def test_a_flipped_byte_in_the_head_of_an_index_is_noticed(tmp_path: Path, byte: int):
    from vila2.data.sample import ImagePart, Sample, assistant, user

    write_dataset(tmp_path, [Sample("k", (picture(),), (user(ImagePart()), assistant("A.")))], name="d")
    index = tmp_path / "shards" / "000000.index"
    sound = index.read_bytes()
    damaged = bytearray(sound)
    damaged[byte] ^= 1
    index.write_bytes(damaged)
    assert [sample.key for sample in ShardDataset.open(tmp_path)] == ["k"]
    assert index.read_bytes() == sound, "it is made anew"
