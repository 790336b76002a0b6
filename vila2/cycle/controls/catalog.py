"""Controls: what else could explain that a model became better.

Each is the recipe with a few settings changed, trained from the same start in the same run. What it shares
with the recipe is done once. Without the right ones, any extra dense text looks like self-improvement. For a
user they stand in ``docs/controls.md``, and `vila2 run RECIPE --list-controls` names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from vila2.cycle.controls import changes as change
from vila2.errors import RecipeError
from vila2.nearest import did_you_mean
from vila2.recipe.changed import changed
from vila2.recipe.recipe import Recipe

if TYPE_CHECKING:
    from vila2.cycle.rounds import History
    from vila2.cycle.training import TrainedGeneralist

_ALONE = "alone-"


@dataclass(frozen=True, slots=True)
class Control:
    """A changed recipe.

    Attributes:
        name: name on the command line and in the report.
        shows: what it shows, for a reader.
        changes: function that returns the other settings.
        of: what it is compared with: the first round (VILA_1), the outcome of the whole cycle, or both.
        of_specialists: whether it needs specialists to say anything.
    """

    name: str
    shows: str
    changes: change.Changes
    of: Literal["round", "outcome", "both"] = "both"
    of_specialists: bool = False

    def applied_to(self, recipe: Recipe) -> Recipe:
        """Returns the recipe of this control.

        Raises:
            RecipeError: the recipe lacks what the control needs, or is already what the control makes of it.
        """
        if self.of_specialists and not recipe.specialists:
            raise RecipeError(
                f"controls: {self.name} needs specialists", hint="leave it out, or name specialists"
            )
        # What a control shows is what comes before preferences, which would be other ones for it.
        without: dict[str, Any] = {"controls": [], "cycle.preference": None}
        raw = changed(recipe.model_dump(mode="json"), {**self.changes(recipe), **without})
        try:
            made = Recipe.model_validate(raw)
        except ValidationError as error:
            raise RecipeError(
                f"controls: {self.name} cannot be had of this recipe: {error.errors()[0]['msg']}",
                hint="fix that, or leave the control out",
            ) from error
        cycle = recipe.cycle.model_copy(update={"preference": None})
        if made == recipe.model_copy(update={"controls": (), "cycle": cycle}):
            raise RecipeError(
                f"controls: {self.name} changes nothing: it is what the recipe says", hint="leave it out"
            )
        return made

    def compared_with(self, history: History) -> list[TrainedGeneralist]:
        """Returns the models to compare this control's model with; the outcome where there was no round."""
        first = list(history.models[1:2]) if self.of != "outcome" else []
        last = [history.outcome] if self.of != "round" or not first else []
        return list({model.name: model for model in (*first, *last)}.values())


def controls_of(recipe: Recipe) -> dict[str, Control]:
    """Returns the controls that a recipe can have, by name."""
    alone = [
        Control(
            f"{_ALONE}{plugin}",
            f"what the {plugin} specialist gives by itself (Table 4)",
            change.alone(plugin),
            "outcome",
        )
        for plugin in recipe.specialists
    ]
    more_sft = _MORE_SFT_THAN_SPECIALISTS if recipe.specialists else _MORE_SFT_THAN_A_ROUND
    return {control.name: control for control in (*_OF_ROUNDS, more_sft, *_OF_SPECIALISTS, *alone)}


def find_controls(recipe: Recipe) -> list[Control]:
    """Returns the controls that a recipe names.

    Raises:
        RecipeError: a control does not exist.
    """
    known = controls_of(recipe)
    for name in recipe.controls:
        if name not in known:
            raise RecipeError(
                f"controls: there is no control {name!r}",
                hint=f"{did_you_mean(name, known)}; see `vila2 run RECIPE --list-controls`",
            )
    return [known[name] for name in dict.fromkeys(recipe.controls)]


#: In the place of a round of self-augmentation, or of all of them.
_OF_ROUNDS = (
    Control("one-more-epoch", "one more epoch on the original captions (slides)", change.more_epochs(1)),
    Control("two-more-epochs", "two more epochs on the original captions (slides)", change.more_epochs(2)),
    Control("twice-sft", "twice the last stage in place of new captions", change.times_the_last(2)),
    Control(
        "thrice-sft",
        "three times the last stage: more tokens than new captions take",
        change.times_the_last(3),
    ),
    Control(change.TRUTH, "the ceiling: true captions in the place of VILA_0's", change.given_truth),
    Control(
        "shuffled-captions",
        "mere text volume: VILA_0's captions of other images",
        change.one_round(captions="shuffled"),
    ),
    Control(
        "first-captions",
        "VILA_0's captions as it says them at first, unchecked",
        change.first_captions,
        "round",
    ),
    *(
        Control(name, f"captions asked for with {asked} (Table 2)", change.prompted(name, *prompts), "round")
        for name, asked, prompts in (
            ("prompt-simple", "the short prompt", ["simple"]),
            ("prompt-v1", "one long prompt", ["long-v1"]),
            ("prompt-v2", "one long prompt", ["long-v2"]),
            ("prompt-v3", "one long prompt", ["long-v3"]),
            (
                "prompt-mixture",
                "all three long prompts, one for each image",
                ["long-v1", "long-v2", "long-v3"],
            ),
        )
    ),
    Control(
        "only-new-captions",
        "the new captions without the original ones (Table 2)",
        change.one_round(view="only({layer})"),
        "round",
    ),
)
_MORE_SFT_THAN_A_ROUND = Control(
    "more-sft", "as much more SFT as the captions of one round take, with nothing new in it", change.more_sft
)
_MORE_SFT_THAN_SPECIALISTS = Control(
    "more-sft",
    "as much more SFT as the specialists' captions take, with nothing new in it",
    change.more_sft,
    "outcome",
)
#: In the place of what specialists say, merged and checked.
_OF_SPECIALISTS = tuple(
    Control(name, shows, changes, "outcome", of_specialists=True)
    for name, shows, changes in (
        (
            "specialist-data-in-sft",
            "the specialists' training data straight into SFT, for the tokens of the last training: is "
            "recaptioning worth it?",
            change.into_sft("specialist-data-in-sft", "sft"),
        ),
        (
            "specialist-data-equal-passes",
            "the same, as often as the specialists read it",
            change.into_sft("specialist-data-equal-passes", "sft-equal-passes"),
        ),
        (
            "specialist-data-equal-total",
            "the same, for the tokens of all trainings and of the specialists' answers",
            change.into_sft("specialist-data-equal-total", "sft-equal-total"),
        ),
        (
            "specialist-share",
            "a twentieth of the images once more, with the specialists' captions (Table 3, last row)",
            change.share,
        ),
        (
            "specialists-at-equal-data",
            "all specialists, each about an equal part of the images: do they add up at equal data? "
            "(Table 4)",
            change.equal_data,
        ),
        (
            "plain-append",
            "the paper's merge: what specialists say beside the original captions, nothing checked",
            change.merged("plain-append", arm="append", base=None),
        ),
        (
            "unchecked-merge",
            "what is merged, with nothing left out: is checking worth it?",
            change.merged("unchecked-merge", arm="unchecked"),
        ),
        (
            "merged-by-model",
            "a model writes the merged captions: does it make things up? (A.2)",
            change.merged("merged-by-model", writer="model"),
        ),
    )
)
