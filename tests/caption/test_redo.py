"""Asking again for some captions only, of photos and of layers; killed at any moment it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.caption.scripted import Scripted, lines
from tests.caption.tiny_llava import picture
from vila2.caption.layer_redo import redo_layer
from vila2.caption.photo_output import PhotoOutput
from vila2.caption.photos import recaption_photos
from vila2.caption.recaption import recaption
from vila2.data.layers import Layer
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.verification import verify_dataset
from vila2.engine.protocol import GenerationSettings
from vila2.errors import DataError

COUNT = 6


def say(key: str, settings: GenerationSettings) -> str:
    """Every second photo needs more words than four."""
    return f"a picture of {key} " + ("with many things that stand in it" if int(key[0]) % 2 else "")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(COUNT):
        (tmp_path / f"photos/{number}.png").write_bytes(picture(number))
    return tmp_path / "photos"


def job(photos: Path, engine, length: int, **changes):
    options = {"prompts": ["simple"], "settings": GenerationSettings(length), "seed": 0, "batch_size": 1}
    out = photos.parent / "captions.jsonl"
    return recaption_photos(photos, engine, out=out, **(options | changes))


def test_only_captions_with_the_marks_are_asked_for_again(photos) -> None:
    first = job(photos, Scripted(say), 4)
    assert first.statuses == {"ok": 3, "truncated": 3}
    before = lines(first.out)
    engine = Scripted(say)
    again = job(photos, engine, 20, redo=["truncated", "empty"])
    assert engine.asked == ["1.png", "3.png", "5.png"]
    assert (again.redone, again.new, again.statuses) == (3, 0, {"ok": 6})
    after = lines(first.out)
    assert [row["key"] for row in after] == [row["key"] for row in before]
    assert after[0::2] == before[0::2] and all(
        row["settings"] == {"max_new_tokens": 20} for row in after[1::2]
    )
    assert not PhotoOutput(first.out).redo.exists()
    # The file goes on as it was begun; the redo is on record.
    assert job(photos, Scripted(say), 4).new == 0
    assert PhotoOutput(first.out).earlier()["redone"] == [
        {"statuses": ["empty", "truncated"], "captions": 3, "max_new_tokens": 20}
    ]


@pytest.mark.parametrize("stop_after", range(3))
def test_a_stopped_redo_goes_on_and_spoils_nothing(photos, stop_after: int) -> None:
    out = job(photos, Scripted(say), 4).out
    before = out.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        job(photos, Scripted(say, stop_after=stop_after), 20, redo=["truncated"])
    assert out.read_bytes() == before
    engine = Scripted(say)
    assert job(photos, engine, 20, redo=["truncated"]).redone == 3
    assert len(engine.asked) == 3 - stop_after
    assert [row["status"] for row in lines(out)] == ["ok"] * COUNT


def test_what_a_stopped_redo_made_is_not_lost_to_another_command(photos) -> None:
    out = job(photos, Scripted(say), 4).out
    with pytest.raises(KeyboardInterrupt):
        job(photos, Scripted(say, stop_after=1), 20, redo=["truncated"])
    job(photos, Scripted(say), 4)
    assert sum(row["status"] == "ok" for row in lines(out)) == 4


def test_images_that_could_not_be_read_are_asked_about_again(photos) -> None:
    (photos / "7.png").write_bytes(b"not yet")
    (photos / "8.png").write_bytes(b"never")
    out = job(photos, Scripted(say), 20).out
    (photos / "7.png").write_bytes(picture(7))
    summary = job(photos, Scripted(say), 20, redo=["error"])
    assert (summary.new, summary.redone, summary.rejected, summary.count) == (1, 0, 1, COUNT + 1)
    assert [reject["key"] for reject in PhotoOutput(out).rejects()] == ["8.png"]


def test_a_redo_needs_captions(photos) -> None:
    with pytest.raises(DataError, match="no captions to ask again for"):
        job(photos, Scripted(say), 4, redo=["truncated"])
    assert not (photos.parent / "captions.jsonl").exists()


@pytest.fixture
def dataset(tmp_path: Path) -> ShardDataset:
    samples = (Sample(f"{n}", (picture(n),), (user(ImagePart(0)), assistant("x"))) for n in range(COUNT))
    write_dataset(tmp_path / "set", samples, name="set", shard_size=4)
    return ShardDataset.open(tmp_path / "set")


def layer_job(dataset: ShardDataset, engine, length: int, **changes):
    options = {"prompts": ["simple"], "settings": GenerationSettings(length), "seed": 0, "batch_size": 1}
    return (
        {"dataset": dataset, "engine": engine, "folder": dataset.folder / "layers/self-1"} | options | changes
    )


def test_a_layer_is_asked_for_again_in_part(dataset) -> None:
    layer = recaption(**layer_job(dataset, Scripted(say), 4), layer="self-1")
    before = {row.key: row for row in layer.rows()}
    for stop_after in range(3):
        with pytest.raises(KeyboardInterrupt):
            redo_layer(
                **layer_job(dataset, Scripted(say, stop_after=min(stop_after, 1)), 20), statuses=["truncated"]
            )
        assert Layer.open(layer.folder).digest == layer.digest
        if stop_after == 1:
            break
    engine = Scripted(say)
    again, redone = redo_layer(**layer_job(dataset, engine, 20), statuses=["truncated"])
    assert redone == 3 and engine.asked == ["3", "5"]
    assert again.statuses == {"ok": COUNT} and again.digest != layer.digest
    assert all(row == before[row.key] for row in again.rows() if int(row.key) % 2 == 0)
    assert again.info["redone"] == [{"statuses": ["truncated"], "captions": 3, "max_new_tokens": 20}]
    assert not list(layer.folder.glob("*redo*"))
    assert not verify_dataset(dataset.folder).problems
    # The command that wrote the layer finds it finished.
    assert recaption(**layer_job(dataset, Scripted(say), 4), layer="self-1").digest == again.digest


def test_a_layer_that_is_not_finished_is_not_redone(dataset) -> None:
    with pytest.raises(KeyboardInterrupt):
        recaption(**layer_job(dataset, Scripted(say, stop_after=2), 4), layer="self-1")
    with pytest.raises(DataError, match="no finished layer"):
        redo_layer(**layer_job(dataset, Scripted(say), 20), statuses=["truncated"])
