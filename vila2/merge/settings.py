"""What ``vila2 merge`` is told: which layers of which dataset, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from vila2.data.layers import ReadLayer
from vila2.data.shards import ShardDataset
from vila2.errors import RecipeError, RunError
from vila2.nearest import did_you_mean
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.file.yaml import read_setting
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.finding import open_described


def find_layers(
    place: Path, names: Sequence[str], dataset: str | None = None
) -> tuple[ShardDataset, dict[str, ReadLayer]]:
    """A dataset and layers of it, as :func:`open_described` finds them; "original" may be left out and comes first.

    Raises:
        DataError: a layer is not there, or named twice; the folder is no dataset.
        RunError: there is no such folder, or the run has no such dataset.
    """
    if not place.is_dir():
        raise RunError(
            f"{place}: no such folder", hint="give the folder of a run (runs/NAME), or of a dataset"
        )
    wanted = [name for name in names if name and name != "original"]
    return open_described(place, ["original", *wanted], dataset)


def settings_of(place: Path) -> tuple[MergeSpec, int]:
    """How to merge, and the seed, where nothing else is said: as a run's recipe says; of a dataset the defaults."""
    if not (place / "steps").is_dir():
        return MergeSpec(), 0
    recipe = load_recipe(place / "recipe.yaml")
    return recipe.merge, recipe.seed


def merge_settings(start: MergeSpec, overrides: Sequence[str], layers: Mapping[str, ReadLayer]) -> MergeSpec:
    """How to merge: as ``start`` says, with ``KEY=VALUE`` changed.

    The base is, where neither names one of the layers, the one that no plugin wrote.

    Raises:
        RecipeError: a setting that does not exist, a value that it does not take, or a base that is not clear.
    """
    values = start.model_dump(exclude=set() if start.base in layers else {"base"})
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or name not in MergeSpec.model_fields:
            raise RecipeError(
                f"--set {override}: no such setting", hint=did_you_mean(name, MergeSpec.model_fields)
            )
        values[name] = read_setting(text, where=f"--set {override}").value
    if "base" not in values:
        values["base"] = _base(layers)
    try:
        return MergeSpec.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(
            f"--set {first['loc'][0]}: {first['msg']}", hint="see `MergeSpec` in the recipe"
        ) from error


def _base(layers: Mapping[str, ReadLayer]) -> str | None:
    free = [
        name
        for name, one in layers.items()
        if name != "original" and not getattr(one, "info", {}).get("plugin")
    ]
    if len(free) > 1:
        raise RecipeError(
            f"{', '.join(free)}: none of them is a specialist's, and only one can be the base",
            hint="--set base=NAME; a layer that is not the base is merged as a specialist's",
        )
    return free[0] if free else None
