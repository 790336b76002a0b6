"""A model as the writer of merged paragraphs: judged, counted, and resumed after a kill."""

import pytest

from tests.merge.merge_jobs import Killed, files, hand_made, merged
from vila2.data.layers import Layer, original_layer
from vila2.engine.protocol import Answer
from vila2.errors import RunError
from vila2.merge.fate_counts import tally_merge


class _Writer:
    """An engine that puts everything together and adds something that is not there; it may be killed."""

    name, digest = "writer", "w"

    def __init__(self, dies_after=None):
        self.left = dies_after
        self.prompts = []

    def generate(self, requests, settings):
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1
        self.prompts += [request.prompt for request in requests]
        assert all(not request.images for request in requests)
        return [Answer("There is a red cube. A green ball is there.", "stop", 12) for _ in requests]


def test_a_model_as_the_writer_is_judged_and_what_it_makes_up_is_counted(small, tmp_path):
    engine = _Writer()
    layer = merged(small, hand_made(small), tmp_path / "m", engine=engine, writer="model")
    assert "Question: What is written?" in engine.prompts[0] and "weather" in engine.prompts[0]
    assert [(row.text, row.detail) for row in layer.rows()] == [("There is a red cube.", "writer")] * 4
    numbers = tally_merge(tmp_path / "m")["sources"]
    assert numbers["writer"]["before"]["contradiction_rate"] == 0.5
    assert tally_merge(tmp_path / "m")["all"]["words_after"] == 5  # those of the paragraph that is left
    assert numbers["words"]["exchanges"] == {"kept": 0, "dropped": {"rewritten": 4}}
    kept = merged(
        small, hand_made_again(small), tmp_path / "a", engine=_Writer(), writer="model", arm="append"
    )
    assert {row.text for row in kept.rows()} == {"There is a red cube. A green ball is there."}


def hand_made_again(dataset):
    names = ("self-1", "boxes", "words")
    found = {name: Layer.open(dataset.folder / "layers" / name) for name in names}
    return {"original": original_layer(dataset)} | found


def test_a_killed_writer_goes_on_after_its_last_batch(small, tmp_path):
    layers = hand_made(small)
    options = {"writer": "model", "batch_size": 1}
    merged(small, layers, tmp_path / "whole", engine=_Writer(), **options)
    with pytest.raises(Killed):
        merged(small, layers, tmp_path / "killed", engine=_Writer(dies_after=3), **options)
    again = _Writer()
    merged(small, layers, tmp_path / "killed", engine=again, **options)
    assert len(again.prompts) == 1
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    with pytest.raises(RunError, match="engine"):
        merged(small, layers, tmp_path / "none", writer="model")
