"""The kind ``image_text``: does a caption fit its image better than other images? No truth, no people needed.

What fits is said by a scorer: a CLIP-like model's folder (``scorer``), or else the model's own likelihood of the caption
given one image or another. The latter says whether the model looks, not whether it is right: it is its own judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.engine.protocol import Engine, Request, with_model
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, ask_all, task_of
from vila2.evaluate.kinds.captions import PROMPT
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: Images that are scored against each other's captions: each caption meets its own image and at least four others.
BLOCK = 5


class ImageTextScorer(Protocol):
    """Anything that says how well texts fit images.

    Attributes:
        unit: of a score: "cosine", or "nats" for a log-likelihood of the whole text.
    """

    unit: str

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> np.ndarray:
        """Scores [images, texts], higher where they fit; comparable within a column (one text, several images)."""
        ...


class OwnLikelihood:
    """The log-likelihood of a text as the model's answer to the prompt, given an image.

    Args:
        model, processor: the generalist's.
        prompt: that the texts answer.
    """

    unit = "nats"

    def __init__(self, model: Any, processor: Any, prompt: str) -> None:
        from vila2.model.conversation import ConversationEncoder

        self.model, self.encoder, self.prompt = model, ConversationEncoder(processor), prompt

    def readable(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples whose image the model can be shown."""
        from vila2.evaluate.readable import readable

        turns = (user(ImagePart(), self.prompt), assistant("."))
        return readable(samples, self.encoder, lambda one: (Sample(one.key, one.images[:1], turns), "chat"))

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> np.ndarray:
        """Log-likelihoods [images, texts] in nats; an image is read once for all texts."""
        from vila2.evaluate.kinds.choices import log_likelihoods

        turns = (user(ImagePart(), self.prompt), assistant(""))
        samples = [
            Sample(str(n), (image,), turns, {"choices": list(texts)}) for n, image in enumerate(images)
        ]
        return np.array([log_likelihoods(self.model, self.encoder, sample) for sample in samples])


def image_text(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks for captions, and scores each with its own image and with others; people's captions too, if there are.

    Of a scorer, people's captions say how far it can be trusted; of the model's own likelihood, whether it looks,
    without the advantage that it chose its own captions by this very likelihood.

    Raises:
        DataError: fewer than two images.
        ModelError: the scorer can not be loaded.
    """
    prompt = benchmark.prompt or PROMPT
    if not benchmark.scorer:
        inner = with_model(engine, f"benchmark {benchmark.name!r} without a scorer")
        samples = OwnLikelihood(inner.model, inner.processor, prompt).readable(samples)
    requests = [Request(sample.key, sample.images, prompt) for sample in samples]
    texts = [answer.text for answer in ask_all(engine, requests, benchmark, progress)]
    said = [{"key": s.key, "prompt": prompt, "text": text} for s, text in zip(samples, texts, strict=True)]
    measures: dict[str, Items] = {}
    scorer: ImageTextScorer
    if not benchmark.scorer:
        scorer = OwnLikelihood(inner.model, inner.processor, prompt)
    else:
        from vila2.evaluate.measures.dual_encoder import DualEncoder

        scorer = DualEncoder(benchmark.scorer)
        measures["captions longer than the scorer reads"] = Items.of_means(
            [sample.key for sample in samples], [scorer.is_cut(text) for text in texts], higher_is_better=None
        )
    task = task_of(benchmark, progress)
    measures |= contrast(scorer, samples, texts, task)
    if all(sample.meta.get("references") for sample in samples):
        people = contrast(scorer, samples, [sample.meta["references"][0] for sample in samples], task)
        measures |= {f"people's captions: {name}": items for name, items in people.items()}
    return BenchmarkOutcome(measures, said)


def contrast(
    scorer: ImageTextScorer, samples: Sequence[Sample], texts: Sequence[str], task: Any
) -> dict[str, Items]:
    """How much better texts fit their own image than the others of their block.

    Blocks are neighbours in the order of the samples, so that two models meet the same other images.

    Args:
        scorer: of images and texts.
        samples: two or more, with an image each; the first image counts.
        texts: one of each.
        task: gives the progress's context manager for a total.

    Returns:
        "own image preferred": the share of other images that fit less well, ties counted half, 0.5 for captions that
        do not look; "gain of the own image": its score less the others' mean, of nats by the word; of cosines also
        the own image's.
    """
    if len(samples) < 2:
        raise DataError(f"{len(samples)} image: there is no other to compare with", hint="take two or more")
    keys = [sample.key for sample in samples]
    preferred, gains, own_scores = [], [], []
    with task(len(samples)) as progress:
        for block in np.array_split(np.arange(len(samples)), max(1, len(samples) // BLOCK)):
            scores = scorer.score([samples[n].images[0] for n in block], [texts[n] for n in block])
            for place in range(len(block)):
                others = np.delete(scores[:, place], place)
                own = scores[place, place]
                preferred.append(float((others < own).mean() + (others == own).mean() / 2))
                gains.append(float(own - others.mean()))
                own_scores.append(float(own))
            progress.advance(len(block))
    measures = {"own image preferred": Items.of_means(keys, preferred, baseline=0.5)}
    if scorer.unit == "nats":
        words = [float(len(text.split())) for text in texts]
        return measures | {
            "gain of the own image, nats per word": Items(keys, gains, words, "score", True, 0.0)
        }
    return measures | {
        "gain of the own image": Items.of_means(keys, gains, "score", baseline=0.0),
        f"{scorer.unit} of image and caption": Items.of_means(keys, own_scores, "score"),
    }


def needs_image_and_scorer(spec: BenchmarkSpec, first: Sample) -> None:
    """Refuses a dataset without images, and a scorer that is none.

    Raises:
        RecipeError: the dataset's first sample has no image.
        ModelError: the scorer's folder holds no CLIP-like model.
    """
    if spec.scorer:
        from vila2.evaluate.measures.dual_encoder import check_scorer

        check_scorer(spec.scorer)
    needs_image(spec, first)


KIND = BenchmarkKind(image_text, needs_image_and_scorer, frozenset({"captions longer than the scorer reads"}))
