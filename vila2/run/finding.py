"""Finds a dataset and its layers by name: beside its shards, in a run's steps, in a run's recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.data.layers import Layer, ReadLayer, check_layer_name, original_layer
from vila2.data.links import local_folder, must_be_here
from vila2.data.replacement import UNFINISHED
from vila2.data.shards import ShardDataset
from vila2.errors import DataError, RunError
from vila2.nearest import did_you_mean, nearest_path
from vila2.run.run_model import is_run
from vila2.run.status import recipe_steps
from vila2.run.step_files import step_folder

if TYPE_CHECKING:
    from vila2.recipe.recipe import Recipe


def open_described(
    source: Path, names: Sequence[str], dataset: str | None = None
) -> tuple[ShardDataset, dict[str, ReadLayer]]:
    """Opens a dataset and some of its layers.

    Args:
        source: folder of a dataset or a run. A run's own layers win over layers of the same name beside its
            dataset.
        names: names of the layers; "original" is the text in the shards.
        dataset: name of the run's dataset; by default the one that is recaptioned.

    Raises:
        DataError: there is no such layer, or it is named twice.
        RunError: the run has no such dataset.
    """
    opened, folders = find_described(source, dataset)
    if double := [name for name in names if list(names).count(name) > 1]:
        raise DataError(f"layer {double[0]!r} is named twice", hint="name each layer once")
    layers: dict[str, ReadLayer] = {}
    for name in names:
        if name == "original":
            layers[name] = original_layer(opened)
        elif name in folders:
            layers[name] = Layer.open(folders[name])
        else:
            similar = did_you_mean(name, ["original", *folders])
            none_yet = "`vila2 annotate` and `vila2 recaption` write layers"
            raise DataError(f"{source} has no layer {name!r}", hint=similar if folders else none_yet)
    return opened, layers


def is_described(source: Path) -> bool:
    """Tells whether a folder, beside which layers are to be written, is a dataset's or a run's.

    Opening one that is not finished says so.

    Raises:
        DataError: it is a URL.
    """
    must_be_here(source)
    return any((source / name).exists() for name in ("dataset.json", UNFINISHED)) or is_run(source)


def has_tars(source: Path) -> bool:
    """Tells whether a folder holds tars of WebDataset, which layers can be written for as well."""
    return source.is_dir() and any(source.glob("*.tar"))


def find_described(source: Path, dataset: str | None = None) -> tuple[ShardDataset, dict[str, Path]]:
    """Finds a dataset and the folders of its layers, unfinished ones included; see :func:`open_described`."""
    near = nearest_path(source)
    if near is not None:
        raise DataError(f"{source}: no such folder", hint=f"did you mean {near}?")
    return _of_run(source, dataset) if is_run(source) else _of_dataset(source, dataset)


def folder_of_new_layer(place: Path, dataset: ShardDataset, beside: Mapping[str, Path], name: str) -> Path:
    """Gives the folder of a layer that is to be written beside a dataset.

    Args:
        place: folder of the dataset or the run, as it was named.
        dataset: the dataset, as :func:`find_described` gives it.
        beside: folders of its layers.
        name: name of the new layer.

    Raises:
        DataError: a view cannot hold the name, or the layer belongs to the run or its recipe.
    """
    check_layer_name(name)
    folder = dataset.folder / "layers" / name
    if beside.get(name, folder) != folder:
        raise DataError(
            f"layer {name!r} of {place} belongs to the run itself, or to its recipe",
            hint="give another --layer; only the recipe changes the layers of a run",
        )
    return folder


def run_datasets(run: Path) -> dict[str, tuple[ShardDataset, dict[str, Path]]]:
    """Finds the datasets that a run has imported so far, with the folders of their layers.

    Returns:
        Dataset and folders by the recipe's name of the dataset.

    Raises:
        RunError: the run has imported none.
    """
    found = {}
    recipe_steps(run)  # its error is the better one where the list of steps is damaged
    for name in _recipe_of(run).data:
        with suppress(RunError):  # not imported yet
            found[name] = _of_run(run, name)
    if not found:
        raise RunError(f"{run} has not imported a dataset yet", hint="`vila2 run` goes on with it")
    return found


def _of_dataset(folder: Path, dataset: str | None) -> tuple[ShardDataset, dict[str, Path]]:
    if dataset is not None:
        raise RunError(f"{folder} is not a run, so it has no dataset {dataset!r}", hint="leave --dataset out")
    opened = ShardDataset.open(folder)
    return opened, _beside(opened)


def _of_run(run: Path, dataset: str | None) -> tuple[ShardDataset, dict[str, Path]]:
    recipe = _recipe_of(run)
    name = dataset or recipe.recaptioned
    if name not in recipe.data:
        raise RunError(f"{run} has no dataset {name!r}", hint=did_you_mean(str(name), recipe.data))
    # Controls have steps of the same names. The recipe's own steps stand before them, so they win here.
    found = [(step.name, step_folder(run, step.name, step.digest)) for step in reversed(recipe_steps(run))]
    steps = {step: path for step, path in found if path.is_dir()}
    spec = recipe.data[name]
    folder = local_folder(str(spec.path)) if spec.source == "shards" else steps.get(f"data-{name}")
    if folder is None or not folder.is_dir():
        raise RunError(f"{run} has not imported dataset {name!r} yet", hint="`vila2 run` goes on with it")
    opened = ShardDataset.open(folder)
    layers = {layer: Path(path) for layer, path in spec.layers.items()} | _beside(opened)
    for step, written in steps.items():
        if (written / "layer.json").is_file():  # self-1, a specialist's, the merged one
            layer = Layer.open(written)
            if layer.info.get("dataset") == opened.digest:
                layers[layer.name] = written
        elif step.startswith("self-") and name == recipe.recaptioned:
            layers[step] = written  # not finished; opening it says so
    return opened, layers


def _recipe_of(run: Path) -> Recipe:
    from vila2.recipe.file.recipe_file import load_recipe

    if not (run / "recipe.yaml").is_file():
        raise RunError(f"{run} was stopped before it began", hint="give the `vila2 run` command again")
    return load_recipe(run / "recipe.yaml")


def _beside(dataset: ShardDataset) -> dict[str, Path]:
    """Finds the layers beside a dataset's shards, unfinished ones included."""
    return {path.name: path for path in sorted((dataset.folder / "layers").glob("*")) if path.is_dir()}
