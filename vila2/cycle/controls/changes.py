"""What controls change: functions of a recipe that give other settings for it, by their places.

All of them raise RecipeError where the recipe lacks what a control needs, or the control would change
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vila2.errors import RecipeError
from vila2.recipe.parts.cycle import MORE_SFT, NO_DATASETS
from vila2.recipe.recipe import Recipe

#: Settings by place, of the recipe that is controlled.
Changes = Callable[[Recipe], Mapping[str, Any]]

#: The dataset whose text stands for true captions: in the recipe, or made from the miniature world's scenes.
TRUTH = "true-captions"

#: What is shown is the model of this training, whether or not the rounds would go on from it.
_NOTHING_STOPS = {"cycle.saturation": None, "specialists": {}}
_NO_CYCLE = {"cycle.rounds": 0, **_NOTHING_STOPS}


def share(_: Recipe) -> Mapping[str, Any]:
    """A twentieth of the images once more, with what specialists say."""
    return {"specialist_data": "share"}


def merged(name: str, **settings: Any) -> Changes:
    """The same layers merged otherwise."""

    def changes(recipe: Recipe) -> Mapping[str, Any]:
        if recipe.specialist_data != "merged":
            raise RecipeError(
                f"controls: {name} says nothing where specialist_data is {recipe.specialist_data}: no merged caption is "
                "trained on",
                hint="leave it out",
            )
        if settings.get("arm") == "unchecked" and recipe.merge.arm == "append":
            raise RecipeError(
                f"controls: {name} says nothing where merge.arm is append, which checks nothing",
                hint="leave it out",
            )
        return {f"merge.{key}": value for key, value in settings.items()}

    return changes


def one_round(**changes: Any) -> Changes:
    """One round of self-augmentation and nothing after it, with other settings of the cycle."""
    settings = {f"cycle.{name}": value for name, value in changes.items()}
    return lambda _: {"cycle.rounds": 1, **_NOTHING_STOPS, **settings}


def more_epochs(more: int) -> Changes:
    """The cycle's stage some epochs longer, on the original captions (slides)."""

    def changes(recipe: Recipe) -> dict[str, Any]:
        stage = recipe.cycle.stage
        if stage not in recipe.stages:
            raise RecipeError(
                f"controls: there is no stage {stage!r} to train longer", hint="name one as cycle.stage"
            )
        spec = recipe.stages[stage]
        if spec.max_steps is not None:
            return _times(recipe, stage, 1 + more)
        return {**_NO_CYCLE, f"stages.{stage}.epochs": spec.epochs + more}

    return changes


def times_the_last(times: int) -> Changes:
    """The last stage that many times as long, on the original captions."""
    return lambda recipe: _times(recipe, list(recipe.stages)[-1], times)


def _times(recipe: Recipe, stage: str, times: int) -> dict[str, Any]:
    """A stage that many times as long."""
    spec = recipe.stages[stage]
    if spec.max_steps is not None:
        return {**_NO_CYCLE, f"stages.{stage}.max_steps": spec.max_steps * times}
    return {**_NO_CYCLE, f"stages.{stage}.epochs": spec.epochs * times}


def more_sft(recipe: Recipe) -> Mapping[str, Any]:
    """As much more SFT as the specialists' captions take; where there are none, as those of one round take."""
    _check_matched(recipe, "more-sft")
    if recipe.specialists:
        return {"specialist_data": "more-sft"}
    if recipe.cycle.captions not in NO_DATASETS:
        raise RecipeError(
            f"controls: more-sft takes the tokens of captions that VILA_0 writes, and {recipe.cycle.captions!r} are given",
            hint="leave it out, or take twice-sft",
        )
    return one_round(captions=MORE_SFT)(recipe)


def into_sft(recipe: Recipe) -> Mapping[str, Any]:
    """The specialists' training data straight into SFT."""
    _check_matched(recipe, "specialist-data-in-sft")
    if brought := [name for name, use in recipe.specialists.items() if use.made]:
        raise RecipeError(
            f"controls: specialist-data-in-sft needs what specialists.{brought[0]} was trained on, and it was made before",
            hint=f"leave the control out, or specialists.{brought[0]}.made",
        )
    return {"specialist_data": "sft"}


def _check_matched(recipe: Recipe, control: str) -> None:
    last, spec = list(recipe.stages.items())[-1]
    if spec.max_steps is not None:
        raise RecipeError(
            f"controls: {control} makes stage {last!r} longer by tokens, but it has max_steps",
            hint=f"give stages.{last} epochs in their place, or leave the control out",
        )


def prompted(name: str, *prompts: str) -> Changes:
    """Captions asked for with these prompts (Table 2)."""

    def changes(recipe: Recipe) -> Mapping[str, Any]:
        if recipe.cycle.rounds and recipe.cycle.prompts == prompts:
            raise RecipeError(
                f"controls: {name} says nothing where cycle.prompts are these: VILA_1 is that row",
                hint="leave it out",
            )
        return one_round(prompts=list(prompts))(recipe)

    return changes


def first_captions(recipe: Recipe) -> Mapping[str, Any]:
    """The first attempt at every caption."""
    if recipe.cycle.attempts == 1:
        raise RecipeError(
            "controls: first-captions says nothing where there is one attempt",
            hint="leave it out, or set cycle.attempts",
        )
    return one_round(attempts=1)(recipe)


def given_truth(recipe: Recipe) -> Mapping[str, Any]:
    """True captions: a dataset's of that name, or those of the miniature world's scenes."""
    changes = one_round(captions=TRUTH)(recipe)
    if TRUTH in recipe.data:
        return changes
    spec = recipe.data[recipe.recaptioned]
    if spec.source != "world":
        raise RecipeError(
            f"controls: {TRUTH} needs true captions of the images of {recipe.recaptioned!r}",
            hint=f"give a dataset of the same keys under data.{TRUTH}",
        )
    options = {**spec.options, "content": "test", "questions": 1}
    return {**changes, f"data.{TRUTH}": {"source": "world", "options": options}}


def alone(plugin: str) -> Changes:
    """One specialist of several."""
    return lambda recipe: {"specialists": {plugin: recipe.specialists[plugin].model_dump(mode="json")}}


def equal_data(recipe: Recipe) -> Mapping[str, Any]:
    """Every specialist annotates an equal part of the images, of which no other has any."""
    number = len(recipe.specialists)
    if number == 1:
        raise RecipeError(
            "controls: specialists-at-equal-data says nothing of a single specialist", hint="leave it out"
        )
    return {
        f"specialists.{name}.select": [place / number, (place + 1) / number]
        for place, name in enumerate(recipe.specialists)
    }
