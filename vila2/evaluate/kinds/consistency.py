"""The kind ``consistency``: a model describes each image several times; does it say the same again?

What a model makes up changes more from one answer to the next than what it sees (SelfCheckGPT, arXiv
2303.08896). But one sentence for all images is consistent too. So the agreement with captions of another
image is measured as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, Request
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, SaidRow, ask_all
from vila2.evaluate.kinds.captions import PROMPT, claims_about
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import Items
from vila2.evaluate.measures.looking import content_words
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec


def consistency(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks for ``repeats`` captions of each image at ``temperature``, and scores their agreement.

    Raises:
        DataError: there are fewer than two images.
    """
    repeats, prompt = benchmark.repeats, benchmark.prompt or PROMPT
    requests = [Request(f"{s.key}#{n}", s.images, prompt) for s in samples for n in range(repeats)]
    answers = ask_all(engine, requests, benchmark, progress, temperature=benchmark.temperature)
    texts = [answer.text for answer in answers]
    grouped = [texts[start : start + repeats] for start in range(0, len(texts), repeats)]
    said = [
        SaidRow(item=request.key, prompt=prompt, text=text)
        for request, text in zip(requests, texts, strict=True)
    ]
    return BenchmarkOutcome(score_consistency(samples, grouped), said)


def score_consistency(samples: Sequence[Sample], texts: Sequence[Sequence[str]]) -> dict[str, Items]:
    """Computes how much the captions of one image agree; for scenes also how many claims are repeated.

    The agreement of two captions is 2 x shared / (words of one + words of the other), where each different
    content word counts once.

    Args:
        samples: samples, two or more.
        texts: captions of each sample, two or more.

    Raises:
        DataError: there is only one sample, or only one caption of a sample.
    """
    if len(samples) < 2 or any(len(own) < 2 for own in texts):
        raise DataError(
            "one image, or one caption, has nothing to agree with", hint="take two or more of each"
        )
    keys = [sample.key for sample in samples]
    words = [[content_words(text) for text in own] for own in texts]
    own = [_mean([_agreement(a, b) for a, b in combinations(captions, 2)]) for captions in words]
    others = [
        _mean([_agreement(a, b) for a, b in product(words[n], words[(n + 1) % len(words)])])
        for n in range(len(words))
    ]
    measures = {
        "agreement with itself": Items.of_means(keys, own),
        "agreement with captions of another image": Items.of_means(keys, others, higher_is_better=False),
        "lead of the own image": Items.of_means(
            keys, [a - b for a, b in zip(own, others, strict=True)], baseline=0.0
        ),
    }
    if all("scene" in sample.meta for sample in samples):
        measures |= _claims_again(samples, texts)
    return measures


def _claims_again(samples: Sequence[Sample], texts: Sequence[Sequence[str]]) -> dict[str, Items]:
    """The share of a caption's claims that other captions of the image make too, for true and false ones."""
    rows: dict[str, list[tuple[str, float, float]]] = {"supported": [], "contradicted": []}
    for sample, own in zip(samples, texts, strict=True):
        claims = [
            {(c.kind, c.subject, c.predicate): c.status for c in claims_about(sample, text)} for text in own
        ]
        for n, made in enumerate(claims):
            rest = [other for m, other in enumerate(claims) if m != n]
            for claim, status in made.items():
                if status in rows:
                    rows[status].append((sample.key, _mean([claim in other for other in rest]), 1))
    return {
        "true claims said again": Items.of_ratios(rows["supported"]),
        "false claims said again": Items.of_ratios(rows["contradicted"], higher_is_better=False),
    }


def _agreement(one: frozenset[str], other: frozenset[str]) -> float:
    total = len(one) + len(other)
    return 2 * len(one & other) / total if total else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


KIND = BenchmarkKind(
    consistency,
    needs_image,
    frozenset({"agreement with captions of another image", "false claims said again"}),
)
