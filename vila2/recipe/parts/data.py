"""The data parts of a recipe: datasets and mixtures."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from vila2.recipe.parts.values import RANGE_SCHEMA, Count, FreeValues, Name, Number, Part, Text


class DatasetSpec(Part):
    """Where a dataset comes from."""

    source: Text = Field(
        description="Name of the source that reads the data; `shards` reads a dataset folder. "
        "docs/sources.md lists every source",
        examples=["llava", "captions", "img2dataset", "shards"],
    )
    path: Text | None = Field(
        default=None,
        description="File or folder that the source reads; a relative path is looked up beside the recipe "
        "first",
        examples=["data/chat.json"],
    )
    options: FreeValues = Field(
        default_factory=dict,
        description="Options of the source; docs/sources.md lists them",
        examples=[{"image_root": "images", "count": 1000}],
    )
    layers: dict[Name, Text] = Field(
        default_factory=dict,
        description="Layers written before this run: the folder of each, by its name",
        examples=[{"ocr": "layers/ocr"}],
    )


class MixtureEntry(Part):
    """One dataset of a mixture."""

    dataset: Text = Field(description="Name of a dataset under `data`")
    view: Text = Field(
        default="only(original)",
        description="View that makes conversations of the dataset's layers: `only`, `concat`, `dialogue`, "
        "`tree` or, in a stage with `objective: preference`, `pairs`",
        examples=["only(original)", "dialogue(original,ocr)"],
    )
    weight: Annotated[Number, Field(gt=0)] = Field(
        default=1.0,
        description="Number of passes over the dataset in one epoch; 0.5 takes half of its samples",
    )
    count: Count | None = Field(
        default=None,
        description="Number of samples at most, chosen by the hash of their keys; replaces `weight`",
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2), WithJsonSchema(RANGE_SCHEMA)] = (
        Field(
            default=(0.0, 1.0),
            description="Range [from, to] of the samples, within 0 to 1, by the hash of their keys; ranges "
            "that do not overlap share no sample",
            examples=[[0, 0.5]],
        )
    )
