"""Where a specialist starts: the models, datasets and layers of a finished run, or a plain checkpoint."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vila2.data.views import View
from vila2.errors import RunError
from vila2.model.shipped import is_miniature
from vila2.nearest import nearest_path
from vila2.recipe.parts.data import DatasetSpec, MixtureEntry
from vila2.recipe.parts.model import ModelSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE
from vila2.recipe.specialist_recipe import RUN
from vila2.run.pruning import is_pruned
from vila2.run.status import recipe_steps
from vila2.run.step_files import StepResult, read_done, step_folder

_STAGE = re.compile(r"vila(\d+)-(.+)")
_RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class Origin:
    """The generalist that a specialist is made from.

    Attributes:
        name: "VILA_1", or the checkpoint's.
        models: its checkpoints by stage, in order of training; the last one is the generalist. A path, a
            hub id, or a step of a run that is under way.
        mixtures: what each stage trained on.
        datasets: folders or steps, by the names that the mixtures use.
        layers: folders or steps, by "DATASET.LAYER".
        recaptioned: the dataset whose captions the run rewrites.
        run: the run's folder, None of a plain checkpoint.
        dtype: of the weights.
        sources: the recipe's datasets by name, as far as there is a recipe.
        miniature: whether it is the shipped miniature, which specialists are made of in other ways than of a
            real VLM.
        engine: name of the engine that generates, as the run's recipe says.
    """

    name: str
    models: Mapping[str, Path | str | StepResult]
    mixtures: Mapping[str, tuple[MixtureEntry, ...]] = field(default_factory=dict)
    datasets: Mapping[str, Path | StepResult] = field(default_factory=dict)
    layers: Mapping[str, Path | StepResult] = field(default_factory=dict)
    recaptioned: str | None = None
    run: Path | None = None
    dtype: str = "float32"
    sources: Mapping[str, DatasetSpec] = field(default_factory=dict)
    miniature: bool = False
    engine: str = DEFAULT_ENGINE

    @property
    def generalist(self) -> Path | str | StepResult:
        """The checkpoint at the end of all stages."""
        return list(self.models.values())[-1]

    @property
    def images_under_way(self) -> StepResult | None:
        """The dataset whose captions are rewritten, as a step of a run that is under way."""
        dataset = self.datasets.get(self.recaptioned or "")
        return dataset if isinstance(dataset, StepResult) else None

    def start(self, stage: str) -> Path | str | StepResult:
        """The checkpoint that a recipe's ``start`` names.

        Raises:
            RunError: the generalist has no such stage.
        """
        if stage == "last" or (self.run is None and len(self.models) == 1):
            return self.generalist
        if stage not in self.models:
            raise RunError(
                f"{self.run} has no stage {stage!r} to start from",
                hint=f"--set start=NAME with one of {', '.join(self.models)} or last",
            )
        model = self.models[stage]
        if isinstance(model, Path) and is_pruned(model.parent) and not model.is_dir():
            raise RunError(
                f"the model of stage {stage!r} was deleted when {self.run} was done with it (keep in its recipe)",
                hint=f"take --set start=last, or delete {model.parent} and give `vila2 run` with --set keep=all again",
            )
        return model

    def mixture(
        self, name: str, mix: Sequence[Path]
    ) -> tuple[list[MixtureEntry], dict[str, Path | StepResult]]:
        """What ``run:STAGE`` stands for, and the folders of its datasets and layers by input name.

        Args:
            name: with ``run:``.
            mix: folders of datasets that stand in for it, where there is no run; ``STAGE=FOLDER`` for that
                stage only.

        Raises:
            RunError: the run has no such stage, or there is neither a run nor a folder.
        """
        stage = name.removeprefix(RUN)
        folders = _standing_in(stage, mix)
        if folders:
            paths = {f"data.mix-{number}": path for number, path in enumerate(folders)}
            return [MixtureEntry(dataset=key.removeprefix("data.")) for key in paths], paths
        if self.run is None:
            raise RunError(
                f"the recipe trains on {name}, but {self.name} is a checkpoint without a run",
                hint=f"--mix FOLDER, or --mix {stage}=FOLDER, with a dataset to mix in (specialist data alone destroys other skills), "
                "or --set stages.NAME.mixture=[...] without it",
            )
        if stage not in self.mixtures:
            raise RunError(
                f"the recipe trains on {name}, but {self.run} has no stage {stage!r}",
                hint=f"it has {', '.join(self.mixtures)}",
            )
        entries, paths = [], {}
        for entry in self.mixtures[stage]:
            entries.append(entry.model_copy(update={"dataset": f"run-{entry.dataset}"}))
            paths[f"data.run-{entry.dataset}"] = self.datasets[entry.dataset]
            for layer in View.parse(entry.view).layers:
                if layer != "original":
                    name = f"{entry.dataset}.{layer}"
                    paths[f"layer.run-{name}"] = self.layers[name]
        return entries, paths


def _standing_in(stage: str, mix: Sequence[Path]) -> list[Path]:
    """The folders of ``mix`` that are for this stage, or for any."""
    folders = []
    for path in mix:
        name, equals, folder = str(path).partition("=")
        if not equals or path.exists():
            folders.append(path)
        elif name == stage:
            folders.append(Path(folder))
    return folders


def find_origin(source: str | Path | None) -> Origin:
    """Looks at what ``--from`` names.

    Args:
        source: a run's folder, a checkpoint's, a hub id, or None for the latest run below ``runs/``.

    Raises:
        RunError: there is none, or the run has not trained a model yet.
    """
    if source is None:
        source = latest_run()
    path = Path(source)
    if (path / "steps").is_dir():
        return _of_run(path)
    if (path / "model" / "config.json").is_file():
        path = path / "model"
    if path.is_dir() and not (path / "config.json").is_file():
        raise RunError(f"{path}: neither a run nor a checkpoint", hint="a checkpoint has a config.json")
    looks_like_a_path = (
        path.is_absolute() or len(path.parts) > 2 or (len(path.parts) == 2 and path.parent.is_dir())
    )
    if not path.exists() and looks_like_a_path:
        near = nearest_path(path)
        hint = f"did you mean {near}?" if near else "check the path given to --from"
        raise RunError(f"{path}: no such run or checkpoint", hint=hint)
    model = path if path.exists() else str(source)
    return Origin(path.name, {"last": model}, miniature=is_miniature(model))


def latest_run(runs: Path = _RUNS) -> Path:
    """The finished run that changed last.

    Raises:
        RunError: there is none.
    """
    found = [path.parent for path in runs.glob("*/results.json")]
    found = [folder for folder in found if not (folder / "specialist.json").exists()]
    if not found:
        raise RunError(
            f"no finished run below {runs}/ to take a generalist from",
            hint="`vila2 run RECIPE` makes one; or --from RUN, or --from CHECKPOINT",
        )
    return max(found, key=lambda folder: (folder / "results.json").stat().st_mtime)


def _of_run(run: Path) -> Origin:
    from vila2.recipe.file.recipe_file import load_recipe

    recipe = load_recipe(run / "recipe.yaml")
    done = _done_steps(run)
    by_name: dict[str, Mapping[str, Any]] = {}
    for record in done.values():
        # A control's steps are called like those of the rounds, and come after them.
        by_name.setdefault(record["name"], record)
    folders = {digest: step_folder(run, record["name"], digest) for digest, record in done.items()}
    datasets = {
        name: folders[by_name[f"data-{name}"]["digest"]] if f"data-{name}" in by_name else Path(spec.path)
        for name, spec in recipe.data.items()
        if f"data-{name}" in by_name or spec.source == "shards"
    }
    last = _generalist(run, by_name, list(recipe.stages)[-1])
    chain = _chain(last, done)
    models, mixtures, layers = {}, {}, {}
    for record in chain:
        stage = record["settings"]["name"]
        models[stage] = folders[record["digest"]] / "model"
        mixtures[stage] = tuple(map(MixtureEntry.model_validate, record["settings"]["stage"]["mixture"]))
        for name, digest in record["inputs"].items():
            kind, _, named = name.partition(".")
            if kind == "layer":
                dataset, _, layer = named.partition(".")
                layers[named] = folders.get(digest) or Path(recipe.data[dataset].layers[layer])
    written = _STAGE.fullmatch(last["name"]).group(1)
    return Origin(
        f"VILA_{written}",
        models,
        mixtures,
        datasets,
        layers,
        recipe.recaptioned,
        run,
        recipe.model.dtype,
        recipe.data,
        starts_from_the_miniature(recipe.model),
        recipe.engine,
    )


def starts_from_the_miniature(model: ModelSpec) -> bool:
    """Whether a recipe's model is the shipped miniature, or has its vision tower."""
    return is_miniature(str(model.pretrained or model.vision))


def _done_steps(run: Path) -> dict[str, dict[str, Any]]:
    """The finished steps of the run's newest recipe by digest, in order; of those that are alike the first."""
    done: dict[str, dict[str, Any]] = {}
    for step in recipe_steps(run):
        if step.state == "done" and step.digest not in done:
            done[step.digest] = read_done(step_folder(run, step.name, step.digest))
    return done


def _generalist(run: Path, by_name: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """The record of the last stage of the best round, or of the last finished one where the run is not at its end."""
    found = [hit for name in by_name if (hit := _STAGE.fullmatch(name)) and hit.group(2) == stage]
    ends = {int(hit.group(1)): by_name[hit.group()] for hit in found}
    if not ends:
        raise RunError(
            f"{run} has not trained a model to its end yet",
            hint=f"`vila2 status {shlex.quote(str(run))}` shows how far it is; run it to its end",
        )
    results = run / "results.json"
    best = json.loads(results.read_text(encoding="utf-8")).get("best", "") if results.is_file() else ""
    return next((record for number, record in ends.items() if best == f"VILA_{number}"), ends[max(ends)])


def _chain(last: Mapping[str, Any], done: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The stages that led to a model, first one first."""
    chain = [last]
    while (before := done.get(chain[0]["inputs"].get("model", ""))) and _STAGE.fullmatch(before["name"]):
        chain.insert(0, before)
    return chain
