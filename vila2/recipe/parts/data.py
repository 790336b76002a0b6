"""The data parts of a recipe: datasets and mixtures."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from vila2.recipe.parts.values import Count, Name, Number, Part, Text


class DatasetSpec(Part):
    """Where a dataset comes from."""

    source: Text = Field(
        description="a source such as llava, folder, img2dataset or world; `shards`: a dataset folder"
    )
    path: Text | None = Field(default=None, description="the source's file or folder")
    options: dict[str, Any] = Field(default_factory=dict, description="what else the source is told")
    layers: dict[Name, Text] = Field(
        default_factory=dict, description="layers written before this run: a layer's folder, by its name"
    )


class MixtureEntry(Part):
    """One dataset of a mixture."""

    dataset: Text = Field(description="a name under `data`")
    view: Text = Field(default="only(original)", description="how its layers become conversations")
    weight: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="passes over it in one epoch")
    count: Count | None = Field(
        default=None, description="samples at most, by hash of their keys; in place of `weight`"
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)] = Field(
        default=(0.0, 1.0),
        description="[from, to] within 0 to 1, by hash of keys: ranges apart share no sample",
    )
