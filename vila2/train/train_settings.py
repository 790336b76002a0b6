"""The settings that determine a trained stage."""

from __future__ import annotations

from typing import Annotated

from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.stage import StageSpec
from vila2.recipe.parts.values import Later, NotDigested, Part


class EqualCompute(Part):
    """The compute that a stage's mixture makes up for; see :mod:`vila2.train.equal_compute`.

    Attributes:
        datasets: names of the datasets that are read in addition; where empty, the stage reads its own data
            more often.
        more: stage whose tokens are matched.
        less: stage that it is compared with; the tokens of ``more`` beyond those of this one are spent.
        passes: whether no tokens are matched: the additional datasets are read as often as their weights say.
        also: other trainings whose tokens are spent too, each with all of its epochs.
        images: name of the dataset that the layers of ``asked`` are about; empty where there are none.
        asked: names of layers whose writing is spent too: what the writer read and what it wrote.
    """

    datasets: tuple[str, ...]
    more: StageSpec
    less: StageSpec
    passes: Annotated[bool, Later] = False
    also: Annotated[tuple[StageSpec, ...], Later] = ()
    images: Annotated[str, Later] = ""
    asked: Annotated[tuple[str, ...], Later] = ()


class TrainSettings(Part):
    """Determines a trained stage, besides the model, the datasets and the layers.

    Attributes:
        name: name of the stage.
        stage: its part of the recipe.
        seed: seed of order, adapters and dropout.
        dtype: type of the weights.
        plugins: always empty; kept since it stands in the digests of runs that users have. The plugins that
            are told of a stage do not change it (:mod:`vila2.train.after_stage`).
        equal_compute: compute that part of the mixture makes up for, in controls.
        processes: number of processes that train together. It changes no result beyond rounding.
    """

    name: str
    stage: StageSpec
    seed: int
    dtype: Dtype
    plugins: tuple[()] = ()
    equal_compute: Annotated[EqualCompute | None, Later] = None
    processes: Annotated[int, NotDigested] = 1
