"""A sample in tokens, as a dry run shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from vila2.train.shown import fold_repeats, image_place

if TYPE_CHECKING:
    from vila2.data.sample import Sample
    from vila2.model.conversation import ConversationEncoder
    from vila2.model.pieces import Style


class TreeNote(TypedDict):
    """Why each branch of a tree becomes a sample of its own, and how many branches the first sample has."""

    why: str
    first: int


class UnfitRow(TypedDict):
    """A sample that a stage cannot be trained on, and the reason."""

    key: str
    reason: str


class UnfitFirst(TypedDict):
    """The samples of a dataset that a stage cannot be trained on, among the first ``looked_at``."""

    looked_at: int
    left_out: list[UnfitRow]


class TokenText(TypedDict):
    """A sample as the model reads it.

    Attributes:
        tokens: number of tokens.
        trained_tokens: number of tokens that the loss counts.
        text: decoded tokens, image tokens folded.
        trained_text: decoded tokens that the loss counts.
    """

    tokens: int
    trained_tokens: int
    text: str
    trained_text: str


class SampleTokens(TokenText):
    """A stage's sample as the model reads it.

    Attributes:
        dataset: name of its dataset.
        key: key of the sample.
        left_out: samples that the stage cannot be trained on, by dataset.
        taken_apart: what becomes of trees, where the model cannot keep branches apart.
    """

    dataset: str
    key: NotRequired[str]
    left_out: NotRequired[dict[str, UnfitFirst]]
    taken_apart: NotRequired[TreeNote]


def token_text(encoder: ConversationEncoder, processor: Any, sample: Sample, style: Style) -> TokenText:
    """Encodes a sample and decodes it again.

    Args:
        encoder: encoder of the stage.
        processor: processor of the model.
        sample: sample to encode.
        style: style of the stage.
    """
    from vila2.model.encoded import IGNORED

    encoded = encoder.encode(sample, style)
    labels = zip(encoded.input_ids, encoded.labels, strict=True)
    trained = [token for token, label in labels if label != IGNORED]
    decode = processor.tokenizer.decode
    return {
        "tokens": len(encoded.input_ids),
        "trained_tokens": len(trained),
        "text": fold_repeats(decode(encoded.input_ids), image_place(processor)),
        "trained_text": decode(trained),
    }
