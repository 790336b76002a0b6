"""Datasets of the miniature world for the tests of the merge."""

import pytest

from tests.merge.merge_layers import world, world_layers
from vila2.data.shards import ShardDataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ShardDataset:
    return world(tmp_path_factory.mktemp("merge") / "pairs")


@pytest.fixture(scope="module")
def layers(dataset):
    return world_layers(dataset)


@pytest.fixture
def small(tmp_path) -> ShardDataset:
    return world(tmp_path / "small", count=4)
