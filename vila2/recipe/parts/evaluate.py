"""The evaluation and report parts of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vila2.recipe.parts.values import Count, Later, Name, NotDigested, Number, Part, Text, Whole


class BenchmarkSpec(Part):
    """One benchmark, which measures every VILA_i."""

    name: Name = Field(description="Name of the benchmark in the report")
    kind: Name = Field(
        description="Kind of the benchmark. `captions`: describe each image. `questions`: answer the "
        "questions about it. `pope`: say whether a thing is there. `relations`: judge statements about two "
        "things. `consistency`: describe an image several times. `image_text`: tell an image's own text from "
        "another's. `choices`: find the likeliest of given texts. `alignment`: compare the states of image "
        "and text tokens. Plugins bring others",
        examples=["captions", "questions", "pope"],
    )
    dataset: Text = Field(description="Name of a dataset under `data`")
    prompt: Text | None = Field(
        default=None,
        description="Prompt to ask, with `{question}` in the place of the question; by default the kind's "
        "own",
        examples=["{question} Answer with one word."],
    )
    max_new_tokens: Count = Field(default=128, description="Number of tokens of one answer at most")
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Penalty on tokens that were used before; 1 is none"
    )
    batch_size: Count = Field(default=16, description="Number of requests to answer at a time")
    limit: Count | None = Field(default=None, description="Number of samples at most; by default all")
    seed: Annotated[Whole, Field(ge=0)] = Field(
        default=0,
        description="Seed for generated questions and for sampling; it is apart from the run's seed, so that "
        "runs can be compared",
    )
    repeats: Annotated[Whole, Field(ge=2)] = Field(
        default=4, description="Number of captions of one image; for `consistency`"
    )
    temperature: Annotated[Number, Field(gt=0)] = Field(
        default=0.7,
        description="Sampling temperature; for `consistency`, and for `captions` after the first attempt or "
        "sample",
    )
    attempts: Annotated[Count, Later] = Field(
        default=1,
        description="Number of attempts at a caption that does not contradict itself, as in "
        "`cycle.attempts`; for `captions`. Where every attempt does, the first one is scored",
    )
    choose: Annotated[Literal["attempts", "agreement"], Later] = Field(
        default="attempts",
        description="Way to choose the caption of an image, as `cycle.choose`; for `captions`",
    )
    samples: Annotated[Annotated[Whole, Field(ge=2)], Later] = Field(
        default=9, description="Number of captions to choose from, with `choose: agreement`"
    )
    scorer: Text | None = Field(
        default=None,
        description="Folder of a CLIP or SigLIP that scores; for `image_text`. By default the model's own "
        "likelihood",
    )
    rounds_only: Annotated[bool, NotDigested] = Field(
        default=False,
        description="Use the benchmark only to decide when the rounds stop: it then measures only VILA_0, "
        "VILA_1, ..., and only if `cycle.saturation` names it",
    )


class ReportSpec(Part):
    """What the report shows."""

    title: Text | None = Field(default=None, description="Title of the page; by default the run's name")
    examples: Annotated[Whole, Field(ge=0)] = Field(
        default=12, description="Number of images to show with the captions of every round"
    )
    notes: tuple[Text, ...] = Field(
        default=(), description="Sentences that a reader of the figures must know"
    )
