"""The specialists and the merge of a recipe."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vila2.recipe.parts.data import DatasetSpec
from vila2.recipe.parts.values import DEFAULT_ENGINE, Count, Name, NotDigested, Number, Part, Text


class SpecialistUse(Part):
    """A specialist of this run (paper section 2.2): its plugin's recipe, and what is different here."""

    recipe: Text | None = Field(
        default=None, description="file, or one in the package; by default the plugin's"
    )
    data: DatasetSpec | None = Field(
        default=None,
        description="what to build from, with source `path` a file or folder as it lies; by default as its recipe says, "
        "else the run's own images",
    )
    set: dict[Text, Any] = Field(
        default_factory=dict,
        description="other settings of its recipe or builder, as in {stages.tune.epochs: 2}",
    )
    select: Annotated[tuple[Number, ...], Field(min_length=2, max_length=2)] = Field(
        default=(0.0, 1.0),
        description="[from, to] within 0 to 1 of the recaptioned images, which it annotates",
    )
    made: Text | None = Field(
        default=None, description="folder of a specialist made before, of this model or a smaller one (A.4.2)"
    )


class MergeSpec(Part):
    """Verify and merge: all layers of an image as one conversation (VILA² section 2.2.2)."""

    arm: Literal["append", "verified", "unchecked"] = Field(
        default="verified",
        description="append: the paper's, the original caption and the specialists' answers as they were said; verified: the "
        "best round's caption as well, and what the evidence refutes is left out; unchecked: the same, nothing left out",
    )
    base: Name | None = Field(default=None, description="the self layer that joins the original caption")
    caption: Literal["both", "original", "base"] = Field(
        default="both",
        description="what the conversation begins with; the other stands in where one says nothing",
    )
    original: Literal["keep", "verify"] = Field(
        default="keep", description="the human text: keep it as it is, or judge its sentences like the rest"
    )
    boxes: Literal["keep", "drop"] = Field(
        default="keep",
        description="coordinates in what specialists say. drop: a description is a caption without them, and an answer "
        "that is nothing else is left out; they are most of a conversation's tokens, and only who is to ground needs them",
    )
    unverified: Literal["keep", "drop"] = Field(
        default="keep", description="sentences of a caption that no evidence decides"
    )
    absence: tuple[Literal["objects", "texts", "repeats"], ...] = Field(
        default=("texts", "repeats"),
        description="what is refuted because a specialist looked for such and did not find it. objects: a thing of whose name "
        "there is no box, and a number above that of its boxes, where there is one; texts: writing that nobody read; repeats: "
        "a thing that one answer introduces (a cat and a cat) more often than it has boxes, where there is one, while a number "
        "(three cats) is left to `objects`. With `objects` it must find more of what there is than captions make up, or it is "
        "true sentences that go",
    )
    budget: Count | None = Field(
        default=None, description="words of a conversation at most; the original caption always stays"
    )
    tokenizer: Text | None = Field(
        default=None, description="hub id or folder: the budget counts its tokens in place of words"
    )
    writer: Literal["rules", "model"] = Field(
        default="rules",
        description="model: an engine writes one paragraph of it all, which the paper found to hallucinate (A.2)",
    )
    model: Annotated[Text | None, NotDigested] = Field(
        default=None, description="hub id or folder of the writer; by default the best round's model"
    )
    view: Annotated[Text, NotDigested] = Field(
        default="dialogue({layer})",
        description="how the merged {layer} is trained on: a dialogue, or a tree({layer}), in which no answer can be read off "
        "an earlier one (for models that can keep branches apart)",
    )
    engine: Text = Field(
        default=DEFAULT_ENGINE,
        description="engine of the writer, where a model writes; by default the recipe's `engine`",
    )
    max_new_tokens: Count = Field(default=256, description="of one paragraph")
    batch_size: Count = Field(default=16, description="paragraphs at a time")
