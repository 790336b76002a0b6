"""The step that scores a model on a recipe's benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from vila2.data.shards import ShardDataset
from vila2.progress import Progress
from vila2.recipe.parts.engine import EngineSpec
from vila2.recipe.parts.evaluate import BenchmarkSpec
from vila2.recipe.parts.model import Dtype
from vila2.recipe.parts.values import Later, Part
from vila2.run.step_kinds import Inputs, step_kind


class ScoredBenchmark(BenchmarkSpec):
    """A benchmark of the recipe, with everything else that its scores depend on.

    Attributes:
        plugin, plugin_version: package and version of the plugin that brings it; None for a kind of the core.
        scorer_digest: digest of the scorer's weights; None where there is no scorer.
    """

    plugin: Annotated[str | None, Later] = None
    plugin_version: Annotated[str | None, Later] = None
    scorer_digest: Annotated[str | None, Later] = None

    @classmethod
    def of(cls, spec: BenchmarkSpec) -> ScoredBenchmark:
        """Looks up what the scores of a benchmark depend on."""
        from vila2.evaluate.benchmarks import KINDS, brought_benchmark
        from vila2.model.digest import digest_folder
        from vila2.plugin.code_version import code_version

        values = dict(spec)
        if spec.kind not in KINDS:
            plugin = brought_benchmark(spec.kind)
            values |= {"plugin": plugin.package, "plugin_version": code_version(plugin)}
        if spec.scorer:
            values |= {"scorer_digest": digest_folder(Path(spec.scorer))}
        return cls(**values)


class ScoreSettings(Part):
    """Everything that scores depend on, besides the model and the datasets."""

    benchmarks: tuple[ScoredBenchmark, ...]
    seed: int
    dtype: Dtype
    engine: Annotated[EngineSpec, Later] = EngineSpec()


@step_kind("evaluate", ScoreSettings, digested_as="vila2.cycle.work.evaluate", place="worker")
def evaluate(folder: Path, settings: ScoreSettings, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Scores a model on the benchmarks of a recipe; see :mod:`vila2.evaluate.benchmarks`."""
    from vila2.engine.registry import open_engine
    from vila2.evaluate.benchmarks import run_benchmarks
    from vila2.evaluate.measures.items import write_items

    if not settings.benchmarks:  # a model that cannot be asked can still be trained
        write_items(folder, {})
        return {"measures": []}
    datasets = {name.removeprefix("data."): path for name, path in inputs.items() if name.startswith("data.")}
    for path in datasets.values():
        ShardDataset.open(path)  # fails before a model is loaded where it cannot be read
    engine = open_engine(settings.engine, inputs["model"] / "model", dtype=settings.dtype)
    measured = run_benchmarks(
        engine, settings.benchmarks, datasets, folder, seed=settings.seed, progress=progress
    )
    return dict(measured)
