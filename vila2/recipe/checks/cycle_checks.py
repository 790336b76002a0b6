"""Checks of the rounds, the specialists and the merge of a recipe, before hours of work would be lost.

They read raw values, as :mod:`vila2.recipe.checks.across` does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vila2.recipe.checks.learning import (
    cycle_setting,
    is_merged,
    learning_problems,
    number_of_rounds,
    recaptioned,
)
from vila2.recipe.checks.problems import (
    Problem,
    dataset_problems,
    layers_brought,
    layers_of,
    mapping,
    range_problems,
    sequence,
    unknown,
)
from vila2.recipe.parts.cycle import (
    MERGED,
    MORE_SFT,
    NO_DATASETS,
    OWN,
    SHUFFLED,
    PreferenceSpec,
    SaturationSpec,
)
from vila2.recipe.parts.specialists import INTO_SFT, MergeSpec


def cycle_problems(recipe: Mapping[str, Any], prompts: Collection[str] | None) -> Iterator[Problem]:
    """The problems of ``cycle``, ``specialists`` and ``merge``.

    Args:
        recipe: raw recipe, with the defaults of its stages.
        prompts: names of the shipped prompts; None: names are not checked.
    """
    cycle, data = mapping(recipe.get("cycle")), mapping(recipe.get("data"))
    for number, prompt in enumerate(sequence(cycle.get("prompts"))):
        # Two words or more are a prompt's text; a single unknown word is a mistake.
        if (
            prompts is not None
            and isinstance(prompt, str)
            and len(prompt.split()) == 1
            and prompt not in prompts
        ):
            yield Problem(("cycle", "prompts", number), unknown("prompt", prompt, prompts))
    yield from dataset_problems(("cycle", "recaption"), cycle.get("recaption"), data)
    if cycle.get("captions", OWN) not in NO_DATASETS:
        named = {**{name: {} for name in NO_DATASETS}, **data}
        yield from dataset_problems(("cycle", "captions"), cycle["captions"], named)
    yield from _cycle_view_problems(recipe)
    yield from _saturation_problems(recipe)
    yield from _repetition_problems(recipe)
    yield from _choice_problems(recipe)
    yield from _preference_problems(recipe)
    yield from learning_problems(recipe)
    yield from _specialist_problems(recipe)
    yield from _merge_problems(recipe)


def _cycle_view_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    view, dataset = cycle_setting(recipe, "view"), recaptioned(recipe)
    if not isinstance(view, str):
        return
    if "{layer}" not in view:
        yield Problem(
            ("cycle", "view"), f"{view!r} does not use the newest layer: write concat(original,{{layer}})"
        )
        return
    layers, problem = layers_of(view.replace("{layer}", "self-1"))
    if problem:
        yield Problem(("cycle", "view"), problem)
    brought = layers_brought(dataset, mapping(recipe.get("data")))
    for layer in layers:
        if isinstance(dataset, str) and layer not in {"original", "self-1", *brought}:
            yield Problem(("cycle", "view"), unknown(f"layer under data.{dataset}.layers:", layer, brought))


def _saturation_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    spec = mapping(recipe.get("cycle")).get("saturation")
    if spec is None:
        return
    measure = mapping(spec).get("measure", SaturationSpec.model_fields["measure"].default)
    benchmarks = [mapping(benchmark).get("name") for benchmark in sequence(recipe.get("evaluate"))]
    if isinstance(measure, str) and (name := measure.partition("/")[0]) not in benchmarks:
        named = [benchmark for benchmark in benchmarks if isinstance(benchmark, str)]
        yield Problem(("cycle", "saturation", "measure"), unknown("benchmark", name, named))


def _repetition_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems with captions that are the same in every round, because their writer does not learn."""
    rounds, captions = number_of_rounds(recipe), cycle_setting(recipe, "captions")
    captioner = cycle_setting(recipe, "captioner")
    given = isinstance(captions, str) and captions not in NO_DATASETS
    if rounds > 1 and (captioner or given):
        key, who = ("captions", captions) if given else ("captioner", captioner)
        yield Problem(
            ("cycle", key),
            f"{who} gives the same captions in all of {rounds} rounds, so they would train the same model: "
            "write rounds: 1",
        )


def _choice_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    choose, attempts = cycle_setting(recipe, "choose"), cycle_setting(recipe, "attempts")
    if choose != "attempts" and attempts != 1:
        yield Problem(("cycle", "attempts"), f"choose: {choose} takes `samples` captions: leave attempts out")
    merge = mapping(recipe.get("merge"))
    if choose == "verified" and not is_merged(recipe):
        yield Problem(("cycle", "choose"), "verified needs specialists, and specialist_data: merged")
    elif choose == "verified" and (merge.get("base") or merge.get("arm") == "append"):
        yield Problem(
            ("cycle", "choose"),
            "verified writes the captions that join the merge: leave out merge.base and arm: append",
        )


def _preference_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    spec = mapping(mapping(recipe.get("cycle")).get("preference"))
    by = spec.get("by", PreferenceSpec.model_fields["by"].default)
    if by != "agreement" and not mapping(recipe.get("specialists")):
        yield Problem(
            ("cycle", "preference", "by"), f"{by} needs specialists, whose findings refute captions"
        )


def _specialist_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    for plugin, use in mapping(recipe.get("specialists")).items():
        yield from range_problems(("specialists", plugin, "select"), mapping(use).get("select"))
    how, stages = recipe.get("specialist_data"), mapping(recipe.get("stages"))
    given = []
    if is_merged(recipe) and how in (*INTO_SFT, "more-sft"):
        given.append(f"specialist_data: {how}")
    if number_of_rounds(recipe) and cycle_setting(recipe, "captions") == MORE_SFT:
        given.append(f"cycle.captions: {MORE_SFT}")
    last = list(stages)[-1] if stages else ""
    if given and mapping(stages.get(last)).get("max_steps") is not None:
        yield Problem(
            ("stages", last, "max_steps"),
            f"{given[0]} makes this stage so much longer that it takes the tokens of the captions: "
            "give it epochs in place of max_steps",
        )


def _merge_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    merge = mapping(recipe.get("merge"))
    view, base = merge.get("view", MergeSpec.model_fields["view"].default), merge.get("base")
    layers: tuple[str, ...] = ()
    if isinstance(view, str) and "{layer}" not in view:
        yield Problem(("merge", "view"), f"{view!r} does not use the merged layer: write dialogue({{layer}})")
    elif isinstance(view, str):
        layers, problem = layers_of(view.replace("{layer}", MERGED))
        if problem:
            yield Problem(("merge", "view"), problem)
    if not is_merged(recipe):
        return
    there = [*_written_layers(recipe), *layers_brought(recaptioned(recipe), mapping(recipe.get("data")))]
    if isinstance(base, str) and base not in there:
        yield Problem(("merge", "base"), unknown("self layer", base, there))
    there += mapping(recipe.get("specialists"))
    for layer in layers:
        if layer not in {"original", MERGED, *there}:
            yield Problem(("merge", "view"), unknown("layer", layer, there))


def _written_layers(recipe: Mapping[str, Any]) -> list[str]:
    """The layers that the rounds write if none is left out."""
    captions = cycle_setting(recipe, "captions")
    kind = "shuffled" if captions == SHUFFLED else "self" if captions in NO_DATASETS else "given"
    return [f"{kind}-{round}" for round in range(1, number_of_rounds(recipe) + 1)]
