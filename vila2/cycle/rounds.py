"""Self-augmentation: the paper's Figure 1 (a), section 2.1.

VILA_0   = train(stages, original)
self-1   = recaption(VILA_0)
VILA_1   = train(stages, concat(original, self-1))        # from scratch, same images
...                                                       # until a round gains nothing more
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vila2.cycle.captioning import recaption
from vila2.cycle.saturation import Gain, best_round, check_measure, gain_of
from vila2.cycle.training import Cycle, Lesson, TrainedGeneralist
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
        gains: gain of every round over the one before it; empty where the recipe does not say when to stop.
        best: model of the best round; what comes after the rounds starts from it.
        final: model trained with the specialists' layers, where the recipe has specialists.
        preferred: model trained further on preferences, where the recipe asks for it.
    """

    models: tuple[TrainedGeneralist, ...]
    gains: tuple[Gain, ...]
    best: TrainedGeneralist
    final: TrainedGeneralist | None = None
    preferred: TrainedGeneralist | None = None

    @property
    def outcome(self) -> TrainedGeneralist:
        """The model that the run is done for."""
        return self.preferred or self.final or self.best

    @property
    def all_models(self) -> tuple[TrainedGeneralist, ...]:
        """The rounds' models and, where there are such, the specialists' and the preferred model."""
        return (*self.models, *(one for one in (self.final, self.preferred) if one))


def self_augment(cycle: Cycle) -> History:
    """Does the loop of Figure 1 (a): every VILA_i writes the captions that train VILA_{i+1}."""
    until = cycle.recipe.cycle.saturation
    if until is not None:
        return _until_saturated(cycle, until)
    models = [cycle.train("VILA_0", 0)]
    for round in range(1, cycle.recipe.cycle.rounds + 1):
        models.append(_next(cycle, models[-1], round))
    return History(tuple(models), (), models[-1])


def _until_saturated(cycle: Cycle, until: SaturationSpec) -> History:
    """Does the rounds until one gains nothing more. The best of them goes on."""
    models, gains = [cycle.train("VILA_0", 0)], list[Gain]()
    scores = [cycle.scores_for_stopping(models[0], until)]
    if scores[0].done:
        # A measure that does not exist, or cannot decide, is an error now and not after a round.
        check_measure(items_of(scores[0], until.measure), until.measure, "VILA_0")
    for round in range(1, cycle.recipe.cycle.rounds + 1):
        models.append(_next(cycle, models[-1], round))
        scores.append(cycle.scores_for_stopping(models[-1], until))
        if not scores[-1].done:
            continue  # a dry walk knows no scores yet, so it plans all rounds
        gains.append(_last_gain(scores, until, cycle.recipe.seed))
        if gains[-1].answer == "saturated":
            break
    return History(tuple(models), tuple(gains), models[_best(scores, until)])


def _next(cycle: Cycle, before: TrainedGeneralist, round: int) -> TrainedGeneralist:
    """Trains VILA_i with the captions that the model before it wrote."""
    layer = recaption(cycle, before)
    view = cycle.recipe.cycle.view.format(layer=layer)
    lesson = Lesson(layer, view)
    if cycle.recipe.cycle.captions == MORE_SFT:
        # A control: VILA_0 again, but its last stage takes the tokens that those captions would have taken.
        lesson = Lesson(layer, beside={list(cycle.recipe.stages)[-1]: ()}, in_place_of=view)
    return cycle.train(f"VILA_{round}", round, lesson)


def _last_gain(scores: Sequence[StepResult], until: SaturationSpec, seed: int) -> Gain:
    before, after = (items_of(one, until.measure) for one in scores[-2:])
    return gain_of(before, after, measure=until.measure, delta=until.delta, seed=seed)


def _best(scores: Sequence[StepResult], until: SaturationSpec) -> int:
    """The number of the round with the best scores; -1, the last, in a dry walk, which knows no scores."""
    if not all(one.done for one in scores):
        return -1
    items = [items_of(one, until.measure) for one in scores]
    return best_round([-math.inf if item.value is None else item.value for item in items])
