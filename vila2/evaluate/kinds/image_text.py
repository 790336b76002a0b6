"""The kind ``image_text``: does a caption fit its image better than other images? No truth is needed.

A scorer measures the fit: a CLIP-like model (``scorer`` names its folder), or else the model's own likelihood
of the caption given one image or another. The likelihood tells whether the model looks, not whether it is
right, since the model is its own judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vila2.data.sample import ImagePart, Sample, assistant, user
from vila2.engine.protocol import Engine, Request, with_model
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, SaidRow, TaskOf, ask_all, task_of
from vila2.evaluate.kinds.captions import PROMPT
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import Items
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec

#: Number of images that are scored against each other's captions, at least: the own one and four others.
BLOCK = 5

#: Scores of texts with images, [images, texts].
Scores = NDArray[np.floating[Any]]


class ImageTextScorer(Protocol):
    """A scorer of how well texts fit images.

    Attributes:
        unit: unit of a score: "cosine", or "nats" for the log-likelihood of a whole text.
    """

    unit: str

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> Scores:
        """Scores every text with every image, [images, texts].

        A higher score is a better fit. Scores are comparable within a column: one text, several images.
        """
        ...


class OwnLikelihood:
    """A scorer by the log-likelihood of a text as the model's answer to a prompt, given an image.

    Args:
        model: model that wrote the texts, in evaluation mode.
        processor: processor of the model.
        prompt: prompt that the texts answer.
    """

    unit = "nats"

    def __init__(self, model: Any, processor: Any, prompt: str) -> None:
        from vila2.model.conversation import ConversationEncoder

        self.model, self.encoder, self.prompt = model, ConversationEncoder(processor), prompt

    def readable(self, samples: Sequence[Sample]) -> list[Sample]:
        """Selects the samples whose first image the model can read."""
        from vila2.evaluate.readable import readable

        turns = (user(ImagePart(), self.prompt), assistant("."))
        return readable(samples, self.encoder, lambda one: (Sample(one.key, one.images[:1], turns), "chat"))

    def score(self, images: Sequence[bytes], texts: Sequence[str]) -> Scores:
        """Computes log-likelihoods, [images, texts], in nats; each image is read once for all texts."""
        from vila2.evaluate.kinds.choices import log_likelihoods

        turns = (user(ImagePart(), self.prompt), assistant(""))
        samples = [
            Sample(str(n), (image,), turns, {"choices": list(texts)}) for n, image in enumerate(images)
        ]
        return np.array([log_likelihoods(self.model, self.encoder, sample) for sample in samples])


def image_text(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Asks for captions, and scores each with its own image and with others.

    Where samples have captions of people, these are scored too. With a scorer they tell how far it can be
    trusted. With the model's own likelihood they tell whether the model looks; its own captions have the
    advantage that it chose them by this very likelihood.

    Raises:
        DataError: there are fewer than two images.
        ModelError: the scorer cannot be loaded.
    """
    prompt = benchmark.prompt or PROMPT
    own: OwnLikelihood | None = None
    if not benchmark.scorer:
        inner = with_model(engine, f"benchmark {benchmark.name!r} without a scorer")
        own = OwnLikelihood(inner.model, inner.processor, prompt)
        samples = own.readable(samples)
    requests = [Request(sample.key, sample.images, prompt) for sample in samples]
    texts = [answer.text for answer in ask_all(engine, requests, benchmark, progress)]
    said = [
        SaidRow(key=sample.key, prompt=prompt, text=text) for sample, text in zip(samples, texts, strict=True)
    ]
    measures: dict[str, Items] = {}
    scorer: ImageTextScorer
    if own:
        scorer = own
    else:
        from vila2.evaluate.measures.dual_encoder import DualEncoder

        scorer = encoder = DualEncoder(str(benchmark.scorer))
        cut = [encoder.is_cut(text) for text in texts]
        measures["captions longer than the scorer reads"] = Items.of_means(
            [sample.key for sample in samples], cut, higher_is_better=None
        )
    task = task_of(benchmark, progress)
    measures |= contrast(scorer, samples, texts, task)
    if all(sample.meta.get("references") for sample in samples):
        people = contrast(scorer, samples, [sample.meta["references"][0] for sample in samples], task)
        measures |= {f"people's captions: {name}": items for name, items in people.items()}
    return BenchmarkOutcome(measures, said)


def contrast(
    scorer: ImageTextScorer, samples: Sequence[Sample], texts: Sequence[str], task: TaskOf
) -> dict[str, Items]:
    """Measures how much better texts fit their own image than the other images of their block.

    A block is a run of samples in their order, so that the captions of two models meet the same other images.

    Args:
        scorer: scorer of images and texts.
        samples: samples, two or more; only the first image of each is used.
        texts: texts, one for each sample.
        task: function that starts the task of the progress.

    Returns:
        "own image preferred" is the share of other images that fit less well; ties count half, and captions
        that do not look get 0.5. "gain of the own image" is its score minus the mean of the others, for nats
        per word. For cosines there is also the score of the own image itself.

    Raises:
        DataError: there are fewer than two samples.
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
    """Refuses a dataset without images, and a ``scorer`` that is not a scorer.

    Args:
        spec: benchmark, as the recipe has it.
        first: first sample of its dataset.

    Raises:
        RecipeError: the sample has no image.
        ModelError: the scorer's folder holds no CLIP-like model.
    """
    if spec.scorer:
        from vila2.evaluate.measures.dual_encoder import check_scorer

        check_scorer(spec.scorer)
    needs_image(spec, first)


KIND = BenchmarkKind(image_text, needs_image_and_scorer, frozenset({"captions longer than the scorer reads"}))
