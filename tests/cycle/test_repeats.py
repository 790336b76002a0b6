"""What a caption says twice is left out before the next model learns from it."""

from __future__ import annotations

import pytest

from vila2.cycle.repeats import layer_without_repeats, without_repeats
from vila2.data.layers import Annotation, LayerWriter
from vila2.data.shards import ShardDataset, write_dataset
from vila2.sources import open_source


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "There is a small red cube. A blue ball is behind the red cube. A small red cube is on the left.",
            "There is a small red cube. A blue ball is behind the red cube.",
        ),
        # It may be the same one: nothing that is said of the one is denied of the other.
        ("A small red cube stands here. A red cube is in front of it.", "A small red cube stands here."),
        ("A small red cube stands here. A large red cube is in front of it.", None),
        ("A red cube stands here. A red ball is in front of it.", None),
        # Not one more: the one that was named, or knowingly another, or a count.
        ("A dog runs. The dog is brown. Another dog sleeps. There are two dogs.", None),
        # A list is one sentence: with a repeat in it, it goes as a whole.
        ("We see three objects. There is a cube, a ball and a cube.", "We see three objects."),
        # What went introduces nothing: the ball may still be named.
        ("A cube stands here. A cube is beside a ball. A ball rolls.", "A cube stands here. A ball rolls."),
        ("", None),
    ],
)
def test_only_what_introduces_again_goes(text, kept):
    assert without_repeats(text).text == (text if kept is None else kept)


def test_a_layer_keeps_what_went_to_be_read(tmp_path):
    write_dataset(tmp_path / "pairs", open_source("world", split="pretrain", count=4), name="pairs")
    dataset = ShardDataset.open(tmp_path / "pairs")
    keys = dataset.keys()
    writer = LayerWriter(tmp_path / "self-1", "self-1")
    texts = ["A cube. A ball.", "A cube. A ball is behind a cube.", "A cube, a cube.", ""]
    statuses = ["ok", "ok", "ok", "empty"]
    rows = [
        Annotation(key, "", text, status) for key, text, status in zip(keys, texts, statuses, strict=True)
    ]
    writer.write_shard(0, rows)
    layer = layer_without_repeats(dataset, writer.finish({}), folder=tmp_path / "distinct", name="distinct")
    found = {row.key: (row.text, row.status, row.detail) for row in layer.rows()}
    assert found[keys[0]] == ("A cube. A ball.", "ok", "")
    assert found[keys[1]] == ("A cube.", "ok", "said before: A ball is behind a cube.")
    assert found[keys[2]] == ("A cube, a cube.", "repetition", "said before: A cube, a cube.")
    assert found[keys[3]] == ("", "empty", "")
