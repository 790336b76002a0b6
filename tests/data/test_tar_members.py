"""Tars that anybody may have made: members in any order, what gives no sample, links, and packed ones."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vila2.data.sample import Sample
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.verification import verify_dataset
from vila2.errors import DataError
from vila2.sources.img2dataset import read


def write_tar(path: Path, *members: tuple[str, bytes], mode: str = "w") -> Path:
    """A tar of these members, which may repeat a name."""
    with tarfile.open(path, mode) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def texts(items) -> dict[str, str]:
    """What is said of each sample."""
    return {item.key: item.turns[-1].text for item in items if isinstance(item, Sample)}


def reasons(items) -> list[tuple[str, str]]:
    return [(item.key, item.reason) for item in items if not isinstance(item, Sample)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(1, 12), random=st.randoms())
def test_members_in_any_order_are_joined_by_name(tmp_path_factory, picture, count, random):
    folder = tmp_path_factory.mktemp("tars")
    members = []
    for number in range(count):
        meta = json.dumps({"number": number}).encode()
        members += [(f"d/{number:04d}.jpg", picture(number, "JPEG")), (f"d/{number:04d}.json", meta)]
        members.append((f"./d/{number:04d}.txt", f"text {number}".encode()))
    random.shuffle(members)
    path = write_tar(folder / "x.tar", *members)
    imported, raw = list(read(path)), list(ShardDataset.open(path))
    assert imported == raw
    assert {sample.key for sample in raw} == {f"d/{number:04d}" for number in range(count)}
    for sample in raw:
        number = int(sample.key[2:])
        assert (sample.turns[1].text, sample.meta) == (f"text {number}", {"number": number})
        assert sample.images == (picture(number, "JPEG"),)


def test_a_tar_of_all_photos_then_all_texts(tmp_path, picture):
    kinds = {
        "jpg": lambda n: picture(n, "JPEG"),
        "txt": lambda n: f"text {n}".encode(),
        "json": lambda n: b"{}",
    }
    members = [(f"{n:09d}.{kind}", make(n)) for kind, make in kinds.items() for n in range(4)]
    path = write_tar(tmp_path / "00000.tar", *members)
    assert texts(read(path)) == {f"{n:09d}": f"text {n}" for n in range(4)}
    assert verify_dataset(path).problems == ()


def test_a_text_whose_photo_was_not_fetched_is_no_sample(tmp_path, picture):
    failed = json.dumps({"status": "failed_to_download", "error_message": "HTTP Error 404"}).encode()
    members = [("0.jpg", picture(0, "JPEG")), ("0.txt", b"seen"), ("1.txt", b"lost"), ("1.json", failed)]
    path = write_tar(tmp_path / "x.tar", *members)
    seen, lost = read(path)
    assert seen.key == "0"
    assert (lost.key, lost.reason, lost.where) == ("1", "no-image", f"{path}: 1.txt")
    assert "failed_to_download: HTTP Error 404" in lost.detail
    assert texts(read(path, text_only=True)) == {"0": "seen", "1": "lost"}
    raw = ShardDataset.open(path)
    assert (raw.keys(), raw.rejected) == (["0"], {"no-image": 1})
    (problem,) = verify_dataset(path).problems
    assert problem.where == f"{path}: 1.txt" and "no-image" in problem.what
    with pytest.raises(DataError, match=r"y\.tar: no sample here \(no-image 1\)"):
        ShardDataset.open(write_tar(tmp_path / "y.tar", ("1.txt", b"lost")))


def test_a_key_that_comes_twice_is_named_and_neither_is_merged(tmp_path, picture):
    first = [("k.jpg", picture(1, "JPEG")), ("k.txt", b"one")]
    second = [("k.jpg", picture(2, "JPEG")), ("k.txt", b"two")]
    other = [("o.jpg", picture(3, "JPEG")), ("o.txt", b"other")]
    (tmp_path / "tars").mkdir()
    write_tar(tmp_path / "tars" / "0.tar", *first, *second, *other)
    write_tar(tmp_path / "tars" / "1.tar", *other)
    info = write_dataset(tmp_path / "out", read(tmp_path / "tars"), name="d")
    assert texts(ShardDataset.open(info.folder)) == {"k": "one", "o": "other"}
    lines = [json.loads(line) for line in (info.folder / "rejected.jsonl").read_text().splitlines()]
    assert [(line["key"], line["reason"]) for line in lines] == [
        ("k", "duplicate-key"),
        ("o", "duplicate-key"),
    ]
    assert lines[1]["where"] == f"{tmp_path}/tars/1.tar: o.jpg"
    assert ShardDataset.open(tmp_path / "tars" / "0.tar").rejected == {"duplicate-key": 1}
    apart = write_tar(tmp_path / "apart.tar", ("k.jpg", picture(1, "JPEG")), *other, *second)
    found = [item for item in read(apart, require_text=False) if item.key == "k"]
    assert [len(item.turns) for item in found] == [1, 2], "the text stays with the photo beside it"


def test_photos_that_differ_in_their_extension_alone_stay_two(tmp_path, picture):
    members = [("a.jpg", picture(1, "JPEG")), ("a.png", picture(2)), ("a.txt", b"which?")]
    path = write_tar(tmp_path / "x.tar", *members)
    assert texts(read(path)) == {"a.jpg": "which?", "a.png": "which?"}
    assert ShardDataset.open(path)[1].images == (picture(2),)


def test_texts_of_other_names_and_encodings(tmp_path, picture):
    members = [(f"{key}.jpg", picture(1, "JPEG")) for key in "abcdef"]
    members += [("a.txt", "é".encode("utf-16")), ("b.caption", b"kohya"), ("c.TXT", b"\xef\xbb\xbfmarked")]
    members += [("d.txt", b"caf\xe9"), ("e.txt", b"main"), ("e.caption.txt", b"more"), ("f.json", b"{")]
    path = write_tar(tmp_path / "x.tar", *members)
    found = list(read(path))
    assert texts(found) == {"a": "é", "b": "kohya", "c": "marked", "e": "main"}
    assert reasons(found) == [("d", "unreadable-member"), ("f", "unreadable-member")]
    assert found[4].meta == {"caption.txt": "more"}
    assert "Latin-1" in found[3].detail


def test_links_pipes_and_names_that_are_not_utf8(tmp_path, picture):
    path = tmp_path / "x.tar"
    write_tar(path, ("caf\udce9.jpg", picture(1, "JPEG")), ("caf\udce9.txt", b"coffee"), ("b.txt", b"tea"))
    with tarfile.open(path, "a") as tar:
        kinds = [("b.jpg", tarfile.LNKTYPE, "caf\udce9.jpg"), ("c.jpg", tarfile.SYMTYPE, "b.jpg")]
        for name, kind, target in [*kinds, ("d.jpg", tarfile.FIFOTYPE, ""), ("e", tarfile.DIRTYPE, "")]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    found = list(read(path))
    assert texts(found) == {r"caf\xe9": "coffee", "b": "tea"}
    assert found[1].images == found[0].images == (picture(1, "JPEG"),)
    left = [(item.reason, item.where.rpartition(": ")[2]) for item in found[2:]]
    assert left == [("left-alone", "d.jpg"), ("left-alone", "c.jpg")]
    info = write_dataset(tmp_path / "out", read(path), name="d")
    assert info.count == 2
    assert ShardDataset.open(path).keys() == [r"caf\xe9", "b"]


def test_members_left_alone_are_counted_once_with_an_example(tmp_path, picture):
    (tmp_path / "tars").mkdir()
    for number in range(2):
        members = [
            (f"{number}.jpg", picture(number, "JPEG")),
            (f"{number}.txt", b"x"),
            (f"{number}.cls", b"7"),
        ]
        write_tar(tmp_path / "tars" / f"{number}.tar", *members)
    (tmp_path / "tars" / "loose.jpg").write_bytes(picture(1, "JPEG"))
    left, loose = [item for item in read(tmp_path / "tars") if not isinstance(item, Sample)]
    assert (left.reason, left.where) == ("left-alone", f"{tmp_path}/tars/0.tar: 0.cls")
    assert left.detail == "2 members of this kind: cls"
    assert loose.where.endswith("loose.jpg") and "1 images beside the tars" in loose.detail


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_packed_tars_are_imported_and_named_where_they_can_not_be(tmp_path, picture, mode):
    members = [
        ("0.jpg", picture(0, "JPEG")),
        ("0.txt", b"text"),
        ("1.jpg", picture(1, "JPEG")),
        ("1.txt", b"x"),
    ]
    path = write_tar(tmp_path / f"x.tar.{mode}", *members, mode=f"w:{mode}")
    assert texts(read(path)) == texts(read(tmp_path)) == {"0": "text", "1": "x"}
    for place in (path, tmp_path):
        with pytest.raises(DataError, match=r"x\.tar.*compressed by") as error:
            ShardDataset.open(place)
        assert "data import img2dataset" in error.value.hint
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert [item.reason for item in read(path) if not isinstance(item, Sample)] in (
        ["truncated-tar"],
        ["no-tar"],
    )


def test_files_of_one_name_in_several_folders_are_several_samples(tmp_path, picture):
    folders = ["a", "b", "a/c"]
    members = [(f"{folder}/0.jpg", picture(n, "JPEG")) for n, folder in enumerate(folders)]
    members += [(f"{folder}/0.TXT", folder.encode()) for folder in reversed(folders)]
    assert texts(read(write_tar(tmp_path / "x.tar", *members))) == {f"{one}/0": one for one in folders}


def test_what_is_no_tar_is_named(tmp_path):
    (tmp_path / "x.tar").write_bytes(b"<html>not found</html>")
    (tmp_path / "y.tar").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    (item,) = read(tmp_path / "x.tar")
    assert item.reason == "no-tar"
    with zipfile.ZipFile(tmp_path / "z.tar", "w") as archive:
        archive.writestr("a.txt", "x")
    (item,) = read(tmp_path / "z.tar")
    assert "a zip file: unpack it" in item.detail
    try:
        found = list(read(tmp_path / "y.tar"))
    except DataError as error:
        assert "zstd" in error.what and "decompress" in error.hint
    else:
        assert [item.reason for item in found] == ["no-tar"]


def test_tars_that_were_put_behind_one_another(tmp_path, picture):
    parts = [
        write_tar(tmp_path / f"{n}.tar", (f"{n}.jpg", picture(n, "JPEG")), (f"{n}.txt", b"x"))
        for n in range(3)
    ]
    path = tmp_path / "all.tar"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert texts(read(path)) == {"0": "x", "1": "x", "2": "x"}
    assert ShardDataset.open(path)[2].images == (picture(2, "JPEG"),)
    path.write_bytes(parts[0].read_bytes() + b"signed by nobody" * 100)
    assert texts(read(path)) == {"0": "x"}
    path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes()[:700])
    assert reasons(read(path, require_text=False)) == [("1", "truncated-tar")]


def test_our_own_shards_are_read_alike_as_tars_of_others(tmp_path, pair, picture):
    from vila2.data.sample import ImagePart, assistant, user

    several = Sample("two", (picture(1), picture(2)), (user(ImagePart(0), ImagePart(1)), assistant("both")))
    samples = [
        pair("a.b/c d.é"),
        several,
        pair("plain"),
        Sample("words", (), (user("hello"), assistant("hi"))),
    ]
    info = write_dataset(tmp_path / "d", samples, name="d")
    (tmp_path / "raw").mkdir()
    raw = tmp_path / "raw" / "x.tar"
    raw.write_bytes((info.folder / "shards" / "000000.tar").read_bytes())
    assert list(ShardDataset.open(raw)) == list(read(raw)) == samples
