"""The input of the objective ``preference``: pairs of answers, and the texts that are trained on beside them.

A pair is one item with two rows, the better answer and the worse one; a text is one row for each of its
conversations. Nothing shares a row, so every model that can be trained on padded batches can be trained so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from vila2.data.branches import take_apart
from vila2.data.mixtures import Mixture
from vila2.data.sample import Sample
from vila2.data.views import REJECTED
from vila2.model.conversation import ConversationEncoder
from vila2.model.encoded import Encoded
from vila2.model.pieces import Style
from vila2.packing.collate import collate_padded
from vila2.train.encoded_dataset import encoded_as_measured

#: What a row of a batch is.
TEXT, CHOSEN_ROW, REJECTED_ROW = 0, 1, 2


@dataclass(frozen=True, slots=True)
class PreferenceItem:
    """One item of a batch.

    Attributes:
        rows: conversations; of a pair the better one and the worse one.
        is_pair: whether it is a pair.
        reference: log-likelihoods of a pair's answers under the model that the stage starts from.
    """

    rows: tuple[Encoded, ...]
    is_pair: bool
    reference: tuple[float, ...] = ()


class PreferenceMixture(Dataset[PreferenceItem]):
    """Map-style dataset: sample i of the mixture, as a pair or as text.

    Attributes:
        reference: log-likelihoods of the answers, float [samples, 2], once they are computed.
    """

    def __init__(self, mixture: Mixture, encoder: ConversationEncoder, style: Style) -> None:
        self.mixture = mixture
        self.encoder = encoder
        self.style: Style = style
        self.reference: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, index: int) -> PreferenceItem:
        sample = self.mixture[index]
        rows = tuple(encoded_as_measured(self.encoder, one, self.style) for one in take_apart(sample))
        paired = is_pair(sample)
        known = paired and self.reference is not None
        values = tuple(map(float, self.reference[index])) if known else ()  # type: ignore[index]
        return PreferenceItem(rows, paired, values)

    def pairs(self) -> list[int]:
        """The numbers of the samples that are pairs, by the views of the mixture's parts."""
        return [number for number in range(len(self)) if self.mixture.view_of(number).kind == "pairs"]


def is_pair(sample: Sample) -> bool:
    """Whether a sample shows a better answer and a worse one."""
    return any(turn.source == REJECTED for turn in sample.turns)


class PreferenceCollator:
    """Pads the rows of items to one batch, and says what each row is.

    Args:
        pad_token_id: id that fills ``input_ids``.
        blank: row with an image that the loss does not count, for batches without an image, where all
            processes must run the vision tower; None where no batch needs it.
    """

    def __init__(self, pad_token_id: int, blank: Encoded | None) -> None:
        self.pad_token_id = pad_token_id
        self.blank = blank

    def __call__(self, items: Sequence[PreferenceItem]) -> dict[str, Any]:
        """The batch of :func:`vila2.packing.collate.collate_padded` and, for each of its rows, ``rows_are``
        (:data:`TEXT`, ...), ``rows_of`` (number of its item) and ``reference``; ``items`` is their number.
        """
        rows = [row for item in items for row in item.rows]
        kinds = [
            kind
            for item in items
            for kind in ([CHOSEN_ROW, REJECTED_ROW] if item.is_pair else [TEXT] * len(item.rows))
        ]
        places = [number for number, item in enumerate(items) for _ in item.rows]
        reference = [value for item in items for value in (item.reference or (0.0,) * len(item.rows))]
        if self.blank is not None and not any(row.inputs for row in rows):
            rows, kinds = [*rows, self.blank], [*kinds, TEXT]
            places, reference = [*places, len(items)], [*reference, 0.0]
        return {
            **collate_padded(rows, self.pad_token_id),
            "rows_are": torch.tensor(kinds),
            "rows_of": torch.tensor(places),
            "reference": torch.tensor(reference, dtype=torch.float32),
            "items": torch.tensor(len(items)),
        }
