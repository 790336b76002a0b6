"""The step that makes the starting model of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.errors import ModelError
from vila2.progress import Progress
from vila2.recipe.parts.model import ModelSpec
from vila2.recipe.recipe import Recipe
from vila2.run.run_model import named_model
from vila2.run.step_files import StepResult
from vila2.run.step_kinds import Inputs, step_kind
from vila2.run.steps import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin


class AssembleSettings(ModelSpec):
    """The model settings of a recipe, and the seed of the fresh weights."""

    seed: int


def starting_parts(run: Run, recipe: Recipe) -> StepResult:
    """Makes the starting model of a recipe, or takes it from an earlier run of the step."""
    named = {name: getattr(recipe.model, name) for name in ("vision", "language", "pretrained")}
    # Folders on this machine are identified by their content, not by their names.
    inputs = {name: Path(named_model(path)) for name, path in named.items() if path and Path(path).exists()}
    return run.step(
        "parts", assemble, settings=AssembleSettings(seed=recipe.seed, **dict(recipe.model)), inputs=inputs
    )


@step_kind("assemble", AssembleSettings, digested_as="vila2.cycle.work.assemble")
def assemble(folder: Path, settings: AssembleSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Assembles the pretrained parts with a fresh projector, or loads an existing VLM."""
    from vila2.model.assemble import assemble as assemble_parts
    from vila2.model.coordinate_scheme import set_coordinates
    from vila2.model.generalist import load_generalist
    from vila2.model.saving import save_model

    with progress.task("assemble the model", 1) as task:
        if settings.pretrained:
            generalist = load_generalist(settings.pretrained, dtype=settings.dtype)
            model: PreTrainedModel = generalist.model
            processor: ProcessorMixin = generalist.processor
        else:
            others = settings.model_dump(exclude={"vision", "language", "pretrained", "coordinates"})
            vision, language = _named_parts(settings)
            model, processor = assemble_parts(vision, language, **others)
        if settings.coordinates:
            set_coordinates(model, processor, settings.coordinates)
        save_model(model, processor, folder / "model")
        task.advance()
    return {"parameters": sum(p.numel() for p in model.parameters())}


def _named_parts(settings: AssembleSettings) -> tuple[str, str]:
    """Vision tower and language model, which a recipe without a pretrained VLM must name."""
    if settings.vision is None or settings.language is None:
        raise ModelError(
            "the recipe's model has no vision tower or no language model",
            hint="set model.vision and model.language, or model.pretrained",
        )
    return settings.vision, settings.language
