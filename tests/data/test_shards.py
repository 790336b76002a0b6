"""Writing and reading of datasets: round trips, what is rejected, damage, foreign tars."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vila2.data.locks import FOLDER_LOCK
from vila2.data.sample import BoxPart, ImagePart, PointPart, Sample, TextPart, Turn, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
KEY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
PART = TEXT.map(TextPart) | st.just(BoxPart((0.0, 0.25, 0.5, 1.0))) | st.just(PointPart((0.5, 0.125)))
TURN = st.builds(
    Turn,
    st.sampled_from(["system", "user", "assistant"]),
    st.lists(PART, min_size=1, max_size=3).map(tuple),
    train=st.none() | st.booleans(),
    source=st.sampled_from(["original", "self-1"]),
    branch=st.integers(0, 2),
)


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rejects(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "rejected.jsonl").read_text().splitlines()]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            KEY, st.integers(0, 3), st.lists(TURN, max_size=3), st.dictionaries(TEXT, JSON, max_size=3)
        ),
        min_size=1,
        max_size=7,
        unique_by=lambda row: row[0],
    ),
    shard_size=st.integers(1, 4),
)
def test_any_sample_comes_back_as_it_was(rows, shard_size, picture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    samples = []
    for number, (key, images, turns, meta) in enumerate(rows):
        kinds = ["JPEG", "PNG", "WEBP"]
        shown = user(*(ImagePart(index) for index in range(images)), "what is this?")
        pictures = tuple(picture(number, kinds[index % 3]) for index in range(images))
        samples.append(Sample(key, pictures, (shown, assistant("a photo"), *turns), meta))
    info = write_dataset(folder, iter(samples), name="any", shard_size=shard_size)
    dataset = ShardDataset.open(folder)
    assert list(dataset) == samples
    assert dataset.keys() == [sample.key for sample in samples]
    assert [dataset[number] for number in reversed(range(len(dataset)))] == samples[::-1]
    assert info.digest == dataset.digest
    for shard_no in range(len(dataset.shards)):
        numbers = dataset.shard_range(shard_no)
        assert list(dataset.iterate(shard_no)) == samples[numbers.start : numbers.stop]
    for index in folder.glob("shards/*.index"):  # the index can be made again from the tar alone
        index.unlink()
    assert list(ShardDataset.open(folder)) == samples


def test_equal_samples_give_equal_bytes(tmp_path, pair):
    for name in ("one", "other"):
        write_dataset(tmp_path / name, (pair(f"k{n}", number=n) for n in range(7)), name="d", shard_size=3)
        time.sleep(0.01)
    assert everything(tmp_path / "one") == everything(tmp_path / "other")


def test_whatever_can_not_be_taken_is_named_and_counted(tmp_path, pair, picture):
    whole = picture(1, "JPEG")
    source = [
        pair("good"),
        Reject("list.jsonl:3", "", "bad-json", "no object"),
        Sample("cut", (whole[: len(whole) // 2],), (user(ImagePart()), assistant("x"))),
        pair("good", "another text"),
        pair("silent", "  "),
        Sample("no turns", (picture(),)),
        Sample("unplaced", (picture(),), (user("?"), assistant("x"))),
        Sample("twice", (picture(),), (user(ImagePart(), ImagePart()), assistant("x"))),
        Sample("half \ud83d", (picture(),), (user(ImagePart()), assistant("x"))),
        pair("half text", "half \ud83d"),
        replace(pair("box"), turns=(user(ImagePart()), assistant(BoxPart((0.0, 0.0, float("nan"), 1.0))))),
        Sample("", (picture(),), (user(ImagePart()), assistant("x"))),
        Sample("only words", (), (user("hello"), assistant("hi"))),
        Sample("to describe", (picture(),), (user(ImagePart()),)),
        Sample("only a question", (), (user("hello"),)),
    ]
    info = write_dataset(tmp_path, source, name="mixed")
    assert ShardDataset.open(tmp_path).keys() == ["good", "only words", "to describe"]
    assert info.rejected == {
        "bad-json": 1,
        "bad-key": 1,
        "bad-place": 1,
        "corrupt-image": 1,
        "duplicate-key": 1,
        "image-mismatch": 2,
        "missing-text": 3,
        "not-unicode": 2,
    }
    lines = rejects(tmp_path)
    assert len(lines) == sum(info.rejected.values())
    assert lines[0] == {"where": "list.jsonl:3", "key": "", "reason": "bad-json", "detail": "no object"}
    assert ShardDataset.open(tmp_path)[0].turns[1].text == "a photo"  # the first of the duplicates


def test_a_good_sample_is_taken_although_a_broken_one_had_its_key(tmp_path, pair):
    broken = replace(pair("k"), images=(b"\xff\xd8\xff",))
    info = write_dataset(tmp_path, [broken, pair("k", "good")], name="d")
    assert (info.count, info.rejected) == (1, {"corrupt-image": 1})


def test_nothing_taken_is_an_error_that_says_why(tmp_path, pair):
    with pytest.raises(DataError, match="missing-text 2"):
        write_dataset(tmp_path, [pair("a", ""), pair("b", "")], name="none")
    assert len(rejects(tmp_path)) == 2
    with pytest.raises(DataError, match="did not finish"):
        ShardDataset.open(tmp_path)


def test_samples_are_streamed(tmp_path, pair):
    written = tmp_path / "shards" / "000000.tar"

    def source():
        for number in range(400):
            if number == 300:
                assert written.exists(), "the first shard must be on disk long before the last sample is made"
            yield pair(f"k{number}", number=number)

    assert write_dataset(tmp_path, source(), name="long", shard_size=100).count == 400


def test_writing_again_replaces_but_not_below_layers_nor_other_peoples_tars(tmp_path, pair):
    write_dataset(tmp_path / "d", [pair(f"k{n}") for n in range(5)], name="d", shard_size=1)
    write_dataset(tmp_path / "d", [pair("other")], name="d", shard_size=1)
    assert [path.name for path in sorted((tmp_path / "d" / "shards").iterdir())] == [
        "000000.index",
        "000000.tar",
    ]
    (tmp_path / "d" / "layers" / "self-1").mkdir(parents=True)
    (tmp_path / "d" / "layers" / "self-1" / "layer.json").write_text("{}")
    with pytest.raises(DataError, match="with layers"):
        write_dataset(tmp_path / "d", [pair("third")], name="d")
    (tmp_path / "mine" / "shards").mkdir(parents=True)
    (tmp_path / "mine" / "shards" / "000000.tar").write_bytes(b"precious")
    with pytest.raises(DataError, match="no import has written"):
        write_dataset(tmp_path / "mine", [pair("k")], name="d")
    assert (tmp_path / "mine" / "shards" / "000000.tar").read_bytes() == b"precious"


def test_two_processes_do_not_write_one_dataset(tmp_path, pair):
    def source():
        yield pair("k")
        with pytest.raises(DataError, match="another process is writing it"):
            write_dataset(tmp_path, [pair("other")], name="d")

    assert write_dataset(tmp_path, source(), name="d").count == 1


def test_a_finished_dataset_stays_until_its_replacement_is_complete(tmp_path, pair):
    write_dataset(tmp_path, [pair(f"old {n}") for n in range(3)], name="old", shard_size=1)
    before = everything(tmp_path)

    def source():
        yield pair("new")
        assert ShardDataset.open(tmp_path).keys() == ["old 0", "old 1", "old 2"]
        raise ValueError("the source broke off")

    with pytest.raises(ValueError, match="broke off"):
        write_dataset(tmp_path, source(), name="new")
    with pytest.raises(DataError, match="no sample was taken"):
        write_dataset(tmp_path, [pair("a", "")], name="new")
    assert ShardDataset.open(tmp_path).name == "old"
    assert before.items() <= everything(tmp_path).items()
    info = write_dataset(tmp_path, [pair("new")], name="new")
    write_dataset(tmp_path / "other", [pair("new")], name="new")
    assert info.folder == tmp_path
    other = everything(tmp_path / "other")
    shutil.rmtree(tmp_path / "other")
    assert everything(tmp_path) == other


def test_a_dataset_that_is_being_recaptioned_is_not_replaced(tmp_path, pair):
    write_dataset(tmp_path, [pair("old")], name="old")

    def source():
        yield pair("new")
        (tmp_path / "layers" / "self-1").mkdir(parents=True)
        (tmp_path / "layers" / "self-1" / "job.json").write_text("{}")  # it began meanwhile

    with pytest.raises(DataError, match="with layers, finished or not"):
        write_dataset(tmp_path, source(), name="new")
    assert ShardDataset.open(tmp_path).keys() == ["old"]
    with pytest.raises(DataError, match="with layers, finished or not"):
        write_dataset(tmp_path, [pair("new")], name="new")


def test_a_finished_dataset_is_refused_where_it_may_not_be_replaced(tmp_path, pair):
    write_dataset(tmp_path, [pair("k")], name="d", replace=False)
    with pytest.raises(DataError, match="a dataset is there already"):
        write_dataset(tmp_path, [pair("k")], name="d", replace=False)


KILLED = """
import io, sys, time
from pathlib import Path
from PIL import Image
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, write_dataset

def samples():
    for number in range(120):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (number, 0, 0)).save(buffer, "PNG")
        yield Sample(f"k{number}", (buffer.getvalue(),), (user(ImagePart()), assistant(f"text {number}")))
        yield Reject("source", f"k{number}", "missing-text")
        time.sleep(0.002)

print("ready", flush=True)
write_dataset(Path(sys.argv[1]), samples(), name="d", shard_size=7)
print("done", flush=True)
"""


def test_killed_at_any_moment_and_written_again_gives_the_same_bytes(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def start(folder: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", KILLED, str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        return process

    assert start(tmp_path / "calm").wait() == 0
    torn = tmp_path / "torn"
    for delay in (0.0, 0.02, 0.07, 0.15, 0.25, 0.33):
        process = start(torn)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        begun = any(path.is_file() and path.name != FOLDER_LOCK for path in torn.rglob("*"))
        if begun and not (torn / "dataset.json").exists():
            with pytest.raises(DataError, match="did not finish"):
                ShardDataset.open(torn)
    assert start(torn).wait() == 0
    assert everything(torn) == everything(tmp_path / "calm")


def test_webdataset_reads_our_shards(tmp_path, pair, picture):
    webdataset = pytest.importorskip("webdataset")
    odd = [pair("a.b/c d.é", "one", 1), pair("__x__/y", "two", 2), pair("plain/key", "three", 3)]
    several = Sample(
        "two", (picture(4), picture(5, "JPEG")), (user(ImagePart(0), ImagePart(1)), assistant("both"))
    )
    write_dataset(tmp_path, [*odd, several], name="d")
    source = webdataset.WebDataset(str(tmp_path / "shards" / "000000.tar"), shardshuffle=False)
    found = list(source)
    assert [json.loads(row["json"]).get("key", row["__key__"]) for row in found] == [
        "a.b/c d.é",
        "__x__/y",
        "plain/key",
        "two",
    ]
    assert found[0]["png"] == picture(1)
    assert (found[3]["0.png"], found[3]["1.jpg"]) == (picture(4), picture(5, "JPEG"))
    assert json.loads(found[1]["json"])["turns"][1]["parts"][0]["text"] == "two"


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_foreign_tars_are_indexed_and_read(tmp_path, picture):
    write_tar(
        tmp_path / "00000.tar",
        {
            "000000000.jpg": picture(1, "JPEG"),
            "000000000.txt": b" a fishing fleet \n",
            "000000000.json": b'{"url": "http://x/1", "width": 8}',
            "000000000.cls": b"7",
            "./dir.d/one.PNG": picture(2),
            "./dir.d/one.json": b'{"caption": "from the json"}',
            "README": b"no extension",
        },
    )
    write_tar(tmp_path / "00001.tar", {"z.webp": picture(3, "WEBP")})
    for where in (tmp_path, tmp_path / "*.tar", str(tmp_path / "0000[01].tar")):
        dataset = ShardDataset.open(where)
        assert dataset.keys() == ["000000000", "dir.d/one", "z"]
        assert dataset[0].meta == {"url": "http://x/1", "width": 8}
        assert dataset[0].turns == (user(ImagePart()), assistant("a fishing fleet"))
        assert dataset[1].turns[1].text == "from the json"
        assert dataset[2].turns == (user(ImagePart()),)
        left = {kind: (found.count, found.example) for kind, found in dataset.left_alone().items()}
        assert left == {"cls": (1, "000000000.cls"), "no extension": (1, "README")}
        assert dataset.shard_texts(0).tolist() == [True, True]
        assert dataset.shard_texts(1).tolist() == [False]
    assert len(ShardDataset.open(tmp_path / "00001.tar")) == 1


def test_a_foreign_tar_that_changed_is_indexed_again(tmp_path, picture):
    tar = write_tar(tmp_path / "x.tar", {"a.png": picture(1), "a.txt": b"one"})
    assert ShardDataset.open(tar)[0].turns[1].text == "one"
    index = tar.with_suffix(".index")
    assert index.exists()
    write_tar(tar, {"b.png": picture(1), "b.txt": b"two"})  # of the same size
    assert ShardDataset.open(tar)[0].turns[1].text == "two"
    index.write_bytes(index.read_bytes()[:-3])
    assert ShardDataset.open(tar)[0].turns[1].text == "two"
    index.unlink()
    index.mkdir()  # the index cannot be kept: it then lives in memory
    assert ShardDataset.open(tar)[0].turns[1].text == "two"


@pytest.mark.parametrize("name", ["a.pkl", "a.pyd", "a.0.pth"])
def test_a_foreign_tar_with_code_in_it_is_refused(tmp_path, picture, name):
    tar = write_tar(tmp_path / "x.tar", {"a.png": picture(1), name: b"cos\nsystem\n"})
    with pytest.raises(DataError, match=r"x\.tar.*refused"):
        ShardDataset.open(tar)


def test_damage_is_named(tmp_path, pair, picture):
    folder = tmp_path / "d"
    write_dataset(folder, [pair(f"k{n}") for n in range(40)], name="d", shard_size=20)
    tar = folder / "shards" / "000001.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:-10_240])
    with pytest.raises(DataError, match=r"000001\.tar: has \d+ bytes instead of"):
        ShardDataset.open(folder)
    tar.unlink()
    with pytest.raises(DataError, match=r"000001\.tar: is missing"):
        ShardDataset.open(folder)
    tar.write_bytes(bytes(reversed(whole)))  # of the right size
    (folder / "shards" / "000001.index").unlink()
    with pytest.raises(DataError, match=r"000001\.tar"):
        ShardDataset.open(folder)[25]
    (folder / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json"):
        ShardDataset.open(folder)
    with pytest.raises(DataError, match="no dataset here"):
        ShardDataset.open(tmp_path / "nothing")
    cut = write_tar(tmp_path / "cut.tar", {"a.png": picture(1), "a.txt": b"x", "b.png": picture(2, "JPEG")})
    cut.write_bytes(cut.read_bytes()[:1700])
    with pytest.raises(DataError, match=r"cut\.tar"):
        ShardDataset.open(cut)


def test_more_shards_than_may_be_open_at_once_and_many_readers(tmp_path, pair, monkeypatch):
    monkeypatch.setattr("vila2.data.shards._OPEN_SHARDS", 2)
    write_dataset(tmp_path, [pair(f"k{n}", f"text {n}") for n in range(24)], name="d", shard_size=2)
    dataset = pickle.loads(pickle.dumps(ShardDataset.open(tmp_path)))
    numbers = [(n * 7) % 24 for n in range(600)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: dataset[n].turns[1].text, numbers))
    assert found == [f"text {n}" for n in numbers]
    assert len(dataset._open) <= 2 + 4


def test_finding_by_key_and_number(tmp_path, pair):
    write_dataset(tmp_path, [pair(f"k{n}") for n in range(5)], name="d", shard_size=2)
    dataset = ShardDataset.open(tmp_path)
    assert dataset.find("k3") == 3
    assert dataset[-1].key == "k4"
    with pytest.raises(DataError, match="'k9'"):
        dataset.find("k9")
    with pytest.raises(IndexError):
        dataset[5]
