"""Pre-flight: everything that can be wrong with a run is looked at before its first work.

Sources are opened and give their first sample, the model's parts are found and their processor built,
one sample of every stage is encoded as the model will see it, and the memory a stage needs is estimated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vila2.data.sample import Sample
from vila2.sources.first_samples import first_samples
from vila2.train.shown import fold_repeats, image_place

if TYPE_CHECKING:
    from vila2.recipe.parts.data import DatasetSpec
    from vila2.recipe.parts.evaluate import BenchmarkSpec
    from vila2.recipe.recipe import Recipe


def preflight(recipe: Recipe, *, show: bool) -> dict[str, Any]:
    """Checks a recipe against what is on this machine.

    Args:
        recipe: already valid in itself.
        show: also build what a dry run prints (encoded samples, memory).

    Returns:
        ``sizes`` of the datasets, ``samples`` (one encoded sample by stage) and ``memory`` (bytes by stage
        and purpose). Empty unless ``show``.

    Raises:
        Vila2Error: naming the dataset, the file or the part that is missing.
    """
    from vila2.train.model_fit import check_fit
    from vila2.train.processes import processes_here
    from vila2.train.stage_checks import check_stage

    check_names(recipe)
    first = first_samples(recipe.data_in_use)
    for benchmark in recipe.evaluate:
        check_benchmark(benchmark, first[benchmark.dataset])
    for stage in recipe.stages.values():
        check_stage(stage, processes_here(recipe.processes))
    model, processor = model_in_outline(recipe)
    check_fit(recipe.stages, model, processor)
    _check_answers(recipe, processor)
    samples = encoded_samples(recipe, model, processor, show=show)
    if not show:
        return {}
    return {
        "sizes": {
            name: {"source": spec.source, "samples": expected_size(spec)}
            for name, spec in recipe.data_in_use.items()
        },
        "samples": samples,
        "memory": memory(recipe, model, samples),
    }


def _check_answers(recipe: Recipe, processor: Any) -> None:
    """Whether the model can be asked what the recipe asks it after its training.

    Raises:
        ModelError: it cannot.
    """
    from vila2.recipe.parts.cycle import NO_DATASETS
    from vila2.train.model_fit import check_answers

    cycle = recipe.cycle
    if cycle.rounds and cycle.captions in NO_DATASETS and not cycle.captioner:
        check_answers(processor, "the captions of cycle.rounds")
    for benchmark in recipe.evaluate:
        check_answers(processor, f"the questions of benchmark {benchmark.name!r}")


def check_names(recipe: Recipe) -> None:
    """Whether the plugins, the engines, the captioner and the merge's writer and tokenizer that a recipe names are there.

    Raises:
        PluginError, EngineError, ModelError: one is not.
    """
    from vila2.engine.registry import find_engine
    from vila2.model.loading import locate
    from vila2.plugin.host import Host
    from vila2.recipe.parts.values import DEFAULT_ENGINE

    for name in recipe.plugins:
        Host().plugin(name)
    find_engine(recipe.engine)
    find_engine(recipe.cycle.engine)
    if recipe.specialists and recipe.merge.writer == "model":
        find_engine(recipe.merge.engine)
        if recipe.merge.model and recipe.merge.engine == DEFAULT_ENGINE:
            locate(recipe.merge.model)
    if recipe.cycle.captioner and recipe.cycle.engine == DEFAULT_ENGINE:
        locate(recipe.cycle.captioner)
    if recipe.specialists and recipe.merge.tokenizer:
        from vila2.merge.merging import counter_of

        counter_of(recipe.merge.tokenizer)


def check_benchmark(benchmark: BenchmarkSpec, first: Sample) -> None:
    """Whether a benchmark is there, and fits its dataset.

    Raises:
        RecipeError: it is not, or does not.
        PluginError: the plugin that brings it is broken.
    """
    from vila2.evaluate.benchmarks import find_kind

    find_kind(benchmark.kind).needs(benchmark, first)


def expected_size(spec: DatasetSpec) -> int | str:
    """How many samples a dataset will have, where that is known before it is read."""
    from vila2.data.shards import ShardDataset

    if spec.source == "shards":
        return len(ShardDataset.open(spec.path))
    count = spec.options.get("count")
    return count if count is not None else "all"


def model_in_outline(recipe: Recipe) -> tuple[Any, Any]:
    """The model's structure without its weights, and its processor.

    Raises:
        ModelError: a part that is not there, or does not fit.
    """
    from vila2.model.coordinate_scheme import set_coordinates
    from vila2.model.outline import outline, outline_of_parts

    spec = recipe.model
    if spec.pretrained:
        found = outline(spec.pretrained)
    else:
        found = outline_of_parts(
            spec.vision,
            spec.language,
            **spec.model_dump(exclude={"vision", "language", "pretrained", "dtype", "coordinates"}),
        )
    if spec.coordinates:
        set_coordinates(*found, spec.coordinates)
    return found


def encoded_samples(
    recipe: Recipe, model: Any, processor: Any, *, show: bool = True
) -> dict[str, dict[str, Any]]:
    """For every stage a sample in tokens, and which of its first samples it can not be trained on.

    Args:
        recipe: whose datasets have samples.
        model: in outline.
        processor: of the model.
        show: also encode a sample; otherwise samples are measured alone, and nothing is returned.

    Raises:
        RecipeError: a stage can not be trained on any of the first samples of a dataset.
    """
    from vila2.cycle.preflight.fitting_preflight import first_of, look_at_stage
    from vila2.data.branches import is_tree, take_apart
    from vila2.data.views import View
    from vila2.model.conversation import IGNORED, ConversationEncoder
    from vila2.model.resolution import set_image_size
    from vila2.train.model_fit import how_it_isolates

    used = {entry.dataset for stage in recipe.stages.values() for entry in stage.mixture}
    some = first_of({name: spec for name, spec in recipe.data.items() if name in used})
    shown: dict[str, dict[str, Any]] = {}
    for name, stage in recipe.stages.items():
        if stage.image_size:
            set_image_size(model, processor, stage.image_size)
        encoder = ConversationEncoder(processor, max_length=stage.max_length)
        looked = look_at_stage(name, stage, some, encoder)
        if not show:
            continue
        problem = how_it_isolates(stage, model).problem
        trees = problem and any(
            View.parse(entry.view).kind == "tree" or is_tree(some[entry.dataset][0])
            for entry in stage.mixture
        )
        parts = take_apart(looked.sample) if trees else [looked.sample]
        encoded = encoder.encode(parts[0], stage.style)
        decode = processor.tokenizer.decode
        trained = [
            token for token, label in zip(encoded.input_ids, encoded.labels, strict=True) if label != IGNORED
        ]
        shown[name] = {
            "dataset": looked.dataset,
            "key": looked.sample.key,
            "tokens": len(encoded.input_ids),
            "trained_tokens": len(trained),
            "text": fold_repeats(decode(encoded.input_ids), image_place(processor)),
            "trained_text": decode(trained),
            "left_out": looked.left_out,
        }
        if trees:
            shown[name]["taken_apart"] = {"why": problem, "first": len(parts)}
    return shown


def memory(
    recipe: Recipe, model: Any, samples: dict[str, dict[str, Any]]
) -> dict[str, dict[str, int | None]]:
    """Estimated bytes on one device, by stage and purpose, for samples as long as the first one."""
    from vila2.train.estimate import Sizes, stage_memory
    from vila2.train.processes import processes_here

    value_bytes = 4 if recipe.model.dtype == "float32" else 2
    sizes = Sizes.of(model)
    counts = "tokens" if recipe.model.pretrained else "trained_tokens"
    return {
        name: stage_memory(
            sizes,
            stage,
            tokens=samples[name]["tokens"],
            counted=samples[name][counts],
            value_bytes=value_bytes,
            processes=processes_here(recipe.processes),
        )
        for name, stage in recipe.stages.items()
    }
