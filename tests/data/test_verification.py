"""Verification finds each kind of damage, and nothing in a sound dataset."""

from __future__ import annotations

import io
import json
import tarfile
import zlib

import pytest

from vila2.data.layers import Annotation, LayerWriter
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.verification import verify_dataset
from vila2.errors import DataError


@pytest.fixture
def folder(tmp_path, pair):
    write_dataset(tmp_path / "d", [pair(f"k{n}", number=n) for n in range(6)], name="d", shard_size=3)
    dataset = ShardDataset.open(tmp_path / "d")
    writer = LayerWriter(tmp_path / "d" / "layers" / "self-1", "self-1")
    for shard_no in range(2):
        writer.write_shard(
            shard_no, [Annotation(key, "", "text", "ok") for key in dataset.shard_keys(shard_no)]
        )
    writer.finish({})
    return tmp_path / "d"


def only_problem(folder, **options) -> str:
    (problem,) = verify_dataset(folder, **options).problems
    return f"{problem.where}: {problem.what}"


def test_a_sound_dataset(folder):
    found = verify_dataset(folder)
    assert (found.samples, found.images, found.layers, found.problems) == (6, 6, ("self-1",), ())


def test_a_changed_tar_is_found_although_its_size_is_the_same(folder):
    tar = folder / "shards" / "000001.tar"
    data = bytearray(tar.read_bytes())
    place = data.index(b"IDAT") + 6  # inside the first picture
    data[place] ^= 0xFF
    tar.write_bytes(bytes(data))
    found = [problem.what for problem in verify_dataset(folder).problems]
    assert any("content changed" in what for what in found)
    assert any(what.startswith("the .png of sample 'k3' is not what was written") for what in found)


def test_a_flipped_byte_is_noticed_where_the_sample_is_read(folder):
    tar = folder / "shards" / "000001.tar"
    data = bytearray(tar.read_bytes())
    place = data.index(b"IDAT") + 6
    data[place] ^= 0xFF
    tar.write_bytes(bytes(data))
    dataset = ShardDataset.open(folder)
    with pytest.raises(DataError, match=r"000001\.tar: the \.png of sample 'k3'"):
        dataset[3]
    assert dataset.without_images(3).key == "k3"  # what was read is sound
    assert [dataset[number].key for number in (0, 1, 2, 4, 5)] == ["k0", "k1", "k2", "k4", "k5"]


def test_an_index_of_an_earlier_version_without_checksums_is_still_read(folder):
    index = folder / "shards" / "000001.index"
    _, header, body = index.read_bytes().split(b"\n", 2)
    facts = json.loads(header)
    body = body[: -4 * facts["members"]]
    facts = {name: value for name, value in facts.items() if name not in ("checksums", "head")}
    facts["crc32"] = zlib.crc32(body)
    index.write_bytes(b"vila2-index 1\n" + json.dumps(facts).encode() + b"\n" + body)
    assert [sample.key for sample in ShardDataset.open(folder)] == [f"k{number}" for number in range(6)]
    assert verify_dataset(folder).problems == ()


def test_a_changed_index_is_found(folder):
    index = folder / "shards" / "000000.index"
    other = folder / "shards" / "000001.index"
    header, body = index.read_bytes().split(b"\n", 2)[:2], other.read_bytes().split(b"\n", 2)[2]
    facts = json.loads(header[1]) | {"crc32": zlib.crc32(body)}
    del facts["head"]  # an index of an earlier version does not check its header
    index.write_bytes(b"\n".join([header[0], json.dumps(facts).encode(), body]))
    assert any(
        "000000.index: differs from the tar" in f"{p.where}: {p.what}"
        for p in verify_dataset(folder).problems
    )


def test_a_missing_shard_and_a_foreign_one(folder):
    (folder / "shards" / "000007.tar").write_bytes(b"")
    assert "000007.tar: dataset.json does not know" in only_problem(folder)
    (folder / "shards" / "000000.tar").unlink()
    assert "000000.tar: is missing" in only_problem(folder)


def test_layers_that_do_not_fit(folder, tmp_path):
    writer = LayerWriter(tmp_path / "elsewhere", "ocr")
    writer.write_shard(0, [Annotation("k0", "", "text", "ok"), Annotation("k3", "", "text", "ok")])
    writer.finish({})
    assert "1 keys are not in shard 0: 'k3'" in only_problem(folder, layers=[tmp_path / "elsewhere"])
    far = LayerWriter(tmp_path / "far", "far")
    far.write_shard(5, [])
    far.finish({})
    assert "the dataset has no shard 5" in only_problem(folder, layers=[tmp_path / "far"])
    LayerWriter(folder / "layers" / "self-2", "self-2").write_shard(0, [])
    assert "not finished" in only_problem(folder)


def test_a_changed_layer_is_found(folder):
    layer = folder / "layers" / "self-1"
    (layer / "000001.parquet").write_bytes((layer / "000000.parquet").read_bytes())
    found = [problem.what for problem in verify_dataset(folder).problems]
    assert any("content changed" in what for what in found)
    assert any("3 keys are not in shard 1: 'k0', 'k1', 'k2'" in what for what in found)


def test_statuses_that_nobody_knows_are_found(folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "layers" / "self-1" / "000000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index("status")
    pq.write_table(table.set_column(place, "status", pa.array(["fine"] * 3)), path)
    assert any("unknown status 'fine'" in problem.what for problem in verify_dataset(folder).problems)


def test_duplicate_keys_of_foreign_tars_are_found(tmp_path, picture):
    for name in ("a.tar", "b.tar"):
        with tarfile.open(tmp_path / name, "w") as tar:
            info = tarfile.TarInfo("same.png")
            info.size = len(picture(1))
            tar.addfile(info, io.BytesIO(picture(1)))
    assert "b.tar: key 'same' is also in a.tar" in only_problem(tmp_path)


def test_no_dataset_at_all(tmp_path):
    assert "no dataset here" in only_problem(tmp_path)
