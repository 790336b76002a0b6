"""The results of a finished run: the typed form of RUN/results.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from vila2.data.parsing import described
from vila2.errors import DataError
from vila2.report.merge_result import MergeResult
from vila2.report.value import Number, Value

Unit = Literal["share", "percent", "words", "score", "count"]

# Named in errors before the list is cut: one wrong writer makes the same mistake in every row.
_SHOWN_PROBLEMS = 8


class RecipeText(Value):
    """The recipe as run.

    Attributes:
        name: name of the recipe.
        seed: seed of everything random.
        text: the whole recipe as YAML, overrides applied.
    """

    name: str
    seed: int
    text: str = ""


class ShownMeasure(Value):
    """One number with its 95% interval.

    Attributes:
        benchmark, name: together they name the measure.
        value, low, high: in ``unit``; None where nothing could be measured (0 of 0).
        count: items measured.
        unit: "share" (0..1, shown as percent), "percent" (0..100), "words", "score" or "count".
        higher_is_better: None where neither direction is good in itself (length).
        baseline: score of the best answer that ignores the image; None where there is none.
    """

    benchmark: str
    name: str
    value: Number
    low: Number
    high: Number
    count: int = Field(ge=0)
    unit: Unit = "share"
    higher_is_better: bool | None = True
    baseline: Number = None


class StageResult(Value):
    """One trained stage.

    Attributes:
        name: "align", "pretrain", "sft", ...
        trained: trained parts of the model, e.g. ("projector",).
        parameters_trained, samples, steps: numbers of each.
        tokens: number of tokens read, padding and images included; 0 where unknown.
        loss: (step, loss) as logged; None where it was not finite.
    """

    name: str
    trained: tuple[str, ...] = ()
    parameters_trained: int = Field(0, ge=0)
    samples: int = Field(0, ge=0)
    steps: int = Field(0, ge=0)
    tokens: int = Field(0, ge=0)
    loss: tuple[tuple[int, Number], ...] = ()


class ModelResult(Value):
    """VILA_i: how it was trained and what it scores."""

    name: str
    round: int = Field(ge=0)
    stages: tuple[StageResult, ...] = ()
    measures: tuple[ShownMeasure, ...] = ()


class Change(Value):
    """The paired difference between two models on one measure, ``to`` minus ``from_`` (JSON: ``from``).

    Attributes:
        difference, low, high: difference and the 95% interval of a paired bootstrap, in the measure's unit.
    """

    benchmark: str
    name: str
    from_: str = Field(alias="from")
    to: str
    difference: Number
    low: Number
    high: Number

    @property
    def direction(self) -> int:
        """1 if it rose, -1 if it fell, 0 if the interval includes zero and so it cannot be told."""
        if self.low is None or self.high is None:
            return 0
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


class RoundGain(Value):
    """What a round gained over the one before it, and whether that is enough (:mod:`vila2.cycle.saturation`).

    Attributes:
        gain, low, high: gain in points, with its paired 95% interval.
        delta: smallest gain that counts.
        items_needed: number of items that would decide, where ``answer`` is "undecided".
    """

    round: int = Field(ge=1)
    measure: str
    gain: float
    low: float
    high: float
    delta: float
    answer: Literal["saturated", "improving", "undecided"]
    items: int
    items_needed: int | None = None


class LayerResult(Value):
    """The captions of one layer over the training images.

    Attributes:
        written_by: model that wrote the captions; None for the original text.
        captions: number of captions.
        words_mean, words_sd: words per caption (paper: Table 1, "Avg #Words").
        status: number of captions by status ("ok", "truncated", ...).
        measures: measures of the captions, where the truth is known.
    """

    name: str
    written_by: str | None = None
    captions: int = Field(ge=0)
    words_mean: Number
    words_sd: Number
    status: Mapping[str, int] = Field(default_factory=dict)
    measures: tuple[ShownMeasure, ...] = ()


class ClaimMark(Value):
    """One checked statement: characters ``start`` to ``end`` (exclusive) of a caption's text."""

    kind: Literal["object", "attribute", "relation", "text", "count"]
    start: int
    end: int
    status: Literal["supported", "contradicted", "unverified"]
    detail: str = ""
    subject: str = ""


class Caption(Value):
    """What one layer says about an image."""

    layer: str
    prompt: str | None = None
    text: str
    status: str = "ok"
    claims: tuple[ClaimMark, ...] = ()


class Example(Value):
    """An image with the captions of every round.

    Attributes:
        image: a ``data:`` URI and nothing else, since the page loads nothing from outside.
        truth: truth about the image, if it is known in words.
    """

    key: str
    image: str | None = Field(None, pattern=r"^data:image/[a-z0-9.-]+;base64,[A-Za-z0-9+/=]*$")
    truth: str | None = None
    captions: tuple[Caption, ...] = ()


class Results(Value):
    """Everything the page shows; sections that are missing or empty are left out of the page.

    Attributes:
        title: heading of the page.
        recipe: recipe as run.
        vila2_version: version that ran it.
        models: VILA_0, VILA_1, ... in order, then the controls.
        changes: paired differences between models.
        gains: gain of every round, where the recipe says when to stop.
        best: model that goes on after the rounds.
        layers: the original text, then each round's captions.
        merge: merge of these layers, where specialists take part.
        published: models on published benchmarks, which were run apart.
        examples: images with the captions of each round.
        examples_title: heading of the examples.
        notes: sentences on the limits of the run, e.g. what the shipped parts were taught.
    """

    title: str
    recipe: RecipeText
    vila2_version: str
    models: tuple[ModelResult, ...] = ()
    changes: tuple[Change, ...] = ()
    gains: tuple[RoundGain, ...] = ()
    best: str | None = None
    layers: tuple[LayerResult, ...] = ()
    merge: MergeResult | None = None
    published: tuple[ModelResult, ...] = ()
    examples: tuple[Example, ...] = ()
    examples_title: str = "The captions of each round"
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form that :func:`parse_results` reads."""
        return self.model_dump(mode="json", by_alias=True)


def parse_results(data: Mapping[str, Any] | Results) -> Results:
    """Checks results and gives them their types.

    Args:
        data: content of results.json, or results that are already typed.

    Raises:
        DataError: an entry is wrong, missing or unknown, or a claim's span lies outside its text.
    """
    if isinstance(data, Results):
        results = data
    else:
        try:
            results = Results.model_validate(data)
        except ValidationError as error:
            raise DataError(
                f"results are not as the report needs them:\n{_problems(error)}",
                hint="write them with vila2.report.results_page.Results(...).to_json()",
            ) from error
    for kind, names in (
        ("model", [m.name for m in results.models]),
        ("layer", [r.name for r in results.layers]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(
                f"results: {kind} {twice[0]!r} stands there twice", hint=f"give every {kind} its own name"
            )
    for example in results.examples:
        _check_spans(example)
    return results


def read_results(path: Path) -> Results:
    """Reads a results.json.

    Raises:
        DataError: it cannot be read, is not JSON, or not what a run writes.
    """
    again = "run `vila2 run RECIPE` again: finished steps are kept, only the results are written anew"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}", hint=again) from error
    except (ValueError, RecursionError) as error:  # broken JSON, or bytes that are not UTF-8
        raise DataError(f"{path}: not JSON: {described(error)}", hint=again) from error
    try:
        return parse_results(data)
    except DataError as error:
        raise DataError(f"{path}: {error.what}", hint=again) from error


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    lines = [f"  {_place(problem['loc'])}: {problem['msg']}" for problem in found[:_SHOWN_PROBLEMS]]
    if len(found) > _SHOWN_PROBLEMS:
        lines.append(f"  and {len(found) - _SHOWN_PROBLEMS} more")
    return "\n".join(lines)


def _place(location: tuple[int | str, ...]) -> str:
    """("examples", 0, "key") -> examples[0].key"""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return place.removeprefix(".") or "results"


def _check_spans(example: Example) -> None:
    for caption in example.captions:
        for claim in caption.claims:
            if not 0 <= claim.start < claim.end <= len(caption.text):
                raise DataError(
                    f"example {example.key!r}, layer {caption.layer!r}: {claim.kind} claim {claim.subject!r} "
                    f"spans characters {claim.start} to {claim.end} of a text of {len(caption.text)}",
                    hint="a span counts characters (not bytes or tokens) of the caption's text; it covers at "
                    "least one, and its end is exclusive",
                )
