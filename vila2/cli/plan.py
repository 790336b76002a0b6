"""``vila2 plan``: what a recipe costs on other hardware."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vila2.cli.amounts import byte_size
from vila2.cli.options import AsJson
from vila2.cli.tables import show_table
from vila2.errors import RecipeError

if TYPE_CHECKING:
    from vila2.cycle.planning import Workload
    from vila2.recipe.recipe import Recipe

#: Name that stands for all datasets that are not named.
_OTHERS = "others"
#: Tokens of a sample beside those of its image, where nothing tells.
_TEXT_TOKENS = 100
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9}


def plan(
    recipe: Annotated[Path, typer.Argument(help="Recipe, a YAML file.", show_default=False)],
    hardware: Annotated[
        str, typer.Option("--hardware", metavar="COUNTxGPU", help="GPUs: A100, H100, H200, L40S or B200.")
    ] = "8xH100",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "--parameters",
            metavar="PART=COUNT",
            help="Parameters of vision or language, such as language=6.7B, for models that are not here.",
            show_default=False,
        ),
    ] = None,
    image_tokens: Annotated[
        int | None,
        typer.Option("--image-tokens", min=1, help="Tokens of an image; by default as the model says."),
    ] = None,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            "--samples",
            metavar="DATASET=COUNT",
            help="Samples of a dataset that is not here, such as coyo=25M; others=50K is for all not named.",
            show_default=False,
        ),
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            "--tokens",
            metavar="DATASET=COUNT",
            help="Tokens of a sample of a dataset, images included; by default an image and 100.",
            show_default=False,
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            "--images", help="Images to recaption; by default the samples of the recaptioned dataset."
        ),
    ] = None,
    answer_tokens: Annotated[int, typer.Option("--answer-tokens", min=1, help="Tokens of a caption.")] = 150,
    image_bytes: Annotated[int, typer.Option("--image-bytes", min=1, help="Bytes of an image.")] = 60_000,
    price: Annotated[
        float | None,
        typer.Option("--price", min=0, help="US dollars of a GPU hour; by default an assumption of 2026-12."),
    ] = None,
    utilization: Annotated[
        float,
        typer.Option("--utilization", min=0.01, max=1, help="Share of the GPUs' speed that training has."),
    ] = 0.4,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Plan a recipe on other hardware: GPU hours, wall time, money and storage of each step.

    Nothing is run, and neither data nor models need be here: --samples and --parameters tell what is not.
    docs/scale.md says how it counts, and how far it is right.
    """
    from vila2.api.recipes import read_recipe
    from vila2.cycle.planning import Hardware, plan_recipe

    loaded, machines = read_recipe(recipe, overrides or []), Hardware.parse(hardware)
    told = {
        "--parameters": _counts("--parameters", parameters),
        "--samples": _counts("--samples", samples),
        "--tokens": _counts("--tokens", tokens),
    }
    number = None if images is None else _count("--images", images)
    work = _workload(loaded, told, image_tokens, number, image_bytes)
    steps = plan_recipe(
        loaded, work, machines, price=price, utilization=utilization, answer_tokens=answer_tokens
    )
    total = {
        "gpu_hours": sum(step.gpu_hours for step in steps),
        "hours": sum(step.hours for step in steps),
        "dollars": sum(step.dollars for step in steps),
        "bytes": sum(step.bytes for step in steps),
    }
    if as_json:
        typer.echo(json.dumps({"steps": [step.to_json() for step in steps], "total": total}))
        return
    data = [step for step in steps if step.operations is None and not step.hours]
    stored = sum(step.bytes for step in data)
    rows = [["data", f"{sum(step.samples for step in data):,}", "", "", "", byte_size(stored), data[0].basis]]
    rows += [
        [step.name, f"{step.samples:,}", *_amounts(asdict(step)), step.basis]
        for step in steps
        if step not in data
    ]
    rows.append(["together", "", *_amounts(total), ""])
    show_table(["step", "samples", "GPU hours", "hours", "dollars", "stored", "basis"], rows)


def _amounts(of: Mapping[str, Any]) -> list[str]:
    hours = [_hours(of["gpu_hours"]), _hours(of["hours"])]
    return [*hours, f"{of['dollars']:,.0f}", byte_size(of["bytes"])]


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}"


def _workload(
    recipe: Recipe,
    told: dict[str, dict[str, int]],
    image_tokens: int | None,
    images: int | None,
    image_bytes: int,
) -> Workload:
    """What is known of a recipe's data and model, on this machine or as told."""
    from vila2.cycle.planning import Workload

    parameters = told["--parameters"]
    if not {"vision", "language"} <= parameters.keys() or image_tokens is None:
        from vila2.cycle.preflight.recipe_preflight import model_in_outline
        from vila2.train.estimate import Sizes

        model, processor = model_in_outline(recipe)
        parameters = Sizes.of(model).parameters | parameters
        if image_tokens is None:
            from vila2.engine.expected_length import ExpectedLengths

            image_tokens = ExpectedLengths(processor).of_size((1024, 768))
    used = {entry.dataset for stage in recipe.stages.values() for entry in stage.mixture}
    for option in ("--samples", "--tokens"):
        if unknown := told[option].keys() - {*used, _OTHERS}:
            hint = f"one of {', '.join(sorted(used))}"
            raise RecipeError(f"{option} {min(unknown)}: no stage reads this dataset", hint=hint)
    counts, lengths = told["--samples"], told["--tokens"]
    counted = {name: counts.get(name) or _samples_here(recipe, name, counts) for name in sorted(used)}
    usual = lengths.get(_OTHERS, image_tokens + _TEXT_TOKENS)
    return Workload(
        parameters={"projector": 0, **parameters},
        image_tokens=image_tokens,
        samples=counted,
        tokens={name: lengths.get(name, usual) for name in used},
        images=images or counted.get(recipe.recaptioned, 0),
        image_bytes=image_bytes,
        value_bytes=4 if recipe.model.dtype == "float32" else 2,
    )


def _samples_here(recipe: Recipe, name: str, told: Mapping[str, int]) -> int:
    """The number of samples of a dataset as the recipe or its folder says, else as told of the others."""
    from vila2.cycle.preflight.recipe_preflight import expected_size
    from vila2.errors import DataError

    hint = f"tell it with --samples {name}=COUNT, such as {name}=25M, or --samples {_OTHERS}=COUNT"
    try:
        count = expected_size(recipe.data[name])
        what = f"the number of samples of {name!r} is known only once it is read"
    except DataError as error:
        count, what = "all", f"the number of samples of {name!r} is not known here ({error.what})"
    if isinstance(count, int):
        return count
    if _OTHERS in told:
        return told[_OTHERS]
    raise RecipeError(what, hint=hint)


def _counts(option: str, given: list[str] | None) -> dict[str, int]:
    counts = {}
    for text in given or ():
        name, equals, count = text.partition("=")
        if not equals:
            raise RecipeError(f"{option} {text}: not of the form NAME=COUNT", hint=f"{option} NAME=25M")
        counts[name] = _count(f"{option} {name}", count)
    return counts


def _count(option: str, text: str) -> int:
    """A number such as 25M or 6.7B."""
    unit = text[-1:].upper() if text[-1:].isalpha() else ""
    try:
        value = float(text[: len(text) - len(unit)]) * _UNITS[unit]
        if not 1 <= value < 1e15:
            raise ValueError
        return round(value)
    except (ValueError, KeyError):
        raise RecipeError(
            f"{option}: {text!r} is no number", hint="for example 25M, 6.7B or 595000"
        ) from None
