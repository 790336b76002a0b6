"""Layers: round trips, going on after a kill, statistics, and the original text read as a layer."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vila2.data.layers import STATUSES, Annotation, Layer, LayerWriter, original_layer
from vila2.data.sample import BoxPart, ImagePart, Sample, assistant, user
from vila2.data.shards import ShardDataset, write_dataset
from vila2.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ANNOTATION = st.builds(
    lambda status, text, **fields: Annotation(
        text=f"{text}." if status == "ok" else text, status=status, **fields
    ),
    status=st.sampled_from(STATUSES),
    text=TEXT,
    key=st.sampled_from(["a", "b", "ü/c"]) | TEXT,
    prompt=TEXT,
    detail=TEXT,
    tokens=st.integers(0, 2**31 - 1),
    turns=st.none() | st.just((user("where?"), assistant("at ", BoxPart((0.0, 0.5, 0.25, 1.0)), branch=1))),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ANNOTATION, max_size=5), max_size=4))
def test_any_annotation_comes_back_as_it_was(tmp_path_factory, shards):
    folder = tmp_path_factory.mktemp("layer")
    writer = LayerWriter(folder, "self-1")
    for number, rows in enumerate(shards):
        writer.write_shard(number, rows)
    writer.finish({"engine": "none", "prompts": ["ä"]})
    layer = Layer.open(folder)
    flat = [row for rows in shards for row in rows]
    assert list(layer.rows()) == flat
    assert (layer.name, layer.info, layer.count) == (
        "self-1",
        {"engine": "none", "prompts": ["ä"]},
        len(flat),
    )
    assert sum(layer.statuses.values()) == len(flat)
    for number, rows in enumerate(shards):
        assert [row for group in layer.shard(number).values() for row in group] == sorted(
            rows, key=lambda row: [r.key for r in rows].index(row.key)
        )
    keys = [{row.key for row in rows} for rows in shards]
    for key in {row.key for row in flat}:
        if sum(key in shard for shard in keys) == 1:  # a key belongs to one shard
            assert layer.get(key) == tuple(row for row in flat if row.key == key)
    assert layer.get("never asked about") == ()


def test_an_interrupted_layer_goes_on_where_it_stopped(tmp_path):
    rows = [[Annotation(f"k{n}", "p", f"text {n}", "ok")] for n in range(3)]
    calm = LayerWriter(tmp_path / "calm", "self-1")
    for number, shard in enumerate(rows):
        calm.write_shard(number, shard)
    expected = calm.finish({}).digest
    torn = LayerWriter(tmp_path / "torn", "self-1")
    torn.write_shard(0, rows[0])
    (tmp_path / "torn" / ".000001.abc.tmp.parquet").write_bytes(b"half")
    with pytest.raises(DataError, match="not finished"):
        Layer.open(tmp_path / "torn")
    again = LayerWriter(tmp_path / "torn", "self-1")
    assert [again.has(number) for number in range(3)] == [True, False, False]
    for number in (1, 2):
        again.write_shard(number, rows[number])
    assert again.finish({}).digest == expected
    assert sorted(path.name for path in (tmp_path / "torn").iterdir()) == [
        "000000.parquet",
        "000001.parquet",
        "000002.parquet",
        "layer.json",
    ]


def test_statistics_count_words_of_usable_annotations_only(tmp_path):
    writer = LayerWriter(tmp_path, "self-1")
    writer.write_shard(0, [Annotation("a", "", "one two three", "ok"), Annotation("b", "", "one", "ok")])
    writer.write_shard(
        1, [Annotation("c", "", "no no no no no", "repetition"), Annotation("d", "", "", "empty")]
    )
    statistics = writer.finish({}).statistics()
    assert (statistics.words_mean, statistics.words_sd) == (2.0, 1.0)
    assert (statistics.count, statistics.statuses) == (4, {"ok": 2, "empty": 1, "repetition": 1})


def test_what_can_not_be_stored_or_read_is_named(tmp_path):
    with pytest.raises(DataError, match="'fine'"):
        Annotation("k", "", "text", "fine")
    with pytest.raises(DataError, match="without text"):
        Annotation("k", "", "  ", "ok")
    for name in ("original", "a b", "", "a(b)"):
        with pytest.raises(DataError, match="cannot be named"):
            LayerWriter(tmp_path, name)
    writer = LayerWriter(tmp_path, "self-1")
    with pytest.raises(DataError, match="shard 3"):
        writer.write_shard(3, [Annotation("k", "", "half \ud83d", "ok")])
    writer.write_shard(0, [Annotation("k", "", "text", "ok")])
    layer = writer.finish({})
    (tmp_path / "000000.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match=r"000000\.parquet"):
        list(layer.rows())
    (tmp_path / "000000.parquet").unlink()
    with pytest.raises(DataError, match="is missing"):
        Layer.open(tmp_path)
    (tmp_path / "layer.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(DataError, match=r"layer\.json"):
        Layer.open(tmp_path)
    with pytest.raises(DataError, match="no layer here"):
        Layer.open(tmp_path / "nothing")


def test_the_original_text_reads_as_a_layer(tmp_path, pair, picture):
    talk = (user(ImagePart(), "what?"), assistant("a cat"), user("where?"), assistant("on the mat there"))
    source = [
        pair("a", "two words"),
        Sample("talk", (picture(),), talk),
        Sample("bare", (picture(),), talk[:1]),
    ]
    write_dataset(tmp_path, source, name="d", shard_size=2)
    layer = original_layer(ShardDataset.open(tmp_path))
    assert [(row.key, row.prompt, row.text, row.status) for row in layer.rows()] == [
        ("a", "", "two words", "ok"),
        ("talk", "what?", "a cat", "ok"),
        ("talk", "where?", "on the mat there", "ok"),
        ("bare", "what?", "", "empty"),
    ]
    assert layer.get("talk") == layer.shard(0)["talk"]
    statistics = layer.statistics()
    assert statistics.statuses == {"ok": 3, "empty": 1}
    assert statistics.words_mean == pytest.approx(8 / 3)


def test_a_layer_keeps_claims_and_one_written_without_them_is_still_read(tmp_path):
    import pyarrow.parquet as pq

    from vila2.data.annotations import read_rows, to_table
    from vila2.data.claims import Claim

    claim = Claim("object", 0, 3, "unverified", subject="cat", boxes=((0.0, 0.25, 0.5, 1.0),))
    row = Annotation("a", "What?", "cat", "ok", turns=(user("What?"), assistant("cat")), claims=(claim,))
    plain = Annotation("b", "", "a dog", "ok", tokens=2)
    pq.write_table(to_table([row, plain]), tmp_path / "new.parquet")
    assert list(read_rows(tmp_path / "new.parquet")) == [row, plain]
    pq.write_table(to_table([plain]).drop_columns(["claims"]), tmp_path / "old.parquet")
    assert list(read_rows(tmp_path / "old.parquet")) == [plain]
    assert Annotation.from_json(row.to_json()) == row
