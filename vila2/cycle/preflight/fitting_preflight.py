"""Which of a recipe's first samples its stages can not be trained on, before anything is trained.

A stage measures all of its samples when it begins (:mod:`vila2.train.left_out`), which for a later stage is hours
after the first. What goes wrong with every sample, such as a chat template that refuses them all, shows in a few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from vila2.data.tar_sample import has_text
from vila2.errors import DataError, ModelError, RecipeError

if TYPE_CHECKING:
    from vila2.data.sample import Sample
    from vila2.model.conversation import ConversationEncoder
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.parts.stage import StageSpec

LOOKED_AT = 20  # samples of a dataset


@dataclass(frozen=True, slots=True)
class Looked:
    """What a stage makes of the first samples of its datasets.

    Attributes:
        dataset: of ``sample``.
        sample: the first that can be trained on; where none has text, the first of all.
        left_out: by dataset ``looked_at``, how many, and ``left_out``, key and reason of those that can not be
            trained on; no dataset of which all can.
    """

    dataset: str
    sample: Sample
    left_out: dict[str, dict[str, object]] = field(default_factory=dict)


def first_of(data: Mapping[str, DatasetSpec]) -> dict[str, list[Sample]]:
    """The first samples of datasets that are known to have some, by name."""
    return {name: _first(name, spec) for name, spec in data.items()}


def _first(name: str, spec: DatasetSpec) -> list[Sample]:
    from vila2.sources.first_samples import some_samples

    found: list[Sample] = []
    try:
        for sample in islice(some_samples(name, spec), LOOKED_AT):
            found.append(sample)
    except DataError:
        if not found:  # one that can not be read is the stage's business: it leaves it out
            raise
    return found


def look_at_stage(
    name: str, stage: StageSpec, some: Mapping[str, Sequence[Sample]], encoder: ConversationEncoder
) -> Looked:
    """Measures the first samples of a stage's datasets.

    Args:
        name: of the stage.
        stage: as the recipe has it.
        some: the first samples by dataset, at least one each.
        encoder: as the stage encodes.

    Raises:
        RecipeError: none of a dataset's first samples can be trained on, and the stage does not allow so many
            to be left out.
    """
    fitting: list[tuple[str, Sample]] = []
    left_out: dict[str, dict[str, object]] = {}
    for dataset in dict.fromkeys(entry.dataset for entry in stage.mixture if _sees_original(entry.view)):
        told = [sample for sample in some[dataset] if has_text(sample)]
        unfit = []
        for sample in told:
            try:
                encoder.measure(sample, stage.style)
                fitting.append((dataset, sample))
            except (DataError, ModelError) as error:
                unfit.append((sample.key, error))
        if unfit and len(unfit) == len(told) and stage.max_left_out < 1:
            first = unfit[0][1]
            raise RecipeError(
                f"stage {name}: none of the first {len(told)} samples of {dataset!r} can be trained on: {first.what}",
                hint=f"{first.hint}; stages.{name}.max_left_out=1 to go on all the same",
            )
        if unfit:
            rows = [{"key": key, "reason": error.what} for key, error in unfit]
            left_out[dataset] = {"looked_at": len(told), "left_out": rows}
    first_named = stage.mixture[0].dataset
    dataset, sample = fitting[0] if fitting else (first_named, some[first_named][0])
    return Looked(dataset, sample, left_out)


def _sees_original(view: str) -> bool:
    from vila2.data.views import View

    return "original" in View.parse(view).layers
