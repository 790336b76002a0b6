"""A package that a URL needs and that is not there is named by the extra that brings it."""

from __future__ import annotations

import importlib.util

import pytest

from vila2.data.shards import ShardDataset
from vila2.errors import DataError


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("http://127.0.0.1:9/data", "aiohttp", "http"),
        ("https://127.0.0.1:9/data", "aiohttp", "http"),
        ("s3://bucket/data", "s3fs", "s3"),
        ("gs://bucket/data", "gcsfs", "gcs"),
    ],
)
def test_the_extra_that_is_missing_is_named(url: str, package: str, extra: str):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(DataError, match=url) as error:
        ShardDataset.open(url)
    assert error.value.hint == f"pip install 'vila2[{extra}]'"
