"""Self-augmentation: the paper's Figure 1 (a), section 2.1.

VILA_0   = train(stages, original)
self-1   = recaption(VILA_0)
VILA_1   = train(stages, concat(original, self-1))        # from scratch, same images
...                                                       # until a round gains nothing more
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vila2.cycle.saturation import Gain, best_round, check_measure, gain_of
from vila2.cycle.training import Cycle, TrainedGeneralist
from vila2.evaluate.measures.stored import items_of
from vila2.recipe.parts.cycle import MORE_SFT

if TYPE_CHECKING:
    from vila2.recipe.parts.cycle import SaturationSpec
    from vila2.run.step_files import StepResult


@dataclass(frozen=True, slots=True)
class History:
    """What the rounds made.

    Attributes:
        models: VILA_0, VILA_1, ...
        gains: of every round over the one before it; empty where nothing says when to stop.
        best: the model that goes on.
        final: what specialists made of it, where the recipe has any.
    """

    models: tuple[TrainedGeneralist, ...]
    gains: tuple[Gain, ...]
    best: TrainedGeneralist
    final: TrainedGeneralist | None = None

    @property
    def outcome(self) -> TrainedGeneralist:
        """The model that all this was done for."""
        return self.final or self.best

    @property
    def all_models(self) -> tuple[TrainedGeneralist, ...]:
        """The rounds' models, and the final one."""
        return (*self.models, *([self.final] if self.final else []))


def self_augment(cycle: Cycle) -> History:
    """The loop of Figure 1 (a): every VILA_i writes the captions that train VILA_{i+1}."""
    spec, until = cycle.recipe.cycle, cycle.recipe.cycle.saturation
    models, gains = [cycle.train("VILA_0", 0)], []
    scores = [cycle.scores_for_stopping(models[0], until)] if until else []
    if scores and scores[0].done:
        # A measure that is not there, or tells nothing, is said now, and not after a round.
        check_measure(items_of(scores[0], until.measure), until.measure, "VILA_0")
    for round in range(1, spec.rounds + 1):
        models.append(_next(cycle, models[-1], round))
        if until is None:
            continue
        scores.append(cycle.scores_for_stopping(models[-1], until))
        if scores[-1].done:  # in a dry walk nothing is known yet, so all rounds are planned
            gains.append(_last_gain(scores, until, cycle.recipe.seed))
            if gains[-1].answer == "saturated":
                break
    return History(tuple(models), tuple(gains), models[_best(scores, until)])


def _next(cycle: Cycle, before: TrainedGeneralist, round: int) -> TrainedGeneralist:
    """VILA_i, trained with the captions that the one before it wrote."""
    layer = cycle.recaption(before)
    view = cycle.recipe.cycle.view.format(layer=layer)
    if cycle.recipe.cycle.captions != MORE_SFT:
        return cycle.train(f"VILA_{round}", round, layer=layer, view=view)
    # A control: VILA_0 but for its last stage, which takes the tokens that those captions would have taken.
    beside = {list(cycle.recipe.stages)[-1]: ()}
    return cycle.train(f"VILA_{round}", round, beside=beside, in_place_of=view)


def _last_gain(scores: list[StepResult], until: SaturationSpec, seed: int) -> Gain:
    before, after = (items_of(one, until.measure) for one in scores[-2:])
    return gain_of(before, after, measure=until.measure, delta=until.delta, seed=seed)


def _best(scores: list[StepResult], until: SaturationSpec | None) -> int:
    """The round that goes on: where nothing says which, or in a dry walk, the last."""
    if until is None or not all(one.done for one in scores):
        return -1
    items = [items_of(one, until.measure) for one in scores]
    return best_round([-math.inf if item.value is None else item.value for item in items])
