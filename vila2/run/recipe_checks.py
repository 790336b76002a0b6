"""What must hold between the parts of a recipe: names that exist, views that parse, stages in order.

Works on raw values, so that a recipe with a misspelt key still has everything else checked. What has
the wrong type is passed over here, since the recipe's own types report it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from vila2.errors import DataError
from vila2.run.nearest import did_you_mean
from vila2.run.recipe import MixtureEntry, ModelSpec, with_stage_defaults
from vila2.run.recipe_cycle import NO_DATASETS, OWN, CycleSpec, SaturationSpec

Where = tuple[str | int, ...]

#: The order in which the named stages make sense (paper section 3).
STAGE_ORDER = ("align", "pretrain", "sft")
#: What only a model that is put together from parts can be told.
_ASSEMBLING = ("projector", "vision_feature_layer", "max_tiles", "s2_scales", "visual_expert")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a recipe: the path of keys to it, and what is wrong with it."""

    where: Where
    what: str


def cross_problems(raw: Any, known: Mapping[str, Collection[str]] | None = None) -> list[Problem]:
    """All the problems between the parts of a raw recipe.

    Args:
        raw: the recipe as plain values.
        known: names that exist outside the recipe: ``source``, ``prompt`` and ``benchmark``; absent ones are
            not checked.
    """
    recipe = _mapping(with_stage_defaults(raw))
    known = known or {}
    return [
        *_source_problems(_mapping(recipe.get("data")), known.get("source")),
        *_model_problems(recipe),
        *_stage_problems(recipe),
        *_cycle_problems(recipe, known.get("prompt")),
        *_benchmark_problems(recipe, known.get("benchmark")),
    ]


def _source_problems(data: Mapping[str, Any], sources: Collection[str] | None) -> Iterator[Problem]:
    for name, spec in data.items():
        source = _mapping(spec).get("source")
        if not isinstance(source, str):
            continue
        if sources is not None and source not in {*sources, "shards"}:
            yield Problem(("data", name, "source"), _unknown("source", source, {*sources, "shards"}))
        if source == "shards" and not spec.get("path"):
            yield Problem(("data", name), "source `shards` needs `path`, the dataset's folder")


def _model_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    if not isinstance(recipe.get("model"), Mapping):
        return
    model = recipe["model"]
    parts = [key for key in ("vision", "language") if model.get(key)]
    if model.get("pretrained"):
        if parts:
            yield Problem(
                ("model", parts[0]), "give either `pretrained`, or `vision` and `language`, not both"
            )
        for key in _ASSEMBLING:
            default = ModelSpec.model_fields[key].default
            given = tuple(model[key]) if isinstance(model.get(key), list) else model.get(key, default)
            if given != default:
                yield Problem(("model", key), "`pretrained` has its own: leave this key out")
        if "align" in _mapping(recipe.get("stages")):
            yield Problem(
                ("stages", "align"),
                "alignment teaches a fresh projector; `model.pretrained` has a trained one: leave this stage out",
            )
    elif len(parts) < 2:
        missing = " and ".join(f"`{key}`" for key in ("vision", "language") if key not in parts)
        yield Problem(("model",), f"{missing} missing: give `vision` and `language`, or `pretrained`")
    elif model.get("visual_expert") is None:
        for name, stage in _mapping(recipe.get("stages")).items():
            if "visual_expert" in _sequence(_mapping(stage).get("train")):
                yield Problem(
                    ("stages", name, "train"), "no visual_expert there: set model.visual_expert to a rank"
                )


def _stage_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    stages, data = _mapping(recipe.get("stages")), _mapping(recipe.get("data"))
    named = [name for name in stages if name in STAGE_ORDER]
    for before, after in pairwise(named):
        if STAGE_ORDER.index(before) > STAGE_ORDER.index(after):
            yield Problem(
                ("stages", after), f"comes before stage {before!r}: write the stages in order of training"
            )
    for name, stage in stages.items():
        stage = _mapping(stage)
        for number, entry in enumerate(_sequence(stage.get("mixture"))):
            yield from _entry_problems(("stages", name, "mixture", number), _mapping(entry), data)
        yield from _training_problems(("stages", name), stage)


def _entry_problems(where: Where, entry: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _dataset_problems((*where, "dataset"), entry.get("dataset"), data)
    yield from _portion_problems(where, entry)
    text = entry.get("view", MixtureEntry.model_fields["view"].default)
    if not isinstance(text, str):
        return
    layers, problem = _layers_of(text)
    dataset = entry.get("dataset")
    brought = _layers_brought(dataset, data)
    if problem:
        yield Problem((*where, "view"), problem)
    elif extra := [layer for layer in layers if layer not in {"original", *brought}]:
        yield Problem(
            (*where, "view"),
            f"there is no layer {extra[0]!r} when VILA_0 is trained: write only(original) here, "
            "and in `cycle.view` how later rounds use their captions; "
            f"a layer written before is named under data.{dataset}.layers",
        )


def _portion_problems(where: Where, entry: Mapping[str, Any]) -> Iterator[Problem]:
    if entry.get("count") is not None and entry.get("weight", 1) != 1:
        yield Problem((*where, "count"), "give `weight` (passes) or `count` (samples), not both")
    ends = _sequence(entry.get("select"))
    if len(ends) == 2 and all(_number(end) for end in ends) and not 0 <= ends[0] < ends[1] <= 1:
        yield Problem((*where, "select"), f"{ends}: write [from, to] with 0 <= from < to <= 1")


def _training_problems(where: Where, stage: Mapping[str, Any]) -> Iterator[Problem]:
    parts = [part for part in _sequence(stage.get("train")) if isinstance(part, str)]
    twice = [part for part, count in Counter(parts).items() if count > 1]
    if twice:
        yield Problem((*where, "train"), f"names {twice[0]!r} twice")
    if (
        stage.get("lora") is not None
        and parts
        and ("language" not in parts or not {"vision", "visual_expert"}.isdisjoint(parts))
    ):
        yield Problem(
            (*where, "lora"),
            f"LoRA trains the language model, and the projector in full, but `train` is [{', '.join(parts)}]: "
            "write train: [projector, language] or [language]",
        )
    if stage.get("objective") == "words" and parts and parts != ["projector"]:
        yield Problem(
            (*where, "objective"),
            f"words aligns the projector without the language model, but `train` is [{', '.join(parts)}]: "
            "write train: [projector], or objective: text",
        )
    batch, device = stage.get("batch_size"), stage.get("device_batch_size")
    if _whole(batch) and _whole(device) and batch % device:
        yield Problem((*where, "device_batch_size"), f"{device} does not divide batch_size {batch}")
    if stage.get("pack_length") is not None and device is not None:
        yield Problem(
            (*where, "device_batch_size"),
            "leave it out: with pack_length a device takes one row of that many tokens at a time",
        )
    if stage.get("pack_length") is None and stage.get("pack_images") is not None:
        yield Problem((*where, "pack_images"), "needs pack_length, which packs samples into rows")


def _cycle_problems(recipe: Mapping[str, Any], prompts: Collection[str] | None) -> Iterator[Problem]:
    cycle, stages, data = (_mapping(recipe.get(key)) for key in ("cycle", "stages", "data"))
    for number, prompt in enumerate(_sequence(cycle.get("prompts"))):
        # Two words or more are a prompt's text; a single unknown one is a slip.
        if (
            prompts is not None
            and isinstance(prompt, str)
            and len(prompt.split()) == 1
            and prompt not in prompts
        ):
            yield Problem(("cycle", "prompts", number), _unknown("prompt", prompt, prompts))
    view = cycle.get("view", CycleSpec.model_fields["view"].default)
    recaption = cycle.get("recaption")
    if isinstance(view, str):
        yield from _cycle_view_problems(view, recaption, data)
    yield from _dataset_problems(("cycle", "recaption"), recaption, data)
    if cycle.get("captions", OWN) not in NO_DATASETS:
        named = {**{name: {} for name in NO_DATASETS}, **data}
        yield from _dataset_problems(("cycle", "captions"), cycle["captions"], named)
    yield from _saturation_problems(recipe)
    name = cycle.get("stage", CycleSpec.model_fields["stage"].default)
    if cycle.get("rounds") == 0 or not isinstance(name, str) or not stages:
        return
    if name not in stages:
        where = ("cycle", "stage") if "stage" in cycle else ("cycle",)
        yield Problem(where, _unknown("stage", name, stages))
    elif isinstance(recaption, str) and recaption in data:
        mixture = _sequence(_mapping(stages[name]).get("mixture"))
        if mixture and recaption not in [_mapping(entry).get("dataset") for entry in mixture]:
            yield Problem(
                ("cycle", "recaption"),
                f"{recaption!r} is not in the mixture of stage {name!r}, so nothing would learn from its new captions",
            )


def _saturation_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    spec = _mapping(recipe.get("cycle")).get("saturation")
    if spec is None:
        return
    measure = _mapping(spec).get("measure", SaturationSpec.model_fields["measure"].default)
    benchmarks = [_mapping(benchmark).get("name") for benchmark in _sequence(recipe.get("evaluate"))]
    if isinstance(measure, str) and (name := measure.partition("/")[0]) not in benchmarks:
        named = [benchmark for benchmark in benchmarks if isinstance(benchmark, str)]
        yield Problem(("cycle", "saturation", "measure"), _unknown("benchmark", name, named))


def _cycle_view_problems(view: str, recaption: Any, data: Mapping[str, Any]) -> Iterator[Problem]:
    if "{layer}" not in view:
        yield Problem(
            ("cycle", "view"), f"{view!r} does not use the newest layer: write concat(original,{{layer}})"
        )
        return
    layers, problem = _layers_of(view.replace("{layer}", "self-1"))
    if problem:
        yield Problem(("cycle", "view"), problem)
    brought = _layers_brought(recaption, data)
    for layer in layers:
        if isinstance(recaption, str) and layer not in {"original", "self-1", *brought}:
            yield Problem(
                ("cycle", "view"), _unknown(f"layer under data.{recaption}.layers:", layer, brought)
            )


def _benchmark_problems(recipe: Mapping[str, Any], kinds: Collection[str] | None) -> Iterator[Problem]:
    data, seen = _mapping(recipe.get("data")), set()
    for number, benchmark in enumerate(_sequence(recipe.get("evaluate"))):
        benchmark = _mapping(benchmark)
        yield from _dataset_problems(("evaluate", number, "dataset"), benchmark.get("dataset"), data)
        kind, name = benchmark.get("kind"), benchmark.get("name")
        if isinstance(kind, str) and kinds is not None and kind not in kinds:
            yield Problem(("evaluate", number, "kind"), _unknown("kind of benchmark", kind, kinds))
        if isinstance(name, str) and name in seen:
            yield Problem(("evaluate", number, "name"), f"two benchmarks are called {name!r}")
        seen |= {name} if isinstance(name, str) else set()


def _dataset_problems(where: Where, name: Any, data: Mapping[str, Any]) -> Iterator[Problem]:
    if isinstance(name, str) and data and name not in data:
        yield Problem(where, _unknown("dataset", name, data))


def _layers_brought(dataset: Any, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The layers that the recipe names for a dataset."""
    return _mapping(_mapping(data.get(dataset)).get("layers")) if isinstance(dataset, str) else {}


def _layers_of(view: str) -> tuple[tuple[str, ...], str]:
    """The layers of a view, and what is wrong with it."""
    from vila2.data.views import View

    try:
        return View.parse(view).layers, ""
    except DataError as error:
        return (), f"{error.what}; {error.mend}" if error.mend else error.what


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    return f"there is no {kind} {name!r}; {did_you_mean(name, known)}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
