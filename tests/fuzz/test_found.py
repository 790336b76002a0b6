"""Input that once gave an exception without a name."""

from __future__ import annotations

import json

import pytest

from tests.fuzz.examples import DATASET, ROW, SHARD, parquet
from tests.fuzz.parsers import check, parsers

DEEP = b'{"results": {}, "a": ' + b"[" * 2000


def safetensors(entry: object) -> bytes:
    """A file of weights whose header holds an entry."""
    header = entry if isinstance(entry, bytes) else json.dumps({"a": entry}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


def dataset(**changed: object) -> bytes:
    """A dataset.json whose shard is there, except for what is changed."""
    return json.dumps(DATASET | {"shards": [SHARD | changed]}).encode()


FOUND = {
    "a digest of half a character": ("dataset.json", dataset(sha256="\ud800")),
    "a count of more samples than bytes": ("dataset.json", dataset(count=10**30)),
    "a count that is a text": ("dataset.json", dataset(count="1")),
    "a shard's name too long for a file": ("dataset.json", dataset(name="a" * 300 + ".tar")),
    "a column's name that is not UTF-8": (
        "rows-parquet",
        parquet([{"caption": "A cat."}]).replace(b"caption", b"capt\xff\xfen"),
    ),
    "a layer's text that is not UTF-8": (
        "layer-parquet",
        parquet([ROW]).replace(b"A cat.", b"A \xff\xfet."),
    ),
    "a layer's text of bytes": ("layer-parquet", parquet([ROW | {"text": b"A cat."}])),
    "done.json of deep brackets": ("done.json", DEEP),
    "results.json of deep brackets": ("results.json", DEEP),
    "checkpoint of deep brackets": ("checkpoint.json", DEEP),
    "reply of deep brackets": ("server-reply", DEEP),
    "header of deep brackets": ("safetensors", safetensors(DEEP)),
    "offsets of texts": ("safetensors", safetensors({"shape": [2], "data_offsets": ["0", "8"]})),
    "offsets that are negative": ("safetensors", safetensors({"shape": [2], "data_offsets": [-9, 8]})),
    "shape of texts": ("safetensors", safetensors({"shape": "ab", "data_offsets": [0, 8]})),
    "a path too long for a file": ("recipe", b"name: a\nmodel: {vision: " + b"a" * 300 + b"}\n"),
    "the home of nobody": ("recipe", b"name: a\nmodel: {vision: ~no-such-user/x}\n"),
    "a year beyond the calendar": ("retry-after", b"Fri, 31 Dec 9999999999 23:59:59 GMT"),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_gives_an_error_that_says_what_is_wrong(case: str):
    name, data = FOUND[case]
    assert check(parsers()[name], data) == ""
