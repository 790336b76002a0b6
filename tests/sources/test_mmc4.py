"""MMC4: documents in their order, as pairs, images first; what is missing is named; with a real document."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.mmc4 import read


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def document(*matches: tuple[int, float], sentences: int = 4, url: str = "http://x/page") -> dict:
    """Images 0.jpg, 1.jpg, ... that match the given sentences, so well."""
    infos = [
        {"image_name": f"{n}.jpg", "matched_text_index": index, "matched_sim": similarity}
        for n, (index, similarity) in enumerate(matches)
    ]
    return {"text_list": [f"s{n}." for n in range(sentences)], "image_info": infos, "url": url}


@pytest.fixture
def images(tmp_path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    return folder


def write(folder: Path, *documents: dict) -> Path:
    path = folder / "docs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in documents))
    return path


def test_an_image_stands_before_the_sentence_it_matches(images, tmp_path):
    path = write(tmp_path, document((3, 0.3), (1, 0.2)))
    (sample,) = read(path, image_root=images)
    assert sample.turns == (
        assistant("s0."),
        user(ImagePart(0)),
        assistant("s1. s2."),
        user(ImagePart(1)),
        assistant("s3."),
    )
    assert sample.images == (jpeg(1), jpeg(0)), "in the document's order, not the file's"
    assert (sample.key, sample.meta["image"]) == ("http://x/page", ["1.jpg", "0.jpg"])


def test_images_of_one_sentence_are_shown_together(images, tmp_path):
    (sample,) = read(write(tmp_path, document((0, 0.3), (0, 0.2), sentences=2)), image_root=images)
    assert sample.turns == (user(ImagePart(0), ImagePart(1)), assistant("s0. s1."))
    assert sample.images == (jpeg(0), jpeg(1))


def test_pairs_keep_just_the_image_and_its_sentence(images, tmp_path):
    path = write(tmp_path, document((3, 0.3), (1, 0.2)))
    found = list(read(path, image_root=images, order="pairs"))
    assert [sample.turns for sample in found] == [
        (user(ImagePart()), assistant("s1.")),
        (user(ImagePart()), assistant("s3.")),
    ]
    assert [sample.images for sample in found] == [(jpeg(1),), (jpeg(0),)]
    assert len({sample.key for sample in found}) == 2


def test_the_reordered_control_has_all_images_before_all_text(images, tmp_path):
    (sample,) = read(write(tmp_path, document((3, 0.3), (1, 0.2))), image_root=images, order="reordered")
    assert sample.turns == (user(ImagePart(0), ImagePart(1)), assistant("s0. s1. s2. s3."))


def test_a_missing_image_is_named_and_the_document_goes_on(images, tmp_path):
    (images / "0.jpg").unlink()
    path = write(tmp_path, document((3, 0.3), (1, 0.2)), document((0, 0.1), url="http://x/lost"))
    missing, sample, also, lost = read(path, image_root=images)
    assert (missing.reason, missing.where) == ("missing-image", f"{path}:1") and "0.jpg" in missing.detail
    assert sample.turns == (assistant("s0."), user(ImagePart(0)), assistant("s1. s2. s3."))
    assert (also.reason, lost.reason, lost.key) == ("missing-image", "no-image", "http://x/lost")


def test_of_too_many_images_the_best_matched_stay_and_the_others_are_named(images, tmp_path):
    path = write(tmp_path, document((0, 0.1), (1, 0.4), (2, 0.3), (3, 0.3)))
    (sample,) = read(path, image_root=images, max_images=2)
    assert sample.meta["image"] == ["1.jpg", "2.jpg"]
    assert sorted(sample.meta["left_out"]) == ["0.jpg", "3.jpg"]
    assert sample.turns[-1] == assistant("s2. s3."), "the text stays whole"


@pytest.mark.parametrize("several", [False, True])
def test_images_are_read_out_of_tars(images, tmp_path, several):
    folder = tmp_path / "tars"
    folder.mkdir()
    for name, numbers in (("a.tar", range(4)), ("b.tar", range(4, 8))) if several else [("a.tar", range(8))]:
        with tarfile.open(folder / name, "w") as tar:
            for number in numbers:
                tar.add(images / f"{number}.jpg", f"shard/{number}.jpg")
    row = document(*[(n % 4, 0.5) for n in range(6)])
    (sample,) = read(write(tmp_path, row), image_root=folder if several else folder / "a.tar")
    assert sorted(sample.images) == sorted(jpeg(n) for n in range(6))
    missing, _ = read(
        write(tmp_path, row | {"image_info": [{"image_name": "9.jpg", "matched_text_index": 0}]}),
        image_root=folder,
    )
    assert missing.reason == "missing-image" and "9.jpg" in missing.detail


@pytest.mark.parametrize("order", ["interleaved", "pairs"])
def test_a_damaged_image_is_left_out_alone(images, tmp_path, order):
    (images / "1.jpg").write_bytes(b"<html>not found</html>")
    (images / "2.jpg").write_bytes(jpeg(2)[:-40])
    path = write(tmp_path, document((0, 0.3), (1, 0.2), (2, 0.1), (3, 0.05)))
    info = write_dataset(tmp_path / "out", read(path, image_root=images, order=order), name="d")
    shown = [data for sample in ShardDataset.open(info.folder) for data in sample.images]
    assert shown == [jpeg(0), jpeg(3)] and info.rejected == {"corrupt-image": 2}
    lines = [json.loads(line) for line in (info.folder / "rejected.jsonl").read_text().splitlines()]
    assert [line["where"] for line in lines] == [f"{path}:1"] * 2
    assert "1.jpg" in lines[0]["detail"] and "a web page" in lines[0]["detail"]


def tar_of(path: Path, **members: bytes) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_a_name_in_two_tars_is_looked_up_in_the_tar_of_the_documents(tmp_path):
    folder = tmp_path / "tars"
    folder.mkdir()
    tar_of(folder / "shard0.tar", a__0_jpg=jpeg(0))
    tar_of(folder / "shard1.tar", b__0_jpg=jpeg(1), b__1_jpg=jpeg(2))
    row = document((0, 0.5))
    for number in range(2):
        write(tmp_path, row).rename(tmp_path / f"shard{number}.jsonl")
        (sample,) = read(tmp_path / f"shard{number}.jsonl", image_root=folder)
        assert sample.images == (jpeg(number),)
    path = write(tmp_path, row)
    unclear, _ = read(path, image_root=folder)
    assert (unclear.reason, unclear.where) == ("ambiguous-image", f"{path}:1")
    assert "shard0.tar: a/0.jpg" in unclear.detail and "shard1.tar: b/0.jpg" in unclear.detail
    row["image_info"][0]["image_name"] = "b/0.jpg"
    (sample,) = read(write(tmp_path, row), image_root=folder)
    assert sample.images == (jpeg(1),), "the path chooses"
    row["image_info"][0]["image_name"] = "1.jpg"
    missing, _ = read(write(tmp_path, row).rename(tmp_path / "shard0.jsonl"), image_root=folder)
    assert missing.reason == "missing-image", "another shard's picture is none of this one's"


def test_loose_images_beside_tars_are_found(images, tmp_path):
    tar_of(images / "more.tar", x__9_jpg=jpeg(9))
    (images / "junk.tar").write_bytes(b"no tar")
    row = document((0, 0.5), (1, 0.4))
    row["image_info"][1]["image_name"] = "9.jpg"
    (sample,) = read(write(tmp_path, row), image_root=images)
    assert sample.images == (jpeg(0), jpeg(9))


def test_numbers_as_tables_hold_them(images, tmp_path):
    row = document((1, 0.5), (0, 1))
    row["image_info"][0] |= {"matched_text_index": 1.0, "matched_sim": float("nan")}
    info = write_dataset(tmp_path / "out", read(write(tmp_path, row), image_root=images), name="d")
    assert (info.count, info.rejected, info.nulled) == (1, {}, {"matched_sim": 1})
    assert ShardDataset.open(info.folder)[0].meta["matched_sim"] == [1, None]


def test_zipped_documents_and_images_inside_the_rows(tmp_path):
    row = document((1, 0.5))
    row["image_info"][0]["image_base64"] = base64.b64encode(jpeg(5)).decode()
    with zipfile.ZipFile(tmp_path / "docs_shard_0_v2.jsonl.zip", "w") as archive:
        archive.writestr("docs_shard_0_v2.jsonl", json.dumps(row) + "\nbroken\n")
    sample, broken = read(tmp_path)
    assert sample.images == (jpeg(5),)
    assert (broken.reason, broken.where.rpartition("/")[2]) == ("bad-json", "docs_shard_0_v2.jsonl:2")
    (tmp_path / "docs_shard_0_v2.jsonl.zip").write_bytes(b"PK cut off")
    with pytest.raises(DataError, match=r"v2\.jsonl\.zip: cannot be read"):
        list(read(tmp_path))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text_list": None}, "bad-row"),
        ({"text_list": ["a", 3]}, "bad-row"),
        ({"image_info": "x"}, "bad-row"),
        ({"image_info": []}, "no-image"),
        ({"image_info": [{"image_name": "0.jpg", "matched_text_index": 9}]}, "no-matched-text"),
        ({"image_info": [{"image_name": "0.jpg"}]}, "no-matched-text"),
        ({"text_list": [" ", "b"]}, "no-matched-text"),
        ({"image_info": [{"image_name": None, "matched_text_index": 0}]}, "missing-image"),
        ({"image_info": [{"image_base64": "!", "matched_text_index": 0}]}, "missing-image"),
    ],
)
def test_what_does_not_fit_is_rejected_by_name(images, tmp_path, change, reason):
    first = next(iter(read(write(tmp_path, document((0, 0.5)) | change), image_root=images)))
    assert isinstance(first, Reject) and first.reason == reason and first.key == "http://x/page"


def test_wrong_options_are_named(images, tmp_path):
    path = write(tmp_path, document((0, 0.5)))
    with pytest.raises(DataError, match="order='mixed'"):
        list(read(path, image_root=images, order="mixed"))
    with pytest.raises(DataError, match="max_images=0"):
        list(read(path, image_root=images, max_images=0))


@settings(max_examples=50, deadline=None)
@given(matches=st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_nothing_of_a_document_is_lost_or_moved(tmp_path_factory, matches):
    folder = tmp_path_factory.mktemp("documents")
    row = document(*[(index, 0.5) for index in matches], sentences=6)
    for number, info in enumerate(row["image_info"]):
        info["image_base64"] = base64.b64encode(jpeg(40 * number)).decode()
    (sample,) = read(write(folder, row))
    said, shown, pictures = [], {}, [jpeg(40 * number) for number in range(len(matches))]
    for turn in sample.turns:
        for part in turn.parts:
            if isinstance(part, ImagePart):
                shown[pictures.index(sample.images[part.index])] = len(said)
        said += turn.text.split()
    assert said == row["text_list"]
    assert shown == dict(enumerate(matches)), "every image stands just before its sentence"


def test_a_real_document_becomes_shards_and_back(tmp_path):
    root = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    path = root / "text" / "mmc4" / "doc.json"
    if not path.exists():
        pytest.skip("no document of MMC4 in VILA2_REALDATA")
    row = json.loads(path.read_text())
    for number, info in enumerate(row["image_info"]):
        (tmp_path / info["image_name"]).write_bytes(jpeg(number))
    docs = write(tmp_path, row)
    info = write_dataset(tmp_path / "out", read(docs, image_root=tmp_path), name="mmc4")
    assert (info.count, info.rejected) == (1, {})
    sample = ShardDataset.open(tmp_path / "out")[0]
    text = row["text_list"]
    assert isinstance(sample, Sample) and sample.turns == (
        assistant(text[0]),
        user(ImagePart(0)),
        assistant(text[1]),
        user(ImagePart(1)),
        assistant(text[2]),
    )
    assert sample.images == (jpeg(1), jpeg(0)), "the second image matches the earlier sentence"
