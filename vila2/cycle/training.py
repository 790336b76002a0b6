"""A recipe under way: its datasets, its starting point, the layers written so far, and how a VILA_i is trained.

Every call of ``run.step`` is a node of the run: finished nodes are never redone, and a changed setting redoes only
what depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.caption.layer_steps import (
    RecaptionSettings,
    ShuffleSettings,
    TextLayerSettings,
    recaption,
    shuffle,
    text_layer,
)
from vila2.cycle.usable import check_usable
from vila2.evaluate.score_step import ScoredBenchmark, ScoreSettings, evaluate
from vila2.model.assemble_step import starting_parts
from vila2.recipe.checks.learning import sees_the_original_alone
from vila2.recipe.parts.cycle import NO_DATASETS, SHUFFLED, CycleSpec
from vila2.run.run_model import named_model
from vila2.run.steps import checkpoint
from vila2.sources.import_step import open_dataset
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
    """One trained model: the steps that made it and what it scores.

    Attributes:
        name: "VILA_1".
        round: of self-augmentation; that of its captions.
        stages: by name, in order of training.
        scores: of the recipe's benchmarks.
        layer: the newest captions that it learned from; None where these are as the recipe says.
        view: through which it saw them; None where that is as the recipe says.
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


@dataclass(slots=True)
class Cycle:
    """A recipe under way.

    Attributes:
        data: its datasets, by name, and those that its specialists were trained on.
        parts: the model that every training starts from.
        layers, writers: written in this run, and by whom, by the layer's name.
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
        """Opens the datasets and puts the starting model together."""
        cycle = cls(recipe, run, processes)
        cycle.data = {name: open_dataset(run, name, spec) for name, spec in recipe.data_in_use.items()}
        cycle.parts = starting_parts(run, recipe)
        return cycle

    def train(
        self,
        name: str,
        round: int,
        *,
        layer: str | None = None,
        view: str | None = None,
        beside: Mapping[str, Sequence[MixtureEntry]] | None = None,
        in_place_of: str | None = None,
        steps: str | None = None,
    ) -> TrainedGeneralist:
        """Trains all stages from the same parts, and scores the last one's model (paper: "retrain from scratch").

        Args:
            name: of the model.
            round: of the captions.
            layer: those captions.
            view: of them in the cycle's stage; by default as the recipe says.
            beside: what stages train on besides, by their names.
            in_place_of: a view of captions that this training sees nothing of; what stages train on besides is so much
                that it takes as many tokens as they would have. Of a stage with nothing besides, its own mixture.
            steps: what the names of its steps begin with.
        """
        steps = steps or f"vila{round}"
        stages = self.train_stages(steps, view=view, beside=beside, in_place_of=in_place_of)
        model = list(stages.values())[-1]
        benchmarks = [benchmark for benchmark in self.recipe.evaluate if not benchmark.rounds_only]
        scores = self.score(f"{steps}-scores", model, benchmarks)
        return TrainedGeneralist(name, round, stages, scores, layer, view)

    def scores_for_stopping(self, generalist: TrainedGeneralist, until: SaturationSpec) -> StepResult:
        """The scores that hold the measure which says when to stop."""
        deciding = until.measure.partition("/")[0]
        named = [b for b in self.recipe.evaluate if b.rounds_only and b.name == deciding]
        if not named:
            return generalist.scores
        return self.score(f"vila{generalist.round}-stopping", generalist.model, named)

    def score(self, step: str, model: StepResult, benchmarks: Sequence[BenchmarkSpec]) -> StepResult:
        """A model's scores in some of the recipe's benchmarks, as a step of this name."""
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

    def train_stages(
        self,
        steps: str,
        *,
        view: str | None = None,
        beside: Mapping[str, Sequence[MixtureEntry]] | None = None,
        in_place_of: str | None = None,
    ) -> dict[str, StepResult]:
        """The stages alone; those before the first that is not VILA_0's are trained once for all rounds."""
        model, stages, changed = self.parts, {}, False
        for name, stage in self.recipe.stages.items():
            changed |= name in (beside or {}) or (view is not None and name == self.recipe.cycle.stage)
            stage = self._seen_through(name, stage, view)
            more = (beside or {}).get(name, ())
            stage = stage.model_copy(update={"mixture": (*stage.mixture, *more)})
            inputs, equal_compute = self._inputs_of(stage), None
            if name in (beside or {}) and in_place_of:
                equal_compute, needed = self._equal_compute([e.dataset for e in more], in_place_of, view)
                inputs = needed | inputs
            model = self.run.step(
                f"{steps if changed else 'vila0'}-{name}",
                train,
                settings=TrainSettings(
                    name=name,
                    stage=stage,
                    seed=self.recipe.seed,
                    dtype=self.recipe.model.dtype,
                    plugins=self.recipe.plugins,
                    equal_compute=equal_compute,
                    processes=self.processes,
                ),
                inputs={"model": model} | inputs,
            )
            stages[name] = model
        return stages

    def _equal_compute(
        self, datasets: Sequence[str], view: str, own: str | None
    ) -> tuple[EqualCompute, dict[str, StepResult]]:
        """What :mod:`vila2.train.equal_compute` is told, and the datasets and layers that it measures."""
        name = self.recipe.cycle.stage
        more, less = (self._seen_through(name, self.recipe.stages[name], one) for one in (view, own))
        told = EqualCompute(datasets=tuple(datasets), more=more, less=less)
        return told, self._inputs_of(less) | self._inputs_of(more)

    def recaption(self, writer: TrainedGeneralist) -> str:
        """VILA_i writes layer self-(i+1) about the images of its own pretraining data.

        Controls put other captions in their place: see ``cycle.captions`` of the recipe.

        Returns:
            The layer's name.

        Raises:
            RunError: more of the captions are unusable than ``cycle.max_unusable`` allows.
        """
        round = writer.round + 1
        captions, captioner = self.recipe.cycle.captions, self.recipe.cycle.captioner
        if captions not in NO_DATASETS:
            return self._keep(f"given-{round}", captions, self._texts_of(captions, f"given-{round}"))
        writer_name = captioner or writer.name
        model = named_model(captioner) if captioner else checkpoint(writer.model)
        own, step = f"self-{round}", self._write(f"self-{round}", model)
        if step.done:
            check_usable(own, step.results, self.recipe.cycle.max_unusable)
        if captions != SHUFFLED:
            return self._keep(own, writer_name, step)
        shuffled = f"shuffled-{round}"
        step = self.run.step(
            shuffled,
            shuffle,
            settings=ShuffleSettings(layer=shuffled, seed=self.recipe.seed),
            inputs={"layer": step, "data": self.data[self.recipe.recaptioned]},
        )
        return self._keep(shuffled, f"{writer_name}, about other images", step)

    def _write(self, layer: str, model: StepResult | str) -> StepResult:
        recipe = self.recipe
        return self.run.step(
            layer,
            recaption,
            settings=RecaptionSettings.of(
                recipe.cycle, layer=layer, seed=recipe.seed, dtype=recipe.model.dtype
            ),
            inputs={"model": model, "data": self.data[self.recipe.recaptioned]},
        )

    def _texts_of(self, dataset: str, layer: str) -> StepResult:
        settings = TextLayerSettings(layer=layer)
        share = self.recipe.cycle.share
        if share != CycleSpec.model_fields["share"].default:  # of as many images as VILA_i would write about
            settings = TextLayerSettings(layer=layer, share=share, seed=self.recipe.seed)
        return self.run.step(
            layer,
            text_layer,
            settings=settings,
            inputs={"texts": self.data[dataset], "data": self.data[self.recipe.recaptioned]},
        )

    def _keep(self, layer: str, writer: str, step: StepResult) -> str:
        self.layers[layer], self.writers[layer] = step, writer
        return layer

    def seen(self, name: str, generalist: TrainedGeneralist) -> StageSpec:
        """A stage as a generalist was trained in it."""
        return self._seen_through(name, self.recipe.stages[name], generalist.view)

    def _seen_through(self, name: str, stage: StageSpec, view: str | None) -> StageSpec:
        if view is None or name != self.recipe.cycle.stage:
            return stage
        mixture = tuple(
            entry.model_copy(update={"view": view})
            if entry.dataset == self.recipe.recaptioned and sees_the_original_alone(entry.view)
            else entry
            for entry in stage.mixture
        )
        return stage.model_copy(update={"mixture": mixture})

    def _inputs_of(self, stage: StageSpec) -> dict[str, StepResult]:
        from vila2.data.views import View

        inputs = {f"data.{entry.dataset}": self.data[entry.dataset] for entry in stage.mixture}
        for entry in stage.mixture:
            used = [layer for layer in View.parse(entry.view).layers if layer != "original"]
            inputs |= {f"layer.{entry.dataset}.{layer}": self.layer(entry.dataset, layer) for layer in used}
        return inputs

    def layer(self, dataset: str, name: str) -> StepResult:
        """A layer of this run, or one that the recipe brings along."""
        if name in self.layers and dataset == self.recipe.recaptioned:
            return self.layers[name]
        return self.run.existing(f"layer-{name}", Path(self.recipe.data[dataset].layers[name]))
