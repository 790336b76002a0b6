"""What controls change: functions that take a recipe and return other settings for it, by place.

They raise RecipeError where the recipe lacks what a control needs, or the control would change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vila2.errors import RecipeError
from vila2.recipe.parts.cycle import MORE_SFT, NO_DATASETS
from vila2.recipe.recipe import Recipe

#: A function of the recipe that is controlled. It returns other settings by place, as "cycle.rounds".
Changes = Callable[[Recipe], Mapping[str, Any]]

#: Name of the dataset whose text is true captions. Without one in the recipe, the miniature world makes it.
TRUTH = "true-captions"

#: A control shows the model of its own training, whether or not the rounds would go on from it.
_NOTHING_STOPS: dict[str, Any] = {"cycle.saturation": None, "specialists": {}}
_NO_CYCLE: dict[str, Any] = {"cycle.rounds": 0, **_NOTHING_STOPS}


def share(_: Recipe) -> Mapping[str, Any]:
    """Shows a twentieth of the images once more, with the specialists' captions."""
    return {"specialist_data": "share"}


def merged(name: str, **settings: Any) -> Changes:
    """Merges the same layers in another way.

    Args:
        name: name of the control, for errors.
        settings: settings of ``merge``.
    """

    def changes(recipe: Recipe) -> Mapping[str, Any]:
        if recipe.specialist_data != "merged":
            raise RecipeError(
                f"controls: {name} says nothing where specialist_data is {recipe.specialist_data}: no merged "
                "caption is trained on",
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
    """Does one round of self-augmentation and nothing after it, with other settings of ``cycle``."""
    settings = {f"cycle.{name}": value for name, value in changes.items()}
    return lambda _: {"cycle.rounds": 1, **_NOTHING_STOPS, **settings}


def more_epochs(more: int) -> Changes:
    """Trains the cycle's stage some epochs longer, on the original captions (slides)."""

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
    """Trains the last stage so many times as long, on the original captions."""
    return lambda recipe: _times(recipe, list(recipe.stages)[-1], times)


def _times(recipe: Recipe, stage: str, times: int) -> dict[str, Any]:
    """Trains a stage so many times as long."""
    spec = recipe.stages[stage]
    if spec.max_steps is not None:
        return {**_NO_CYCLE, f"stages.{stage}.max_steps": spec.max_steps * times}
    return {**_NO_CYCLE, f"stages.{stage}.epochs": spec.epochs * times}


def more_sft(recipe: Recipe) -> Mapping[str, Any]:
    """Goes on with SFT for the tokens of the specialists' captions; without specialists, of one round's."""
    _check_matched(recipe, "more-sft")
    if recipe.specialists:
        return {"specialist_data": "more-sft"}
    if recipe.cycle.captions not in NO_DATASETS:
        raise RecipeError(
            "controls: more-sft takes the tokens of captions that VILA_0 writes, and "
            f"{recipe.cycle.captions!r} are given",
            hint="leave it out, or take twice-sft",
        )
    return one_round(captions=MORE_SFT)(recipe)


def into_sft(name: str, how: str) -> Changes:
    """Puts the specialists' training data straight into SFT.

    Args:
        name: name of the control, for errors.
        how: value of ``specialist_data``, which says how much of it.
    """

    def changes(recipe: Recipe) -> Mapping[str, Any]:
        _check_matched(recipe, name)
        if brought := [plugin for plugin, use in recipe.specialists.items() if use.made]:
            raise RecipeError(
                f"controls: {name} needs what specialists.{brought[0]} was trained on, and it was made "
                "before",
                hint=f"leave the control out, or specialists.{brought[0]}.made",
            )
        return {"specialist_data": how}

    return changes


def _check_matched(recipe: Recipe, control: str) -> None:
    """Checks that the last stage can be made longer by a number of tokens."""
    last, spec = list(recipe.stages.items())[-1]
    if spec.max_steps is not None:
        raise RecipeError(
            f"controls: {control} makes stage {last!r} longer by tokens, but it has max_steps",
            hint=f"give stages.{last} epochs in their place, or leave the control out",
        )


def prompted(name: str, *prompts: str) -> Changes:
    """Asks for the captions of one round with these prompts (Table 2).

    Args:
        name: name of the control, for errors.
        prompts: names of the prompts.
    """

    def changes(recipe: Recipe) -> Mapping[str, Any]:
        if recipe.cycle.rounds and recipe.cycle.prompts == prompts:
            raise RecipeError(
                f"controls: {name} says nothing where cycle.prompts are these: VILA_1 is that row",
                hint="leave it out",
            )
        return one_round(prompts=list(prompts))(recipe)

    return changes


def first_captions(recipe: Recipe) -> Mapping[str, Any]:
    """Takes the first attempt at every caption, or the first sample of it."""
    if recipe.cycle.attempts == 1 and recipe.cycle.choose == "attempts":
        raise RecipeError(
            "controls: first-captions says nothing where there is one attempt",
            hint="leave it out, or set cycle.attempts or cycle.choose",
        )
    return one_round(attempts=1, choose="attempts")(recipe)


def given_truth(recipe: Recipe) -> Mapping[str, Any]:
    """Takes true captions: those of the recipe's dataset of that name, or of the miniature world's scenes."""
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
    """Leaves one specialist of several."""
    return lambda recipe: {"specialists": {plugin: recipe.specialists[plugin].model_dump(mode="json")}}


def equal_data(recipe: Recipe) -> Mapping[str, Any]:
    """Gives every specialist an equal part of the images to annotate; no two share an image."""
    number = len(recipe.specialists)
    if number == 1:
        raise RecipeError(
            "controls: specialists-at-equal-data says nothing of a single specialist", hint="leave it out"
        )
    return {
        f"specialists.{name}.select": [place / number, (place + 1) / number]
        for place, name in enumerate(recipe.specialists)
    }
