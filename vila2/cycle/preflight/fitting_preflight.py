"""Finds the samples, among the first of every dataset, that a recipe's stages cannot be trained on.

A stage measures all of its samples when it begins (:mod:`vila2.train.left_out`). For a later stage this is
hours after the first one. A problem of every sample, such as a chat template that refuses them all, shows in
a few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from vila2.data.branches import is_tree
from vila2.data.tar_sample import has_text
from vila2.data.views import View
from vila2.errors import DataError, ModelError, RecipeError

if TYPE_CHECKING:
    from vila2.data.sample import Sample
    from vila2.model.conversation import ConversationEncoder
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.parts.stage import StageSpec
    from vila2.train.sample_tokens import UnfitFirst, UnfitRow

#: Number of samples of a dataset that are measured.
LOOKED_AT = 20


@dataclass(frozen=True, slots=True)
class FirstOfStage:
    """What a stage makes of the first samples of its datasets.

    Attributes:
        dataset: name of the dataset of ``sample``.
        sample: first sample that can be trained on; where none has text, the first of all.
        trees: whether a dataset of the stage holds trees, or its view makes them.
        left_out: samples that cannot be trained on, by dataset; without the datasets that have none.
    """

    dataset: str
    sample: Sample
    trees: bool = False
    left_out: dict[str, UnfitFirst] = field(default_factory=dict)


def first_of(data: Mapping[str, DatasetSpec]) -> dict[str, list[Sample]]:
    """Returns the first samples of datasets that are known to have some, by name."""
    return {name: _first(name, spec) for name, spec in data.items()}


def _first(name: str, spec: DatasetSpec) -> list[Sample]:
    from vila2.sources.first_samples import some_samples

    found: list[Sample] = []
    try:
        for sample in islice(some_samples(name, spec), LOOKED_AT):
            found.append(sample)
    except DataError:
        if not found:  # a later one that cannot be read is left out by the stage
            raise
    return found


def look_at_stage(
    name: str, stage: StageSpec, some: Mapping[str, Sequence[Sample]], encoder: ConversationEncoder
) -> FirstOfStage:
    """Measures the first samples of a stage's datasets.

    Args:
        name: name of the stage.
        stage: stage of the recipe.
        some: first samples by dataset, at least one each.
        encoder: encoder of the stage.

    Raises:
        RecipeError: none of a dataset's first samples can be trained on, and the stage does not allow so many
            to be left out.
    """
    fitting: list[tuple[str, Sample]] = []
    left_out: dict[str, UnfitFirst] = {}
    for dataset in dict.fromkeys(entry.dataset for entry in stage.mixture if _sees_original(entry.view)):
        with_text = [sample for sample in some[dataset] if has_text(sample)]
        unfit = _unfit(with_text, stage, encoder)
        fitting += [(dataset, sample) for sample in with_text if sample.key not in unfit]
        if unfit and len(unfit) == len(with_text) and stage.max_left_out < 1:
            first = next(iter(unfit.values()))
            raise RecipeError(
                f"stage {name}: none of the first {len(with_text)} samples of {dataset!r} can be trained on: "
                f"{first.what}",
                hint=f"{first.hint}; stages.{name}.max_left_out=1 to go on all the same",
            )
        if unfit:
            rows: list[UnfitRow] = [{"key": key, "reason": error.what} for key, error in unfit.items()]
            left_out[dataset] = {"looked_at": len(with_text), "left_out": rows}
    first_named = stage.mixture[0].dataset
    dataset, sample = fitting[0] if fitting else (first_named, some[first_named][0])
    return FirstOfStage(dataset, sample, _has_trees(stage, some), left_out)


def _unfit(
    samples: Sequence[Sample], stage: StageSpec, encoder: ConversationEncoder
) -> dict[str, DataError | ModelError]:
    """The samples that a stage cannot be trained on: why not, by key."""
    unfit: dict[str, DataError | ModelError] = {}
    for sample in samples:
        try:
            encoder.measure(sample, stage.style)
        except (DataError, ModelError) as error:
            unfit[sample.key] = error
    return unfit


def _has_trees(stage: StageSpec, some: Mapping[str, Sequence[Sample]]) -> bool:
    return any(
        View.parse(entry.view).kind == "tree" or is_tree(some[entry.dataset][0]) for entry in stage.mixture
    )


def _sees_original(view: str) -> bool:
    return "original" in View.parse(view).layers
