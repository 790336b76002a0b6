"""What the trainer iterates over: a mixture's samples, encoded on the way."""

from __future__ import annotations

from torch.utils.data import Dataset

from vila2.data.mixtures import Mixture
from vila2.model.conversation import ConversationEncoder, Encoded, Style


class EncodedMixture(Dataset):
    """Map-style: sample i of the mixture, as token ids, labels and image tensors."""

    def __init__(self, mixture: Mixture, encoder: ConversationEncoder, style: Style) -> None:
        self.mixture = mixture
        self.encoder = encoder
        self.style: Style = style

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, index: int) -> Encoded:
        return self.encoder.encode(self.mixture[index], self.style)
