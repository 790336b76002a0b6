"""A recipe under way: its datasets, starting model and layers, and how a VILA_i is trained.

Every call of ``run.step`` is a node of the run. Finished nodes are never redone, and a changed setting redoes
only what depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.data.views import View
from vila2.evaluate.score_step import ScoredBenchmark, ScoreSettings, evaluate
from vila2.model.assemble_step import starting_parts
from vila2.recipe.checks.learning import sees_the_original_alone
from vila2.sources.import_step import open_dataset
from vila2.train.after_stage import tell_plugins
from vila2.train.stage_step import train
from vila2.train.train_settings import EqualCompute, TrainSettings

if TYPE_CHECKING:
    from vila2.recipe.parts.cycle import SaturationSpec
    from vila2.recipe.parts.data import MixtureEntry
    from vila2.recipe.parts.evaluate import BenchmarkSpec
    from vila2.recipe.parts.stage import StageSpec
    from vila2.recipe.recipe import Recipe
    from vila2.run.step_files import StepResult
    from vila2.run.steps import Run


@dataclass(frozen=True, slots=True)
class TrainedGeneralist:
    """One trained model: the steps that made it and its scores.

    Attributes:
        name: name of the model, such as "VILA_1".
        round: round of self-augmentation that its captions come from.
        stages: training steps by stage, in order.
        scores: scores in the recipe's benchmarks.
        layer: newest captions that it learned from; None where it learned from the recipe's own.
        view: view through which it saw them; None where it saw the recipe's own.
    """

    name: str
    round: int
    stages: Mapping[str, StepResult]
    scores: StepResult
    layer: str | None = None
    view: str | None = None

    @property
    def model(self) -> StepResult:
        """The last stage's result."""
        return list(self.stages.values())[-1]


@dataclass(frozen=True, slots=True)
class OtherTraining:
    """A training of another model, whose tokens a control matches.

    Attributes:
        stage: its stage.
        inputs: datasets and layers that it reads, by name of the input.
    """

    stage: StageSpec
    inputs: Mapping[str, StepResult | Path]


@dataclass(frozen=True, slots=True)
class Lesson:
    """The difference between a training and VILA_0's: what it reads besides what the recipe's stages say.

    Attributes:
        layer: newest captions.
        view: view of them, in the cycle's stage, where an entry of the mixture sees the original alone.
        beside: further entries of mixtures, by stage.
        in_place_of: view of captions that this training does not see. The stages of ``beside`` take as many
            tokens more as that view would have taken: from their further entries, or from their own mixture
            where there are none.
        passes: whether the further entries are read as often as their weights say, in whatever tokens.
        also: other trainings whose tokens are matched too.
        asked: layers whose writing is matched too.
    """

    layer: str | None = None
    view: str | None = None
    beside: Mapping[str, Sequence[MixtureEntry]] = field(default_factory=dict)
    in_place_of: str | None = None
    passes: bool = False
    also: Sequence[OtherTraining] = ()
    asked: Sequence[str] = ()


#: What VILA_0 learns: the recipe's stages as they stand.
AS_THE_RECIPE_SAYS = Lesson()


@dataclass(slots=True)
class Cycle:
    """A recipe under way.

    Attributes:
        recipe: recipe of the run.
        run: run in which the steps are done.
        processes: number of processes that train together.
        data: datasets by name: the recipe's and, once they are used, those that specialists were trained on.
        parts: model that every training starts from; None until it is assembled.
        layers: layers written in this run, by name.
        writers: names of their writers, by layer.
    """

    recipe: Recipe
    run: Run
    processes: int = 1
    data: dict[str, StepResult] = field(default_factory=dict)
    parts: StepResult | None = None
    layers: dict[str, StepResult] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def begin(cls, recipe: Recipe, run: Run, *, processes: int = 1) -> Cycle:
        """Imports the datasets and assembles the starting model."""
        data = {name: open_dataset(run, name, spec) for name, spec in recipe.data_in_use.items()}
        return cls(recipe, run, processes, data, starting_parts(run, recipe))

    @property
    def images(self) -> StepResult:
        """The dataset whose images get new captions."""
        return self.data[self.recipe.recaptioned]

    def train(
        self, name: str, round: int, lesson: Lesson = AS_THE_RECIPE_SAYS, *, steps: str | None = None
    ) -> TrainedGeneralist:
        """Trains all stages from the starting model, and scores the result (paper: "retrain from scratch").

        Args:
            name: name of the model.
            round: round that its captions come from.
            lesson: what it reads besides what the recipe says.
            steps: beginning of its steps' names; by default the round's.
        """
        steps = steps or f"vila{round}"
        stages = self.train_stages(steps, lesson)
        model = list(stages.values())[-1]
        benchmarks = [benchmark for benchmark in self.recipe.evaluate if not benchmark.rounds_only]
        scores = self.score(f"{steps}-scores", model, benchmarks)
        return TrainedGeneralist(name, round, stages, scores, lesson.layer, lesson.view)

    def train_stages(self, steps: str, lesson: Lesson = AS_THE_RECIPE_SAYS) -> dict[str, StepResult]:
        """Trains the stages, each from the model of the one before it.

        The stages before the first one that the lesson changes are VILA_0's: they are trained once for all
        rounds.

        Args:
            steps: beginning of the steps' names, from the first changed stage on.
            lesson: what the stages read besides what the recipe says.

        Returns:
            The trained stages by name.
        """
        if self.parts is None:
            self.parts = starting_parts(self.run, self.recipe)
        model, changed = self.parts, False
        stages: dict[str, StepResult] = {}
        for name in self.recipe.stages:
            changed = changed or self._changes(lesson, name)
            stage = self._with_entries(name, lesson)
            equal_compute: EqualCompute | None = None
            measured: dict[str, StepResult | Path] = {}
            if name in lesson.beside and lesson.in_place_of:
                equal_compute, measured = self._equal_compute(name, lesson, lesson.in_place_of)
            model = stages[name] = self.train_stage(
                f"{steps if changed else 'vila0'}-{name}",
                name,
                stage,
                {**measured, "model": model},
                equal_compute,
            )
        return stages

    def train_stage(
        self,
        step: str,
        name: str,
        stage: StageSpec,
        inputs: Mapping[str, StepResult | Path],
        equal_compute: EqualCompute | None = None,
    ) -> StepResult:
        """Trains one stage, and tells the recipe's plugins of it.

        Args:
            step: name of the step.
            name: name of the stage.
            stage: what it is.
            inputs: the model, and what the stage reads besides the data of its mixture.
            equal_compute: compute that part of the mixture makes up for.
        """
        trained = self.run.step(
            step,
            train,
            settings=TrainSettings(
                name=name,
                stage=stage,
                seed=self.recipe.seed,
                dtype=self.recipe.model.dtype,
                equal_compute=equal_compute,
                processes=self.processes,
            ),
            inputs={**inputs, **self.inputs_of(stage)},
        )
        if not self.run.dry:
            tell_plugins(self.recipe.plugins, name, trained)
        return trained

    def score(self, step: str, model: StepResult, benchmarks: Sequence[BenchmarkSpec]) -> StepResult:
        """Scores a model in some of the recipe's benchmarks, as a step of this name."""
        return self.run.step(
            step,
            evaluate,
            settings=ScoreSettings(
                benchmarks=tuple(ScoredBenchmark.of(benchmark) for benchmark in benchmarks),
                seed=self.recipe.seed,
                dtype=self.recipe.model.dtype,
                engine=self.recipe.engine,
            ),
            inputs={"model": model} | {f"data.{b.dataset}": self.data[b.dataset] for b in benchmarks},
        )

    def scores_for_stopping(self, generalist: TrainedGeneralist, until: SaturationSpec) -> StepResult:
        """Returns the scores that hold the measure which decides when the rounds stop."""
        deciding = until.measure.partition("/")[0]
        named = [b for b in self.recipe.evaluate if b.rounds_only and b.name == deciding]
        if not named:
            return generalist.scores
        return self.score(f"vila{generalist.round}-stopping", generalist.model, named)

    def keep_layer(self, name: str, step: StepResult, writer: str) -> str:
        """Remembers a layer of this run and its writer; returns the layer's name."""
        self.layers[name], self.writers[name] = step, writer
        return name

    def layer(self, dataset: str, name: str) -> StepResult:
        """Returns a layer of this run, or one that the recipe brings along."""
        if name in self.layers and dataset == self.recipe.recaptioned:
            return self.layers[name]
        return self.run.existing(f"layer-{name}", Path(self.recipe.data[dataset].layers[name]))

    def stage_seen_through(self, name: str, view: str | None) -> StageSpec:
        """Returns a stage of the recipe; in the cycle's stage, new captions join the original through a view.

        Args:
            name: name of the stage.
            view: view of the captions; None for the recipe's own.
        """
        stage = self.recipe.stages[name]
        if view is None or name != self.recipe.cycle.stage:
            return stage
        mixture = tuple(
            entry.model_copy(update={"view": view})
            if entry.dataset == self.recipe.recaptioned and sees_the_original_alone(entry.view)
            else entry
            for entry in stage.mixture
        )
        return stage.model_copy(update={"mixture": mixture})

    def _changes(self, lesson: Lesson, stage: str) -> bool:
        """Tells whether a lesson makes a stage another than VILA_0's."""
        return stage in lesson.beside or (lesson.view is not None and stage == self.recipe.cycle.stage)

    def _with_entries(self, name: str, lesson: Lesson) -> StageSpec:
        stage = self.stage_seen_through(name, lesson.view)
        return stage.model_copy(update={"mixture": (*stage.mixture, *lesson.beside.get(name, ()))})

    def _equal_compute(
        self, stage: str, lesson: Lesson, unseen: str
    ) -> tuple[EqualCompute, dict[str, StepResult | Path]]:
        """Prepares :mod:`vila2.train.equal_compute`.

        Args:
            stage: name of the stage that takes more tokens.
            lesson: what is trained on.
            unseen: view of the captions whose tokens are matched.

        Returns:
            The setting, and the datasets and layers that are measured for it.
        """
        more, less = (
            self.stage_seen_through(self.recipe.cycle.stage, view) for view in (unseen, lesson.view)
        )
        setting = EqualCompute(
            datasets=tuple(dict.fromkeys(entry.dataset for entry in lesson.beside[stage])),
            more=more,
            less=less,
            passes=lesson.passes,
            also=tuple(training.stage for training in lesson.also),
            images=self.recipe.recaptioned if lesson.asked else "",
            asked=tuple(lesson.asked),
        )
        inputs: dict[str, StepResult | Path] = {**self.inputs_of(less), **self.inputs_of(more)}
        for training in lesson.also:
            inputs |= training.inputs
        for layer in lesson.asked:
            images = self.recipe.recaptioned
            inputs |= {f"data.{images}": self.images, f"layer.{images}.{layer}": self.layer(images, layer)}
        return setting, inputs

    def inputs_of(self, stage: StageSpec) -> dict[str, StepResult]:
        """Returns the datasets and layers that a stage reads, by name of the input."""
        inputs = {f"data.{entry.dataset}": self.data[entry.dataset] for entry in stage.mixture}
        for entry in stage.mixture:
            used = [layer for layer in View.parse(entry.view).layers if layer != "original"]
            inputs |= {f"layer.{entry.dataset}.{layer}": self.layer(entry.dataset, layer) for layer in used}
        return inputs
