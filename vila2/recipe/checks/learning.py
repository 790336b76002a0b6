"""Checks that new captions are trained on: which images get them, which are trained on, and in what view.

The checks read raw values, as :mod:`vila2.recipe.checks.across` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vila2.recipe.checks.problems import (
    Problem,
    is_number,
    layers_brought,
    layers_of,
    mapping,
    range_of,
    sequence,
    unknown,
)
from vila2.recipe.parts.cycle import CycleSpec, part_of
from vila2.recipe.parts.data import MixtureEntry

#: Range [from, to] in the order of keys by hash, within 0 to 1.
Range = tuple[float, float]

_WHOLE: Range = (0.0, 1.0)
_VIEW = MixtureEntry.model_fields["view"].default


def cycle_setting(recipe: Mapping[str, Any], name: str) -> Any:
    """A setting of ``cycle``, or its default."""
    return mapping(recipe.get("cycle")).get(name, CycleSpec.model_fields[name].default)


def number_of_rounds(recipe: Mapping[str, Any]) -> int:
    """The number of rounds at most."""
    rounds = cycle_setting(recipe, "rounds")
    return rounds if isinstance(rounds, int) and rounds > 0 else 0


def is_merged(recipe: Mapping[str, Any]) -> bool:
    """Whether the specialists' answers are merged; with ``share`` they are trained on by themselves."""
    return bool(mapping(recipe.get("specialists"))) and recipe.get("specialist_data") != "share"


def recaptioned(recipe: Mapping[str, Any]) -> Any:
    """The dataset to recaption: the one that ``cycle`` names, or the first of the stage."""
    if named := cycle_setting(recipe, "recaption"):
        return named
    stages = mapping(recipe.get("stages"))
    mixture = sequence(mapping(_stage(recipe) or next(iter(stages.values()), None)).get("mixture"))
    return mapping(mixture[0]).get("dataset") if mixture else None


def sees_the_original_alone(view: Any) -> bool:
    """Whether a view shows only the human text; in the cycle's stage, new captions join it there."""
    return isinstance(view, str) and layers_of(view)[0] == ("original",)


def within(part: Range, select: Range) -> Range:
    """A range within a range: [0, 0.5] of the images from 0.2 to 0.6 is those from 0.2 to 0.4."""
    low, high = part
    start, end = (low * (1 - place) + high * place for place in select)  # exact at both ends
    return start, end


def learning_problems(recipe: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems that keep the cycle's stage from training on the new captions."""
    stages, data, cycle = (mapping(recipe.get(key)) for key in ("stages", "data", "cycle"))
    name, dataset = cycle_setting(recipe, "stage"), recaptioned(recipe)
    if not (number_of_rounds(recipe) or recipe.get("specialists")) or not isinstance(name, str) or not stages:
        return
    if name not in stages:
        yield Problem(("cycle", "stage") if "stage" in cycle else ("cycle",), unknown("stage", name, stages))
        return
    mixture = [mapping(entry) for entry in sequence(mapping(stages[name]).get("mixture"))]
    entries = [entry for entry in mixture if entry.get("dataset") == dataset]
    if not mixture or not isinstance(dataset, str) or dataset not in data:
        return
    if not number_of_rounds(recipe) and not is_merged(recipe):
        return  # the specialists' answers are trained on by themselves
    if not entries:
        yield Problem(
            ("cycle", "recaption"),
            f"{dataset!r} is not in the mixture of stage {name!r}, so nothing would learn from its new "
            "captions",
        )
    elif learning := _learning(recipe):
        yield from _overlap_problems(recipe, learning)
    elif not any(_is_wrong(entry, {"original", *layers_brought(dataset, data)}) for entry in entries):
        yield Problem(
            ("stages", name, "mixture"),
            f"no entry of {dataset!r} sees the original alone, and only there new captions join it: "
            "write view: only(original) in one of them",
        )


def captions_in_vain(recipe: Mapping[str, Any]) -> float:
    """The share of the recaptioned images whose captions are not trained on, as far as the recipe tells.

    Args:
        recipe: plain values of a valid recipe.

    Returns:
        Share within 0 to 1. It is 0 too if no round writes captions, or if an entry has a ``count``, because
        then it depends on the data.
    """
    entries, part = _learning(recipe), _part(recipe)
    if not number_of_rounds(recipe) or not part or any(entry.get("count") for entry in entries):
        return 0.0
    reached, trained = part[0], 0.0
    for low, high in sorted(map(_trained_range, entries)):
        low, high = max(low, reached), min(high, part[1])
        trained, reached = trained + max(0.0, high - low), max(reached, high)
    return round(1 - trained / (part[1] - part[0]), 9)  # ranges that touch leave less than that


def _stage(recipe: Mapping[str, Any]) -> Any:
    name = cycle_setting(recipe, "stage")
    return mapping(recipe.get("stages")).get(name) if isinstance(name, str) else None


def _learning(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of the cycle's stage that new captions reach."""
    entries = [mapping(entry) for entry in sequence(mapping(_stage(recipe)).get("mixture"))]
    own = [entry for entry in entries if entry.get("dataset") == recaptioned(recipe)]
    return [entry for entry in own if sees_the_original_alone(entry.get("view", _VIEW))]


def _is_wrong(entry: Mapping[str, Any], known: set[str]) -> bool:
    """Whether another check reports the view of an entry."""
    view = entry.get("view", _VIEW)
    layers, problem = layers_of(view) if isinstance(view, str) else ((), "no text")
    return bool(problem) or not known.issuperset(layers)


def _overlap_problems(recipe: Mapping[str, Any], learning: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """Problems with images that get captions but are not trained on."""
    part, ranges = _part(recipe), [_trained_range(entry) for entry in learning]
    trained = " and ".join(_written(one) for one in ranges)
    if part is None:
        return
    if not any(_overlap(part, one) for one in ranges):
        yield Problem(
            ("cycle", "share"),
            f"captions would be written about the images {_written(part)}, and {trained} are trained on: "
            f"none of them would get one; write share: {_written(ranges[0])}",
        )
        return
    for plugin, use in mapping(recipe.get("specialists")).items() if is_merged(recipe) else ():
        select = range_of(mapping(use).get("select", _WHOLE))
        if select and not any(_overlap(asked := within(part, select), one) for one in ranges):
            yield Problem(
                ("specialists", plugin, "select"),
                f"it would annotate the images {_written(asked)}, and {trained} are trained on: select "
                "some of these",
            )


def _part(recipe: Mapping[str, Any]) -> Range | None:
    """The range of images to recaption; None if it is no range, which another check reports."""
    share = cycle_setting(recipe, "share")
    return range_of([0, share] if is_number(share) else share) and part_of(share)


def _trained_range(entry: Mapping[str, Any]) -> Range:
    """The range of an entry's samples; with a count, the samples are at its beginning."""
    low, high = range_of(entry.get("select", _WHOLE)) or _WHOLE
    weight = entry.get("weight", 1.0)
    if is_number(weight) and 0 < weight < 1 and entry.get("count") is None:
        return within((low, high), (0.0, weight))
    return low, high


def _overlap(one: Range, other: Range) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _written(part: Range) -> str:
    return f"[{part[0]:g}, {part[1]:g}]"
