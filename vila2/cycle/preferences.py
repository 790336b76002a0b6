"""Preferences on a model's own captions, without any truth: DPO on what it says consistently.

samples   = describe(model, images) several times
pairs     = the caption that the others agree with, and one that contradicts itself or is refuted
preferred = train(model, pairs, beside the last stage's own mixture)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vila2.cycle.captioning import samples_by
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.merge.choosing_steps import PairSettings, pairs as pairs_step
from vila2.recipe.parts.cycle import PreferenceSpec
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.stage import StageSpec
from vila2.train.stage_checks import check_stage

if TYPE_CHECKING:
    from vila2.run.step_files import StepResult

#: The layer of pairs.
PAIRS = "pairs"
#: The step that trains on them, and its stage.
STAGE = "prefer"


def prefer(cycle: Cycle, generalist: TrainedGeneralist, spec: PreferenceSpec) -> TrainedGeneralist:
    """Trains a model further on preferences among its own captions.

    Args:
        cycle: recipe under way.
        generalist: model that describes the images and is trained.
        spec: ``cycle.preference`` of the recipe.
    """
    recipe, stage = cycle.recipe, stage_of(cycle, spec)
    check_stage(stage, cycle.processes)  # in the dry walk, so before any work
    layers = tuple(recipe.specialists) if spec.by != "agreement" else ()
    named: dict[str, StepResult | str] = {
        f"layer.{name}": cycle.layer(recipe.recaptioned, name) for name in layers
    }
    samples = samples_by(cycle, generalist, spec.samples, spec.share, "samples")
    pairs = cycle.run.step(
        PAIRS,
        pairs_step,
        settings=PairSettings(
            layer=PAIRS,
            layers=layers,
            by=spec.by,
            margin=spec.margin,
            length=spec.length,
            absence=recipe.merge.absence if layers else (),
        ),
        inputs={"data": cycle.images, "samples": samples, **named},
    )
    cycle.keep_layer(PAIRS, pairs, f"{generalist.name}, compared with itself")
    model = cycle.train_stage(STAGE, STAGE, stage, {"model": generalist.model})
    benchmarks = [benchmark for benchmark in recipe.evaluate if not benchmark.rounds_only]
    return TrainedGeneralist(
        f"{generalist.name} + preferences",
        generalist.round,
        {**generalist.stages, STAGE: model},
        cycle.score(f"{STAGE}-scores", model, benchmarks),
        generalist.layer,
        generalist.view,
    )


def stage_of(cycle: Cycle, spec: PreferenceSpec) -> StageSpec:
    """The stage that trains on preferences: the recipe's last one, with the pairs before its own mixture."""
    last = list(cycle.recipe.stages.values())[-1]
    zero = min(last.deepspeed, 2) if last.deepspeed else None
    changes = {
        "objective": "preference",
        "preference": spec.loss,
        "mixture": (_pairs_entry(cycle), *_replayed(last, spec.replay)),
        "learning_rate": spec.learning_rate or last.learning_rate / 10,
        "batch_size": spec.batch_size or last.batch_size,
        "device_batch_size": None if spec.batch_size else last.device_batch_size,
        "epochs": spec.epochs,
        "lora": spec.lora,
        "deepspeed": zero,
        "train": tuple(part for part in last.train if not spec.lora or part != "vision"),
    }
    alone = {"max_steps": None, "pack_length": None, "pack_images": None, "liger": False}
    return StageSpec.model_validate(last.model_dump() | changes | alone)


def _pairs_entry(cycle: Cycle) -> MixtureEntry:
    return MixtureEntry(dataset=cycle.recipe.recaptioned, view=f"pairs({PAIRS})")


def _replayed(last: StageSpec, replay: float) -> list[MixtureEntry]:
    """The entries of the last stage, each that many times as large."""
    if not replay:
        return []
    return [
        entry.model_copy(
            update={"count": max(1, round(entry.count * replay))}
            if entry.count is not None
            else {"weight": entry.weight * replay}
        )
        for entry in last.mixture
    ]
