"""Caption quality without a judge: against the scene where it is known, else against human captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vila2.data.claims import Claim
from vila2.data.sample import Sample
from vila2.evaluate.intervals import ratio_bootstrap
from vila2.evaluate.looking import confirmed_words, told_apart
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
        cls,
        keys: Sequence[str],
        values: Sequence[float],
        unit: str = "share",
        higher_is_better: bool | None = True,
    ) -> Items:
        """A plain mean over items."""
        return cls(list(keys), [float(v) for v in values], [1.0] * len(values), unit, higher_is_better)


def measure_row(benchmark: str, name: str, item: Items, *, seed: int) -> dict[str, Any]:
    """A measure as a report shows it; its value is None where nothing was there to measure."""
    found = (
        ratio_bootstrap(item.numerators, item.denominators, seed=seed)
        if sum(item.denominators)
        else (None,) * 3
    )
    value, low, high = found
    return {
        "benchmark": benchmark,
        "name": name,
        "value": value,
        "low": low,
        "high": high,
        "count": len(item.keys),
        "unit": item.unit,
        "higher_is_better": item.higher_is_better,
    }


def claims_about(sample: Sample, text: str) -> tuple[Claim, ...]:
    """The checked statements of a caption; empty where the sample carries no truth."""
    if "scene" not in sample.meta:
        return ()
    from vila2.sources.world import Scene, check_caption

    return check_caption(Scene.from_json(sample.meta["scene"]), text)


def score_captions(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    """Every measure that the samples' truth or references allow.

    With a scene: precision and recall of objects, hallucinated objects per caption, precision of
    relations and of read text. With human captions (``meta["references"]``): CIDEr-D, how many content words
    people confirm, how many captions are said of one image only, and whether they tell the images apart
    (:mod:`vila2.evaluate.looking`). Always: words per caption and distinct-2.
    """
    keys = [sample.key for sample in samples]
    measures: dict[str, Items] = {}
    if samples and all("scene" in sample.meta for sample in samples):
        measures |= _against_scenes(samples, texts)
    if samples and all(sample.meta.get("references") for sample in samples):
        measures |= _against_people(samples, texts)
    measures["words"] = Items.of_means(keys, [len(text.split()) for text in texts], "words", None)
    measures["distinct-2 within captions"] = Items.of_means(keys, [distinct_n([text], 2) for text in texts])
    return measures


def _against_people(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    keys = [sample.key for sample in samples]
    references = [list(sample.meta["references"]) for sample in samples]
    confirmed = [confirmed_words(text, own) for text, own in zip(texts, references, strict=True)]
    measures = {
        "CIDEr-D": Items.of_means(keys, cider(texts, references), unit="score"),
        "content words people confirm": Items(
            keys, [float(found) for found, _ in confirmed], [float(count) for _, count in confirmed]
        ),
    }
    if len(samples) > 1:
        said = Counter(texts)
        measures["captions said of one image only"] = Items.of_means(
            keys, [said[text] == 1 for text in texts]
        )
        measures["own image told from others"] = Items.of_means(keys, told_apart(texts, references))
    return measures


def _against_scenes(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    from vila2.sources.world import Scene, caption_scores, check_caption

    keys = [sample.key for sample in samples]
    scenes = [Scene.from_json(sample.meta["scene"]) for sample in samples]
    rows = [caption_scores(scene, text) for scene, text in zip(scenes, texts, strict=True)]
    claims = [check_caption(scene, text) for scene, text in zip(scenes, texts, strict=True)]
    mentioned = [float(row["mentioned_objects"]) for row in rows]
    hallucinated = [float(row["hallucinated_objects"]) for row in rows]
    present = [float(len(scene.objects)) for scene in scenes]
    found = [row["object_recall"] * count for row, count in zip(rows, present, strict=True)]

    def precision(kind: str) -> Items:
        judged = [[c.status for c in own if c.kind == kind and c.status != "unverified"] for own in claims]
        return Items(
            keys, [float(own.count("supported")) for own in judged], [float(len(own)) for own in judged]
        )

    return {
        "object precision": Items(
            keys, [m - h for m, h in zip(mentioned, hallucinated, strict=True)], mentioned
        ),
        "object recall": Items(keys, found, present),
        "hallucinated objects": Items.of_means(keys, hallucinated, "count", False),
        "relation precision": precision("relation"),
        "read-text precision": precision("text"),
    }
