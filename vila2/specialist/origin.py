"""The origin of a specialist: a run with its models, datasets and layers, or a checkpoint."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vila2.data.views import View
from vila2.errors import RunError
from vila2.model.loading import builtin_models
from vila2.model.shipped import is_miniature
from vila2.nearest import nearest_path
from vila2.recipe.file.shipped_recipes import SHIPPED, shipped_recipes
from vila2.recipe.parts.data import DatasetSpec, MixtureEntry
from vila2.recipe.parts.engine import DEFAULT_SPEC, EngineSpec
from vila2.recipe.parts.model import Dtype, ModelSpec
from vila2.recipe.recipe import Recipe
from vila2.recipe.specialist_recipe import RUN
from vila2.run.pruning import is_pruned
from vila2.run.status import recipe_steps
from vila2.run.step_files import DoneRecord, StepResult, read_done, step_folder

#: A trained model: a folder, a hub id, or a step of a run under way.
Checkpoint = Path | str | StepResult
#: A dataset or a layer: a folder, or a step of a run under way.
Stored = Path | StepResult

_STAGE = re.compile(r"vila(\d+)-(.+)")
_RUNS = Path("runs")
#: Name of the file that holds the recipe, in a run and beside a shipped generalist.
_RECIPE = "recipe.yaml"


@dataclass(frozen=True, slots=True)
class Origin:
    """The generalist that a specialist is made from.

    Attributes:
        name: name of the generalist, such as "VILA_1", or of the checkpoint.
        models: checkpoints by stage, in order of training; the last one is the generalist.
        mixtures: mixtures that the stages were trained on.
        datasets: datasets by the names that the mixtures use, as far as they are imported.
        layers: layers by "DATASET.LAYER".
        recaptioned: name of the dataset that the run recaptions; None for a plain checkpoint.
        run: folder of the run; None for a plain checkpoint.
        dtype: type of the weights.
        sources: the recipe's datasets by name, where there is a recipe; those of a shipped generalist are
            imported when they are needed.
        miniature: whether it is the shipped miniature, whose specialists have other default settings than a
            real VLM's.
        engine: engine that generates, as the run's recipe says.
    """

    name: str
    models: Mapping[str, Checkpoint]
    mixtures: Mapping[str, tuple[MixtureEntry, ...]] = field(default_factory=dict)
    datasets: Mapping[str, Stored] = field(default_factory=dict)
    layers: Mapping[str, Stored] = field(default_factory=dict)
    recaptioned: str | None = None
    run: Path | None = None
    dtype: Dtype = "float32"
    sources: Mapping[str, DatasetSpec] = field(default_factory=dict)
    miniature: bool = False
    engine: EngineSpec = DEFAULT_SPEC

    @property
    def generalist(self) -> Checkpoint:
        """The checkpoint at the end of all stages."""
        return list(self.models.values())[-1]

    @property
    def images_under_way(self) -> StepResult | None:
        """The dataset that a run under way recaptions; None where no run is under way."""
        dataset = self.datasets.get(self.recaptioned or "")
        return dataset if isinstance(dataset, StepResult) else None

    def start(self, stage: str) -> Checkpoint:
        """Returns the checkpoint that a recipe's ``start`` names.

        Raises:
            RunError: the generalist has no such stage, or the stage's model was deleted.
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
                f"the model of stage {stage!r} was deleted when {self.run} was done with it (keep in its "
                "recipe)",
                hint=f"take --set start=last, or delete {model.parent} and give `vila2 run` with "
                "--set keep=all again",
            )
        return model

    def mixture(self, name: str, mix: Sequence[Path]) -> tuple[list[MixtureEntry], dict[str, Stored]]:
        """Finds what ``run:STAGE`` stands for.

        Args:
            name: name in the mixture, with ``run:``.
            mix: folders of datasets that stand in for it; ``STAGE=FOLDER`` does so for that stage only.

        Returns:
            The entries, and the datasets and layers that they read, by name of the input. Datasets that are
            not imported yet are left out.

        Raises:
            RunError: the run has no such stage, or there is neither a run nor a folder.
        """
        stage = name.removeprefix(RUN)
        inputs: dict[str, Stored] = {}
        if folders := _standing_in(stage, mix):
            inputs |= {f"data.mix-{number}": path for number, path in enumerate(folders)}
            return [MixtureEntry(dataset=key.removeprefix("data.")) for key in inputs], inputs
        if self.run is None and not self.mixtures:
            raise RunError(
                f"the recipe trains on {name}, but {self.name} is a checkpoint without a run",
                hint=f"--mix FOLDER, or --mix {stage}=FOLDER, with a dataset to mix in (specialist data "
                "alone destroys other skills), or --set stages.NAME.mixture=[...] without it",
            )
        if stage not in self.mixtures:
            raise RunError(
                f"the recipe trains on {name}, but {self.run or self.name} has no stage {stage!r}",
                hint=f"it has {', '.join(self.mixtures)}",
            )
        entries = []
        for entry in self.mixtures[stage]:
            entries.append(entry.model_copy(update={"dataset": f"run-{entry.dataset}"}))
            if dataset := self.datasets.get(entry.dataset):
                inputs[f"data.run-{entry.dataset}"] = dataset
            for layer in View.parse(entry.view).layers:
                if layer != "original":
                    name = f"{entry.dataset}.{layer}"
                    inputs[f"layer.run-{name}"] = self.layers[name]
        return entries, inputs


def _standing_in(stage: str, mix: Sequence[Path]) -> list[Path]:
    """The folders of ``mix`` that are given for this stage, or for all."""
    folders = []
    for path in mix:
        name, equals, folder = str(path).partition("=")
        if not equals or path.exists():
            folders.append(path)
        elif name == stage:
            folders.append(Path(folder))
    return folders


def find_origin(source: str | Path | None) -> Origin:
    """Finds the origin that ``--from`` names.

    Args:
        source: folder of a run or of a checkpoint, ``builtin:miniature``, or a hub id; None for the latest
            run below ``runs/``.

    Raises:
        RunError: nothing of that name exists, or the run has not trained a model yet.
    """
    if source is None:
        source = latest_run()
    if str(source).startswith(SHIPPED):
        return _of_shipped(str(source))
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
    """Returns the folder of the finished run that changed last.

    Raises:
        RunError: there is no finished run.
    """
    found = [path.parent for path in runs.glob("*/results.json")]
    found = [folder for folder in found if not (folder / "specialist.json").exists()]
    if not found:
        raise RunError(
            f"no finished run below {runs}/ to take a generalist from",
            hint="--from builtin:miniature takes one that vila2 ships; or --from RUN, or --from CHECKPOINT",
        )
    return max(found, key=lambda folder: (folder / "results.json").stat().st_mtime)


def _of_shipped(name: str) -> Origin:
    """The origin that a generalist of the wheel gives, with the data that its recipe names.

    Raises:
        RunError: no generalist of that name is shipped.
    """
    from vila2.recipe.file.recipe_file import load_recipe

    shipped = {known: folder for known, folder in builtin_models().items() if (folder / _RECIPE).is_file()}
    if name not in shipped:
        what = "vila2 ships this recipe, and no model that was trained with it"
        raise RunError(
            f"{name}: {what if name in shipped_recipes() else 'vila2 ships no such generalist'}",
            hint=f"--from takes {', '.join(shipped)}, a run, a folder or a hub id",
        )
    recipe = load_recipe(shipped[name] / _RECIPE)
    return Origin(
        name=shipped[name].name,
        models={list(recipe.stages)[-1]: shipped[name]},
        mixtures={stage: spec.mixture for stage, spec in recipe.stages.items()},
        dtype=recipe.model.dtype,
        sources=recipe.data,
        miniature=is_miniature(name),
    )


def _of_run(run: Path) -> Origin:
    """The origin that a run, finished or not, gives."""
    from vila2.recipe.file.recipe_file import load_recipe

    recipe = load_recipe(run / _RECIPE)
    done = _done_steps(run)
    by_name: dict[str, DoneRecord] = {}
    for record in done.values():
        # A control's steps have the names of the rounds' steps, and come after them.
        by_name.setdefault(record["name"], record)
    folders = {digest: step_folder(run, record["name"], digest) for digest, record in done.items()}
    round, last = _generalist(run, by_name, list(recipe.stages)[-1])
    chain = _chain(last, done)
    return Origin(
        name=f"VILA_{round}",
        models={record["settings"]["name"]: folders[record["digest"]] / "model" for record in chain},
        mixtures={
            record["settings"]["name"]: tuple(
                map(MixtureEntry.model_validate, record["settings"]["stage"]["mixture"])
            )
            for record in chain
        },
        datasets=_datasets(recipe, by_name, folders),
        layers=_layers(recipe, chain, folders),
        recaptioned=recipe.recaptioned,
        run=run,
        dtype=recipe.model.dtype,
        sources=recipe.data,
        miniature=starts_from_the_miniature(recipe.model),
        engine=recipe.engine,
    )


def _datasets(
    recipe: Recipe, by_name: Mapping[str, DoneRecord], folders: Mapping[str, Path]
) -> dict[str, Stored]:
    """The datasets of a run that are imported, or lie outside it as shards."""
    found: dict[str, Stored] = {}
    for name, spec in recipe.data.items():
        if imported := by_name.get(f"data-{name}"):
            found[name] = folders[imported["digest"]]
        elif spec.source == "shards":
            found[name] = Path(str(spec.path))
    return found


def _layers(recipe: Recipe, chain: Sequence[DoneRecord], folders: Mapping[str, Path]) -> dict[str, Stored]:
    """The layers that a chain of stages was trained on, by "DATASET.LAYER"."""
    found: dict[str, Stored] = {}
    for record in chain:
        for name, digest in record["inputs"].items():
            kind, _, named = name.partition(".")
            if kind == "layer":
                dataset, _, layer = named.partition(".")
                found[named] = folders.get(digest) or Path(recipe.data[dataset].layers[layer])
    return found


def starts_from_the_miniature(model: ModelSpec) -> bool:
    """Tells whether a recipe's model is the shipped miniature, or has its vision tower."""
    return is_miniature(str(model.pretrained or model.vision))


def _done_steps(run: Path) -> dict[str, DoneRecord]:
    """The finished steps of the run's newest recipe by digest, in order; of equal ones the first."""
    done: dict[str, DoneRecord] = {}
    for step in recipe_steps(run):
        if step.state == "done" and step.digest not in done:
            record = read_done(step_folder(run, step.name, step.digest))
            if record is not None:
                done[step.digest] = record
    return done


def _generalist(run: Path, by_name: Mapping[str, DoneRecord], stage: str) -> tuple[int, DoneRecord]:
    """Finds the model of the best round; of the last finished round where the run is not at its end.

    Args:
        run: folder of the run.
        by_name: finished steps by name.
        stage: name of the last stage.

    Returns:
        Number of the round, and the step of its last stage.

    Raises:
        RunError: no round is finished.
    """
    found = [hit for name in by_name if (hit := _STAGE.fullmatch(name)) and hit.group(2) == stage]
    ends = {int(hit.group(1)): by_name[hit.group()] for hit in found}
    if not ends:
        raise RunError(
            f"{run} has not trained a model to its end yet",
            hint=f"`vila2 status {shlex.quote(str(run))}` shows how far it is; run it to its end",
        )
    results = run / "results.json"
    best = json.loads(results.read_text(encoding="utf-8")).get("best", "") if results.is_file() else ""
    number = next((number for number in ends if best == f"VILA_{number}"), max(ends))
    return number, ends[number]


def _chain(last: DoneRecord, done: Mapping[str, DoneRecord]) -> list[DoneRecord]:
    """The stages that led to a model, first one first."""
    chain = [last]
    while (before := done.get(chain[0]["inputs"].get("model", ""))) and _STAGE.fullmatch(before["name"]):
        chain.insert(0, before)
    return chain
