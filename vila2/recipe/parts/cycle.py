"""The part of a recipe that says how the model improves itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from vila2.recipe.parts.engine import EngineChoice, EngineSpec
from vila2.recipe.parts.stage import LoraSpec, PairLossSpec
from vila2.recipe.parts.values import (
    RANGE_SCHEMA,
    Count,
    Later,
    Number,
    Part,
    Text,
    Whole,
)

#: Values of ``cycle.captions`` that are no dataset's name: VILA_i's own captions; the same captions, each
#: given to another image; no captions, while the last stage trains on as many more tokens as VILA_i's own
#: captions have.
OWN, SHUFFLED, MORE_SFT = "own", "shuffled", "more-sft"
NO_DATASETS = (OWN, SHUFFLED, MORE_SFT)
#: The layer that merges everything that is said about an image.
MERGED = "merged"
#: Ways to choose among several captions of an image.
Choose = Literal["attempts", "agreement", "verified"]
#: Number of samples of a caption by default.
SAMPLES = 9


def part_of(share: float | Sequence[float]) -> tuple[float, float]:
    """The range of keys, ordered by hash from 0 to 1, that a share covers; a number's range begins at 0."""
    low, high = share if isinstance(share, Sequence) else (0.0, share)
    return low, high


def _number_or_range(value: Any) -> Any:
    ends = list(value) if isinstance(value, list | tuple) else [0.0, value]
    numbers = [end for end in ends if isinstance(end, int | float) and not isinstance(end, bool)]
    if not len(ends) == len(numbers) == 2 or not 0 <= ends[0] < ends[1] <= 1:
        raise PydanticCustomError(
            "share", "should be a number above 0 and up to 1, or [from, to] with 0 <= from < to <= 1"
        )
    # Equal shares have one form, so that no step is done again because of how a share is written.
    return (float(ends[0]), float(ends[1])) if ends[0] else float(ends[1])


#: A share of the images as JSON schemas have it.
_SHARE_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, RANGE_SCHEMA]}


class SaturationSpec(Part):
    """When another round no longer helps."""

    measure: Text = Field(
        default="questions",
        description="Benchmark, or BENCHMARK/MEASURE, that decides; more must be better. Give it images of "
        "its own, apart from those of the test, because the round that scores best on it becomes the final "
        "model",
        examples=["questions", "held-out/accuracy"],
    )
    delta: Annotated[Number, Field(gt=0)] = Field(
        default=0.5,
        description="Smallest gain that counts, in points. The rounds stop when the gain is surely smaller",
    )


class PreferenceSpec(Part):
    """Preferences on the model's own captions, after the rounds and the specialists.

    The outcome describes images several times. The better and the worse caption of each image are a pair, on
    which it is trained further (`objective: preference`).
    """

    samples: Annotated[Whole, Field(ge=2)] = Field(
        default=5, description="Number of captions of an image to choose a pair from"
    )
    share: Annotated[
        float | tuple[float, float], BeforeValidator(_number_or_range), WithJsonSchema(_SHARE_SCHEMA)
    ] = Field(default=1.0, description="Share of the recaptioned dataset's images, as in `cycle.share`")
    by: Literal["agreement", "verified", "both"] = Field(
        default="agreement",
        description="What makes a caption the worse one. `agreement`: it contradicts itself, or the other "
        "samples agree with it less by `margin`. `verified`: the specialists refute more of its sentences. "
        "`both`: any of these",
    )
    margin: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.1, description="Difference in agreement that makes a pair"
    )
    length: Literal["matched", "floor", "free"] = Field(
        default="floor",
        description="Pairs to take. `floor`: the better caption is at least as long as the worse one and "
        "names at least as many different things; captions become longer. `matched`: the two differ by a "
        "fifth of their words at most, and the better one names at least as many. `free`: any. With these "
        "two, captions become shorter in the miniature",
    )
    loss: PairLossSpec = Field(default_factory=PairLossSpec, description="Loss of a pair")
    replay: Annotated[Number, Field(ge=0)] = Field(
        default=0.5,
        description="Number of passes over the last stage's mixture that are trained on beside the pairs, so "
        "that the model forgets nothing; 0: none",
    )
    learning_rate: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="Highest learning rate; by default a tenth of the last stage's"
    )
    epochs: Annotated[Number, Field(gt=0)] = Field(default=1.0, description="Number of passes")
    batch_size: Count | None = Field(
        default=None,
        description="Number of pairs and texts in one optimizer step; by default the last stage's",
    )
    lora: LoraSpec | None = Field(
        default=None, description="Adapters to train instead of the model's own weights; by default none"
    )


class CycleSpec(Part):
    """The self-augmentation loop (paper section 2.1)."""

    rounds: Annotated[Whole, Field(ge=0)] = Field(
        default=1, description="Number of recaptioning rounds at most; 0 trains VILA_0 alone"
    )
    saturation: SaturationSpec | None = Field(
        default=None,
        description="Rule that ends the rounds early, when a round no longer helps; by default all rounds "
        "are done",
    )
    stage: Text = Field(default="pretrain", description="Name of the stage that trains on the new captions")
    recaption: Text | None = Field(
        default=None,
        description="Name of the dataset to recaption; by default the first in the mixture of `stage`",
    )
    view: Text = Field(
        default="concat(original,{layer})",
        description="View that joins the newest captions, `{layer}`, to the original text. It replaces "
        "`only(original)` in the mixture of `stage`",
        examples=["concat(original,{layer})", "only({layer})"],
    )
    captions: Text = Field(
        default=OWN,
        description="Captions to train on. `own`: those that VILA_i writes. `shuffled`: the same captions, "
        "each given to another image (a control). `more-sft`: none; the last stage trains on as many more "
        "tokens instead (a control). Any other value names a dataset with the same keys, whose text is used",
    )
    captioner: Text | None = Field(
        default=None,
        description="Hub id or folder of another model to write the captions (paper A.6); since it does not "
        "improve, it is limited to one round",
    )
    prompts: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        default=("long-v1", "long-v2", "long-v3"),
        description="Prompts that ask for a caption: names of shipped prompts, or texts of two words and "
        "more. Each image gets one of them, chosen by the hash of its key",
    )
    share: Annotated[
        float | tuple[float, float], BeforeValidator(_number_or_range), WithJsonSchema(_SHARE_SCHEMA)
    ] = Field(
        default=1.0,
        description="Share of the images to recaption, by the hash of their keys, as in a mixture's "
        "`select`: `0.5` is the first half, `[0.5, 1]` the second",
        examples=[0.5, [0.5, 1]],
    )
    max_new_tokens: Count = Field(default=256, description="Number of tokens of one caption at most")
    temperature: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Sampling temperature; 0 always takes the likeliest token"
    )
    repetition_penalty: Annotated[Number, Field(gt=0)] = Field(
        default=1.0, description="Penalty on tokens that were used before; 1 is none"
    )
    attempts: Count = Field(
        default=1,
        description="Number of attempts at a caption that does not contradict itself (by naming a thing "
        "twice, or by saying four and naming three). The first attempt uses `temperature`, later ones "
        "`attempt_temperature`. A caption that no attempt fixes is not trained on. 1: captions are not "
        "checked",
    )
    attempt_temperature: Annotated[Number, Field(gt=0)] = Field(
        default=0.7, description="Sampling temperature of the attempts, or samples, after the first"
    )
    choose: Annotated[Choose, Later] = Field(
        default="attempts",
        description="Way to choose an image's caption. `attempts`: the first of `attempts` that does not "
        "contradict itself. `agreement`: of `samples` captions, those that contradict themselves apart, the "
        "one whose claims the others make most; where most make no claim that can be read, words are "
        "compared. `verified`: as `agreement` in the rounds; once there are specialists, the best round's "
        "model describes the images again, and the caption that they refute least joins the merge",
    )
    samples: Annotated[Annotated[Whole, Field(ge=2)], Later] = Field(
        default=SAMPLES,
        description="Number of captions to choose from, with `choose: agreement` or `verified`",
    )
    preference: PreferenceSpec | None = Field(
        default=None, description="Training on preferences among the model's own captions; by default none"
    )
    batch_size: Count = Field(default=16, description="Number of images to caption at a time")
    engine: EngineChoice = Field(
        default=EngineSpec(),
        description="Engine, by name or as `{name: NAME, OPTION: VALUE}`, that writes captions; by "
        "default the recipe's `engine`",
    )
    max_unusable: Annotated[Number, Field(ge=0, le=1)] = Field(
        default=0.95,
        description="Share of a round's captions that may be unusable (cut off, in a loop, empty, ...); "
        "these are not trained on. A larger share stops the run before the next training, if there are ten "
        "captions or more. 1: never",
    )

    @property
    def part(self) -> tuple[float, float]:
        """``share`` as [from, to]."""
        return part_of(self.share)
