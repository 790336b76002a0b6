"""The self-augmentation loop: the paper's Figure 1 (a), section 2.1.

    VILA_0   = train(stages, original)
    self-1   = recaption(VILA_0)
    VILA_1   = train(stages, concat(original, self-1))        # from scratch, same images
    ...

Every call of ``run.step`` is a node of the run: finished nodes are never redone, and a changed
setting redoes only what depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vila2.cycle import work

if TYPE_CHECKING:
    from vila2.run.recipe import BenchmarkSpec, Recipe
    from vila2.run.steps import Run, StepResult


@dataclass(frozen=True, slots=True)
class Generalist:
    """VILA_i: the steps that made it and what it scores."""

    round: int
    stages: Mapping[str, StepResult]
    scores: StepResult

    @property
    def name(self) -> str:
        return f"VILA_{self.round}"

    @property
    def model(self) -> StepResult:
        """The last stage's result."""
        return list(self.stages.values())[-1]


@dataclass(slots=True)
class Cycle:
    """A recipe under way: its datasets, its starting point, and the layers written so far."""

    recipe: Recipe
    run: Run
    processes: int = 1
    data: Mapping[str, StepResult] = field(default_factory=dict)
    parts: StepResult | None = None
    layers: dict[str, StepResult] = field(default_factory=dict)
    writers: dict[str, str] = field(default_factory=dict)

    def train(self, round: int) -> Generalist:
        """Trains all stages on the newest captions, and scores the last one's model."""
        stages = self.train_stages(round)
        model = list(stages.values())[-1]
        scores = self.run.step(
            f"vila{round}-scores",
            work.evaluate,
            settings={
                "benchmarks": [_benchmark_settings(benchmark) for benchmark in self.recipe.evaluate],
                "seed": self.recipe.seed,
                "dtype": self.recipe.model.dtype,
            },
            inputs={"model": model}
            | {f"data.{b.dataset}": self.data[b.dataset] for b in self.recipe.evaluate},
        )
        return Generalist(round, stages, scores)

    def train_stages(self, round: int) -> dict[str, StepResult]:
        """Trains all stages from the same parts, on the newest captions (paper: "retrain from scratch")."""
        model, stages = self.parts, {}
        for name, stage in self.recipe.stages.items():
            stage = self._with_newest_captions(name, stage)
            inputs = {"model": model} | self._inputs_of(stage)
            model = self.run.step(
                f"vila{0 if name in self._before_the_cycle else round}-{name}",
                work.train,
                settings={"name": name, "stage": stage.model_dump(mode="json"), **self._training_settings()},
                inputs=inputs,
                machine={"processes": self.processes},
            )
            stages[name] = model
        return stages

    def recaption(self, writer: Generalist) -> StepResult:
        """VILA_i writes layer self-(i+1) about the images of its own pretraining data."""
        layer = f"self-{writer.round + 1}"
        self.writers[layer] = writer.name
        cycle = self.recipe.cycle
        settings = cycle.model_dump(mode="json", exclude={"rounds", "recaption", "view", "stage"})
        self.layers[layer] = self.run.step(
            layer,
            work.recaption,
            settings=settings | {"layer": layer, "seed": self.recipe.seed, "dtype": self.recipe.model.dtype},
            inputs={"model": writer.model, "data": self.data[self.recipe.recaptioned]},
        )
        return self.layers[layer]

    def _with_newest_captions(self, name: str, stage: Any) -> Any:
        """The stage with the recaptioned dataset seen through the cycle's view of the newest layer."""
        if not self.layers or name != self.recipe.cycle.stage:
            return stage
        view = self.recipe.cycle.view.format(layer=list(self.layers)[-1])
        mixture = tuple(
            entry.model_copy(update={"view": view}) if entry.dataset == self.recipe.recaptioned else entry
            for entry in stage.mixture
        )
        return stage.model_copy(update={"mixture": mixture})

    @property
    def _before_the_cycle(self) -> list[str]:
        """The stages that no new caption reaches: alike in every round, so trained once."""
        names = list(self.recipe.stages)
        return names[: names.index(self.recipe.cycle.stage)] if self.recipe.cycle.stage in names else names

    def _inputs_of(self, stage: Any) -> dict[str, StepResult]:
        from vila2.data.views import View

        inputs = {f"data.{entry.dataset}": self.data[entry.dataset] for entry in stage.mixture}
        for entry in stage.mixture:
            used = [layer for layer in View.parse(entry.view).layers if layer != "original"]
            inputs |= {f"layer.{entry.dataset}.{layer}": self._layer(entry.dataset, layer) for layer in used}
        return inputs

    def _layer(self, dataset: str, name: str) -> StepResult:
        """A layer of this run, or one that the recipe brings along."""
        if name in self.layers and dataset == self.recipe.recaptioned:
            return self.layers[name]
        return self.run.existing(f"layer-{name}", self.recipe.data[dataset].layers[name])

    def _training_settings(self) -> dict[str, Any]:
        recipe = self.recipe
        return {"seed": recipe.seed, "dtype": recipe.model.dtype, "plugins": recipe.plugins}


def _benchmark_settings(benchmark: BenchmarkSpec) -> dict[str, Any]:
    """What a benchmark's scores are a function of; of a plugin's also the plugin."""
    from vila2.evaluate.benchmarks import KINDS, brought_benchmark

    settings = benchmark.model_dump(mode="json")
    if benchmark.kind not in KINDS:
        plugin = brought_benchmark(benchmark.kind).plugin
        settings |= {"plugin": plugin.package, "plugin_version": plugin.version}
    if benchmark.scorer:
        from vila2.model.digest import digest_folder

        settings["scorer_digest"] = digest_folder(Path(benchmark.scorer))
    return settings


def run_recipe(recipe: Recipe, folder: Path, *, dry_run: bool, progress: Any) -> dict[str, Any]:
    """Runs a recipe, or goes on with it.

    Args:
        recipe: checked by ``load_recipe``.
        folder: of the run.
        dry_run: plan and check everything, do nothing.
        progress: shows what is under way.

    Returns:
        ``report`` (path of the HTML page), ``summary`` (columns and rows) and ``results``; of a dry run
        ``plan``, ``sizes``, ``samples`` and ``memory`` instead.

    Raises:
        Vila2Error: whatever is wrong, before the first work where it can be known before.
    """
    from vila2.cycle.preflight import preflight
    from vila2.cycle.results import write_results
    from vila2.run.steps import Run
    from vila2.train.processes import processes_here

    plan = Run.open(folder, dry=True)
    checks = preflight(recipe, show=dry_run)
    self_augment(recipe, plan)
    if dry_run:
        return {"plan": plan.plan, **checks}
    with Run.open(folder, progress=progress, planned=plan.plan) as run:
        run.keep_recipe(recipe)
        work.use_threads(recipe.threads)
        cycle, history = self_augment(recipe, run, processes=processes_here(recipe.processes))
        return write_results(cycle, history, folder)


def self_augment(recipe: Recipe, run: Run, *, processes: int = 1) -> tuple[Cycle, list[Generalist]]:
    """The loop of Figure 1 (a): every VILA_i writes the captions that train VILA_{i+1}.

    Args:
        recipe: of the run.
        run: where its steps are done.
        processes: that train together.
    """
    cycle = Cycle(recipe, run, processes)
    cycle.data = {name: work.open_dataset(run, name, spec) for name, spec in recipe.data_in_use.items()}
    cycle.parts = run.step(
        "parts", work.assemble, settings=work.model_settings(recipe), inputs=work.model_inputs(recipe)
    )

    history = [cycle.train(round=0)]
    for round in range(1, recipe.cycle.rounds + 1):
        cycle.recaption(history[-1])
        history.append(cycle.train(round))
    return cycle, history
