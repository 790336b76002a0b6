"""Caption quality without a judge: against the scene where it is known, else against human captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vila2.data.claims import Claim
from vila2.data.sample import Sample
from vila2.evaluate.text import cider, distinct_n


@dataclass(frozen=True, slots=True)
class Items:
    """A measure's item scores: the measure is sum(numerators) / sum(denominators).

    Attributes:
        keys: one per item; the same items of two models can be compared pair by pair.
        unit: "share", "words", "score" or "count".
        higher_is_better: None where neither direction is good in itself (length).
    """

    keys: list[str]
    numerators: list[float]
    denominators: list[float]
    unit: str = "share"
    higher_is_better: bool | None = True

    @classmethod
    def of_means(
        cls, keys: Sequence[str], values: Sequence[float], unit: str = "share", higher_is_better: bool | None = True
    ) -> Items:
        """A plain mean over items."""
        return cls(list(keys), [float(v) for v in values], [1.0] * len(values), unit, higher_is_better)


def claims_about(sample: Sample, text: str) -> tuple[Claim, ...]:
    """The checked statements of a caption; empty where the sample carries no truth."""
    if "scene" not in sample.meta:
        return ()
    from vila2.sources.world import Scene, check_caption

    return check_caption(Scene.from_json(sample.meta["scene"]), text)


def score_captions(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    """Every measure that the samples' truth or references allow.

    With a scene: precision and recall of objects, hallucinated objects per caption, precision of
    relations and of read text. With human captions (``meta["references"]``): CIDEr-D.
    Always: words per caption and distinct-2.
    """
    keys = [sample.key for sample in samples]
    measures: dict[str, Items] = {}
    if samples and all("scene" in sample.meta for sample in samples):
        measures |= _against_scenes(samples, texts)
    if samples and all(sample.meta.get("references") for sample in samples):
        scores = cider(texts, [list(sample.meta["references"]) for sample in samples])
        measures["CIDEr-D"] = Items.of_means(keys, scores, unit="score")
    measures["words"] = Items.of_means(keys, [len(text.split()) for text in texts], "words", None)
    measures["distinct-2 within captions"] = Items.of_means(keys, [distinct_n([text], 2) for text in texts])
    return measures


def _against_scenes(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    from vila2.sources.world import Scene, caption_scores

    keys = [sample.key for sample in samples]
    rows = [
        caption_scores(Scene.from_json(sample.meta["scene"]), text)
        for sample, text in zip(samples, texts, strict=True)
    ]

    def ratio(right: str, out_of: str) -> Items:
        return Items(keys, [float(row[right]) for row in rows], [float(row[out_of]) for row in rows])

    return {
        "object precision": ratio("objects_right", "objects_mentioned"),
        "object recall": ratio("objects_right", "objects_present"),
        "hallucinated objects": Items.of_means(
            keys, [row["objects_mentioned"] - row["objects_right"] for row in rows], "count", False
        ),
        "relation precision": ratio("relations_right", "relations_mentioned"),
        "read-text precision": ratio("texts_right", "texts_mentioned"),
    }
