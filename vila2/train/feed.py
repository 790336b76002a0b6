"""The input of a stage's trainer: samples padded into batches, or packed into rows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from vila2.data.branches import TakenApart, is_tree
from vila2.data.mixtures import Mixture
from vila2.data.sample import Sample
from vila2.errors import TrainingError
from vila2.model.conversation import ConversationEncoder
from vila2.packing.collate import Collator, PackCollator, collate_padded
from vila2.packing.isolation import Isolation
from vila2.packing.plan import Packs, plan_packs
from vila2.packing.trial import isolate, try_out
from vila2.progress import Progress
from vila2.train.blank import WithBlankImage, blank_sample
from vila2.train.encoded_dataset import EncodedMixture, PackedMixture
from vila2.train.left_out import Fitting, leave_out
from vila2.train.pairs_feed import PreferenceCollator, PreferenceMixture
from vila2.train.part_by_part import PartByPart

if TYPE_CHECKING:
    from vila2.model.generalist import Generalist
    from vila2.recipe.parts.stage import StageSpec


log = logging.getLogger("vila2.train")

_LOOKED_AT = 16  # samples of a dataset
#: Makes a batch of items, which are samples or packs.
Collate = Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Feed:
    """Items and how they become batches.

    Attributes:
        dataset: dataset of items, which are samples or packs.
        collator: collator of items.
        stage: the stage with its batch sizes in items.
        fitting: the samples that are trained on, and those that were left out.
        results: what the report shows of packing; empty without packing.
        apart: what the report shows of trees that were taken apart; empty where none were.
    """

    dataset: EncodedMixture | PackedMixture | PreferenceMixture
    collator: Collate
    stage: StageSpec
    fitting: Fitting
    results: dict[str, Any] = field(default_factory=dict)
    apart: dict[str, Any] = field(default_factory=dict)

    @property
    def about(self) -> str:
        """The text that is shown beside the loss."""
        return f"packs {self.results['fill']:.1%} full" if self.results else ""


def feed(
    stage: StageSpec,
    mixture: Mixture,
    generalist: Generalist,
    folder: Path,
    *,
    seed: int,
    processes: int,
    progress: Progress,
    name: str = "",
) -> Feed:
    """Prepares a mixture, and where samples share rows also the model.

    Args:
        stage: stage to train.
        mixture: samples of the stage.
        generalist: model, whose attention is set to keep samples apart, and its processor.
        folder: folder of the stage, where the lengths of its samples are kept.
        seed: seed of the choice of packs.
        processes: number of processes that train together.
        progress: display of the measuring.
        name: name of the stage.

    Raises:
        TrainingError: the model cannot keep samples that share a row apart, or too many samples cannot be
            trained on.
    """
    paired = [part for part, _ in mixture.parts if part.view.kind == "pairs"]
    if paired and stage.objective != "preference":
        raise TrainingError(
            f"{paired[0].dataset.name} through {paired[0].view} shows worse answers too",
            hint="give the stage objective: preference, or the entry another view",
        )
    model, processor = generalist.model, generalist.processor
    longest = min(stage.max_length, stage.pack_length or stage.max_length)
    encoder = ConversationEncoder(processor, max_length=longest)
    isolation, problem = Isolation.of(model, max_length=longest), None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if stage.pack_length:
        isolation = isolate(model, max_length=longest, device=device)
    elif stage.objective == "text" and _holds_trees(mixture):
        isolation = try_out(model, max_length=longest, device=device)
        problem = isolation.problem
    fitting = leave_out(
        stage,
        mixture,
        PartByPart(encoder) if problem or stage.objective == "preference" else encoder,
        folder,
        name=name,
        largest=stage.max_left_out,
        progress=progress,
    )
    if stage.objective == "preference":
        return _in_pairs(stage, fitting, encoder, processes)
    if stage.objective == "words":
        return _in_words(stage, fitting, encoder)
    if stage.pack_length:
        return _in_rows(stage, fitting, encoder, isolation, seed=seed, processes=processes)
    if problem:
        samples, apart = _taken_apart(stage, fitting, encoder, folder, problem, progress)
    else:
        samples, apart = EncodedMixture(fitting.mixture, encoder, stage.style), {}
    collate = Collator(processor.tokenizer.pad_token_id, isolation=isolation)
    with_images = _with_an_image_for_all(collate, processor, stage, processes)
    return Feed(samples, with_images, stage, fitting, apart=apart)


def _in_words(stage: StageSpec, fitting: Fitting, encoder: ConversationEncoder) -> Feed:
    """Samples in padded batches, for the objective ``words``."""
    samples = EncodedMixture(fitting.mixture, encoder, stage.style)
    collate = partial(collate_padded, pad_token_id=encoder.processor.tokenizer.pad_token_id)
    return Feed(samples, collate, stage, fitting)


def _in_pairs(stage: StageSpec, fitting: Fitting, encoder: ConversationEncoder, processes: int) -> Feed:
    """Pairs and texts in padded batches, for the objective ``preference``."""
    items, processor = PreferenceMixture(fitting.mixture, encoder, stage.style), encoder.processor
    blank = blank_sample(processor, stage.style) if _needs_images(stage, processes) else None
    return Feed(items, PreferenceCollator(processor.tokenizer.pad_token_id, blank), stage, fitting)


def _taken_apart(
    stage: StageSpec,
    fitting: Fitting,
    encoder: ConversationEncoder,
    folder: Path,
    problem: str,
    progress: Progress,
) -> tuple[EncodedMixture, dict[str, Any]]:
    """The samples with each tree taken apart because of the problem, and what the report shows of it."""
    # A mixture is read by number, as a sequence is.
    alone = TakenApart.of(cast(Sequence[Sample], fitting.mixture), folder / "branches.npz", progress)
    log.info("%d trees were taken apart into %d samples: %s", alone.trees, len(alone), problem)
    apart = {"trees": alone.trees, "samples": len(alone), "why": problem}
    return EncodedMixture(alone, encoder, stage.style), apart


def _in_rows(
    stage: StageSpec,
    fitting: Fitting,
    encoder: ConversationEncoder,
    isolation: Isolation,
    *,
    seed: int,
    processes: int,
) -> Feed:
    """Samples packed into rows, and the stage with its batch size in packs."""
    assert stage.pack_length
    packs = plan_packs(
        fitting.lengths.tokens,
        fitting.lengths.images,
        capacity=stage.pack_length,
        max_images=stage.pack_images,
        seed=seed,
    )
    counted = stage_in_packs(stage, packs, processes)
    results = {"packs": len(packs), "fill": packs.fill, "packs_per_step": counted.batch_size}
    samples = EncodedMixture(fitting.mixture, encoder, stage.style)
    collate = _with_an_image_for_all(PackCollator(isolation), encoder.processor, stage, processes)
    return Feed(PackedMixture(samples, packs), collate, counted, fitting, results)


def _holds_trees(mixture: Mixture) -> bool:
    """Whether samples have branches: by their view, or by a few samples spread over each dataset."""
    return any(
        part.view.kind == "tree"
        or any(is_tree(part[number]) for number in range(0, len(part), max(1, len(part) // _LOOKED_AT)))
        for part, _ in mixture.parts
    )


def _with_an_image_for_all(collate: Collate, processor: Any, stage: StageSpec, processes: int) -> Collate:
    """A collator whose batches all hold an image, where the model must see one in every batch."""
    if not _needs_images(stage, processes):
        return collate
    return WithBlankImage(collate, blank_sample(processor, stage.style), packed=bool(stage.pack_length))


def _needs_images(stage: StageSpec, processes: int) -> bool:
    return processes > 1 or bool({"vision", "projector"} & set(stage.train))


def stage_in_packs(stage: StageSpec, packs: Packs, processes: int) -> StageSpec:
    """The stage with its batch size in packs.

    All devices take the same number of packs in an optimizer step. It is chosen so that together they hold
    about ``batch_size`` samples on average, and is 1 or more.
    """
    on_each = max(1, round(stage.batch_size * len(packs) / len(packs.tokens) / processes))
    return stage.model_copy(update={"batch_size": on_each * processes, "device_batch_size": 1})
