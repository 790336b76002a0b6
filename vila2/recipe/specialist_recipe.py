"""A specialist's recipe: the YAML file in a plugin's package that turns the generalist into the specialist.

    start: sft                    # the stage whose checkpoint it starts from
    stages:
      tune:
        mixture:
          - {dataset: qa}                       # a subset of the builder's
          - {dataset: "run:sft", weight: 0.3}   # the generalist's own instruction data
    miniature:                    # changes for the shipped miniature as the generalist
      stages: {tune: {train: [projector, language], learning_rate: 1.5e-3, batch_size: 8}}

:mod:`vila2.recipe.specialist_defaults` decides the settings that a stage leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError

from vila2.errors import RecipeError
from vila2.recipe.checks.across import portion_problems, training_problems
from vila2.recipe.checks.problems import Problem, Where, mapping, sequence, unknown
from vila2.recipe.file.extends import what_it_is
from vila2.recipe.file.type_errors import follows, problem_of
from vila2.recipe.file.yaml import read_setting, read_yaml
from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.parts.values import Count, FreeValues, Name, Number, Part, Text, Whole
from vila2.recipe.specialist_defaults import MINIATURE, defaults_of, is_left_to_the_generalist

#: Prefix of a stage's name: all data on which the generalist's run trained that stage.
RUN = "run:"


class AnswerSpec(Part):
    """How the models answer the held-out questions."""

    max_new_tokens: Count = Field(default=64, description="Number of tokens of one answer at most")
    batch_size: Count = Field(default=32, description="Number of questions to answer at a time")
    limit: Count | None = Field(
        default=2000, description="Number of questions at most, chosen by hash; null: all"
    )


class AnnotateSpec(Part):
    """How the specialist annotates the images of a dataset."""

    prompts: tuple[Text, ...] = Field(
        default=(), description="Prompts to ask about every image, besides one of the plugin's own"
    )
    max_new_tokens: Count = Field(default=256, description="Number of tokens of one annotation at most")
    batch_size: Count = Field(default=16, description="Number of images to annotate at a time")
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Sampling temperature; 0 always takes the likeliest token"
    )
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Penalty on tokens that were used before; 1 is none"
    )


class SpecialistRecipe(Part):
    """How a specialist is made."""

    start: Text = Field(
        default="last",
        description="Name of the generalist's stage to start from; `last` is its final model",
        examples=["sft", "pretrain"],
    )
    seed: Annotated[Whole, Field(ge=0)] = Field(default=0, description="Seed for everything random")
    held_out: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.1,
        description="Share of the images that is not trained on; the models answer questions about it",
    )
    data: DatasetSpec | None = Field(
        default=None,
        description="Data to build the training set from, if `--data` is not given; the source `path` takes "
        "a file or folder as it is",
    )
    build: FreeValues = Field(default_factory=dict, description="Settings of the plugin's builder")
    coordinates: Literal["text", "tokens"] | None = Field(
        default=None, description="Form in which the model writes coordinates; by default as the plugin says"
    )
    stages: Annotated[dict[Name, StageSpec], Field(min_length=1)] = Field(
        description="Training stages by name, in the order of training. A mixture names the builder's "
        "subsets, or `run:STAGE` for the data that the generalist's run used in that stage"
    )
    evaluate: AnswerSpec = Field(default_factory=AnswerSpec, description="Answers to the held-out questions")
    annotate: AnnotateSpec = Field(default_factory=AnnotateSpec, description="Settings of `vila2 annotate`")

    _left: frozenset[str] = PrivateAttr(frozenset())

    @property
    def left_to_the_generalist(self) -> frozenset[str]:
        """The stages that are trained to suit the generalist; see :mod:`vila2.recipe.specialist_defaults`."""
        return self._left

    def datasets(self) -> tuple[str, ...]:
        """Every dataset that a stage trains on, once each, in order."""
        names = (entry.dataset for stage in self.stages.values() for entry in stage.mixture)
        return tuple(dict.fromkeys(names))


def read_specialist_recipe(
    text: str,
    *,
    where: str,
    overrides: Sequence[str] = (),
    miniature: bool = False,
    told_as: str = "--set",
    check: Callable[[Mapping[str, Any]], Iterable[Problem]] | None = None,
) -> SpecialistRecipe:
    """Reads a specialist's recipe.

    Args:
        text: YAML text of the recipe.
        where: file or plugin, for errors.
        overrides: changes, ``KEY=VALUE`` each. A key of the recipe is changed (``stages.tune.epochs=2``); any
            other key is a setting of the builder (``per_image=4`` means ``build.per_image=4``).
        miniature: whether the generalist is the shipped miniature, for which the recipe's ``miniature``
            counts.
        told_as: name of the option that gave the overrides, for errors.
        check: function that finds further problems in the recipe's plain values.

    Raises:
        RecipeError: the recipe has problems; each is told with its line.
    """
    marked = read_yaml(text, where=where)
    if not isinstance(marked.value, dict):
        raise RecipeError(
            f"{where}: a recipe is a mapping of keys, and this {what_it_is(marked.value)}",
            hint=f"its keys are {', '.join(_KEYS)}, {MINIATURE}",
        )
    raw, told = marked.value, _Told(where, dict(marked.lines))
    problems = list(marked.problems)
    raw = _changed_for_the_miniature(raw, told, problems, miniature=miniature)
    before = _left_to_the_generalist(raw, miniature)
    for override in overrides:
        problems += _put(raw, override, told, told_as)
    left = _left_after_overrides(raw, before, told, miniature=miniature)
    for name, stage in mapping(raw.get("stages")).items():
        if isinstance(stage, dict):
            raw["stages"][name] = {**defaults_of(stage, left=name in left), **stage}
    recipe = _checked(raw, problems)
    problems += check(raw) if check else ()
    if problems or recipe is None:
        lines = list(dict.fromkeys(line for _, line in sorted(map(told.line, _sharpened(problems)))))
        raise RecipeError("\n  ".join(lines), hint="nothing was done; fix it and give the command again")
    recipe._left = left
    return recipe


_KEYS = tuple(SpecialistRecipe.model_fields)
_LAST = 1 << 30  # problems with overrides are reported after those of the recipe


def _changed_for_the_miniature(
    raw: dict[str, Any], told: _Told, problems: list[Problem], *, miniature: bool
) -> dict[str, Any]:
    """The recipe without its ``miniature``, whose changes are made if the generalist is the miniature."""
    changes = raw.pop(MINIATURE, None)
    if changes is not None and not isinstance(changes, dict):
        problems.append(Problem((MINIATURE,), f"should be a mapping of keys, not {changes!r}"))
    elif changes and miniature:
        told.lines |= {place[1:]: line for place, line in told.lines.items() if place[:1] == (MINIATURE,)}
        joined: dict[str, Any] = _joined(raw, changes)
        return joined
    return raw


def _left_after_overrides(
    raw: Mapping[str, Any], before: set[str], told: _Told, *, miniature: bool
) -> frozenset[str]:
    """The stages that are trained to suit the generalist.

    An override of single keys does not change which they are. A stage that an override gives as a whole
    decides by its own keys.

    Args:
        raw: plain values of the recipe, with the overrides.
        before: the stages that were left to the generalist before the overrides.
        told: places of the overrides.
        miniature: whether the generalist is the shipped miniature.
    """
    whole = {place for place in told.overridden if place[0] == "stages" and len(place) < 3}
    after = _left_to_the_generalist(raw, miniature)
    given = {name for name in mapping(raw.get("stages")) if whole & {("stages",), ("stages", name)}}
    return frozenset(
        name for name in mapping(raw.get("stages")) if name in (after if name in given else before)
    )


def _left_to_the_generalist(raw: Mapping[str, Any], miniature: bool) -> set[str]:
    """The stages that do not decide how they are trained."""
    return {
        name
        for name, stage in mapping(raw.get("stages")).items()
        if isinstance(stage, dict) and is_left_to_the_generalist(stage, miniature=miniature)
    }


class _Told:
    """The places of keys: a line in the recipe, or an override."""

    def __init__(self, where: str, lines: dict[Where, int]) -> None:
        self.where, self.lines, self.overridden = where, lines, dict[Where, str]()

    def line(self, problem: Problem) -> tuple[int, str]:
        """A problem as a line of an error message, with the number of the line to sort by."""
        place, dotted = problem.where, ".".join(map(str, problem.where)) or "recipe"
        for end in range(len(place), -1, -1):
            if said := self.overridden.get(place[:end]):
                return (
                    _LAST,
                    f"{said}: {problem.what}" if said == dotted else f"{said}: {dotted}: {problem.what}",
                )
        above = (place[:end] for end in range(len(place), -1, -1))
        line = next((self.lines[one] for one in above if one in self.lines), 1)
        return line, f"{self.where}:{line}: {dotted}: {problem.what}"


def _checked(raw: dict[str, Any], problems: list[Problem]) -> SpecialistRecipe | None:
    """The recipe, or None if it is not valid; its problems are added to ``problems``."""
    recipe = None
    try:
        recipe = SpecialistRecipe.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        problems += [problem_of(one, SpecialistRecipe) for one in details if not follows(one)]
    problems += _stage_problems(raw)
    return recipe


def _stage_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems between the settings of a stage, as in a run's recipe."""
    for name, stage in mapping(raw.get("stages")).items():
        stage = mapping(stage)
        yield from training_problems(("stages", name), stage)
        for number, entry in enumerate(sequence(stage.get("mixture"))):
            yield from portion_problems(("stages", name, "mixture", number), mapping(entry))


def _sharpened(problems: Sequence[Problem]) -> list[Problem]:
    """The problems without those that only follow from another one at the same place."""
    unread = [problem.where for problem in problems if problem.final]
    first: dict[Where, Problem] = {}
    for problem in problems:
        if problem.final or not any(problem.where[: len(place)] == place for place in unread):
            first.setdefault(problem.where, problem)
    return list(first.values())


def _joined(base: Any, over: Any) -> Any:
    """Joins mappings key by key; any other value of ``over`` replaces that of ``base``."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return base | {key: _joined(base[key], value) if key in base else value for key, value in over.items()}


def _put(raw: dict[str, Any], override: str, told: _Told, told_as: str) -> list[Problem]:
    """Applies an override; returns its problems."""
    path, equals, text = override.partition("=")
    keys = [key.strip() for key in path.split(".")]
    said = f"{told_as} {override}"
    if not equals or not all(keys):
        told.overridden[said,] = said
        return [Problem((said,), f"not of the form key=value; write for example {told_as} seed=1")]
    if keys[0] not in _KEYS:
        keys = ["build", *keys]
    where: Where = tuple(int(key) if key.isdigit() else key for key in keys)
    told.overridden[where] = said
    stages = mapping(raw.get("stages"))
    if where[0] == "stages" and len(where) > 2 and where[1] not in stages:
        told.overridden[where[:2]] = said
        return [Problem(where[:2], unknown("stage", str(where[1]), stages))]
    try:
        marked = read_setting(text, where=said)
    except RecipeError as error:
        return [Problem(where, f"{error.what.removeprefix(f'{said}:')}; {error.hint}", final=True)]
    holder, problem = _holder(raw, where)
    if problem:
        return [problem]
    holder[where[-1]] = marked.value
    return [Problem((*where, *problem.where), problem.what, problem.final) for problem in marked.problems]


def _holder(raw: Any, where: Where) -> tuple[Any, Problem | None]:
    """The mapping or list that holds the last key, or the problem; missing mappings above it are made."""
    holder = raw
    for depth, key in enumerate(where):
        if isinstance(holder, list):
            if not isinstance(key, int) or key >= len(holder):
                return None, Problem(where, f"the list has {len(holder)} entries: count from 0")
        elif not isinstance(holder, dict):
            above = ".".join(map(str, where[:depth]))
            return None, Problem(where, f"{above} holds no keys; give it whole: {above}=...")
        elif depth < len(where) - 1 and holder.get(key) is None:
            holder[key] = {}
        if depth < len(where) - 1:
            holder = holder[key]
    return holder, None
