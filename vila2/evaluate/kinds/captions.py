"""The kind ``captions``: a model describes each image, and what it says is checked without a judge.

Captions are compared with the scene, with evidence or with people's captions, whichever the samples have.
Their length and variety are measured in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from vila2.caption.attempts import Attempts
from vila2.caption.chooser import annotate_by
from vila2.caption.several_samples import Samples
from vila2.claims.self_consistency import contradiction
from vila2.data.annotations import Status
from vila2.data.claims import Claim
from vila2.data.evidence import Evidence
from vila2.data.sample import Sample
from vila2.engine.marks import mark
from vila2.engine.protocol import Engine, Request
from vila2.evaluate.asking import BenchmarkOutcome, SaidRow, ask_all, generation, task_of
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.evidence_claims import check_against_evidence, coverage, known_labels
from vila2.evaluate.measures.fit import FitScorer
from vila2.evaluate.measures.items import Items, measure_row
from vila2.evaluate.measures.looking import confirmed_words, told_apart
from vila2.evaluate.measures.text import cider
from vila2.evaluate.measures.variety import variety
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

__all__ = ["PROMPT", "Items", "captions", "claims_about", "measure_row", "score_captions"]

PROMPT = "Describe the image in details."


def captions(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks for a description of each image, and scores all of them, usable or not.

    The measure "marked captions" counts those that are not usable.
    """
    prompt = benchmark.prompt or PROMPT
    requests = [Request(sample.key, sample.images, prompt) for sample in samples]
    described = _described(engine, requests, benchmark, progress)
    said = [
        SaidRow(key=sample.key, prompt=prompt, text=text, status=status)
        for sample, (text, status) in zip(samples, described, strict=True)
    ]
    marked = Items.of_means(
        [s.key for s in samples], [status != "ok" for _, status in described], higher_is_better=False
    )
    return BenchmarkOutcome(
        score_captions(samples, [text for text, _ in described]) | {"marked captions": marked}, said
    )


def _described(
    engine: Engine, requests: Sequence[Request], benchmark: BenchmarkSpec, progress: Progress
) -> list[tuple[str, Status]]:
    """The caption of each request with its mark: the only answer, or the one that is chosen of several."""
    if benchmark.choose == "attempts" and benchmark.attempts == 1:
        return [(one.text, mark(one).status) for one in ask_all(engine, requests, benchmark, progress)]
    chooser = (
        Samples(benchmark.samples, benchmark.temperature)
        if benchmark.choose == "agreement"
        else Attempts(benchmark.attempts, benchmark.temperature, contradiction)
    )
    size = benchmark.batch_size
    batches = (requests[start : start + size] for start in range(0, len(requests), size))
    found: list[tuple[str, Status]] = []
    with task_of(benchmark, progress)(len(requests)) as task:
        for batch, rows in annotate_by(chooser, engine, batches, lambda batch: batch, generation(benchmark)):
            found += [(row.text, row.status) for row, *_ in rows]
            task.advance(len(batch))
    return found


def claims_about(sample: Sample, text: str) -> tuple[Claim, ...]:
    """Checks the statements of a caption by the scene, or else by evidence; none where there is neither."""
    if "scene" in sample.meta:
        from vila2.sources.world import Scene, check_caption

        return check_caption(Scene.from_json(sample.meta["scene"]), text)
    evidence = Evidence.of(sample)
    return () if evidence is None else check_against_evidence(evidence, text, known_labels([evidence]))


def score_captions(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    """Computes every measure that the samples allow; ``docs/evaluation.md`` defines them.

    - With a scene: precision and recall of objects, attributes, relations and read text. What is
      wrong with the objects named is told apart: absent ones, repeated ones, wrong attributes.
    - Else with evidence (boxes of a detector, texts of an OCR): agreement with it, and how much of a caption
      it decides.
    - With human captions (``meta["references"]``): fit with them, CIDEr-D, the content words that people
      confirm, the captions that only one image has, and whether captions tell the images apart
      (:mod:`vila2.evaluate.measures.looking`).
    - Always: length and variety.

    Args:
        samples: samples with images.
        texts: captions, one for each sample.
    """
    measures: dict[str, Items] = {}
    if samples and all("scene" in sample.meta for sample in samples):
        measures |= _against_scenes(samples, texts)
    elif samples and all("evidence" in sample.meta for sample in samples):
        measures |= _against_evidence(samples, texts)
    if samples and all(sample.meta.get("references") for sample in samples):
        measures |= _against_people(samples, texts)
    return measures | variety([sample.key for sample in samples], texts)


def _against_people(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    keys = [sample.key for sample in samples]
    references = [list(sample.meta["references"]) for sample in samples]
    confirmed = [confirmed_words(text, own) for text, own in zip(texts, references, strict=True)]
    scorer = FitScorer(references)
    measures = {
        "fit with people's captions": Items.of_means(
            keys, [scorer.score(text, own) for text, own in zip(texts, references, strict=True)], "score"
        ),
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
        measures["own image told from others"] = Items.of_means(
            keys, told_apart(texts, references), baseline=0.5
        )
    return measures


def _against_scenes(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    from vila2.sources.world import Scene, caption_tallies, mention_faults

    keys = [sample.key for sample in samples]
    told = [
        (Scene.from_json(sample.meta["scene"]), text) for sample, text in zip(samples, texts, strict=True)
    ]
    rows = [caption_tallies(scene, text) for scene, text in told]
    faults = [mention_faults(scene, text) for scene, text in told]

    def precision(kind: str) -> Items:
        return Items(
            keys, [float(row[kind].right) for row in rows], [float(row[kind].judged) for row in rows]
        )

    def recall(kind: str) -> Items:
        return Items(keys, [float(row[kind].told) for row in rows], [float(row[kind].there) for row in rows])

    return {
        "object precision": precision("object"),
        "object recall": recall("object"),
        "absent objects": Items.of_means(keys, [own["absent"] for own in faults], "count", False),
        "captions with an absent object": Items.of_means(
            keys, [own["absent"] > 0 for own in faults], higher_is_better=False
        ),
        "repeated objects": Items.of_means(keys, [own["repeated"] for own in faults], "count", False),
        "wrong attributes": Items.of_means(keys, [own["attribute"] for own in faults], "count", False),
        "attribute precision": precision("attribute"),
        "attribute recall": recall("attribute"),
        "relation precision": precision("relation"),
        "relation recall": recall("relation"),
        "read-text precision": precision("text"),
        "read-text recall": recall("text"),
        "count precision": precision("count"),
    }


def _against_evidence(samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Items]:
    """Agreement with what others saw, who make mistakes too.

    Precision alone rewards silence, and naming what most images have anyway. So three measures stand beside
    it: how much of the evidence is named, how much of a caption is decided, and the agreement of the same
    captions with another image's evidence.
    """
    keys = [sample.key for sample in samples]
    known = [evidence for sample in samples if (evidence := Evidence.of(sample))]
    labels = known_labels(known)

    def checked(evidence: Sequence[Evidence]) -> list[tuple[Claim, ...]]:
        return [check_against_evidence(own, text, labels) for own, text in zip(evidence, texts, strict=True)]

    claims, elsewhere = checked(known), checked([*known[1:], known[0]])
    named = [{c.subject for c in own if c.kind == "object" and c.status == "supported"} for own in claims]
    there = [{thing.label for thing in own.objects} for own in known]
    decided = [coverage(own, text) for own, text in zip(claims, texts, strict=True)]
    measures = {
        "objects that evidence confirms": _confirmed(keys, claims, ("object",)),
        "claims that evidence confirms": _confirmed(keys, claims, ("object", "count", "relation", "text")),
        "labels in evidence that are named": Items(
            keys,
            [float(len(one & other)) for one, other in zip(named, there, strict=True)],
            [float(len(own)) for own in there],
        ),
        "content words that evidence decides": Items(
            keys, [float(count) for count, _ in decided], [float(count) for _, count in decided]
        ),
    }
    if len(samples) > 1:
        other = _confirmed(keys, elsewhere, ("object",))
        measures["objects that another image's evidence confirms"] = replace(other, higher_is_better=False)
    return measures


def _confirmed(keys: list[str], claims: Sequence[Sequence[Claim]], kinds: tuple[str, ...]) -> Items:
    """The share of supported claims among those of these kinds that the evidence decides."""
    judged = [[c.status for c in own if c.kind in kinds and c.status != "unverified"] for own in claims]
    return Items(keys, [float(own.count("supported")) for own in judged], [float(len(own)) for own in judged])


KIND = BenchmarkKind(
    captions,
    needs_image,
    frozenset(
        {
            "absent objects",
            "captions with an absent object",
            "repeated objects",
            "wrong attributes",
            "marked captions",
            "objects that another image's evidence confirms",
            "trigrams also said of other images",
            "words",
            "words, standard deviation",
        }
    ),
)
