"""The input of ``vila2 merge``: a dataset, its layers, and the settings of the merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vila2.data.layers import ReadLayer
from vila2.data.shards import ShardDataset
from vila2.errors import RecipeError, RunError
from vila2.merge.dataset_evidence import holds_evidence
from vila2.recipe.file.part_settings import checked_part, with_overrides
from vila2.recipe.file.recipe_file import load_recipe
from vila2.recipe.parts.specialists import MergeSpec
from vila2.run.finding import open_described


def find_layers(
    place: Path, names: Sequence[str], dataset: str | None = None
) -> tuple[ShardDataset, dict[str, ReadLayer]]:
    """Opens a dataset and its layers by :func:`open_described`; "original" is implied, and comes first.

    Raises:
        DataError: a layer does not exist, or is named twice; the folder is no dataset.
        RunError: there is no such folder, or the run has no such dataset.
    """
    if not place.is_dir():
        raise RunError(
            f"{place}: no such folder", hint="give the folder of a run (runs/NAME), or of a dataset"
        )
    wanted = [name for name in names if name and name != "original"]
    return open_described(place, ["original", *wanted], dataset)


def settings_of(place: Path, dataset: ShardDataset) -> tuple[MergeSpec, int]:
    """The settings and the seed to start from: those of a run's recipe, or the defaults for a dataset.

    What a dataset knows of its own images is used, where it knows anything.
    """
    if not (place / "steps").is_dir():
        return MergeSpec(evidence=holds_evidence(dataset)), 0
    recipe = load_recipe(place / "recipe.yaml")
    return recipe.merge, recipe.seed


def merge_settings(start: MergeSpec, overrides: Sequence[str], layers: Mapping[str, ReadLayer]) -> MergeSpec:
    """The settings in ``start`` with overrides of the form ``KEY=VALUE``.

    Where neither names one of the layers as the base, the base is the layer that no plugin wrote.

    Raises:
        RecipeError: a setting that does not exist, an invalid value, or an ambiguous base.
    """
    values = start.model_dump(exclude=set() if start.base in layers else {"base"})
    values = with_overrides(MergeSpec, values, overrides)
    if "base" not in values:
        values["base"] = _base(layers)
    return checked_part(MergeSpec, values, hint="docs/recipes.md describes the settings of `merge`")


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
