"""Metadata that JSON cannot hold: it becomes text or null and is counted, and no sample is lost for it."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vila2.data.plain_meta import plain_meta
from vila2.data.shards import ShardDataset, write_dataset


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (datetime.datetime(2024, 5, 1, 12, 30), "2024-05-01T12:30:00"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (np.datetime64("2024-05-01T12:30:00.000000001"), "2024-05-01T12:30:00"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (Decimal("1.50"), "1.50"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b.jpg"), "a/b.jpg"),
        (b"caption", "caption"),
        ((1, {2}), [1, [2]]),
        ({1: "one"}, {"1": "one"}),
        ("half \ud83d", "half \\ud83d"),
    ],
)
def test_what_has_a_plain_form_takes_it(value, plain):
    assert plain_meta({"a": value}) == ({"a": plain}, [])


@pytest.mark.parametrize(
    "value", [float("nan"), float("-inf"), np.float64("nan"), b"\xff\xd8\xff", object(), np.zeros(20_000)]
)
def test_what_has_none_becomes_null_and_is_named(value):
    assert plain_meta({"a": value, "b": 1}) == ({"a": None, "b": 1}, ["a"])
    assert plain_meta({"a": [value, 2]}) == ({"a": [None, 2]}, ["a"])


def test_pandas_values():
    pandas = pytest.importorskip("pandas")
    meta = {"at": pandas.Timestamp("2024-05-01"), "never": pandas.NaT}
    assert plain_meta(meta) == ({"at": "2024-05-01T00:00:00", "never": None}, ["never"])


def test_a_list_that_holds_itself_ends():
    loop: list[object] = []
    loop.append(loop)
    assert plain_meta({"loop": loop})[1] == ["loop"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=8)
    | st.dates() | st.datetimes() | st.decimals() | st.uuids() | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters()), ANY, max_size=4))
def test_whatever_it_was_json_holds_it(meta):
    plain, _ = plain_meta(meta)
    assert json.loads(json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()) == plain
    assert plain_meta(plain) == (plain, [])


def test_no_sample_is_lost_for_its_metadata(tmp_path, pair):
    scores = [0.5, float("nan"), float("nan")]
    samples = [replace(pair(f"k{n}"), meta={"score": score, "n": n}) for n, score in enumerate(scores)]
    info = write_dataset(tmp_path, samples, name="d")
    assert (info.count, info.rejected, info.nulled) == (3, {}, {"score": 2})
    assert [sample.meta["score"] for sample in ShardDataset.open(tmp_path)] == [0.5, None, None]
    assert json.loads((tmp_path / "dataset.json").read_text())["nulled"] == {"score": 2}


def test_rejects_say_where_a_sample_came_from(tmp_path, pair):
    bad = replace(pair("bad"), images=(b"<html>",), where="rows.jsonl:7")
    twice = replace(pair("good"), where="rows.jsonl:8")
    write_dataset(tmp_path, [pair("good"), bad, twice], name="d")
    lines = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [(line["where"], line["reason"]) for line in lines] == [
        ("rows.jsonl:7", "corrupt-image"),
        ("rows.jsonl:8", "duplicate-key"),
    ]
