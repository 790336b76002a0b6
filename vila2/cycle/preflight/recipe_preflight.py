"""The pre-flight of a recipe: everything that can be wrong with a run is looked at before its first work.

Sources are opened and give their first sample. The model's parts are found, and its processor is built. One
sample of every stage is encoded as the model will see it, and the memory that the stage needs is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from vila2.data.sample import Sample
from vila2.sources.first_samples import first_samples
from vila2.train.sample_tokens import SampleTokens, token_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

    from vila2.cycle.preflight.fitting_preflight import FirstOfStage
    from vila2.model.conversation import ConversationEncoder
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.parts.evaluate import BenchmarkSpec
    from vila2.recipe.parts.stage import StageSpec
    from vila2.recipe.recipe import Recipe


class DatasetSize(TypedDict):
    """A dataset's source and number of samples; "all" where the number is known only after reading."""

    source: str
    samples: int | str


def check_recipe(recipe: Recipe) -> None:
    """Checks a recipe, valid in itself, against what is on this machine.

    Raises:
        Vila2Error: the recipe names a dataset, a file or a part that is missing or does not fit.
    """
    for _ in _stages_in_turn(recipe, *_check_parts(recipe)):
        pass  # a stage that cannot be trained raises


def look_at_recipe(
    recipe: Recipe,
) -> tuple[dict[str, DatasetSize], dict[str, SampleTokens], dict[str, dict[str, int | None]]]:
    """Checks a recipe as :func:`check_recipe` does, and finds what a dry run shows.

    Returns:
        Sizes of the datasets by name; one sample in tokens by stage; bytes of memory by stage and purpose.

    Raises:
        Vila2Error: the recipe names a dataset, a file or a part that is missing or does not fit.
    """
    model, processor = _check_parts(recipe)
    sizes: dict[str, DatasetSize] = {
        name: {"source": spec.source, "samples": expected_size(spec)}
        for name, spec in recipe.data_in_use.items()
    }
    samples = encoded_samples(recipe, model, processor)
    return sizes, samples, memory(recipe, model, samples)


def _check_parts(recipe: Recipe) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Checks names, datasets, benchmarks, this machine and the model.

    Returns:
        The model in outline, and its processor.
    """
    from vila2.train.model_fit import check_fit
    from vila2.train.processes import processes_together
    from vila2.train.stage_checks import check_stage

    check_names(recipe)
    first = first_samples(recipe.data_in_use)
    for benchmark in recipe.evaluate:
        check_benchmark(benchmark, first[benchmark.dataset])
    for stage in recipe.stages.values():
        check_stage(stage, processes_together(recipe.processes))
    model, processor = model_in_outline(recipe)
    check_fit(recipe.stages, model, processor)
    _check_answers(recipe, processor)
    return model, processor


def _check_answers(recipe: Recipe, processor: Any) -> None:
    """Checks that the model can be asked what the recipe asks it after its training.

    Raises:
        ModelError: it cannot be asked.
    """
    from vila2.recipe.parts.cycle import NO_DATASETS
    from vila2.train.model_fit import check_answers

    cycle = recipe.cycle
    if cycle.rounds and cycle.captions in NO_DATASETS and not cycle.captioner:
        check_answers(processor, "the captions of cycle.rounds")
    for benchmark in recipe.evaluate:
        check_answers(processor, f"the questions of benchmark {benchmark.name!r}")


def check_names(recipe: Recipe) -> None:
    """Checks that the plugins, the engines and the models that a recipe names are there.

    The models are the captioner, and the merge's writer and tokenizer.

    Raises:
        PluginError: a plugin is missing, broken, or cannot be told of trained stages.
        EngineError: an engine is missing.
        ModelError: a model is missing.
    """
    from vila2.engine.registry import check_engine
    from vila2.model.loading import locate
    from vila2.plugin.host import Host
    from vila2.recipe.parts.values import DEFAULT_ENGINE

    for name in recipe.plugins:
        Host().check_after_stage(name)
    check_engine(recipe.engine)
    check_engine(recipe.cycle.engine)
    if recipe.specialists and recipe.merge.writer == "model":
        check_engine(recipe.merge.engine)
        if recipe.merge.model and recipe.merge.engine.name == DEFAULT_ENGINE:
            locate(recipe.merge.model)
    if recipe.cycle.captioner and recipe.cycle.engine.name == DEFAULT_ENGINE:
        locate(recipe.cycle.captioner)
    if recipe.specialists and recipe.merge.tokenizer:
        from vila2.merge.merging import counter_of

        counter_of(recipe.merge.tokenizer)


def check_benchmark(benchmark: BenchmarkSpec, first: Sample) -> None:
    """Checks that a benchmark exists and fits its dataset.

    Args:
        benchmark: benchmark of the recipe.
        first: first sample of its dataset.

    Raises:
        RecipeError: it does not exist, or does not fit.
        PluginError: the plugin that brings it is broken.
    """
    from vila2.evaluate.benchmarks import find_kind

    find_kind(benchmark.kind).needs(benchmark, first)


def expected_size(spec: DatasetSpec) -> int | str:
    """Returns the number of samples that a dataset will have; "all" where it is known only after reading."""
    from vila2.data.shards import ShardDataset

    if spec.source == "shards":
        return len(ShardDataset.open(str(spec.path)))
    count: int | None = spec.options.get("count")
    return count if count is not None else "all"


def model_in_outline(recipe: Recipe) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Returns the model's structure without its weights, and its processor.

    Raises:
        ModelError: a part is missing, or does not fit.
    """
    from vila2.model.coordinate_scheme import set_coordinates
    from vila2.model.outline import outline, outline_of_parts

    spec = recipe.model
    if spec.pretrained:
        found = outline(spec.pretrained)
    else:
        found = outline_of_parts(
            str(spec.vision),
            str(spec.language),
            **spec.model_dump(exclude={"vision", "language", "pretrained", "dtype", "coordinates"}),
        )
    if spec.coordinates:
        set_coordinates(*found, spec.coordinates)
    return found


def _stages_in_turn(
    recipe: Recipe, model: Any, processor: Any
) -> Iterator[tuple[str, StageSpec, ConversationEncoder, FirstOfStage]]:
    """Measures the first samples of every stage.

    A stage's resolution stays for the stages after it. So model and processor are set to it in turn.

    Raises:
        RecipeError: a stage cannot be trained on any of the first samples of a dataset.
    """
    from vila2.cycle.preflight.fitting_preflight import first_of, look_at_stage
    from vila2.model.conversation import ConversationEncoder
    from vila2.model.resolution import set_image_size

    used = {entry.dataset for stage in recipe.stages.values() for entry in stage.mixture}
    some = first_of({name: spec for name, spec in recipe.data.items() if name in used})
    for name, stage in recipe.stages.items():
        if stage.image_size:
            set_image_size(model, processor, stage.image_size)
        encoder = ConversationEncoder(processor, max_length=stage.max_length)
        yield name, stage, encoder, look_at_stage(name, stage, some, encoder)


def encoded_samples(recipe: Recipe, model: Any, processor: Any) -> dict[str, SampleTokens]:
    """Encodes one sample of every stage.

    Args:
        recipe: recipe whose datasets have samples.
        model: model in outline.
        processor: processor of the model.

    Raises:
        RecipeError: a stage cannot be trained on any of the first samples of a dataset.
    """
    from vila2.data.branches import take_apart
    from vila2.train.model_fit import how_it_isolates

    shown: dict[str, SampleTokens] = {}
    for name, stage, encoder, found in _stages_in_turn(recipe, model, processor):
        problem = how_it_isolates(stage, model).problem
        parts = take_apart(found.sample) if problem and found.trees else [found.sample]
        read = token_text(encoder, processor, parts[0], stage.style)
        shown[name] = {
            "dataset": found.dataset,
            "key": found.sample.key,
            "tokens": read["tokens"],
            "trained_tokens": read["trained_tokens"],
            "text": read["text"],
            "trained_text": read["trained_text"],
            "left_out": found.left_out,
        }
        if problem and found.trees:
            shown[name]["taken_apart"] = {"why": problem, "first": len(parts)}
    return shown


def memory(
    recipe: Recipe, model: PreTrainedModel, samples: Mapping[str, SampleTokens]
) -> dict[str, dict[str, int | None]]:
    """Estimates the bytes on one device, by stage and purpose, for samples as long as the first one."""
    from vila2.train.estimate import Sizes, stage_memory
    from vila2.train.processes import processes_together

    value_bytes = 4 if recipe.model.dtype == "float32" else 2
    sizes = Sizes.of(model)
    return {
        name: stage_memory(
            sizes,
            stage,
            tokens=samples[name]["tokens"],
            counted=samples[name]["tokens" if recipe.model.pretrained else "trained_tokens"],
            value_bytes=value_bytes,
            processes=processes_together(recipe.processes),
        )
        for name, stage in recipe.stages.items()
    }
