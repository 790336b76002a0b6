"""Reads the first samples of a recipe's datasets, to check them before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.data.sample import Sample
from vila2.errors import RecipeError, Vila2Error

if TYPE_CHECKING:
    from vila2.recipe.parts.data import DatasetSpec


_LOOKED_AT = 20  # rows of a source


def first_samples(data: Mapping[str, DatasetSpec]) -> dict[str, Sample]:
    """Reads the first usable sample of every dataset, and opens its layers.

    Args:
        data: datasets by name.

    Raises:
        RecipeError: names every dataset that has no usable sample, with the reason and a hint.
    """
    from vila2.data.layers import Layer

    first, wrong = {}, []
    for name, spec in data.items():
        try:
            first[name] = first_sample(name, spec)
            for folder in spec.layers.values():
                Layer.open(Path(folder))
        except Vila2Error as error:
            wrong.append(f"data.{name}: {error.what}" + (f" ({error.hint})" if error.hint else ""))
    if wrong:
        raise RecipeError(
            wrong[0] if len(wrong) == 1 else "\n  ".join([f"{len(wrong)} datasets cannot be read", *wrong]),
            hint="put the files there, or give their place in the recipe or with --set data.NAME.path=...",
        )
    return first


def first_sample(name: str, spec: DatasetSpec) -> Sample:
    """Reads the first usable sample of a dataset.

    Args:
        name: name of the dataset.
        spec: source of the dataset.

    Raises:
        RecipeError: the source gives none.
    """
    return next(some_samples(name, spec))


def some_samples(name: str, spec: DatasetSpec) -> Iterator[Sample]:
    """Yields usable samples from the beginning of a dataset: all of shards, a few of any other source.

    Args:
        name: name of the dataset.
        spec: source of the dataset.

    Raises:
        RecipeError: the source gives none.
    """
    from vila2.data.shards import ShardDataset
    from vila2.sources import open_source

    rejected, found = "", False
    if spec.source == "shards":
        if spec.path is None:
            raise RecipeError("source 'shards' needs a path", hint=f"give data.{name}.path a dataset folder")
        for sample in ShardDataset.open(spec.path):
            found = True
            yield sample
    else:
        count = spec.options.get("count")
        if not isinstance(count, int | None):
            raise RecipeError(
                f"options.count: {count!r} is not a whole number", hint="give a number, or leave it out"
            )
        options = {**spec.options, "count": min(_LOOKED_AT, count or _LOOKED_AT)}
        for row in open_source(spec.source, path=spec.path, **options):
            if isinstance(row, Sample):
                found = True
                yield row
            else:
                rejected = rejected or f": {row.where}: {row.reason}: {row.detail}"
    if not found:
        raise RecipeError(
            f"the source gives no usable sample{rejected}",
            hint=f"check data.{name}, or try `vila2 data import` on it",
        )
