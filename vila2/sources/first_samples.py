"""The first samples of a recipe's datasets, looked at before any work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vila2.data.sample import Sample
from vila2.errors import RecipeError, Vila2Error

if TYPE_CHECKING:
    from vila2.recipe.parts.data import DatasetSpec


_LOOKED_AT = 20  # samples or rejects of a source


def first_samples(data: Mapping[str, DatasetSpec]) -> dict[str, Sample]:
    """The first usable sample of every dataset; its layers are opened too.

    Raises:
        RecipeError: naming every dataset that has none, with what is wrong and how to fix it.
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
            hint="put the files there, or write where they are: in the recipe, or with --set data.NAME.path=...",
        )
    return first


def first_sample(name: str, spec: DatasetSpec) -> Sample:
    """The first usable sample of a dataset.

    Raises:
        RecipeError: the source gives none.
    """
    return next(some_samples(name, spec))


def some_samples(name: str, spec: DatasetSpec) -> Iterator[Sample]:
    """Usable samples from the beginning of a dataset: of a source as it lies few, of shards all.

    Raises:
        RecipeError: the source gives none.
    """
    from vila2.data.shards import ShardDataset
    from vila2.sources import open_source

    rejected, found = "", False
    if spec.source == "shards":
        for sample in ShardDataset.open(spec.path):
            found = True
            yield sample
    else:
        count = spec.options.get("count")
        if not isinstance(count, int | None):
            raise RecipeError(
                f"options.count: {count!r} is no whole number", hint="give a number, or leave it out"
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
            f"it gives no usable sample{rejected}",
            hint=f"look at data.{name}, or try `vila2 data import` on it",
        )
