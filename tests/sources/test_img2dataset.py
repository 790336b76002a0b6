"""img2dataset's tars, and COYO's metadata joined to them; with real rows of COYO where they are."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.data.shards import Reject, ShardDataset, write_dataset
from vila2.errors import DataError
from vila2.sources.img2dataset import read


def jpeg(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def downloaded(key: str, number: int, text: str | None, **fields) -> dict[str, bytes]:
    """What img2dataset writes of one image."""
    about = {"key": key, "caption": text, "status": "success", "width": 16, "height": 16, **fields}
    members = {f"{key}.jpg": jpeg(number), f"{key}.json": json.dumps(about).encode()}
    return members if text is None else {**members, f"{key}.txt": text.encode()}


ROWS = [
    {"id": 10 + n, "url": f"http://x/{n}.jpg", "text": f"text {n}", "clip_similarity_vitb32": n / 10}
    for n in range(4)
]


@pytest.fixture
def tars(tmp_path) -> Path:
    folder = tmp_path / "coyo"
    folder.mkdir()
    first = [
        downloaded(f"00000000{n}", n, f"text {n}", url=ROWS[n]["url"], id=ROWS[n]["id"]) for n in range(2)
    ]
    write_tar(folder / "00000.tar", {**first[0], **first[1]})
    write_tar(folder / "00001.tar", downloaded("000010000", 3, None, url=ROWS[3]["url"], id=13))
    (folder / "00000_stats.json").write_text("{}")
    return folder


def test_tars_are_read_in_order(tars):
    found = list(read(tars))
    assert found[0] == Sample(
        "000000000", (jpeg(0),), (user(ImagePart()), assistant("text 0")), found[0].meta
    )
    assert found[0].meta["url"] == "http://x/0.jpg"
    assert [item.key for item in found] == ["000000000", "000000001", "000010000"]
    where = f"{tars}/00001.tar: 000010000.jpg"
    assert found[2] == Reject(where, "000010000", "missing-text", found[2].detail)
    assert [item.key for item in read(tars / "00001.tar", require_text=False)] == ["000010000"]
    assert [item.key for item in read(tars, start=1, count=1)] == ["000000001"]
    keys = [item.key for item in found]
    assert [item.key for item in read(f"{tars}/0000*.tar")] == keys
    assert [item.key for item in read(tars.parent)] == keys, "of the folders below, where there is none above"
    (tars.parent / "photos").mkdir()
    (tars.parent / "photos" / "a.jpg").touch()
    with pytest.raises(DataError, match=r"no \.tar file here") as error:
        list(read(tars.parent / "photos"))
    assert "source folder" in error.value.hint


@pytest.mark.parametrize("join", ["url", "id"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_metadata_is_joined_and_selects(tars, tmp_path, join, kind):
    path = tmp_path / f"coyo.{kind}"
    rows = [ROWS[0], ROWS[3]]
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    found = list(read(tars, metadata=path, join=join))
    assert [getattr(item, "reason", "taken") for item in found] == ["taken", "no-metadata", "taken"]
    assert found[0].meta["clip_similarity_vitb32"] == 0.0
    assert found[0].meta["width"] == 16
    assert found[2].turns[1].text == "text 3"  # there was no .txt: the metadata's text


def test_metadata_is_joined_by_key(tars, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"key": "000000001", "aesthetic": 5}) + "\nbroken\n")
    found = list(read(tars, metadata=path, join="key"))
    assert [item.reason for item in found if isinstance(item, Reject)] == [
        "bad-json",
        "no-metadata",
        "no-metadata",
    ]
    assert [item.meta["aesthetic"] for item in found if isinstance(item, Sample)] == [5]
    with pytest.raises(DataError, match="no field 'url' to join on"):
        list(read(tars, metadata=path))
    with pytest.raises(DataError, match="join='text'"):
        list(read(tars, metadata=path, join="text"))


def test_a_tar_that_a_killed_download_left_gives_what_came_whole(tars):
    whole = (tars / "00000.tar").read_bytes()
    with tarfile.open(tars / "00000.tar") as tar:
        second = tar.getmember("000000001.jpg").offset_data
    for length in (second + 100, second + 4 * 512):
        (tars / "00000.tar").write_bytes(whole[:length])
        found = list(read(tars, require_text=False))
        assert [(item.key, getattr(item, "reason", "taken")) for item in found] == [
            ("000000000", "taken"),
            ("000000001", "truncated-tar"),
            ("000010000", "taken"),
        ]


def test_code_in_a_tar_is_refused_and_bad_members_are_named(tars, tmp_path):
    write_tar(
        tars / "00002.tar",
        {"bad.jpg": jpeg(1), "bad.json": b"{", "worse.jpg": jpeg(1), "worse.txt": b"\xff\xfe\xff"},
    )
    assert [item.reason for item in read(tars, start=3)] == ["unreadable-member", "unreadable-member"]
    write_tar(tars / "00003.tar", {"x.pyd": b"code"})
    with pytest.raises(DataError, match=r"00003\.tar: x\.pyd"):
        list(read(tars))
    with pytest.raises(DataError, match=r"no \.tar file"):
        list(read(tmp_path / "nothing"))


@pytest.mark.parametrize("kind", ["metadata", "samples"])
def test_the_best_scored_are_taken_and_the_others_named(tmp_path, kind):
    scores = [0.2, 0.4, 0.3, 0.4, 0.1]
    (tmp_path / "tars").mkdir()
    for number, score in enumerate(scores):
        inside = {"clip_similarity_vitl14": score} if kind == "samples" else {}
        members = downloaded(f"{number:09d}", number, "text", url=f"u{number}", **inside)
        write_tar(tmp_path / "tars" / f"{number:05d}.tar", members)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"url": f"u{n}", "clip_similarity_vitl14": s}) + "\n" for n, s in enumerate(scores)
        )
    )
    options = {"metadata": rows} if kind == "metadata" else {}
    reason = "no-metadata" if kind == "metadata" else "not-ranked"

    def taken(**more) -> str:
        found = list(read(tmp_path / "tars", **options, **more))
        assert {item.reason for item in found if isinstance(item, Reject)} <= {reason}
        return "".join(item.key[-1] for item in found if isinstance(item, Sample))

    assert [taken(top=n) for n in (1, 2, 3, 9)] == ["1", "13", "123", "01234"]
    assert taken(min_score=0.3) == "123"
    assert taken(top=1, min_score=0.3) == "1"
    with pytest.raises(DataError, match="no row has a score"):
        taken(top=1, rank_by="aesthetic")


def test_real_rows_of_coyo(tmp_path):
    root = Path(os.environ.get("VILA2_REALDATA", Path(__file__).parents[3] / "shared" / "realdata"))
    path = root / "text" / "coyo" / "coyo_rows.jsonl"
    if not path.exists():
        pytest.skip("no rows of COYO in VILA2_REALDATA")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    members: dict[str, bytes] = {}
    for number, row in enumerate(rows):
        members |= downloaded(f"{number:09d}", number, row["text"], url=row["url"])
    (tmp_path / "tars").mkdir()
    write_tar(tmp_path / "tars" / "00000.tar", members)
    info = write_dataset(tmp_path / "out", read(tmp_path / "tars", metadata=path), name="coyo")
    assert (info.count, info.rejected) == (len(rows), {})
    for sample, row in zip(ShardDataset.open(tmp_path / "out"), rows, strict=True):
        assert sample.turns[1].text == row["text"].strip()
        assert sample.meta["clip_similarity_vitl14"] == row["clip_similarity_vitl14"]
        assert sample.meta["id"] == row["id"]
