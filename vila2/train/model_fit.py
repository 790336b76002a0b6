"""Whether a model can be trained as a stage asks, by its structure and its processor alone: before any work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vila2.errors import ModelError, Vila2Error
from vila2.model.conversation import has_chat_template
from vila2.model.generalist import parts_of
from vila2.packing.isolation import Isolation, cannot_isolate
from vila2.train.blank import blank_sample
from vila2.train.freezing import check_parts
from vila2.train.lora import adapted_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import PreTrainedModel

    from vila2.recipe.parts.stage import StageSpec


def check_fit(stages: Mapping[str, StageSpec], model: PreTrainedModel, processor: Any) -> None:
    """Looks whether a model fits all stages.

    Args:
        stages: by name.
        model: may live on the meta device.
        processor: the model's own.

    Raises:
        ModelError: the model has no such parts, or its processor cannot write conversations in a stage's style, or
            reads images in a way that a conversation taken apart into pieces does not tell.
        TrainingError: a part that is not there, adapters that fit nowhere, or packs of a model that cannot keep
            samples in one row apart. Each names the stage.
    """
    for name, stage in stages.items():
        try:
            check_parts(parts_of(model), stage.train)
            if stage.lora:
                adapted_layers(model)
            if stage.pack_length and (problem := how_it_isolates(stage, model).problem):
                raise cannot_isolate(problem)
            blank_sample(processor, stage.style)
        except Vila2Error as error:
            raise type(error)(f"stage {name}: {error.what}", hint=error.hint) from error


def how_it_isolates(stage: StageSpec, model: PreTrainedModel) -> Isolation:
    """How a model keeps apart what shares a row in a stage, as far as its configuration tells."""
    return Isolation.of(model, max_length=min(stage.max_length, stage.pack_length or stage.max_length))


def check_answers(processor: Any, what: str) -> None:
    """Whether a model can be asked about images.

    Args:
        processor: the model's own.
        what: asks it, for the message: "captions of its rounds", say.

    Raises:
        ModelError: its processor has no chat template.
    """
    if not has_chat_template(processor):
        raise ModelError(
            f"{type(processor).__name__} has no chat template, which {what} need",
            hint="put a chat_template.jinja into the model's folder, or take a model that was tuned to answer",
        )
