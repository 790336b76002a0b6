"""Checks across the parts of a recipe: names exist, views parse, stages are in order.

:mod:`vila2.recipe.checks.cycle_checks` checks the rounds, the specialists and the merge.

The checks read raw values, so that one misspelled key does not hide other problems. They skip values of a
wrong type, because the recipe's types report those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from vila2.nearest import did_you_mean
from vila2.recipe.checks.cycle_checks import cycle_problems
from vila2.recipe.checks.problems import (
    Problem,
    Where,
    dataset_problems,
    is_whole,
    layers_brought,
    layers_of,
    mapping,
    range_problems,
    sequence,
    unknown,
)
from vila2.recipe.parts.data import MixtureEntry
from vila2.recipe.parts.model import ModelSpec
from vila2.recipe.parts.stage import with_stage_defaults

#: The order in which the named stages make sense (paper section 3).
STAGE_ORDER = ("align", "pretrain", "sft")
#: Settings of a model that is assembled from parts; an existing VLM has its own.
_ASSEMBLING = ("projector", "vision_feature_layer", "max_tiles", "s2_scales", "visual_expert")


#: Function that lists the options of a source by its name; it returns None if they are not known.
Options = Callable[[str], Collection[str] | None]


def cross_problems(
    raw: Any, known: Mapping[str, Collection[str]] | None = None, options: Options | None = None
) -> list[Problem]:
    """All problems between the parts of a raw recipe.

    Args:
        raw: plain values of the recipe.
        known: names that exist outside the recipe, by kind: ``source``, ``prompt``, ``benchmark``,
            ``engine``, ``plugin`` and ``builtin`` (shipped models); kinds that are absent are not checked.
        options: function that lists a source's options; without it, options are not checked.
    """
    recipe = mapping(with_stage_defaults(raw))
    known = known or {}
    return [
        *_source_problems(recipe, known.get("source"), options),
        *_model_problems(recipe),
        *_stage_problems(recipe),
        *cycle_problems(recipe, known.get("prompt")),
        *_benchmark_problems(recipe, known.get("benchmark")),
        *_name_problems(recipe, known),
    ]


def _name_problems(recipe: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> Iterator[Problem]:
    """Problems with the names of engines, plugins and shipped models."""
    if (engines := known.get("engine")) is not None:
        holders = ["cycle"]
        if recipe.get("specialists") and mapping(recipe.get("merge")).get("writer") == "model":
            holders.append("merge")
        for holder in holders:
            chosen = mapping(recipe.get(holder)).get("engine")
            name = chosen.get("name") if isinstance(chosen, Mapping) else chosen
            if isinstance(name, str) and name not in engines:
                yield Problem((holder, "engine"), unknown("engine", name, engines))
    if (plugins := known.get("plugin")) is not None:
        named: list[tuple[Where, Any]] = [
            (("specialists", name), name) for name in mapping(recipe.get("specialists"))
        ]
        named += [(("plugins", number), name) for number, name in enumerate(sequence(recipe.get("plugins")))]
        for where, name in named:
            if isinstance(name, str) and name not in plugins:
                hint = did_you_mean(name, plugins) if plugins else "none is installed"
                what = f"no plugin {name!r} is installed; {hint}, or `pip install` its package"
                yield Problem(where, what.replace("?, or", "? Or"))
    if (shipped := known.get("builtin")) is not None:
        for key, name in mapping(recipe.get("model")).items():
            if isinstance(name, str) and name.startswith("builtin:") and name not in shipped:
                yield Problem(("model", key), unknown("shipped model", name, shipped))


def _source_problems(
    recipe: Mapping[str, Any], sources: Collection[str] | None, options: Options | None
) -> Iterator[Problem]:
    places: list[tuple[Where, Any]] = [
        (("data", name), spec) for name, spec in mapping(recipe.get("data")).items()
    ]
    for name, use in mapping(recipe.get("specialists")).items():
        places.append((("specialists", name, "data"), mapping(use).get("data")))
    for where, spec in places:
        source = mapping(spec).get("source")
        if not isinstance(source, str):
            continue
        unread = {"shards", "path"} if where[0] == "specialists" else {"shards"}
        if sources is not None and source not in {*sources, *unread}:
            yield Problem((*where, "source"), unknown("source", source, {*sources, *unread}))
            continue
        if source in unread and not spec.get("path"):
            yield Problem(where, f"source `{source}` needs `path`, the dataset's folder")
        known = options(source) if options is not None and source not in unread else None
        if known is None:
            continue
        for option in mapping(spec.get("options")):
            if option not in known:
                what = unknown(f"option of source {source!r}:", option, known)
                yield Problem((*where, "options", option), what)


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
        if "align" in mapping(recipe.get("stages")):
            yield Problem(
                ("stages", "align"),
                "alignment teaches a fresh projector; `model.pretrained` has a trained one: leave this stage "
                "out",
            )
    elif len(parts) < 2:
        missing = " and ".join(f"`{key}`" for key in ("vision", "language") if key not in parts)
        yield Problem(("model",), f"{missing} missing: give `vision` and `language`, or `pretrained`")
    elif model.get("visual_expert") is None:
        for name, stage in mapping(recipe.get("stages")).items():
            if "visual_expert" in sequence(mapping(stage).get("train")):
                yield Problem(
                    ("stages", name, "train"), "no visual_expert there: set model.visual_expert to a rank"
                )


def _stage_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    stages, data = mapping(recipe.get("stages")), mapping(recipe.get("data"))
    named = [name for name in stages if name in STAGE_ORDER]
    for before, after in pairwise(named):
        if STAGE_ORDER.index(before) > STAGE_ORDER.index(after):
            yield Problem(
                ("stages", after), f"comes before stage {before!r}: write the stages in order of training"
            )
    for name, stage in stages.items():
        stage = mapping(stage)
        for number, entry in enumerate(sequence(stage.get("mixture"))):
            yield from _entry_problems(("stages", name, "mixture", number), mapping(entry), data)
        yield from training_problems(("stages", name), stage)


def _entry_problems(where: Where, entry: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[Problem]:
    yield from dataset_problems((*where, "dataset"), entry.get("dataset"), data)
    yield from portion_problems(where, entry)
    text = entry.get("view", MixtureEntry.model_fields["view"].default)
    if not isinstance(text, str):
        return
    layers, problem = layers_of(text)
    dataset = entry.get("dataset")
    brought = layers_brought(dataset, data)
    if problem:
        yield Problem((*where, "view"), problem)
    elif extra := [layer for layer in layers if layer not in {"original", *brought}]:
        yield Problem(
            (*where, "view"),
            f"there is no layer {extra[0]!r} when VILA_0 is trained: write only(original) here, "
            "and in `cycle.view` how later rounds use their captions; "
            f"a layer written before is named under data.{dataset}.layers",
        )


def portion_problems(where: Where, entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems with the amount of a dataset in a mixture: given twice, or as an impossible range."""
    if entry.get("count") is not None and entry.get("weight", 1) != 1:
        yield Problem((*where, "count"), "give `weight` (passes) or `count` (samples), not both")
    yield from range_problems((*where, "select"), entry.get("select"))


def training_problems(where: Where, stage: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems between the settings of one stage."""
    parts = [part for part in sequence(stage.get("train")) if isinstance(part, str)]
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
            "LoRA trains the language model, and the projector in full, but `train` is "
            f"[{', '.join(parts)}]: write train: [projector, language] or [language], or lora: null to train "
            "without adapters",
        )
    if stage.get("objective") == "words" and parts and parts != ["projector"]:
        yield Problem(
            (*where, "objective"),
            f"words aligns the projector without the language model, but `train` is [{', '.join(parts)}]: "
            "write train: [projector], or objective: text",
        )
    yield from _preference_problems(where, stage)
    batch, device = stage.get("batch_size"), stage.get("device_batch_size")
    if is_whole(batch) and is_whole(device) and batch % device:
        yield Problem((*where, "device_batch_size"), f"{device} does not divide batch_size {batch}")
    if stage.get("pack_length") is not None and device is not None:
        yield Problem(
            (*where, "device_batch_size"),
            "leave it out: with pack_length a device takes one row of that many tokens at a time",
        )
    if stage.get("pack_length") is None and stage.get("pack_images") is not None:
        yield Problem((*where, "pack_images"), "needs pack_length, which packs samples into rows")


def _preference_problems(where: Where, stage: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems with pairs of answers, and with the objective that alone can use them."""
    views = [mapping(entry).get("view") for entry in sequence(stage.get("mixture"))]
    paired = [number for number, view in enumerate(views) if isinstance(view, str) and _is_pairs(view)]
    prefers = stage.get("objective") == "preference"
    if paired and not prefers:
        yield Problem(
            (*where, "mixture", paired[0], "view"),
            "shows worse answers too, which only `objective: preference` does not teach",
        )
    if not prefers:
        return
    if not paired:
        yield Problem((*where, "mixture"), "objective: preference needs an entry with the view pairs(LAYER)")
    if stage.get("pack_length") is not None:
        yield Problem(
            (*where, "pack_length"),
            "leave it out: objective: preference compares answers one by one, in padded batches",
        )
    if stage.get("liger"):
        yield Problem((*where, "liger"), "leave it out: objective: preference reads the likelihoods of words")


def _is_pairs(view: str) -> bool:
    return view.strip().partition("(")[0].strip() == "pairs"


def _benchmark_problems(recipe: Mapping[str, Any], kinds: Collection[str] | None) -> Iterator[Problem]:
    data, seen = mapping(recipe.get("data")), set()
    for number, benchmark in enumerate(sequence(recipe.get("evaluate"))):
        benchmark = mapping(benchmark)
        yield from dataset_problems(("evaluate", number, "dataset"), benchmark.get("dataset"), data)
        kind, name = benchmark.get("kind"), benchmark.get("name")
        if isinstance(kind, str) and kinds is not None and kind not in kinds:
            yield Problem(("evaluate", number, "kind"), unknown("kind of benchmark", kind, kinds))
        if isinstance(name, str) and name in seen:
            yield Problem(("evaluate", number, "name"), f"two benchmarks are called {name!r}")
        seen |= {name} if isinstance(name, str) else set()
