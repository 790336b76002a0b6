"""A sample as the model sees it: its tokens, its labels, and its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100  # the label that the loss does not count
MEDIA = "mm_token_type_ids"  # name of the media types in most processors


@dataclass(frozen=True, slots=True)
class Encoded:
    """One sample as the model sees it.

    Attributes:
        input_ids: token ids, length L.
        labels: token ids, with ``IGNORED`` where the loss does not count, length L.
        branches: branch of each token, length L, with 0 for the trunk; None for a conversation without
            branches.
        inputs: image tensors of the processor (``pixel_values`` ...); empty for text-only samples.
        media: type of each token (0 text, 1 image), length L, for models whose positions or attention need it
            (Qwen-VL, Gemma 3). For a prefix language model (PaliGemma) it is 0 up to the first trained token,
            since it reads this part in both directions, and 1 after that. None for other models.
        truncated: number of tokens that were cut at ``max_length``.
        media_name: name of ``media`` in the model's forward pass.
    """

    input_ids: list[int]
    labels: list[int]
    branches: list[int] | None = None
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    media: list[int] | None = None
    truncated: int = 0
    media_name: str = MEDIA

    @property
    def position_ids(self) -> list[int]:
        """Positions of the tokens, length L; every branch restarts at the end of the trunk."""
        if self.branches is None:
            return list(range(len(self.input_ids)))
        return _branch_positions(self.branches)


@dataclass(frozen=True, slots=True)
class Measured:
    """The length that :meth:`vila2.model.conversation.ConversationEncoder.encode` will give a sample.

    Attributes:
        tokens: length in tokens, after cutting at ``max_length``.
        truncated: number of tokens that are cut.
    """

    tokens: int
    truncated: int = 0


def _branch_positions(branches: Sequence[int]) -> list[int]:
    """The positions of tokens by the branch of each."""
    trunk = sum(1 for branch in branches if branch == 0)
    positions, place, current = [], 0, 0
    for branch in branches:
        if branch != current:
            current, place = branch, trunk
        positions.append(place)
        place += 1
    return positions
