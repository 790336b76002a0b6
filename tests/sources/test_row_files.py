"""Files of rows as they come: every kind by its content, and one short line for what holds no rows."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from vila2.data.sample import Sample
from vila2.data.shards import Reject, write_dataset
from vila2.errors import DataError
from vila2.sources.caption_rows import read as read_captions
from vila2.sources.llava import read
from vila2.sources.rows import Row, read_rows

ROWS = [{"id": str(n), "question": f"{n}?", "answer": f"ü{n}"} for n in range(3)]


def gz(data: bytes) -> bytes:
    """The same bytes whenever it is called: they are part of the names of tests."""
    return gzip.compress(data, mtime=0)


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tar_of(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("rows.jsonl", LINES, ":2"),
        ("rows.jsonl", LINES.replace("\n", "\n\n"), ":3"),
        ("rows.jsonl", "\ufeff" + LINES, ":2"),
        ("rows.jsonl", LINES.replace("\n", "\r\n"), ":2"),
        ("rows.jsonl", LINES.encode("utf-16"), ":2"),
        ("rows.json", LINES, ":2"),
        ("rows.json", json.dumps(ROWS), "[1]"),
        ("rows.json", json.dumps(ROWS, indent=2).encode("utf-16"), "[1]"),
        ("rows.json", "\ufeff" + json.dumps(ROWS, indent=2), "[1]"),
        ("rows.json", json.dumps({"version": 1, "data": ROWS}, indent=2), ": data[1]"),
        ("rows.json", json.dumps({"data": ROWS}), ": data[1]"),
        ("rows.json", json.dumps({"info": {}, "annotations": ROWS}), ": annotations[1]"),
        ("rows.json", "\n".join(json.dumps(row, indent=2) for row in ROWS), "[1]"),
        ("rows.json", json.dumps({row["id"]: row for row in ROWS}), ": '1'"),
        ("rows.txt", json.dumps(ROWS), "[1]"),
        ("rows.jsonl.gz", gz(LINES.encode()), ":2"),
        ("rows.jsonl", gz(LINES.encode()), ":2"),
        ("rows.json.bz2", bz2.compress(json.dumps(ROWS).encode()), "[1]"),
        ("rows.jsonl.xz", lzma.compress(LINES.encode()), ":2"),
        ("rows.jsonl.zst", pa.compress(LINES.encode(), "zstd", asbytes=True), ":2"),
        ("rows.csv", "id,question,answer\n" + "".join(f'{n},{n}?,"ü{n}"\n' for n in range(3)), ":3"),
        ("rows.tsv", "id\tquestion\tanswer\n" + "".join(f"{n}\t{n}?\tü{n}\n" for n in range(3)), ":3"),
        ("rows.csv.gz", gz("id;question;answer\n0;0?;ü0\n1;1?;ü1\n2;2?;ü2\n".encode()), ":3"),
    ],
)
def test_every_kind_of_file_gives_its_rows(tmp_path, name, content, where):
    path = written(tmp_path, name, content)
    rows = list(read_rows(path))
    assert [row.fields for row in rows] == ROWS
    assert rows[1].where == f"{path}{where}"
    assert [sample.turns[1].text for sample in read(path)] == ["ü0", "ü1", "ü2"]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("rows.tar.gz", gz(tar_of("a.jpg", b"x")), "is a tar archive compressed with gzip"),
        ("rows.jsonl", tar_of("a.jpg", b"x"), "is a tar archive"),
        ("rows.parquet.gz", gz(b"PAR1...."), "is a gzip archive of a parquet file"),
        ("rows.jsonl.gz", gz(LINES.encode() * 5000)[:-300], "the gzip is damaged or cut off"),
        (
            "rows.jsonl.zst",
            pa.compress(LINES.encode(), "zstd", asbytes=True)[:-9],
            "the zstd is damaged or cut off",
        ),
        ("rows.jsonl.xz", lzma.compress(LINES.encode())[:-9], "the xz is damaged or cut off"),
        ("rows.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        ("rows.json", "<!DOCTYPE html><html>log in</html>", "is an HTML or XML page"),
        ("rows.json", "\n  <?xml version='1.0'?>", "is an HTML or XML page"),
        ("rows.jsonl", b"\xff\xd8\xff\xe0 JFIF", r"is an image \(jpg\)"),
        ("rows.pkl", pickle.dumps(ROWS), "is a pickle"),
        ("rows.arrow", b"ARROW1\0\0....", "is an Arrow file"),
        ("rows.bin", bytes(range(256)), "binary file"),
        ("rows.yaml", "image: a.jpg\ncaptions: [one]\n", "is YAML"),
        ("rows.txt", "a caption\nanother\n", "neither JSON, JSON lines, CSV nor Parquet; line 1"),
        ("rows.jsonl", "".join(f"{row}\n" for row in ROWS), "neither JSON.*line 1"),
        ("rows.json", json.dumps(ROWS[0], indent=2)[:-9], "neither JSON"),
        ("rows.json", "[{]", "the JSON cannot be read"),
        ("rows.json", json.dumps({"train": ROWS, "test": ROWS}), "lists of objects are under train, test"),
        (
            "rows.tsv",
            "a caption\thttp://x/0.jpg\nb\thttp://x/1.jpg\n",
            "does not name the columns: a caption, http",
        ),
        ("rows.csv", "id,id\n1,2\n", "does not name the columns"),
        ("rows.csv", "id,text\n1,\u00fc\n".encode("latin-1"), "cannot be read.*utf-8"),
        ("rows.zip", None, "a zip of a.jpg"),
    ],
)
def test_what_holds_no_rows_is_named_in_one_line(tmp_path, name, content, what):
    path = tmp_path / name
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.jpg", b"x")
    else:
        written(tmp_path, name, content)
    with pytest.raises(DataError, match=what) as raised:
        list(read_rows(path))
    assert str(path) in raised.value.what and raised.value.hint
    assert len(raised.value.what) < len(str(path)) + 400 and "\n" not in raised.value.what


def test_a_broken_line_costs_itself_alone(tmp_path):
    deep = "[" * 100_000
    lines = [
        json.dumps(ROWS[0]),
        "{broken",
        "null",
        "3",
        '"text"',
        "[]",
        "",
        deep,
        '{"id": ' + "9" * 5000 + "}",
        '{"id": NaN, "question": "?", "answer": "!"}',
        "\ud800",
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    found = list(read_rows(path))
    assert [getattr(item, "reason", "row") for item in found] == [
        "row",
        "bad-json",
        "bad-row",
        "bad-row",
        "bad-row",
        "bad-row",
        "bad-json",
        "bad-json",
        "row",
        "bad-json",
    ]
    assert [int(item.where.rpartition(":")[2]) for item in found] == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert all(len(item.detail) <= 300 for item in found if isinstance(item, Reject))
    assert found[2].detail == "a NoneType instead of an object: None"


def test_cells_that_do_not_fit_the_names_cost_their_line(tmp_path):
    path = written(tmp_path, "rows.csv", 'id,question,answer\n1,"two\nlines",yes\n2,no\n\n3,a,b,c\n4,x,y\n')
    found = list(read_rows(path))
    assert [(item.where.rpartition(":")[2], isinstance(item, Row)) for item in found] == [
        ("3", True), ("4", False), ("6", False), ("7", True),
    ]  # fmt: skip
    assert "2 cells instead of 3 (id, question, answer)" in found[1].detail


def test_a_folder_gives_its_rows_and_leaves_out_what_lies_beside_them(tmp_path):
    for name in ("b.jsonl", "a.jsonl.gz", "c.json"):
        content = json.dumps({"id": name, "question": "?", "answer": "!"}).encode()
        written(tmp_path, name, gz(content) if name.endswith("gz") else content)
    for name in (
        "list.csv",
        "c.meta.json",
        "b.rejected.jsonl",
        "0_stats.json",
        ".hidden.json",
        "a.jpg",
        "state.json",
    ):
        written(tmp_path, name, "nothing to read")
    assert [row.fields["id"] for row in read_rows(tmp_path)] == ["a.jsonl.gz", "b.jsonl", "c.json"]
    tables = tmp_path / "tables"
    tables.mkdir()
    written(tables, "x.csv", "id,text\n1,one\n")
    assert [row.fields for row in read_rows(tables)] == [{"id": "1", "text": "one"}]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no \.json, \.jsonl, \.csv or \.parquet"):
        list(read_rows(tmp_path / "empty"))


def test_a_value_that_python_cannot_hold_costs_its_row(tmp_path):
    import pyarrow.parquet as pq

    table = pa.table({"id": ["a", "b"], "seen": pa.array([0, 10**15], pa.timestamp("s"))})
    pq.write_table(table, tmp_path / "rows.parquet")
    good, bad = read_rows(tmp_path / "rows.parquet")
    assert isinstance(good, Row) and good.fields["id"] == "a"
    assert (bad.where, bad.reason) == (f"{tmp_path / 'rows.parquet'}[1]", "bad-row")


def test_a_table_without_the_columns_names_those_it_has(tmp_path):
    path = written(tmp_path, "rows.csv", "a,b\n1,2\n3,4\n5,6\n")
    first, *_ = read_captions(path)
    assert first == Reject(f"{path}:2", "rows.csv:2", "missing-field", first.detail)
    assert "no image; fields: a, b" in first.detail
    with pytest.raises(DataError, match="rejected: missing-field 3"):
        write_dataset(tmp_path / "out", read_captions(path), name="out")


def test_a_table_of_photos_and_captions(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    path = written(
        tmp_path, "pairs.csv", "file_name,caption,score\na.jpg,\"One, two\",0.5\na.jpg,\"['One', 'Two']\",1\n"
    )
    one, two = read_captions(path)
    assert isinstance(one, Sample) and (one.key, one.turns[1].text) == ("a", "One, two")
    assert one.meta == {"file_name": "a.jpg", "score": "0.5", "references": ["One, two"]}
    assert two.meta["references"] == ["One", "Two"]


def test_a_document_that_is_no_list_is_one_row(tmp_path):
    for indent, where in ((None, ":1"), (2, "[0]")):
        path = written(
            tmp_path, "row.json", json.dumps({"words": ["a"], "size": {"width": 3}}, indent=indent)
        )
        (bad,) = read(path)
        assert (bad.where, bad.reason) == (f"{path}{where}", "missing-field")
        assert bad.detail == "no conversation, nor question and answer; fields: words, size"
    (row,) = read_rows(written(tmp_path, "row.jsonl", json.dumps({"id": 1, "words": [{"text": "a"}]}) + "\n"))
    assert row.fields == {"id": 1, "words": [{"text": "a"}]}, "one line of JSON lines, not a list of words"
