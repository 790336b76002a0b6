"""The specialists and the merge of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.engine import EngineChoice, EngineSpec
from vila2.recipe.parts.values import (
    RANGE_SCHEMA,
    Count,
    Later,
    Name,
    NotDigested,
    Number,
    Part,
    Text,
    storable,
)

#: Uses of the specialists; all but "merged" and "share" are controls.
SpecialistData = Literal["merged", "share", "sft", "sft-equal-passes", "sft-equal-total", "more-sft"]
#: Those that put the specialists' own training data into SFT.
INTO_SFT: frozenset[SpecialistData] = frozenset({"sft", "sft-equal-passes", "sft-equal-total"})


class SpecialistUse(Part):
    """A specialist of this run (paper section 2.2), and how it differs from its plugin's recipe."""

    recipe: Text | None = Field(
        default=None,
        description="Recipe of the specialist: a file, or the name of one in the plugin's package; by "
        "default the plugin's own",
    )
    data: DatasetSpec | None = Field(
        default=None,
        description="Data to build the training set from; the source `path` takes a file or folder as it is. "
        "By default as the specialist's recipe says, else the run's own images",
    )
    set: Annotated[dict[Text, Any], AfterValidator(storable)] = Field(
        default_factory=dict,
        description="Changes to the specialist's recipe or to the settings of its builder",
        examples=[{"stages.tune.epochs": 2}],
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2), WithJsonSchema(RANGE_SCHEMA)] = (
        Field(
            default=(0.0, 1.0),
            description="Range [from, to], within 0 to 1, of the recaptioned images that the specialist "
            "annotates",
            examples=[[0, 0.5]],
        )
    )
    made: Text | None = Field(
        default=None,
        description="Folder of a specialist that exists already, made from this model or from a smaller one "
        "(paper A.4.2); by default the run makes it",
    )


class MergeSpec(Part):
    """Verify and merge: all layers of an image as one conversation (VILA² section 2.2.2)."""

    arm: Literal["append", "verified", "unchecked"] = Field(
        default="verified",
        description="Way to merge. `append`: the paper's, the original caption and then the specialists' "
        "answers as they are. `verified`: also the best round's caption, and everything that the evidence "
        "refutes is left out. `unchecked`: as `verified`, but nothing is left out",
    )
    base: Name | None = Field(
        default=None,
        description="Layer of the captions that join the original caption; by default the best round's",
        examples=["self-1"],
    )
    caption: Literal["both", "original", "base"] = Field(
        default="both",
        description="Caption that begins the conversation: the original, that of `base`, or both. If the "
        "chosen one is empty, the other is used",
    )
    original: Literal["keep", "verify"] = Field(
        default="keep",
        description="Treatment of the original caption: `keep` it as it is, or `verify` its sentences like "
        "all others",
    )
    boxes: Literal["keep", "drop"] = Field(
        default="keep",
        description="Treatment of coordinates in the specialists' answers. `drop` removes them from "
        "descriptions and leaves out answers that hold nothing else. Coordinates take most of a "
        "conversation's tokens, and only a model that is to ground needs them",
    )
    unverified: Literal["keep", "drop"] = Field(
        default="keep",
        description="Treatment of a caption's sentences that no evidence supports or refutes",
    )
    contradicted: Annotated[Literal["drop", "mask"], Later] = Field(
        default="drop",
        description="Treatment of sentences that the evidence refutes. `drop` leaves them out. `mask` keeps "
        "them as context of what follows, but the loss leaves them out, so that a caption stays a whole text",
    )
    absence: tuple[Literal["objects", "texts", "repeats"], ...] = Field(
        default=("texts", "repeats"),
        description="Kinds of statements that are refuted because a specialist did not find the thing. "
        "`objects`: a thing without a box of its name, or a number above the number of its boxes. `texts`: "
        "writing that no specialist read. `repeats`: a thing that one answer introduces more often (a cat "
        "and a cat) than it has boxes, if it has any. Use `objects` only with a specialist that misses fewer "
        "things than the captions invent, or true sentences are lost",
    )
    evidence: Annotated[bool, Later] = Field(
        default=False,
        description="Use of what the dataset itself knows of its images (`meta.evidence`), which then ranks "
        "above all layers. `vila2 merge DATASET` uses it where there is some. A run does not by itself, "
        "since a model that improves itself has no such truth",
    )
    budget: Count | None = Field(
        default=None,
        description="Number of words of a conversation at most; the original caption always stays. By "
        "default no limit",
    )
    tokenizer: Text | None = Field(
        default=None,
        description="Hub id or folder of a tokenizer, whose tokens `budget` counts instead of words",
    )
    writer: Literal["rules", "model"] = Field(
        default="rules",
        description="Writer of the merged text. `rules`: the sentences as they are. `model`: an engine "
        "writes one paragraph of them, which the paper found to hallucinate (A.2)",
    )
    model: Annotated[Text | None, NotDigested] = Field(
        default=None,
        description="Hub id or folder of the model that writes, with `writer: model`; by default the best "
        "round's",
    )
    view: Annotated[Text, NotDigested] = Field(
        default="dialogue({layer})",
        description="View of the merged layer, `{layer}`, to train on. `tree({layer})` hides the answers "
        "from each other, for models that can keep branches apart",
        examples=["dialogue({layer})", "tree({layer})"],
    )
    engine: EngineChoice = Field(
        default=EngineSpec(),
        description="Engine, by name or as `{name: NAME, OPTION: VALUE}`, with "
        "`writer: model`; by default the recipe's `engine`",
    )
    max_new_tokens: Count = Field(default=256, description="Number of tokens of one paragraph at most")
    batch_size: Count = Field(default=16, description="Number of paragraphs to write at a time")
