"""Merges of real layers of the miniature world: what is false goes, what is true stays, every time."""

from collections import Counter

import pytest

from tests.merge.merge_jobs import Killed, captions, fates, files, hand_made, merged
from vila2.data.layers import Layer
from vila2.errors import DataError
from vila2.merge.fate_counts import tally_merge
from vila2.merge.merge_step import MergeSettings, merge
from vila2.run.board import Board
from vila2.sources.world import Scene, caption_scores, check_caption


def truth(dataset, layer) -> tuple[float, float, Counter]:
    """Share of false claims in the self layer, mean object recall of all texts, and claims by status."""
    statuses, recalls = Counter(), []
    for sample in dataset:
        scene = Scene.from_json(sample.meta["scene"])
        text = captions(layer).get(sample.key, "")
        statuses.update(claim.status for claim in check_caption(scene, text))
        whole = " ".join(row.text for row in layer.get(sample.key))
        recalls.append(caption_scores(scene, whole)["object_recall"])
    judged = statuses["supported"] + statuses["contradicted"]
    return statuses["contradicted"] / judged, sum(recalls) / len(recalls), statuses


def test_with_right_evidence_what_is_false_goes_and_no_object_is_lost(dataset, layers, tmp_path):
    before, recall, said_before = truth(dataset, merged(dataset, layers, tmp_path / "append", arm="append"))
    after, recall_after, said_after = truth(dataset, merged(dataset, layers, tmp_path / "verified"))
    assert before > 0.05
    assert after < before / 3
    assert recall_after >= recall - 1e-9
    assert said_after["supported"] > 0.6 * said_before["supported"]
    numbers = tally_merge(tmp_path / "verified")["sources"]["self-1"]
    assert numbers["before"]["coverage"] > 0.5 and numbers["before"]["contradiction_rate"] > 0.05
    assert numbers["after"]["contradiction_rate"] == 0
    assert numbers["words_after"] < numbers["words_before"]


def test_of_true_sentences_none_is_called_false_by_right_evidence(dataset, layers, tmp_path):
    # Evidence without sizes cannot say which of two sentences about one thing is false: so no repeats here.
    merged(dataset, layers, tmp_path / "m", absence=("objects", "texts"))
    scenes = {sample.key: Scene.from_json(sample.meta["scene"]) for sample in dataset}
    refuted = [one for one in fates(tmp_path / "m", "self-1") if one.verdict == "contradicted"]
    for one in refuted:
        wrong = [
            claim for claim in check_caption(scenes[one.key], one.text) if claim.status == "contradicted"
        ]
        assert wrong, (one.text, one.detail)
    assert len(refuted) > 10 and all(one.detail for one in refuted)


def test_the_merge_is_the_same_twice_and_another_with_another_seed(dataset, layers, tmp_path):
    one, two = merged(dataset, layers, tmp_path / "one"), merged(dataset, layers, tmp_path / "two")
    other = merged(dataset, layers, tmp_path / "other", seed=1)
    assert one.digest == two.digest != other.digest

    def orders(layer):
        found = {}
        for row in layer.rows():
            found.setdefault(row.key, []).append(row.detail)
        return {key: tuple(names) for key, names in found.items()}

    assert orders(one) != orders(other)
    assert len(set(orders(one).values())) > 2
    assert all(names[0] in ("original+self-1", "original") for names in orders(one).values())


class _StopsAfter(Board):
    """A display board on which the second shard is one too many."""

    def changed(self, event):
        if event == "advance":
            raise Killed


def test_a_killed_merge_goes_on_to_the_same_bytes(dataset, layers, tmp_path):
    merged(dataset, layers, tmp_path / "whole")
    with pytest.raises(Killed):
        merged(dataset, layers, tmp_path / "killed", progress=_StopsAfter())
    begun = tmp_path / "killed" / "000000.parquet"
    written = begun.stat().st_mtime_ns
    assert not (tmp_path / "killed" / "000001.parquet").exists()
    merged(dataset, layers, tmp_path / "killed")
    assert begun.stat().st_mtime_ns == written
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_other_settings_or_layers_are_not_mixed_into_a_layer(dataset, layers, tmp_path):
    merged(dataset, layers, tmp_path / "m")
    with pytest.raises(DataError, match="unverified"):
        merged(dataset, layers, tmp_path / "m", unverified="drop")
    with pytest.raises(DataError, match="order"):
        merged(dataset, {name: one for name, one in layers.items() if name != "places"}, tmp_path / "m")


def test_a_run_merges_as_a_step(small, tmp_path):
    hand_made(small)
    settings = MergeSettings(
        base="self-1", layer="merged", layers=("self-1", "boxes", "words"), seed=0, dtype="float32"
    )
    inputs = {"data": small.folder} | {
        f"layer.{name}": small.folder / "layers" / name for name in settings.layers
    }
    results = merge(tmp_path / "step", settings, inputs, Board())
    assert results["images"] == 4 and results["all"]["before"]["coverage"] is not None
    assert Layer.open(tmp_path / "step").name == "merged"


@pytest.mark.slow
@pytest.mark.parametrize("style", ["plain", "chat"])
def test_a_stage_trains_on_merged_dialogues_and_trees(small, tmp_path, style):
    from vila2.model.assemble import assemble
    from vila2.model.saving import save_model
    from vila2.recipe.parts.stage import STAGE_DEFAULTS, StageSpec
    from vila2.train.stage import train_stage
    from vila2.train.train_settings import TrainSettings

    merged(small, hand_made(small), small.folder / "layers" / "merged")
    model, processor = assemble("builtin:world/vision", "builtin:world/language", vision_feature_layer=-1)
    save_model(model, processor, tmp_path / "parts" / "model")
    views = [{"dataset": "pairs", "view": view} for view in ("dialogue(merged)", "tree(merged)")]
    stage = StageSpec.model_validate(
        STAGE_DEFAULTS["pretrain"]
        | {"mixture": views, "style": style, "batch_size": 4, "pack_length": 1024, "learning_rate": 1e-3}
    )
    results = train_stage(
        tmp_path / "stage",
        TrainSettings(name="pretrain", stage=stage, seed=0, dtype="float32"),
        {
            "model": tmp_path / "parts",
            "data.pairs": small.folder,
            "layer.pairs.merged": small.folder / "layers" / "merged",
        },
        Board(),
    )
    assert results["samples"] == 8 and results["loss"]
