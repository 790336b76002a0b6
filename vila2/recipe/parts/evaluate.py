"""The evaluation and report parts of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vila2.recipe.parts.values import Count, Name, NotDigested, Number, Part, Text, Whole


class BenchmarkSpec(Part):
    """One thing that every VILA_i is measured by."""

    name: Name = Field(description="in the report")
    kind: Name = Field(
        description="captions (describe each image), questions (answer its questions), pope (is there a ...?), relations "
        "(true or false of two things), consistency (describe it again), image_text (own image or another), choices (the "
        "likeliest of given texts), alignment (states of image and text tokens), or what a plugin brings"
    )
    dataset: Text = Field(description="a name under `data`")
    prompt: Text | None = Field(default=None, description="what is asked; {question} stands for the question")
    max_new_tokens: Count = Field(default=128, description="of one answer")
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="1: none")
    batch_size: Count = Field(default=16, description="requests at a time")
    limit: Count | None = Field(default=None, description="samples at most")
    seed: Annotated[Whole, Field(ge=0)] = Field(
        default=0,
        description="of questions that are made and of sampling; not the run's, so that runs can be compared",
    )
    repeats: Annotated[Whole, Field(ge=2)] = Field(
        default=4, description="of consistency: captions of one image"
    )
    temperature: Annotated[Number, Field(gt=0)] = Field(default=0.7, description="of consistency")
    scorer: Text | None = Field(
        default=None,
        description="of image_text: folder of a CLIP or SigLIP; by default the model's own likelihood",
    )
    rounds_only: Annotated[bool, NotDigested] = Field(
        default=False,
        description="it only decides when to stop: measured of VILA_0, VILA_1, ... alone, and only where "
        "cycle.saturation names it",
    )


class ReportSpec(Part):
    """What the report shows."""

    title: Text | None = Field(default=None, description="by default the run's name")
    examples: Annotated[Whole, Field(ge=0)] = Field(
        default=12, description="images shown with every round's caption"
    )
    notes: tuple[Text, ...] = Field(default=(), description="what a reader must know about the figures")
