"""Datasets at URLs: over HTTP from a server that cuts transfers, and from an S3 server."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.data.cutting_server import CuttingServer, serving_files
from vila2.cli.main import app
from vila2.data import remote
from vila2.data.annotations import Annotation
from vila2.data.layers import Layer, write_layer
from vila2.data.links import link_dataset, local_folder
from vila2.data.remote import remote_url
from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.data.verification import verify_dataset
from vila2.errors import DataError
from vila2.recipe.parts.data import DatasetSpec
from vila2.run.steps import Run
from vila2.sources.import_step import open_dataset

pytest.importorskip("aiohttp")
COUNT = 30


def noise(number: int) -> bytes:
    """A picture whose file is about 190 KB."""
    import numpy as np

    pixels = np.random.default_rng(number).integers(0, 255, (256, 256, 3), dtype="uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    samples = (
        Sample(f"{n:03d}", (noise(n),), (user(ImagePart(0)), assistant(f"picture {n}"))) for n in range(COUNT)
    )
    write_dataset(folder / "pictures", samples, name="pictures", shard_size=12)
    dataset = ShardDataset.open(folder / "pictures")
    write_layer(
        dataset,
        lambda key: [Annotation(key, "?", f"seen {key}", "ok")],
        folder=folder / "pictures" / "layers" / "self-1",
        name="self-1",
        info={},
    )
    return folder


@pytest.fixture
def server(root: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VILA2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_PAUSES", (0.01, 0.01, 0.01, 0.01))
    with serving_files(root) as state:
        yield state


def same(one: ShardDataset, other: ShardDataset) -> bool:
    return list(one) == list(other) and one.digest == other.digest


def test_a_dataset_over_http_is_the_same_though_transfers_are_cut(server: CuttingServer, root: Path):
    server.cuts = 4
    assert same(ShardDataset.open(f"{server.url}/pictures"), ShardDataset.open(root / "pictures"))
    assert server.cuts == 0, "transfers were cut"


def test_a_sample_anywhere_costs_a_part_of_its_shard_once(server: CuttingServer, root: Path):
    dataset, here = ShardDataset.open(f"{server.url}/pictures"), ShardDataset.open(root / "pictures")
    assert dataset[17] == here[17]
    [(path, start, end)] = server.ranges
    assert path == "/pictures/shards/000001.tar"
    assert end - start < here.shards[1].bytes
    again = ShardDataset.open(f"{server.url}/pictures")
    assert again[17] == here[17] and len(server.ranges) == 1, "the cache has it"


def test_without_a_cache_ranges_are_asked_for_again(server: CuttingServer, root: Path, monkeypatch, tmp_path):
    monkeypatch.setenv("VILA2_CACHE_GB", "0")
    for _ in range(2):
        assert ShardDataset.open(f"{server.url}/pictures")[3] == ShardDataset.open(root / "pictures")[3]
    assert len(server.ranges) == 2
    assert not list((tmp_path / "cache").glob("blocks/*/*"))


def test_what_was_damaged_in_the_cache_is_fetched_again(server: CuttingServer, root: Path, tmp_path: Path):
    here = ShardDataset.open(root / "pictures")
    assert ShardDataset.open(f"{server.url}/pictures")[3] == here[3]
    for block in (tmp_path / "cache").glob("blocks/*/*"):
        block.write_bytes(block.read_bytes()[:-9])
    assert ShardDataset.open(f"{server.url}/pictures")[3] == here[3]


def test_the_cache_stays_within_its_bound(tmp_path: Path):
    from vila2.data.block_cache import BlockCache, trim

    for number in range(10):
        BlockCache(tmp_path / "blocks" / "file", 1).write(number, bytes(1000))
    trim(tmp_path / "blocks", 5000)
    left = list(tmp_path.glob("blocks/*/*"))
    assert 0 < sum(path.stat().st_size for path in left) <= 5000


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        ({"cuts": 1000}, "could not be read in 5 attempts", "check the network"),
        ({"refuses": 403}, "cannot be read", "credentials"),
        ({"whole": True}, "the server sent", "parts of files"),
    ],
)
def test_what_cannot_be_read_is_named(server: CuttingServer, change, said, hint):
    dataset = ShardDataset.open(f"{server.url}/pictures")
    dataset.shard_keys(0)
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(DataError, match=re.escape(f"{server.url}/pictures/shards/000000.tar")) as caught:
        dataset[3]
    assert said in caught.value.what and hint in caught.value.hint


def test_a_place_without_a_dataset_is_named(server: CuttingServer):
    with pytest.raises(DataError, match=re.escape(f"{server.url}/nothing: no dataset.json there")):
        ShardDataset.open(f"{server.url}/nothing")


def test_a_linked_folder_takes_new_layers(server: CuttingServer, root: Path, tmp_path: Path):
    link_dataset(f"{server.url}/pictures", tmp_path / "linked")
    dataset = ShardDataset.open(tmp_path / "linked")
    layer = write_layer(
        dataset,
        lambda key: [Annotation(key, "?", "new", "ok")],
        folder=tmp_path / "linked" / "layers" / "mine",
        name="mine",
        info={},
    )
    assert layer.count == COUNT and same(dataset, ShardDataset.open(root / "pictures"))
    with pytest.raises(DataError, match="holds another dataset"):
        link_dataset(server.url + "/pictures/../pictures", tmp_path / "linked")


def test_the_commands_read_a_url(server: CuttingServer, root: Path, tmp_path: Path):
    url = f"{server.url}/pictures"
    done = CliRunner().invoke(app, ["data", "stats", url, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["folder"] == url and json.loads(done.output)["samples"] == COUNT
    done = CliRunner().invoke(app, ["data", "verify", url])
    assert done.exit_code == 0 and f"{url}: {COUNT} samples, {COUNT} images" in done.output, done.output
    done = CliRunner().invoke(app, ["data", "link", url, str(tmp_path / "linked")])
    assert done.exit_code == 0 and f"{COUNT} samples of {url}" in done.output, done.output


def test_processes_that_feed_a_trainer_read_a_url(server: CuttingServer, root: Path):
    from torch.utils.data import DataLoader

    dataset = ShardDataset.open(f"{server.url}/pictures")
    assert dataset[0].key == "000", "connections are open when the workers are forked"
    server.cuts = 3
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert list(loader) == list(ShardDataset.open(root / "pictures"))


def test_a_recipe_reads_a_url_and_keeps_the_digest_of_the_dataset(
    server: CuttingServer, root: Path, tmp_path
):
    run = Run.open(tmp_path / "run", dry=True)
    there, here = (
        open_dataset(run, "pictures", DatasetSpec(source="shards", path=path))
        for path in (f"{server.url}/pictures", str(root / "pictures"))
    )
    assert there.digest == here.digest
    assert same(ShardDataset.open(there.folder), ShardDataset.open(here.folder))


def test_verify_finds_what_changed_at_a_url(root: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("VILA2_CACHE", str(tmp_path / "cache"))
    shutil.copytree(root / "pictures", tmp_path / "served" / "pictures")
    tar = tmp_path / "served" / "pictures" / "shards" / "000001.tar"
    content = bytearray(tar.read_bytes())
    content[content.index(b"IDAT") + 100] ^= 1
    tar.write_bytes(content)
    with serving_files(tmp_path / "served") as server:
        found = verify_dataset(f"{server.url}/pictures")
    assert any("the content changed" in problem.what for problem in found.problems)
    assert all(f"{server.url}/pictures/shards/000001." in problem.where for problem in found.problems)


def test_rows_and_their_images_are_imported_from_a_url(server: CuttingServer, root: Path, tmp_path: Path):
    (root / "rows" / "images").mkdir(parents=True, exist_ok=True)
    (root / "rows" / "images" / "a.png").write_bytes(noise(1))
    names = ["images/a.png", "images/none.png", "../pictures/dataset.json", f"{server.url}/rows/images/a.png"]
    rows = [
        {"id": str(number), "image": name, "conversations": [{"from": "human", "value": "<image>\n?"}, said]}
        for said in [{"from": "gpt", "value": "a picture"}]
        for number, name in enumerate(names)
    ]
    (root / "rows" / "rows.json").write_text(json.dumps(rows))
    url = f"{server.url}/rows/rows.json"
    done = CliRunner().invoke(app, ["data", "import", "llava", url, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    [sample] = ShardDataset.open(tmp_path / "out")
    assert sample.images == (noise(1),)
    rejected = map(json.loads, (tmp_path / "out" / "rejected.jsonl").read_text().splitlines())
    assert [one["reason"] for one in rejected] == ["unreadable-file", "outside-image-root", "remote-image"]


def test_layers_are_not_written_beside_a_url(server: CuttingServer):
    url = f"{server.url}/pictures"
    done = CliRunner().invoke(app, ["recaption", url, "--model", "builtin:miniature", "--layer", "mine"])
    assert done.exit_code != 0 and f"vila2 data link {url}" in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (Path("s3://bucket/data/"), "s3://bucket/data"),
        ("s3://bucket/data", "s3://bucket/data"),
        (Path("hf://datasets/a/b"), "hf://datasets/a/b"),
        ("https://host/a?b=c", "https://host/a?b=c"),
        ("data/s3:/x", None),
        ("C:/data", None),
    ],
)
def test_urls_are_known_even_as_paths(place, url):
    assert remote_url(place) == url


@pytest.fixture
def bucket(root: Path, tmp_path: Path, monkeypatch):
    """The URL of the dataset on an S3 server of this machine."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    monkeypatch.setenv("VILA2_CACHE", str(tmp_path / "cache"))
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.makedirs("bucket", exist_ok=True)  # moto keeps them in this process
    system.put(str(root / "pictures"), "bucket/pictures", recursive=True)
    yield "s3://bucket/pictures"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_dataset_and_its_layer_on_s3(bucket: str, root: Path, tmp_path: Path):
    dataset = ShardDataset.open(Path(bucket))
    assert same(dataset, ShardDataset.open(root / "pictures"))
    layer, here = (
        Layer.open(folder / "layers" / "self-1") for folder in (local_folder(bucket), root / "pictures")
    )
    assert list(layer.rows()) == list(here.rows()) and layer.digest == here.digest
    done = CliRunner().invoke(app, ["data", "stats", bucket])
    assert done.exit_code == 0 and "self-1" in done.output, done.output
    done = CliRunner().invoke(app, ["data", "verify", bucket])
    assert done.exit_code == 0 and "layers self-1: all is well" in done.output, done.output


def test_a_bucket_that_is_not_there_is_named(bucket: str):
    with pytest.raises(DataError, match="s3://other/pictures"):
        ShardDataset.open("s3://other/pictures")
