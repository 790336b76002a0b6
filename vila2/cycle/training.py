"""A recipe under way: its datasets, its starting point, the layers written so far, and how a VILA_i is trained.

Every call of ``run.step`` is a node of the run: finished nodes are never redone, and a changed setting redoes only
what depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.cycle import work
from vila2.cycle.usable import check_usable
from vila2.recipe.checks.learning import sees_the_original_alone
from vila2.recipe.parts.cycle import NO_DATASETS, SHUFFLED, CycleSpec
from vila2.run.steps import checkpoint

if TYPE_CHECKING:
    from vila2.recipe.parts.cycle import SaturationSpec
    from vila2.recipe.parts.data import MixtureEntry
    from vila2.recipe.parts.evaluate import BenchmarkSpec
    from vila2.recipe.parts.stage import StageSpec
    from vila2.recipe.recipe import Recipe
    from vila2.run.step_files import StepResult
    from vila2.run.steps import Run

#: Settings of the cycle that no caption depends on.
_NOT_OF_THE_LAYER = {
    "rounds",
    "saturation",
    "recaption",
    "view",
    "stage",
    "captions",
    "captioner",
    "max_unusable",
}


@dataclass(frozen=True, slots=True)
class Generalist:
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
        cycle.data = {name: work.open_dataset(run, name, spec) for name, spec in recipe.data_in_use.items()}
        cycle.parts = run.step(
            "parts", work.assemble, settings=work.model_settings(recipe), inputs=work.model_inputs(recipe)
        )
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
    ) -> Generalist:
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
        return Generalist(name, round, stages, scores, layer, view)

    def scores_for_stopping(self, generalist: Generalist, until: SaturationSpec) -> StepResult:
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
            work.evaluate,
            settings={
                "benchmarks": [_benchmark_settings(benchmark) for benchmark in benchmarks],
                "seed": self.recipe.seed,
                "dtype": self.recipe.model.dtype,
            },
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
            settings = {"name": name, "stage": stage.of_the_model(), **self._training_settings()}
            inputs = self._inputs_of(stage)
            if name in (beside or {}) and in_place_of:
                matched, needed = self._equal_compute([e.dataset for e in more], in_place_of, view)
                settings, inputs = settings | {"equal_compute": matched}, needed | inputs
            model = self.run.step(
                f"{steps if changed else 'vila0'}-{name}",
                work.train,
                settings=settings,
                inputs={"model": model} | inputs,
                machine={"processes": self.processes, "max_left_out": stage.max_left_out},
            )
            stages[name] = model
        return stages

    def _equal_compute(
        self, datasets: Sequence[str], view: str, own: str | None
    ) -> tuple[dict[str, Any], dict[str, StepResult]]:
        """What :mod:`vila2.train.equal_compute` is told, and the datasets and layers that it measures."""
        name = self.recipe.cycle.stage
        stages = {
            which: self._seen_through(name, self.recipe.stages[name], through)
            for which, through in (("more", view), ("less", own))
        }
        settings = {which: stage.of_the_model() for which, stage in stages.items()}
        inputs = self._inputs_of(stages["less"]) | self._inputs_of(stages["more"])
        return {"datasets": list(datasets), **settings}, inputs

    def recaption(self, writer: Generalist) -> str:
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
        model = work.named_model(captioner) if captioner else checkpoint(writer.model)
        own, step = f"self-{round}", self._write(f"self-{round}", model)
        if step.done:
            check_usable(own, step.results, self.recipe.cycle.max_unusable)
        if captions != SHUFFLED:
            return self._keep(own, writer_name, step)
        shuffled = f"shuffled-{round}"
        settings = {"layer": shuffled, "seed": self.recipe.seed}
        step = self.run.step(
            shuffled,
            work.shuffle,
            settings=settings,
            inputs={"layer": step, "data": self.data[self.recipe.recaptioned]},
        )
        return self._keep(shuffled, f"{writer_name}, about other images", step)

    def _write(self, layer: str, model: StepResult | str) -> StepResult:
        cycle = self.recipe.cycle
        settings = cycle.model_dump(mode="json", exclude=_NOT_OF_THE_LAYER)
        return self.run.step(
            layer,
            work.recaption,
            settings=settings | {"layer": layer, "seed": self.recipe.seed, "dtype": self.recipe.model.dtype},
            inputs={"model": model, "data": self.data[self.recipe.recaptioned]},
        )

    def _texts_of(self, dataset: str, layer: str) -> StepResult:
        settings: dict[str, Any] = {"layer": layer}
        share = self.recipe.cycle.share
        if share != CycleSpec.model_fields["share"].default:  # of as many images as VILA_i would write about
            settings |= {"share": share, "seed": self.recipe.seed}
        return self.run.step(
            layer,
            work.text_layer,
            settings=settings,
            inputs={"texts": self.data[dataset], "data": self.data[self.recipe.recaptioned]},
        )

    def _keep(self, layer: str, writer: str, step: StepResult) -> str:
        self.layers[layer], self.writers[layer] = step, writer
        return layer

    def seen(self, name: str, generalist: Generalist) -> StageSpec:
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

    def _training_settings(self) -> dict[str, Any]:
        recipe = self.recipe
        return {"seed": recipe.seed, "dtype": recipe.model.dtype, "plugins": recipe.plugins}


def _benchmark_settings(benchmark: BenchmarkSpec) -> dict[str, Any]:
    """What a benchmark's scores are a function of; of a plugin's also the plugin."""
    from vila2.evaluate.benchmarks import KINDS, brought_benchmark

    settings = benchmark.model_dump(mode="json", exclude={"rounds_only"})
    if benchmark.kind not in KINDS:
        plugin = brought_benchmark(benchmark.kind).plugin
        settings |= {"plugin": plugin.package, "plugin_version": plugin.version}
    if benchmark.scorer:
        from vila2.model.digest import digest_folder

        settings["scorer_digest"] = digest_folder(Path(benchmark.scorer))
    return settings
