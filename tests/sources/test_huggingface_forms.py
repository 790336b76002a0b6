"""Hugging Face datasets in other forms: columns found by kind, classes by name, folders of any name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.errors import DataError
from vila2.sources.huggingface import read

datasets = pytest.importorskip("datasets", reason="the extra `hub` is not installed")

TALK = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A cat."}]
TEXT = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
ASKED = (user(ImagePart(), "What?"), assistant("A cat."))


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def stored(number: int) -> dict:
    return {"bytes": jpeg(number), "path": None}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def parquet(folder: Path, rows: list[dict], **features: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    made = datasets.Dataset.from_list(rows, features=datasets.Features(features))
    made.to_parquet(folder / "train-00000-of-00001.parquet")
    return folder


STRING = datasets.Value("string")


def test_text_only_rows_and_repeated_ids_in_a_dataset_of_conversations(tmp_path):
    rows = [
        {"id": "x", "image": stored(1), "conversations": TALK},
        {"id": "x", "image": None, "conversations": TEXT},
        {"id": "y", "image": None, "conversations": TALK},
    ]
    path = parquet(
        tmp_path / "mix",
        rows,
        id=STRING,
        image=datasets.Image(),
        conversations=[{"from": STRING, "value": STRING}],
    )
    one, words, bad = read(path, id_key="id")
    assert (one.key, one.turns, one.images) == ("x", ASKED, (jpeg(1),))
    assert (words.key, words.turns, words.images) == ("x#2", (user("Hi"), assistant("Hello")), ())
    assert (bad.key, bad.reason) == ("y", "placeholder-mismatch")


@pytest.mark.parametrize("column", ["conversations", "text", "data"])
def test_a_conversation_as_json_text_is_no_caption(tmp_path, column):
    rows = [{"image": stored(1), column: json.dumps(TALK)}]
    path = parquet(tmp_path / "strings", rows, image=datasets.Image(), **{column: STRING})
    (sample,) = read(path, text_key="data" if column == "data" else "")
    assert sample.turns == ASKED


def test_the_cauldron_and_questions_with_answers(tmp_path):
    path = parquet(
        tmp_path / "cauldron",
        [{"images": [stored(1)], "texts": [{"user": "What?", "assistant": "A cat.", "source": "x"}]}],
        images=datasets.List(datasets.Image()),
        texts=[{"user": STRING, "assistant": STRING, "source": STRING}],
    )
    assert [sample.turns for sample in read(path)] == [ASKED]
    rows = [{"picture": stored(1), "question": "What?", "answer": "A cat."}]
    path = parquet(tmp_path / "vqa", rows, picture=datasets.Image(), question=STRING, answer=STRING)
    assert [sample.turns for sample in read(path)] == [ASKED]


def test_classes_are_read_by_their_names(tmp_path):
    names = datasets.ClassLabel(names=["cat", "dog"])
    rows = [{"photo": stored(n), "label": n, "tags": [1, 0]} for n in (0, 1)]
    path = parquet(tmp_path / "classes", rows, photo=datasets.Image(), label=names, tags=datasets.List(names))
    assert [sample.turns[1] for sample in read(path, text_key="label")] == [
        assistant("cat"),
        assistant("dog"),
    ]
    assert next(read(path, text_key="tags")).turns[1] == assistant("dog, cat")
    with pytest.raises(DataError, match=r"has the columns photo, label, tags(.|\n)*--option text_key="):
        next(read(path))


def test_videos_are_named(tmp_path):
    rows = [{"video": {"bytes": b"x", "path": "v.mp4"}, "conversations": TEXT}]
    path = parquet(
        tmp_path / "videos", rows, video=datasets.Video(), conversations=[{"from": STRING, "value": STRING}]
    )
    assert [item.reason for item in read(path)] == ["video"]


def test_images_by_path_lie_beside_the_rows(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(1))
    rows = [
        {"image": "a.jpg", "text": "a cat"},
        {"image": "gone.jpg", "text": "b"},
        {"image": "http://x/c.jpg", "text": "c"},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (folder / "train.jsonl", folder):
        good, gone, remote = read(path)
        assert (good.images, good.turns[1]) == ((jpeg(1),), assistant("a cat"))
        assert (gone.reason, remote.reason) == ("unreadable-file", "remote-image")


@pytest.mark.parametrize("streaming", [True, False])
def test_a_local_folder_named_as_a_format_of_the_library_is_that_folder(tmp_path, monkeypatch, streaming):
    monkeypatch.chdir(tmp_path)
    tars, photos = tmp_path / "webdataset", tmp_path / "imagefolder"
    tars.mkdir()
    photos.mkdir()
    with tarfile.open(tars / "train-0000.tar", "w") as tar:
        for name, data in (("0.jpg", jpeg(0)), ("0.txt", b"a cat")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    (photos / "0.jpg").write_bytes(jpeg(0))
    (photos / "metadata.jsonl").write_text(json.dumps({"file_name": "0.jpg", "text": "a cat"}) + "\n")
    for name in ("webdataset", "imagefolder"):
        (sample,) = read(name, streaming=streaming)
        assert isinstance(sample, Sample)
        assert (sample.images, sample.turns[1]) == ((jpeg(0),), assistant("a cat"))


def test_what_cannot_be_opened_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"'nowhere/at-all'(.|\n)*the hub is switched off"):
        next(read("nowhere/at-all"))
    with pytest.raises(DataError, match="no such file or folder"):
        next(read("./nowhere"))
    (tmp_path / "train.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match=r"train\.parquet.*cannot be (opened|read)") as raised:
        list(read(tmp_path / "train.parquet"))
    assert len(raised.value.what) < 500
