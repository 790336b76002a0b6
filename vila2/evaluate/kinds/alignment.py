"""The kind ``alignment``: the distance between a language model's states of image tokens and of text tokens.

It is measured layer by layer, as in VILA, section 3.1, figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from vila2.data.sample import Sample
from vila2.engine.protocol import Engine, with_model
from vila2.errors import DataError
from vila2.evaluate.asking import BenchmarkOutcome, TaskOf, task_of
from vila2.evaluate.kinds.kind import BenchmarkKind, needs_image
from vila2.evaluate.measures.items import Items
from vila2.evaluate.readable import readable
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import IGNORED
from vila2.packing.collate import Collator
from vila2.progress import Progress
from vila2.recipe.parts.evaluate import BenchmarkSpec


def alignment(
    engine: Engine, samples: Sequence[Sample], benchmark: BenchmarkSpec, progress: Progress
) -> BenchmarkOutcome:
    """Measures the model's hidden states; nothing is asked."""
    inner = with_model(engine, f"benchmark {benchmark.name!r}")
    return BenchmarkOutcome(
        alignment_items(inner.model, inner.processor, samples, task_of(benchmark, progress))
    )


def chamfer_distance(one: torch.Tensor, other: torch.Tensor) -> float:
    """Computes the mean distance from each point to the nearest one of the other set, summed over both ways.

    Args:
        one, other: points [n, d] and [m, d], at least one each.
    """
    distances = torch.cdist(one.double(), other.double(), compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.min(1).values.mean() + distances.min(0).values.mean())


def best_cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    """Computes the mean cosine of each point with the most similar one of the other set, in -1..1.

    It is the mean over both directions. Unlike the Chamfer distance it does not depend on magnitudes: it is 1
    where every point has another one in its direction.

    Args:
        one, other: points [n, d] and [m, d], at least one each.
    """
    first, second = (torch.nn.functional.normalize(points.double(), dim=1) for points in (one, other))
    cosines = first @ second.T
    return float(cosines.max(1).values.mean() + cosines.max(0).values.mean()) / 2


def alignment_items(model: Any, processor: Any, samples: Sequence[Sample], task: TaskOf) -> dict[str, Items]:
    """Measures Chamfer distance and cosine of every layer, with one item for each sample.

    The model reads image and caption together, as it did in pretraining; the paper does not say whether it
    showed them together. Layer 0 is the input of the first layer.

    Args:
        model: model of images and text, in evaluation mode.
        processor: processor of the model.
        samples: samples with an image and a text each.
        task: function that starts the task of the progress.

    Raises:
        DataError: a sample has no image or no text.
    """
    encoder, collate = ConversationEncoder(processor), Collator(0)
    samples = readable(samples, encoder, lambda sample: (sample, "plain"))
    found: dict[str, list[float]] = {}
    with task(len(samples)) as progress:
        for sample in samples:
            encoded = encoder.encode(sample, "plain")
            batch = collate([encoded])
            text = batch.pop("labels")[0] != IGNORED
            image = batch["input_ids"][0] == model.config.image_token_id
            if not image.any() or not text.any():
                raise DataError(f"{sample.key!r} has no image or no text", hint="leave it out")
            for layer, states in enumerate(_states(model, batch)):
                pair = states[image], states[text]
                found.setdefault(f"chamfer, layer {layer}", []).append(chamfer_distance(*pair))
                found.setdefault(f"cosine, layer {layer}", []).append(best_cosine(*pair))
            progress.advance()
    keys = [sample.key for sample in samples]
    return {
        name: Items.of_means(keys, values, unit="score", higher_is_better=name.startswith("cosine"))
        for name, values in found.items()
    }


def _states(model: Any, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The hidden states before the first layer and after each, [tokens, hidden size], for a batch of one."""
    moved = {
        name: value.to(model.device, model.dtype if value.is_floating_point() else None)
        for name, value in batch.items()
    }
    with torch.inference_mode():
        states = model(**moved, output_hidden_states=True).hidden_states
    return [layer[0].float().cpu() for layer in states]


KIND = BenchmarkKind(alignment, needs_image, frozenset({"chamfer*"}))
