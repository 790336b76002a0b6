"""Controls: what else could explain that a model became better.

Each is the recipe with a few settings changed, trained from the same start in the same run. What it shares with the
recipe is done once. Without the right ones, any extra dense text looks like self-improvement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from vila2.cycle.studies.study import changed
from vila2.errors import RecipeError
from vila2.run.nearest import did_you_mean
from vila2.run.recipe import Recipe

#: The dataset whose text stands for true captions: in the recipe, or made from the miniature world's scenes.
TRUTH = "true-captions"

_ALONE = "alone-"
#: What is shown is the model of this training, whether or not the rounds would go on from it.
_NOTHING_STOPS = {"cycle.saturation": None, "specialists": {}}
_NO_CYCLE = {"cycle.rounds": 0, **_NOTHING_STOPS}


@dataclass(frozen=True, slots=True)
class Control:
    """A changed recipe.

    Attributes:
        name: on the command line and in the report.
        shows: what it is there for.
        changes: settings by place, of the recipe that it controls.
    """

    name: str
    shows: str
    changes: Callable[[Recipe], Mapping[str, Any]]

    def applied_to(self, recipe: Recipe) -> Recipe:
        """The recipe of this control.

        Raises:
            RecipeError: the recipe lacks what the control needs.
        """
        raw = changed(recipe.model_dump(mode="json"), {**self.changes(recipe), "controls": []})
        try:
            return Recipe.model_validate(raw)
        except ValidationError as error:
            raise RecipeError(
                f"controls: {self.name} cannot be had of this recipe: {error.errors()[0]['msg']}",
                mend="mend that, or leave the control out",
            ) from error


def controls_of(recipe: Recipe) -> dict[str, Control]:
    """The controls that a recipe can have, by name."""
    alone = [
        Control(
            f"{_ALONE}{plugin}",
            f"what the {plugin} specialist gives by itself (Table 4)",
            lambda recipe, plugin=plugin: {
                "specialists": {plugin: recipe.specialists[plugin].model_dump(mode="json")}
            },
        )
        for plugin in recipe.specialists
    ]
    return {control.name: control for control in (*_CONTROLS, *alone)}


def find_controls(recipe: Recipe) -> list[Control]:
    """The controls that a recipe names.

    Raises:
        RecipeError: one that does not exist, or that says nothing without specialists.
    """
    known = controls_of(recipe)
    for name in recipe.controls:
        if name not in known:
            raise RecipeError(f"controls: there is no control {name!r}", mend=did_you_mean(name, known))
        if name in _OF_SPECIALISTS and not recipe.specialists:
            raise RecipeError(f"controls: {name} needs specialists", mend="leave it out, or name specialists")
    return [known[name] for name in dict.fromkeys(recipe.controls)]


def _more_epochs(more: int) -> Callable[[Recipe], Mapping[str, Any]]:
    """The cycle's stage some epochs longer, on the original captions (slides)."""

    def changes(recipe: Recipe) -> dict[str, Any]:
        stage = recipe.cycle.stage
        if stage not in recipe.stages:
            raise RecipeError(
                f"controls: there is no stage {stage!r} to train longer", mend="name one as cycle.stage"
            )
        spec = recipe.stages[stage]
        if spec.max_steps is not None:
            return _times(recipe, stage, 1 + more)
        return {**_NO_CYCLE, f"stages.{stage}.epochs": spec.epochs + more}

    return changes


def _times_the_last(times: int) -> Callable[[Recipe], Mapping[str, Any]]:
    return lambda recipe: _times(recipe, _last_stage(recipe), times)


def _times(recipe: Recipe, stage: str, times: int) -> dict[str, Any]:
    """A stage that many times as long."""
    spec = recipe.stages[stage]
    if spec.max_steps is not None:
        return {**_NO_CYCLE, f"stages.{stage}.max_steps": spec.max_steps * times}
    return {**_NO_CYCLE, f"stages.{stage}.epochs": spec.epochs * times}


def _given_truth(recipe: Recipe) -> dict[str, Any]:
    changes = {"cycle.captions": TRUTH, "cycle.rounds": 1, **_NOTHING_STOPS}
    if TRUTH in recipe.data:
        return changes
    spec = recipe.data[recipe.recaptioned]
    if spec.source != "world":
        raise RecipeError(
            f"controls: {TRUTH} needs true captions of the images of {recipe.recaptioned!r}",
            mend=f"give a dataset of the same keys under data.{TRUTH}",
        )
    options = {**spec.options, "content": "test", "questions": 1}
    return changes | {f"data.{TRUTH}": {"source": "world", "options": options}}


def _last_stage(recipe: Recipe) -> str:
    return list(recipe.stages)[-1]


def _one_round(**changes: Any) -> Callable[[Recipe], Mapping[str, Any]]:
    settings = {f"cycle.{name}": value for name, value in changes.items()}
    return lambda _: {"cycle.rounds": 1, **_NOTHING_STOPS, **settings}


def _first_captions(recipe: Recipe) -> Mapping[str, Any]:
    if recipe.cycle.attempts == 1:
        raise RecipeError(
            "controls: first-captions says nothing where there is one attempt",
            mend="leave it out, or set cycle.attempts",
        )
    return _one_round(attempts=1)(recipe)


_CONTROLS = (
    Control("one-more-epoch", "one more epoch on the original captions (slides)", _more_epochs(1)),
    Control("two-more-epochs", "two more epochs on the original captions (slides)", _more_epochs(2)),
    Control("twice-sft", "twice the last stage in place of new captions", _times_the_last(2)),
    Control(
        "thrice-sft", "three times the last stage: more tokens than new captions take", _times_the_last(3)
    ),
    Control(TRUTH, "the ceiling: true captions in the place of VILA_0's", _given_truth),
    Control(
        "shuffled-captions",
        "mere text volume: VILA_0's captions of other images",
        _one_round(captions="shuffled"),
    ),
    Control("first-captions", "VILA_0's captions as it says them at first, unchecked", _first_captions),
    Control(
        "prompt-simple", "captions asked for with the short prompt (Table 2)", _one_round(prompts=["simple"])
    ),
    Control(
        "prompt-v1", "captions asked for with one long prompt (Table 2)", _one_round(prompts=["long-v1"])
    ),
    Control(
        "prompt-v2", "captions asked for with one long prompt (Table 2)", _one_round(prompts=["long-v2"])
    ),
    Control(
        "prompt-v3", "captions asked for with one long prompt (Table 2)", _one_round(prompts=["long-v3"])
    ),
    Control(
        "only-new-captions",
        "the new captions without the original ones (Table 2)",
        _one_round(view="only({layer})"),
    ),
    Control(
        "specialist-data-in-sft",
        "the specialists' training data straight into SFT: is recaptioning worth it?",
        lambda _: {"specialist_data": "sft"},
    ),
    Control(
        "more-sft",
        "as much more SFT as the specialists' captions take, with nothing new in it",
        lambda _: {"specialist_data": "more-sft"},
    ),
    Control(
        "plain-append",
        "the paper's merge: what specialists say beside the original captions, nothing checked",
        lambda _: {"merge.arm": "append"},
    ),
    Control(
        "unchecked-merge",
        "what is merged, with nothing left out: is checking worth it?",
        lambda _: {"merge.arm": "unchecked"},
    ),
)
_OF_SPECIALISTS = ("specialist-data-in-sft", "more-sft", "plain-append", "unchecked-merge")
