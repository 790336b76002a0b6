"""A specialist's recipe: the YAML file in its package that says how the generalist becomes the specialist.

    start: sft                    # the checkpoint it starts from
    stages:
      tune:
        train: [projector, language]
        style: chat
        mixture:
          - {dataset: qa}                       # a subset of the builder's
          - {dataset: "run:sft", weight: 0.3}   # what the generalist was instructed on
        learning_rate: 2.0e-5
        batch_size: 128

What a stage does not say is as in the generalist's ``sft`` (the paper's Table 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from vila2.errors import RecipeError
from vila2.run.nearest import did_you_mean
from vila2.run.recipe import STAGE_DEFAULTS, DatasetSpec, StageSpec
from vila2.run.recipe_problems import Where
from vila2.run.recipe_values import Count, Name, Number, Part, Text, Whole
from vila2.run.recipe_yaml import read_setting, read_yaml

#: Before the name of a stage: all that the generalist's run trained that stage on.
RUN = "run:"


class AnswerSpec(Part):
    """How the models are asked about what was held out."""

    max_new_tokens: Count = Field(default=64, description="of one answer")
    batch_size: Count = Field(default=32, description="questions at a time")
    limit: Count | None = Field(default=2000, description="questions at most, chosen by hash; null: all")


class AnnotateSpec(Part):
    """How the specialist is asked about a dataset's images."""

    prompts: tuple[Text, ...] = Field(
        default=(), description="asked about every image besides one of the plugin's own"
    )
    max_new_tokens: Count = Field(default=256, description="of one annotation")
    batch_size: Count = Field(default=16, description="images at a time")
    temperature: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="0: the likeliest token")
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="1: none")


class SpecialistRecipe(Part):
    """How a specialist is made. A mixture names the builder's subsets, or ``run:STAGE`` of the generalist's run."""

    start: Text = Field(
        default="last",
        description="the generalist's stage to start from: pretrain, sft, ...; `last`: its end",
    )
    seed: Annotated[Whole, Field(ge=0)] = Field(default=0, description="of everything random")
    held_out: Annotated[Number, Field(gt=0, lt=1)] = Field(
        default=0.1, description="share of the images that is asked about, not trained on"
    )
    data: DatasetSpec | None = Field(
        default=None,
        description="what to build from, where --data says nothing; source `path`: as it lies there",
    )
    build: dict[str, Any] = Field(default_factory=dict, description="settings of the builder")
    coordinates: Literal["text", "tokens"] | None = Field(
        default=None, description="how the model writes coordinates; by default as the plugin says"
    )
    stages: Annotated[dict[Name, StageSpec], Field(min_length=1)] = Field(
        description="in the order of training"
    )
    evaluate: AnswerSpec = Field(default_factory=AnswerSpec, description="the questions that were held out")
    annotate: AnnotateSpec = Field(default_factory=AnnotateSpec, description="`vila2 annotate`")

    def datasets(self) -> tuple[str, ...]:
        """Every dataset that a stage trains on, in order, once each."""
        names = (entry.dataset for stage in self.stages.values() for entry in stage.mixture)
        return tuple(dict.fromkeys(names))


def read_specialist_recipe(text: str, *, where: str, overrides: Sequence[str] = ()) -> SpecialistRecipe:
    """Reads a specialist's recipe.

    Args:
        text: YAML.
        where: file or plugin, for errors.
        overrides: ``KEY=VALUE`` each. A key of the recipe is changed there (``stages.tune.epochs=2``); any other
            is a setting of the builder (``per_image=4`` is ``build.per_image=4``).

    Raises:
        RecipeError: with every problem at its line.
    """
    marked = read_yaml(text, where=where)
    if not isinstance(marked.value, dict):
        raise RecipeError(f"{where}: a recipe is a mapping of keys", mend=f"its keys are {', '.join(_KEYS)}")
    raw = marked.value
    for override in overrides:
        _put(raw, override)
    if isinstance(raw.get("stages"), dict):
        raw["stages"] = {
            name: {**STAGE_DEFAULTS["sft"], **stage} if isinstance(stage, dict) else stage
            for name, stage in raw["stages"].items()
        }
    lines = [f"{where}:{marked.lines.get(p.where, 1)}: {_dotted(p.where)}: {p.what}" for p in marked.problems]
    try:
        recipe = SpecialistRecipe.model_validate(raw)
    except ValidationError as error:
        lines += [_line(problem, marked.lines, where) for problem in error.errors()]
    if lines:
        raise RecipeError("\n  ".join(lines), mend="nothing was done; mend it and give the command again")
    return recipe


_KEYS = tuple(SpecialistRecipe.model_fields)


def _put(raw: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {override}: not of the form key=value", mend="for example --set seed=1")
    if keys[0] not in _KEYS:
        keys = ["build", *keys]
    holder = raw
    for depth, key in enumerate(keys[:-1], start=1):
        holder[key] = {} if holder.get(key) is None else holder[key]
        holder = holder[key]
        if not isinstance(holder, dict):
            above = ".".join(keys[:depth])
            raise RecipeError(f"--set {override}: {above} holds no keys", mend=f"give it whole: {above}=...")
    holder[keys[-1]] = read_setting(text, where=f"--set {override}").value


def _line(problem: Mapping[str, Any], lines: Mapping[Where, int], where: str) -> str:
    place: Where = tuple(part for part in problem["loc"] if part != "[key]")
    line = next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), 1)
    what = problem["msg"]
    if problem["type"] == "extra_forbidden":
        what = f"there is no such key; {did_you_mean(str(place[-1]), _keys_beside(place))}"
    elif problem["type"] == "missing":
        what = "is missing"
    return f"{where}:{line}: {_dotted(place)}: {what}"


def _keys_beside(place: Where) -> list[str]:
    kinds: dict[int, Any] = {1: SpecialistRecipe, 3: StageSpec}
    if len(place) == 2:
        kinds[2] = {"evaluate": AnswerSpec, "annotate": AnnotateSpec}.get(str(place[0]))
    kind = kinds.get(len(place))
    return list(kind.model_fields) if kind else []


def _dotted(place: Where) -> str:
    return ".".join(map(str, place)) or "recipe"
