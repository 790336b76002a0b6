"""The part of a recipe that says how the model improves itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.values import DEFAULT_ENGINE, Count, Number, Part, Text, Whole

#: In the place of a dataset's name in ``cycle.captions``: VILA_i's own; the same, each given to another image; none, but
#: the last stage for as many tokens longer as VILA_i's own take.
OWN, SHUFFLED, MORE_SFT = "own", "shuffled", "more-sft"
NO_DATASETS = (OWN, SHUFFLED, MORE_SFT)
#: The layer in which all that is said of an image is merged.
MERGED = "merged"


def part_of(share: float | Sequence[float]) -> tuple[float, float]:
    """From where to where in the order of keys by hash, 0 to 1, a share lies: a number's begins at 0."""
    low, high = share if isinstance(share, Sequence) else (0.0, share)
    return low, high


def _number_or_range(value: Any) -> Any:
    ends = list(value) if isinstance(value, list | tuple) else [0.0, value]
    numbers = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool)]
    if not len(ends) == len(numbers) == 2 or not 0 <= ends[0] < ends[1] <= 1:
        raise PydanticCustomError(
            "share", "should be a number above 0 and up to 1, or [from, to] with 0 <= from < to <= 1"
        )
    # One form for what is the same, so that nothing is done again for it.
    return (float(ends[0]), float(ends[1])) if ends[0] else float(ends[1])


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
        default="concat(original,{layer})",
        description="how the newest {layer} joins the original, in the stage's entries that see the original alone",
    )
    captions: Text = Field(
        default=OWN,
        description="own: VILA_i writes them; shuffled: these, each given to another image; more-sft: none is trained on, "
        "the last stage takes the tokens that they would have taken; or the name of a dataset with the same keys, "
        "whose text they are",
    )
    captioner: Text | None = Field(
        default=None,
        description="hub id or folder of a VLM that writes in VILA_i's place (paper A.6), in one round: it learns nothing",
    )
    prompts: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        default=("long-v1", "long-v2", "long-v3"), description="one is chosen for each image, by hash"
    )
    share: Annotated[float | tuple[float, float], BeforeValidator(_number_or_range)] = Field(
        default=1.0,
        description="of the images that are recaptioned, by hash of keys as a mixture's `select`: 0.5, the first half, "
        "or [from, to]",
    )
    max_new_tokens: Count = Field(default=256, description="of one caption")
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="0: the likeliest token, always"
    )
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="1: none")
    attempts: Count = Field(
        default=1,
        description="at a caption that does not contradict itself (names a thing again, says four and names three), "
        "the first as above, later ones sampled; what no attempt fixes trains nothing. 1: captions are not checked",
    )
    attempt_temperature: Annotated[Number, Field(gt=0)] = Field(
        default=0.7, description="of the later attempts"
    )
    batch_size: Count = Field(default=16, description="images captioned at a time")
    engine: Text = Field(
        default=DEFAULT_ENGINE, description="engine that writes captions; by default the recipe's `engine`"
    )
    max_unusable: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.95,
        description="share of a round's captions that may be unusable (cut off, in a loop, empty, ...), which train "
        "nothing; more stops a run of ten captions and up before the next training. 1: never",
    )

    @property
    def part(self) -> tuple[float, float]:
        """``share`` as [from, to]."""
        return part_of(self.share)
