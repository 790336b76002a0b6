"""The part of a recipe that says how the model improves itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vila2.run.recipe_values import Count, Number, Part, Text, Whole

#: In the place of a dataset's name in ``cycle.captions``: VILA_i's own; the same, each given to another image; none, but
#: the last stage for as many tokens longer as VILA_i's own take.
OWN, SHUFFLED, MORE_SFT = "own", "shuffled", "more-sft"
NO_DATASETS = (OWN, SHUFFLED, MORE_SFT)


class SaturationSpec(Part):
    """When another round no longer helps."""

    measure: Text = Field(
        default="questions",
        description="a benchmark, or BENCHMARK/MEASURE, of which more is better; best on images of its own, since "
        "the round that scores best on it goes on",
    )
    delta: Annotated[Number, Field(gt=0)] = Field(
        default=0.5, description="points: a gain that is surely smaller is none"
    )


class CycleSpec(Part):
    """The self-augmentation loop (paper section 2.1)."""

    rounds: Annotated[Whole, Field(ge=0)] = Field(
        default=1, description="of recaptioning, at the most; 0 trains VILA_0 alone"
    )
    saturation: SaturationSpec | None = Field(
        default=None, description="stop when a round gains nothing more; by default all rounds are done"
    )
    stage: Text = Field(default="pretrain", description="the stage that trains on the new captions")
    recaption: Text | None = Field(default=None, description="the dataset; by default the stage's first")
    view: Text = Field(
        default="concat(original,{layer})", description="how the newest {layer} joins the original"
    )
    captions: Text = Field(
        default=OWN,
        description="own: VILA_i writes them; shuffled: these, each given to another image; more-sft: none is trained on, "
        "the last stage takes the tokens that they would have taken; or the name of a dataset with the same keys, "
        "whose text they are",
    )
    captioner: Text | None = Field(
        default=None, description="hub id or folder of a VLM that writes in VILA_i's place (paper A.6)"
    )
    prompts: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        default=("long-v1", "long-v2", "long-v3"), description="one is chosen for each image, by hash"
    )
    share: Annotated[Number, Field(gt=0, le=1)] = Field(
        default=1.0, description="of the images that are recaptioned"
    )
    max_new_tokens: Count = Field(default=256, description="of one caption")
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="0: the likeliest token, always"
    )
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="1: none")
    attempts: Count = Field(
        default=1,
        description="at a caption that does not contradict itself (names a thing again, says four and names three), "
        "the first as above, later ones sampled; what no attempt mends trains nothing. 1: captions are not checked",
    )
    attempt_temperature: Annotated[Number, Field(gt=0)] = Field(
        default=0.7, description="of the later attempts"
    )
    batch_size: Count = Field(default=16, description="images captioned at a time")
    engine: Text = Field(default="transformers", description="what generates; a plugin may bring others")
