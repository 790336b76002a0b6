"""Checks, before any work, that a model can be trained as a stage asks, by its structure and processor."""

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
    """Checks that a model fits all stages.

    Args:
        stages: stages by name.
        model: model, which may live on the meta device.
        processor: the model's own processor.

    Raises:
        ModelError: the model's parts cannot be told apart, or its processor cannot write conversations in a
            stage's style, or cannot encode them piece by piece. It names the stage.
        TrainingError: a part to train that is missing, adapters that fit no layer, or packs for a model that
            cannot keep samples in one row apart. It names the stage.
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
    """How a model keeps samples in one row of a stage apart, as far as its configuration tells."""
    return Isolation.of(model, max_length=min(stage.max_length, stage.pack_length or stage.max_length))


def check_answers(processor: Any, what: str) -> None:
    """Checks that a model can be asked about images.

    Args:
        processor: the model's own processor.
        what: who asks, for the message, such as "captions of its rounds".

    Raises:
        ModelError: its processor has no chat template.
    """
    if not has_chat_template(processor):
        raise ModelError(
            f"{type(processor).__name__} has no chat template, which {what} need",
            hint="put a chat_template.jinja into the model's folder, or use an instruction-tuned model",
        )
